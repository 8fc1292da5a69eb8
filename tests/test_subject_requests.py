"""What people ask about their data: asked for, taken back, decided, put off; restriction."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from schema.scalars import global_id
from tests.erasing import (
    DAY,
    OFFICER,
    RIGHTS,
    SERVICE,
    Person,
    Post,
    asked,
    asked_for,
    bought,
    code_of,
    decided,
    delivered,
    document,
    found_of,
    lifts,
    new_person,
    sends,
    tick,
)
from tests.shipments import insert
from tests.world import NOW, World
from tests.writing import GUEST, PLACE, another_gateway, at_once, basket, holder, kept, key_of

pytestmark = pytest.mark.usefixtures("nothing_waits")


def test_a_request_is_told_to_the_person_and_taken_back_until_it_is_done(writable: World) -> None:
    person = new_person(writable)
    request = asked_for(writable, person)["subjectRequest"]
    (letter,) = [
        row for row in kept(writable, "mail", customer_id=person.key) if row["kind"] == "erasure-asked"
    ]
    assert (letter["recipient"], "18.6.2026" in letter["body"]) == (person.email, True)
    payload = asked(writable, person.name, "withdrawSubjectRequest", id=request["id"])
    assert (payload["userErrors"], payload["subjectRequest"]["status"]) == ([], "WITHDRAWN")
    assert tick(writable, 30 * DAY) == 0
    again = asked(writable, person.name, "withdrawSubjectRequest", id=request["id"])
    assert code_of(again) == "INVALID_TRANSITION SubjectRequest.status"
    assert asked_for(writable, person)["subjectRequest"]["id"] != request["id"]


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_what_a_person_is_told_goes_to_the_address_they_confirmed_whatever_the_profile_says(
    writable: World, is_confirmed: bool
) -> None:
    person = new_person(writable, confirmed=is_confirmed)
    noted = f"muu{person.mark}@person.example"
    writable.execute("UPDATE customer SET email = $2 WHERE id = $1", person.key, noted)
    sends(writable, Post())
    asked_for(writable, person)
    to = person.email if is_confirmed else noted
    letters = kept(writable, "mail", customer_id=person.key)
    assert [(row["kind"], row["recipient"]) for row in letters] == [("erasure-asked", to)]
    tick(writable, 3 * DAY)
    letters = kept(writable, "mail", customer_id=person.key)
    assert [(row["kind"], row["recipient"]) for row in letters] == [("erasure-done", to)]
    # Consents were given by the profile's address.
    (proof,) = kept(writable, "consent_proof", customer_id=person.key)
    assert proof["address_digest"] == writable.gateway.tools.office.proof_of(noted)


def test_asking_again_and_at_once_gives_the_request_that_is_there(writable: World) -> None:
    person = new_person(writable)
    payloads = at_once(*[lambda: asked_for(writable, person)] * 4)
    assert len({one["subjectRequest"]["id"] for one in payloads}) == 1
    by_officer = asked(writable, OFFICER, "requestErasure", RIGHTS, customer=person.id)
    assert by_officer["subjectRequest"]["id"] == payloads[0]["subjectRequest"]["id"]
    assert len(kept(writable, "subject_request", customer_id=person.key)) == 1


def test_support_asks_and_takes_back_for_a_customer_and_nobody_for_a_stranger(writable: World) -> None:
    person, other = new_person(writable), new_person(writable)
    payload = asked(writable, "support", "requestErasure", SERVICE, customer=person.id)
    assert payload["subjectRequest"]["channel"] == "EMPLOYEE"
    request = payload["subjectRequest"]["id"]
    assert (
        code_of(asked(writable, other.name, "requestErasure", customer=person.id)) == "NOT_FOUND Customer.id"
    )
    refused = asked(writable, other.name, "withdrawSubjectRequest", id=request)
    assert code_of(refused) == "NOT_FOUND SubjectRequest.id"
    taken = asked(writable, "support", "withdrawSubjectRequest", SERVICE, id=request)
    assert taken["subjectRequest"]["status"] == "WITHDRAWN"
    records = kept(writable, "access_record", role="support")
    assert ([person.key], ["SubjectRequest.status"]) in [
        (row["subject_ids"], row["fields"]) for row in records
    ]
    assert (
        code_of(asked(writable, OFFICER, "requestErasure", RIGHTS)) == "REQUIRED RequestErasureInput.customer"
    )


def test_a_guest_asks_with_the_link_to_their_order_and_the_link_of_an_account_does_not_do(
    writable: World,
) -> None:
    placed = writable.data("anonymous", PLACE, {"input": basket(customer=dict(GUEST))})["placeOrder"]
    name = holder(writable, placed["accessToken"])
    order = key_of(placed["order"]["id"])
    payload = asked(writable, name, "requestErasure")
    assert (payload["userErrors"], payload["subjectRequest"]["status"]) == ([], "RECEIVED")
    (row,) = kept(writable, "subject_request", order_id=order)
    assert row["channel"] == "ORDER_LINK"
    listed = writable.data(name, "{ subjectRequests { nodes { id } } }")["subjectRequests"]["nodes"]
    assert listed == [{"id": payload["subjectRequest"]["id"]}]
    taken = asked(writable, name, "withdrawSubjectRequest", id=payload["subjectRequest"]["id"])
    assert taken["subjectRequest"]["status"] == "WITHDRAWN"
    person = new_person(writable)
    bought_order = key_of(bought(writable, person)["id"])
    link = holder(writable, writable.customer_token(person.key, order=bought_order))
    assert code_of(asked(writable, link, "requestErasure")) == "NOT_ALLOWED Customer.id"


def test_a_guest_takes_back_with_their_link_what_an_employee_entered_for_them(writable: World) -> None:
    placed = writable.data("anonymous", PLACE, {"input": basket(customer=dict(GUEST))})["placeOrder"]
    name, order = holder(writable, placed["accessToken"]), key_of(placed["order"]["id"])
    (row,) = kept(writable, "orders", id=order)
    guest = global_id("Customer", row["customer_id"])
    request = asked(writable, "support", "requestErasure", SERVICE, customer=guest)["subjectRequest"]
    assert (request["channel"], request["status"]) == ("EMPLOYEE", "RECEIVED")
    taken = asked(writable, name, "withdrawSubjectRequest", id=request["id"])
    assert (taken["userErrors"], taken["subjectRequest"]["status"]) == ([], "WITHDRAWN")
    # Whoever holds a link to one order of an account finds no request of the account's by it.
    person = new_person(writable)
    link = writable.customer_token(person.key, order=key_of(bought(writable, person)["id"]))
    of_account = asked(writable, "support", "requestErasure", SERVICE, customer=person.id)["subjectRequest"]
    refused = asked(writable, holder(writable, link), "withdrawSubjectRequest", id=of_account["id"])
    assert code_of(refused) == "NOT_FOUND SubjectRequest.id"


def test_a_refusal_is_told_with_its_reason_which_is_kept_nowhere_else(writable: World) -> None:
    person = new_person(writable)
    request = asked_for(writable, person)["subjectRequest"]["id"]
    sends(writable, Post())
    without = decided(writable, request, decision="REFUSED")
    assert code_of(without) == "REQUIRED DecideSubjectRequestInput.reason"
    payload = decided(writable, request, decision="REFUSED", reason=f"oikeusjuttu {person.mark}")
    assert payload["subjectRequest"]["status"] == "REFUSED"
    assert payload["subjectRequest"]["handledBy"] == global_id(
        "Employee", writable.askers[OFFICER].employee_id
    )
    columns = {one for one in found_of(writable, person) if not one.startswith(("customer.", "credential."))}
    assert columns == {"mail.body", "mail.recipient", "one_time_link.email"}
    assert tick(writable, 9 * DAY) == 0
    assert (
        code_of(decided(writable, request, decision="ACCEPTED")) == "INVALID_TRANSITION SubjectRequest.status"
    )


def test_an_answer_is_put_off_once_by_two_months_at_most_and_within_the_first(writable: World) -> None:
    person = new_person(writable)
    request = asked(writable, person.name, "requestRestriction")["subjectRequest"]["id"]
    given = {"extendedTo": "2026-09-15T12:00:00Z", "reason": "paljon pyyntöjä"}
    for until in ("2026-09-15T12:00:01Z", "2026-07-15T12:00:00Z"):
        wrong = decided(writable, request, **{**given, "extendedTo": until})
        assert code_of(wrong) == "OUT_OF_RANGE SubjectRequest.extendedTo"
    assert code_of(decided(writable, request)) == "REQUIRED DecideSubjectRequestInput"
    due = "UPDATE subject_request SET due_at = due_at + $2::interval WHERE id = $1"
    writable.execute(due, key_of(request), -31 * DAY)
    late = decided(writable, request, **given)
    assert code_of(late) == "INVALID_TRANSITION SubjectRequest.status"
    writable.execute(due, key_of(request), 31 * DAY)
    payload = decided(writable, request, **given)
    assert payload["subjectRequest"]["extendedTo"] == "2026-09-15T12:00:00.000000Z"
    assert payload["subjectRequest"]["dueAt"] == "2026-07-15T12:00:00.000000Z"
    assert code_of(decided(writable, request, **given)) == "INVALID_TRANSITION SubjectRequest.status"


@pytest.mark.parametrize(
    ("received", "due"),
    [("2027-01-31", "2027-02-28"), ("2028-01-31", "2028-02-29"), ("2026-08-31", "2026-09-30")],
)
def test_a_request_is_due_one_calendar_month_later(writable: World, received: str, due: str) -> None:
    person = new_person(writable)
    request = asked(writable, person.name, "requestRestriction")["subjectRequest"]
    moment = NOW.replace(year=int(received[:4]), month=int(received[5:7]), day=int(received[8:]))
    assert asked(writable, person.name, "withdrawSubjectRequest", id=request["id"])["userErrors"] == []
    token = writable.customer_token(person.key, timedelta(days=1), now=moment)
    headers = {"Authorization": f"Bearer {token}"}
    body = document("requestRestriction")
    with writable.at(moment):
        answer = writable.post("anonymous", body, {"input": {}}, headers=headers).json()["data"]
    assert answer["requestRestriction"]["subjectRequest"]["dueAt"] == f"{due}T12:00:00.000000Z"


def test_the_overdue_stand_first_in_the_order_of_due_dates(writable: World) -> None:
    query = """{ subjectRequests(where: {status: {in: [RECEIVED, ACCEPTED]}}, orderBy: [{dueAt: ASC}]) {
        nodes { dueAt } } }"""
    nodes = writable.data(OFFICER, query, None, RIGHTS)["subjectRequests"]["nodes"]
    dates = [node["dueAt"] for node in nodes]
    assert dates == sorted(dates)
    assert dates[0] < "2026-06-15"


def test_what_is_overdue_counts_an_answer_that_was_put_off_by_its_later_date(writable: World) -> None:
    query = """query ($at: DateTime!) { subjectRequests(where: {
        status: {in: [RECEIVED, ACCEPTED]},
        or: [{extendedTo: {isNull: true}, dueAt: {lt: $at}}, {extendedTo: {lt: $at}}]
        }, orderBy: [{dueAt: ASC}], first: 100) { nodes { id dueAt } } }"""
    late, put_off = (
        asked(writable, new_person(writable).name, "requestRestriction")["subjectRequest"]["id"]
        for _ in range(2)
    )
    decided(writable, put_off, extendedTo="2026-09-15T12:00:00Z", reason="paljon pyyntöjä")

    def overdue(at: str) -> list[str]:
        found = writable.data(OFFICER, query, {"at": at}, RIGHTS)["subjectRequests"]["nodes"]
        assert [node["dueAt"] for node in found] == sorted(node["dueAt"] for node in found)
        return [node["id"] for node in found if node["id"] in (late, put_off)]

    assert overdue("2026-07-15T12:00:00Z") == []
    assert overdue("2026-07-15T12:00:01Z") == [late]
    assert set(overdue("2026-09-15T12:00:01Z")) == {late, put_off}


def seen_by(world: World, person: Person, sent: Any) -> dict[str, bool]:
    """Who sees the customer, by role."""
    query = f'{{ customer(id: "{person.id}") {{ id }} }}'
    found = {
        who: bool(world.ask(who, query, None, purpose)[1]["data"]["customer"])
        for who, purpose in (
            ("support", SERVICE),
            ("register-admin", SERVICE),
            (OFFICER, RIGHTS),
            (person.name, None),
        )
    }
    order = f'{{ order(id: "{sent.order_id}") {{ id }} }}'
    for who in ("finance", "warehouse"):
        found[who] = bool(world.ask(who, order, None)[1]["data"]["order"])
    delivery = f'{{ delivery(id: "{sent.delivery_id}") {{ id }} }}'
    found["carrier"] = bool(world.ask("carrier", delivery)[1]["data"]["delivery"])
    return found


def test_a_restricted_customer_is_seen_by_themself_and_the_officer_alone_at_once(writable: World) -> None:
    person = new_person(writable)
    sent = delivered(writable, person)
    writable.execute("UPDATE orders SET status = 'DELIVERED' WHERE id = $1", sent.order)
    everybody = seen_by(writable, person, sent)
    assert all(everybody.values())
    request = asked(writable, person.name, "requestRestriction")["subjectRequest"]
    assert seen_by(writable, person, sent) == everybody
    payload = decided(writable, request["id"], decision="ACCEPTED")
    assert payload["subjectRequest"]["status"] == "COMPLETED"
    assert payload["customer"]["status"] == "RESTRICTED"
    few = dict.fromkeys(everybody, False) | {OFFICER: True, person.name: True}
    assert seen_by(writable, person, sent) == few
    lifted = decided(writable, request["id"], decision="LIFTED")
    assert (lifted["subjectRequest"]["decision"], lifted["userErrors"]) == ("LIFTED", [])
    kinds = [row["kind"] for row in kept(writable, "mail", customer_id=person.key)]
    assert {"restriction-begins", "restriction-ends"} <= set(kinds)
    # As long as the person is not told, it holds.
    assert seen_by(writable, person, sent) == few
    sends(writable, Post())
    assert lifts(writable) == 1
    assert seen_by(writable, person, sent) == everybody


def test_a_customer_takes_a_restriction_back(writable: World) -> None:
    person = new_person(writable)
    request = asked(writable, person.name, "requestRestriction")["subjectRequest"]
    again = asked(writable, person.name, "requestRestriction")["subjectRequest"]
    assert again["id"] == request["id"]
    decided(writable, request["id"], decision="ACCEPTED")
    payload = asked(writable, person.name, "withdrawSubjectRequest", id=request["id"])
    assert payload["subjectRequest"]["status"] == "WITHDRAWN"
    assert kept(writable, "customer", id=person.key)[0]["restricted_at"] is None
    assert code_of(decided(writable, request["id"], decision="LIFTED")) == (
        "INVALID_TRANSITION SubjectRequest.status"
    )


def test_who_is_restricted_and_asks_again_is_given_the_restriction_that_is_in_force(
    writable: World,
) -> None:
    person = new_person(writable)
    first = asked(writable, person.name, "requestRestriction")["subjectRequest"]["id"]
    decided(writable, first, decision="ACCEPTED")
    assert asked(writable, person.name, "requestRestriction")["subjectRequest"]["id"] == first
    by_officer = asked(writable, OFFICER, "requestRestriction", RIGHTS, customer=person.id)
    assert by_officer["subjectRequest"]["id"] == first
    again = {"id": uuid.uuid4(), "customer_id": person.key, "kind": "RESTRICTION", "channel": "ACCOUNT"}
    with pytest.raises(asyncpg.UniqueViolationError):
        insert(writable, ("subject_request", {**again, "received_at": NOW, "due_at": NOW + 30 * DAY}))
    decided(writable, first, decision="LIFTED")
    assert asked(writable, person.name, "requestRestriction")["subjectRequest"]["id"] != first


def test_whoever_asks_and_takes_back_again_and_again_has_nobody_mailed_without_end(writable: World) -> None:
    person = new_person(writable)
    headers = writable.askers[person.name].headers
    with another_gateway(writable, throttle_account_limit=3) as other:
        for _ in range(3):
            request = asked_for(other, person)["subjectRequest"]["id"]
            asked(other, person.name, "withdrawSubjectRequest", id=request)
        refused = other.post("anonymous", document("requestErasure"), {"input": {}}, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (
        429,
        "TOO_MANY_ATTEMPTS",
    )
    assert len(kept(writable, "subject_request", customer_id=person.key)) == 3
