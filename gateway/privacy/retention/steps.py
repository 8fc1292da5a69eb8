"""A step of a run: one rule on one table, as the statement that finds what is due and what is then done.

A dry run only finds; a run finds the same with the rows locked, and does it to those rows alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Uuid, bindparam, cast, func, text

from ...policy_files.values import RetentionRule
from ...statements.bound import compiled
from ..kept_until import FiscalYears, end_of, latest_over, over_before

Statement = tuple[str, tuple[str, ...]]
_CUSTOMERS: Statement = compiled(
    text("SELECT id FROM customer WHERE id = ANY (:owners) ORDER BY id FOR NO KEY UPDATE")
)
# What is noted as having cleared a value, where others note who changed it.
ACTOR, SOURCE = "retention", "RETENTION"
# How long beyond its end an account waits for a warning that is tried in vain.
WAITS = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Touched:
    """A row that was changed, or would be, and which of its columns; none where it is deleted."""

    rule: str
    table: str
    id: UUID
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Day:
    """The day a run is of, its moment, and what its statements bind."""

    day: date
    now: datetime
    rules: Mapping[str, RetentionRule]
    years: FiscalYears
    periods: Mapping[str, timedelta]
    # The keyed digest of an address; None where only is looked.
    proof_of: Callable[[str], bytes] | None = None

    def values(self, rule: str) -> dict[str, object]:
        """What the statements of a rule bind: moments before `before` are over, days up to `latest`."""
        account = self.rules["R-ACCOUNT"]
        warned = account.warned
        over = {name: over_before(one, self.day, self.years) for name, one in self.rules.items()}
        soon = self.day if warned is None else warned.after(self.day) + timedelta(days=1)
        return {
            "today": self.day,
            "now": self.now,
            "before": over[rule],
            "latest": latest_over(self.rules[rule], self.day, self.years),
            "claim_before": over["R-CLAIM"],
            "account_before": over[account.rule],
            "waits_before": over_before(account, self.day - WAITS, self.years),
            "warned_before": end_of(self.day if warned is None else warned.latest_before(self.day)),
            "warns": warned is not None,
            "warn_before": over_before(account, soon, self.years),
            **{f"period_{name}": period for name, period in self.periods.items()},
        }


@dataclass(frozen=True)
class Batch:
    """Rows that are due, locked, in a transaction of their own."""

    connection: Any
    rows: Sequence[Any]
    values: Mapping[str, object]
    day: Day

    @property
    def ids(self) -> list[UUID]:
        """The rows' ids."""
        return [row["id"] for row in self.rows]

    async def do(self, statement: Statement, **values: object) -> Any:
        """The rows of a statement, bound by name."""
        return await fetched(self.connection, statement, {**self.values, "ids": self.ids, **values})


@dataclass(frozen=True)
class Step:
    """A rule on a table: `find` gives `id` and `fields`; `also` finds what goes with rows, by their `ids`.

    `locks` locks what was found, and `again` asks the same of it once more: what was committed while a lock
    was waited for decides too, also where more than the row itself decides.
    """

    rule: str
    name: str
    table: str
    find: Statement
    locks: Sequence[Statement]
    again: Statement
    apply: Callable[[Batch], Awaitable[None]]
    also: Sequence[tuple[str, Statement]] = ()

    async def touched(
        self, connection: Any, rows: Sequence[Any], values: Mapping[str, object]
    ) -> list[Touched]:
        """Every row that the step changes with these."""
        found = [Touched(self.rule, self.table, row["id"], tuple(row["fields"])) for row in rows]
        ids = [row["id"] for row in rows]
        for table, statement in self.also:
            more = await fetched(connection, statement, {**values, "ids": ids})
            found += [Touched(self.rule, table, row["id"], tuple(row["fields"])) for row in more]
        return found


def sql(written: str) -> Statement:
    """A statement with `:name` for what it binds."""
    return compiled(text(written))


def going(rows: str, key: str = "id") -> Statement:
    """Finds rows that go as a whole, given as `table WHERE …`; by another key where theirs is a secret's."""
    return sql(f"SELECT DISTINCT {key} AS id, ARRAY[]::text[] AS fields FROM {rows} ORDER BY 1")


def found(written: str, alias: str) -> tuple[Statement, Statement]:
    """A statement, written up to its last condition, by `after` and `limit`; and the same by `ids`."""
    paged = f"{written} AND {alias}.id > :after ORDER BY {alias}.id LIMIT CAST(:limit AS integer)"
    return sql(paged), sql(f"{written} AND {alias}.id = ANY (:ids) ORDER BY {alias}.id")


def found_by(query: Any, key: Any) -> tuple[Statement, Statement]:
    """The same of a query whose rows have this key."""
    paged = query.where(key > bindparam("after", type_=Uuid())).order_by(key)
    by_ids = query.where(key == func.any(bindparam("ids", type_=ARRAY(Uuid())))).order_by(key)
    limit = cast(bindparam("limit", type_=Integer()), Integer())
    return compiled(paged.limit(limit)), compiled(by_ids)


def locked(table: str, *, with_customers: bool = False) -> tuple[Statement, ...]:
    """Locks the rows with these `ids`; first those of their customers, as whoever changes what is theirs.

    Whoever places a hold, restricts, or records a consent locks the customer too.
    """
    rows = sql(f"SELECT id FROM {table} WHERE id = ANY (:ids) ORDER BY id FOR NO KEY UPDATE")
    return (_CUSTOMERS, rows) if with_customers else (rows,)


async def fetched(connection: Any, statement: Statement, values: Mapping[str, object]) -> Any:
    """The rows of a statement."""
    written, names = statement
    return await connection.fetch(written, *(values[name] for name in names))


NEW_ID = """encode(set_byte(overlay(uuid_send(gen_random_uuid())
    PLACING substring(int8send(floor(extract(epoch FROM CAST(:now AS timestamptz)) * 1000)::bigint) FROM 3)
    FROM 1 FOR 6), 6, (get_byte(uuid_send(gen_random_uuid()), 6) & 15) | 112), 'hex')::uuid"""
NOTE = sql(f"""
INSERT INTO change (id, customer_id, entity, entity_id, field, at, source, actor)
SELECT {NEW_ID}, noted.owner, CAST(:entity AS text), noted.key, noted.field, :now, '{SOURCE}', '{ACTOR}'
FROM unnest(CAST(:owners AS uuid[]), CAST(:keys AS uuid[]), CAST(:noted AS text[]))
    AS noted(owner, key, field)""")


async def note(batch: Batch, entity: str, changed: Sequence[tuple[UUID, UUID, str]]) -> None:
    """Notes which fields of which rows were cleared: owner, row and field; no value."""
    if changed:
        owners, keys, fields = (list(column) for column in zip(*changed, strict=True))
        await batch.do(NOTE, entity=entity, owners=owners, keys=keys, noted=fields)
