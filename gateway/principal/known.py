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


class Hearing:
    """How well a worker hears of changes: whether at all, and up to which moment it has heard of every one.

    # PERF: where each session is looked up anew each second, W1 takes 656 thousand instructions, and 606 so
    # (the bench's `--parts instructions`, with and without).
    """

    def __init__(self) -> None:
        self._until = NEVER
        self._is_asked = False
        self.hears = False

    def hear(self, *, hears: bool) -> None:
        """Says whether changes are heard of from now on."""
        self._until, self.hears = NEVER, hears

    def heard_until(self, moment: datetime) -> None:
        """Every change that was committed before this moment is heard of."""
        self._until = moment

    def is_certain_since(self, learned: datetime, now: datetime) -> datetime | None:
        """The last moment at which what was learned is certain to have held; None where a clock went back."""
        self._is_asked = True
        if self._until > now:
            self._until = NEVER
        return None if learned > now else max(learned, self._until)

    def take_asked(self) -> bool:
        """Whether anybody asked for what was learned since this was called last."""
        asked, self._is_asked = self._is_asked, False
        return asked


class Known(Generic[K, V]):
    """Rows by key, at most `entries`.

    One is believed for `seconds` after it was learned, or after the last moment up to which every change is
    heard of, but no longer than `LONGEST`; and not at all while no change would be heard of.
    """

    def __init__(self, entries: int, seconds: float, hearing: Hearing) -> None:
        self._believed = timedelta(seconds=seconds)
        self._hearing = hearing
        self._learned: Cache[K, tuple[datetime, V]] = Cache(entries)
        self._changes = 0

    async def of(self, key: K, now: datetime, look: Callable[[K], Awaitable[V | None]]) -> V | None:
        """The row of a key, looked up where it is not believed; None where there is none."""
        found = self._learned.get(key) if self._hearing.hears else None
        if found is not None and self._holds(found[0], now):
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

    def _holds(self, learned: datetime, now: datetime) -> bool:
        """Whether what was learned at a moment is believed now."""
        certain = self._hearing.is_certain_since(learned, now)
        return certain is not None and now - certain < self._believed and now - learned < LONGEST
