"""Many clients at once: each answer has its record, nobody waits for ever, and quotas are exact."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from schema.scalars import global_id
from tests.crowd import CLIENTS, SERVICE, Ask, Given, Scene, allowed, asked, check, whom
from tests.invariants import Ledger, Rows
from tests.logged import Collected
from tests.shipments import send
from tests.world import World
from tests.writing import another_gateway, at_once

ROUNDS = 4
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture
def ledger(writable: World) -> Iterator[Ledger]:
    ledger = Ledger(writable.url)
    begin_anew(ledger, writable)
    yield ledger
    begin_anew(ledger, writable)
    ledger.close()


def begin_anew(ledger: Ledger, *worlds: World) -> None:
    """Nobody has read yet today, nothing is disclosed, and no worker knows better."""
    ledger.execute("TRUNCATE disclosure, daily_subject, daily_reading")
    for world in worlds:
        world.gateway.noted.clear()


def asked_at_once(*asks: tuple[World, Ask]) -> list[Given]:
    return at_once(*[lambda world=world, ask=ask: asked(world, ask) for world, ask in asks])


def deadlocks(world: World) -> int:
    """How many times PostgreSQL has ended a wait of two for each other, as it has counted so far."""

    async def step(connection: Any) -> int:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        return int(await connection.fetchval(DEADLOCKS))

    return int(world.run(step))


def test_of_many_clients_each_answer_has_its_record_and_each_record_its_answer(
    writable: World, ledger: Ledger
) -> None:
    before, waits = allowed(ledger.rows()), deadlocks(writable)
    scene = Scene.of(writable, ledger, send)
    clients = [scene.asks(client, 1) for client in range(CLIENTS)]

    def ask_on(asks: Iterator[Ask]) -> list[Given]:
        return [asked(writable, ask) for ask in itertools.islice(asks, ROUNDS)]

    found = [one for some in at_once(*[lambda asks=asks: ask_on(asks) for asks in clients]) for one in some]
    rows = ledger.rows()
    check(found, rows, writable)
    assert {one.status for one in found} == {200}
    assert len(found) == CLIENTS * ROUNDS
    recorded = {one.request_id for one in found if one.ask.is_recorded()}
    assert allowed(rows).keys() - before.keys() == recorded
    assert deadlocks(writable) == waits
    check_counts(rows)
    for table in ("access_record", "disclosure", "delivery_event"):
        with pytest.raises(AssertionError):
            check(found, {**rows, table: {}}, writable)


def check_counts(rows: Rows) -> None:
    """What is counted of each employee's day is whom they are on record as having read of, once each."""
    for day in rows["daily_reading"].values():
        of = [row for row in rows["daily_subject"].values() if row["employee_id"] == day["employee_id"]]
        assert day["subjects"] == len(of) > 0
    assert {row["employee_id"] for row in rows["daily_reading"].values()} == {
        row["employee_id"] for row in rows["daily_subject"].values()
    }


SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(0.001); RETURN NEW; END $$"""


@contextmanager
def slow_inserts(ledger: Ledger) -> Iterator[None]:
    """What is inserted for one reader is under way long enough to meet another's."""
    tables = ("disclosure", "daily_subject")
    ledger.execute(SLOW)
    for table in tables:
        ledger.execute(f"CREATE TRIGGER slow BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION slow()")
    try:
        yield
    finally:
        ledger.execute("DROP FUNCTION slow CASCADE")


FORTH_AND_BACK = [
    ("support", "{ %s { nodes { id email } } %s { nodes { id email } } }", "customers", SERVICE),
    ("newsletter", "{ %s { nodes { id email } } %s { nodes { id email } } }", "customers", None),
    ("carrier", "{ %s { nodes { id reference } } %s { nodes { id reference } } }", "deliveries", None),
]


@pytest.mark.parametrize(("name", "document", "root", "purpose"), FORTH_AND_BACK)
def test_who_reads_the_same_people_in_another_order_does_not_wait_for_ever(
    writable: World, ledger: Ledger, name: str, document: str, root: str, purpose: str | None
) -> None:
    pages = (f"a: {root}(first: 10)", f"b: {root}(last: 10)")
    forth, back = (Ask(name, document % order, None, purpose) for order in (pages, pages[::-1]))
    waits = deadlocks(writable)
    with another_gateway(writable) as other, slow_inserts(ledger):
        for turn in range(ROUNDS):
            begin_anew(ledger, writable, other)
            asks = [(world, ask) for world in (writable, other) for ask in (forth, back)]
            found = asked_at_once(*asks * (CLIENTS // 4))
            assert {one.status for one in found} == {200}, turn
            rows = ledger.rows()
            check(found, rows, writable)
            check_counts(rows)
            things = [(row["ref_id"], row["fields_digest"]) for row in rows["disclosure"].values()]
            assert len(things) == len(set(things))
    assert deadlocks(writable) == waits


def test_of_many_reads_at_once_as_many_are_answered_as_the_quota_has_room_for(
    writable: World, ledger: Ledger, logged: Collected
) -> None:
    quota = 20
    people = [global_id("Customer", key) for (key,) in ledger.rows()["customer"]]
    document = "query One($id: ID!) { customer(id: $id) { id email } }"
    before = allowed(ledger.rows())
    with (
        another_gateway(writable, read_quota=quota, pool_connections=4) as one,
        another_gateway(writable, read_quota=quota, pool_connections=4) as two,
    ):
        asks = [Ask("support", document, {"id": key}, SERVICE) for key in people]
        worlds = itertools.cycle((one, two))
        found = asked_at_once(*zip(worlds, asks[:CLIENTS], strict=False))
    rows = ledger.rows()
    check(found, rows, writable)
    faults = logged.events("fault") + logged.events("database_fault")
    assert {answer.status for answer in found} == {200, 429}, faults
    shown = {answer.request_id for answer in found if answer.has_data and whom(answer.body, rows)}
    assert len(shown) == quota
    fresh = allowed(rows).keys() - before.keys()
    assert fresh == {answer.request_id for answer in found if answer.has_data}
    assert [day["subjects"] for day in rows["daily_reading"].values()] == [quota]
    assert len(rows["daily_subject"]) == quota
