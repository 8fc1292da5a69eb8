"""Which orders are open, and what belongs to them."""

from __future__ import annotations

from sqlalchemy import FromClause, or_

from schema.states import DELIVERY_FINAL, ORDER_FINAL, RETURN_FINAL

from .parts import Condition, Scope, constants, other, parent, some


def _listed(states: tuple[str, ...]) -> str:
    return ", ".join(f"'{state}'" for state in states)


def open_order_of(customer: str) -> str:
    """SQL: whether a customer has an order that is not finished with; `customer` is SQL of their id."""
    return f"""EXISTS (SELECT FROM orders o WHERE o.customer_id = {customer} AND (
    o.status NOT IN ({_listed(ORDER_FINAL)})
    OR EXISTS (SELECT FROM delivery d WHERE d.order_id = o.id
               AND d.status NOT IN ({_listed(DELIVERY_FINAL)}))
    OR EXISTS (SELECT FROM returns q WHERE q.order_id = o.id
               AND q.status NOT IN ({_listed(RETURN_FINAL)}))))"""  # noqa: S608  # states and texts of ours


def is_in_open(table: FromClause, name: str, _: Scope) -> list[Condition]:
    """The row is an order that is not finished with, or belongs to one."""
    return [_is_open(table, name)]


def _is_open(table: FromClause, name: str) -> Condition:
    match name:
        case "orders":
            return or_(
                table.c.status.not_in(constants(ORDER_FINAL)),
                _has_unfinished(table, "delivery", DELIVERY_FINAL),
                _has_unfinished(table, "returns", RETURN_FINAL),
            )
        case "delivery_event":
            return parent(table, "delivery", "delivery_id", _is_open)
        case "return_line":
            return parent(table, "returns", "return_id", _is_open)
        case _:
            return parent(table, "orders", "order_id", _is_open)


def _has_unfinished(order: FromClause, name: str, final: tuple[str, ...]) -> Condition:
    row = other(name)
    return some(order, row.c.order_id == order.c.id, row.c.status.not_in(constants(final)))
