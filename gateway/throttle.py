"""How often secrets may be tried: by a network, at an account from one network, and at it from everywhere.

What is counted stands in the table `attempt`, so that every worker of every instance counts together. A
bucket is a keyed digest of the account and of the network, never their addresses. It fills with each attempt
and drains evenly, from full to empty in one window: a full one has room for the next attempt after a share of
the window, and never for more than its limit at once.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Text,
    bindparam,
    cast,
    extract,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel

from .config import Settings
from .database import Database
from .errors import Code, TooMany
from .statements.bound import compiled

# Who has one address of IPv6 has its network (RFC 6177); of IPv4 an address is one customer's line.
IPV6_PREFIX = 64
# One customer may have 65,536 such networks (RFC 6177, section 2): together they have room for a few.
SITE_PREFIX = 48
SITE_NETWORKS = 5
# Room for what is lost in the last digits as a bucket drains.
ROUNDING = 1e-6
NOTHING: ColumnElement[float] = literal_column("0")

Counted = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is counted together, by its digest, and how much of it there may be at once."""

    key: str
    limit: int


class Throttle:
    """Counts attempts on connections of its own: whoever counts may hold one of the others already."""

    def __init__(self, settings: Settings, secret: bytes, database: Database) -> None:
        self.database = database
        self._settings = settings
        self._secret = secret

    async def count(
        self, action: str, *, account: str | None = None, client: str | None, now: datetime
    ) -> Counted:
        """Counts an attempt, before it is made: of concurrent ones none is made beyond the limits.

        Gives what was counted, for `give_back` where the attempt was no failure. Raises `TooMany`, with when
        to come back. A client whose address is not known is not counted by it; at an account all such are one
        network.
        """
        network = "" if client is None else network_of(client)
        counted = () if client is None else await self._of_client(client, network, now)
        if account is None:
            return counted
        return (*counted, *await self._at_account(action, account, network, now))

    async def give_back(self, counted: Counted) -> None:
        """Takes an attempt away again that was no failure."""
        for key, cost in counted:
            await self._row(_put_back(), {"bucket": key, "cost": cost})

    async def close(self) -> None:
        """Closes the connections."""
        await self.database.close()

    async def _of_client(self, client: str, network: str, now: datetime) -> Counted:
        """Counts by a client's network, and by the site of it where it is one of IPv6."""
        limit = self._settings.throttle_client_limit
        here = self._bucket(limit, "client", network)
        await self._take(here, 1, now)
        counted: Counted = ((here.key, 1),)
        site = site_of(client)
        if site is None:
            return counted
        around = self._bucket(limit * SITE_NETWORKS, "site", site)
        try:
            await self._take(around, 1, now)
        except TooMany:
            await self.give_back(counted)  # as at an account: what is refused does not count elsewhere
            raise
        return (*counted, (around.key, 1))

    async def _at_account(self, action: str, account: str, network: str, now: datetime) -> Counted:
        """Counts at an account from one network.

        # INVARIANT: nobody is refused for what came from other networks. Where the account has had too much
        # from everywhere, an attempt fills the bucket of its network instead of taking one place in it.
        """
        limit = self._settings.throttle_account_limit
        here = self._bucket(limit, "account", action, network, account)
        everywhere = self._bucket(self._settings.throttle_everywhere_limit, "everywhere", action, account)
        counted: Counted = ((everywhere.key, 1),) if await self._fits(everywhere, 1, now) else ()
        cost = 1 if counted else limit
        try:
            await self._take(here, cost, now)
        except TooMany:
            await self.give_back(counted)  # who is refused here does not count elsewhere
            raise
        return (*counted, (here.key, cost))

    async def _take(self, bucket: Bucket, cost: int, now: datetime) -> None:
        if not await self._fits(bucket, cost, now):
            found = await self._row(_find(), {"bucket": bucket.key})
            seconds = 1 if found is None else self._wait(bucket, cost, found["level"], found["at"], now)
            raise TooMany(Code.TOO_MANY_ATTEMPTS, "too many attempts: try again later", seconds)

    async def _fits(self, bucket: Bucket, cost: int, now: datetime) -> bool:
        """Whether there was room, which is taken then."""
        window = self._settings.throttle_window_seconds
        given = {"bucket": bucket.key, "limit": bucket.limit, "window": window, "cost": cost, "now": now}
        return await self._row(_fill(), given) is not None

    def _wait(self, bucket: Bucket, cost: int, level: float, at: datetime, now: datetime) -> int:
        """In how many seconds there is room; a bucket drains from the latest moment of any worker's clock."""
        over = (level + cost - bucket.limit) / bucket.limit * self._settings.throttle_window_seconds
        return max(1, math.ceil(over + (at - now).total_seconds() - ROUNDING))

    def _bucket(self, limit: int, *parts: str) -> Bucket:
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        return Bucket(hmac.digest(self._secret, text, sha256).hex(), limit)

    async def _row(self, sql: tuple[str, Sequence[str]], values: dict[str, object]) -> Any:
        text, names = sql
        async with self.database.transaction(None) as transaction:
            return await transaction.alone(text, [values[name] for name in names])


def network_of(client: str) -> str:
    """The part of a client's address that it cannot change at will: all of IPv4, a /64 network of IPv6."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, IPV6_PREFIX), strict=False))


def site_of(client: str) -> str | None:
    """The /48 network around a client's address of IPv6; None of any other."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return None
    if not isinstance(address, IPv6Address) or address.ipv4_mapped is not None:
        return None
    return str(IPv6Network((address, SITE_PREFIX), strict=False))


# ---------------------------------------------------------------- statements


@lru_cache(maxsize=1)
def _fill() -> tuple[str, tuple[str, ...]]:
    """Puts `cost` into a bucket; without a row there was no room, and nothing is changed."""
    table = _table()
    limit, cost, window = _number("limit"), _number("cost"), _number("window")
    now = bindparam("now", type_=table.c.at.type)
    # Clocks of workers differ: one that is behind drains nothing, and none drains the same time twice.
    passed = func.greatest(NOTHING, cast(extract("epoch", now - table.c.at), Double()))
    level = func.greatest(NOTHING, table.c.level - passed * limit / window) + cost
    query = insert(table).values(bucket=bindparam("bucket", type_=Text()), level=cost, at=now)
    return compiled(
        query.on_conflict_do_update(
            index_elements=[table.c.bucket],
            set_={"level": level, "at": func.greatest(table.c.at, now)},
            where=level <= limit + literal_column(str(ROUNDING)),
        ).returning(table.c.level)
    )


@lru_cache(maxsize=1)
def _find() -> tuple[str, tuple[str, ...]]:
    table = _table()
    return compiled(select(table.c.level, table.c.at).where(_this()))


@lru_cache(maxsize=1)
def _put_back() -> tuple[str, tuple[str, ...]]:
    table = _table()
    level = func.greatest(NOTHING, table.c.level - _number("cost"))
    return compiled(update(table).where(_this()).values(level=level))


def _number(name: str) -> Any:
    return bindparam(name, type_=Double())


def _this() -> Any:
    return _table().c.bucket == bindparam("bucket", type_=Text())


def _table() -> Any:
    return SQLModel.metadata.tables["attempt"]
