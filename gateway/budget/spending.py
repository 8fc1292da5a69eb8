"""Spends what the operations of one principal may cost in a minute, whatever its connections and workers.

A principal is counted as one: a customer, the holder of one order's token, an employee in whatever role, a
partner with all its tokens; without a token, a network, and of IPv6 the site around it too. What is counted
stands under keyed digests, in the worker's memory or where the workers count together.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256

from cachetools import LRUCache
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from ..config import Settings
from ..errors import Code, TooMany
from ..plan.cost import LEAST
from ..principal import Principal
from ..throttle import SITE_NETWORKS, network_of, site_of
from .shared import Counts, Shared, open_store
from .standing import Purse, Standing
from .windows import Seconds, Window, Windows

MINUTE = 60
MOST_SPENT, MOST_PURSES = 10_000, 10_000


class Budget:
    """Counts what is spent; raises `TooMany` (BUDGET_SPENT) where it would be more than there is."""

    def __init__(self, settings: Settings, secret: bytes, seconds: Seconds) -> None:
        own = Windows(seconds)
        url = settings.budget_url
        store = None if url is None else open_store(url.get_secret_value())
        self._shared = Shared(store, own, seconds)
        self._limiters = {found: SlidingWindowCounterRateLimiter(found) for found in (own, store) if found}
        self._secret = secret
        # PERF: the digest of who asks again is not made again: 3 µs.
        self._purse = lru_cache(MOST_PURSES)(self._made)
        self._seconds = seconds
        self._whole = RateLimitItemPerMinute(settings.budget_per_minute)
        self._of_site = RateLimitItemPerMinute(settings.budget_per_minute * SITE_NETWORKS)
        # Until when nothing is taken from who has spent all: found before anything is read.
        self._spent: LRUCache[str, float] = LRUCache(MOST_SPENT)

    def purse(self, principal: Principal, client: str | None) -> Purse:
        """Whose budget a request is of; `client` is the address it comes from, where that is known."""
        owner = principal.purse
        return self._purse(owner, None if owner is not None else client)

    def _made(self, owner: str | None, client: str | None) -> Purse:
        if owner is not None:
            return Purse(((self._key("principal", owner), self._whole),))
        network = "" if client is None else network_of(client)
        here = (self._key("network", network), self._whole)
        site = None if client is None else site_of(client)
        return Purse((here,) if site is None else (here, (self._key("site", site), self._of_site)))

    def check(self, purse: Purse) -> None:
        """Refuses who has nothing left, before anything is read."""
        if not self._spent:
            return
        for key, _ in purse.parts:
            left = self._spent.get(key, 0.0) - self._seconds()
            if left > 0:
                raise _refusal(LEAST, max(1, round(left)))

    async def take(self, purse: Purse, cost: int) -> None:
        """Spends so much, or nothing and raises `TooMany`."""
        # A network pays nothing for what its site has no room for.
        for key, item in purse.parts[1:]:
            window = await self._window(key, item)
            if window.spent(MINUTE) + cost > item.amount:
                raise _refusal(cost, window.wait(item.amount, MINUTE, cost))
        for key, item in purse.parts:
            if not await self._hit(key, item, cost):
                window = await self._window(key, item)
                raise _refusal(cost, window.wait(item.amount, MINUTE, cost))

    async def take_for_mistake(self, purse: Purse, cost: int) -> None:
        """Spends so much, or what is left; then raises `TooMany`, and nothing more is read for a while."""
        for key, item in purse.parts:
            if not await self._hit(key, item, cost):
                window = await self._window(key, item)
                left = item.amount - window.spent(MINUTE)
                if left > 0:
                    await self._hit(key, item, left)
                seconds = (await self._window(key, item)).wait(item.amount, MINUTE, LEAST)
                self._spent[key] = self._seconds() + seconds
                raise _refusal(cost, seconds)

    async def standing(self, purse: Purse, requested: int) -> Standing:
        """How a principal stands, once it has paid for this."""
        key, item = purse.parts[0]
        window = await self._window(key, item)
        remaining = max(0, item.amount - window.spent(MINUTE))
        return Standing(requested, item.amount, remaining, window.until_whole())

    async def close(self) -> None:
        """Closes the connections to where workers count together."""
        await self._shared.close()

    async def _hit(self, key: str, item: RateLimitItem, cost: int) -> bool:
        if self._shared.store is None:
            # PERF: what the strategy does without the eight coroutines on its way: 1.9 µs instead of 4.1,
            # each awaited alone on the same counts.
            return self._shared.own.spend(key, item.amount, MINUTE, cost)

        async def hit(counts: Counts) -> bool:
            return await self._limiters[counts].hit(item, key, cost=cost)

        return await self._shared.ask(hit)

    async def _window(self, key: str, item: RateLimitItem) -> Window:
        if self._shared.store is None:
            return self._shared.own.window(key, MINUTE)

        async def read(counts: Counts) -> tuple[int, float, int, float]:
            return await counts.get_sliding_window(item.key_for(key), MINUTE)

        return Window(*await self._shared.ask(read))

    def _key(self, *parts: str) -> str:
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, text, sha256).hex()


def _refusal(cost: int, seconds: int) -> TooMany:
    message = "the caller has spent what its operations may cost in a minute: ask again later"
    return TooMany(Code.BUDGET_SPENT, message, seconds, {"cost": cost, "retryAfterSeconds": seconds})
