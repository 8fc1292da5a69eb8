"""An order is paid back once: by the refunds of its returns, or whole when it was called off."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from schema.scalars import global_id
from tests.shipments import Sent, change, codes, return_of, row, send, together
from tests.world import NOW, World

TOTAL = Decimal("30.00")
TOO_EARLY = [("INVALID_TRANSITION", "Order.paymentStatus")]


def refunded(world: World, sent: Sent) -> list[tuple[str, str]]:
    given = {"id": sent.order_id, "paymentStatus": "REFUNDED"}
    return codes(change(world, "finance", "updateOrder", given, "order { id }", "payment"))


def refund(world: World, key: Any, amount: str, **given: Any) -> list[tuple[str, str]]:
    wanted = {"id": global_id("Return", key), "refundAmount": amount, **given}
    return codes(change(world, "finance", "updateReturn", wanted, "return { id }", "returns"))


@pytest.mark.parametrize(
    ("returns", "is_enough"),
    [
        ([], False),
        ([("REFUNDED", "29.99", True)], False),
        ([("REFUNDED", "30.00", True)], True),
        ([("CLOSED", "10.00", True), ("REFUNDED", "20.00", True)], True),
        ([("INSPECTED", "30.00", False)], False),
        ([("REJECTED", "30.00", True)], False),
    ],
)
def test_a_payment_is_refunded_when_the_refunds_that_were_paid_reach_the_total(
    writable: World, returns: list[tuple[str, str, bool]], is_enough: bool
) -> None:
    sent = send(writable, "DELIVERED")
    for status, amount, is_paid in returns:
        moment = NOW if is_paid else None
        return_of(writable, sent, status, refund_amount=Decimal(amount), refunded_at=moment)
    assert refunded(writable, sent) == ([] if is_enough else TOO_EARLY)
    stored = row(writable, "orders", sent.order)["payment_status"]
    assert stored == ("REFUNDED" if is_enough else "PAID")


def test_what_is_refunded_takes_no_further_refund(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    return_of(writable, sent, "REFUNDED", refund_amount=TOTAL, refunded_at=NOW)
    other = return_of(writable, sent, "INSPECTED")
    assert refunded(writable, sent) == []
    assert refund(writable, other, "0.01") == [("OUT_OF_RANGE", "Return.refundAmount")]
    assert refund(writable, other, "0.00", refundedAt=NOW.isoformat()) == []


def test_an_order_that_was_called_off_is_refunded_whole_and_by_no_return(writable: World) -> None:
    sent = send(writable, "CANCELLED", order={"status": "CANCELLED"})
    assert refunded(writable, sent) == []
    key = return_of(writable, sent, "INSPECTED")
    assert refund(writable, key, "1.00") == [("INVALID_TRANSITION", "Return.refundAmount")]


def test_a_refund_and_the_word_that_all_is_refunded_meet_in_one_order(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    key = return_of(writable, sent, "INSPECTED")
    calls = [
        lambda: refund(writable, key, "30.00", refundedAt=NOW.isoformat()),
        lambda: refunded(writable, sent),
    ]
    first, second = together(writable, "orders", sent.order, *calls)
    assert first == []
    assert second in ([], TOO_EARLY)
    stored = row(writable, "orders", sent.order)["payment_status"]
    assert stored == ("PAID" if second else "REFUNDED")
