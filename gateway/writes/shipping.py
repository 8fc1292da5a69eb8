"""What deliveries mean for their order: it is SHIPPED with the first pick-up, DELIVERED with the last.

These steps (`lifecycles.ORDER_DERIVED`) are the gateway's own: nobody is granted them, and who reports on a
parcel sees no order. So they have statements of their own, without the caller's rules, for orders of
deliveries the caller may change.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Uuid, bindparam, exists, func, literal_column, select
from sqlmodel import SQLModel

from schema import lifecycles
from schema.lifecycles import ORDER_DERIVED
from schema.states import DeliveryStatus as D
from schema.states import OrderStatus as O
from schema.states import PaymentMethod

from ..row_rules import row_of
from ..statements.bound import compiled
from .derived import derived_step, noted
from .rows import Sql
from .work import Work

# Orders whose goods may leave; on invoice they leave before they are paid.
SENDABLE = tuple(str(one.value) for one in (O.PAID, O.PICKING, O.SHIPPED, O.DELIVERED))


def may_be_sent(order: Mapping[str, Any]) -> bool:
    """Whether goods of an order, by its `status` and `payment_method`, may leave the store."""
    is_on_invoice = order["payment_method"] == PaymentMethod.INVOICE.value
    return order["status"] in SENDABLE or (is_on_invoice and order["status"] == O.PLACED.value)


async def lock_orders(work: Work, orders: Collection[uuid.UUID]) -> Any:
    """Locks orders, in the order of their ids, before anything that belongs to them; gives their statuses.

    INVARIANT: who changes a delivery's status or what comes back of an order holds the order's row first.
    """
    return await work.rows(_locked(), keys=list(orders))


async def follow_deliveries(work: Work, orders: Collection[uuid.UUID]) -> None:
    """Takes locked orders on to SHIPPED and DELIVERED where their deliveries say so."""
    if orders:
        for step in (_shipped(), _delivered()):
            await work.rows(step, keys=list(orders), **noted(work, len(orders)))


@lru_cache(maxsize=1)
def _locked() -> Sql:
    order = row_of("orders", 1)
    query = select(order.c.id, order.c.status, order.c.payment_method).where(order.c.id == _any_key())
    return Sql(*compiled(query.order_by(order.c.id).with_for_update(of=order, key_share=True)))


@lru_cache(maxsize=1)
def _shipped() -> Sql:
    delivery = row_of("delivery", 1)
    taken_over = _some(
        delivery, delivery.c.handed_over_at.is_not(None), delivery.c.status != _text(D.CANCELLED)
    )
    return _step(O.SHIPPED, taken_over)


@lru_cache(maxsize=1)
def _delivered() -> Sql:
    delivery = row_of("delivery", 1)
    waiting = _some(delivery, delivery.c.status.not_in([_text(D.DELIVERED), _text(D.CANCELLED)]))
    arrived = _some(delivery, delivery.c.status == _text(D.DELIVERED))
    return _step(O.DELIVERED, arrived, ~waiting)


def _some(delivery: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    orders = SQLModel.metadata.tables["orders"]
    found: Any = select(literal_column("1")).where(delivery.c.order_id == orders.c.id, *conditions)
    return exists(found.correlate(orders))


def _step(after: O, *conditions: ColumnElement[bool]) -> Sql:
    """The step to a status from where `ORDER_DERIVED` lets it follow."""
    orders = SQLModel.metadata.tables["orders"]
    on_invoice = orders.c.payment_method == literal_column(f"'{PaymentMethod.INVOICE.value}'")
    before: Any = [literal_column(f"'{one}'") for one in lifecycles.before(ORDER_DERIVED, str(after.value))]
    is_meant = (orders.c.status != _text(O.PLACED)) | on_invoice
    return derived_step(
        "Order",
        "orders",
        str(after.value),
        orders.c.id == _any_key(),
        orders.c.status.in_(before),
        is_meant,
        *conditions,
    )


def _any_key() -> Any:
    return func.any(bindparam("keys", type_=ARRAY(Uuid())))


def _text(state: D | O) -> ColumnElement[str]:
    return literal_column(f"'{state.value}'")
