"""Deliveries as the warehouse makes and changes them, and as their customers, support and carriers may."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from schema.lifecycles import BY_HAND, DELIVERY
from schema.scalars import global_id
from tests.shipments import change, codes, refused, row, rows, send, together
from tests.world import World

SHOWN = "delivery { id reference status version trackingCode }"
ABSENT = uuid.UUID("018f0000-0000-7000-8000-000000000000")


def create(world: World, given: dict[str, Any]) -> Any:
    return change(world, "warehouse", "createDelivery", {"serviceCode": "HOME", **given}, SHOWN)


def update(world: World, key: str, given: dict[str, Any], name: str = "warehouse") -> Any:
    return change(world, name, "updateDelivery", {"id": key, **given}, SHOWN)


def carrier(world: World, name: str = "carrier") -> str:
    key = world.askers[name].carrier_id
    assert key is not None
    return global_id("Carrier", key)


# ---------------------------------------------------------------- createDelivery


def test_a_delivery_is_made_planned_and_numbered_after_its_order(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    given = {
        "orderId": sent.order_id,
        "carrier": carrier(writable),
        "weightGrams": 700,
        "trackingCode": " AB1 ",
    }
    made = create(writable, given)["delivery"]
    stored = rows(writable, "delivery", "order_id", sent.order)[-1]
    number = row(writable, "orders", sent.order)["number"].removeprefix("O-")
    assert (made["reference"], made["status"], made["version"]) == (f"D-{number}-2", "PLANNED", 1)
    assert (stored["tracking_code"], stored["weight_grams"], stored["parcel_count"]) == ("AB1", 700, 1)
    assert stored["created_at"] == writable.now


def test_a_delivery_goes_where_the_newest_one_of_its_order_goes(writable: World) -> None:
    sent = send(
        writable, "IN_TRANSIT", recipient_name="Toinen Nimi", pickup_point="Kioski", instructions="Ovelle"
    )
    create(writable, {"orderId": sent.order_id})
    made = rows(writable, "delivery", "order_id", sent.order)[-1]
    copied = [made[name] for name in ("recipient_name", "street_address", "instructions", "pickup_point")]
    assert copied == ["Toinen Nimi", "Testikatu 1", "Ovelle", "Kioski"]


def test_the_pickup_point_of_another_service_is_not_copied(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT", pickup_point="Kioski")
    create(writable, {"orderId": sent.order_id, "serviceCode": "NEAR"})
    assert rows(writable, "delivery", "order_id", sent.order)[-1]["pickup_point"] is None


def test_the_first_delivery_goes_where_the_customer_lives(writable: World) -> None:
    sent = send(writable, order={"status": "PAID"})
    create(writable, {"orderId": sent.order_id})
    (made,) = rows(writable, "delivery", "order_id", sent.order)
    home = row(writable, "customer", sent.customer)
    assert made["recipient_name"] == f"{home['first_name']} {home['surname']}"
    assert [made[name] for name in ("street_address", "postal_code", "postal_town", "country_code")] == [
        home[name] for name in ("street_address", "postal_code", "postal_town", "country_code")
    ]
    assert (made["recipient_phone"], made["recipient_email"]) == (home["phone"], home["email"])


def test_what_a_new_delivery_was_given_is_noted_with_staff_as_its_source(writable: World) -> None:
    sent = send(writable, order={"status": "PAID"})
    create(
        writable,
        {"orderId": sent.order_id, "carrier": carrier(writable), "weightGrams": 5, "promisedAt": None},
    )
    (made,) = rows(writable, "delivery", "order_id", sent.order)
    noted = {(one["field"], one["source"]) for one in rows(writable, "change", "entity_id", made["id"])}
    assert noted >= {("serviceCode", "STAFF"), ("weightGrams", "STAFF")}
    assert ("promisedAt", "STAFF") not in noted


@pytest.mark.parametrize(
    ("status", "method", "wanted"),
    [
        ("PLACED", "CARD", [("INVALID_TRANSITION", "Order.status")]),
        ("PLACED", "INVOICE", []),
        ("PAID", "CARD", []),
        ("PICKING", "CARD", []),
        ("SHIPPED", "CARD", []),
        ("DELIVERED", "CARD", []),
        ("COMPLETED", "CARD", [("NOT_FOUND", "Order.id")]),
        ("CANCELLED", "CARD", [("NOT_FOUND", "Order.id")]),
    ],
)
def test_a_delivery_is_made_of_orders_that_are_paid_or_on_invoice_and_not_over(
    writable: World, status: str, method: str, wanted: list[Any]
) -> None:
    sent = send(writable, order={"status": status, "payment_method": method})
    assert codes(create(writable, {"orderId": sent.order_id})) == wanted
    assert len(rows(writable, "delivery", "order_id", sent.order)) == (not wanted)


def test_a_completed_order_with_an_unfinished_delivery_takes_no_other_one(writable: World) -> None:
    sent = send(writable, "EXCEPTION", order={"status": "COMPLETED"})
    assert codes(create(writable, {"orderId": sent.order_id})) == [("INVALID_TRANSITION", "Order.status")]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"parcelCount": 0}, ("OUT_OF_RANGE", "Delivery.parcelCount")),
        ({"parcelCount": 100}, ("OUT_OF_RANGE", "Delivery.parcelCount")),
        ({"weightGrams": 0}, ("OUT_OF_RANGE", "Delivery.weightGrams")),
        ({"weightGrams": 1_000_001}, ("OUT_OF_RANGE", "Delivery.weightGrams")),
        ({"trackingCode": "x" * 51}, ("MALFORMED", "Delivery.trackingCode")),
        ({"serviceCode": "NEAR"}, ("NOT_FOUND", "Delivery.serviceCode")),
        ({"carrier": None, "serviceCode": "NOBODYS"}, ("NOT_FOUND", "Delivery.serviceCode")),
        ({"carrier": global_id("Carrier", ABSENT)}, ("NOT_FOUND", "Carrier.id")),
    ],
)
def test_a_delivery_that_cannot_be_is_not_made(writable: World, given: Any, wanted: Any) -> None:
    sent = send(writable, order={"status": "PAID"})
    assert codes(create(writable, {"orderId": sent.order_id, "carrier": carrier(writable), **given})) == [
        wanted
    ]
    assert rows(writable, "delivery", "order_id", sent.order) == []


def test_an_inactive_carrier_gets_no_new_delivery_and_keeps_those_it_has(writable: World) -> None:
    sent, key = send(writable, "READY", order={"status": "PAID"}), writable.askers["carrier"].carrier_id
    writable.execute("UPDATE carrier SET active = false WHERE id = $1", key)
    try:
        wanted = [("INVALID_TRANSITION", "Delivery.carrier")]
        assert codes(create(writable, {"orderId": sent.order_id, "carrier": carrier(writable)})) == wanted
        assert codes(update(writable, sent.delivery_id, {"carrier": carrier(writable)})) == []
        assert codes(update(writable, sent.delivery_id, {"status": "PRE_ADVISED"})) == []
    finally:
        writable.execute("UPDATE carrier SET active = true WHERE id = $1", key)


def test_an_order_that_is_not_there_and_one_that_is_not_seen_answer_alike(writable: World) -> None:
    closed = send(writable, "DELIVERED", order={"status": "COMPLETED"})
    answers = {
        writable.post(
            "warehouse",
            "mutation ($i: CreateDeliveryInput!) { createDelivery(input: $i)"
            " { delivery { id } userErrors { code coordinate message path } } }",
            {"i": {"orderId": key, "serviceCode": "HOME"}},
        ).content
        for key in (closed.order_id, global_id("Order", ABSENT))
    }
    assert len(answers) == 1


def test_the_same_request_makes_one_delivery(writable: World) -> None:
    sent = send(writable, order={"status": "PAID"})
    given = {"orderId": sent.order_id, "idempotencyKey": str(uuid.uuid4())}
    first = create(writable, given)
    assert create(writable, given) == first
    assert len(rows(writable, "delivery", "order_id", sent.order)) == 1
    changed = create(writable, {**given, "parcelCount": 2})
    assert codes(changed) == [("CONFLICT", "CreateDeliveryInput.idempotencyKey")]


def _new(world: World, order: str, key: str | None = None) -> Any:
    return create(world, {"orderId": order, "idempotencyKey": key})


def test_parallel_requests_under_one_key_make_one_delivery(writable: World) -> None:
    sent, key = send(writable, order={"status": "PAID"}), str(uuid.uuid4())
    calls = [lambda: _new(writable, sent.order_id, key)] * 3
    made = together(writable, "orders", sent.order, *calls)
    assert len({one["delivery"]["id"] for one in made}) == 1
    assert len(rows(writable, "delivery", "order_id", sent.order)) == 1


def test_parallel_deliveries_of_one_order_are_numbered_one_after_the_other(writable: World) -> None:
    sent = send(writable, order={"status": "PAID"})
    calls = [lambda: _new(writable, sent.order_id)] * 4
    made = together(writable, "orders", sent.order, *calls)
    assert sorted(one["delivery"]["reference"][-2:] for one in made) == ["-1", "-2", "-3", "-4"]


# ---------------------------------------------------------------- updateDelivery


@pytest.mark.parametrize("status", DELIVERY)
def test_by_hand_a_status_moves_by_the_legal_steps_before_the_carrier_has_it(
    writable: World, status: str
) -> None:
    sent = send(writable, status)
    for wanted in DELIVERY:
        is_legal = wanted in BY_HAND and wanted in DELIVERY[status]
        payload = update(writable, sent.delivery_id, {"status": wanted})
        assert codes(payload) == ([] if is_legal else [("INVALID_TRANSITION", "Delivery.status")]), wanted
        stored = row(writable, "delivery", sent.delivery)
        assert (stored["status"], stored["version"]) == ((wanted, 2) if is_legal else (status, 1))
        if is_legal:
            query = "UPDATE delivery SET status = $1, version = 1 WHERE id = $2"
            writable.execute(query, status, sent.delivery)


def test_what_is_ready_has_a_carrier(writable: World) -> None:
    sent = send(writable, "PLANNED", carrier_id=None)
    required = [("REQUIRED", "Delivery.carrier")]
    assert codes(update(writable, sent.delivery_id, {"status": "READY"})) == required
    assert codes(update(writable, sent.delivery_id, {"status": "READY", "carrier": carrier(writable)})) == []
    assert codes(update(writable, sent.delivery_id, {"carrier": None})) == required


@pytest.mark.parametrize("status", DELIVERY)
def test_the_carrier_changes_only_before_one_has_taken_the_delivery_over(
    writable: World, status: str
) -> None:
    sent = send(writable, status)
    given = {"carrier": carrier(writable, "carrier-2"), "serviceCode": "NEAR"}
    payload = update(writable, sent.delivery_id, given)
    is_at_home = status in ("PLANNED", "READY", "PRE_ADVISED")
    assert codes(payload) == ([] if is_at_home else [("INVALID_TRANSITION", "Delivery.carrier")])


def test_carrier_and_service_go_together(writable: World) -> None:
    sent = send(writable, "READY")
    wanted = [("NOT_FOUND", "Delivery.serviceCode")]
    assert codes(update(writable, sent.delivery_id, {"carrier": carrier(writable, "carrier-2")})) == wanted
    assert codes(update(writable, sent.delivery_id, {"serviceCode": "NEAR"})) == wanted
    assert codes(update(writable, sent.delivery_id, {"serviceCode": "LETTER"})) == []


def test_giving_a_delivery_to_another_carrier_hides_it_from_the_former_at_once(writable: World) -> None:
    sent = send(writable, "READY")
    query = f'{{ node(id: "{sent.delivery_id}") {{ id }} }}'
    assert writable.data("carrier", query)["node"] is not None
    update(writable, sent.delivery_id, {"carrier": carrier(writable, "carrier-2"), "serviceCode": "NEAR"})
    assert writable.data("carrier", query)["node"] is None
    assert writable.data("carrier-2", query)["node"] is not None
    payload = update(writable, sent.delivery_id, {"trackingCode": "LATE"}, "carrier")
    assert codes(payload) == [("NOT_FOUND", "Delivery.id")]


@pytest.mark.parametrize("name", ["status", "serviceCode", "parcelCount"])
def test_what_every_delivery_has_is_not_taken_away(writable: World, name: str) -> None:
    sent = send(writable, "PLANNED")
    assert codes(update(writable, sent.delivery_id, {name: None})) == [("REQUIRED", f"Delivery.{name}")]


def test_what_a_delivery_may_lack_is_taken_away_by_null(writable: World) -> None:
    sent = send(writable, "PLANNED", tracking_code="A", weight_grams=3, promised_at=writable.now)
    given = dict.fromkeys(("trackingCode", "weightGrams", "promisedAt"))
    assert codes(update(writable, sent.delivery_id, given)) == []
    stored = row(writable, "delivery", sent.delivery)
    assert [stored[name] for name in ("tracking_code", "weight_grams", "promised_at")] == [None] * 3


def test_a_carrier_keeps_an_open_delivery_right_and_not_an_ended_one(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT", "DELIVERED")
    given = {"trackingCode": "T-9", "weightGrams": 10, "pickupPoint": "Kioski"}
    assert codes(update(writable, sent.delivery_id, given, "carrier")) == []
    stored = row(writable, "delivery", sent.delivery)
    assert [stored[name] for name in ("tracking_code", "weight_grams", "pickup_point")] == [
        "T-9",
        10,
        "Kioski",
    ]
    ended = {"id": global_id("Delivery", sent.deliveries[1]), **given}
    assert refused(writable, "carrier", "updateDelivery", ended) == [
        f"Delivery.{name}" for name in ("trackingCode", "weightGrams", "pickupPoint")
    ]


def test_a_carrier_sets_neither_status_nor_carrier_and_the_warehouse_no_pickup_point(writable: World) -> None:
    key = {"id": send(writable, "READY").delivery_id}
    given = {**key, "status": "PRE_ADVISED", "carrier": carrier(writable), "trackingCode": "T"}
    assert refused(writable, "carrier", "updateDelivery", given) == ["Delivery.status", "Delivery.carrier"]
    assert refused(writable, "warehouse", "updateDelivery", {**key, "pickupPoint": None}) == [
        "Delivery.pickupPoint"
    ]


def test_of_two_updates_of_one_version_at_the_same_moment_one_wins(writable: World) -> None:
    sent = send(writable, "READY")
    calls = [
        lambda: update(writable, sent.delivery_id, {"ifVersion": 1, "trackingCode": "A"}),
        lambda: update(writable, sent.delivery_id, {"ifVersion": 1, "trackingCode": "B"}, "carrier"),
    ]
    found = together(writable, "delivery", sent.delivery, *calls)
    errors = [error for payload in found for error in payload["userErrors"]]
    assert [(error["code"], error["currentVersion"]) for error in errors] == [("CONFLICT", 2)]
    assert row(writable, "delivery", sent.delivery)["version"] == 2


def test_a_version_that_is_gone_is_a_conflict_before_any_step_is_judged(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    given = {"carrier": carrier(writable, "carrier-2"), "serviceCode": "NEAR"}
    payload = update(writable, sent.delivery_id, {"ifVersion": 7, **given})
    assert codes(payload) == [("CONFLICT", "Delivery.version")]
    assert payload["delivery"]["version"] == 1


def test_calling_off_the_last_delivery_on_its_way_makes_the_order_delivered(writable: World) -> None:
    sent = send(writable, "PRE_ADVISED", "DELIVERED")
    update(writable, sent.delivery_id, {"status": "CANCELLED"})
    assert row(writable, "orders", sent.order)["status"] == "DELIVERED"


# ---------------------------------------------------------------- updateDeliveryAddress


def address(world: World, key: str, given: dict[str, Any], name: str = "customer") -> Any:
    purpose = "customer-service" if name == "support" else None
    return change(world, name, "updateDeliveryAddress", {"id": key, **given}, "delivery { version }", purpose)


@pytest.mark.parametrize("name", ["customer", "support"])
@pytest.mark.parametrize("status", DELIVERY)
def test_an_address_changes_until_the_delivery_is_dispatched(writable: World, status: str, name: str) -> None:
    sent = send(writable, status)
    if status in ("PLANNED", "READY"):
        assert codes(address(writable, sent.delivery_id, {"postalTown": "Oulu"}, name)) == []
        assert row(writable, "delivery", sent.delivery)["postal_town"] == "Oulu"
        return
    given = {"id": sent.delivery_id, "postalTown": "Oulu", "streetAddress": "Toinen katu 2"}
    purpose = "customer-service" if name == "support" else None
    wanted = ["Delivery.streetAddress", "Delivery.postalTown"]
    assert refused(writable, name, "updateDeliveryAddress", given, purpose) == wanted
    assert row(writable, "delivery", sent.delivery)["postal_town"] == "Helsinki"


def test_an_address_is_read_by_the_country_it_is_given_with_else_by_its_own(writable: World) -> None:
    sent = send(writable, "READY", country_code="SE", postal_code="114 55")
    given = {"postalCode": "11456", "recipientPhone": "070-123 45 67"}
    assert codes(address(writable, sent.delivery_id, given)) == []
    stored = row(writable, "delivery", sent.delivery)
    assert (stored["postal_code"], stored["recipient_phone"]) == ("114 56", "+46701234567")
    assert codes(address(writable, sent.delivery_id, {"postalCode": "00200", "countryCode": "fi"})) == []
    assert row(writable, "delivery", sent.delivery)["country_code"] == "FI"
    wrong = address(writable, sent.delivery_id, {"postalCode": "11456 7", "recipientName": None})
    assert codes(wrong) == [("REQUIRED", "Delivery.recipientName"), ("MALFORMED", "Delivery.postalCode")]


def test_a_changed_address_is_noted_with_who_changed_it_and_without_its_value(writable: World) -> None:
    sent = send(writable, "READY")
    address(writable, sent.delivery_id, {"streetAddress": "Uusi katu 3", "postalTown": "Helsinki"})
    address(writable, sent.delivery_id, {"instructions": "Soita"})
    noted = rows(writable, "change", "entity_id", sent.delivery)
    assert [(one["field"], one["source"]) for one in noted] == [
        ("streetAddress", "CUSTOMER"),
        ("instructions", "CUSTOMER"),
    ]
    assert "Uusi katu 3" not in str(noted)


def test_another_ones_delivery_is_not_there(writable: World) -> None:
    other = send(writable, "READY", asker="customer-2")
    answers = [address(writable, key, {"postalTown": "Oulu"}) for key in (other.delivery_id, _absent())]
    assert answers[0] == answers[1]
    assert codes(answers[0]) == [("NOT_FOUND", "Delivery.id")]


def _absent() -> str:
    return global_id("Delivery", ABSENT)
