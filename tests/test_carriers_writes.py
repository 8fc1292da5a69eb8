"""Carriers as the register's administrators change them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from schema.scalars import global_id
from tests.shipments import change, codes, insert, refused, row, together
from tests.world import World

SHOWN = "carrier { id name contactEmail active }"


@pytest.fixture
def carrier(writable: World) -> Iterator[uuid.UUID]:
    """A carrier that nothing is given to."""
    key = uuid7()
    values = {"id": key, "name": f"Testikuljetus {key.hex[-6:]}", "contact_email": "kuljetus@example.com"}
    insert(writable, ("carrier", values))
    yield key
    writable.execute("DELETE FROM carrier WHERE id = $1", key)


def update(world: World, key: uuid.UUID, **given: Any) -> Any:
    return change(world, "register-admin", "updateCarrier", {"id": global_id("Carrier", key), **given}, SHOWN)


def test_a_carrier_is_changed_in_the_form_its_fields_have(writable: World, carrier: uuid.UUID) -> None:
    name = f"Uusi nimi {carrier.hex[-6:]}"
    payload = update(writable, carrier, name=f" {name} ", contactEmail="Uusi@Example.com", active=False)
    stored = row(writable, "carrier", carrier)
    assert payload["carrier"] == {
        "id": global_id("Carrier", carrier),
        "name": name,
        "contactEmail": "uusi@example.com",
        "active": False,
    }
    assert (stored["name"], stored["active"], stored["version"]) == (name, False, 2)


@pytest.mark.parametrize("name", ["name", "contactEmail", "active"])
def test_what_every_carrier_has_is_not_taken_away(writable: World, carrier: uuid.UUID, name: str) -> None:
    assert codes(update(writable, carrier, **{name: None})) == [("REQUIRED", f"Carrier.{name}")]


def test_a_malformed_value_is_refused(writable: World, carrier: uuid.UUID) -> None:
    payload = update(writable, carrier, name="x" * 101, contactEmail="nobody")
    assert codes(payload) == [("MALFORMED", "Carrier.name"), ("MALFORMED", "Carrier.contactEmail")]


def test_another_carriers_name_is_a_conflict_and_changes_nothing(writable: World, carrier: uuid.UUID) -> None:
    payload = update(writable, carrier, name="DHL", active=False)
    assert codes(payload) == [("CONFLICT", "Carrier.name")]
    assert payload["carrier"]["active"] is True
    assert row(writable, "carrier", carrier)["version"] == 1


def test_a_conflict_leaves_the_other_changes_of_the_operation(writable: World, carrier: uuid.UUID) -> None:
    key = global_id("Carrier", carrier)
    text = "mutation ($a: UpdateCarrierInput!, $b: UpdateCarrierInput!) {"
    text += " a: updateCarrier(input: $a) { userErrors { code } }"
    text += " b: updateCarrier(input: $b) { userErrors { code } } }"
    given = {"a": {"id": key, "name": "DHL"}, "b": {"id": key, "active": False}}
    data = writable.data("register-admin", text, given)
    assert data == {"a": {"userErrors": [{"code": "CONFLICT"}]}, "b": {"userErrors": []}}
    assert row(writable, "carrier", carrier)["active"] is False


def test_of_two_updates_of_one_version_at_the_same_moment_one_wins(
    writable: World, carrier: uuid.UUID
) -> None:
    calls = [lambda: update(writable, carrier, ifVersion=1, active=False)] * 2
    found = together(writable, "carrier", carrier, *calls)
    errors = [error for payload in found for error in payload["userErrors"]]
    assert [(error["code"], error["currentVersion"]) for error in errors] == [("CONFLICT", 2)]


def test_a_carrier_that_is_not_there_is_not_found(writable: World) -> None:
    assert codes(update(writable, uuid.uuid4(), active=True)) == [("NOT_FOUND", "Carrier.id")]


def test_nobody_else_changes_a_carrier(writable: World, carrier: uuid.UUID) -> None:
    given = {"id": global_id("Carrier", carrier), "active": False}
    for name in ("carrier", "warehouse", "support", "customer", "anonymous"):
        assert refused(writable, name, "updateCarrier", given) == ["Mutation.updateCarrier"]
    assert row(writable, "carrier", carrier)["active"] is True
