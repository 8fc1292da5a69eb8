"""Sliding windows: what was spent in this minute, and how much of the minute before still counts.

The counts of a worker's own, for the strategies of the library `limits`, and what any such count says.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from limits.aio.storage import SlidingWindowCounterSupport, Storage

# About 300 bytes each.
MOST_KEYS = 50_000

Seconds = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Window:
    """What was spent in the window before, which counts for less and less, and in the present one.

    `previous_left` is for how many seconds the one before counts yet, `current_left` the present one.
    """

    previous: int
    previous_left: float
    current: int
    current_left: float

    def spent(self, length: int) -> int:
        """What counts now, of windows of so many seconds."""
        return math.floor(self.previous * self.previous_left / length) + self.current

    def wait(self, limit: int, length: int, cost: int) -> int:
        """In how many seconds there is room for so much, if nothing else is spent; one at least."""
        room = max(0, limit - cost)
        seconds = 0.0
        if self.current <= room and self.previous:
            seconds = self.previous_left - (room - self.current) * length / self.previous
        elif self.current > room:
            seconds = self.current_left - room * length / self.current
        return max(1, math.ceil(seconds))

    def until_whole(self) -> int:
        """In how many seconds nothing counts any more, if nothing else is spent."""
        return math.ceil(self.current_left if self.current else self.previous_left)


@dataclass(slots=True)
class _Count:
    """What was spent in the window of this number, and in the one before it."""

    number: float
    before: int
    now: int = 0


class Windows(Storage, SlidingWindowCounterSupport):
    """Windows in memory, those of the principals that asked last.

    # PERF: the library's own goes over all its keys at each hit, in a task made for it: 41 µs with one
    # principal, 5 ms with 10,000. This one takes 2 µs with any number (`python -m tests.bench`).
    """

    STORAGE_SCHEME = None

    def __init__(self, seconds: Seconds) -> None:
        super().__init__()
        self._seconds = seconds
        # Who asked longest ago comes first.
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def spend(self, key: str, limit: int, length: int, cost: int) -> bool:
        """Spends so much, where there is room for it."""
        count, passed = self._of(key, length)
        if math.floor(count.before * (1 - passed)) + count.now + cost > limit:
            return False
        count.now += cost
        return True

    def window(self, key: str, length: int) -> Window:
        """What counts under a key now."""
        count, passed = self._of(key, length)
        left = (1 - passed) * length
        return Window(
            count.before, left if count.before else 0.0, count.now, left + length if count.now else 0.0
        )

    def _of(self, key: str, length: int) -> tuple[_Count, float]:
        """The count of the present window, and how much of it has passed."""
        passed, number = math.modf(self._seconds() / length)
        count = self._counts.get(key)
        if count is None or count.number != number:
            count = self._begun(key, count, number)
        else:
            self._counts.move_to_end(key)
        return count, passed

    def _begun(self, key: str, last: _Count | None, number: float) -> _Count:
        """The count of a new window; who asked longest ago makes room for it."""
        self._counts.pop(key, None)
        if len(self._counts) >= MOST_KEYS:
            self._counts.popitem(last=False)
        before = last.now if last is not None and last.number == number - 1 else 0
        self._counts[key] = _Count(number, before)
        return self._counts[key]

    # What the library's strategies ask.

    @property
    def base_exceptions(self) -> type[Exception]:
        """None is expected: nothing here waits or is away."""
        return ValueError

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Spends so much, where there is room for it."""
        return self.spend(key, limit, expiry, amount)

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """What was spent in the window before and in this one, each with how many seconds it counts yet."""
        found = self.window(key, expiry)
        return found.previous, found.previous_left, found.current, found.current_left

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forgets what was spent."""
        self._counts.pop(key, None)

    # What strategies of other kinds than sliding windows would count by.

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Not counted here."""
        raise NotImplementedError

    async def get(self, key: str) -> int:
        """Not counted here."""
        raise NotImplementedError

    async def get_expiry(self, key: str) -> float:
        """Not counted here."""
        raise NotImplementedError

    async def clear(self, key: str) -> None:
        """Forgets what was spent."""
        self._counts.pop(key, None)

    async def reset(self) -> int:
        """Forgets what anybody spent."""
        found = len(self._counts)
        self._counts.clear()
        return found

    async def check(self) -> bool:
        """Whether it counts: always."""
        return True
