"""Whose budget is spent, and how its owner stands, as values."""

from __future__ import annotations

from dataclasses import dataclass

from limits import RateLimitItem


@dataclass(frozen=True, slots=True)
class Purse:
    """What one principal spends from: keys, and how much there is under each in a minute."""

    parts: tuple[tuple[str, RateLimitItem], ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What an operation costs, and what its principal has left, as `extensions.cost` says it."""

    requested: int
    limit: int
    remaining: int
    reset_seconds: int

    def as_dict(self) -> dict[str, int]:
        """The same for JSON."""
        return {
            "requested": self.requested,
            "limit": self.limit,
            "remaining": self.remaining,
            "resetSeconds": self.reset_seconds,
        }
