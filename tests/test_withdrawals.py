"""The right to withdraw from a purchase, without an account and without a reason, and its receipt."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schema.scalars import global_id
from tests.shipments import DAY, change, codes, insert, return_of, send
from tests.test_order_sessions import guests, mailed
from tests.world import NOW, World
from tests.writing import holder, kept

SHOWN = """receipt return { id number kind status requestedAt reasonCode refundDueAt
  lines { nodes { quantity orderLine { name } } } }"""
OWN = (
    "{ returns { totalCount nodes { id number status } } orders { nodes { number returns { totalCount } } } }"
)
OVER = [("OUT_OF_RANGE", "Return.kind")]
LAST_MOMENT = timedelta(microseconds=1)
HELSINKI = ZoneInfo("Europe/Helsinki")
# The last day of the period, and the first after it, of a delivery on the first of June.
DELIVERED, LAST, OVER_AT = (datetime(2026, 6, day, tzinfo=HELSINKI) for day in (1, 15, 16))


def local(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=HELSINKI)  # type: ignore[misc, arg-type]  # year, month, day and so on


@dataclass(frozen=True)
class Bought:
    """A guest's order that was delivered, and a token of the link that was mailed for it."""

    order: uuid.UUID
    asker: str

    def order_id(self) -> str:
        return global_id("Order", self.order)


def bought(world: World, *, by_link: bool = True, **delivery: Any) -> Bought:
    """A guest's order, delivered a day ago unless told otherwise."""
    token, order = guests(world)
    delivered = {"status": "DELIVERED", "handed_over_at": NOW - 3 * DAY, "delivered_at": NOW - DAY} | delivery
    world.execute("UPDATE orders SET status = 'DELIVERED', payment_status = 'PAID' WHERE id = $1", order)
    sets = ", ".join(f"{name} = ${place}" for place, name in enumerate(delivered, 2))
    world.execute(f"UPDATE delivery SET {sets} WHERE order_id = $1", order, *delivered.values())
    return Bought(order, holder(world, mailed(world, order) if by_link else token))


def another_delivery(world: World, of: Bought, status: str, delivered: datetime | None) -> None:
    """A further delivery of the same order."""
    (first,) = kept(world, "delivery", order_id=of.order)
    key = uuid.uuid4()
    row = first | {"id": key, "reference": f"D-{key.hex[:12]}", "status": status, "delivered_at": delivered}
    insert(world, ("delivery", row))


def withdraw(world: World, of: Bought, quantity: int = 1, asker: str | None = None, **given: Any) -> Any:
    (line,) = kept(world, "order_line", order_id=of.order)
    lines = [{"orderLine": global_id("OrderLine", line["id"]), "quantity": quantity}]
    wanted = {"orderId": of.order_id(), "kind": "WITHDRAWAL", "lines": lines, **given}
    purpose = "customer-service" if asker == "support" else None
    return change(world, asker or of.asker, "requestReturn", wanted, SHOWN, purpose)


def receipts(world: World, of: Bought) -> list[dict[str, Any]]:
    """The letters about withdrawals to whoever bought, oldest first."""
    (order,) = kept(world, "orders", id=of.order)
    found = kept(world, "mail", customer_id=order["customer_id"], kind="withdrawal-receipt")
    return sorted(found, key=lambda row: row["id"])


# ---------------------------------------------------------------- guests


@pytest.mark.parametrize("by_link", [False, True], ids=["token of the order", "link of the order"])
def test_a_guest_withdraws_without_an_account_and_without_a_reason(writable: World, by_link: bool) -> None:
    of = bought(writable, by_link=by_link)
    payload = withdraw(writable, of)
    assert codes(payload) == []
    made = payload["return"]
    assert (made["kind"], made["status"], made["reasonCode"]) == ("WITHDRAWAL", "REQUESTED", None)
    assert made["requestedAt"] == "2026-06-15T12:00:00.000000Z"
    assert made["refundDueAt"] == "2026-06-29T12:00:00.000000Z"


def test_a_guest_sees_their_return_afterwards_and_nobody_elses(writable: World) -> None:
    of, other = bought(writable), bought(writable)
    mine = withdraw(writable, of)["return"]
    theirs = withdraw(writable, other)["return"]
    found = writable.data(of.asker, OWN)
    shown = {name: mine[name] for name in ("id", "number", "status")}
    assert found["returns"] == {"totalCount": 1, "nodes": [shown]}
    assert [one["returns"]["totalCount"] for one in found["orders"]["nodes"]] == [1]
    node = "query ($id: ID!) { node(id: $id) { id } }"
    assert writable.data(of.asker, node, {"id": mine["id"]})["node"] == {"id": mine["id"]}
    assert writable.data(of.asker, node, {"id": theirs["id"]})["node"] is None


def test_a_guest_withdraws_from_no_other_order(writable: World) -> None:
    """Neither from a stranger's, nor from another one of the same customer's: each link is of one order."""
    of, other = bought(writable), bought(writable)
    payload = withdraw(writable, other, asker=of.asker)
    assert codes(payload) == [("NOT_FOUND", "Order.id")]
    sent = send(writable, "DELIVERED")
    same = Bought(sent.order, "one-order")
    before = {one.order: receipts(writable, one) for one in (other, same)}
    assert writable.askers["one-order"].customer_id == sent.customer
    assert codes(withdraw(writable, same)) == [("NOT_FOUND", "Order.id")]
    for one in (other, same):
        assert kept(writable, "returns", order_id=one.order) == []
        assert receipts(writable, one) == before[one.order]


# ---------------------------------------------------------------- the days


@pytest.mark.parametrize(
    ("delivered", "at", "wanted"),
    [
        (DELIVERED, LAST + DAY - LAST_MOMENT, []),
        (DELIVERED + DAY - LAST_MOMENT, LAST + DAY - LAST_MOMENT, []),
        (DELIVERED, OVER_AT, OVER),
        (DELIVERED + DAY - LAST_MOMENT, OVER_AT, OVER),
        (DELIVERED, DELIVERED, []),
        # Over the end of a month, of a leap February, and of a year.
        (local(2026, 8, 31, 23, 59), local(2026, 9, 14, 23, 59, 59), []),
        (local(2026, 8, 31), local(2026, 9, 15), OVER),
        (local(2028, 2, 21), local(2028, 3, 6, 23), []),
        (local(2028, 2, 21), local(2028, 3, 7), OVER),
        (local(2026, 12, 21), local(2027, 1, 4, 23), []),
        (local(2026, 12, 21), local(2027, 1, 5), OVER),
        # A delivery late in the evening of UTC is one of the next day, and so in winter.
        (datetime(2026, 6, 1, 21, tzinfo=UTC), datetime(2026, 6, 16, 20, 59, tzinfo=UTC), []),
        (datetime(2026, 6, 1, 21, tzinfo=UTC), datetime(2026, 6, 16, 21, tzinfo=UTC), OVER),
        (datetime(2026, 10, 20, 20, tzinfo=UTC), datetime(2026, 11, 3, 21, 59, tzinfo=UTC), []),
        (datetime(2026, 10, 20, 20, tzinfo=UTC), datetime(2026, 11, 3, 22, tzinfo=UTC), OVER),
        # A last day on Midsummer Day, a Saturday; on a Sunday; and on Christmas Day, a Friday.
        (local(2026, 6, 6), local(2026, 6, 22, 23, 59), []),
        (local(2026, 6, 6), local(2026, 6, 23), OVER),
        (local(2026, 8, 2), local(2026, 8, 17, 23, 59), []),
        (local(2026, 8, 2), local(2026, 8, 18), OVER),
        (local(2026, 12, 11), local(2026, 12, 28, 23, 59), []),
        (local(2026, 12, 11), local(2026, 12, 29), OVER),
    ],
)
def test_a_guest_withdraws_until_the_end_of_the_fourteenth_day_after_that_of_the_delivery(
    writable: World, delivered: datetime, at: datetime, wanted: Any
) -> None:
    """Or of the next working day, in the store's time; with a token of that day, as links are older."""
    of = bought(writable, by_link=False, handed_over_at=delivered - DAY, delivered_at=delivered)
    (order,) = kept(writable, "orders", id=of.order)
    token = writable.customer_token(order["customer_id"], order=of.order, now=at)
    writable.execute("UPDATE session SET expires_at = expires_at + interval '1000 days'")
    with writable.at(at):
        assert codes(withdraw(writable, Bought(of.order, holder(writable, token)))) == wanted
    assert len(receipts(writable, of)) == (not wanted)


@pytest.mark.parametrize(
    ("status", "delivered", "wanted"),
    [
        ("DELIVERED", NOW - 14 * DAY, []),
        ("DELIVERED", NOW - 15 * DAY, []),  # the fourteenth day was a Sunday
        ("DELIVERED", NOW - 18 * DAY, OVER),
        ("DELIVERED", NOW - 41 * DAY, OVER),
        ("IN_TRANSIT", None, []),
        ("PLANNED", None, []),
        ("EXCEPTION", None, []),
        ("CANCELLED", None, OVER),
        ("LOST", None, OVER),
        ("RETURNING", NOW - 2 * DAY, []),
    ],
)
def test_of_several_deliveries_the_last_one_counts_and_one_under_way_keeps_the_period_open(
    writable: World, status: str, delivered: datetime | None, wanted: Any
) -> None:
    of = bought(writable, delivered_at=NOW - 40 * DAY)
    another_delivery(writable, of, status, delivered)
    assert codes(withdraw(writable, of)) == wanted


# ---------------------------------------------------------------- the receipt


def test_a_withdrawal_has_a_dated_receipt_in_the_answer_and_by_mail(writable: World) -> None:
    of = bought(writable)
    payload = withdraw(writable, of, 2)
    (order,) = kept(writable, "orders", id=of.order)
    (line,) = kept(writable, "order_line", order_id=of.order)
    (letter,) = receipts(writable, of)
    number = payload["return"]["number"]
    assert letter["subject"] == f"Your withdrawal {number}"
    assert letter["recipient"] == "guest.testi@example.com"
    assert letter["created_at"] == letter["next_attempt_at"] == NOW
    assert letter["body"] == payload["receipt"]
    told = payload["receipt"].splitlines()
    price, both = f"{line['unit_price']:.2f}", f"{2 * line['unit_price']:.2f}"
    for wanted in (
        f"2 x {line['name']}, {price} EUR each: {both} EUR",
        f"Total: {both} EUR",
        f"Order: {order['number']}",
        f"Return: {number}",
        "Received: 2026-06-15 12:00:00 UTC",
        "Refund due: 2026-06-29",
    ):
        assert told.count(wanted) == 1, wanted


def test_a_receipt_adds_up_its_lines(writable: World) -> None:
    of = bought(writable)
    (line,) = kept(writable, "order_line", order_id=of.order)
    other = line | {"id": uuid.uuid4(), "name": "Kahvimuki", "unit_price": line["unit_price"] + 1}
    insert(writable, ("order_line", other))
    lines = [
        {"orderLine": global_id("OrderLine", one["id"]), "quantity": turn}
        for turn, one in enumerate((line, other), 1)
    ]
    wanted = {"orderId": of.order_id(), "kind": "WITHDRAWAL", "lines": lines}
    payload = change(writable, of.asker, "requestReturn", wanted, SHOWN)
    assert codes(payload) == []
    total = line["unit_price"] + 2 * other["unit_price"]
    assert f"Total: {total:.2f} EUR" in payload["receipt"].splitlines()


def test_the_same_request_gives_the_same_receipt_and_one_letter(writable: World) -> None:
    of, key = bought(writable), str(uuid.uuid4())
    first = withdraw(writable, of, idempotencyKey=key)
    with writable.at(NOW + timedelta(hours=1)):
        assert withdraw(writable, of, idempotencyKey=key) == first
    assert [letter["body"] for letter in receipts(writable, of)] == [first["receipt"]]


def test_a_receipt_names_nobody(writable: World) -> None:
    of = bought(writable)
    text = withdraw(writable, of)["receipt"]
    (order,) = kept(writable, "orders", id=of.order)
    (who,) = kept(writable, "customer", id=order["customer_id"])
    for column in ("first_name", "surname", "email", "phone", "street_address", "postal_code"):
        assert who[column] not in text


def test_what_support_withdraws_for_a_customer_is_mailed_to_the_customer_alone(writable: World) -> None:
    of = bought(writable)
    payload = withdraw(writable, of, asker="support")
    assert (codes(payload), payload["receipt"]) == ([], None)
    (letter,) = receipts(writable, of)
    assert payload["return"]["number"] in letter["body"]


@pytest.mark.parametrize("kind", ["DEFECT", "WRONG_ITEM", "UNDELIVERED"])
def test_what_is_no_withdrawal_has_no_receipt(writable: World, kind: str) -> None:
    of = bought(writable)
    payload = withdraw(writable, of, kind=kind)
    assert (codes(payload), payload["receipt"]) == ([], None)
    assert receipts(writable, of) == []


def test_a_withdrawal_that_is_refused_leaves_no_letter(writable: World) -> None:
    of = bought(writable, delivered_at=NOW - 40 * DAY)
    payload = withdraw(writable, of)
    assert (payload["return"], payload["receipt"]) == (None, None)
    assert receipts(writable, of) == []


# ---------------------------------------------------------------- refunds that are due

PAGE = 100
DUE = """{ returns(first: 100, where: {refundedAt: {isNull: true},
    status: {in: [REQUESTED, AWAITING_GOODS, RECEIVED, INSPECTED]}}, orderBy: [{refundDueAt: ASC}]) {
    totalCount nodes { number kind status refundDueAt refundAmount { amount } order { number } } } }"""
OVERDUE = DUE.replace("refundedAt:", 'refundDueAt: {lt: "2026-06-15T12:00:00Z"}, refundedAt:')
UNPAID = ("REQUESTED", "AWAITING_GOODS", "RECEIVED", "INSPECTED")


def numbers(world: World, asker: str, document: str) -> list[str]:
    return [one["number"] for one in world.data(asker, document)["returns"]["nodes"]]


@pytest.mark.parametrize("asker", ["finance", "support", "register-admin", "privacy-officer"])
def test_refunds_that_are_due_are_one_query_with_the_most_overdue_first(writable: World, asker: str) -> None:
    sent = send(writable, "DELIVERED")
    for turn, status in enumerate((*UNPAID, "REFUNDED", "CLOSED", "REJECTED")):
        due = NOW + (2 - turn) * DAY
        paid = NOW if status in ("REFUNDED", "CLOSED") else None
        return_of(writable, sent, status, refund_due_at=due, refunded_at=paid)
    restricted = {row["id"] for row in kept(writable, "customer") if row["restricted_at"] is not None}
    hidden = set() if asker == "privacy-officer" else restricted
    open_ones = [
        row
        for row in kept(writable, "returns")
        if row["status"] in UNPAID and row["refunded_at"] is None and row["customer_id"] not in hidden
    ]
    wanted = [
        row["number"] for row in sorted(open_ones, key=lambda row: (row["refund_due_at"], -row["id"].int))
    ]
    assert len(wanted) >= 4
    assert numbers(writable, asker, DUE) == wanted[:PAGE]
    late = {row["number"] for row in open_ones if row["refund_due_at"] < NOW}
    assert late
    assert numbers(writable, asker, OVERDUE) == [number for number in wanted if number in late][:PAGE]


def test_what_is_paid_back_leaves_the_refunds_that_are_due(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    key = return_of(writable, sent, "INSPECTED", refund_due_at=NOW - 400 * DAY)
    (row,) = kept(writable, "returns", id=key)
    assert row["number"] in numbers(writable, "finance", DUE)
    given = {"id": global_id("Return", key), "refundAmount": "10.00", "refundedAt": NOW.isoformat()}
    assert codes(change(writable, "finance", "updateReturn", given, "return { status }", "returns")) == []
    assert row["number"] not in numbers(writable, "finance", DUE)


def test_the_warehouse_does_not_sort_by_when_refunds_are_due(writable: World) -> None:
    _, body = writable.ask("warehouse", DUE)
    found = {(error["extensions"]["coordinate"], error["extensions"].get("use")) for error in body["errors"]}
    assert ("Return.refundDueAt", "SORT") in found
