"""Erasure: what goes and what stays, done by the clock unless something stands against it."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import SQLModel

from gateway.database import Database
from gateway.privacy.by_hand import preview
from gateway.privacy.erasure import Ordered, erase
from gateway.privacy.erasures import Erasures
from gateway.privacy.treatment import REGISTER, ROWS_GO, ROWS_STAY, going
from schema.model import load_model
from schema.personal import personal_columns
from schema.scalars import global_id
from tests.erasing import (
    DAY,
    HELD,
    OFFICER,
    RIGHTS,
    SERVICE,
    Post,
    asked,
    asked_for,
    bought,
    decided,
    delivered,
    found_of,
    hold,
    new_person,
    of_database,
    quiet,
    request_of,
    sends,
    tick,
)
from tests.shipments import insert
from tests.signing_in import PASSWORD, call, registered
from tests.world import NOW, World
from tests.writing import kept, key_of

pytestmark = pytest.mark.usefixtures("nothing_waits")


def test_every_table_about_a_customer_is_emptied_deleted_or_kept_for_a_reason() -> None:
    about = {column.name.partition(".")[0] for column in personal_columns(load_model())}
    tables = {name for name, of in SQLModel.metadata.tables.items() if "customer_id" in of.columns} & about
    tables |= {"customer", "idempotency", "access_record"}
    known = (*REGISTER, *ROWS_GO, *ROWS_STAY)
    assert tables <= set(known)
    assert len(known) == len(set(known))


def test_of_what_says_who_somebody_is_only_the_voucher_stays() -> None:
    goes = {f"{one.table}.{one.column}" for one in going()}
    telling = ("user.name", "user.contact", "user.content", "user.location", "user.financial.bank")
    left = {
        column.name
        for column in personal_columns(load_model())
        if column.name.partition(".")[0] in REGISTER and column.tag.category.startswith(telling)
    } - goes
    parts = ("name", "street_address", "postal_code", "postal_town", "country_code")
    assert left == {f"orders.billing_{part}" for part in parts}


def test_what_is_emptied_says_who_somebody_is_and_what_stays_does_not() -> None:
    columns = {f"{one.table}.{one.column}" for one in going()}
    assert columns >= {"customer.email", "customer.phone", "customer.subject", "delivery.recipient_name"}
    assert columns >= {"orders.internal_note", "returns.reason_text", "returns.refund_iban"}
    assert not columns & {"orders.billing_name", "orders.total", "orders.number", "consent_event.state"}


def test_a_request_shows_what_would_go_and_what_would_stay_and_changes_nothing(writable: World) -> None:
    person = new_person(writable)
    delivered(writable, person)
    before = found_of(writable, person)
    payload = asked_for(writable, person)
    assert {"Customer.email", "Delivery.recipientName", "Order.internalNote"} <= set(payload["erased"])
    request = payload["subjectRequest"]
    assert (request["status"], request["dueAt"]) == ("RECEIVED", "2026-07-15T12:00:00.000000Z")
    stays = {one["coordinate"]: (one["until"], one["basis"]) for one in request["retained"]}
    assert stays["Order.billingName"] == ("2032-12-31", "Accounting Act 1336/1997 2:10 (R-VOUCHER)")
    assert not set(stays) & set(payload["erased"])
    assert "Return.number" not in stays
    assert tick(writable) == tick(writable, 3 * DAY - timedelta(seconds=1)) == 0
    assert found_of(writable, person) >= before


def test_until_when_a_voucher_stays_the_day_of_the_store_says_and_not_that_of_utc(writable: World) -> None:
    person = new_person(writable)
    order = delivered(writable, person).order
    placed = datetime.fromisoformat("2025-12-31T22:30:00+00:00")
    writable.execute("UPDATE orders SET placed_at = $2 WHERE id = $1", order, placed)
    stays = {
        one["coordinate"]: one["until"] for one in asked_for(writable, person)["subjectRequest"]["retained"]
    }
    assert stays["Order.billingName"] == "2032-12-31"


def test_the_preview_is_of_what_is_there_of_this_person_and_of_what_does_not_stay(writable: World) -> None:
    person = new_person(writable)
    alone = set(asked_for(writable, person)["erased"])
    assert {one.partition(".")[0] for one in alone} <= {"Customer", "ConsentEvent"}
    sent = delivered(writable, person)
    bought(writable, person)
    hold(writable, person, "Order.internalNote", order=sent.order)
    payload = asked_for(writable, person)
    assert {"Customer.email", "Order.customerMessage"} <= set(payload["erased"])
    assert not {one for one in payload["erased"] if one.startswith("Return")}
    number = kept(writable, "customer", id=person.key)[0]["number"]
    office = writable.gateway.tools.office
    found = of_database(writable, lambda database: preview(database, number, NOW, office))
    stays = {one["coordinate"] for one in found.retained}
    assert {"Order.internalNote", "Delivery.recipientName"} <= stays
    assert (set(found.erased), stays & set(found.erased)) == (set(payload["erased"]), set())


def test_after_three_days_nothing_is_left_but_what_the_law_holds(writable: World) -> None:
    person = new_person(writable)
    delivered(writable, person)
    account, token = person.name, uuid.uuid4()
    values = {"id": token, "customer_id": person.key, "created_at": NOW, "expires_at": NOW + DAY}
    request = key_of(asked_for(writable, person)["subjectRequest"]["id"])
    piece = {"document_id": token, "number": 0, "customer_id": person.key, "piece": person.mark.encode()}
    insert(writable, ("export_document", {**values, "request_id": request}), ("export_piece", piece))
    assert tick(writable, 3 * DAY) == 1
    assert found_of(writable, person) == HELD | {"mail.recipient"}
    assert writable.post(account, "{ customers { nodes { id } } }").status_code == 401
    (tombstone,) = kept(writable, "customer", id=person.key)
    assert (tombstone["status"], tombstone["number"]) == ("ERASED", f"E-{person.key}")
    assert {name for name, value in tombstone.items() if value is None} == {
        *("first_name", "surname", "street_address", "postal_code", "postal_town", "country_code"),
        *("phone", "email", "subject", "restricted_at"),
    }
    assert kept(writable, "credential", customer_id=person.key) == []
    order = kept(writable, "orders", customer_id=person.key)[0]
    assert (order["total"], order["billing_name"]) == (30, f"Lasku{person.mark}")
    assert call(writable, "signIn", email=person.email, password=PASSWORD)["accessToken"] is None
    assert registered(writable, person.email).email == person.email


def test_only_finance_and_the_officer_read_what_the_law_holds(writable: World) -> None:
    person = new_person(writable)
    sent = delivered(writable, person)
    asked_for(writable, person)
    tick(writable, 3 * DAY)
    query = f'{{ order(id: "{sent.order_id}") {{ billingName }} }}'
    seen = {}
    for who, purpose in (("finance", "accounting"), (OFFICER, RIGHTS), ("support", SERVICE)):
        seen[who] = writable.ask(who, query, None, purpose)[1]["data"]["order"]["billingName"]
    assert seen == {"finance": f"Lasku{person.mark}", OFFICER: f"Lasku{person.mark}", "support": None}


def test_what_an_open_order_needs_goes_when_it_is_closed(writable: World) -> None:
    person = new_person(writable)
    order = key_of(bought(writable, person)["id"])
    retained = asked_for(writable, person)["subjectRequest"]["retained"]
    assert {"Delivery.recipientName", "Delivery.streetAddress"} <= {
        one["coordinate"] for one in retained if one["until"] is None
    }
    tick(writable, 3 * DAY)
    left = {one for one in found_of(writable, person) if one.startswith(("delivery.", "orders."))}
    billing = {"orders.billing_name", "orders.billing_street_address", "orders.billing_postal_town"}
    assert left == billing | {
        *("delivery.recipient_name", "delivery.recipient_phone", "delivery.recipient_email"),
        *("delivery.street_address", "delivery.postal_town", "delivery.instructions"),
    }
    order_id = global_id("Order", order)
    query = f'{{ order(id: "{order_id}") {{ deliveries {{ nodes {{ recipientName }} }} }} }}'
    shown = writable.data("warehouse", query)
    assert person.mark in json.dumps(shown)
    writable.execute(
        "UPDATE delivery SET status = 'DELIVERED', delivered_at = $2 WHERE order_id = $1", order, NOW
    )
    writable.execute("UPDATE orders SET status = 'COMPLETED' WHERE id = $1", order)
    tick(writable, 5 * DAY)
    assert {one for one in found_of(writable, person) if not one.startswith("mail.")} == billing
    kept_now = json.loads(request_of(writable, person)["retained"])
    assert [one for one in kept_now if one["until"] is None] == []


def test_what_is_written_later_of_who_is_erased_goes_too(writable: World) -> None:
    person = new_person(writable)
    sent = delivered(writable, person)
    asked_for(writable, person)
    sends(writable, Post())
    tick(writable, 3 * DAY)
    sends(writable, Post())
    sends(writable, Post(), mail=False)
    tick(writable, 3 * DAY)
    assert request_of(writable, person)["status"] == "COMPLETED"
    writable.execute("UPDATE delivery SET signed_by = $2 WHERE id = $1", sent.delivery, f"Myöhä{person.mark}")
    writable.execute("UPDATE orders SET internal_note = $2 WHERE id = $1", sent.order, f"Soitti{person.mark}")
    assert found_of(writable, person) == HELD | {"delivery.signed_by", "orders.internal_note"}
    office = writable.gateway.tools.office
    late = of_database(writable, lambda database: Erasures(database, office).clear_late(NOW + 9 * DAY))
    assert late == 1
    assert found_of(writable, person) == HELD


def test_a_consent_is_proved_by_who_knows_the_address_and_is_withdrawn(writable: World) -> None:
    person = new_person(writable)
    consent = """mutation ($input: SetMarketingConsentInput!) { setMarketingConsent(input: $input) {
        userErrors { code } } }"""
    writable.data(person.name, consent, {"input": {"id": person.id, "marketingConsent": True}})
    asked_for(writable, person)
    tick(writable, 3 * DAY)
    (proof,) = kept(writable, "consent_proof", customer_id=person.key)
    assert proof["address_digest"] == writable.gateway.tools.office.proof_of(person.email)
    assert proof["address_digest"] != hashlib.sha256(person.email.encode()).digest()
    events = sorted(kept(writable, "consent_event", customer_id=person.key), key=lambda row: row["at"])
    assert [row["state"] for row in events] == ["REFUSED", "GIVEN", "WITHDRAWN"]
    assert {row["evidence"] for row in events} == {None}


def test_the_clock_waits_for_the_officer_where_a_hold_is_in_force_and_the_held_field_stays(
    writable: World,
) -> None:
    person = new_person(writable)
    sent, other = delivered(writable, person), delivered(writable, person)
    key = hold(writable, person, "Delivery.recipientName", "Order.internalNote", order=sent.order)
    payload = asked_for(writable, person)["subjectRequest"]
    held = {"coordinate": "Order.internalNote", "until": "2027-07-20", "basis": "a claim in court"}
    assert held in payload["retained"]
    assert tick(writable, 9 * DAY) == 0
    accepted = decided(writable, payload["id"], decision="ACCEPTED")
    assert accepted["subjectRequest"]["status"] == "ACCEPTED"
    assert tick(writable) == 0
    assert tick(writable, 3 * DAY) == 1
    assert found_of(writable, person) == HELD | {
        *("mail.recipient", "delivery.recipient_name", "orders.internal_note"),
    }
    assert [row["internal_note"] for row in kept(writable, "orders", id=other.order)] == [None]
    writable.execute("UPDATE legal_hold SET released_at = $2 WHERE id = $1", key, NOW)
    tick(writable, 4 * DAY)
    assert found_of(writable, person) == HELD | {"mail.recipient"}


@pytest.mark.parametrize("over", [{"released_at": NOW}, {"until": (NOW + 2 * DAY).date()}])
def test_a_hold_that_is_over_holds_nothing(writable: World, over: dict[str, Any]) -> None:
    person = new_person(writable)
    hold(writable, person, "Customer.email", **over)
    asked_for(writable, person)
    assert tick(writable, 3 * DAY) == 1
    assert "customer.email" not in found_of(writable, person)


def test_a_number_that_is_held_stays_until_the_hold_ends(writable: World) -> None:
    person = new_person(writable)
    (before,) = kept(writable, "customer", id=person.key)
    key = hold(writable, person, "Customer.number")
    request = asked_for(writable, person)["subjectRequest"]["id"]
    decided(writable, request, decision="ACCEPTED")
    assert tick(writable, 3 * DAY) == 1
    (tombstone,) = kept(writable, "customer", id=person.key)
    assert (tombstone["number"], tombstone["status"]) == (before["number"], "ERASED")
    quiet(writable)
    writable.execute("UPDATE legal_hold SET released_at = $2 WHERE id = $1", key, NOW)
    office = writable.gateway.tools.office
    assert of_database(writable, lambda database: Erasures(database, office).clear_late(NOW + 9 * DAY)) == 1
    assert kept(writable, "customer", id=person.key)[0]["number"] == f"E-{person.key}"


def test_of_who_never_consented_to_anything_no_digest_is_kept(writable: World) -> None:
    person = new_person(writable)
    writable.execute("DELETE FROM consent_event WHERE customer_id = $1", person.key)
    asked_for(writable, person)
    assert tick(writable, 3 * DAY) == 1
    assert kept(writable, "consent_proof", customer_id=person.key) == []


@pytest.mark.parametrize("what", ["hold", "restriction", "withdrawal", "nothing"])
def test_the_clock_looks_again_at_what_it_had_found_due(writable: World, what: str) -> None:
    """What comes between the look for what is due and the erasure counts."""
    person = new_person(writable)
    request = key_of(asked_for(writable, person)["subjectRequest"]["id"])
    match what:
        case "hold":
            hold(writable, person, "Order.total")
        case "restriction":
            writable.execute("UPDATE customer SET restricted_at = $2 WHERE id = $1", person.key, NOW)
        case "withdrawal":
            writable.execute("UPDATE subject_request SET status = 'WITHDRAWN' WHERE id = $1", request)

    async def erases(database: Database) -> bool:
        async with database.transaction(None) as transaction:
            ordered, office = Ordered(request, person.key), writable.gateway.tools.office
            return await erase(transaction, ordered, NOW + 3 * DAY, office)

    assert of_database(writable, erases) is (what == "nothing")
    assert ("customer.email" in found_of(writable, person)) is (what != "nothing")


def test_the_clock_waits_where_the_person_is_restricted(writable: World) -> None:
    person = new_person(writable)
    asked_for(writable, person)
    writable.execute("UPDATE customer SET restricted_at = $2 WHERE id = $1", person.key, NOW)
    assert tick(writable, 9 * DAY) == 0


@pytest.mark.parametrize("what", ["put off", "to be restricted"])
def test_the_clock_leaves_to_the_officer_what_was_put_off_or_is_to_be_restricted(
    writable: World, what: str
) -> None:
    person = new_person(writable)
    request = asked_for(writable, person)["subjectRequest"]["id"]
    if what == "put off":
        given = {"extendedTo": "2026-08-15T12:00:00Z", "reason": "paljon pyyntöjä"}
        assert decided(writable, request, **given)["userErrors"] == []
    else:
        assert asked(writable, person.name, "requestRestriction")["userErrors"] == []
    assert tick(writable, 9 * DAY) == 0
    assert request_of(writable, person)["status"] == "RECEIVED"
    decided(writable, request, decision="ACCEPTED")
    assert tick(writable, 9 * DAY) == 1
    rows = kept(writable, "subject_request", customer_id=person.key, kind="RESTRICTION")
    assert [row["status"] for row in rows] == ([] if what == "put off" else ["WITHDRAWN"])


def test_what_a_hold_kept_of_a_profile_goes_within_an_hour_of_its_release(writable: World) -> None:
    person = new_person(writable)
    key = hold(writable, person, "Customer.phone")
    request = asked_for(writable, person)["subjectRequest"]["id"]
    decided(writable, request, decision="ACCEPTED")
    tick(writable, 3 * DAY)
    sends(writable, Post())
    tick(writable, 3 * DAY)
    assert request_of(writable, person)["status"] == "COMPLETED"
    office = writable.gateway.tools.office

    def late(database: Database) -> Any:
        return Erasures(database, office).clear_late(NOW + 9 * DAY)

    of_database(writable, late)
    assert found_of(writable, person) == {"customer.phone"}
    writable.execute("UPDATE legal_hold SET released_at = $2 WHERE id = $1", key, NOW)
    assert of_database(writable, late) == 1
    assert found_of(writable, person) == set()
