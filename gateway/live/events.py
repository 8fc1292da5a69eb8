"""GraphQL over server-sent events, distinct connections mode (github.com/enisdenjo/graphql-sse, PROTOCOL.md).

Each answer is a `next` event, then comes `complete`. Mistakes and refusals are `next` events with `errors`;
who is not known, or has too many streams open, gets an HTTP status instead. When the worker stops, the
caller is lost, or rights end, the last `next` says why, and `complete` ends the stream.
"""

from __future__ import annotations

import asyncio
import time

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..answer import Answer, Request, answer, is_subscription
from ..errors import Code, HttpError, Problem, RequestError, TooMany
from ..failures import codes_of, failure
from ..logs import Event, milliseconds, note
from ..response import failed
from ..tasks import end_tasks
from .connection import Caller, Leaving, Live, watch
from .subscription import Subscription

EVENT_STREAM = "text/event-stream"
BEAT_SECONDS = 12.0
COMPLETE = b"event: complete\ndata: \n\n"
BEAT = b":\n\n"


def next_event(body: bytes) -> bytes:
    """`next` with the body of an answer; PostgreSQL breaks the lines of long lists."""
    return b"event: next\ndata: " + body.replace(b"\n", b"\ndata: ") + b"\n\n"


async def event_response(live: Live, request: Request) -> Response:
    """The stream of an operation's answers; raises `HttpError` where there is none."""
    try:
        if await is_subscription(live.gateway, request):
            address = request.client_address
            caller = Caller(live.gateway, request.authorization, request.act_as, address)
            await caller.open()
            return EventStream(live, caller, request)
        found = await answer(live.gateway, request)
    except HttpError:
        raise
    except RequestError as error:
        request.told.codes = codes_of(error.problems)
        found = Answer(failed(error.problems))
    return Response(next_event(found.body) + COMPLETE, 200, media_type=EVENT_STREAM)


class EventStream(Response):
    """The response that carries one subscription."""

    def __init__(self, live: Live, caller: Caller, request: Request) -> None:
        super().__init__(None, 200, {"x-accel-buffering": "no"}, EVENT_STREAM)
        del self.headers["content-length"]
        self._live = live
        self._caller = caller
        self._request = request
        self._subscription = Subscription(live, caller, request)
        self._over = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams until either side ends it."""
        self._send = send
        try:
            with self._live.seats.door(), self._live.seats.seat(self._caller.owner):
                await self._stream(receive)
        except TooMany as error:
            self._request.told.codes = codes_of(error.problems)
            kept = {name: value for name, value in self.headers.items() if name != "content-type"}
            body = failed(error.problems)
            headers = {**kept, "retry-after": "1"}
            await Response(body, error.status, headers, "application/json; charset=utf-8")(
                scope, receive, send
            )

    async def _stream(self, receive: Receive) -> None:
        request, start = self._request, time.perf_counter()
        about = {"request_id": request.request_id, "kind": "stream", "role": request.told.role}
        note(Event.CONNECTION_OPENED, **about)
        try:
            await self._streamed(receive)
        finally:
            note(Event.CONNECTION_ENDED, **about, duration_ms=milliseconds(start))

    async def _streamed(self, receive: Receive) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        running = asyncio.create_task(self._run())
        others = (
            asyncio.create_task(self._gone(receive)),
            asyncio.create_task(self._watch()),
            asyncio.create_task(self._beat()),
        )
        try:
            done, _ = await asyncio.wait((running, *others), return_when=asyncio.FIRST_COMPLETED)
            last = await done.pop()
            self._over = True
            if last is not None:
                await self._write(last + COMPLETE, more=False)
        except ClientDisconnect:
            pass  # it takes nothing: returning has the server cut it off
        finally:
            self._over = True
            self._subscription.stop()
            await asyncio.gather(running, end_tasks(others), return_exceptions=True)

    async def _run(self) -> bytes:
        """The last event of the subscription once it ends by itself."""
        try:
            refused = await self._subscription.run(self._tell)
        except ClientDisconnect:
            raise
        except Exception as error:  # the edge: `failure` says what may be said of it
            refused = failure(error, self._request.request_id, self._request.told)
        return b"" if refused is None else next_event(refused.body)

    async def _gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _watch(self) -> bytes:
        found = await watch(self._live, self._caller)
        if isinstance(found, Leaving):
            return b""
        unknown = (Problem(Code.INTERNAL, "the caller cannot be identified now"),)
        problems = found.error.problems if found.error else unknown
        self._request.told.codes = codes_of(problems)
        return next_event(failed(problems))

    async def _beat(self) -> None:
        while True:
            await self._write(BEAT)
            await asyncio.sleep(BEAT_SECONDS)

    async def _tell(self, body: bytes) -> None:
        await self._write(next_event(body))

    async def _write(self, body: bytes, *, more: bool = True) -> None:
        if more and self._over:
            return
        message = {"type": "http.response.body", "body": body, "more_body": more}
        seconds = self._live.gateway.settings.live_send_timeout_seconds
        try:
            await asyncio.wait_for(self._send(message), seconds)
        except TimeoutError:
            self._over = True
            raise ClientDisconnect from None
