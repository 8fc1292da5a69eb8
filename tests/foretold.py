"""What a change must be answered, foretold from the rows before it: the rules of life cycles in plain Python.

The rights are those of the naive twin. Nothing of the gateway is used but the lists of legal steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from schema.lifecycles import BY_HAND, DELIVERY, ORDER, PAYMENT, REPORTED, RETURN
from tests.invariants import Move, Row, key_of
from tests.naive_rules import DELIVERY_FINAL, Register

Codes = frozenset[str]
DONE: Codes = frozenset()
REFUSED, NOT_FOUND = frozenset({"REFUSED"}), frozenset({"NOT_FOUND"})
ILLEGAL, TOO_MUCH, CONFLICT = "INVALID_TRANSITION", "OUT_OF_RANGE", "CONFLICT"
NOT_TAKEN_OVER = {"PLANNED", "READY", "PRE_ADVISED"}
SENT = {"SHIPPED", "DELIVERED", "COMPLETED"}
# The entity a change finds first, the input field that names it, and the use its fields need.
TARGETS = {
    "cancelOrder": ("Order", "id", "U"),
    "updateOrder": ("Order", "id", "U"),
    "addOrderNote": ("Order", "id", "U"),
    "createDelivery": ("Order", "orderId", "C"),
    "updateDelivery": ("Delivery", "id", "U"),
    "updateDeliveryAddress": ("Delivery", "id", "U"),
    "requestReturn": ("Order", "orderId", "C"),
    "updateReturn": ("Return", "id", "U"),
}
OF = {"createDelivery": "Delivery", "requestReturn": "Return"}
WITH_THE_MUTATION = {"id", "orderId", "ifVersion", "idempotencyKey"}


def foretold(register: Register, move: Move, earlier: Move | None = None) -> Codes:
    """The codes one of which is the answer; none where the change must be made, or was made `earlier`.

    Early reasons hide later ones: what may not be set, what cannot be meant, what is not there, what may not
    be set on this very row. Of the rest the gateway may name any.
    """
    entity, name, use = TARGETS[move.mutation]
    coordinates = list(_coordinates(move, OF.get(move.mutation, entity)))
    rights = register.rights
    if not rights.may_set(f"Mutation.{move.mutation}", "X"):
        return REFUSED
    if not all(rights.may_set(one, use) for one in coordinates):
        return REFUSED
    if wrong := frozenset(_misshapen(move, register.now)):
        return wrong
    if earlier is not None:
        return foretold_again(move, earlier)
    row = register.rows[entity].get(key_of(move.given[name]))
    if row is None or not register.visible(entity, row):
        return NOT_FOUND
    for one in coordinates:
        if not any(register.holds(rule, entity, row) for rule in rights.rules(one, use)):
            return REFUSED
    wanted = move.given.get("ifVersion")
    conflict = {CONFLICT} if wanted is not None and wanted != row["version"] else set()
    return frozenset(conflict | set(REASONS[move.mutation](register, move.given, row)))


def foretold_again(move: Move, earlier: Move) -> Codes:
    """What a request is answered whose idempotency key came with an earlier one."""
    is_same = (move.mutation, move.given) == (earlier.mutation, earlier.given)
    return DONE if is_same else frozenset({CONFLICT})


def foretold_order(move: Move, earlier: Move | None, active: Collection[str]) -> Codes:
    """The codes of an order that is placed; `active` are the products that are sold."""
    if earlier is not None:
        return foretold_again(move, earlier)
    lines = move.given["lines"]
    unknown = {"NOT_FOUND" for line in lines if line["sku"] not in active}
    return frozenset(unknown | {TOO_MUCH for line in lines if line["quantity"] < 1})


def _coordinates(move: Move, entity: str) -> Iterator[str]:
    for name in move.given:
        if name not in WITH_THE_MUTATION:
            yield f"{entity}.{name}"
    for line in move.given.get("lines", []):
        yield from (f"ReturnLine.{name}" for name in line)


def _misshapen(move: Move, now: datetime) -> Iterator[str]:
    given = move.given
    if move.mutation == "updateDelivery" and "status" in given and given["status"] not in BY_HAND:
        yield ILLEGAL
    if move.mutation == "requestReturn" and any(line["quantity"] < 1 for line in given["lines"]):
        yield TOO_MUCH
    if move.mutation == "updateReturn":
        refund = given.keys() & {"refundAmount", "refundedAt"}
        if "status" in given and (given["status"] == "REFUNDED" or refund):
            yield ILLEGAL
        if Decimal(given.get("refundAmount") or 0) < 0:
            yield TOO_MUCH
        if "refundedAt" in given and datetime.fromisoformat(given["refundedAt"]) > now:
            yield TOO_MUCH


# ---------------------------------------------------------------- orders


def _cancel(register: Register, _: Mapping[str, Any], order: Row) -> Iterator[str]:
    if "CANCELLED" not in ORDER[order["status"]]:
        yield ILLEGAL
    deliveries = register.children("Delivery", "order_id", order["id"])
    if any(_was_taken_over(register, one) for one in deliveries):
        yield ILLEGAL


def _was_taken_over(register: Register, delivery: Row) -> bool:
    """Whether a carrier has or has had it, by its status, its moment or a report."""
    if delivery["handed_over_at"] or delivery["status"] not in NOT_TAKEN_OVER | {"CANCELLED"}:
        return True
    return bool(register.children("DeliveryEvent", "delivery_id", delivery["id"]))


def _update_order(register: Register, given: Mapping[str, Any], order: Row) -> Iterator[str]:
    status, payment = given.get("status"), given.get("paymentStatus")
    if status and (status == "CANCELLED" or status not in ORDER[order["status"]]):
        yield ILLEGAL
    if payment and payment not in PAYMENT[order["payment_status"]]:
        yield ILLEGAL
    is_whole = order["status"] == "CANCELLED" or sum(_paid_back(register, order)) >= order["total"]
    if payment == "REFUNDED" and not is_whole:
        yield ILLEGAL


def _paid_back(register: Register, order: Row) -> Iterator[Decimal]:
    for one in register.children("Return", "order_id", order["id"]):
        if one["status"] != "REJECTED" and one["refunded_at"] is not None:
            yield one["refund_amount"]


def _note(_: Register, __: Mapping[str, Any], ___: Row) -> Iterator[str]:
    yield from ()


# ---------------------------------------------------------------- deliveries


def _create_delivery(register: Register, given: Mapping[str, Any], order: Row) -> Iterator[str]:
    if not _may_be_sent(order):
        yield ILLEGAL
    carrier = key_of(given["carrier"]) if given.get("carrier") else None
    yield from _service(register, carrier, given["serviceCode"], is_new=carrier is not None)


def _may_be_sent(order: Row) -> bool:
    on_invoice = (order["payment_method"], order["status"]) == ("INVOICE", "PLACED")
    return on_invoice or order["status"] in {"PAID", "PICKING", "SHIPPED", "DELIVERED"}


def _service(register: Register, carrier: Any, service: str, *, is_new: bool) -> Iterator[str]:
    active = {key for key, row in register.rows["Carrier"].items() if row["active"]}
    if is_new and carrier not in active:
        yield ILLEGAL
    if not any((one, service) in register.services for one in (active if carrier is None else {carrier})):
        yield "NOT_FOUND"


def _update_delivery(register: Register, given: Mapping[str, Any], delivery: Row) -> Iterator[str]:
    status = given.get("status", delivery["status"])
    if "status" in given and status not in DELIVERY[delivery["status"]]:
        yield ILLEGAL
    order = register.rows["Order"][delivery["order_id"]]
    if given.get("status") in {"READY", "PRE_ADVISED"} and not _may_be_sent(order):
        yield ILLEGAL
    if not given.keys() & {"status", "carrier", "serviceCode"}:
        return
    carrier, service = delivery["carrier_id"], given.get("serviceCode", delivery["service_code"])
    if "carrier" in given:
        carrier = None if given["carrier"] is None else key_of(given["carrier"])
    is_new = carrier != delivery["carrier_id"]
    if is_new or service != delivery["service_code"]:
        if delivery["status"] not in NOT_TAKEN_OVER:
            yield ILLEGAL
        yield from _service(register, carrier, service, is_new=is_new and carrier is not None)
    if carrier is None and status not in {"PLANNED", "CANCELLED"}:
        yield "REQUIRED"


# ---------------------------------------------------------------- returns


def _request_return(register: Register, given: Mapping[str, Any], order: Row) -> Iterator[str]:
    deliveries = register.children("Delivery", "order_id", order["id"])
    has_left = any(one["handed_over_at"] for one in deliveries) and order["status"] != "CANCELLED"
    if order["status"] not in SENT and not has_left:
        yield ILLEGAL
    if given["kind"] == "WITHDRAWAL" and _is_too_late(register, order):
        yield TOO_MUCH
    valid = {
        one["id"]
        for one in register.children("Return", "order_id", order["id"])
        if one["status"] != "REJECTED"
    }
    back: Counter[Any] = Counter()
    for line in register.rows["ReturnLine"].values():
        if line["return_id"] in valid:
            back[line["order_line_id"]] += line["quantity"]
    sold = {line["id"]: line["quantity"] for line in register.children("OrderLine", "order_id", order["id"])}
    for line in given["lines"]:
        key = key_of(line["orderLine"])
        back[key] += line["quantity"]
        if key not in sold:
            yield "NOT_FOUND"
        elif back[key] > sold[key]:
            yield TOO_MUCH


def _is_too_late(register: Register, order: Row) -> bool:
    deliveries = register.children("Delivery", "order_id", order["id"])
    arrived = [one["delivered_at"] for one in deliveries if one["delivered_at"] is not None]
    waiting = [
        one for one in deliveries if one["delivered_at"] is None and one["status"] not in DELIVERY_FINAL
    ]
    return bool(arrived) and not waiting and (register.now.date() - max(arrived).date()).days > 14


def _update_return(register: Register, given: Mapping[str, Any], back: Row) -> Iterator[str]:
    if "status" in given and given["status"] not in RETURN[back["status"]]:
        yield ILLEGAL
    if given.keys() & {"refundAmount", "refundedAt"}:
        yield from _refund(register, given, back)


def _refund(register: Register, given: Mapping[str, Any], back: Row) -> Iterator[str]:
    amount = Decimal(given["refundAmount"]) if "refundAmount" in given else back["refund_amount"]
    is_paid = "refundedAt" in given
    unpaid = {"REQUESTED", "AWAITING_GOODS", "RECEIVED", "INSPECTED"}
    if back["status"] not in ({"INSPECTED"} if is_paid else unpaid):
        yield ILLEGAL
    if is_paid and amount is None:
        yield "REQUIRED"
    if is_paid and datetime.fromisoformat(given["refundedAt"]) < back["requested_at"]:
        yield TOO_MUCH
    order = register.rows["Order"][back["order_id"]]
    if amount is None:
        return
    if order["payment_status"] not in {"PAID", "REFUNDED"}:
        yield ILLEGAL
    others = [
        one["refund_amount"] or Decimal(0)
        for one in register.children("Return", "order_id", order["id"])
        if one["id"] != back["id"] and one["status"] != "REJECTED"
    ]
    if amount + sum(others, Decimal(0)) > order["total"]:
        yield TOO_MUCH


REASONS = {
    "cancelOrder": _cancel,
    "updateOrder": _update_order,
    "addOrderNote": _note,
    "createDelivery": _create_delivery,
    "updateDelivery": _update_delivery,
    "updateDeliveryAddress": _note,
    "requestReturn": _request_return,
    "updateReturn": _update_return,
}


# ---------------------------------------------------------------- reports

ENDS = {"DELIVERED": "delivered_at", "RETURNED": "returned_at", "LOST": "lost_at"}


@dataclass
class Way:
    """How far a delivery has come, as its reports are told one after the other."""

    status: str
    ended_at: datetime | None
    newest: tuple[datetime, str] | None
    events: dict[str, tuple[object, ...]]

    def takes(self, status: str, at: datetime) -> bool:
        """A parcel under way takes every report; one at its end those of before, and that it comes back."""
        if self.status not in ENDS or (self.status, status) == ("DELIVERED", "RETURNING"):
            return True
        return self.ended_at is not None and at <= self.ended_at

    def goes_on(self, status: str, at: datetime) -> None:
        """The newest report leads, over the one just told where that was missing; nothing else moves it."""
        is_newest = self.newest is None or at >= self.newest[0]
        steps = [(at, status)] if self.newest is None or is_newest else [(at, status), self.newest]
        is_late = self.status in ENDS and self.ended_at is not None and at < self.ended_at
        if is_newest:
            self.newest = at, status
        if is_late or (not is_newest and self.status == steps[-1][1]):
            return
        reached = self.status
        for _, one in steps:
            if one not in DELIVERY[reached]:
                return
            reached = one
        self.status = reached
        ends = [moment for moment, one in steps if one in ENDS]
        self.ended_at = ends[-1] if ends else self.ended_at


def foretold_reports(
    register: Register, told: Sequence[Mapping[str, Any]]
) -> tuple[list[str], dict[Any, str]]:
    """What becomes of each report, and the status each delivery then has: as if each came alone, in order."""
    ways: dict[Any, Way] = {}
    outcomes = {}
    moments = [datetime.fromisoformat(report["occurredAt"]) for report in told]
    for place in sorted(range(len(told)), key=lambda place: (moments[place], place)):
        outcomes[place] = _outcome(register, told[place], moments[place], ways)
    return [outcomes[place] for place in range(len(told))], {key: way.status for key, way in ways.items()}


def _outcome(register: Register, report: Mapping[str, Any], at: datetime, ways: dict[Any, Way]) -> str:
    status = report["status"]
    if status not in REPORTED or at > register.now + timedelta(minutes=5):
        return "REFUSED"
    delivery = register.rows["Delivery"].get(key_of(report["deliveryId"]))
    if delivery is None or not register.visible("Delivery", delivery):
        return "REFUSED"
    way = ways.setdefault(delivery["id"], _way(register, delivery))
    content = (status, at, report.get("place"))
    if (known := way.events.get(report["idempotencyKey"])) is not None:
        return "DUPLICATE" if known == content else "REFUSED"
    if at < delivery["created_at"] - timedelta(days=1) or not way.takes(status, at):
        return "REFUSED"
    way.events[report["idempotencyKey"]] = content
    way.goes_on(status, at)
    return "RECORDED"


def _way(register: Register, delivery: Row) -> Way:
    events = register.children("DeliveryEvent", "delivery_id", delivery["id"])
    newest = max(events, key=lambda one: (one["occurred_at"], one["id"]), default=None)
    return Way(
        delivery["status"],
        delivery[ENDS[delivery["status"]]] if delivery["status"] in ENDS else None,
        (newest["occurred_at"], newest["status"]) if newest else None,
        {str(one["idempotency_key"]): (one["status"], one["occurred_at"], one["place"]) for one in events},
    )
