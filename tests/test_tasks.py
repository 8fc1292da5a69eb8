"""Tasks end before whoever began them goes on, also where they do not hear of it the first time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from gateway.live import events, sockets
from gateway.live.broker import Broker, Heartbeat, listening
from gateway.principal import Hearing, utc_now
from gateway.tasks import end_tasks
from schema.scalars import global_id
from tests.live import PATIENCE, WATCH, Served
from tests.test_live_events import headers_of, streamed


async def deaf(times: int = 1) -> None:
    """Goes on, whatever is cancelled so many times, as with `asyncio.wait_for` before Python 3.12."""
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def failing() -> None:
    raise ValueError


class Deaf:
    """A database that has told that it listens, and principals who are told."""

    async def listen(self, _: object, begun: Callable[[], None], __: object) -> None:
        begun()
        await deaf()

    def heard(self, notice: str) -> None: ...

    def hear(self, *, hears: bool) -> None: ...


@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_task_that_does_not_hear_of_its_end_ends_all_the_same(times: int) -> None:
    """With it those that hear, and those that have failed."""

    async def ended() -> list[bool]:
        tasks = [asyncio.create_task(work) for work in (deaf(times), deaf(0), failing())]
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await end_tasks(tasks)
        return [task.done() for task in tasks]

    assert asyncio.run(ended()) == [True, True, True]


def test_nothing_is_waited_for_where_there_is_no_task() -> None:
    asyncio.run(end_tasks([]))


def test_who_listens_ends_all_the_same() -> None:
    async def ended() -> bool:
        heartbeat = Heartbeat(Hearing(), utc_now, 1)
        broker = Broker(Deaf(), Deaf(), heartbeat)  # type: ignore[arg-type]
        async with asyncio.timeout(PATIENCE), listening(broker):
            await asyncio.sleep(0)
            assert broker.is_listening
        return True

    assert asyncio.run(ended())


async def watch_on(*_: object) -> None:
    """Looks after a caller for ever."""
    await deaf()


def is_empty(live: Served) -> bool:
    seats = live.live.seats
    return seats.taken == 0 and not seats.by_principal


def test_a_socket_gives_its_seat_back_all_the_same(live: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "watch", watch_on)
    with live.as_("customer"):
        assert not is_empty(live)
    live.until(lambda: is_empty(live))


def test_a_stream_gives_its_seat_back_all_the_same(live: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "watch", watch_on)
    id: dict[str, Any] = {"id": global_id("Delivery", UUID(int=1))}
    with streamed(live, headers_of(live, "customer"), WATCH, id):
        live.until_watched()
        assert not is_empty(live)
    live.until(lambda: is_empty(live))
