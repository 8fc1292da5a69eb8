"""A bounded cache that counts: the least recently used entry goes first."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """At most `size` entries; `hits` and `misses` count the look-ups, `evictions` what had to go."""

    def __init__(self, size: int) -> None:
        self._entries: LRUCache[K, V] = LRUCache(size)
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
        """Keeps the entry, and gives it back."""
        if len(self._entries) >= self._entries.maxsize and key not in self._entries:
            self.evictions += 1
        self._entries[key] = value
        return value

    def drop(self, key: K) -> None:
        """Forgets the entry, if there is one."""
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)
