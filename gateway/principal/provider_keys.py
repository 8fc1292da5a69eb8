"""The keys an identity provider publishes: kept for a time, and for longer while it does not answer.

Gives keys by id. The only module that asks another server on the request path: never more often than its
pause allows, one request at a time for all who wait, with a bounded time and a bounded answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import httpx

from ..logs import Event, about, note

K = TypeVar("K")

LONGEST_BYTES = 256 * 1024
# How long a request waits for newer keys while the older ones may still be used.
PATIENCE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Freshness:
    """For how long fetched keys are used, then while the provider fails, and how soon it is asked again."""

    fresh_seconds: float
    stale_seconds: float
    pause_seconds: float
    timeout_seconds: float


class KeySet(Generic[K]):
    """The keys at a URL, by their ids; `read` makes them of the answer and raises `ValueError`.

    The log names the provider by `whose` it is.
    """

    def __init__(
        self, whose: str, url: str, read: Callable[[bytes], Mapping[str, K]], freshness: Freshness
    ) -> None:
        self._whose = whose
        self._url = url
        self._read = read
        self._freshness = freshness
        self._keys: Mapping[str, K] = {}
        self._fetched: datetime | None = None
        self._tried: datetime | None = None
        self._running: asyncio.Task[None] | None = None

    async def find(self, key_id: str, now: datetime) -> K | None:
        """The key with this id; the provider is asked where it is not known, or what is known is old.

        # INVARIANT: no key is used longer after it was fetched than `fresh_seconds` and `stale_seconds`.
        """
        freshness = self._freshness
        if not self._is_within(self._fetched, freshness.fresh_seconds, now):
            usable = self._is_usable(now) and key_id in self._keys
            await self._refresh(now, PATIENCE_SECONDS if usable else None)
        elif key_id not in self._keys:
            await self._refresh(now, None)
        return self._keys.get(key_id) if self._is_usable(now) else None

    def _is_usable(self, now: datetime) -> bool:
        longest = self._freshness.fresh_seconds + self._freshness.stale_seconds
        return self._is_within(self._fetched, longest, now)

    @staticmethod
    def _is_within(moment: datetime | None, seconds: float, now: datetime) -> bool:
        return moment is not None and (now - moment).total_seconds() < seconds

    async def _refresh(self, now: datetime, patience: float | None) -> None:
        """Asks the provider, or waits with others for its answer; not again within the pause."""
        if self._running is None or self._running.done():
            if self._is_within(self._tried, self._freshness.pause_seconds, now):
                return
            self._tried = now
            self._running = asyncio.create_task(self._fetch(now))
        # Who goes away while waiting takes nothing from the others.
        await asyncio.wait({self._running}, timeout=patience)

    async def _fetch(self, now: datetime) -> None:
        """Takes the provider's keys; what it answers with instead, or that it does not, changes nothing."""
        try:
            async with asyncio.timeout(self._freshness.timeout_seconds):
                found = self._read(await self._answer())
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError) as error:
            note(Event.KEYS_NOT_FETCHED, whose=self._whose, **about(error))
            return
        self._keys, self._fetched = found, now

    async def _answer(self) -> bytes:
        """The body of a plain answer with status 200: no redirect is followed, nothing is unpacked."""
        headers = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}
        body = bytearray()
        async with (
            httpx.AsyncClient(timeout=self._freshness.timeout_seconds, follow_redirects=False) as client,
            client.stream("GET", self._url, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK or "content-encoding" in response.headers:
                raise ValueError("no plain answer")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > LONGEST_BYTES:
                    raise ValueError("too long an answer")
        return bytes(body)
