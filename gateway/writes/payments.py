"""What was paid for an order and what went back: read of an order that is locked, so that the sums stand."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Uuid, bindparam, func, literal_column, select

from schema.columns import MONEY
from schema.states import ReturnStatus

from ..row_rules import row_of
from ..statements.bound import compiled
from .rows import Sql


@lru_cache(maxsize=1)
def paid_back() -> Sql:
    """The `total` of `order`, and the sum of the refunds that were paid."""
    order, back = row_of("orders", 1), row_of("returns", 1)
    found = _sum(order, back, back.c.refunded_at.is_not(None))
    query = select(order.c.total, found.label("paid_back")).where(
        order.c.id == bindparam("order", type_=Uuid())
    )
    return Sql(*compiled(query))


@lru_cache(maxsize=1)
def refunds() -> Sql:
    """The order's status, total and payment, and what its returns but `key` are to be paid back."""
    order, other = row_of("orders", 1), row_of("returns", 1)
    others = _sum(order, other, other.c.id != bindparam("key", type_=Uuid()))
    shown = (order.c.status, order.c.total, order.c.payment_status)
    query = select(*shown, others.label("others")).where(order.c.id == bindparam("order", type_=Uuid()))
    return Sql(*compiled(query))


def _sum(order: Any, back: Any, condition: ColumnElement[bool]) -> Any:
    """The amounts of an order's returns that stand."""
    rejected: ColumnElement[str] = literal_column(f"'{ReturnStatus.REJECTED.value}'")
    amounts = select(func.coalesce(func.sum(back.c.refund_amount), literal_column("0", MONEY)))
    amounts = amounts.where(back.c.order_id == order.c.id, back.c.status != rejected, condition)
    return amounts.correlate(order).scalar_subquery()
