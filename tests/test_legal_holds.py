"""Holds: placed on rows the caller sees and fields they may read, released by whoever could place them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from gateway.privacy.erasures import Erasures
from schema.scalars import global_id
from tests.erasing import (
    DAY,
    asked_for,
    decided,
    delivered,
    found_of,
    new_person,
    of_database,
    quiet,
    tick,
)
from tests.shipments import in_turn, return_of, rows, send
from tests.test_disclosures import customer_of, marked
from tests.test_records import recorded
from tests.world import World
from tests.writing import USER_ERRORS, at_once, kept, key_of, mistakes

HOLD = "legalHold { id basis until target fields placedBy releasedAt }"
PLACE = f"""mutation ($input: PlaceLegalHoldInput!) {{
    placeLegalHold(input: $input) {{ {HOLD} {USER_ERRORS} }} }}"""
RELEASE = f"""mutation ($input: ReleaseLegalHoldInput!) {{
    releaseLegalHold(input: $input) {{ {HOLD} {USER_ERRORS} }} }}"""
OFFICER, FINANCE = ("privacy-officer", "subject-rights"), ("finance", "accounting")
BILLING = ["Order.billingName", "Order.billingAddress"]


def wanted(target: str, **changed: Any) -> dict[str, Any]:
    """The input of a hold on the billing data of an order."""
    return {"target": target, "fields": BILLING, "basis": "Test claim 7", "until": "2030-12-31"} | changed


def place(world: World, who: tuple[str, str], given: Mapping[str, Any]) -> Any:
    """The hold that was placed."""
    payload = world.data(who[0], PLACE, {"input": given}, who[1])["placeLegalHold"]
    assert payload["userErrors"] == []
    return payload["legalHold"]


def release(world: World, who: tuple[str, str], hold: str) -> Any:
    """The payload of a release."""
    return world.data(who[0], RELEASE, {"input": {"id": hold}}, who[1])["releaseLegalHold"]


def noted(world: World, key: uuid.UUID) -> list[tuple[str, str, str]]:
    found = rows(world, "change", "entity_id", key)
    return sorted((one["field"], one["source"], one["actor"]) for one in found)


def employee(world: World, name: str) -> str:
    key = world.askers[name].employee_id
    assert key is not None
    return global_id("Employee", key)


def test_a_hold_says_what_is_held_why_until_when_and_by_whom(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    hold = place(writable, FINANCE, wanted(sent.order_id, fields=[*BILLING, "Order.billingName"]))
    assert hold == {
        "id": hold["id"],
        "basis": "Test claim 7",
        "until": "2030-12-31",
        "target": sent.order_id,
        "fields": sorted(BILLING),
        "placedBy": employee(writable, "finance"),
        "releasedAt": None,
    }
    (row,) = kept(writable, "legal_hold", id=key_of(hold["id"]))
    assert (row["customer_id"], row["order_id"], row["target_id"]) == (sent.customer, sent.order, sent.order)
    assert noted(writable, key_of(hold["id"])) == [
        (field, "STAFF", employee(writable, "finance")) for field in ("basis", "fields", "target", "until")
    ]


@pytest.mark.parametrize("entity", ["Customer", "Order", "Delivery", "Return"])
def test_each_kind_of_row_is_held_with_what_belongs_to_it(writable: World, entity: str) -> None:
    sent = send(writable, "DELIVERED")
    keys = {"Customer": sent.customer, "Order": sent.order, "Delivery": sent.delivery}
    key = keys.get(entity) or return_of(writable, sent, "REQUESTED")
    fields = {
        "Customer": ["Customer.email", "Order.billingName"],
        "Order": ["Delivery.recipientName", "Return.reasonText"],
        "Delivery": ["Delivery.signedBy", "DeliveryEvent.note"],
        "Return": ["Return.refundIban", "ReturnLine.quantity"],
    }[entity]
    hold = place(writable, OFFICER, wanted(global_id(entity, key), fields=fields))
    (row,) = kept(writable, "legal_hold", id=key_of(hold["id"]))
    order = None if entity == "Customer" else sent.order
    assert (row["customer_id"], row["order_id"], row["target_id"]) == (sent.customer, order, key)


def test_releasing_is_recorded_and_deletes_nothing(writable: World) -> None:
    hold = place(writable, OFFICER, wanted(send(writable, "DELIVERED").order_id))
    payload = release(writable, OFFICER, hold["id"])
    assert payload["userErrors"] == []
    assert payload["legalHold"] == {**hold, "releasedAt": payload["legalHold"]["releasedAt"]}
    (row,) = kept(writable, "legal_hold", id=key_of(hold["id"]))
    officer = employee(writable, "privacy-officer")
    assert (row["released_at"], row["released_by"]) == (writable.now, officer)
    assert ("releasedAt", "STAFF", officer) in noted(writable, key_of(hold["id"]))


@pytest.mark.parametrize("ends", ["released", "over"])
def test_a_hold_that_has_ended_is_not_released(writable: World, ends: str) -> None:
    today = writable.now.date()
    hold = place(writable, OFFICER, wanted(send(writable, "DELIVERED").order_id, until=str(today)))
    if ends == "released":
        release(writable, OFFICER, hold["id"])
        payload = release(writable, OFFICER, hold["id"])
    else:
        with writable.at(writable.now + timedelta(days=1)):
            payload = release(writable, OFFICER, hold["id"])
    (found,) = payload["userErrors"]
    assert (found["code"], found["coordinate"]) == ("INVALID_TRANSITION", "LegalHold.releasedAt")


def test_both_are_on_the_record_with_their_customer(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    with recorded(writable) as placing:
        hold = place(writable, OFFICER, wanted(sent.order_id))
    with recorded(writable) as releasing:
        release(writable, OFFICER, hold["id"])
    for records, field in ((placing, "LegalHold.basis"), (releasing, "LegalHold.releasedAt")):
        assert any(field in one["fields"] and one["subject_ids"] == [sent.customer] for one in records)


def test_the_same_key_places_one_hold_also_at_once(writable: World) -> None:
    given = wanted(send(writable, "DELIVERED").order_id, idempotencyKey=str(uuid.uuid4()))
    before = len(kept(writable, "legal_hold"))
    found = at_once(*(lambda: place(writable, FINANCE, given) for _ in range(4)))
    assert len({one["id"] for one in found}) == 1
    assert len(kept(writable, "legal_hold")) == before + 1
    other = {**given, "basis": "Another claim"}
    assert mistakes(writable, "finance", PLACE, other, "accounting") == [
        ("CONFLICT", "PlaceLegalHoldInput.idempotencyKey", "idempotencyKey")
    ]


@pytest.mark.parametrize("entity", ["Customer", "Delivery"])
def test_who_does_not_see_a_row_holds_nothing_of_it(writable: World, entity: str) -> None:
    sent = send(writable, "DELIVERED")
    key = sent.customer if entity == "Customer" else sent.delivery
    # Of a delivery nothing may be named that finance reads, of a customer what is of their orders.
    given = wanted(global_id(entity, key), fields=["Order.total"])
    found = mistakes(writable, "finance", PLACE, given, "accounting")
    wrong = ("NOT_FOUND", "Customer.id", "")
    assert found == [wrong if entity == "Customer" else ("OUT_OF_RANGE", "LegalHold.fields", "fields/0")]


def test_an_order_of_a_restricted_customer_is_the_privacy_officers_alone_to_hold(writable: World) -> None:
    owner = marked(writable, "restricted_at")
    order = next(one for one in writable.table("orders") if one["customer_id"] == owner)
    target = global_id("Order", order["id"])
    found = mistakes(writable, "finance", PLACE, wanted(target), "accounting")
    assert found == [("NOT_FOUND", "Order.id", "target")]
    hold = place(writable, OFFICER, wanted(target))
    assert mistakes(writable, "finance", RELEASE, {"id": hold["id"]}, "accounting") == [
        ("NOT_FOUND", "LegalHold.id", "id")
    ]


@pytest.mark.parametrize(
    ("who", "changed", "coordinate"),
    [
        (FINANCE, {"fields": ["Order.total", "Customer.email"]}, "Customer.email"),
        (FINANCE, {"fields": ["Order.internalNote"]}, "Order.internalNote"),
        (OFFICER, {"fields": ["Customer.unsubscribeUrl"]}, "Customer.unsubscribeUrl"),
        (OFFICER, {"fields": ["no coordinate"]}, "PlaceLegalHoldInput.fields"),
        (OFFICER, {"fields": ["Customer.passwordHash"]}, "PlaceLegalHoldInput.fields"),
    ],
)
def test_a_field_that_the_caller_may_not_read_is_refused_before_any_sql(
    writable: World, who: tuple[str, str], changed: dict[str, Any], coordinate: str
) -> None:
    given = wanted(global_id("Order", uuid.uuid4()), **changed)
    with writable.recorded() as statements:
        status, body = writable.ask(who[0], PLACE, {"input": given}, who[1])
    (error,) = body["errors"]
    assert (error["extensions"]["code"], error["extensions"]["coordinate"]) == ("FIELD_FORBIDDEN", coordinate)
    # Who asks may have to be looked up.
    assert (status, [one for one in statements if "designation d" not in one]) == (200, [])


def test_who_may_not_read_what_is_held_does_not_release_it(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    hold = place(writable, OFFICER, wanted(sent.order_id, fields=["Order.total", "Delivery.recipientName"]))
    _, body = writable.ask("finance", RELEASE, {"input": {"id": hold["id"]}}, "accounting")
    (error,) = body["errors"]
    assert error["extensions"]["coordinate"] == "Delivery.recipientName"
    (row,) = kept(writable, "legal_hold", id=key_of(hold["id"]))
    assert row["released_at"] is None


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"fields": []}, ("REQUIRED", "LegalHold.fields", "fields")),
        ({"fields": ["Order.total", "Customer.email"]}, ("OUT_OF_RANGE", "LegalHold.fields", "fields/1")),
        ({"fields": ["Order.customer"]}, ("OUT_OF_RANGE", "LegalHold.fields", "fields/0")),
        ({"fields": ["Disclosure.recipient"]}, ("OUT_OF_RANGE", "LegalHold.fields", "fields/0")),
        ({"basis": "  "}, ("MALFORMED", "LegalHold.basis", "basis")),
        ({"basis": "Call 040 123 4567"}, ("MALFORMED", "LegalHold.basis", "basis")),
        ({"basis": "x" * 201}, ("MALFORMED", "LegalHold.basis", "basis")),
        ({"until": "yesterday"}, ("OUT_OF_RANGE", "LegalHold.until", "until")),
    ],
)
def test_what_is_wrong_with_a_hold_is_said_and_nothing_is_placed(
    writable: World, changed: dict[str, Any], wrong: tuple[str, str, str]
) -> None:
    if changed.get("until"):
        changed = {"until": str(writable.now.date() - timedelta(days=1))}
    before = len(kept(writable, "legal_hold"))
    given = wanted(send(writable, "DELIVERED").order_id, **changed)
    assert mistakes(writable, OFFICER[0], PLACE, given, OFFICER[1]) == [wrong]
    assert len(kept(writable, "legal_hold")) == before


def test_a_hold_may_end_on_its_first_day(writable: World) -> None:
    today = writable.now.date()
    hold = place(writable, OFFICER, wanted(send(writable, "DELIVERED").order_id, until=str(today)))
    assert date.fromisoformat(hold["until"]) == today


@pytest.mark.parametrize("entity", ["Carrier", "LegalHold", "Employee"])
def test_what_is_no_row_of_a_customers_is_not_held(writable: World, entity: str) -> None:
    given = wanted(global_id(entity, uuid.uuid4()))
    _, body = writable.ask(OFFICER[0], PLACE, {"input": given}, OFFICER[1])
    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_ID"]


def test_a_customer_sees_the_basis_and_the_day_of_a_hold_on_their_data(writable: World) -> None:
    place(writable, OFFICER, wanted(global_id("Customer", customer_of(writable)), fields=["Customer.email"]))
    found = writable.data("customer", "{ legalHolds { nodes { basis until } } }")["legalHolds"]["nodes"]
    assert {"basis": "Test claim 7", "until": "2030-12-31"} in found


@pytest.mark.parametrize("entity", ["Delivery", "Return"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_hold_at_the_moment_of_an_erasure_keeps_what_it_names_or_comes_after_it(
    writable: World, entity: str, is_first: bool
) -> None:
    quiet(writable)
    person = new_person(writable)
    sent = delivered(writable, person)
    back = return_of(writable, sent, "CLOSED", reason_text=f"rikki{person.mark}")
    target = {"Delivery": ("delivery", sent.delivery), "Return": ("returns", back)}[entity]
    field, column = {
        "Delivery": ("Delivery.signedBy", "delivery.signed_by"),
        "Return": ("Return.reasonText", "returns.reason_text"),
    }[entity]
    request = asked_for(writable, person)["subjectRequest"]["id"]
    decided(writable, request, decision="ACCEPTED")

    def holds() -> Any:
        return place(writable, OFFICER, wanted(global_id(entity, target[1]), fields=[field]))

    def erases() -> Any:
        return tick(writable, 3 * DAY)

    if is_first:
        # The hold is inserted, and waits to be noted, while the erasure begins.
        hold, count = in_turn(writable, "LOCK TABLE change IN SHARE ROW EXCLUSIVE MODE", holds, erases)
    else:
        row = f"SELECT FROM {target[0]} WHERE id = '{target[1]}' FOR UPDATE"
        count, hold = in_turn(writable, row, erases, holds)
    assert (count, len(kept(writable, "legal_hold", id=key_of(hold["id"])))) == (1, 1)
    assert (column in found_of(writable, person)) is is_first
    assert "customer.email" not in found_of(writable, person)


def test_a_hold_keeps_what_is_cleared_late_at_the_same_moment(writable: World) -> None:
    quiet(writable)
    person = new_person(writable)
    sent = delivered(writable, person)
    asked_for(writable, person)
    tick(writable, 3 * DAY)
    quiet(writable)
    writable.execute("UPDATE delivery SET signed_by = $2 WHERE id = $1", sent.delivery, f"Myöhä{person.mark}")
    given = wanted(global_id("Delivery", sent.delivery), fields=["Delivery.signedBy"])
    office, moment = writable.gateway.tools.office, writable.now + 4 * DAY
    in_turn(
        writable,
        "LOCK TABLE change IN SHARE ROW EXCLUSIVE MODE",
        lambda: place(writable, OFFICER, given),
        lambda: of_database(writable, lambda database: Erasures(database, office).clear_late(moment)),
    )
    assert "delivery.signed_by" in found_of(writable, person)
