"""No record, no data, whatever breaks: the gateway, its connections, a commit, the disk or PostgreSQL itself.

Sixty-four clients ask while it happens. Afterwards each answer that one of them was given stands on the
record, and each change that was acknowledged is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any

import asyncpg
import pytest

from schema.scalars import global_id
from tests.bench.place import Place, made
from tests.crowd import (
    MOVED,
    SERVICE,
    Ask,
    Change,
    Crowd,
    Scene,
    allowed,
    asked,
    check,
)
from tests.faults import ENOUGH, GATEWAYS, READS, UNDER_WAY, crowd_of, on_record, reading, serves_again
from tests.twins import CUSTOMERS, Server, started, until
from tests.wire import Break, Wire, wired

# Every test starts processes.
pytestmark = pytest.mark.slow

Fault = Callable[[Crowd], Coroutine[Any, Any, None]]
KILLS = 3


@pytest.fixture(scope="module")
def place(server_url: str) -> Iterator[Place]:
    with made(CUSTOMERS, server_url) as place:
        yield place


# ---------------------------------------------------------------- the gateway is killed


@pytest.mark.parametrize("turn", range(KILLS))
def test_what_was_answered_before_the_gateway_was_killed_is_on_record(place: Place, turn: int) -> None:
    moment = Random(turn).randint(30, ENOUGH)

    async def kill(crowd: Crowd) -> None:
        await crowd.until(lambda: crowd.shown > moment)
        await asyncio.sleep(Random(turn).uniform(0, 0.05))  # the moment itself is the test
        server.process.kill()

    with started(place) as server:
        crowd = crowd_of(place, server, place.url, turn)
        crowd.meet(str(server.client.base_url), kill)
    on_record(crowd, place.url)
    assert crowd.unanswered > 0


# ---------------------------------------------------------------- its connections are ended


@pytest.mark.parametrize("how", ["pg_terminate_backend", "pg_cancel_backend"])
def test_what_was_answered_while_statements_were_ended_is_on_record(place: Place, how: str) -> None:
    async def end(crowd: Crowd) -> None:
        owner, random = await asyncpg.connect(place.url), Random(how)
        try:
            while crowd.shown < ENOUGH or crowd.failed < 10:
                await owner.execute(f"SELECT {how}(pid) {GATEWAYS} AND state <> 'idle'")
                await asyncio.sleep(random.uniform(0.01, 0.05))  # the moment itself is the test
        finally:
            await owner.close()

    with started(place) as server:
        crowd = crowd_of(place, server, place.url, 10)
        crowd.meet(str(server.client.base_url), end)
        serves_again(crowd)
    on_record(crowd, place.url)
    assert crowd.broken == []


# ---------------------------------------------------------------- the connection is cut at the commit


@contextmanager
def behind_a_wire(place: Place) -> Iterator[tuple[Wire, Server, Crowd]]:
    with wired(place.url) as wire, started(replace(place, url=wire.url)) as server:
        yield wire, server, crowd_of(place, server, place.url, 20)


def single_asks(scene: Scene) -> list[Ask]:
    """A read of an employee, of both kinds of partners, and a change."""
    person = scene.people[0]
    change = Change("Customer.streetAddress", "customer", person, person, "street_address", 1)
    move = {"input": {"id": global_id("Customer", person), "streetAddress": "Koekatu 1"}}
    reads = [Ask(name, document, {"n": 5}, purpose) for name, document, purpose in READS[:3]]
    return [*reads, Ask("support", MOVED, move, SERVICE, change)]


def test_rows_that_came_through_without_their_commit_are_not_given(place: Place) -> None:
    with behind_a_wire(place) as (wire, _, crowd), reading(place.url) as ledger:
        scene, before = crowd.scene, ledger.rows()
        wire.choose = lambda: Break.AFTER_ROWS
        found = [asked(scene.world, ask) for ask in single_asks(scene)]
        assert wire.cut == {Break.AFTER_ROWS: len(found)}
        assert {one.status for one in found} == {500}
        assert not [one for one in found if "data" in one.body]
        until(lambda: not ledger.values(UNDER_WAY))
        assert ledger.rows() == before
        wire.choose = lambda: Break.NEVER
        again = [asked(scene.world, ask) for ask in single_asks(scene)]
        assert {one.status for one in again} == {200}
        check([*found, *again], ledger.rows(), scene.world)


def test_what_is_committed_without_an_answer_from_postgresql_is_not_given_and_is_on_record(
    place: Place,
) -> None:
    with behind_a_wire(place) as (wire, _, crowd), reading(place.url) as ledger:
        scene = crowd.scene
        wire.choose = lambda: Break.AFTER_COMMIT
        asks = single_asks(scene)
        found = [asked(scene.world, ask) for ask in asks]
        assert wire.cut == {Break.AFTER_COMMIT: len(found)}
        assert {one.status for one in found} == {500}
        assert not [one for one in found if "data" in one.body]
        rows = ledger.rows()
        records = allowed(rows)
        assert [len(records.get(one.request_id, [])) for one in found] == [1, 1, 1, 2]
        assert asks[-1].change is not None
        assert asks[-1].change.is_there(rows)


def test_a_commit_that_fails_gives_nothing(place: Place) -> None:
    with started(place) as server, reading(place.url) as ledger:
        scene = crowd_of(place, server, place.url, 0).scene
        ledger.execute(FAILING)
        ledger.execute(f"{AT_COMMIT} EXECUTE FUNCTION failing()")
        try:
            before = ledger.rows()
            found = [asked(scene.world, ask) for ask in single_asks(scene)]
            assert {one.status for one in found} == {500}
            assert not [one for one in found if "data" in one.body]
            assert ledger.rows() == before
        finally:
            ledger.execute("DROP FUNCTION failing CASCADE")


FAILING = """
CREATE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the commit fails' USING ERRCODE = 'io_error'; END $$"""
AT_COMMIT = """
CREATE CONSTRAINT TRIGGER failing AFTER INSERT ON access_record DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"""


def test_what_was_answered_over_a_wire_that_breaks_at_commits_is_on_record(place: Place) -> None:
    random = Random(3)
    often = [Break.NEVER] * 8 + [Break.AFTER_ROWS, Break.AFTER_COMMIT]

    async def cut(crowd: Crowd) -> None:
        wire.choose = lambda: random.choice(often)
        await crowd.until(lambda: crowd.shown > ENOUGH and min(wire.cut[one] for one in often[-2:]) > 10)
        wire.choose = lambda: Break.NEVER

    with behind_a_wire(place) as (wire, server, crowd):
        crowd.meet(str(server.client.base_url), cut)
        serves_again(crowd)
        rows = on_record(crowd, place.url)
    recorded = allowed(rows)
    lost = [one for one in crowd.given if one.ask.is_recorded() and not one.has_data]
    # What PostgreSQL had committed is on record without an answer, what it had not is not.
    kept = sum(one.request_id in recorded for one in lost)
    assert 0 < kept < len(lost)
