"""A change that sets nothing changes nothing, whoever asks."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from schema.model import load_model
from schema.scalars import global_id
from tests.shipments import change, return_of, row, send
from tests.world import World

ASKERS = {
    "updateCustomer": ("Customer", "customer", None),
    "updateDelivery": ("Delivery", "warehouse", None),
    "updateDeliveryAddress": ("Delivery", "customer", None),
    "updateReturn": ("Return", "warehouse", None),
    "updateCarrier": ("Carrier", "register-admin", "customer-service"),
}
TABLES = {"Customer": "customer", "Delivery": "delivery", "Return": "returns", "Carrier": "carrier"}


def test_every_change_of_a_row_that_could_set_nothing_is_asked_here() -> None:
    found = {
        name
        for name, of in load_model().mutations.items()
        if "ifVersion" in of.input.fields and any(one.coordinate for one in of.input.fields.values())
    }
    # A note and a decision must be given; an order says which of its two steps is missing.
    assert found - {"addOrderNote", "setMarketingConsent", "updateOrder"} == set(ASKERS)


@pytest.mark.parametrize("with_version", [False, True])
@pytest.mark.parametrize("mutation", ASKERS)
def test_a_change_that_sets_nothing_is_told_so_and_raises_no_version(
    writable: World, mutation: str, with_version: bool
) -> None:
    entity, name, purpose = ASKERS[mutation]
    sent = send(writable, "READY")
    keys: dict[str, Any] = {
        "Customer": sent.customer,
        "Delivery": sent.delivery,
        "Return": return_of(writable, sent),
        "Carrier": writable.askers["carrier"].carrier_id,
    }
    before = row(writable, TABLES[entity], keys[entity])
    expected = {"ifVersion": before["version"]} if with_version else {}
    for key in (keys[entity], uuid.uuid4()):
        given = {"id": global_id(entity, key), **expected}
        payload = change(writable, name, mutation, given, "__typename", purpose)
        (error,) = payload["userErrors"]
        assert (error["code"], error["path"]) == ("REQUIRED", [])
        assert error["message"] == "nothing is given to change"
    assert row(writable, TABLES[entity], keys[entity]) == before
