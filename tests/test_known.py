"""What is learned of principals is believed for a moment, and only while changes are heard of."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.principal import DesignationRow
from gateway.principal.known import Hearing, Known
from tests.world import World

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
GRANTED = "{ carriers { nodes { contactEmail } } }"


class Rows:
    """Counts how often a row is looked up."""

    def __init__(self, row: str | None = "a row") -> None:
        self.row = row
        self.looks = 0

    async def look(self, _: str) -> str | None:
        self.looks += 1
        return self.row


def known(*, hears: bool = True) -> Known[str, str]:
    hearing = Hearing()
    hearing.hear(hears=hears)
    return Known(10, 1, hearing)


def test_a_row_is_believed_for_its_time_and_then_looked_up_again() -> None:
    async def run() -> None:
        kept, rows = known(), Rows()
        for seconds in (0, 0.5, 0.999):
            assert await kept.of("key", NOW + timedelta(seconds=seconds), rows.look) == "a row"
        assert rows.looks == 1
        await kept.of("key", NOW + timedelta(seconds=1), rows.look)
        assert rows.looks == 2

    asyncio.run(run())


def test_while_no_change_would_be_heard_of_every_request_looks() -> None:
    async def run() -> None:
        kept, rows = known(hears=False), Rows()
        for _ in range(3):
            await kept.of("key", NOW, rows.look)
        assert rows.looks == 3

    asyncio.run(run())


@pytest.mark.parametrize("key", ["key", None], ids=["of a key", "of any"])
def test_what_is_forgotten_is_looked_up_again(key: str | None) -> None:
    async def run() -> None:
        kept, rows = known(), Rows()
        await kept.of("key", NOW, rows.look)
        kept.forget(key)
        await kept.of("key", NOW, rows.look)
        assert rows.looks == 2

    asyncio.run(run())


def test_a_row_read_before_a_change_was_heard_of_is_not_kept_after_it() -> None:
    async def run() -> None:
        kept = known()

        async def look(_: str) -> str:
            kept.forget("key")
            return "an old row"

        assert await kept.of("key", NOW, look) == "an old row"
        rows = Rows("a new row")
        assert await kept.of("key", NOW, rows.look) == "a new row"

    asyncio.run(run())


def test_that_there_is_no_row_is_never_believed() -> None:
    async def run() -> None:
        kept, rows = known(), Rows(None)
        for _ in range(2):
            assert await kept.of("key", NOW, rows.look) is None
        assert rows.looks == 2

    asyncio.run(run())


def test_a_notice_that_is_none_makes_everything_forgotten(world: World) -> None:
    principals = world.gateway.principals
    with counted_looks(world) as looked:
        world.data("support", GRANTED)
        known_by_now = len(looked)
        world.data("support", GRANTED)
        assert len(looked) == known_by_now
        for notice in ("", "employee", "employee:none", f"nobody:{uuid.uuid4()}", "\0"):
            principals.heard(notice)
            world.data("support", GRANTED)
        assert len(looked) == known_by_now + 5


@contextmanager
def counted_looks(world: World) -> Iterator[list[uuid.UUID]]:
    """The employees that are looked up while the block runs."""
    found: list[uuid.UUID] = []
    database = world.gateway.database
    look = database.designations

    async def counting(employee: uuid.UUID) -> tuple[DesignationRow, ...] | None:
        found.append(employee)
        return await look(employee)

    principals: Any = world.gateway.principals
    register: Any = SimpleNamespace(designations=counting, partner_token=database.partner_token)
    before, principals._register = principals._register, register
    try:
        yield found
    finally:
        principals._register = before
