"""When goods may leave the store, and what their leaving makes of their order."""

from __future__ import annotations

import uuid

import pytest

from schema.lifecycles import ORDER, ORDER_DERIVED
from schema.scalars import global_id
from tests.shipments import change, codes, row, send
from tests.world import World

SHOWN = "delivery { id status }"
ILLEGAL = [("INVALID_TRANSITION", "Order.status")]
PAID_FOR = ("PAID", "PICKING", "SHIPPED", "DELIVERED")


@pytest.mark.parametrize(("present", "wanted"), [("PLANNED", "READY"), ("READY", "PRE_ADVISED")])
@pytest.mark.parametrize("method", ["CARD", "INVOICE"])
@pytest.mark.parametrize("order", ORDER)
def test_no_delivery_gets_ready_before_its_order_is_paid_or_on_invoice(
    writable: World, order: str, method: str, present: str, wanted: str
) -> None:
    # The order that is over is still seen by its other delivery.
    sent = send(writable, present, "IN_TRANSIT", order={"status": order, "payment_method": method})
    given = {"id": sent.delivery_id, "status": wanted}
    payload = change(writable, "warehouse", "updateDelivery", given, SHOWN)
    may_leave = order in PAID_FOR or (order, method) == ("PLACED", "INVOICE")
    assert codes(payload) == ([] if may_leave else ILLEGAL)
    stored = row(writable, "delivery", sent.delivery)
    assert (stored["status"], stored["version"]) == ((wanted, 2) if may_leave else (present, 1))


def test_an_unpaid_delivery_is_called_off_nevertheless(writable: World) -> None:
    sent = send(writable, "READY", order={"status": "PLACED"})
    given = {"id": sent.delivery_id, "status": "CANCELLED"}
    assert codes(change(writable, "warehouse", "updateDelivery", given, SHOWN)) == []


@pytest.mark.parametrize(
    ("order", "method"), [("PLACED", "INVOICE"), ("PAID", "CARD"), ("PAID", "INVOICE"), ("PICKING", "CARD")]
)
def test_the_first_pick_up_ships_an_order_though_nobody_said_that_it_was_picked(
    writable: World, order: str, method: str
) -> None:
    sent = send(writable, "PRE_ADVISED", "PRE_ADVISED", order={"status": order, "payment_method": method})
    report(writable, sent.delivery, "PICKED_UP")
    assert row(writable, "orders", sent.order)["status"] == "SHIPPED"
    for delivery in sent.deliveries:
        report(writable, delivery, "DELIVERED")
    stored = row(writable, "orders", sent.order)
    assert (stored["status"], stored["version"]) == ("DELIVERED", 3)
    line = [{"orderLine": sent.line_id, "quantity": 1}]
    given = {"orderId": sent.order_id, "kind": "WITHDRAWAL", "lines": line}
    assert codes(change(writable, "customer", "requestReturn", given, "return { id }")) == []


def test_only_derived_steps_skip_picking_and_each_leads_to_where_hand_made_ones_do() -> None:
    for present, following in ORDER_DERIVED.items():
        for one in following:
            assert one in ORDER[present] or (present in ("PLACED", "PAID") and one in ORDER["PICKING"])
    assert "SHIPPED" not in ORDER["PLACED"] | ORDER["PAID"]


def report(world: World, delivery: uuid.UUID, status: str) -> None:
    one = {
        "deliveryId": global_id("Delivery", delivery),
        "status": status,
        "occurredAt": world.now.isoformat(),
        "idempotencyKey": str(uuid.uuid4()),
    }
    payload = change(world, "carrier", "reportDeliveryEvent", {"events": [one]}, "results { outcome }")
    assert payload["results"] == [{"outcome": "RECORDED"}]
