"""Changes of orders: placed, called off, taken a step on, noted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import lru_cache

from sqlalchemy import ARRAY, Text, Uuid, bindparam, exists, func, literal_column, select
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from schema.lifecycles import DELIVERY, ORDER, PAYMENT, Steps, before
from schema.model import text_of
from schema.scalars import global_id
from schema.states import ChangeSource, DeliveryStatus, OrderStatus, PaymentStatus
from schema.writing import UserErrorCode

from ..principal import Principal
from ..row_rules import Scope
from ..statements.bound import compiled
from .checkout import Buyer, billing, buyer_of, message, recipient, service
from .checks import RECIPIENT, checked, text
from .customers import add_customer
from .derived import derived_step, noted
from .mistakes import Mistake, Mistakes, Rejected
from .once import Known, New, once
from .order_sessions import new_order_token, order_token_again
from .payments import paid_back
from .prices import Line, add_lines, priced, total_of
from .rows import Sql
from .work import Outcome, Work

NOTE = {"internalNote": text("internal_note", 1000, required=True, lines=True)}
LONGEST_NOTES = 10_000
CANCELLED = str(OrderStatus.CANCELLED.value)
# The deliveries that go with their order; every other status means that a carrier has had the parcel.
CALLED_OFF = before(DELIVERY, CANCELLED)
FIELDS = ("billingName", "billingAddress", "paymentMethod", "lines")


async def place_order(work: Work) -> Outcome:
    """A new order with its first delivery; a guest becomes a customer without credentials."""
    is_guest = work.principal.customer_id is None
    match await once(work, "Order"):
        case New(key):
            customer = await _place(work, key)
            # The first session of a guest's order has the order's id: the same request finds it again.
            token = await new_order_token(work, customer, key, key) if is_guest else None
        case Known(key):
            customer = (await work.row(_owner(), key=key))["customer_id"]
            token = await _token_again(work, customer, key) if is_guest else None
    if token is None:
        return Outcome({"order": key})
    shown = global_id("Customer", customer)
    became = Principal("customer", shown, Scope.ONE_ORDER, customer_id=customer, order_id=key)
    return Outcome({"order": key}, became=became, secrets={"accessToken": token})


async def _token_again(work: Work, customer: uuid.UUID, order: uuid.UUID) -> str:
    """A guest's token once more; raises CONFLICT where it was ended: what ended does not come back."""
    token = await order_token_again(work, customer, order, order)
    if token is None:
        coordinate, path = "PlaceOrderInput.idempotencyKey", ("idempotencyKey",)
        message = "the token of the order of this key has ended: ask for a new link"
        raise Rejected(Mistake(UserErrorCode.CONFLICT, coordinate, message, path))
    return token


async def _place(work: Work, key: uuid.UUID) -> uuid.UUID:
    mistakes = Mistakes()
    buyer = await buyer_of(work, mistakes)
    order = {**billing(work, buyer, mistakes), **message(work, mistakes)}
    delivery = recipient(work, buyer, mistakes)
    delivery["service_code"] = await service(work, mistakes)
    lines = await priced(work, mistakes)
    mistakes.check()
    if buyer.is_new:
        await add_customer(work, buyer.key, buyer.profile, work.input["customer"], ChangeSource.CHECKOUT)
    else:
        await work.change("Customer", buyer.key, work.activity(), coordinates=())
    number = await work.number("order_number")
    await _add_order(work, key, buyer, number, order, lines)
    await _add_delivery(work, key, buyer, number, delivery)
    return buyer.key


async def _add_order(
    work: Work, key: uuid.UUID, buyer: Buyer, number: int, order: Mapping[str, object], lines: list[Line]
) -> None:
    values = {
        "id": key,
        "number": f"O-{number:06}",
        "customer_id": buyer.key,
        "placed_at": work.now,
        "status": str(OrderStatus.PLACED.value),
        "currency": lines[0].currency,
        "total": total_of(lines),
        "payment_method": text_of(work.input["paymentMethod"]),
        "payment_status": str(PaymentStatus.PENDING.value),
        **order,
    }
    await work.insert("orders", values)
    await add_lines(work, key, buyer.key, lines)
    fields = [*FIELDS, *(["customerMessage"] if "customer_message" in order else [])]
    await work.note("Order", key, buyer.key, fields, ChangeSource.CHECKOUT, buyer.id)


async def _add_delivery(
    work: Work, order: uuid.UUID, buyer: Buyer, number: int, delivery: Mapping[str, object]
) -> None:
    key = uuid7()
    values = {
        "id": key,
        "reference": f"D-{number:06}-1",
        "order_id": order,
        "customer_id": buyer.key,
        "status": str(DeliveryStatus.PLANNED.value),
        "parcel_count": 1,
        "created_at": work.now,
        **delivery,
    }
    await work.insert("delivery", values)
    given = [name for name, rule in RECIPIENT.items() if delivery.get(rule.column) is not None]
    await work.note("Delivery", key, buyer.key, ["serviceCode", *given], ChangeSource.CHECKOUT, buyer.id)


async def cancel_order(work: Work) -> Outcome:
    """Calls an order off with its deliveries, unless a carrier has one of them."""
    key = work.key("id", "Order")
    # The order's row is locked first, as in every change of an order's parts.
    await work.change(
        "Order", key, {"status": CANCELLED}, coordinates=(), moves_from=before(ORDER, CANCELLED)
    )
    rows = await work.rows(_deliveries(), key=key)
    if any(row["is_taken_over"] or row["status"] not in (*CALLED_OFF, CANCELLED) for row in rows):
        raise _illegal(key, "a carrier has a delivery of the order already", "status")
    await work.rows(_call_off(), key=key, states=list(CALLED_OFF), **noted(work, len(rows)))
    return Outcome({"order": key})


async def update_order(work: Work) -> Outcome:
    """Takes an order or its payment a step on; a payment that is in makes a placed order paid."""
    key, given = work.key("id", "Order"), _given_steps(work)
    row = await work.find("Order", key, ("status", "payment_status"), tuple(work.write.guards))
    if work.input.get("ifVersion") is not None:
        await work.check_version("Order", key)
    values: dict[str, object] = {}
    if "paymentStatus" in given:
        values["payment_status"] = _step(key, PAYMENT, row["payment_status"], given, "paymentStatus")
        if values["payment_status"] == PaymentStatus.REFUNDED.value and row["status"] != CANCELLED:
            await _check_is_paid_back(work, key)
        if values["payment_status"] == PaymentStatus.PAID.value and row["status"] == OrderStatus.PLACED.value:
            values["status"] = str(OrderStatus.PAID.value)
    if "status" in given:
        if given["status"] == CANCELLED:
            raise _illegal(key, "an order is called off by `cancelOrder`", "status", "status")
        values["status"] = _step(key, ORDER, row["status"], given, "status")
    await work.change("Order", key, values)
    return Outcome({"order": key})


async def _check_is_paid_back(work: Work, key: uuid.UUID) -> None:
    """Raises where less than the order's total was paid back; one that is called off is paid back whole.

    INVARIANT: the order is locked, as it is where a refund is set, so that what was paid back stands.
    """
    row = await work.row(paid_back(), order=key)
    if row["paid_back"] < row["total"]:
        message = "the refunds of the order's returns have not reached its total"
        raise _illegal(key, message, "paymentStatus", "paymentStatus")


def _given_steps(work: Work) -> dict[str, str]:
    """The statuses that are wanted, by field; neither of them can be taken away."""
    mistakes = Mistakes()
    given = {name: work.input[name] for name in ("status", "paymentStatus") if name in work.input}
    missing = [name for name, value in given.items() if value is None]
    for name in missing if given else ["status"]:
        mistakes.add(UserErrorCode.REQUIRED, f"Order.{name}", "a value is needed", name)
    mistakes.check()
    return {name: str(text_of(value)) for name, value in given.items()}


def _step(key: uuid.UUID, steps: Steps, present: str, given: Mapping[str, str], name: str) -> str:
    """The wanted status; raises INVALID_TRANSITION where no step leads there."""
    if given[name] not in steps[present]:
        raise _illegal(key, "the present status does not allow this step", name, name)
    return given[name]


def _illegal(key: uuid.UUID, message: str, name: str, *path: str) -> Rejected:
    mistake = Mistake(UserErrorCode.INVALID_TRANSITION, f"Order.{name}", message, path)
    return Rejected(mistake, shown={"order": key})


async def add_order_note(work: Work) -> Outcome:
    """Adds a line to the internal note; the row is locked before it is read, so that no line is lost."""
    key, mistakes = work.key("id", "Order"), Mistakes()
    found = checked(work.input, NOTE, "Order", "", mistakes)
    mistakes.check()
    row = await work.find("Order", key, ("internal_note",), ("Order.internalNote",))
    notes = "\n".join(str(note) for note in (row["internal_note"], found["internal_note"]) if note)
    if len(notes) > LONGEST_NOTES:
        too_long = f"the notes on an order have at most {LONGEST_NOTES} characters together"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, "Order.internalNote", too_long, "internalNote")
        mistakes.check()
    await work.change("Order", key, {"internal_note": notes})
    return Outcome({"order": key})


@lru_cache(maxsize=1)
def _owner() -> Sql:
    """Whose order it is, for a guest who asks again under the key they made it with."""
    orders = SQLModel.metadata.tables["orders"]
    return Sql(*compiled(select(orders.c.customer_id).where(orders.c.id == bindparam("key", type_=Uuid()))))


@lru_cache(maxsize=1)
def _deliveries() -> Sql:
    """The deliveries of an order that is locked, locked themselves, and whether a carrier has had them.

    A report that moved nothing still says that one has.
    """
    delivery, event = (SQLModel.metadata.tables[name] for name in ("delivery", "delivery_event"))
    reported = exists(select(literal_column("1")).where(event.c.delivery_id == delivery.c.id))
    is_taken_over = delivery.c.handed_over_at.is_not(None) | reported
    query = select(delivery.c.status, is_taken_over.label("is_taken_over"))
    query = query.where(delivery.c.order_id == bindparam("key", type_=Uuid())).order_by(delivery.c.id)
    return Sql(*compiled(query.with_for_update(of=delivery, key_share=True)))


@lru_cache(maxsize=1)
def _call_off() -> Sql:
    delivery = SQLModel.metadata.tables["delivery"]
    return derived_step(
        "Delivery",
        "delivery",
        CANCELLED,
        delivery.c.order_id == bindparam("key", type_=Uuid()),
        delivery.c.status == func.any(bindparam("states", type_=ARRAY(Text()))),
    )
