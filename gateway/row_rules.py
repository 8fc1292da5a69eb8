"""The row rules: which rows a grant speaks of, by name, and as a condition in SQL.

The vocabulary is closed. A rule that says nothing of a type is refused when the policy is loaded; a rule
that is not here does not exist. The present moment, the caller and the day counts are bound values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Exists,
    FromClause,
    Interval,
    Text,
    Uuid,
    and_,
    bindparam,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.sql.visitors import replacement_traverse
from sqlmodel import SQLModel

from schema.states import DELIVERY_FINAL, ORDER_FINAL, RETURN_FINAL

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class AllRows:
    """Every row of the table, no condition needed."""


@dataclass(frozen=True, slots=True)
class Where:
    """The rows that meet a condition."""

    condition: Condition


RowAccess = AllRows | Where


class Scope(Enum):
    """How far `own` (the account, one order) and `assigned…` (all, or the deliveries named) reach."""

    ACCOUNT = "account"
    ONE_ORDER = "one order"
    NAMED_DELIVERIES = "named deliveries"


def some(outer: FromClause, *conditions: Condition) -> Condition:
    """Whether some row of another table meets the conditions, within the row of `outer`."""
    return exists(select(literal_column("1")).where(*conditions).correlate(outer))


def per_row(condition: Condition) -> Condition:
    """The same condition for a value of the row: its look-ups are made row by row.

    # PERF: beside a value PostgreSQL takes `EXISTS` for a hash over the whole table, whatever the page's
    # size: 9.7 ms at 20,000 customers, which grows with them; `OFFSET 0` makes it an index look-up, 0.16 ms.
    """

    def fenced(element: Any, **_: object) -> Any:
        if isinstance(element, Exists):
            query: Any = element.element
            return exists(query.element.offset(literal_column("0")))
        return None

    found: Condition = replacement_traverse(condition, {}, fenced)
    return found


def _constants(states: tuple[str, ...]) -> list[ColumnElement[str]]:
    # States of the domain, written into the SQL so that PostgreSQL's plan can use the partial indexes.
    return [literal_column(f"'{state}'", Text()) for state in states]


@lru_cache(maxsize=4096)
def row_of(name: str, number: int) -> FromClause:
    """The `number`th alias of a table, the same object each time.

    # PERF: SQLAlchemy copies every column of a new alias; made once, they save a quarter of a
    # statement's compilation (tests/bench/report.md).
    """
    return SQLModel.metadata.tables[name].alias()


def _other(name: str) -> FromClause:
    # One alias serves every rule: each stands in a sub-select of its own, which refers to no outer one.
    return row_of(name, 0)


def caller(name: str) -> ColumnElement[Any]:
    """The id the caller has: `customer`, `order`, `carrier`, `employee`, `rotation`; bound when run."""
    return bindparam(f"caller_{name}", type_=Uuid())


def now() -> ColumnElement[Any]:
    """The request's moment, bound when the statement runs, never SQL's own clock."""
    return bindparam("now", type_=DateTime(timezone=True))


def days(setting: str) -> ColumnElement[Any]:
    """A period from the settings, bound when the statement runs."""
    return bindparam(f"period_{setting}", type_=Interval())


# ---------------------------------------------------------------- what each rule adds to its base


def _unrestricted(table: FromClause, name: str, _: Scope) -> list[Condition]:
    # GDPR Article 18(2): while restricted, only the person and the privacy officer see the data.
    if name in _OF_WORK or name == "partner_token":
        return []
    if name == "customer":
        return [table.c.restricted_at.is_(None)]
    customer = _other("customer")
    return [not_(some(table, customer.c.id == table.c.customer_id, customer.c.restricted_at.is_not(None)))]


def _not_erased(table: FromClause, name: str, _: Scope) -> list[Condition]:
    if name == "customer":
        return [table.c.erased_at.is_(None)]
    customer = _other("customer")
    return [some(table, customer.c.id == table.c.customer_id, customer.c.erased_at.is_(None))]


def _own(table: FromClause, name: str, scope: Scope) -> list[Condition]:
    owner = table.c.id if name == "customer" else table.c.customer_id
    theirs: list[Condition] = [owner == caller("customer")]
    match scope:
        case Scope.ACCOUNT:
            return theirs
        case Scope.ONE_ORDER:
            return [*theirs, _of_one_order(table, name)]
        case Scope.NAMED_DELIVERIES:
            return [false()]


def _of_one_order(table: FromClause, name: str) -> Condition:
    match name:
        case "orders":
            return table.c.id == caller("order")
        case "order_line" | "delivery" | "returns":
            return table.c.order_id == caller("order")
        case "delivery_event":
            return _parent(table, "delivery", "delivery_id", _of_one_order)
        case "return_line":
            return _parent(table, "returns", "return_id", _of_one_order)
        case _:
            return false()


def _parent(
    table: FromClause, parent: str, key: str, condition: Callable[[FromClause, str], Condition]
) -> Condition:
    row = _other(parent)
    return some(table, row.c.id == table.c[key], condition(row, parent))


def _open(table: FromClause, name: str, _: Scope) -> list[Condition]:
    return [_is_open(table, name)]


def _is_open(table: FromClause, name: str) -> Condition:
    match name:
        case "orders":
            return or_(
                table.c.status.not_in(_constants(ORDER_FINAL)),
                _has_unfinished(table, "delivery", DELIVERY_FINAL),
                _has_unfinished(table, "returns", RETURN_FINAL),
            )
        case "delivery_event":
            return _parent(table, "delivery", "delivery_id", _is_open)
        case "return_line":
            return _parent(table, "returns", "return_id", _is_open)
        case _:
            return _parent(table, "orders", "order_id", _is_open)


def _has_unfinished(order: FromClause, name: str, final: tuple[str, ...]) -> Condition:
    row = _other(name)
    return some(order, row.c.order_id == order.c.id, row.c.status.not_in(_constants(final)))


def _consented(customer: FromClause, _: str, __: Scope) -> list[Condition]:
    return [customer.c.marketing_consent]


def _self(table: FromClause, name: str, _: Scope) -> list[Condition]:
    if name == "partner_token":
        return [_is_token_of_caller(table)]
    column, who = _OF_WORK[name]
    return [table.c[column] == caller(who)]


def _is_token_of_caller(token: FromClause) -> Condition:
    """A key of the rotation that the token asked with is of, or narrowed from one: two steps at most."""
    parent, above = _other("partner_token"), row_of("partner_token", -1)
    child = some(token, parent.c.id == token.c.parent_id, _is_key_of_caller(parent))
    steps = (parent.c.id == token.c.parent_id, above.c.id == parent.c.parent_id, _is_key_of_caller(above))
    return or_(_is_key_of_caller(token), child, some(token, *steps))


def _is_key_of_caller(token: FromClause) -> Condition:
    return func.coalesce(token.c.first_id, token.c.id) == caller("rotation")


def _delivery_end(delivery: FromClause) -> ColumnElement[Any]:
    return func.coalesce(
        delivery.c.returned_at,
        delivery.c.delivered_at,
        delivery.c.lost_at,
        delivery.c.handed_over_at + days("handed_over"),
        delivery.c.created_at + days("created"),
    )


def _is_assigned(delivery: FromClause, _: str) -> Condition:
    return and_(
        delivery.c.carrier_id == caller("carrier"),
        delivery.c.status.not_in(_constants(("PLANNED", "CANCELLED"))),
        now() < _delivery_end(delivery) + days("delivery"),
    )


def _assigned(table: FromClause, name: str, scope: Scope) -> list[Condition]:
    is_assigned = _is_assigned_and_named if scope is Scope.NAMED_DELIVERIES else _is_assigned
    if name == "delivery_event":
        return [_parent(table, "delivery", "delivery_id", is_assigned)]
    return [is_assigned(table, name)]


def _is_assigned_and_named(delivery: FromClause, name: str) -> Condition:
    named = bindparam("caller_deliveries", type_=ARRAY(Uuid()))
    return and_(_is_assigned(delivery, name), delivery.c.id == func.any(named))


def _until(period: str) -> Adds:
    """While the delivery's end is not longer ago than a period."""
    return lambda delivery, _, __: [now() < _delivery_end(delivery) + days(period)]


def _needed(need: str) -> Adds:
    """While the contact's window is open, and if the delivery's service needs the contact."""

    def conditions(delivery: FromClause, name: str, scope: Scope) -> list[Condition]:
        service = _other("carrier_service")
        needed = some(
            delivery,
            service.c.carrier_id == delivery.c.carrier_id,
            service.c.code == delivery.c.service_code,
            service.c[need],
        )
        return [*_until("contact")(delivery, name, scope), needed]

    return conditions


def _assigned_open(table: FromClause, name: str, _: Scope) -> list[Condition]:
    if name == "delivery_event":
        return [_parent(table, "delivery", "delivery_id", _is_under_way)]
    return [_is_under_way(table, name)]


def _is_under_way(delivery: FromClause, _: str) -> Condition:
    return delivery.c.status.not_in(_constants(("DELIVERED", "RETURNED", "LOST")))


def _in_status(*states: str) -> Adds:
    """While the row has one of these statuses."""
    return lambda table, _, __: [table.c.status.in_(_constants(states))]


def _nothing(_: FromClause, __: str, ___: Scope) -> list[Condition]:
    return []


# ---------------------------------------------------------------- the vocabulary

Adds = Callable[[FromClause, str, Scope], list[Condition]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: the rows of `base` that also meet what it adds; `tables` are those it says something of."""

    base: str | None
    adds: Adds
    tables: frozenset[str]


_OF_ORDERS = frozenset({"orders", "order_line", "delivery", "delivery_event", "returns", "return_line"})
_PERSONAL = _OF_ORDERS | {"customer", "consent_event"}
# The tables about those who work with the register: the column that says whose a row is, and who they are.
_OF_WORK: Mapping[str, tuple[str, str]] = {
    "carrier": ("id", "carrier"),
    "designation": ("employee_id", "employee"),
    "employee": ("id", "employee"),
}
_ANY = _PERSONAL | _OF_WORK.keys() | {"partner_token"}
_DELIVERY = frozenset({"delivery"})
_RETURN = frozenset({"returns"})

_RULES: Mapping[str, Rule] = {
    "every": Rule(None, _nothing, _ANY),
    "all": Rule("every", _unrestricted, _ANY),
    "linked": Rule("all", _not_erased, _PERSONAL),
    "own": Rule("every", _own, _PERSONAL),
    "self": Rule("every", _self, frozenset({*_OF_WORK, "partner_token"})),
    "open": Rule("all", _open, _OF_ORDERS),
    "consented": Rule("linked", _consented, frozenset({"customer"})),
    "assigned": Rule("all", _assigned, frozenset({"delivery", "delivery_event"})),
    "assigned_open": Rule("assigned", _assigned_open, frozenset({"delivery", "delivery_event"})),
    "assigned_address": Rule("assigned", _until("address"), _DELIVERY),
    "assigned_phone": Rule("assigned", _needed("needs_phone"), _DELIVERY),
    "assigned_email": Rule("assigned", _needed("needs_email"), _DELIVERY),
    # `_OF_CHANGES`: changes are made only on rows that exist for the caller.
    "new": Rule("every", _nothing, _PERSONAL),
    "undispatched": Rule("every", _in_status("PLANNED", "READY"), _DELIVERY),
    "unrefunded": Rule("own", _in_status("REQUESTED", "AWAITING_GOODS", "RECEIVED", "INSPECTED"), _RETURN),
}

_OF_CHANGES = frozenset({"new", "undispatched", "unrefunded", "assigned_open"})


def is_rule(rule: str) -> bool:
    """Whether the vocabulary has this rule."""
    return rule in _RULES


def speaks_of(rule: str, table: str) -> bool:
    """Whether the rule exists and says which rows of this table it means."""
    return rule in _RULES and table in _RULES[rule].tables


def is_for_changes(rule: str) -> bool:
    """Whether the rule speaks of changes alone, so that no line may let somebody see by it."""
    return rule in _OF_CHANGES


def is_within(rule: str, others: frozenset[str]) -> bool:
    """Whether every row of `rule` is a row of one of `others`, by what the rules mean."""
    return any(step in others for step in _steps(rule))


def rows(
    rules: frozenset[str],
    table: FromClause,
    name: str,
    scope: Scope,
    known: frozenset[str] = frozenset(),
) -> RowAccess:
    """The rows of `table` (an alias of the table called `name`) that at least one of the rules means.

    `known` are the rules under which the row is there already: what they say is not asked again.
    """
    choices = []
    for rule in sorted(rules):
        conditions = _conditions(rule, table, name, scope, known)
        if not conditions:
            return AllRows()
        choices.append(and_(*conditions))
    return Where(or_(false(), *choices))


def _steps(rule: str) -> Iterator[str]:
    """The rule, its base, and so on."""
    step: str | None = rule
    while step is not None:
        yield step
        step = _RULES[step].base


def _conditions(
    rule: str, table: FromClause, name: str, scope: Scope, known: frozenset[str]
) -> list[Condition]:
    found: list[Condition] = []
    for step in _steps(rule):
        if known == {step}:  # of several known rules only one may hold
            break
        found = [*_RULES[step].adds(table, name, scope), *found]
    return found
