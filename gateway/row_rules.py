"""The row rules: which rows a grant speaks of, by name, and as a condition in SQL.

The vocabulary is closed. A rule that says nothing of a type is refused when the policy is loaded; a rule
that is not here does not exist. The present moment, the caller and the day counts are bound values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
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
    """How far a customer's `own` reaches: their account, or the one order their token is for."""

    ACCOUNT = "account"
    ONE_ORDER = "one order"


# INVARIANT: each row of the rule on the left is a row of every rule on the right, whatever the settings.
_WITHIN: Mapping[str, tuple[str, ...]] = {
    "linked": ("all", "every"),
    "all": ("every",),
    "own_visible": ("own",),
    "assigned_open": ("assigned",),
    "assigned_address": ("assigned",),
    "assigned_phone": ("assigned",),
    "assigned_email": ("assigned",),
    "consented": ("linked", "all", "every"),
}


def is_within(rule: str, others: frozenset[str]) -> bool:
    """Whether every row of `rule` is a row of one of `others`, by what the rules mean."""
    return rule in others or "every" in others or any(wider in others for wider in _WITHIN.get(rule, ()))


def some(outer: FromClause, *conditions: Condition) -> Condition:
    """Whether some row of another table meets the conditions, within the row of `outer`."""
    return exists(select(literal_column("1")).where(*conditions).correlate(outer))


def _constants(states: tuple[str, ...]) -> list[ColumnElement[str]]:
    # States of the domain, written into the SQL so that PostgreSQL's plan can use the partial indexes.
    return [literal_column(f"'{state}'", Text()) for state in states]


@lru_cache(maxsize=4096)
def row_of(name: str, number: int) -> FromClause:
    """The `number`th alias of a table, the same object each time.

    # PERF: SQLAlchemy copies every column of a new alias; made once, they save half of a statement's
    # compilation (tests/bench/report.md).
    """
    return SQLModel.metadata.tables[name].alias()


def _other(name: str) -> FromClause:
    # One alias serves every rule: each stands in a sub-select of its own, which refers to no outer one.
    return row_of(name, 0)


def caller(name: str) -> ColumnElement[Any]:
    """The id the caller has as a `customer`, `order` or `carrier`, bound when the statement runs."""
    return bindparam(f"caller_{name}", type_=Uuid())


def now() -> ColumnElement[Any]:
    """The request's moment, bound when the statement runs, never SQL's own clock."""
    return bindparam("now", type_=DateTime(timezone=True))


def days(setting: str) -> ColumnElement[Any]:
    """A period from the settings, bound when the statement runs."""
    return bindparam(f"period_{setting}", type_=Interval())


def _customer_of(table: FromClause, name: str) -> ColumnElement[Any]:
    return table.c.id if name == "customer" else table.c.customer_id


def _unrestricted(table: FromClause, name: str) -> Condition:
    # GDPR Article 18(2): while restricted, only the person and the privacy officer see the data.
    if name == "customer":
        return table.c.restricted_at.is_(None)
    customer = _other("customer")
    return not_(some(table, customer.c.id == table.c.customer_id, customer.c.restricted_at.is_not(None)))


def _all(table: FromClause, name: str, _: Scope) -> RowAccess:
    return AllRows() if name == "carrier" else Where(_unrestricted(table, name))


def _linked(table: FromClause, name: str, _: Scope) -> RowAccess:
    if name == "customer":
        return Where(and_(table.c.restricted_at.is_(None), table.c.erased_at.is_(None)))
    customer = _other("customer")
    return Where(
        some(
            table,
            customer.c.id == table.c.customer_id,
            customer.c.restricted_at.is_(None),
            customer.c.erased_at.is_(None),
        )
    )


def _own(table: FromClause, name: str, scope: Scope) -> RowAccess:
    theirs: Condition = _customer_of(table, name) == caller("customer")
    match scope:
        case Scope.ACCOUNT:
            return Where(theirs)
        case Scope.ONE_ORDER:
            return Where(and_(theirs, _of_one_order(table, name)))


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


def _open(table: FromClause, name: str, _: Scope) -> RowAccess:
    return Where(and_(_unrestricted(table, name), _is_open(table, name)))


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


def _consented(table: FromClause, _: str, __: Scope) -> RowAccess:
    return Where(
        and_(table.c.marketing_consent, table.c.restricted_at.is_(None), table.c.erased_at.is_(None))
    )


def _delivery_end(delivery: FromClause) -> ColumnElement[Any]:
    return func.coalesce(
        delivery.c.returned_at,
        delivery.c.delivered_at,
        delivery.c.lost_at,
        delivery.c.handed_over_at + days("handed_over"),
        delivery.c.created_at + days("created"),
    )


def _is_assigned(delivery: FromClause, _: str = "delivery") -> Condition:
    return and_(
        delivery.c.carrier_id == caller("carrier"),
        delivery.c.status.not_in(_constants(("PLANNED", "CANCELLED"))),
        now() < _delivery_end(delivery) + days("delivery"),
    )


def _assigned(table: FromClause, name: str, _: Scope) -> RowAccess:
    if name == "delivery_event":
        return Where(
            and_(_unrestricted(table, name), _parent(table, "delivery", "delivery_id", _is_assigned))
        )
    return Where(and_(_is_assigned(table), _unrestricted(table, name)))


def _assigned_for(period: str, contact: str | None = None) -> Rule:
    def condition(delivery: FromClause, name: str, _: Scope) -> RowAccess:
        parts = [
            _is_assigned(delivery),
            _unrestricted(delivery, name),
            now() < _delivery_end(delivery) + days(period),
        ]
        if contact is not None:
            service = _other("carrier_service")
            parts.append(
                some(
                    delivery,
                    service.c.carrier_id == delivery.c.carrier_id,
                    service.c.code == delivery.c.service_code,
                    service.c[contact],
                )
            )
        return Where(and_(*parts))

    return condition


def _self(table: FromClause, _: str, __: Scope) -> RowAccess:
    return Where(table.c.id == caller("carrier"))


def _every(_: FromClause, __: str, ___: Scope) -> RowAccess:
    return AllRows()


Rule = Callable[[FromClause, str, Scope], RowAccess]

_PERSONAL = frozenset(
    {"customer", "consent_event", "orders", "order_line", "delivery", "delivery_event", "returns"}
    | {"return_line"}
)
_OF_ORDERS = _PERSONAL - {"customer", "consent_event"}

# Each rule, and the tables it says something of.
_RULES: Mapping[str, tuple[Rule, frozenset[str]]] = {
    "every": (_every, _PERSONAL | {"carrier"}),
    "all": (_all, _PERSONAL | {"carrier"}),
    "linked": (_linked, _PERSONAL),
    "own": (_own, _PERSONAL),
    "self": (_self, frozenset({"carrier"})),
    "open": (_open, _OF_ORDERS),
    "consented": (_consented, frozenset({"customer"})),
    "assigned": (_assigned, frozenset({"delivery", "delivery_event"})),
    "assigned_address": (_assigned_for("address"), frozenset({"delivery"})),
    "assigned_phone": (_assigned_for("contact", "needs_phone"), frozenset({"delivery"})),
    "assigned_email": (_assigned_for("contact", "needs_email"), frozenset({"delivery"})),
}


def speaks_of(rule: str, table: str) -> bool:
    """Whether the rule exists and says which rows of this table it means."""
    return rule in _RULES and table in _RULES[rule][1]


def is_rule(rule: str) -> bool:
    """Whether the vocabulary has this rule."""
    return rule in _RULES


def rows(rules: frozenset[str], table: FromClause, name: str, scope: Scope) -> RowAccess:
    """The rows of `table` (an alias of the table called `name`) that at least one of the rules means."""
    conditions = []
    for rule in sorted(rules):
        match _RULES[rule][0](table, name, scope):
            case AllRows():
                return AllRows()
            case Where(condition):
                conditions.append(condition)
    return Where(or_(false(), *conditions))
