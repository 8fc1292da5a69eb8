"""What a socket and an event stream have in common: who opened them, how many there are, when they end.

A connection is looked after twice a second, whether events come or not: its caller is identified anew, and
whoever is no longer who opened it is shown out.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import FrameType

from ..answer import Gateway
from ..database import DATABASE_ERRORS, DatabaseTimeout
from ..errors import CallerLost, Code, RequestError, TooMany, Unauthenticated
from ..principal import Principal
from .broker import Broker, Heartbeat, listening

# With `principal_cache_seconds` at its most, 1.5, this and the look-up end a connection within 2 s.
CHECK_SECONDS = 0.4
IDENTIFY_SECONDS = 1.0


@dataclass(slots=True)
class Seats:
    """The sockets and event streams that are open: in all, and of each principal."""

    limit: int
    limit_per_principal: int
    taken: int = 0
    by_principal: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def door(self) -> Iterator[None]:
        """A place in the worker; raises `TooMany` where all are taken."""
        if self.taken >= self.limit:
            raise TooMany(Code.TOO_MANY_CONNECTIONS, "the worker has too many connections")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    @contextmanager
    def seat(self, owner: str) -> Iterator[None]:
        """A place of one principal; raises `TooMany` where it has too many."""
        if self.by_principal[owner] >= self.limit_per_principal:
            message = f"the caller has {self.limit_per_principal} connections open"
            raise TooMany(Code.TOO_MANY_CONNECTIONS, message)
        self.by_principal[owner] += 1
        try:
            yield
        finally:
            self.by_principal[owner] -= 1
            if not self.by_principal[owner]:
                del self.by_principal[owner]


class Live:
    """What the live connections of a worker share."""

    def __init__(self, gateway: Gateway) -> None:
        settings = gateway.settings
        self.gateway = gateway
        principals, believed = gateway.principals, settings.principal_cache_seconds
        heartbeat = Heartbeat(principals.hearing, gateway.clock, believed)
        self.broker = Broker(gateway.database, principals, heartbeat)
        self.seats = Seats(settings.live_connection_limit, settings.live_connections_per_principal)
        self.leaving = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hears of changes while the block runs; a signal to stop ends every connection."""
        with _told_by_signals(self.leaving.set):
            async with listening(self.broker):
                yield
            self.leaving.set()


@contextmanager
def _told_by_signals(tell: Callable[[], None]) -> Iterator[None]:
    """Calls `tell` on a signal to stop, before whoever handled it: a server waits for open connections."""
    loop = asyncio.get_running_loop()
    before: dict[int, Callable[[int, FrameType | None], object]] = {}

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        before[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        before |= {int(number): handler for number, handler in found.items() if callable(handler)}
        for number in before:
            signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Caller:
    """Who opened a connection, identified again and again."""

    def __init__(
        self, gateway: Gateway, authorization: str | None, act_as: str | None, address: str | None
    ) -> None:
        self._gateway = gateway
        self._authorization = authorization
        self._act_as = act_as
        self._address = address

    async def open(self) -> None:
        """Identifies the caller for the first time; raises `RequestError`."""
        self._first = await self._identify()

    @property
    def owner(self) -> str:
        """Whose connections are counted together: the principal's, or those of one address without one.

        Who holds one order's token takes no seat of the account's, nor a subcontractor one of the carrier's.
        """
        return self._first.seat or f"anonymous {self._address}"

    @property
    def role(self) -> str | None:
        """The role the connection was opened in."""
        return self._first.role

    async def again(self, *, is_use: bool = True) -> Principal:
        """The caller, who still is who they were and acts in the same role; raises `CallerLost`."""
        try:
            found = await asyncio.wait_for(self._identify(is_use=is_use), IDENTIFY_SECONDS)
        except Unauthenticated as error:
            raise CallerLost(Code.UNAUTHENTICATED, error.reason) from error
        except RequestError as error:
            raise CallerLost(error.problems[0].code, "the role is no longer the caller's") from error
        if found != self._first:
            raise CallerLost(Code.ACT_AS_FORBIDDEN, "the role is no longer the caller's")
        return found

    async def _identify(self, *, is_use: bool = True) -> Principal:
        principals, now = self._gateway.principals, self._gateway.clock()
        given = (self._authorization, self._act_as, now, self._address)
        return await principals.identify(*given, is_known=True, is_use=is_use)


@dataclass(frozen=True, slots=True)
class Leaving:
    """The worker stops."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The caller is no longer who opened the connection, or cannot be asked for."""

    error: CallerLost | None


async def watch(live: Live, caller: Caller) -> Leaving | Lost:
    """Returns when a connection of this caller has to end, and why."""
    while True:
        try:
            await asyncio.wait_for(live.leaving.wait(), CHECK_SECONDS)
        except TimeoutError:
            try:
                await caller.again(is_use=False)
            except CallerLost as error:
                return Lost(error)
            except (*DATABASE_ERRORS, DatabaseTimeout):
                # Whom nobody can vouch for is shown out: the client may come back.
                return Lost(None)
        else:
            return Leaving()
