"""The one source of everything drawn: values, times and ids, the same for the same seed."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

HOUR = 3_600
DAY = 24 * HOUR
# The days, relative to the anchor, in which everything happens.
FIRST_DAY, LAST_DAY = -3 * 366, 30
# Ids are made as if the anchor were this moment, so that they do not depend on the day of seeding.
FIXED_ANCHOR_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000

T = TypeVar("T")


class Draw:
    """Draws from a seeded generator; moments are whole seconds relative to the anchor, so mostly negative.

    The anchor is `now` truncated to midnight UTC.
    """

    def __init__(self, seed: int, now: datetime) -> None:
        source = random.Random(seed)  # noqa: S311  # reproducible on purpose, and demo data alone
        self.share = source.random
        self.bits = source.getrandbits
        self.shuffle = source.shuffle
        midnight = now.astimezone(UTC).date()
        # PERF: looked up rather than made, each of some three million moments takes half the time.
        days = {day: midnight + timedelta(days=day) for day in range(FIRST_DAY, LAST_DAY)}
        self._dates = {day: date.strftime("%Y-%m-%d ") for day, date in days.items()}
        self._numbered_days = {day: date.strftime("%Y-%j") for day, date in days.items()}
        self._clock = [
            f"{second // HOUR:02}:{second // 60 % 60:02}:{second % 60:02}+00" for second in range(DAY)
        ]

    def pick(self, values: Sequence[T]) -> T:
        """One of the values, each as likely."""
        return values[int(self.share() * len(values))]

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` up to but without `high`."""
        return low + int(self.share() * (high - low))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.share() < probability

    def digits(self, count: int) -> str:
        """That many decimal digits."""
        return f"{int(self.share() * 10**count):0{count}}"

    def id(self, at: int, milliseconds: int = 0) -> str:
        """A UUIDv7 of that moment (RFC 9562, section 5.7), as 32 hexadecimal digits."""
        drawn = self.bits(76) & ~(1 << 62) | 1 << 63
        return f"{FIXED_ANCHOR_MS + at * 1_000 + milliseconds:012x}7{drawn:019x}"

    def key(self) -> str:
        """A UUIDv4 (RFC 9562, section 5.4), as 32 hexadecimal digits."""
        return f"{self.bits(128) & ~(0xF << 76 | 1 << 62) | 4 << 76 | 1 << 63:032x}"

    def token(self) -> str:
        """32 bytes as URL-safe text."""
        return base64.urlsafe_b64encode(self.bits(256).to_bytes(32)).rstrip(b"=").decode()

    def time(self, at: int) -> str:
        """The moment as PostgreSQL reads it."""
        day, second = divmod(at, DAY)
        return self._dates[day] + self._clock[second]

    def numbered_day(self, at: int) -> str:
        """Year and day of the year of a moment, as `2026-031`."""
        return self._numbered_days[at // DAY]
