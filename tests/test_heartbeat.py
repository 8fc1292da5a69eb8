"""A worker believes what it has learned while it hears itself: then it has heard of every change before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from time import monotonic, sleep
from typing import Any

import asyncpg
import pytest
from starlette.testclient import TestClient

from gateway.app import create_gateway
from gateway.database import Database
from gateway.live.broker import BEAT_SECONDS, Heartbeat
from gateway.principal import Principals
from gateway.principal.known import LONGEST, Known
from tests.test_known import GRANTED, Rows, counted_looks
from tests.world import Clock, World, app_of
from tests.writing import until_listening

pytestmark = pytest.mark.database

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
# Of believing: as long as the setting's default.
SECOND = timedelta(seconds=1)
PATIENCE_SECONDS = 20


# ---------------------------------------------------------------- what is believed


def looks(learned: datetime, heard_until: datetime, now: datetime) -> int:
    """How often a row is looked up that was learned once and is asked for at another moment."""

    async def run() -> int:
        kept: Known[str, str] = Known(10, 1)
        kept.hears, rows = True, Rows()
        await kept.of("key", learned, rows.look)
        kept.heard_until(heard_until)
        await kept.of("key", now, rows.look)
        return rows.looks

    return asyncio.run(run())


@pytest.mark.parametrize("later", [timedelta(seconds=5), LONGEST - timedelta(microseconds=1)])
def test_a_row_is_believed_while_every_change_is_heard_of(later: timedelta) -> None:
    now = NOW + later
    assert looks(NOW, now - 0.999 * SECOND, now) == 1
    assert looks(NOW, now - SECOND, now) == 2


def test_a_row_is_believed_no_longer_than_a_change_may_go_untold() -> None:
    assert looks(NOW, NOW + LONGEST, NOW + LONGEST) == 2


def test_a_clock_that_goes_back_has_everything_looked_up() -> None:
    assert looks(NOW, NOW, NOW - timedelta(microseconds=1)) == 2
    assert looks(NOW - SECOND, NOW, NOW - timedelta(microseconds=1)) == 2


def test_what_was_heard_of_earlier_takes_nothing_back() -> None:
    kept: Known[str, str] = Known(10, 1)
    for moment in (NOW, NOW - SECOND):
        kept.heard_until(moment)
    assert kept._holds(NOW - 5 * SECOND, NOW + 0.5 * SECOND)


# ---------------------------------------------------------------- the beat


class Told:
    """Principals who are asked for, and what they are told."""

    def __init__(self) -> None:
        self.asked = True
        self.heard: list[datetime] = []

    def is_asked(self) -> bool:
        return self.asked

    def heard_until(self, moment: datetime) -> None:
        self.heard.append(moment)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def heartbeat(told: Told) -> Heartbeat:
    principals: Any = told
    moments = count()
    return Heartbeat(principals, lambda: NOW + next(moments) * SECOND)


def test_a_beat_counts_from_before_it_was_sent(heartbeat: Heartbeat, told: Told) -> None:
    one, two = heartbeat.due(), heartbeat.due()
    assert one is not None
    assert two is not None
    heartbeat.came(two)
    heartbeat.came(one)
    assert told.heard == [NOW + SECOND, NOW]


@pytest.mark.parametrize("notice", ["", "0", "2", "1 ", "one", "2026-06-15T12:00:00+00:00", "\0"])
def test_a_beat_that_was_not_sent_says_nothing(heartbeat: Heartbeat, told: Told, notice: str) -> None:
    assert heartbeat.due() == "1"
    heartbeat.came(notice)
    assert told.heard == []


def test_a_beat_counts_once_and_not_after_its_connection_was_lost(heartbeat: Heartbeat, told: Told) -> None:
    first, second = heartbeat.due(), heartbeat.due()
    assert first is not None
    assert second is not None
    heartbeat.came(first)
    heartbeat.came(first)
    heartbeat.begin()
    heartbeat.came(second)
    assert told.heard == [NOW]


def test_who_is_asked_nothing_sends_nothing(heartbeat: Heartbeat, told: Told) -> None:
    told.asked = False
    assert heartbeat.due() is None


def test_a_worker_is_asked_where_a_row_was_learned_and_wanted_again(world: World) -> None:
    principals = world.gateway.principals
    world.data("support", GRANTED)
    world.data("support", GRANTED)
    assert principals.is_asked()
    assert not principals.is_asked()
    world.data("anonymous", "{ __typename }")
    assert not principals.is_asked()


# ---------------------------------------------------------------- with a database


@contextmanager
def worker(world: World) -> Iterator[World]:
    """Another worker, which hears of changes, with a clock of its own."""
    clock = Clock(world.now)
    gateway = create_gateway(world.gateway.settings, clock)
    with TestClient(app_of(gateway)) as client:
        found = replace(world, gateway=gateway, client=client, clock=clock)
        until_listening(found)
        yield found


def is_believed(world: World) -> bool:
    """Whether an employee is known without a look-up."""
    with counted_looks(world) as looked:
        world.data("support", GRANTED)
    return not looked


def is_believed_soon(world: World) -> bool:
    """Whether that is so once a beat has come; nothing is learned anew meanwhile."""
    principals: Any = world.gateway.principals
    known: Known[Any, Any] = principals._designations
    (employee,) = list(known._learned._entries)
    deadline = monotonic() + PATIENCE_SECONDS
    while monotonic() < deadline:
        known.is_asked = True  # as a request says that finds it too old
        learned, _ = known._learned._entries[employee][0]
        if known._holds(learned, world.now):
            return is_believed(world)
        sleep(BEAT_SECONDS / 10)
    return False


def test_a_worker_that_hears_itself_looks_nobody_up_again(world: World) -> None:
    with worker(world) as one:
        assert not is_believed(one)
        assert is_believed(one)
        one.clock.now += timedelta(seconds=20)
        assert is_believed_soon(one)
        one.clock.now += LONGEST
        sleep(3 * BEAT_SECONDS)
        assert not is_believed(one)


def test_a_worker_that_does_not_hear_itself_looks_up_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its beats are sent and get lost on the way."""
    monkeypatch.setattr(Heartbeat, "came", lambda *_: None)
    with worker(world) as one:
        assert not is_believed(one)
        assert is_believed(one)
        one.clock.now += SECOND
        sleep(3 * BEAT_SECONDS)
        assert not is_believed(one)


def test_who_hears_a_beat_has_heard_of_every_change_before_it(world: World) -> None:
    """Changes are told by several connections at once, as fast as they can, while beats are sent."""
    url = world.gateway.settings.database_url.get_secret_value()
    assert asyncio.run(asyncio.wait_for(late(url, Database(world.gateway.settings)), 60)) == set()


async def late(url: str, database: Database, writers: int = 4, beats: int = 60) -> set[str]:
    """Which changes were heard of after a beat that was sent after their commit."""
    committed: set[str] = set()
    heard: set[str] = set()
    found: set[str] = set()
    come = asyncio.Event()
    ended = False

    class Beat:
        channel, seconds = "heartbeat_of_a_test", 0.01

        def __init__(self) -> None:
            self.before: dict[str, set[str]] = {}

        def due(self) -> str | None:
            number = str(len(self.before))
            self.before[number] = set(committed)
            return number

        def came(self, notice: str) -> None:
            found.update(self.before[notice] - heard)
            if int(notice) == beats:
                come.set()

    async def write(writer: int) -> None:
        connection = await asyncpg.connect(url)
        for number in count():
            if ended:
                break
            text = f"{writer}.{number}"
            async with connection.transaction():
                await connection.execute("SELECT pg_notify('change_of_a_test', $1)", text)
            committed.add(text)
        await connection.close()

    beat = Beat()
    began = asyncio.Event()
    listening = asyncio.create_task(database.listen({"change_of_a_test": heard.add}, began.set, beat))
    await began.wait()
    writing = [asyncio.create_task(write(number)) for number in range(writers)]
    await come.wait()
    ended = True
    await asyncio.gather(*writing)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert len(committed) > writers
    return found


def test_what_was_told_before_a_beat_is_forgotten_by_then(world: World) -> None:
    """A designation's notice and the beat come one after the other, and the beat revives nothing."""
    with worker(world) as one:
        assert not is_believed(one)
        assert is_believed(one)
        principals: Principals = one.gateway.principals
        principals.heard(f"employee:{key_of_employee(one)}")
        principals.heard_until(one.now)
        assert not is_believed(one)


def key_of_employee(world: World) -> str:
    principals: Any = world.gateway.principals
    (employee,) = principals._designations._learned._entries
    return str(employee)
