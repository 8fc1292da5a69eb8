"""An erasure is over when the person and the recipients of their data are told."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.database import Database
from gateway.mail.outbox import ATTEMPTS
from gateway.mail.smtp import Answer
from gateway.privacy.ledger import Entry, Ledger, append, read_ledger, replay
from schema.scalars import global_id
from tests.erasing import (
    DAY,
    HELD,
    OFFICER,
    RIGHTS,
    Person,
    Post,
    asked_for,
    bought,
    delivered,
    found_of,
    new_person,
    of_database,
    request_of,
    sends,
    tick,
)
from tests.shipments import insert
from tests.world import NOW, World
from tests.writing import kept, key_of

pytestmark = pytest.mark.usefixtures("nothing_waits")


def test_it_is_over_when_the_person_and_the_recipients_are_told_and_the_address_goes_with_it(
    writable: World,
) -> None:
    person, post, notices = new_person(writable), Post(), Post()
    delivered(writable, person)
    asked_for(writable, person)
    sends(writable, Post())
    assert tick(writable, 3 * DAY) == 1
    assert request_of(writable, person)["status"] == "EXECUTED"
    assert tick(writable, 3 * DAY) == 0
    sends(writable, post)
    (letter,) = [one for one in post.taken if one.recipient == person.email]
    assert "Order.billingName: 2032-12-31" in letter.body
    # What is kept is refused in part: how to go against that is said (GDPR Article 12(4)).
    assert "complaint with the data\nprotection authority, or go to court" in letter.body
    assert found_of(writable, person) == HELD
    sends(writable, notices, mail=False)
    (notice,) = [one for one in notices.taken if str(person.key) or True][-1:]
    assert notice.recipient == "privacy@posti.example"
    assert person.mark not in notice.body
    assert tick(writable, 3 * DAY) == 1
    request = request_of(writable, person)
    assert (request["status"], request["notified"], request["handled_by"]) == (
        "COMPLETED",
        ["Posti"],
        "clock",
    )
    assert tick(writable, 3 * DAY) == 0
    assert len(kept(writable, "erasure", customer_id=person.key)) == 1


def test_a_message_that_is_given_up_does_not_keep_the_address(writable: World) -> None:
    person = new_person(writable)
    asked_for(writable, person)
    sends(writable, Post())
    tick(writable, 3 * DAY)
    sends(writable, Post(Answer.REFUSED))
    assert found_of(writable, person) == {"mail.recipient"}
    assert tick(writable, 3 * DAY) == 1
    assert found_of(writable, person) == set()
    assert request_of(writable, person)["status"] == "COMPLETED"


def test_each_recipient_of_the_last_180_days_is_told_once_and_tried_again(writable: World) -> None:
    person = new_person(writable)
    old = {"created_at": NOW - 300 * DAY, "handed_over_at": NOW - 299 * DAY, "delivered_at": NOW - 180 * DAY}
    other = next(
        row for row in writable.table("carrier") if row["id"] != writable.askers["carrier"].carrier_id
    )
    delivered(writable, person, **old, carrier_id=other["id"])
    delivered(writable, person)
    delivered(writable, person)
    fields = ["Customer.email"]
    disclosed = {
        "id": uuid.uuid4(),
        "customer_id": person.key,
        "recipient": "Newsletter provider",
        "purpose": "newsletter",
        "at": NOW - 170 * DAY,
        "fields": fields,
        "fields_digest": hashlib.sha256(b"Customer.email").digest(),
        "ref_id": person.key,
        "policy_version": "1",
        "notice_version": "1",
        "request_id": "1",
    }
    insert(writable, ("disclosure", disclosed))
    demanded = uuid.uuid4()
    of_authority = {
        "id": demanded,
        "recipient": "Authorities",
        "purpose": "authority-request",
        "ref_id": demanded,
    }
    insert(writable, ("disclosure", disclosed | of_authority))
    asked_for(writable, person)
    tick(writable, 3 * DAY)
    notices = kept(writable, "erasure_notice", customer_id=person.key)
    assert sorted(row["recipient"] for row in notices) == ["Authorities", "Newsletter provider", "Posti"]
    refs = {row["recipient"]: row["refs"] for row in notices}
    assert refs["Authorities"] == [global_id("Disclosure", demanded)]
    assert (refs["Newsletter provider"], len(refs["Posti"])) == ([person.id], 2)
    disclosure = global_id("Disclosure", disclosed["id"])
    found = f'disclosures(first: 1, where: {{id: {{eq: "{disclosure}"}}}})'
    status = f"{{ {found} {{ nodes {{ noticeStatus }} }} }}"
    assert writable.data(OFFICER, status, None, RIGHTS)["disclosures"]["nodes"] == [{"noticeStatus": "DUE"}]
    post = Post(Answer.LATER)
    for minutes in range(40):
        sends(writable, post, mail=False, after=3 * DAY + timedelta(minutes=minutes))
    told = [
        one for one in post.taken if one.recipient == "privacy@newsletter.example" and person.id in one.body
    ]
    assert len(told) == 1
    assert writable.data(OFFICER, status, None, RIGHTS)["disclosures"]["nodes"] == [{"noticeStatus": "SENT"}]
    ids = {row["id"] for row in notices}
    log = [row for row in writable.table("erasure_notice_attempt") if row["notice_id"] in ids]
    assert sorted(row["outcome"] for row in log if row["outcome"] == "SENT") == ["SENT"] * 3
    assert request_of(writable, person)["notified"] == ["Authorities", "Newsletter provider", "Posti"]


def given_away(world: World, person: Person, at: datetime = NOW - 170 * DAY, **changed: Any) -> str:
    """A disclosure of the person's address to the newsletter's provider, unless told otherwise, by its id."""
    key = uuid.uuid4()
    row = {
        "id": key,
        "customer_id": person.key,
        "recipient": "Newsletter provider",
        "purpose": "newsletter",
        "at": at,
        "fields": ["Customer.email"],
        "fields_digest": hashlib.sha256(b"Customer.email").digest(),
        "ref_id": person.key,
        "policy_version": "1",
        "notice_version": "1",
        "request_id": "1",
    }
    insert(world, ("disclosure", row | changed))
    return global_id("Disclosure", key)


def read_by(
    world: World, person: Person, who: str, at: datetime, decision: str = "ALLOWED", **changed: Any
) -> None:
    """A record of access, as each read by a partner leaves one."""
    carrier = world.askers[who].carrier_id
    kind = "NEWSLETTER" if carrier is None else "CARRIER"
    tokens = kept(world, "partner_token", kind=kind, carrier_id=carrier)
    row = {
        "id": uuid.uuid4(),
        "at": at,
        "principal_id": global_id("PartnerToken", tokens[0]["id"]),
        "role": who,
        "purpose": "newsletter",
        "operation_hash": "ab",
        "fields": ["Customer.email"],
        "subject_ids": [person.key],
        "policy_version": "1",
        "notice_version": "1",
        "request_id": "1",
        "decision": decision,
    }
    insert(world, ("access_record", row | changed))


@pytest.mark.parametrize(
    ("last", "decision", "is_told"),
    [
        (NOW - DAY, "ALLOWED", True),
        (NOW - DAY, "REFUSED", False),
        (NOW - 200 * DAY, "ALLOWED", False),
    ],
)
def test_who_has_read_again_is_told_although_it_was_given_all_of_it_long_ago(
    writable: World, last: datetime, decision: str, is_told: bool
) -> None:
    """A disclosure is written once, a record of access each time."""
    person = new_person(writable)
    given_away(writable, person, NOW - 200 * DAY)
    read_by(writable, person, "newsletter", last, decision)
    asked_for(writable, person)
    tick(writable, 3 * DAY)
    notices = kept(writable, "erasure_notice", customer_id=person.key)
    wanted = [("Newsletter provider", [person.id])] if is_told else []
    assert [(row["recipient"], row["refs"]) for row in notices] == wanted


def test_a_carrier_that_has_looked_again_is_told_by_its_name_of_what_it_carried_long_ago(
    writable: World,
) -> None:
    person = new_person(writable)
    times = {
        "created_at": NOW - 205 * DAY,
        "handed_over_at": NOW - 203 * DAY,
        "delivered_at": NOW - 200 * DAY,
    }
    sent = delivered(writable, person, **times)
    of_delivery = {"recipient": "Posti", "purpose": "delivery", "ref_id": sent.delivery}
    given_away(writable, person, NOW - 203 * DAY, **of_delivery, fields=["Delivery.recipientName"])
    delivery = {"purpose": "delivery", "fields": ["Delivery.recipientName"]}
    read_by(writable, person, "carrier", NOW - 120 * DAY, **delivery)
    asked_for(writable, person)
    tick(writable, 3 * DAY)
    notices = kept(writable, "erasure_notice", customer_id=person.key)
    assert [(row["recipient"], row["refs"]) for row in notices] == [("Posti", [sent.delivery_id])]


def status_of(world: World, disclosure: str) -> str:
    """Whether its recipient was told, as the privacy officer sees it."""
    found = (
        f'{{ disclosures(first: 1, where: {{id: {{eq: "{disclosure}"}}}}) {{ nodes {{ noticeStatus }} }} }}'
    )
    (node,) = world.data(OFFICER, found, None, RIGHTS)["disclosures"]["nodes"]
    return str(node["noticeStatus"])


def test_a_notice_that_nobody_takes_is_shown_to_the_officer_and_goes_once_somebody_mends_it(
    writable: World,
) -> None:
    person = new_person(writable)
    disclosure = given_away(writable, person)
    asked_for(writable, person)
    sends(writable, Post())
    tick(writable, 3 * DAY)
    after = 3 * DAY
    for _ in range(ATTEMPTS):
        sends(writable, Post(*[Answer.LATER] * 50), mail=False, after=after)
        after += timedelta(days=1)
    (notice,) = kept(writable, "erasure_notice", customer_id=person.key)
    assert (notice["attempts"], notice["sent_at"]) == (ATTEMPTS, None)
    assert status_of(writable, disclosure) == "FAILED"
    sends(writable, Post(), after=after)
    assert tick(writable, after) == 0
    assert request_of(writable, person)["status"] == "EXECUTED"
    post = Post(Answer.REFUSED)
    sends(writable, post, mail=False, after=after)
    sends(writable, post, mail=False, after=after + DAY - timedelta(seconds=1))
    assert (post.taken, status_of(writable, disclosure)) == ([], "FAILED")
    sends(writable, post, mail=False, after=after + DAY)
    assert [one.recipient for one in post.taken] == ["privacy@newsletter.example"]
    assert status_of(writable, disclosure) == "SENT"
    assert tick(writable, after + DAY) == 1
    request = request_of(writable, person)
    assert (request["status"], request["notified"]) == ("COMPLETED", ["Newsletter provider"])


def carrier_named(world: World, name: str) -> uuid.UUID:
    """A carrier that is on no list of recipients."""
    key = uuid.uuid4()
    insert(
        world,
        ("carrier", {"id": key, "name": name, "contact_email": "contact@carrier.example", "active": True}),
    )
    service = {"carrier_id": key, "code": "HOME", "needs_phone": False, "needs_email": False}
    insert(world, ("carrier_service", service | {"tracking_url": "https://carrier.example/{code}"}))
    return key


def test_a_carrier_by_another_name_is_told_where_the_carrier_is_reached(writable: World) -> None:
    person, post = new_person(writable), Post()
    delivered(writable, person, carrier_id=carrier_named(writable, f"Kuljetus {uuid.uuid4().hex}"))
    asked_for(writable, person)
    tick(writable, 3 * DAY)
    sends(writable, post, mail=False)
    assert [one.recipient for one in post.taken] == ["contact@carrier.example"]


def test_a_carrier_is_told_once_no_order_is_open_any_more_and_others_at_once(writable: World) -> None:
    """It carried an order that is over, and is given name and place of the one that is open after that."""
    person = new_person(writable)
    delivered(writable, person)
    given_away(writable, person)
    asked_for(writable, person)
    open_one = bought(writable, person)["id"]
    tick(writable, 3 * DAY)
    assert told(writable, person) == ["Newsletter provider"]
    key = key_of(open_one)
    closed = "UPDATE delivery SET status = 'DELIVERED', delivered_at = $2 WHERE order_id = $1"
    carrier = writable.askers["carrier"].carrier_id
    writable.execute("UPDATE delivery SET carrier_id = $2 WHERE order_id = $1", key, carrier)
    writable.execute(closed, key, NOW + 4 * DAY)
    tick(writable, 4 * DAY)
    assert told(writable, person) == ["Newsletter provider"]
    writable.execute("UPDATE orders SET status = 'COMPLETED' WHERE id = $1", key)
    tick(writable, 4 * DAY)
    assert told(writable, person) == ["Newsletter provider", "Posti"]
    (notice,) = [
        row for row in kept(writable, "erasure_notice", customer_id=person.key) if row["recipient"] == "Posti"
    ]
    assert len(notice["refs"]) == 2


def told(world: World, person: Person) -> list[str]:
    world.forget()
    return sorted(row["recipient"] for row in kept(world, "erasure_notice", customer_id=person.key))


def test_a_replay_tells_whom_the_ledger_does_not_say_to_be_told(writable: World, tmp_path: Path) -> None:
    """Days passed since the erasure that was lost: whoever carried something 180 days before that is told."""
    person, moment = new_person(writable), NOW - 20 * DAY
    writable.execute("UPDATE erasure SET told_at = at")
    delivered(writable, person, created_at=moment - 200 * DAY, delivered_at=moment - 179 * DAY)
    one = Entry(person.key, uuid.uuid4(), "ACCOUNT", moment - 3 * DAY, moment)
    path = tmp_path / "ledger"
    append(path, [one.line()])
    assert replayed(writable, path) == 1
    assert told(writable, person) == ["Posti"]
    assert [row["kind"] for row in kept(writable, "mail", customer_id=person.key)] == ["erasure-done"]
    tick(writable)
    sends(writable, Post())
    assert write(writable, path) == 1
    assert not read_ledger(path)[0].is_told
    sends(writable, Post(), mail=False)
    assert tick(writable) == 1
    assert (write(writable, path), write(writable, path)) == (1, 0)
    assert read_ledger(path) == [replace(one, is_told=True)]


def test_a_replay_tells_nobody_twice_whatever_the_order_of_the_ledgers(
    writable: World, tmp_path: Path
) -> None:
    person = new_person(writable)
    delivered(writable, person)
    one = Entry(person.key, uuid.uuid4(), "ACCOUNT", NOW - DAY, NOW)
    path = tmp_path / "ledger"
    append(path, [replace(one, is_told=True).line(), one.line()])
    assert replayed(writable, path) == 1
    assert tick(writable) == 1
    assert (told(writable, person), kept(writable, "mail", customer_id=person.key)) == ([], [])


def test_a_replay_sends_nothing_again_of_what_the_backup_holds_for_who_was_told_since(
    writable: World, tmp_path: Path
) -> None:
    person, path = new_person(writable), tmp_path / "ledger"
    delivered(writable, person)
    asked_for(writable, person)
    tick(writable, 3 * DAY)
    request = request_of(writable, person)
    one = Entry(person.key, request["id"], "ACCOUNT", NOW, NOW + 3 * DAY)
    append(path, [one.line()])
    assert replayed(writable, path) == 0
    assert [row["kind"] for row in kept(writable, "mail", customer_id=person.key)] == ["erasure-done"]
    append(path, [replace(one, is_told=True).line()])
    assert replayed(writable, path) == 0
    assert kept(writable, "mail", customer_id=person.key) == []
    post = Post()
    sends(writable, post, mail=False)
    assert (post.taken, told(writable, person)) == ([], ["Posti"])
    assert tick(writable, 3 * DAY) == 1
    request = request_of(writable, person)
    assert (request["status"], request["notified"]) == ("COMPLETED", ["Posti"])


def replayed(world: World, path: Path) -> int:
    """How many people of a ledger are erased again."""
    office = world.gateway.tools.office

    async def step(database: Database) -> int:
        return (await replay(database, read_ledger(path), NOW, office, dry_run=False)).erased

    return int(of_database(world, step))


def write(world: World, path: Path) -> int:
    """How many lines the database's erasures add to a ledger."""
    return int(of_database(world, lambda database: Ledger(database, path).tell(NOW)))
