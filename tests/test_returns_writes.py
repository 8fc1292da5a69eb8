"""Returns as customers and support request them, and as warehouse, support and finance take them on."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schema.lifecycles import RETURN
from schema.scalars import global_id
from tests.shipments import (
    DAY,
    ENDED,
    Sent,
    change,
    codes,
    document,
    refused,
    return_of,
    row,
    rows,
    send,
    together,
)
from tests.world import NOW, World

SHOWN = "return { id number status version }"
ABSENT = uuid.UUID("018f0000-0000-7000-8000-000000000000")
IBAN = "FI21 1234 5600 0007 85"


def request(world: World, sent: Sent, quantity: int = 1, name: str = "customer", **given: Any) -> Any:
    purpose = "customer-service" if name == "support" else None
    wanted = {
        "orderId": sent.order_id,
        "kind": "DEFECT",
        "lines": [{"orderLine": sent.line_id, "quantity": quantity}],
        **given,
    }
    return change(world, name, "requestReturn", wanted, SHOWN, purpose)


PURPOSES = {"warehouse": None, "finance": "returns", "support": "customer-service"}


def update(world: World, key: uuid.UUID, name: str, **given: Any) -> Any:
    wanted = {"id": global_id("Return", key), **given}
    return change(world, name, "updateReturn", wanted, SHOWN, PURPOSES[name])


# ---------------------------------------------------------------- requestReturn


def test_a_return_is_numbered_dated_and_kept_with_its_lines(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    made = request(writable, sent, 2, reasonCode="DAMAGED", reasonText=" a\r\nb ", refundIban=IBAN)["return"]
    (stored,) = rows(writable, "returns", "order_id", sent.order)
    (line,) = rows(writable, "return_line", "return_id", stored["id"])
    assert (made["status"], made["version"], made["number"]) == ("REQUESTED", 1, stored["number"])
    assert re.fullmatch(r"R-\d{6}", stored["number"])
    assert (stored["requested_at"], stored["refund_due_at"]) == (NOW, NOW + 14 * DAY)
    assert (stored["currency"], stored["reason_code"], stored["reason_text"]) == ("EUR", "DAMAGED", "a\nb")
    assert (stored["refund_iban"], stored["customer_id"]) == ("FI2112345600000785", sent.customer)
    assert (line["order_line_id"], line["quantity"]) == (sent.line, 2)


def test_what_a_return_was_given_is_noted_without_its_values(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    request(writable, sent, refundIban=IBAN)
    (stored,) = rows(writable, "returns", "order_id", sent.order)
    noted = rows(writable, "change", "entity_id", stored["id"])
    assert [(one["field"], one["source"]) for one in noted] == [
        ("kind", "CUSTOMER"),
        ("lines", "CUSTOMER"),
        ("refundIban", "CUSTOMER"),
    ]


@pytest.mark.parametrize(
    ("status", "has_left"),
    [
        *((status, False) for status in ("PLACED", "PAID", "PICKING", "CANCELLED")),
        *((status, True) for status in ("SHIPPED", "DELIVERED", "COMPLETED")),
    ],
)
def test_only_what_has_left_the_store_comes_back(writable: World, status: str, has_left: bool) -> None:
    sent = send(writable, "READY", order={"status": status})
    wanted = [] if has_left else [("INVALID_TRANSITION", "Order.status")]
    assert codes(request(writable, sent)) == wanted
    assert len(rows(writable, "returns", "order_id", sent.order)) == has_left


@pytest.mark.parametrize(
    ("status", "present", "comes_back"),
    [
        ("PAID", "DELIVERED", True),
        ("PICKING", "EXCEPTION", True),
        ("PLACED", "LOST", True),
        ("CANCELLED", "DELIVERED", False),
    ],
)
def test_what_a_carrier_has_taken_over_comes_back_whatever_its_order_says_but_called_off(
    writable: World, status: str, present: str, comes_back: bool
) -> None:
    sent = send(writable, present, order={"status": status})
    assert (codes(request(writable, sent)) == []) is comes_back


def test_never_more_comes_back_than_was_bought(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    too_many = [("OUT_OF_RANGE", "ReturnLine.quantity")]
    assert codes(request(writable, sent, 4)) == too_many
    assert codes(request(writable, sent, 2)) == []
    assert codes(request(writable, sent, 2)) == too_many
    assert codes(request(writable, sent, 1)) == []
    assert codes(request(writable, sent, 1)) == too_many


def test_what_was_rejected_may_come_back_again(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    return_of(writable, sent, "REJECTED")
    assert codes(request(writable, sent, 3)) == []


def test_a_line_given_twice_counts_twice(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    twice = [{"orderLine": sent.line_id, "quantity": 2}] * 2
    payload = request(writable, sent, lines=twice)
    assert codes(payload) == [("OUT_OF_RANGE", "ReturnLine.quantity")]
    assert payload["userErrors"][0]["path"] == ["lines", "1", "quantity"]
    assert codes(request(writable, sent, lines=[{"orderLine": sent.line_id, "quantity": 1}] * 3)) == []


def test_the_lines_are_the_orders_own(writable: World) -> None:
    sent, other = send(writable, "DELIVERED"), send(writable, "DELIVERED")
    lines = [{"orderLine": key, "quantity": 1} for key in (sent.line_id, other.line_id)]
    payload = request(writable, sent, lines=lines)
    assert codes(payload) == [("NOT_FOUND", "OrderLine.id")]
    assert payload["userErrors"][0]["path"] == ["lines", "1", "orderLine"]
    none = request(writable, sent, lines=[{"orderLine": global_id("OrderLine", ABSENT), "quantity": 1}])
    assert codes(none) == [("NOT_FOUND", "OrderLine.id")]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"lines": []}, ("OUT_OF_RANGE", "Return.lines")),
        ({"quantity": 0}, ("OUT_OF_RANGE", "ReturnLine.quantity")),
        ({"refundIban": "FI21 1234 5600 0007 86"}, ("MALFORMED", "Return.refundIban")),
        ({"reasonText": "x" * 1001}, ("MALFORMED", "Return.reasonText")),
    ],
)
def test_a_return_that_cannot_be_is_not_requested(writable: World, given: Any, wanted: Any) -> None:
    sent = send(writable, "DELIVERED")
    payload = request(writable, sent, **given)
    assert codes(payload) == [wanted]
    assert payload["return"] is None
    assert rows(writable, "returns", "order_id", sent.order) == []


def test_an_account_is_named_in_no_message(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    assert "FI2112345600000786" not in str(request(writable, sent, refundIban="FI2112345600000786"))


@pytest.mark.parametrize(
    ("delivered", "is_over"),
    [
        (NOW - DAY, False),
        (datetime(2026, 6, 1, 12, tzinfo=UTC), False),
        # Saturday in Helsinki: the fourteenth day is a Saturday too, and Monday is the last one.
        (datetime(2026, 5, 29, 21, tzinfo=UTC), False),
        (datetime(2026, 5, 29, 20, 59, 59, tzinfo=UTC), True),
    ],
)
def test_one_withdraws_within_14_days_after_the_day_of_delivery_and_complains_later(
    writable: World, delivered: datetime, is_over: bool
) -> None:
    sent = send(writable, "DELIVERED")
    writable.execute("UPDATE delivery SET delivered_at = $1 WHERE id = $2", delivered, sent.delivery)
    wanted = [("OUT_OF_RANGE", "Return.kind")] if is_over else []
    assert NOW.date().isoformat() == "2026-06-15"
    assert codes(request(writable, sent, kind="WITHDRAWAL")) == wanted
    assert codes(request(writable, sent, kind="DEFECT")) == []


def test_the_days_count_from_the_last_goods_delivered(writable: World) -> None:
    over = send(writable, "DELIVERED")
    waiting = send(writable, "DELIVERED", "IN_TRANSIT")
    query = "UPDATE delivery SET delivered_at = $1 WHERE id = $2"
    for sent in (over, waiting):
        writable.execute(query, NOW - 40 * DAY, sent.delivery)
    assert codes(request(writable, over, kind="WITHDRAWAL")) == [("OUT_OF_RANGE", "Return.kind")]
    assert codes(request(writable, waiting, kind="WITHDRAWAL")) == []


def test_support_requests_a_return_for_a_customer_without_their_account(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    given = {
        "orderId": sent.order_id,
        "kind": "DEFECT",
        "lines": [{"orderLine": sent.line_id, "quantity": 1}],
        "refundIban": None,
    }
    assert refused(writable, "support", "requestReturn", given, "customer-service") == ["Return.refundIban"]
    assert codes(request(writable, sent, name="support")) == []
    (stored,) = rows(writable, "returns", "order_id", sent.order)
    assert rows(writable, "change", "entity_id", stored["id"])[0]["source"] == "STAFF_ON_BEHALF"


def test_anothers_order_and_none_at_all_answer_alike(writable: World) -> None:
    sent = send(writable, "DELIVERED", asker="customer-2")
    lines = [{"orderLine": sent.line_id, "quantity": 1}]
    answers = {
        writable.post(
            "customer",
            document("requestReturn", SHOWN),
            {"input": {"orderId": key, "kind": "DEFECT", "lines": lines}},
        ).content
        for key in (sent.order_id, global_id("Order", ABSENT))
    }
    assert len(answers) == 1
    assert rows(writable, "returns", "order_id", sent.order) == []


def test_the_same_request_makes_one_return_even_at_the_same_moment(writable: World) -> None:
    sent, key = send(writable, "DELIVERED"), str(uuid.uuid4())
    calls = [lambda: request(writable, sent, idempotencyKey=key)] * 3
    made = [*together(writable, "orders", sent.order, *calls), request(writable, sent, idempotencyKey=key)]
    assert len({one["return"]["id"] for one in made}) == 1
    assert len(rows(writable, "returns", "order_id", sent.order)) == 1


def test_returns_of_one_line_at_the_same_moment_never_add_up_to_more_than_was_bought(
    writable: World,
) -> None:
    sent = send(writable, "DELIVERED")
    calls = [lambda: request(writable, sent, 2), lambda: request(writable, sent, 2, name="support")]
    found = together(writable, "orders", sent.order, *calls)
    wanted: list[Any] = [[], [("OUT_OF_RANGE", "ReturnLine.quantity")]]
    assert sorted(codes(payload) for payload in found) == wanted
    assert len(rows(writable, "return_line", "order_line_id", sent.line)) == 1


# ---------------------------------------------------------------- updateReturn


@pytest.mark.parametrize("status", RETURN)
def test_a_status_moves_by_the_legal_steps_and_is_not_refunded_by_hand(writable: World, status: str) -> None:
    sent = send(writable, "DELIVERED")
    key = return_of(writable, sent, status)
    for wanted in RETURN:
        is_legal = wanted in RETURN[status] and wanted != "REFUNDED"
        payload = update(writable, key, "support", status=wanted)
        assert codes(payload) == ([] if is_legal else [("INVALID_TRANSITION", "Return.status")]), wanted
        assert row(writable, "returns", key)["status"] == (wanted if is_legal else status)
        writable.execute("UPDATE returns SET status = $1 WHERE id = $2", status, key)


def test_the_warehouse_writes_what_it_found_and_support_does_not(writable: World) -> None:
    key = return_of(writable, send(writable, "DELIVERED"), "RECEIVED")
    assert codes(update(writable, key, "warehouse", status="INSPECTED", inspectionNote="ehjä")) == []
    stored = row(writable, "returns", key)
    assert (stored["status"], stored["inspection_note"], stored["version"]) == ("INSPECTED", "ehjä", 2)
    given = {"id": global_id("Return", key), "inspectionNote": None}
    wanted = ["Return.inspectionNote"]
    assert refused(writable, "support", "updateReturn", given, "customer-service") == wanted


def test_nobody_who_updates_a_return_sets_its_account(writable: World) -> None:
    key = {"id": global_id("Return", return_of(writable, send(writable, "DELIVERED"))), "refundIban": IBAN}
    for name, purpose in PURPOSES.items():
        assert refused(writable, name, "updateReturn", key, purpose) == ["Return.refundIban"]


def test_a_status_is_not_taken_away(writable: World) -> None:
    key = return_of(writable, send(writable, "DELIVERED"))
    assert codes(update(writable, key, "support", status=None)) == [("REQUIRED", "Return.status")]


def test_saying_when_it_was_paid_back_refunds_a_return_that_was_inspected(writable: World) -> None:
    key = return_of(writable, send(writable, "DELIVERED"), "INSPECTED")
    payload = update(writable, key, "finance", refundAmount="12.30", refundedAt=NOW.isoformat())
    stored = row(writable, "returns", key)
    assert (payload["return"]["status"], stored["status"]) == ("REFUNDED", "REFUNDED")
    assert (stored["refund_amount"], stored["refunded_at"]) == (Decimal("12.30"), NOW)
    wanted = [("INVALID_TRANSITION", "Return.refundAmount")]
    assert codes(update(writable, key, "finance", refundAmount="1.00")) == wanted


@pytest.mark.parametrize("status", RETURN)
def test_a_refund_waits_for_the_inspection_and_its_amount_does_not(writable: World, status: str) -> None:
    key = return_of(writable, send(writable, "DELIVERED"), status)
    is_unpaid = status in ("REQUESTED", "AWAITING_GOODS", "RECEIVED", "INSPECTED")
    wanted = [] if is_unpaid else [("INVALID_TRANSITION", "Return.refundAmount")]
    assert codes(update(writable, key, "finance", refundAmount="1.00")) == wanted
    wanted = [] if status == "INSPECTED" else [("INVALID_TRANSITION", "Return.refundedAt")]
    assert codes(update(writable, key, "finance", refundedAt=NOW.isoformat())) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"refundAmount": "-0.01"}, ("OUT_OF_RANGE", "Return.refundAmount")),
        ({"refundAmount": "1.001"}, ("MALFORMED", "Return.refundAmount")),
        ({"refundAmount": "30.01"}, ("OUT_OF_RANGE", "Return.refundAmount")),
        ({"refundAmount": "999999999999"}, ("OUT_OF_RANGE", "Return.refundAmount")),
        ({"refundedAt": NOW.isoformat()}, ("REQUIRED", "Return.refundAmount")),
        ({"refundedAt": None}, ("REQUIRED", "Return.refundedAt")),
        (
            {"refundAmount": "1", "refundedAt": (NOW + timedelta(seconds=1)).isoformat()},
            ("OUT_OF_RANGE", "Return.refundedAt"),
        ),
        (
            {"refundAmount": "1", "refundedAt": (ENDED - timedelta(seconds=1)).isoformat()},
            ("OUT_OF_RANGE", "Return.refundedAt"),
        ),
    ],
)
def test_a_refund_that_cannot_be_changes_nothing(writable: World, given: Any, wanted: Any) -> None:
    key = return_of(writable, send(writable, "DELIVERED"), "INSPECTED")
    assert codes(update(writable, key, "finance", **given)) == [wanted]
    assert row(writable, "returns", key)["version"] == 1


@pytest.mark.parametrize("payment", ["PENDING", "AUTHORISED", "PAID", "REFUNDED", "FAILED"])
def test_only_what_was_paid_is_paid_back(writable: World, payment: str) -> None:
    sent = send(writable, "DELIVERED", order={"payment_status": payment})
    key = return_of(writable, sent, "INSPECTED")
    wanted = [] if payment in ("PAID", "REFUNDED") else [("INVALID_TRANSITION", "Return.refundAmount")]
    assert codes(update(writable, key, "finance", refundAmount="1.00")) == wanted


def test_the_refunds_of_an_order_add_up_to_its_total_to_the_cent(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    return_of(writable, sent, "CLOSED", refund_amount=Decimal("10.01"), refunded_at=NOW)
    return_of(writable, sent, "REJECTED", refund_amount=Decimal("30.00"))
    key = return_of(writable, sent, "INSPECTED", refund_amount=Decimal("5.00"))
    wanted = [("OUT_OF_RANGE", "Return.refundAmount")]
    assert codes(update(writable, key, "finance", refundAmount="20.00")) == wanted
    assert codes(update(writable, key, "finance", refundAmount="19.99")) == []


def test_refunds_at_the_same_moment_never_add_up_to_more_than_the_total(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    first, second = return_of(writable, sent, "INSPECTED"), return_of(writable, sent, "INSPECTED")
    calls = [
        lambda: update(writable, first, "finance", refundAmount="20.00"),
        lambda: update(writable, second, "finance", refundAmount="20.00"),
    ]
    found = together(writable, "orders", sent.order, *calls)
    wanted: list[Any] = [[], [("OUT_OF_RANGE", "Return.refundAmount")]]
    assert sorted(codes(payload) for payload in found) == wanted


def test_of_two_refunds_of_one_version_at_the_same_moment_one_wins(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    key = return_of(writable, sent, "INSPECTED")
    given = {"refundAmount": "3.00", "refundedAt": NOW.isoformat(), "ifVersion": 1}
    calls = [lambda: update(writable, key, "finance", **given)] * 2
    found = together(writable, "orders", sent.order, *calls)
    assert sorted(codes(payload) for payload in found) == [[], [("CONFLICT", "Return.version")]]
    assert row(writable, "returns", key)["version"] == 2


def test_a_return_that_the_warehouse_does_not_see_is_not_there(writable: World) -> None:
    closed = send(writable, "DELIVERED", order={"status": "COMPLETED"})
    key = return_of(writable, closed, "CLOSED")
    answers = [update(writable, one, "warehouse", status="RECEIVED") for one in (key, ABSENT)]
    assert answers[0] == answers[1]
    assert codes(answers[0]) == [("NOT_FOUND", "Return.id")]
