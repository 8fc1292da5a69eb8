"""Who is told of which change: one listening connection a worker, one bounded feed a subscription.

While somebody asks, a worker tells itself something twice a second: what it has learned of principals is
believed because it hears that.

A notice holds two ids, of a delivery and of its order. A feed remembers which rows changed, never how: a
row that changes twice before it is taken is taken once, in its newest state.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from ..answer import Watched
from ..database import Database
from ..logs import Event, about, note
from ..principal import Hearing, Principals
from ..tasks import end_tasks

CHANNEL, PRINCIPALS = "delivery_updated", "principal_changed"
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 5.0
BEAT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Changed:
    """A row changed."""

    row: UUID


@dataclass(frozen=True, slots=True)
class Missed:
    """Changes may have been missed: every row watched is to be read once."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing more will come."""


class Feed:
    """The changes one subscription has still to take: at most `limit` rows, beyond that all of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: dict[UUID, None] = {}
        self._missed = False
        self._closed = False
        self._wake = asyncio.Event()

    def add(self, row: UUID) -> None:
        """Remembers that a row changed."""
        if self._missed:
            return
        self._rows[row] = None
        if len(self._rows) > self._limit:
            self.miss()
        self._wake.set()

    def miss(self) -> None:
        """Remembers that any row may have changed."""
        self._missed = True
        self._rows.clear()
        self._wake.set()

    def close(self) -> None:
        """Has `take` say so from now on."""
        self._closed = True
        self._wake.set()

    async def take(self) -> Changed | Missed | Closed:
        """The next change, waited for."""
        await self._wake.wait()
        if self._closed:
            return Closed()
        if self._missed:
            self._missed = False
            self._wake.clear()
            return Missed()
        row = next(iter(self._rows))
        del self._rows[row]
        if not self._rows:
            self._wake.clear()
        return Changed(row)

    def __len__(self) -> int:
        return len(self._rows)


class Heartbeat:
    """Says up to when every change is heard of, while somebody asks; see `gateway.principal.known`.

    Each worker that listens is woken by each notice: who is asked nothing, or believes nothing, sends none.
    """

    def __init__(self, hearing: Hearing, clock: Callable[[], datetime], believed_seconds: float) -> None:
        self.channel = f"heartbeat_{uuid4().hex}"
        self.seconds = min(BEAT_SECONDS, believed_seconds / 2) or BEAT_SECONDS
        self._believes = believed_seconds > 0
        self._hearing = hearing
        self._clock = clock
        self._number = 0
        # When the last one was sent; None where it has come, or does not come any more.
        self._sent: datetime | None = None

    def begin(self) -> None:
        """What was sent by a connection that is lost does not come."""
        self._sent = None

    def due(self) -> str | None:
        """The number of the next beat, where one is needed."""
        if not (self._believes and self._hearing.take_asked()):
            return None
        self._number += 1
        # INVARIANT: the moment is before the notice is sent, or a change between them would count as heard.
        self._sent = self._clock()
        return str(self._number)

    def came(self, notice: str) -> None:
        """Takes the last beat; any other notice says nothing."""
        if self._sent is not None and notice == str(self._number):
            self._hearing.heard_until(self._sent)
            self._sent = None


class Broker:
    """Hears of changes and tells the feeds that watch for them."""

    def __init__(self, database: Database, principals: Principals, heartbeat: Heartbeat) -> None:
        self._database = database
        self._principals = principals
        self._heartbeat = heartbeat
        self._feeds: dict[Watched, set[Feed]] = {}
        self.is_listening = False

    @contextmanager
    def attached(self, feed: Feed, watched: Watched) -> Iterator[None]:
        """Tells a feed of what is watched while the block runs."""
        self._feeds.setdefault(watched, set()).add(feed)
        try:
            yield
        finally:
            self._feeds[watched].discard(feed)
            if not self._feeds[watched]:
                del self._feeds[watched]

    def count(self) -> int:
        """How many feeds are told of changes."""
        return sum(len(feeds) for feeds in self._feeds.values())

    def tell(self, notice: str) -> None:
        """Tells the feeds that watch a delivery or its order; a notice that is none is passed over."""
        try:
            delivery, order = (UUID(part) for part in notice.split(","))
        except ValueError:
            note(Event.NOTICE_NOT_READ)
            return
        for watched in (Watched("deliveryId", delivery), Watched("orderId", order)):
            for feed in self._feeds.get(watched, ()):
                feed.add(delivery)

    async def run(self) -> None:
        """Listens until it is cancelled, and listens again whenever the connection is lost."""
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                heard = {CHANNEL: self.tell, PRINCIPALS: self._principals.heard}
                await self._database.listen(heard, self._begin, self._heartbeat)
            except Exception as error:  # whatever it is, its text stays here and the worker listens again
                note(Event.NOT_LISTENING, **about(error))
            else:
                note(Event.NOT_LISTENING)
            if self.is_listening:
                wait = FIRST_WAIT_SECONDS
            self.is_listening = False
            self._principals.hear(hears=False)
            # Of many workers, not all come back in the same moment.
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311  # no secret
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def _begin(self) -> None:
        self.is_listening = True
        self._heartbeat.begin()
        note(Event.LISTENING)
        self._principals.hear(hears=True)
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.miss()


@asynccontextmanager
async def listening(broker: Broker) -> AsyncIterator[None]:
    """The broker at work while the block runs."""
    task = asyncio.create_task(broker.run())
    try:
        yield
    finally:
        await end_tasks([task])
