"""One log line for each HTTP request, and the request's id and the fixed headers on its answer.

A client's own `X-Request-Id` is not taken over: it is the client's text, and would stand in the log.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .answer_headers import add_headers
from .failures import failure
from .logs import METHODS, OTHER, Event, Told, milliseconds, note
from .request import Answer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
# Where the scope of a request or socket keeps its id, and what is told of it; of a request, when it began.
REQUEST_ID, TOLD, BEGUN = "gateway.request_id", "gateway.told", "gateway.begun"


def new_request_id() -> str:
    """128 random bits in hexadecimal."""
    return os.urandom(16).hex()


class AccessLog:
    """The ASGI application that logs the requests of another."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Has a request answered, and tells of it when it is over."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = request_id = new_request_id()
        scope[TOLD] = told = Told()
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        scope[BEGUN] = start = time.perf_counter()
        status: int | None = None

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                add_headers(message, request_id)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:  # the edge's own, as an endpoint's
            if status is not None:
                raise
            await _send(failure(error, request_id, told), sending)
        finally:
            _note(scope, request_id, told, status or 500, start)


async def _send(found: Answer, send: Send) -> None:
    """Answers in the place of an application that has not begun to."""
    kind = b"application/json; charset=utf-8"
    headers = [(b"content-length", str(len(found.body)).encode()), (b"content-type", kind)]
    await send({"type": "http.response.start", "status": found.status, "headers": headers})
    await send({"type": "http.response.body", "body": found.body})


def _note(scope: Message, request_id: str, told: Told, status: int, start: float) -> None:
    method = scope["method"]
    note(
        Event.REQUEST,
        request_id=request_id,
        method=method if method in METHODS else OTHER,
        path=getattr(scope.get("route"), "path", OTHER),
        status=status,
        duration_ms=milliseconds(start),
        role=told.role,
        operation=told.operation,
        codes=told.codes or None,
    )
