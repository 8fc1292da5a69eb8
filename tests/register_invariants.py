"""What must hold of the register as a whole, read straight from its tables."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from uuid import UUID

from tests.invariants import MOMENTS, Row, Rows, events_of

AT_HOME = ("PLANNED", "READY", "PRE_ADVISED", "CANCELLED")


def check_register(rows: Rows) -> None:
    """Raises where the register as a whole is not what it must be."""
    for order in rows["orders"].values():
        _check_shipped(order, rows)
        lines = [line for line in rows["order_line"].values() if line["order_id"] == order["id"]]
        assert lines
        assert order["total"] == sum((line["quantity"] * line["unit_price"] for line in lines), Decimal(0))
        _check_returns(order, lines, rows)
    for delivery in rows["delivery"].values():
        _check_delivery(delivery, rows)


def _check_shipped(order: Row, rows: Rows) -> None:
    """What a carrier has taken over is of an order that was sent, and never of one called off."""
    deliveries = [one for one in rows["delivery"].values() if one["order_id"] == order["id"]]
    if any(one["handed_over_at"] is not None for one in deliveries):
        assert order["status"] in ("SHIPPED", "DELIVERED", "COMPLETED"), order["status"]


def _check_returns(order: Row, lines: list[Row], rows: Rows) -> None:
    returns = [one for one in rows["returns"].values() if one["order_id"] == order["id"]]
    valid = {one["id"]: one for one in returns if one["status"] != "REJECTED"}
    refunds = [one["refund_amount"] for one in valid.values() if one["refund_amount"] is not None]
    assert sum(refunds, Decimal(0)) <= order["total"], "more is refunded than was paid"
    assert not refunds or order["payment_status"] in ("PAID", "REFUNDED")
    if order["payment_status"] == "REFUNDED":
        paid = [one["refund_amount"] for one in valid.values() if one["refunded_at"] is not None]
        whole = order["total"] if order["status"] == "CANCELLED" else Decimal(0)
        assert sum(paid, whole) == order["total"], "it counts as refunded and is not, or is twice"
    for one in returns:
        is_refunded = one["status"] in ("REFUNDED", "CLOSED")
        assert is_refunded == (one["refunded_at"] is not None), one["status"]
        assert not is_refunded or one["refund_amount"] is not None
        assert one["currency"] == order["currency"]
    back: Counter[UUID] = Counter()
    for line in rows["return_line"].values():
        if line["return_id"] in valid:
            back[line["order_line_id"]] += line["quantity"]
    assert all(back[line["id"]] <= line["quantity"] for line in lines), "more came back than was sold"


def _check_delivery(delivery: Row, rows: Rows) -> None:
    """The moments are those of reports, and stand where the status says that they came about."""
    events = {(one["status"], one["occurred_at"]) for one in events_of(delivery["id"], rows)}
    status = delivery["status"]
    assert (delivery["handed_over_at"] is None) == (status in AT_HOME), status
    if delivery["handed_over_at"] is not None:
        assert delivery["handed_over_at"] in {at for _, at in events}
        assert status in {one for one, _ in events}
    for end, column in MOMENTS.items():
        moment = delivery[column]
        assert status != end or moment is not None, f"{end} without its moment"
        assert moment is None or (end, moment) in events, f"{column} was reported by nobody"
    assert delivery["returned_at"] is None or status == "RETURNED"
    assert delivery["lost_at"] is None or status == "LOST"
    assert delivery["signed_by"] is None or "DELIVERED" in {one for one, _ in events}
    assert delivery["carrier_id"] is not None or status in ("PLANNED", "CANCELLED")
