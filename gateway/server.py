"""The HTTP server, uvicorn's, and what one connection may take of it. The only home of uvicorn.

uvicorn bounds no head of a request, in bytes or in time, makes headers of what comes behind a body, and waits
for a client that takes no answer as long as it likes; not so `Connection`. It finds the settings in the
lifespan's state, as workers are processes that are handed names alone.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from .answer_headers import EVERYWHERE, IS_USUAL, USUAL
from .config import Settings
from .errors import Code, Problem
from .response import failed

SETTINGS = "settings"
# What a usual head has between its own type and its id.
ALWAYS = b"\r\n" + b"".join(b"%b: %b\r\n" % header for header in EVERYWHERE) + b"x-request-id: "
END = b"\r\n\r\n"
# How long a server that stops waits for consumers that do not take their last message.
LONGEST_STOP_SECONDS = 5
# How long a worker may not answer the process that started it, as it does not while it imports the gateway:
# that takes longer on a busy machine than uvicorn's 5 s, and workers were killed and started anew, for ever.
LONGEST_SILENCE_SECONDS = 60
MOST_HEADERS = 100
# What a header takes beside its name and value: the colon, a space, the line's end.
HEADER_OVERHEAD = 4


def server_options(settings: Settings) -> dict[str, Any]:
    """How uvicorn serves this gateway, wherever it listens."""
    return {
        "http": f"{__name__}:{Connection.__name__}",
        "ws": f"{__name__}:{Socket.__name__}",
        "lifespan": "on",
        "timeout_keep_alive": settings.keep_alive_seconds,
        "ws_max_size": settings.body_limit_bytes,
        "timeout_graceful_shutdown": LONGEST_STOP_SECONDS,
        "log_config": None,
        "log_level": "warning",
        "access_log": False,
        # Whom to believe is GATEWAY_TRUSTED_PROXIES alone.
        "proxy_headers": False,
        "server_header": False,
    }


def make_server(app: Any, settings: Settings) -> uvicorn.Server:
    """A server for an application in this process."""
    return uvicorn.Server(uvicorn.Config(app, **server_options(settings)))


def serve(application: str, settings: Settings, host: str, port: int, workers: int) -> None:
    """Serves the application that a function of this name makes, in so many processes, until stopped."""
    options = server_options(settings) | {"timeout_worker_healthcheck": LONGEST_SILENCE_SECONDS}
    uvicorn.run(application, factory=True, host=host, port=port, workers=workers, **options)


class _HeadTooLarge(Exception):
    """The head of a request is larger than any may be."""


class Exchange(RequestResponseCycle):
    """A request and its answer, as uvicorn has them; a usual head is written in one piece with its body.

    # PERF: uvicorn looks at every header of every answer with two patterns, and writes head and body apart:
    # 21 µs of a small read's 370 (the bench's W1 at 16 clients, with and without this, round by round).
    """

    # That of a usual answer, until its body comes; of one that fails in between nothing is sent.
    _head = b""

    async def send(self, message: Any) -> None:
        """Sends what the application gives; a usual head has the same bytes as uvicorn's."""
        if IS_USUAL in message and self._waits_for_nothing() and _is_as_told(message["headers"]):
            self._begin(message["status"], message["headers"])
            return
        if self._head:
            message = {**message, "body": self._head + message.get("body", b"")}
            self._head = b""
        await super().send(message)

    def _begin(self, status: int, headers: Any) -> None:
        self.response_started, self.waiting_for_100_continue = True, False
        length, kind, id = headers[0][1], headers[1][1], headers[-1][1]
        head = [STATUS_LINE[status]]
        for name, value in self.default_headers:  # `date`, which uvicorn makes anew each second
            head += (name, b": ", value, b"\r\n")
        head += (b"content-length: ", length, b"\r\ncontent-type: ", kind, ALWAYS, id, END)
        self._head = b"".join(head)
        # To uvicorn it is a part of the body.
        self.expected_content_length, self.chunked_encoding = len(self._head) + int(length), False

    def _waits_for_nothing(self) -> bool:
        """Whether nothing is to be done but to write head and body."""
        return (
            self.keep_alive
            and self.scope["method"] != "HEAD"
            and not (self.response_started or self.disconnected or self.flow.write_paused)
        )


def _is_as_told(headers: Any) -> bool:
    """Whether nothing was added to the headers of a usual answer on the way here."""
    return len(headers) == len(USUAL) + len(EVERYWHERE) + 1 and headers[-1][0] == b"x-request-id"


class Connection(HttpToolsProtocol):
    """One connection: bounded in its heads, in how long it waits for them, and in how long it is sent to."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # uvicorn takes the handler of libraries' lines for one of its own log of requests.
        self.access_log = False
        self._settings: Settings = app_state[SETTINGS]
        # How much of a head has come before the present read; None outside a head. How much with it at most.
        self._head_bytes: int | None = None
        self._came = 0
        # How much has come behind the head that is no body, in a row; None where no body is to come.
        self._beside_bytes: int | None = None
        # How much has come since a request waits behind another.
        self._early_bytes = 0
        self._has_begun = self._has_moved = self._is_too_large = self._has_left = False
        self._under_way: RequestResponseCycle | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------ what uvicorn and its parser call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Turns away whoever comes to a full worker."""
        super().connection_made(transport)
        if len(self.connections) > self._settings.connection_limit:
            self._turn_away(503)
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the timers with the connection, and tells every request of it that its caller has left."""
        self._wait_no_more()
        self._send_no_more()
        super().connection_lost(exc)
        # uvicorn tells the one that came last, behind which another may be under way.
        for cycle in (self._under_way, *(queued for queued, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Reads on, and looks how much of a head has come and whether one has to be waited for."""
        if self.transport.is_closing():
            return
        self._has_begun = self._has_moved = False
        self._came = len(data) if self._head_bytes is None else self._came + len(data)
        super().data_received(data)
        self._bound(len(data))
        if not self._is_answering():
            self._wait()

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection over to a socket, which has bounds of its own."""
        if self._is_answering():
            # Two answers would be written into each other.
            self.transport.close()
            return
        self._has_left = True
        self._wait_no_more()
        self._send_no_more()
        super().handle_websocket_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # uvicorn names no way to choose the class of its cycles.
        cycle.__class__ = Exchange
        self._under_way = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head_bytes, self._has_begun = 0, True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; what comes behind a body (RFC 9110, section 6.5) is none, and nothing of it is kept."""
        if self._head_bytes is not None:
            super().on_header(name, value)
        elif self._beside_bytes is not None and self._has_moved:
            # In one piece with what it comes behind, whose own bytes are not told apart.
            self._beside_bytes += len(name) + len(value) + HEADER_OVERHEAD

    def on_headers_complete(self) -> None:
        """A head is whole; raises, for the parser to stop, where it is too large."""
        limit = self._settings.head_limit_bytes
        # PERF: a head that came in less is not added up: 1.7 µs for ten headers (`timeit` of `_size`).
        if (self._came > limit and self._size() > limit) or len(self.headers) > MOST_HEADERS:
            self._is_too_large = True
            raise _HeadTooLarge
        self._head_bytes = None
        self._beside_bytes, self._has_moved = 0, True
        self._wait_no_more()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._beside_bytes, self._has_moved = 0, True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._beside_bytes = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers to what is no HTTP, which a head that is too large became."""
        self._turn_away(431 if self._is_too_large else 400)

    def on_response_complete(self) -> None:
        """An answer is handed over; what the client has not taken of it is not kept for ever."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._send_until()

    def pause_writing(self) -> None:
        """The client takes less than is sent."""
        super().pause_writing()
        self._send_until()

    def resume_writing(self) -> None:
        """It takes it again; only of a stream more is to come."""
        super().resume_writing()
        if self._is_answering():
            self._send_no_more()

    # ------------------------------------------------------------ what is bounded

    def _bound(self, count: int) -> None:
        """Looks how much of a head has come, behind one that is no body, and before its turn."""
        limit = self._settings.head_limit_bytes
        if self._head_bytes is not None and not self._has_begun:
            self._head_bytes += count
            if self._head_bytes > limit:
                self._turn_away(431)
        if self._beside_bytes is not None:
            self._beside_bytes += 0 if self._has_moved else count
            if self._beside_bytes > limit:
                self.transport.close()
        self._early_bytes = self._early_bytes + count if self.pipeline else 0
        if 0 < self._early_bytes <= limit and not self.transport.is_closing():
            # uvicorn reads no further, and nobody would see the caller leave.
            self.flow.resume_reading()

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + HEADER_OVERHEAD for name, value in self.headers)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        """Waits for the next head, or the rest of a body that was not wanted, from now on so long."""
        if self._has_left or self._waiting is not None or self.timeout_keep_alive_task is not None:
            return
        if not self.transport.is_closing():
            self._waiting = self.loop.call_later(self._settings.head_timeout_seconds, self._waited)

    def _waited(self) -> None:
        self._waiting = None
        if self._head_bytes is not None:
            self._turn_away(408)
        elif not self._is_answering():
            self.transport.close()

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _send_until(self) -> None:
        # An answer before this one, long taken, may have been waited for: each has all of the time.
        self._send_no_more()
        if self._has_left:
            return
        self._sending = self.loop.call_later(self._settings.send_timeout_seconds, self._sent)

    def _sent(self) -> None:
        self._sending = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _send_no_more(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _turn_away(self, status: int) -> None:
        """Closes the connection; with an answer, where none is under way."""
        if not self._is_answering() and not self.transport.is_closing():
            self.transport.write(_turned_away(status))
        self.transport.close()


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket; a text that is no UTF-8 ends it, and is no fault of ours that uvicorn were to log."""

    def send_receive_event_to_app(self) -> None:
        """Hands a whole message on (RFC 6455, section 8.1)."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(1007, "the message is no UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()


def _turned_away(status: int) -> bytes:
    """A whole answer outside the application: uniform, and the connection's last."""
    phrase = HTTPStatus(status).phrase
    code = Code.TOO_MANY_CONNECTIONS if status == 503 else Code.BAD_REQUEST
    body = failed([Problem(code, phrase.lower())])
    headers = [
        *EVERYWHERE,
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *([(b"retry-after", b"1")] if status == 503 else []),
    ]
    lines = [f"HTTP/1.1 {status} {phrase}".encode(), *(name + b": " + value for name, value in headers)]
    return b"\r\n".join([*lines, b"", body])
