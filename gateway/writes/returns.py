"""Changes of returns: what comes back of an order, how far it has come, and what is paid back."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Uuid, bindparam, false, func, literal_column, select
from uuid_utils.compat import uuid7

from schema import formats, lifecycles
from schema.model import text_of
from schema.states import DELIVERY_FINAL, OrderStatus, PaymentStatus, ReturnKind, ReturnStatus
from schema.writing import UserErrorCode

from ..privacy.dates import last_day
from ..row_rules import row_of
from ..statements.bound import compiled
from ..working_days import public_holidays
from .checks import Rule, checked, text
from .mistakes import Mistake, Mistakes, Rejected
from .once import Known, New, once
from .payments import refunds
from .receipts import receipted
from .rows import Sql
from .shipping import lock_orders
from .work import Outcome, Work

MOST_LINES = 100
REFUND_WITHIN = timedelta(days=14)  # Directive 2011/83/EU, Article 13(1)
RETURN = {
    "reasonText": text("reason_text", 1000, lines=True),
    "inspectionNote": text("inspection_note", 1000, lines=True),
    "refundIban": Rule("refund_iban", lambda value, _: formats.iban(value)),
}
# Orders whose goods have left the store, whatever their deliveries say.
SENT = tuple(str(one.value) for one in (OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.COMPLETED))
CANCELLED = str(OrderStatus.CANCELLED.value)
WITHDRAWAL = str(ReturnKind.WITHDRAWAL.value)
PAID = tuple(str(one.value) for one in (PaymentStatus.PAID, PaymentStatus.REFUNDED))
INSPECTED, REFUNDED, REJECTED, REQUESTED = (
    str(one.value)
    for one in (ReturnStatus.INSPECTED, ReturnStatus.REFUNDED, ReturnStatus.REJECTED, ReturnStatus.REQUESTED)
)
# The statuses before anything was paid back.
UNPAID = ("REQUESTED", "AWAITING_GOODS", "RECEIVED", INSPECTED)

Line = tuple[uuid.UUID, int]


async def request_return(work: Work) -> Outcome:
    """A return of goods of an order that have left the store, never of more than were bought."""
    order = work.key("orderId", "Order")
    mistakes = Mistakes()
    lines = _lines(work, mistakes)
    values = checked(work.input, RETURN, "Return", "", mistakes)
    mistakes.check()
    match await once(work, "Return"):
        case New(key):
            await _create(work, key, order, lines, values)
            is_new = True
        case Known(key):
            is_new = False
    if text_of(work.input["kind"]) != WITHDRAWAL:
        return Outcome({"return": key})
    return Outcome({"return": key}, secrets=await receipted(work, key, is_new=is_new))


def _lines(work: Work, mistakes: Mistakes) -> list[Line]:
    given = work.input["lines"]
    if not 1 <= len(given) <= MOST_LINES:
        message = f"from 1 to {MOST_LINES} lines are taken"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, "Return.lines", message, "lines")
        mistakes.check()
    for position, line in enumerate(given):
        if line["quantity"] < 1:
            message, path = "the number is at least 1", ("lines", str(position), "quantity")
            mistakes.add(UserErrorCode.OUT_OF_RANGE, "ReturnLine.quantity", message, *path)
    return [(work.key_in(line["orderLine"], "OrderLine"), line["quantity"]) for line in given]


async def _create(
    work: Work, key: uuid.UUID, order: uuid.UUID, lines: list[Line], values: Mapping[str, object]
) -> None:
    columns = ("customer_id", "status", "currency")
    found = await work.find("Order", order, columns, tuple(work.write.guards), path=("orderId",))
    if not await _has_left(work, order, found["status"]):
        message = "the goods have not left the store"
        raise Rejected(Mistake(UserErrorCode.INVALID_TRANSITION, "Order.status", message, ("orderId",)))
    kind = str(text_of(work.input["kind"]))
    if kind == WITHDRAWAL:
        await _check_withdrawal(work, order)
    await _check_lines(work, order, lines)
    owner = found["customer_id"]
    made = {
        "id": key,
        "number": f"R-{await work.number('return_number'):06}",
        "order_id": order,
        "customer_id": owner,
        "kind": kind,
        "status": REQUESTED,
        "requested_at": work.now,
        "reason_code": text_of(work.input.get("reasonCode")),
        "refund_due_at": work.now + REFUND_WITHIN,
        "currency": found["currency"],
    }
    await work.insert("returns", made | dict(values))
    for line, quantity in lines:
        row = {"id": uuid7(), "return_id": key, "customer_id": owner}
        await work.insert("return_line", row | {"order_line_id": line, "quantity": quantity})
    names = ("kind", "lines", "reasonCode", "reasonText", "refundIban")
    fields = [name for name in names if work.input.get(name) is not None]
    await work.note("Return", key, owner, fields, work.source)


async def _has_left(work: Work, order: uuid.UUID, status: str) -> bool:
    """Whether goods of the order have left the store: it says so, or a carrier has taken over a delivery."""
    if status in SENT:
        return True
    return status != CANCELLED and (await work.row(_taken_over(), order=order)) is not None


async def _check_withdrawal(work: Work, order: uuid.UUID) -> None:
    """Raises where the right to withdraw has ended.

    It ends with the last of the days that follow the day on which the last goods were delivered, or with the
    next working day (Directive 2011/83/EU, Article 9(2)(b)(i) and recital 41), as the store's days are.
    """
    row = await work.row(_arrival(), order=order)
    if row["delivered_at"] is None or row["is_waiting"]:
        return
    settings = work.tools.settings
    zone, holidays = ZoneInfo(settings.time_zone), public_holidays(settings.holidays)
    last = last_day(row["delivered_at"], settings.withdrawal_days, zone, holidays)
    if work.now.astimezone(zone).date() > last:
        message = f"one may withdraw within {settings.withdrawal_days} days of the delivery"
        raise Rejected(Mistake(UserErrorCode.OUT_OF_RANGE, "Return.kind", message, ("kind",)))


async def _check_lines(work: Work, order: uuid.UUID, lines: list[Line]) -> None:
    """Raises where a line is not the order's, or more would come back than is left of it."""
    rows = await work.rows(_sold(), order=order)
    left = {row["id"]: row["quantity"] - row["returned"] for row in rows}
    mistakes, taken = Mistakes(), Counter[uuid.UUID]()
    for position, (line, quantity) in enumerate(lines):
        path = ("lines", str(position))
        taken[line] += quantity
        if line not in left:
            message = "there is no such `OrderLine`"
            mistakes.add(UserErrorCode.NOT_FOUND, "OrderLine.id", message, *path, "orderLine")
        elif taken[line] > left[line]:
            message = "that is more than was bought and has not come back"
            mistakes.add(UserErrorCode.OUT_OF_RANGE, "ReturnLine.quantity", message, *path, "quantity")
    mistakes.check()


async def update_return(work: Work) -> Outcome:
    """Takes a return on; it is REFUNDED by saying when it was paid back."""
    key = work.key("id", "Return")
    mistakes, moves_from = Mistakes(), None
    values = checked(work.input, RETURN, "Return", "", mistakes)
    if "status" in work.input:
        values["status"] = status = _status(work, mistakes)
        moves_from = lifecycles.before(lifecycles.RETURN, status)
    values |= _refund(work, mistakes)
    mistakes.check()
    if values.keys() & {"refund_amount", "refunded_at"}:
        await _check_refund(work, key, values)
        moves_from = UNPAID
    if "refunded_at" in values:
        values["status"], moves_from = REFUNDED, (INSPECTED,)
    await work.change("Return", key, values, moves_from=moves_from)
    return Outcome({"return": key})


def _status(work: Work, mistakes: Mistakes) -> str:
    """The status to be set by hand."""
    status, coordinate = str(text_of(work.input["status"])), "Return.status"
    if work.input["status"] is None:
        mistakes.add(UserErrorCode.REQUIRED, coordinate, "a value is needed", "status")
    elif status == REFUNDED or work.input.keys() & {"refundAmount", "refundedAt"}:
        message = "this status follows from `refundedAt`, and a refund comes by itself"
        mistakes.add(UserErrorCode.INVALID_TRANSITION, coordinate, message, "status")
    return status


def _refund(work: Work, mistakes: Mistakes) -> dict[str, object]:
    """The amount and the moment of a refund by column, as far as they are given."""
    values: dict[str, object] = {}
    if "refundAmount" in work.input:
        amount: Decimal | None = work.input["refundAmount"]
        values["refund_amount"], coordinate = amount, "Return.refundAmount"
        if amount is not None and amount < 0:
            message = "an amount is not negative"
            mistakes.add(UserErrorCode.OUT_OF_RANGE, coordinate, message, "refundAmount")
        elif amount is not None and amount != amount.quantize(Decimal("0.01")):
            message = "an amount has at most two decimals"
            mistakes.add(UserErrorCode.MALFORMED, coordinate, message, "refundAmount")
    if "refundedAt" in work.input:
        moment: datetime | None = work.input["refundedAt"]
        values["refunded_at"], coordinate = moment, "Return.refundedAt"
        if moment is None:
            message = "a value is needed; a refund is not taken back"
            mistakes.add(UserErrorCode.REQUIRED, coordinate, message, "refundedAt")
        elif moment > work.now:
            mistakes.add(
                UserErrorCode.OUT_OF_RANGE, coordinate, "the moment lies in the future", "refundedAt"
            )
    return values


async def _check_refund(work: Work, key: uuid.UUID, values: Mapping[str, Any]) -> None:
    """Raises where the refund cannot be: too early, or more in all than was paid for the order."""
    order = (await work.find("Return", key, ("order_id",), locks=False))["order_id"]
    await lock_orders(work, [order])
    columns = ("status", "refund_amount", "requested_at")
    row = await work.find("Return", key, columns, tuple(work.write.guards))
    await work.check_version("Return", key)
    moment = values.get("refunded_at")
    amount = values.get("refund_amount", row["refund_amount"])
    paid = await work.row(refunds(), order=order, key=key)
    wrong = None
    if row["status"] not in ((INSPECTED,) if moment else UNPAID):
        message, name = "the present status does not allow this", "refundedAt" if moment else "refundAmount"
        wrong = UserErrorCode.INVALID_TRANSITION, name, message
    elif moment and amount is None:
        wrong = UserErrorCode.REQUIRED, "refundAmount", "a refund has an amount"
    elif moment and moment < row["requested_at"]:
        wrong = UserErrorCode.OUT_OF_RANGE, "refundedAt", "the moment lies before the return"
    elif amount is not None and paid["payment_status"] not in PAID:
        wrong = UserErrorCode.INVALID_TRANSITION, "refundAmount", "the order has not been paid"
    elif amount is not None and paid["status"] == CANCELLED:
        message = "the order was called off, and is paid back as a whole"
        wrong = UserErrorCode.INVALID_TRANSITION, "refundAmount", message
    elif amount is not None and amount + paid["others"] > paid["total"]:
        wrong = UserErrorCode.OUT_OF_RANGE, "refundAmount", "the refunds are more than the order's total"
    if wrong is not None:
        code, name, message = wrong
        raise Rejected(Mistake(code, f"Return.{name}", message, (name,)), shown={"return": key})


# ---------------------------------------------------------------- statements


def _this_order() -> Any:
    return bindparam("order", type_=Uuid())


@lru_cache(maxsize=1)
def _taken_over() -> Sql:
    """A row where a carrier has taken a delivery of the order over."""
    delivery = row_of("delivery", 1)
    query = select(delivery.c.id).where(delivery.c.order_id == _this_order())
    return Sql(*compiled(query.where(delivery.c.handed_over_at.is_not(None)).limit(literal_column("1"))))


@lru_cache(maxsize=1)
def _arrival() -> Sql:
    """When the last goods of the order were delivered, and whether some are still on their way."""
    delivery = row_of("delivery", 1)
    is_waiting = delivery.c.delivered_at.is_(None) & delivery.c.status.not_in(_texts(*DELIVERY_FINAL))
    query = select(
        func.max(delivery.c.delivered_at).label("delivered_at"),
        func.coalesce(func.bool_or(is_waiting), false()).label("is_waiting"),
    )
    return Sql(*compiled(query.where(delivery.c.order_id == _this_order())))


@lru_cache(maxsize=1)
def _sold() -> Sql:
    """The order's lines, and how many of each come back already; the order is locked, so that this stands."""
    line, back, of = row_of("order_line", 1), row_of("return_line", 1), row_of("returns", 1)
    returned = (
        select(func.coalesce(func.sum(back.c.quantity), literal_column("0")))
        .where(back.c.order_line_id == line.c.id, of.c.id == back.c.return_id)
        .where(of.c.status.not_in(_texts(REJECTED)))
        .correlate(line)
        .scalar_subquery()
    )
    query = select(line.c.id, line.c.quantity, returned.label("returned"))
    return Sql(*compiled(query.where(line.c.order_id == _this_order())))


def _texts(*states: str) -> list[Any]:
    return [literal_column(f"'{state}'") for state in states]
