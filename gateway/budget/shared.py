"""Budgets counted by all workers together, in Redis or Valkey.

While the store does not answer, a worker counts by itself: it asks again after a while, and a line of the
log says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from limits.aio.storage import RedisStorage
from limits.errors import ConfigurationError, StorageError

from ..errors import StartError
from ..logs import Event, about, note
from .place import SCHEMES
from .windows import Seconds, Windows

T = TypeVar("T")
Counts = RedisStorage | Windows

PREFIX = "gateway-budget"
# A request does not wait longer for its budget to be counted.
ANSWER_SECONDS = 0.5
# How long a store that did not answer is not asked.
PAUSE_SECONDS = 5.0


def open_store(url: str) -> RedisStorage:
    """The store at a URL, not asked yet; raises `StartError` where its client is not installed."""
    scheme, _, rest = url.partition("://")
    options = {"socket_connect_timeout": ANSWER_SECONDS, "socket_timeout": ANSWER_SECONDS}
    try:
        return RedisStorage(
            f"async+{SCHEMES[scheme]}://{rest}",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=PREFIX,
            **options,
        )
    except ConfigurationError as error:
        raise StartError("GATEWAY_BUDGET_URL needs the extra `redis`: pip install '…[redis]'") from error


class Shared:
    """The store, and the worker's own counts for as long as it is away; without a store they alone."""

    def __init__(self, store: RedisStorage | None, own: Windows, seconds: Seconds) -> None:
        self.store = store
        self.own = own
        self._seconds = seconds
        self._again_at = 0.0
        self._is_away = False

    async def ask(self, question: Callable[[Counts], Awaitable[T]]) -> T:
        """What the store answers, or the worker's own counts while it does not."""
        if self.store is None or self._seconds() < self._again_at:
            return await question(self.own)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await question(self.store)
        except (StorageError, TimeoutError, OSError) as error:
            self._lose(error)
            return await question(self.own)
        self._is_away = False
        return found

    def _lose(self, error: Exception) -> None:
        self._again_at = self._seconds() + PAUSE_SECONDS
        if not self._is_away:
            self._is_away = True
            told = error.storage_error if isinstance(error, StorageError) else error
            note(Event.BUDGETS_APART, **about(told))

    async def close(self) -> None:
        """Closes the connections to the store."""
        if self.store is not None:
            await self.store.bridge.get_connection().aclose()  # type: ignore[attr-defined]
