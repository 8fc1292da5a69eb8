"""What was learned of a principal from the database, believed for a moment while changes are heard of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime
from typing import Generic, TypeVar

from ..cache import Cache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Known(Generic[K, V]):
    """Rows by key. One is believed for `seconds`, and not at all while no change would be heard of."""

    def __init__(self, entries: int, seconds: float) -> None:
        self._seconds = seconds
        self._learned: Cache[K, tuple[datetime, V]] = Cache(entries)
        self._changes = 0
        self.hears = False

    async def of(self, key: K, now: datetime, look: Callable[[K], Awaitable[V | None]]) -> V | None:
        """The row of a key, looked up where it is not believed; None where there is none."""
        found = self._learned.get(key) if self.hears else None
        if found is not None and 0 <= (now - found[0]).total_seconds() < self._seconds:
            return found[1]
        before = self._changes
        row = await look(key)
        # INVARIANT: what was read before a change was heard of is not kept after it.
        if row is not None and before == self._changes:
            self._learned.put(key, (now, row))
        return row

    def forget(self, key: K | None = None) -> None:
        """Believes nothing of a key any more, or of any."""
        self._changes += 1
        if key is None:
            self._learned.clear()
        else:
            self._learned.drop(key)
