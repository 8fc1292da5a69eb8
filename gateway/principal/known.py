"""What was learned of a principal from the database, believed while it is certain that changes are heard of.

PostgreSQL tells of changes in the order of their commits. So who hears its own notice has heard of every
change that was committed before that was sent: what was learned earlier, and not forgotten since, held then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from ..cache import Cache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# A change of which nobody is told, as by replication or a restore that fires no trigger, counts by then.
LONGEST = timedelta(seconds=60)
NEVER = datetime.min.replace(tzinfo=UTC)


class Known(Generic[K, V]):
    """Rows by key, at most `entries`.

    One is believed for `seconds` after it was learned, or after the last moment before which every change
    is heard of, but no longer than `LONGEST`; and not at all while no change would be heard of.
    """

    def __init__(self, entries: int, seconds: float) -> None:
        self._seconds = seconds
        self._learned: Cache[K, tuple[datetime, V]] = Cache(entries)
        self._changes = 0
        self._heard_until = NEVER
        self.hears = False
        # Whether anybody has asked for a row that was learned.
        self.is_asked = False

    async def of(self, key: K, now: datetime, look: Callable[[K], Awaitable[V | None]]) -> V | None:
        """The row of a key, looked up where it is not believed; None where there is none."""
        found = self._learned.get(key) if self.hears else None
        if found is not None:
            self.is_asked = True
            if self._holds(found[0], now):
                return found[1]
        before = self._changes
        row = await look(key)
        # INVARIANT: what was read before a change was heard of is not kept after it.
        if row is not None and before == self._changes:
            self._learned.put(key, (now, row))
        return row

    def _holds(self, learned: datetime, now: datetime) -> bool:
        """Whether what was learned at a moment is believed now."""
        certain = max(learned, self._heard_until)
        return 0 <= (now - certain).total_seconds() < self._seconds and now - learned < LONGEST

    def heard_until(self, moment: datetime) -> None:
        """Every change that was committed before this moment is heard of."""
        self._heard_until = max(moment, self._heard_until)

    def forget(self, key: K | None = None) -> None:
        """Believes nothing of a key any more, or of any."""
        self._changes += 1
        if key is None:
            self._learned.clear()
        else:
            self._learned.drop(key)
