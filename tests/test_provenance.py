"""Every change of a personal field is kept with its source: what is set, what follows, what is copied."""

from __future__ import annotations

import uuid
from typing import Any

from schema.scalars import global_id
from tests.shipments import change, codes, return_of, row, rows, send
from tests.world import World
from tests.writing import placed

Noted = list[tuple[str, str, str]]


def noted(world: World, key: uuid.UUID) -> Noted:
    """What is noted of a row: field, source and the kind of the actor's id."""
    found = rows(world, "change", "entity_id", key)
    return sorted((one["field"], one["source"], one["actor"]) for one in found)


def actor(world: World, name: str) -> str:
    found = world.askers[name]
    key = found.carrier_id or found.customer_id
    assert key is not None
    return global_id("Carrier" if found.carrier_id else "Customer", key)


def report(world: World, delivery: uuid.UUID, status: str) -> None:
    told = {"deliveryId": global_id("Delivery", delivery), "status": status}
    told |= {"occurredAt": world.now.isoformat(), "idempotencyKey": str(uuid.uuid4())}
    change(world, "carrier", "reportDeliveryEvent", {"events": [told]}, "results { outcome }")


def test_what_a_report_makes_of_a_delivery_and_its_order_is_noted_as_the_carriers(writable: World) -> None:
    sent = send(writable, "PRE_ADVISED", order={"status": "PICKING"})
    report(writable, sent.delivery, "DELIVERED")
    who = actor(writable, "carrier")
    assert noted(writable, sent.delivery) == [
        (field, "CARRIER_EVENT", who) for field in ("deliveredAt", "handedOverAt", "status")
    ]
    assert noted(writable, sent.order) == [("status", "CARRIER_EVENT", who)] * 2
    (owner,) = {one["customer_id"] for one in rows(writable, "change", "entity_id", sent.order)}
    assert owner == sent.customer


def test_an_order_that_is_called_off_is_noted_with_its_deliveries_as_the_customers(writable: World) -> None:
    sent = send(writable, "READY", "PLANNED", "CANCELLED", order={"status": "PAID"})
    assert codes(change(writable, "customer", "cancelOrder", {"id": sent.order_id}, "order { id }")) == []
    wanted = [("status", "CUSTOMER", actor(writable, "customer"))]
    assert noted(writable, sent.order) == wanted
    assert [noted(writable, key) for key in sent.deliveries] == [wanted, wanted, []]
    ids = [one["id"] for key in sent.deliveries for one in rows(writable, "change", "entity_id", key)]
    assert len(set(ids)) == 2


def test_calling_off_the_last_delivery_is_noted_of_its_order_as_the_staffs(writable: World) -> None:
    sent = send(writable, "PRE_ADVISED", "DELIVERED")
    given = {"id": sent.delivery_id, "status": "CANCELLED"}
    change(writable, "warehouse", "updateDelivery", given, "delivery { id }")
    assert [one[:2] for one in noted(writable, sent.order)] == [("status", "STAFF")]


def test_a_payment_is_noted_with_the_status_that_follows_from_it(writable: World) -> None:
    sent = send(writable, order={"status": "PLACED", "payment_status": "PENDING"})
    given = {"id": sent.order_id, "paymentStatus": "PAID"}
    change(writable, "finance", "updateOrder", given, "order { id }", "payment")
    assert [one[:2] for one in noted(writable, sent.order)] == [
        ("paymentStatus", "STAFF"),
        ("status", "STAFF"),
    ]


def test_a_refund_is_noted_with_the_status_that_follows_from_it(writable: World) -> None:
    key = return_of(writable, send(writable, "DELIVERED"), "INSPECTED")
    given = {"id": global_id("Return", key), "refundAmount": "1.00", "refundedAt": writable.now.isoformat()}
    change(writable, "finance", "updateReturn", given, "return { id }", "returns")
    assert [one[0] for one in noted(writable, key)] == ["refundAmount", "refundedAt", "status"]


def test_what_a_new_delivery_copies_of_its_recipient_is_noted(writable: World) -> None:
    sent = send(writable, "DELIVERED", recipient_phone=None, instructions="Ovelle")
    given = {"orderId": sent.order_id, "serviceCode": "HOME"}
    change(writable, "warehouse", "createDelivery", given, "delivery { id }")
    made = rows(writable, "delivery", "order_id", sent.order)[-1]
    copied = ("recipientName", "streetAddress", "postalCode", "postalTown", "countryCode", "instructions")
    assert [one[:2] for one in noted(writable, made["id"])] == sorted(
        (field, "STAFF") for field in ("serviceCode", *copied)
    )


def test_the_country_that_counts_where_none_is_given_is_noted(writable: World) -> None:
    person = {"firstName": "Aada", "surname": "Esimerkki", "email": "aada@store.example"}
    given: dict[str, Any] = {**person, "password": "correct horse battery"}
    payload = change(writable, "anonymous", "registerCustomer", given, "customer { number }")
    (customer,) = rows_by_number(writable, payload["customer"]["number"])
    fields = {one[0] for one in noted(writable, customer["id"])}
    assert fields == {*person, "countryCode", "marketingConsent"}


def rows_by_number(world: World, number: str) -> list[dict[str, Any]]:
    query = "SELECT * FROM customer WHERE number = $1"
    return [dict(one) for one in world.run(lambda connection: connection.fetch(query, number))]


def test_a_visit_is_no_change_of_the_profile(writable: World) -> None:
    key = writable.askers["customer"].customer_id
    assert key is not None
    before = noted(writable, key)
    writable.execute("UPDATE customer SET last_active_at = last_active_at - interval '1 day'")
    placed(writable)
    assert noted(writable, key) == before
    assert row(writable, "customer", key)["last_active_at"] == writable.now
