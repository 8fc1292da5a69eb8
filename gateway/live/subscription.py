"""One subscription: each change that concerns it, answered anew for its caller, or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from ..answer import Answer, Request, Unseen, Watched, answer_event, watched
from .broker import Changed, Closed, Feed, Missed
from .connection import Caller, Live

Send = Callable[[bytes], Awaitable[None]]


class Subscription:
    """A subscription of one caller; `run` goes on until it is stopped, refused, or its caller is lost."""

    def __init__(self, live: Live, caller: Caller, request: Request) -> None:
        self._live = live
        self._caller = caller
        self._request = request
        self._feed = Feed(live.gateway.settings.live_pending_limit)

    def stop(self) -> None:
        """Ends it before its next event; a statement under way is not broken off."""
        self._feed.close()

    async def run(self, send: Send) -> Answer | None:
        """Sends the body of every event. Returns the answer that refuses it, or nothing once it is stopped.

        Raises `RequestError`; `CallerLost` ends the whole connection.
        """
        found = await watched(self._live.gateway, self._request, await self._caller.again())
        if isinstance(found, Answer):
            return found
        with self._live.broker.attached(self._feed, found):
            while True:
                match await self._feed.take():
                    case Closed():
                        return None
                    case Changed(row):
                        rows: tuple[UUID, ...] = (row,)
                    case Missed():
                        rows = await self._rows_of(found)
                for row in rows:
                    refused = await self._tell(row, send)
                    if refused is not None:
                        return refused

    async def _rows_of(self, found: Watched) -> tuple[UUID, ...]:
        if found.argument == "orderId":
            return await self._live.gateway.database.deliveries_of(found.key)
        return (found.key,)

    async def _tell(self, row: UUID, send: Send) -> Answer | None:
        """Sends the event of a changed row, where it is one for the caller; returns what refuses it."""
        # INVARIANT: nothing is sent that was not judged for who the caller is now.
        principal = await self._caller.again()
        event = await answer_event(self._live.gateway, self._request, principal, row)
        match event:
            case Unseen():
                return None
            case Answer(body, 200):
                await send(body)
                return None
            case refused:
                return refused
