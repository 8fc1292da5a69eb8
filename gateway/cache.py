"""A bounded cache that counts: the least recently used entry goes first."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Entries whose weights add up to at most `size`; without `weigh` each weighs 1.

    `hits` and `misses` count the look-ups, `evictions` what had to go or was too heavy to keep.
    """

    def __init__(self, size: int, weigh: Callable[[V], int] | None = None) -> None:
        self._entries: LRUCache[K, V] = LRUCache(size, weigh)
        self.hits = 0
        self.misses = 0
        self.evictions = 0

    def get(self, key: K) -> V | None:
        """The entry, or None where there is none."""
        found = self._entries.get(key)
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
        return found

    def put(self, key: K, value: V) -> V:
        """Keeps the entry, unless it is heavier than the whole cache, and gives it back."""
        before = len(self._entries) + (key not in self._entries)
        try:
            self._entries[key] = value
        except ValueError:
            self.evictions += 1
        else:
            self.evictions += before - len(self._entries)
        return value

    def drop(self, key: K) -> None:
        """Forgets an entry, if it is there."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Forgets every entry."""
        self._entries.clear()

    def counters(self) -> dict[str, int]:
        """How the cache fares: entries, hits, misses, evictions."""
        return {
            "entries": len(self),
            "hits": self.hits,
            "misses": self.misses,
            "evictions": self.evictions,
        }

    def __len__(self) -> int:
        return len(self._entries)
