"""A transaction ends with its block, however that is left, and gives its connection back."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.connections import Connections, Transaction

NUMBER = "SELECT 1 AS number"


@asynccontextmanager
async def one_connection(url: str) -> AsyncIterator[Connections]:
    """Connections of which there is one, so that whoever keeps it stops the next."""
    connections = Connections(url, 1, 5.0, writes=True)
    try:
        yield connections
    finally:
        await connections.close()


def cancelled(_: Transaction) -> None:
    """Breaks off the task where it next waits."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def failed(_: Transaction) -> None:
    raise ValueError


def cancelled_as_it_is_undone(begun: Transaction) -> None:
    cancelled(begun)
    failed(begun)


def failed_when_committed(begun: Transaction) -> None:
    begun.afterwards.append(lambda: failed(begun))


@pytest.mark.parametrize("end", [cancelled, failed, cancelled_as_it_is_undone, failed_when_committed])
def test_a_transaction_gives_its_connection_back_however_it_ends(
    server_url: str, end: Callable[[Transaction], None]
) -> None:
    async def begin(connections: Connections) -> None:
        async with connections.transaction() as begun:
            await begun.row(NUMBER, ())
            end(begun)
            await begun.row(NUMBER, ())

    async def ask() -> int:
        async with one_connection(server_url) as connections:
            (found,) = await asyncio.gather(begin(connections), return_exceptions=True)
            assert isinstance(found, (asyncio.CancelledError, ValueError))
            async with asyncio.timeout(5):
                number: int = (await connections.row(NUMBER, ()))["number"]
                return number

    assert asyncio.run(ask()) == 1


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("end", [failed, cancelled])
def test_what_is_raised_in_a_part_undoes_that_part_alone(
    server_url: str, before: int, end: Callable[[Transaction], None]
) -> None:
    """Where it is the first, the whole transaction is undone; another part may follow."""

    async def ask() -> list[int]:
        async with one_connection(server_url) as connections, connections.transaction() as begun:
            # The table goes with the connection.
            await begun.row("CREATE TEMPORARY TABLE IF NOT EXISTS parts (number integer)", ())
            await begun.commit()
            for number in range(before):
                await begun.row("INSERT INTO parts VALUES ($1)", (number,))
            try:
                async with begun.savepoint():
                    await begun.row("INSERT INTO parts VALUES (7)", ())
                    end(begun)
                    await begun.row(NUMBER, ())
            except ValueError:
                pass
            async with begun.savepoint():
                await begun.row("INSERT INTO parts VALUES (8)", ())
            return [row["number"] for row in await begun.rows("SELECT number FROM parts ORDER BY 1", ())]

    if end is cancelled:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(ask())
    else:
        assert asyncio.run(ask()) == [*range(before), 8]


def test_a_transaction_that_is_over_has_no_connection(server_url: str) -> None:
    async def ask() -> None:
        async with one_connection(server_url) as connections:
            async with connections.transaction() as begun:
                await begun.row(NUMBER, ())
                assert begun.connection is not None
            assert begun.connection is None

    asyncio.run(ask())


def test_what_ends_a_transaction_is_gone_without_the_garbage_collector(server_url: str) -> None:
    class Ended(Exception):
        """Something that ends a transaction."""

    async def end(connections: Connections) -> weakref.ref[Ended]:
        try:
            async with connections.transaction() as begun:
                await begun.row(NUMBER, ())
                raise Ended
        except Ended as ended:
            return weakref.ref(ended)

    async def ask() -> None:
        async with one_connection(server_url) as connections:
            gc.disable()
            try:
                assert (await end(connections))() is None
            finally:
                gc.enable()

    asyncio.run(ask())
