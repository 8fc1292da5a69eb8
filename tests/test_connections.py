"""A transaction ends with its block, however that is left, and gives its connection back."""

from __future__ import annotations

import asyncio
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
