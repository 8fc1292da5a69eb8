"""How often secrets may be tried: per account and per client address, in each worker.

The only home of limits. What is counted is a keyed digest of the account, known or not, never its address.
"""

from __future__ import annotations

import hmac
import math
import time
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from .config import Settings
from .errors import Code, TooMany

# Who has one address of IPv6 has its network (RFC 6177).
IPV6_PREFIX = 64


class Throttle:
    """Counts attempts in windows that begin with the first one."""

    def __init__(self, settings: Settings, secret: bytes) -> None:
        self._secret = secret
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        seconds = settings.throttle_window_seconds
        self._per_account = RateLimitItemPerSecond(settings.throttle_account_limit, seconds)
        self._per_client = RateLimitItemPerSecond(settings.throttle_client_limit, seconds)

    async def count(self, action: str, *, account: str | None = None, client: str | None) -> None:
        """Counts an attempt; raises `TooMany` where there were enough, with when to come back.

        A client whose address is not known is not counted, its accounts are.
        """
        if client is not None:
            await self._hit(self._per_client, "client", network_of(client))
        if account is not None:
            digest = hmac.digest(self._secret, account.encode("utf-8", "surrogatepass"), sha256)
            await self._hit(self._per_account, "account", action, digest.hex())

    async def _hit(self, item: RateLimitItem, *key: str) -> None:
        if not await self._limiter.hit(item, *key):
            window = await self._limiter.get_window_stats(item, *key)
            seconds = max(1, math.ceil(window.reset_time - time.time()))
            raise TooMany(Code.TOO_MANY_ATTEMPTS, "too many attempts: try again later", seconds)


def network_of(client: str) -> str:
    """The part of a client's address that it cannot change at will."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, IPV6_PREFIX), strict=False))
