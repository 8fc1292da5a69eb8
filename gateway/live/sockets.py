"""The protocol `graphql-transport-ws` on a WebSocket (github.com/enisdenjo/graphql-ws, PROTOCOL.md).

A socket ends with 4400 where a message is none of the protocol, 4401 before `connection_init`, 4403 for a
caller who is not (or no longer) known, 4406, 4408, 4409 and 4429 as the protocol says, 1001 when the worker
stops, 1009 for a message that is too long, 1013 for a consumer that is too slow, a full worker, or a caller
whom the database cannot vouch for now, and 1011 for a fault.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, assert_never

from starlette.websockets import WebSocket, WebSocketDisconnect

from ..access_log import REQUEST_ID
from ..answer import Answer, Request, answer, is_subscription, note_stranger
from ..client_address import client_address
from ..cross_origin import is_of_this_host
from ..errors import (
    CallerLost,
    Code,
    HttpError,
    Problem,
    RequestError,
    RequestTimeout,
    SocketEnd,
    TooMany,
    Unauthenticated,
)
from ..failures import failure
from ..logs import Event, Told, milliseconds, note
from ..recording import Circumstances, read_case_reference
from ..response import failed
from ..tasks import end_tasks
from .connection import Caller, Leaving, Live, Lost, watch
from .messages import (
    ACK,
    GIVEN,
    PONG,
    Complete,
    Init,
    Message,
    Ping,
    Pong,
    Subscribe,
    complete_message,
    error_message,
    next_message,
    read_message,
)
from .operation import SocketOperation
from .subscription import Subscription

PROTOCOL = "graphql-transport-ws"
CLOSING_SECONDS = 1.0


async def serve_socket(live: Live, websocket: WebSocket, headers: Mapping[str, str]) -> None:
    """Serves one socket until it ends. `headers` are the upgrade's."""
    if not is_of_this_host(headers, live.gateway.settings.allowed_origins):
        await refuse_socket(websocket)
        return
    id_header = [(b"x-request-id", websocket.scope[REQUEST_ID].encode())]
    if PROTOCOL not in websocket.scope["subprotocols"]:
        await websocket.accept(headers=id_header)
        await _turn_away(websocket, SocketEnd(4406, "Subprotocol not acceptable"))
        return
    await websocket.accept(subprotocol=PROTOCOL, headers=id_header)
    try:
        with live.seats.door():
            await _Socket(live, websocket, headers).run()
    except TooMany:
        await _turn_away(websocket, SocketEnd(1013, "too many connections"))


async def refuse_socket(websocket: WebSocket) -> None:
    """Refuses a socket before it is accepted, with HTTP 403."""
    note(Event.CONNECTION_REFUSED, request_id=websocket.scope[REQUEST_ID], kind="socket", status=403)
    await websocket.close()


async def _turn_away(websocket: WebSocket, end: SocketEnd) -> None:
    request_id = websocket.scope[REQUEST_ID]
    note(Event.CONNECTION_REFUSED, request_id=request_id, kind="socket", close_code=end.code)
    await _close(websocket, end)


async def _close(websocket: WebSocket, end: SocketEnd) -> None:
    # A consumer that takes nothing does not take this either; then the server cuts it off.
    with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
        await asyncio.wait_for(websocket.close(end.code, end.reason), CLOSING_SECONDS)


@dataclass(frozen=True, slots=True)
class Left:
    """The other side is gone."""


class _Socket:
    """One socket: it reads, looks after its caller, runs operations, and ends once."""

    def __init__(self, live: Live, websocket: WebSocket, headers: Mapping[str, str]) -> None:
        self._live = live
        self._settings = live.gateway.settings
        self._websocket = websocket
        self._request_id = websocket.scope[REQUEST_ID]
        self._count = 0
        self._given = {name: headers[name] for name in GIVEN if name in headers}
        self._case: str | None = None
        self._address = client_address(websocket.scope, self._settings.trusted_proxies)
        self._seat = ExitStack()
        self._ended: asyncio.Future[SocketEnd | Left] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._operations: dict[str, SocketOperation] = {}

    async def run(self) -> None:
        """Serves until the socket ends."""
        self._start(self._read())
        self._start(self._leave())
        start, code = time.perf_counter(), None
        try:
            end = await self._ended
            if isinstance(end, SocketEnd):
                code = end.code
                await _close(self._websocket, end)
        finally:
            self._end(Left())
            for operation in self._operations.values():
                operation.stop()
            # Subscriptions' statements are not broken off; until they end the caller's seat is taken.
            with self._seat:
                await asyncio.gather(self._end_others(), *self._running, return_exceptions=True)
            self._note_end(code, start)

    async def _end_others(self) -> None:
        """Ends all but operations, also what the one that reads began before it heard of its end."""
        while others := self._tasks - self._running:
            await end_tasks(others)

    def _note_end(self, code: int | None, start: float) -> None:
        note(
            Event.CONNECTION_ENDED,
            request_id=self._request_id,
            kind="socket",
            close_code=code,
            operations=self._count,
            duration_ms=milliseconds(start),
        )

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Work whose failing ends the socket."""
        try:
            await work
        except SocketEnd as end:
            self._end(end)
        except CallerLost as error:
            self._end(SocketEnd(4403, f"Forbidden: {error.reason}"))
        except WebSocketDisconnect:
            self._end(Left())
        except Exception as error:  # the edge: its text stays here
            failure(error, self._request_id, Told())
            self._end(SocketEnd(1011, "internal error"))

    def _end(self, end: SocketEnd | Left) -> None:
        if not self._ended.done():
            self._ended.set_result(end)

    async def _leave(self) -> None:
        await self._live.leaving.wait()
        raise SocketEnd(1001, "going away")

    async def _watch(self, caller: Caller) -> None:
        match await watch(self._live, caller):
            case Leaving():
                raise SocketEnd(1001, "going away")
            case Lost(None):
                raise SocketEnd(1013, "the caller cannot be identified now")
            case Lost(CallerLost() as error):
                raise error

    # ------------------------------------------------------------ messages in

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._settings.live_init_timeout_seconds):
                caller = await self._initialised()
        except TimeoutError:
            raise SocketEnd(4408, "Connection initialisation timeout") from None
        self._start(self._watch(caller))
        opened = {"request_id": self._request_id, "kind": "socket", "role": caller.role}
        note(Event.CONNECTION_OPENED, **opened)
        await self._send(ACK)
        while not self._ended.done():
            match await self._receive():
                case Init():
                    raise SocketEnd(4429, "Too many initialisation requests")
                case Subscribe() as message:
                    await self._subscribe(message, caller)
                case Complete(id):
                    self._complete(id)
                case Ping():
                    await self._send(PONG)
                case Pong():
                    pass
                case never:
                    assert_never(never)

    async def _receive(self) -> Message:
        event = await self._websocket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        return read_message(event.get("text"), self._settings.body_limit_bytes)

    async def _initialised(self) -> Caller:
        while True:
            match await self._receive():
                case Init(given):
                    self._given |= given
                    self._case = self._read_case()
                    return await self._seated()
                case Ping():
                    await self._send(PONG)
                case Pong():
                    pass
                case Subscribe() | Complete():
                    raise SocketEnd(4401, "Unauthorized")

    def _read_case(self) -> str | None:
        try:
            return read_case_reference(self._given.get("case-reference"), self._settings.case_reference)
        except HttpError:
            raise SocketEnd(4400, "Invalid Case-Reference") from None

    async def _seated(self) -> Caller:
        """The caller, identified and counted."""
        given, gateway = self._given, self._live.gateway
        caller = Caller(gateway, given.get("authorization"), given.get("act-as"), self._address)
        try:
            await caller.open()
            self._seat.enter_context(self._live.seats.seat(caller.owner))
        except Unauthenticated as error:
            await self._note_stranger(error)
            raise SocketEnd(4403, f"Forbidden: {error.reason}") from None
        except TooMany:
            raise SocketEnd(4429, "Too many connections") from None
        except HttpError as error:
            await self._note_stranger(error)
            raise SocketEnd(4403, f"Forbidden: {error.problems[0].code}") from None
        except RequestError as error:
            raise SocketEnd(4403, f"Forbidden: {error.problems[0].code}") from None
        return caller

    async def _note_stranger(self, error: HttpError) -> None:
        """Records whom the socket was refused to, where that is known; there is no document yet."""
        await note_stranger(self._live.gateway, error, "", Circumstances(self._request_id, self._case))

    # ------------------------------------------------------------ operations

    async def _subscribe(self, message: Subscribe, caller: Caller) -> None:
        if message.id in self._operations:
            raise SocketEnd(4409, f"Subscriber for {ascii(message.id)[1:-1][:60]} already exists")
        limit = self._settings.live_operations_per_socket
        if len(self._running) >= limit:
            problem = Problem(Code.TOO_MANY_OPERATIONS, f"the socket has {limit} operations under way")
            await self._send(error_message(message.id, failed([problem])))
            return
        operation = self._operations[message.id] = SocketOperation(message.id)
        self._count += 1
        task = self._start(self._operate(operation, self._request(message, operation), caller))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _request(self, message: Subscribe, operation: SocketOperation) -> Request:
        return Request(
            query=message.query,
            variables=message.variables,
            operation_name=message.operation_name,
            authorization=self._given.get("authorization"),
            act_as=self._given.get("act-as"),
            purpose=self._given.get("processing-purpose"),
            reject_on_refusal=self._given.get("on-forbidden") == "reject",
            wants_cost=message.wants_cost,
            may_change=True,
            client_address=self._address,
            request_id=operation.request_id,
            case_reference=self._case,
            told=operation.told,
        )

    def _complete(self, id: str) -> None:
        operation = self._operations.pop(id, None)
        if operation is not None:
            operation.stop()

    async def _operate(self, operation: SocketOperation, request: Request, caller: Caller) -> None:
        """Runs one operation and tells of it when it is over."""
        try:
            await self._run(operation, request, caller)
        finally:
            told = operation.told
            note(
                Event.OPERATION,
                request_id=operation.request_id,
                connection_id=self._request_id,
                duration_ms=milliseconds(operation.start),
                role=told.role,
                operation=told.operation,
                codes=told.codes or None,
            )

    async def _run(self, operation: SocketOperation, request: Request, caller: Caller) -> None:
        """Sends what comes of an operation, but for what its client has completed."""

        async def send(body: bytes) -> None:
            await self._send_of(operation, next_message(operation.id, body))

        try:
            refused = await self._answered(operation, request, caller, send)
            if refused is None:
                last = complete_message(operation.id)
            else:
                last = error_message(operation.id, refused.body)
        except (SocketEnd, CallerLost, WebSocketDisconnect):
            raise
        except Exception as error:  # the edge: `failure` says what may be said of it
            found = failure(error, operation.request_id, operation.told)
            last = error_message(operation.id, found.body)
        if self._operations.get(operation.id) is operation:
            # The id is free once the client can know that it is.
            del self._operations[operation.id]
            await self._send(last)

    async def _answered(
        self, operation: SocketOperation, request: Request, caller: Caller, send: Any
    ) -> Answer | None:
        """Sends the answers of an operation; returns the one that refuses it as a whole."""
        found = await self._answer(operation, request)
        if found is None:
            subscription = operation.follow(Subscription(self._live, caller, request))
            return await subscription.run(send)
        if found.status == 200:
            await send(found.body)
            return None
        return found

    async def _answer(self, operation: SocketOperation, request: Request) -> Answer | None:
        """The one answer of an operation, in its time; None of a subscription, which has many."""
        gateway = self._live.gateway
        try:
            with operation.breaking_off():
                async with asyncio.timeout(self._settings.request_timeout_seconds) as limit:
                    return None if await is_subscription(gateway, request) else await answer(gateway, request)
        except TimeoutError:
            if limit.expired():
                raise RequestTimeout from None
            raise

    # ------------------------------------------------------------ messages out

    async def _send_of(self, operation: SocketOperation, text: str) -> None:
        if self._operations.get(operation.id) is operation:
            await self._send(text)

    async def _send(self, text: str) -> None:
        if self._ended.done():
            return
        try:
            await asyncio.wait_for(self._websocket.send_text(text), self._settings.live_send_timeout_seconds)
        except TimeoutError:
            raise SocketEnd(1013, "the consumer is too slow") from None
        except RuntimeError:  # how Starlette and uvicorn tell that the socket was closed a moment ago
            raise WebSocketDisconnect(1006) from None
