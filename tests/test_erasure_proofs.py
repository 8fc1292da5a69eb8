"""What erasure is proved by: faults at every step, dumps searched, backups restored, and clients at work."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings
from gateway.connections import Transaction
from gateway.database import Database
from gateway.mail.outbox import Outbox
from gateway.privacy import ledger
from gateway.privacy.erasures import Erasures
from gateway.privacy.ledger import Entry, Ledger, read_ledger, replay
from gateway.privacy.notices import Notices
from tests.erasing import (
    DAY,
    HELD,
    Person,
    Post,
    asked_for,
    deliver_all,
    delivered,
    found_of,
    hold,
    new_guest,
    new_person,
    of_database,
    quiet_mail,
    request_of,
    sends,
    tick,
)
from tests.exporting import path_of, requested
from tests.shipments import Sent, insert
from tests.shipments import send as ship
from tests.test_audit_restored import other_server as other_server  # a fixture
from tests.test_audit_restored import programs, restore
from tests.twins import until
from tests.world import NOW, World
from tests.writing import another_gateway, kept

AFTER = 3 * DAY

pytestmark = pytest.mark.usefixtures("nothing_waits")


class Crash(Exception):
    """A worker dies."""


def crashing(patch: pytest.MonkeyPatch, place: int) -> list[str]:
    """Has the statement at this place, and every later one, fail; gives those that were asked before."""
    asked: list[str] = []

    def failing(run: Any) -> Any:
        async def step(self: Transaction, sql: str, values: Any) -> Any:
            if len(asked) >= place:
                raise Crash
            asked.append(sql)
            return await run(self, sql, values)

        return step

    for name in ("row", "rows", "commit"):
        whole = getattr(Transaction, name)
        if name == "commit":

            async def commit(self: Transaction, run: Any = whole) -> None:
                if len(asked) >= place:
                    raise Crash
                asked.append("COMMIT")
                await run(self)

            patch.setattr(Transaction, name, commit)
        else:
            patch.setattr(Transaction, name, failing(whole))
    return asked


def test_a_crash_between_any_two_steps_ends_in_one_whole_erasure(writable: World) -> None:
    """A worker dies before each statement and each commit in turn; the last one is let through."""
    person = new_person(writable)
    delivered(writable, person)
    asked_for(writable, person)
    sends(writable, Post())
    before, place = found_of(writable, person), 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            asked = crashing(patch, place)
            try:
                done = tick(writable, AFTER)
            except Crash:
                done = None
        row = request_of(writable, person)
        if row["status"] == "EXECUTED":
            break
        assert done is None, asked
        # Nothing half done: everything is there, and the request waits.
        assert (row["status"], found_of(writable, person)) == ("RECEIVED", before)
        assert kept(writable, "erasure", customer_id=person.key) == []
        place += 1
    assert place > 25
    assert tick_or_crash(writable) == 1
    assert found_of(writable, person) == HELD
    assert request_of(writable, person)["status"] == "COMPLETED"
    assert len(kept(writable, "erasure", customer_id=person.key)) == 1
    assert len(kept(writable, "erasure_notice", customer_id=person.key)) == 1


def test_a_crash_between_any_two_steps_of_the_end_ends_in_one_whole_erasure(writable: World) -> None:
    """As above, when the open order is closed that the erasure had left something for."""
    person = new_person(writable)
    ship(writable, "IN_TRANSIT", asker=person.name, recipient_name=f"Vastaan{person.mark}")
    asked_for(writable, person)
    sends(writable, Post())
    tick(writable, AFTER)
    assert request_of(writable, person)["status"] == "EXECUTED"
    deliver_all(writable, person)
    quiet_mail(writable)
    before, place = found_of(writable, person), 0
    assert "delivery.recipient_name" in before
    while True:
        with pytest.MonkeyPatch.context() as patch:
            asked = crashing(patch, place)
            try:
                done = tick(writable, 5 * DAY)
            except Crash:
                done = None
        if request_of(writable, person)["status"] == "COMPLETED" or done is not None:
            break
        assert found_of(writable, person) == before, asked
        place += 1
    assert place > 15
    quiet_mail(writable)
    tick(writable, 6 * DAY)
    assert request_of(writable, person)["status"] == "COMPLETED"
    assert found_of(writable, person) <= HELD | {"orders.billing_postal_town"}
    assert len(kept(writable, "erasure", customer_id=person.key)) == 1
    assert len(kept(writable, "erasure_notice", customer_id=person.key)) == 1


def tick_or_crash(world: World) -> int:
    """What follows an erasure, with senders that die after the mail server has taken what they sent."""
    for queue, name in ((Outbox, "forget"), (Notices, "forget")):
        with pytest.MonkeyPatch.context() as patch:

            async def dies(*_: object) -> None:
                raise Crash

            patch.setattr(queue, name, dies)
            with pytest.raises(Crash):
                sends(world, Post(), mail=queue is Outbox, after=AFTER)
    assert tick(world, AFTER) == 0
    sends(world, Post(), after=AFTER + timedelta(hours=1))
    sends(world, Post(), mail=False, after=AFTER + timedelta(hours=1))
    return tick(world, AFTER + timedelta(hours=1))


def test_workers_that_come_at_once_erase_once(writable: World) -> None:
    people = [new_person(writable) for _ in range(3)]
    for person in people:
        asked_for(writable, person)
    writable.execute("DELETE FROM mail")
    office = writable.gateway.tools.office

    async def all_at_once() -> list[int]:
        databases = [Database(writable.gateway.settings) for _ in range(4)]
        try:
            return await asyncio.gather(*(Erasures(one, office).run(NOW + AFTER) for one in databases))
        finally:
            for one in databases:
                await one.close()

    asyncio.run(all_at_once())
    for person in people:
        assert found_of(writable, person) <= {"mail.recipient"}
        assert len(kept(writable, "mail", customer_id=person.key)) == 1
        assert len(kept(writable, "erasure", customer_id=person.key)) == 1


def test_a_worker_does_it_by_itself_and_tells_the_ledger(writable: World, tmp_path: Path) -> None:
    person, path = new_person(writable), tmp_path / "ledger"
    asked_for(writable, person)
    writable.execute("DELETE FROM mail")

    def is_told() -> bool:
        rows = kept(writable, "erasure", customer_id=person.key)
        return bool(rows) and rows[0]["told_at"] is not None

    with writable.at(NOW + AFTER), another_gateway(writable, erasure_seconds=0.05, erasure_ledger=path):
        until(is_told)
    assert found_of(writable, person) <= {"mail.recipient"}
    assert str(person.key) in path.read_text()


# ---------------------------------------------------------------- dumps, backups


def dumped(url: str) -> str:
    dump = [str(programs() / "pg_dump"), "--no-owner", "--no-privileges", url]
    return subprocess.run(dump, capture_output=True, check=True).stdout.decode()


def lines_with(text: str, person: Person, *whole: str) -> list[str]:
    """The lines that hold something that is this person's alone, or one of these as the whole of a value."""
    needles = (person.mark, person.values["phone"])
    return [
        line
        for line in text.splitlines()
        if any(one in line for one in needles) or not set(whole).isdisjoint(line.split("\t"))
    ]


# Nobody else's, as no other test has it.
POSTAL_CODE = "99873"


def filled_everywhere(world: World, person: Person, sent: Sent) -> str:
    """Has each kind of text stand of a person and their order; gives the customer's number."""
    mark, of = person.mark, {"customer_id": person.key}
    world.execute("UPDATE customer SET postal_code = $2 WHERE id = $1", person.key, POSTAL_CODE)
    world.execute(
        "UPDATE consent_event SET evidence = $2 WHERE customer_id = $1", person.key, f"Puhelu{mark}"
    )
    returned = {
        "id": uuid.uuid4(),
        "number": f"R-{uuid.uuid4().hex[:12]}",
        "order_id": sent.order,
        "kind": "DEFECT",
        "status": "CLOSED",
        "requested_at": NOW,
        "reason_text": f"Rikki{mark}",
        "inspection_note": f"Tutkittu{mark}",
        "refund_due_at": NOW + 14 * DAY,
        "refunded_at": NOW,
        "currency": "EUR",
        "refund_iban": f"FI21{mark}",
    }
    event = {
        "id": uuid.uuid4(),
        "delivery_id": sent.delivery,
        "status": "DELIVERED",
        "occurred_at": NOW,
        "place": f"Paikka{mark}",
        "note": f"Naapurille{mark}",
        "idempotency_key": uuid.uuid4(),
    }
    insert(world, ("returns", returned | of), ("delivery_event", event | of))
    return str(kept(world, "customer", id=person.key)[0]["number"])


FILLED = {
    *("consent_event.evidence", "returns.reason_text", "returns.inspection_note", "returns.refund_iban"),
    *("delivery_event.place", "delivery_event.note"),
}


@pytest.mark.slow
def test_after_it_a_dump_the_log_and_the_exports_hold_nothing_but_what_is_held(
    writable: World, logged: Any, tmp_path: Path
) -> None:
    person, guest = new_person(writable), new_guest(writable)
    sent = delivered(writable, person, postal_code=POSTAL_CODE)
    number = filled_everywhere(writable, person, sent)
    assert found_of(writable, person) >= FILLED
    guest_number = kept(writable, "customer", id=guest.key)[0]["number"]
    hold(writable, person, "Delivery.instructions", order=sent.order)
    writable.ask(
        "support", f'{{ customer(id: "{person.id}") {{ firstName email phone }} }}', None, "customer-service"
    )
    copy = path_of(requested(writable, person.name)["link"])
    assert person.mark in writable.client.get(copy).text
    asked_for(writable, person)
    asked_for(writable, guest)
    deliver_all(writable, guest)
    writable.execute(
        "UPDATE legal_hold SET until = $2 WHERE customer_id = $1", person.key, (NOW + DAY).date()
    )
    before = dumped(writable.url)
    assert len(lines_with(before, person)) > 5
    assert len(lines_with(before, guest)) > 2
    assert {number, guest_number, POSTAL_CODE} <= {
        value for line in before.splitlines() for value in line.split("\t")
    }
    tick(writable, AFTER)
    sends(writable, Post())
    sends(writable, Post(), mail=False)
    tick(writable, AFTER)
    dump = dumped(writable.url)
    (order,) = lines_with(dump, person, number, POSTAL_CODE)
    values = order.split("\t")
    assert str(sent.order) in values
    assert [value for value in values if person.mark in value] == [
        *(f"Lasku{person.mark}", f"Laskukatu{person.mark} 1"),
    ]
    # Of the guest, too, the voucher alone.
    (row,) = kept(writable, "orders", customer_id=guest.key)
    (voucher,) = lines_with(dump, guest, guest_number)
    billing = {value for name, value in row.items() if name.startswith("billing_")}
    assert {value for value in voucher.split("\t") if guest.mark in value} <= billing
    # The copy that was made before is gone, with its link; bytes stand in a dump as hexadecimal digits.
    assert writable.client.get(copy).status_code == 404
    assert kept(writable, "export_document", customer_id=person.key) == []
    assert kept(writable, "export_piece", customer_id=person.key) == []
    assert person.mark.encode().hex() not in dump
    marks = [one.mark.encode() for one in (person, guest)]
    assert [line for line in logged.distinct if any(mark in line for mark in marks)] == []
    told = tmp_path / "ledger"
    assert of_database(writable, lambda database: Ledger(database, told).tell(NOW)) >= 1
    assert lines_with(told.read_text(), person) == []
    assert str(person.key) in told.read_text()


@pytest.mark.slow
def test_a_restored_backup_is_erased_again_by_the_ledger(
    writable: World, other_server: str, tmp_path: Path
) -> None:
    person, guest = new_person(writable), new_person(writable)
    delivered(writable, person)
    asked_for(writable, person)
    restore(writable.url, other_server)
    asked_for(writable, guest)  # the backup has neither the request
    tick(writable, AFTER)
    path = tmp_path / "ledger"
    of_database(writable, lambda database: Ledger(database, path).tell(NOW))
    writable.execute("DELETE FROM mail WHERE customer_id = $1", person.key)
    writable.execute("UPDATE erasure_notice SET sent_at = created_at WHERE customer_id = $1", person.key)
    tick(writable, AFTER)  # the person and their recipients are told, the guest is not yet
    assert of_database(writable, lambda database: Ledger(database, path).tell(NOW)) == 1
    assert of_database(writable, lambda database: Ledger(database, path).tell(NOW)) == 0
    office = writable.gateway.tools.office
    restored = replace(writable, url=other_server)
    assert len(found_of(restored, person)) > 10

    def replayed(*, dry_run: bool) -> Any:
        async def run() -> Any:
            database = Database(Settings(database_url=other_server))
            try:
                moment = NOW + 9 * DAY
                return await replay(database, read_ledger(path), moment, office, dry_run=dry_run)
            finally:
                await database.close()

        return asyncio.run(run())

    assert replayed(dry_run=True).erased >= 2
    assert len(found_of(restored, person)) > 10
    assert replayed(dry_run=False).erased >= 2
    assert found_of(restored, person) == HELD
    assert found_of(restored, guest) == {"mail.recipient"}
    # Whoever was told is not told a second time, whoever was not is told now.
    assert [row["kind"] for row in kept(restored, "mail", customer_id=guest.key)] == ["erasure-done"]
    assert kept(restored, "mail", customer_id=person.key) == []
    assert kept(restored, "erasure_notice", customer_id=person.key) == []
    assert request_of(restored, guest)["status"] == "EXECUTED"
    again = replayed(dry_run=False)
    assert (again.erased, again.known >= 2) == (0, True)


def test_a_ledger_is_told_each_erasure_and_survives_a_line_that_was_cut_off(
    writable: World, tmp_path: Path
) -> None:
    person, path = new_person(writable), tmp_path / "ledger"
    writable.execute("UPDATE erasure SET told_at = at")
    asked_for(writable, person)
    tick(writable, AFTER)
    path.write_text('{"customer": "cut o')
    tell = ledger.append
    with pytest.MonkeyPatch.context() as patch:

        def dies(*given: Any) -> None:
            tell(*given)
            raise Crash

        patch.setattr(ledger, "append", dies)
        with pytest.raises(Crash):
            of_database(writable, lambda database: Ledger(database, path).tell(NOW))
    assert of_database(writable, lambda database: Ledger(database, path).tell(NOW)) == 1
    (entry,) = read_ledger(path)
    request = request_of(writable, person)
    assert entry == Entry(person.key, request["id"], "ACCOUNT", NOW, NOW + AFTER)
