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

import gateway.database
from gateway.app import create_gateway
from gateway.database import Database
from gateway.live.broker import BEAT_SECONDS, PRINCIPALS, Heartbeat
from gateway.migrate import migrate
from gateway.principal.known import LONGEST, Hearing, Known
from tests.partners import REVOKE, issued, kept, payload, reason, token_id
from tests.test_known import GRANTED, Rows, counted_looks
from tests.test_revocations_heard import is_refused_soon
from tests.world import Clock, World, app_of
from tests.writing import until_listening

__all__ = ["kept"]

pytestmark = pytest.mark.database

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
# Of believing: as long as the setting's default.
SECOND = timedelta(seconds=1)
PATIENCE_SECONDS = 20


# ---------------------------------------------------------------- what is believed


@pytest.fixture
def hearing() -> Hearing:
    found = Hearing()
    found.hear(hears=True)
    return found


def looks(hearing: Hearing, learned: datetime, heard_until: datetime, now: datetime) -> int:
    """How often a row is looked up that was learned once and is asked for at another moment."""

    async def run() -> int:
        kept: Known[str, str] = Known(10, 1, hearing)
        rows = Rows()
        await kept.of("key", learned, rows.look)
        hearing.heard_until(heard_until)
        await kept.of("key", now, rows.look)
        return rows.looks

    return asyncio.run(run())


@pytest.mark.parametrize("later", [timedelta(seconds=5), LONGEST - timedelta(microseconds=1)])
def test_a_row_is_believed_while_every_change_is_heard_of(hearing: Hearing, later: timedelta) -> None:
    now = NOW + later
    assert looks(hearing, NOW, now - 0.999 * SECOND, now) == 1
    assert looks(hearing, NOW, now - SECOND, now) == 2


def test_a_row_is_believed_no_longer_than_a_change_may_go_untold(hearing: Hearing) -> None:
    assert looks(hearing, NOW, NOW + LONGEST, NOW + LONGEST) == 2


def test_what_was_heard_of_before_a_row_was_learned_says_nothing_of_it(hearing: Hearing) -> None:
    assert looks(hearing, NOW, NOW - 5 * SECOND, NOW + 0.9 * SECOND) == 1
    assert looks(hearing, NOW, NOW - 5 * SECOND, NOW + SECOND) == 2


def test_a_clock_that_went_back_has_what_was_learned_later_looked_up(hearing: Hearing) -> None:
    assert looks(hearing, NOW, NOW, NOW - timedelta(microseconds=1)) == 2


def test_a_clock_that_went_back_leaves_nothing_certain_in_its_future(hearing: Hearing) -> None:
    """A beat of the time before vouches for no row, neither then nor when the clock is there again."""
    tomorrow = NOW + timedelta(days=1)
    assert looks(hearing, NOW, tomorrow, NOW + 0.5 * SECOND) == 1
    assert hearing.is_certain_since(tomorrow - 5 * SECOND, tomorrow + 0.5 * SECOND) == tomorrow - 5 * SECOND
    assert looks(hearing, NOW, NOW + 4 * SECOND, NOW + 4.5 * SECOND) == 1


def test_a_worker_that_listens_anew_is_certain_of_nothing(hearing: Hearing) -> None:
    hearing.heard_until(NOW + 5 * SECOND)
    hearing.hear(hears=True)
    assert hearing.is_certain_since(NOW, NOW + 5.5 * SECOND) == NOW


def test_a_worker_is_asked_where_a_row_was_learned_and_is_wanted_again(hearing: Hearing) -> None:
    async def run() -> list[bool]:
        kept: Known[str, str] = Known(10, 1, hearing)
        found = []
        for key in ("one", "two", "one", "three"):
            await kept.of(key, NOW, Rows().look)
            found.append(hearing.take_asked())
        return found

    assert asyncio.run(run()) == [False, False, True, False]


# ---------------------------------------------------------------- the beat


def beat_of(hearing: Hearing, believed_seconds: float = 1) -> Heartbeat:
    """Its clock goes on by a second each time it is asked."""
    moments = count()
    return Heartbeat(hearing, lambda: NOW + next(moments) * SECOND, believed_seconds)


def sent(heartbeat: Heartbeat, hearing: Hearing) -> str | None:
    """What is sent where somebody asks."""
    hearing.is_certain_since(NOW, NOW)
    return heartbeat.due()


def certain(hearing: Hearing) -> datetime | None:
    """Up to when every change is heard of, as a row that was learned long ago has it."""
    return hearing.is_certain_since(NOW - timedelta(days=1), NOW + timedelta(days=1))


def test_a_beat_counts_from_before_it_was_sent(hearing: Hearing) -> None:
    heartbeat = beat_of(hearing)
    for number in range(3):
        text = sent(heartbeat, hearing)
        assert text is not None
        heartbeat.came(text)
        assert certain(hearing) == NOW + number * SECOND


@pytest.mark.parametrize("notice", ["", "0", "1", "3", "2 ", "two", "2026-06-15T12:00:00+00:00", "\0"])
def test_a_beat_that_was_not_sent_last_says_nothing(hearing: Hearing, notice: str) -> None:
    heartbeat = beat_of(hearing)
    assert [sent(heartbeat, hearing), sent(heartbeat, hearing)] == ["1", "2"]
    heartbeat.came(notice)
    assert certain(hearing) == NOW - timedelta(days=1)


def test_a_beat_does_not_count_after_its_connection_was_lost(hearing: Hearing) -> None:
    heartbeat = beat_of(hearing)
    text = sent(heartbeat, hearing)
    assert text is not None
    heartbeat.begin()
    heartbeat.came(text)
    assert certain(hearing) == NOW - timedelta(days=1)


def test_who_is_asked_nothing_or_believes_nothing_sends_nothing(hearing: Hearing) -> None:
    assert beat_of(hearing).due() is None
    assert sent(beat_of(hearing, 0), hearing) is None
    assert sent(beat_of(hearing), hearing) == "1"


@pytest.mark.parametrize(("believed", "seconds"), [(1.5, 0.5), (1, 0.5), (0.4, 0.2), (0, 0.5)])
def test_there_are_two_beats_in_the_time_that_a_row_is_believed(
    hearing: Hearing, believed: float, seconds: float
) -> None:
    assert beat_of(hearing, believed).seconds == seconds


# ---------------------------------------------------------------- with a database


@contextmanager
def worker(world: World) -> Iterator[World]:
    """Another worker, which hears of changes, with a clock of its own."""
    clock = Clock(world.now)
    made = create_gateway(world.gateway.settings, clock)
    with TestClient(app_of(made)) as client:
        found = replace(world, gateway=made, client=client, clock=clock)
        until_listening(found)
        yield found


def is_believed(world: World) -> bool:
    """Whether an employee is known without a look-up."""
    with counted_looks(world) as looked:
        world.data("support", GRANTED)
    return not looked


def hears_itself(world: World) -> bool:
    """Whether a beat comes that was sent since the clock was moved; nothing is learned anew meanwhile."""
    hearing = world.gateway.principals.hearing
    deadline = monotonic() + PATIENCE_SECONDS
    while monotonic() < deadline:
        # As a request says that finds what was learned too old.
        if hearing.is_certain_since(datetime.min.replace(tzinfo=UTC), world.now) == world.now:
            return True
        sleep(BEAT_SECONDS / 10)
    return False


def test_a_worker_that_hears_itself_looks_nobody_up_again(world: World) -> None:
    with worker(world) as one:
        assert not is_believed(one)
        for seconds in (20, 39.9):
            one.clock.now += timedelta(seconds=seconds)
            assert hears_itself(one)
            assert is_believed(one)
        one.clock.now += timedelta(seconds=0.1)
        assert hears_itself(one)
        assert not is_believed(one)


def test_a_worker_that_does_not_hear_itself_looks_up_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its beats are sent and get lost on the way."""
    lost: list[str] = []
    monkeypatch.setattr(Heartbeat, "came", lambda _, notice: lost.append(notice))
    with worker(world) as one:
        assert not is_believed(one)
        assert is_believed(one)
        one.clock.now += SECOND
        one.gateway.principals.hearing.is_certain_since(one.now, one.now)
        deadline = monotonic() + PATIENCE_SECONDS
        while not lost:
            assert monotonic() < deadline
            sleep(BEAT_SECONDS / 10)
        assert not is_believed(one)


def test_a_revocation_ends_in_another_worker_what_only_its_heartbeat_kept(kept: World) -> None:
    """The row was learned long before by the other's clock, which stands still from then on."""
    name = issued(kept)
    with worker(kept) as other:
        assert reason(other, name) is None
        other.clock.now += timedelta(seconds=30)
        assert hears_itself(other)
        payload(kept, "register-admin", REVOKE, {"id": token_id(kept, name)})
        assert is_refused_soon(other, name)


@pytest.mark.parametrize("column", ["id", "customer_id", "order_id", "expires_at", "ended_at"])
def test_whatever_is_looked_up_of_a_session_is_told(writable: World, column: str) -> None:
    session = writable.table("session")[0]["id"]
    change = f"UPDATE session SET {column} = {column} WHERE id = '{session}'"
    assert asyncio.run(told(writable.url, change)) == f"session:{session}"


@pytest.mark.parametrize(
    "table", ["session", "customer", "employee", "designation", "partner_token", "carrier"]
)
def test_that_a_table_is_emptied_is_told(fresh_database: str, table: str) -> None:
    migrate(fresh_database)
    assert asyncio.run(told(fresh_database, f"TRUNCATE {table} CASCADE")) == "all"


async def told(url: str, change: str) -> str:
    """What is told first of principals when a change is made."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(url)
    try:
        await connection.add_listener(PRINCIPALS, lambda *notice: heard.put_nowait(notice[3]))
        await connection.execute(change)
        return await asyncio.wait_for(heard.get(), PATIENCE_SECONDS)
    finally:
        await connection.close()


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
    """The beat that comes behind a notice revives nothing."""
    with worker(world) as one:
        assert not is_believed(one)
        assert is_believed(one)
        principals: Any = one.gateway.principals
        (employee,) = principals._designations._learned._entries
        principals.heard(f"employee:{employee}")
        principals.hearing.heard_until(one.now)
        assert not is_believed(one)


def test_a_beat_that_is_held_up_does_not_end_the_listening(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that takes as long stands for a commit that waits: the connection hears all the same."""
    monkeypatch.setattr(gateway.database, "_NOTICE", "SELECT pg_sleep(60), $1::text, $2::text")
    monkeypatch.setattr(gateway.database, "_LISTENING_ANSWER_SECONDS", 0.2)
    url = world.gateway.settings.database_url.get_secret_value()
    held_up = asyncio.run(asyncio.wait_for(heard_though(url, Database(world.gateway.settings)), 60))
    assert held_up >= 3


async def heard_though(url: str, database: Database) -> int:
    """How many beats were due while one connection went on listening and at last heard a change."""
    change: asyncio.Queue[str] = asyncio.Queue()
    enough, began = asyncio.Event(), asyncio.Event()

    class Beat:
        channel, seconds, dues = "heartbeat_of_a_test", 0.01, 0

        def due(self) -> str | None:
            self.dues += 1
            if self.dues == 3:
                enough.set()
            return str(self.dues)

        def came(self, notice: str) -> None: ...

    beat = Beat()
    listening = asyncio.create_task(database.listen({"change_of_a_test": change.put_nowait}, began.set, beat))
    await began.wait()
    await enough.wait()
    connection = await asyncpg.connect(url)
    await connection.execute("SELECT pg_notify('change_of_a_test', 'a change')")
    await connection.close()
    assert await change.get() == "a change"
    assert not listening.done()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return beat.dues
