"""What an erasure leaves of a person, until when and why: asked before it, and kept with it.

Takes the subject and a way to ask the database. Gives entries of `SubjectRequest.retained`: one for each
coordinate and date, in their order. No clock: the moment is handed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, select
from sqlmodel import SQLModel

from ..policy_files.values import Moment, RetentionRule
from ..row_rules import Scope
from ..row_rules.deliveries import delivery_end
from ..row_rules.orders import is_in_open
from ..statements.bound import compiled
from .kept_until import kept_until
from .office import Office
from .treatment import PARENTS, REGISTER, Stays, going, staying

Rows = Callable[[str, Sequence[object]], Awaitable[Any]]
OPEN = "an open order needs it (GDPR Article 6(1)(b)): it goes when the order is closed"

_HOLDS = """
SELECT fields, basis, until FROM legal_hold
WHERE customer_id = $1 AND released_at IS NULL AND until >= $2 ORDER BY id"""
_ACTIVE = """
SELECT last_active_at FROM customer WHERE id = $1"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the dates of one person follow from."""

    now: datetime
    last_active_at: datetime
    # When each order was placed, when its last delivery ended or ends, and whether it is open.
    orders: tuple[tuple[datetime, datetime | None, bool], ...]
    holds: tuple[tuple[Sequence[str], str, date], ...]
    # The tables that hold a row of theirs.
    tables: frozenset[str]


async def facts_of(rows: Rows, subject: UUID, now: datetime, office: Office) -> Facts:
    """The facts of a person at a moment."""
    text, names = _orders()
    periods = {f"period_{name}": period for name, period in office.settings.periods().items()}
    values = {"subject": subject, **periods}
    orders = await rows(text, [values[name] for name in names])
    holds = await rows(_HOLDS, (subject, now.date()))
    (active,) = await rows(_ACTIVE, (subject,))
    (filled,) = await rows(_filled(), (subject,))
    tables = frozenset(name for name, is_filled in filled.items() if is_filled)
    return Facts(now, active["last_active_at"], tuple(map(tuple, orders)), tuple(map(tuple, holds)), tables)


def retained(facts: Facts, office: Office) -> list[dict[str, object]]:
    """The entries of what stays: by rule, by hold, and for open orders; pure."""
    found: set[tuple[str, date | None, str]] = set()
    for one in (one for one in staying() if one.table in facts.tables):
        rule = office.retention[one.rule]
        found |= {(one.coordinate, until, _basis(one, rule)) for until in _until(rule, facts, office)}
    for fields, basis, until in facts.holds:
        found |= {(coordinate, until, basis) for coordinate in fields}
    if any(is_open for _, _, is_open in facts.orders):
        needed = (one for one in going() if one.is_needed and one.table in facts.tables)
        found |= {(one.coordinate, None, OPEN) for one in needed if one.coordinate is not None}
    ordered = sorted(found, key=lambda one: (one[0], one[1] or date.max, one[2]))
    return [
        {"coordinate": coordinate, "until": None if until is None else until.isoformat(), "basis": basis}
        for coordinate, until, basis in ordered
    ]


def erased(facts: Facts, kept: Sequence[Mapping[str, object]]) -> list[str]:
    """The coordinates of what goes of this person at once and everywhere, each once; pure.

    What is `kept` on some of their rows is not among them: its entries say until when.
    """
    stays = {one["coordinate"] for one in kept}
    there = (one.coordinate for one in going() if one.table in facts.tables)
    return sorted({one for one in there if one is not None and one not in stays})


def _basis(one: Stays, rule: RetentionRule) -> str:
    return f"{rule.law or f'GDPR Article 6(1)({one.basis})'} ({one.rule})"


def _until(rule: RetentionRule, facts: Facts, office: Office) -> Iterable[date]:
    """The last days that a rule keeps something of the person: of vouchers one for each fiscal year."""
    match rule.after:
        case Moment.FISCAL_YEAR:
            return {kept_until(rule, placed, office.years) for placed, _, _ in facts.orders}
        case Moment.LAST_ACTIVITY:
            begins: datetime | None = facts.last_active_at
        case Moment.DELIVERY_END:
            begins = max((end or placed for placed, end, _ in facts.orders), default=None)
        case _:
            begins = facts.now
    # What is over already is not there any more, or goes with the next run of the retention.
    last = None if begins is None else kept_until(rule, begins, office.years)
    return {last} if last is not None and last >= facts.now.date() else ()


@lru_cache(maxsize=1)
def _orders() -> tuple[str, tuple[str, ...]]:
    orders, delivery = (SQLModel.metadata.tables[name] for name in ("orders", "delivery"))
    ends = select(func.max(delivery_end(delivery))).where(delivery.c.order_id == orders.c.id)
    is_open = is_in_open(orders, "orders", Scope.ACCOUNT)[0]
    query = select(orders.c.placed_at, ends.correlate(orders).scalar_subquery(), is_open)
    query = query.where(orders.c.customer_id == bindparam("subject", type_=Uuid()))
    return compiled(query.order_by(orders.c.id))


@lru_cache(maxsize=1)
def _filled() -> str:
    """Of each table of the register whether it holds a row of the person `$1`."""
    asked = (f"EXISTS (SELECT FROM {name} WHERE {_is_of_subject(name)}) AS {name}" for name in REGISTER)
    return f"SELECT {', '.join(asked)}"


def _is_of_subject(name: str) -> str:
    if name not in PARENTS:
        return "id = $1" if name == "customer" else "customer_id = $1"
    parent, key = PARENTS[name]
    return f"{key} = ANY (ARRAY(SELECT id FROM {parent} WHERE customer_id = $1))"  # noqa: S608  # names of ours
