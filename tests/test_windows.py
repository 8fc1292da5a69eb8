"""A carrier sees a delivery, its address and its contacts for so many days after its end, to the second."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from schema.scalars import global_id
from tests.world import NOW, World

SECOND = timedelta(seconds=1)
END = NOW - timedelta(days=200)

# How a delivery ends: the columns that say so, for an end at END.
ENDS: dict[str, dict[str, datetime]] = {
    "returned": {"returned_at": END, "delivered_at": END - timedelta(days=9)},
    "delivered": {"delivered_at": END, "lost_at": END + timedelta(days=50)},
    "lost": {"lost_at": END, "handed_over_at": END - timedelta(days=70)},
    "handed over 60 days ago": {"handed_over_at": END - timedelta(days=60)},
    "created 120 days ago": {"created_at": END - timedelta(days=120)},
}
WINDOWS = {
    "reference": timedelta(days=90),
    "trackingCode": timedelta(days=90),
    "recipientName": timedelta(days=30),
    "streetAddress": timedelta(days=30),
    "instructions": timedelta(days=30),
    "recipientPhone": timedelta(days=3),
    "recipientEmail": timedelta(days=3),
}


@pytest.fixture
def delivery(world: World) -> Iterator[uuid.UUID]:
    """A delivery of the first carrier, by a service that needs both contacts, without an end yet."""
    carrier = world.askers["carrier"].carrier_id
    order = world.rows()["orders"][0]
    key = uuid.uuid4()
    world.execute(
        "INSERT INTO carrier_service VALUES ($1, 'BOTH', true, true, 'https://track.example/{code}')", carrier
    )
    world.execute(
        "INSERT INTO delivery (id, reference, order_id, customer_id, carrier_id, service_code, status,"
        " tracking_code, parcel_count, recipient_name, recipient_phone, recipient_email, street_address,"
        " instructions, created_at) VALUES ($1, 'D-WINDOW', $2, $3, $4, 'BOTH', 'IN_TRANSIT', 'T', 1, 'N',"
        " '+358401234567', 'n@example.com', 'S', 'I', $5)",
        *(key, order["id"], order["customer_id"], carrier, END - timedelta(days=100)),
    )
    yield key
    world.execute("DELETE FROM delivery WHERE id = $1", key)
    world.execute("DELETE FROM carrier_service WHERE code = 'BOTH'")


def seen(world: World, key: uuid.UUID, moment: datetime, name: str = "carrier") -> Any:
    """The delivery as a carrier sees it at a moment; None where it does not."""
    fields = " ".join(WINDOWS)
    # The tokens of the tests end before some of these moments: time is what is tested, not tokens.
    with world.at(moment):
        world.execute("UPDATE partner_token SET created_at = $1, expires_at = $2", moment, moment + SECOND)
        document = f"query($id: ID!) {{ delivery(id: $id) {{ {fields} }} }}"
        status, body = world.ask(name, document, {"id": global_id("Delivery", key)})
    assert status == 200, body
    return body["data"]["delivery"]


@pytest.fixture(autouse=True)
def tokens(world: World) -> Iterator[None]:
    """Gives the partner tokens their times back."""
    before = {row["id"]: row for row in world.table("partner_token")}
    yield
    for key, row in before.items():
        world.execute(
            "UPDATE partner_token SET created_at = $2, expires_at = $3 WHERE id = $1",
            *(key, row["created_at"], row["expires_at"]),
        )


@pytest.mark.parametrize("end", ENDS)
def test_each_field_is_seen_until_the_last_second_of_its_window(
    world: World, delivery: uuid.UUID, end: str
) -> None:
    assignments = ", ".join(f"{column} = ${place}" for place, column in enumerate(ENDS[end], 2))
    world.execute(f"UPDATE delivery SET {assignments} WHERE id = $1", delivery, *ENDS[end].values())
    for field, window in WINDOWS.items():
        before = seen(world, delivery, END + window - SECOND)
        at = seen(world, delivery, END + window)
        assert before is not None
        assert before[field] is not None, (field, end)
        assert at is None or at[field] is None, (field, end)


def test_the_windows_are_withheld_in_the_plan_whatever_the_rows(world: World, delivery: uuid.UUID) -> None:
    document = "query($id: ID!) { delivery(id: $id) { reference recipientName recipientPhone } }"
    for key in (delivery, uuid.uuid4()):
        _, body = world.ask("carrier", document, {"id": global_id("Delivery", key)})
        assert body["extensions"]["withheld"] == ["Delivery.recipientName", "Delivery.recipientPhone"]


@pytest.mark.parametrize(("needs", "field"), [("phone", "recipientPhone"), ("email", "recipientEmail")])
def test_a_contact_the_service_does_not_need_is_not_seen(
    world: World, delivery: uuid.UUID, needs: str, field: str
) -> None:
    world.execute("UPDATE delivery SET delivered_at = $2 WHERE id = $1", delivery, END)
    assert seen(world, delivery, END)[field] is not None
    world.execute(f"UPDATE carrier_service SET needs_{needs} = false WHERE code = 'BOTH'")
    found = seen(world, delivery, END)
    assert found[field] is None
    assert found["recipientName"] is not None


@pytest.mark.parametrize("status", ["PLANNED", "CANCELLED"])
def test_a_planned_or_cancelled_delivery_is_not_seen(world: World, delivery: uuid.UUID, status: str) -> None:
    assert seen(world, delivery, END) is not None
    world.execute("UPDATE delivery SET status = $2 WHERE id = $1", delivery, status)
    assert seen(world, delivery, END) is None


def test_reassigning_a_delivery_ends_the_old_carriers_sight_at_once(
    world: World, delivery: uuid.UUID
) -> None:
    other = world.askers["carrier-2"].carrier_id
    world.execute(
        "INSERT INTO carrier_service VALUES ($1, 'BOTH', true, true, 'https://track.example/{code}')", other
    )
    world.execute("UPDATE delivery SET carrier_id = $2 WHERE id = $1", delivery, other)
    assert seen(world, delivery, END) is None
    assert seen(world, delivery, END, "carrier-2") is not None


def test_a_restricted_customers_delivery_is_hidden_from_its_carrier(
    world: World, delivery: uuid.UUID
) -> None:
    owner = next(row for row in world.table("delivery") if row["id"] == delivery)["customer_id"]
    world.execute("UPDATE customer SET restricted_at = $2 WHERE id = $1", owner, NOW)
    try:
        assert seen(world, delivery, END) is None
    finally:
        world.execute("UPDATE customer SET restricted_at = NULL WHERE id = $1", owner)
    assert seen(world, delivery, END) is not None


def test_the_day_counts_are_settings(world: World) -> None:
    assert world.gateway.settings.periods() == {
        "delivery": timedelta(days=90),
        "address": timedelta(days=30),
        "contact": timedelta(days=3),
        "handed_over": timedelta(days=60),
        "created": timedelta(days=120),
    }
