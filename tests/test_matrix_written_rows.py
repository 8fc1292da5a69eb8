"""The access matrix on writing, row by row: a change takes effect on exactly the rows the matrix means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from schema.model import load_model
from schema.mutation import Mutation
from schema.scalars import global_id
from tests.naive_rules import TABLES, Register, Rights
from tests.test_matrix import asker_of
from tests.test_matrix_writes import entity_of, purposes_of, sample, ways, written
from tests.world import World

pytestmark = pytest.mark.slow

MUTATIONS = load_model().mutations
ASKERS = (
    *("customer", "customer-2", "one-order", "support", "register-admin", "warehouse", "finance"),
    *("carrier", "carrier-2"),
)
# Values that the gateway takes as they are, so that nothing but the rows decides.
VALID: dict[str, Any] = {
    "marketingConsent": False,
    "firstName": "Aino",
    "surname": "Demo",
    "streetAddress": "Demokatu 1",
    "postalCode": "00100",
    "postalTown": "Helsinki",
    "countryCode": "FI",
    "phone": "+358401234567",
    "email": "aino@example.com",
    "name": "Demo Carrier",
    "contactEmail": "carrier@example.com",
    "recipientName": "Aino Demo",
    "recipientPhone": "+358401234567",
    "recipientEmail": "aino@example.com",
    "refundIban": "FI2112345600000785",
}
# A carrier reports the other statuses.
BY_HAND = {("updateDelivery", "status"): "READY"}


def changing_rows() -> list[str]:
    """The mutations that change a row they are told by its id."""
    return [name for name, root in MUTATIONS.items() if {"id", "ifVersion"} <= root.input.fields.keys()]


def granted(world: World, mutation: str) -> Iterator[tuple[str, str | None]]:
    """Who may call a mutation, for which purposes."""
    for name in ASKERS:
        role = world.askers[name].role
        for purpose in purposes_of(role):
            if Rights(role, purpose).rules(f"Mutation.{mutation}", "X"):
                yield name, purpose


@contextmanager
def undone(world: World, table: str) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table, which are as before afterwards."""
    rows = world.rows()[table]
    yield rows
    names = [name for name in rows[0] if name != "id"]

    async def restore(connection: Any) -> None:
        changed = ", ".join(f'"{name}" = ${number}' for number, name in enumerate(names, 2))
        await connection.executemany(
            f'UPDATE "{table}" SET {changed} WHERE id = $1',
            [(row["id"], *(row[name] for name in names)) for row in rows],
        )

    world.run(restore)


# ---------------------------------------------------------------- what becomes of a row


def outcome(world: World, name: str, purpose: str | None, root: Mutation, given: dict[str, Any]) -> Any:
    """`absent`, the coordinates refused on the row, or `reached`."""
    way = ways(root, given)[0]
    document = way.document.replace("__typename", "userErrors { code currentVersion coordinate }")
    status, body = world.ask(name, document, way.variables, purpose)
    assert status == 200, body
    if "errors" in body:
        assert {error["extensions"]["code"] for error in body["errors"]} == {"FIELD_FORBIDDEN"}, body
        return {error["extensions"]["coordinate"] for error in body["errors"]}
    found = {(error["code"], error["coordinate"]) for error in body["data"][root.name]["userErrors"]}
    return "absent" if ("NOT_FOUND", f"{entity_of(root)}.id") in found else "reached"


def wanted(register: Register, root: Mutation, row: Any, given: dict[str, Any]) -> Any:
    """What the matrix makes of a row: it is not there, or these coordinates may not be changed on it."""
    entity = entity_of(root)
    if not register.visible(entity, row):
        return "absent"
    refused = {
        coordinate
        for coordinate, use in written(root.input, given)
        if not any(register.holds(rule, entity, row) for rule in register.rights.rules(coordinate, use))
    }
    return refused or "reached"


@pytest.mark.parametrize("mutation", changing_rows())
def test_each_row_is_there_or_not_and_may_be_changed_or_not_as_the_matrix_says(
    writable: World, mutation: str
) -> None:
    """Asked with a version that no row has, so that the row is judged and nothing is changed."""
    root = MUTATIONS[mutation]
    entity = entity_of(root)
    writable.forget()
    before = writable.rows()
    found: set[str] = set()
    for name, purpose in granted(writable, mutation):
        register = Register(before, asker_of(writable, name, purpose), writable.now)
        settable = {
            field.name: BY_HAND.get(
                (mutation, field.name), VALID.get(field.name, sample(root.input, field.name, entity))
            )
            for field in root.input.fields.values()
            if field.coordinate and register.rights.may_set(field.coordinate, "U")
        }
        for row in before[TABLES[entity]]:
            given = {"id": global_id(entity, row["id"]), "ifVersion": 2_000_000_000, **settable}
            expected = wanted(register, root, row, given)
            seen = outcome(writable, name, purpose, root, given)
            assert seen == expected, (name, purpose, row["id"])
            found.add(seen if isinstance(seen, str) else "refused")
    assert {"absent", "reached"} <= found or entity == "Carrier"
    writable.forget()
    writable.forget()
    assert writable.register() == {name: before[name] for name in writable.register()}


# ---------------------------------------------------------------- what a change does


def test_a_profile_is_changed_on_exactly_the_rows_the_matrix_means(writable: World) -> None:
    root, changed = MUTATIONS["updateCustomer"], 0
    for name, purpose in granted(writable, "updateCustomer"):
        writable.forget()
        with undone(writable, "customer") as before:
            register = Register(writable.rows(), asker_of(writable, name, purpose), writable.now)
            expected = set()
            for row in before:
                given = {"id": global_id("Customer", row["id"]), "firstName": "Marked", "phone": None}
                seen = outcome(writable, name, purpose, root, given)
                assert seen == wanted(register, root, row, given), (name, purpose)
                if seen == "reached" and row["erased_at"] is None:  # an erased row stays empty
                    expected.add(row["id"])
            writable.forget()
            after = {row["id"]: row for row in writable.table("customer")}
            for row in before:
                new = after[row["id"]]
                if row["id"] not in expected:
                    assert new == row
                    continue
                assert (new["first_name"], new["phone"], new["version"]) == (
                    "Marked",
                    None,
                    row["version"] + 1,
                )
                kept = {"first_name", "phone", "version", "last_active_at"}
                assert {key: new[key] for key in new if key not in kept} == {
                    key: row[key] for key in row if key not in kept
                }
            assert 0 < len(expected) < len(before) or name == "one-order"
            changed += len(expected)
    assert changed


def test_a_decision_on_the_newsletter_is_recorded_for_exactly_the_rows_the_matrix_means(
    writable: World,
) -> None:
    root = MUTATIONS["setMarketingConsent"]
    for name, purpose in granted(writable, "setMarketingConsent"):
        writable.forget()
        with undone(writable, "customer") as before:
            known = {row["id"] for row in writable.table("consent_event")}
            register = Register(writable.rows(), asker_of(writable, name, purpose), writable.now)
            expected = []
            for row in before:
                given = {"id": global_id("Customer", row["id"]), "marketingConsent": False}
                seen = outcome(writable, name, purpose, root, given)
                assert seen == wanted(register, root, row, given), (name, purpose)
                expected += [row["id"]] if seen == "reached" and row["erased_at"] is None else []
            writable.forget()
            events = [row for row in writable.table("consent_event") if row["id"] not in known]
            assert sorted(event["customer_id"] for event in events) == sorted(expected)
            assert {event["state"] for event in events} <= {"WITHDRAWN", "REFUSED"}
            writable.execute(
                "DELETE FROM consent_event WHERE id = ANY($1)", [event["id"] for event in events]
            )
