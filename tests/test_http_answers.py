"""How an answer is written on its connection: a usual one in one piece, every other as uvicorn writes it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gateway.server import Exchange
from tests.live import Served
from tests.test_http_bounds import FINE, START, connected, is_answered, sent, status_of

pytestmark = pytest.mark.slow


def test_a_head_written_in_one_piece_is_that_of_uvicorn(live: Served) -> None:
    """An answer that ends its connection is written by uvicorn, header by header."""
    request = START + b"Content-Length: " + str(len(FINE)).encode() + b"\r\n"
    with connected(live) as connection:
        answer = sent(connection, request + b"\r\n" + FINE, request + b"Connection: close\r\n\r\n" + FINE)
    first, second = (_head(part) for part in answer.split(b"HTTP/1.1 ")[1:])
    assert [*first, b"connection: close"] == second
    assert b"date" in first


def test_a_handler_of_libraries_lines_is_no_reason_to_write_answers_as_uvicorn_does(
    live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker sets up its log after uvicorn has, whose own log of requests then seems to be wanted."""
    begun: list[int] = []

    def begin(exchange: Exchange, status: int, headers: Any) -> None:
        begun.append(status)
        written(exchange, status, headers)

    written = Exchange._begin
    monkeypatch.setattr(Exchange, "_begin", begin)
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
    assert logging.getLogger("uvicorn.access").hasHandlers()
    assert is_answered(live)
    assert begun == [200]


@pytest.mark.parametrize("added", [(b"x-added", b"yes"), (b"x-request-id", b"another")])
def test_what_is_added_to_a_usual_answer_on_the_way_is_sent_too(
    live: Served, monkeypatch: pytest.MonkeyPatch, added: tuple[bytes, bytes]
) -> None:
    async def sending(exchange: Exchange, message: Any) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], added]
        await sent_as_it_is(exchange, message)

    sent_as_it_is = Exchange.send
    monkeypatch.setattr(Exchange, "send", sending)
    request = START + b"Content-Length: " + str(len(FINE)).encode() + b"\r\nConnection: close\r\n\r\n"
    with connected(live) as connection:
        keeping = sent(connection, request.replace(b"Connection: close\r\n", b"") + FINE + request + FINE)
    assert keeping.count(b"%b: %b\r\n" % added) == 2
    assert keeping.count(b"x-request-id: ") == (4 if added[0] == b"x-request-id" else 2)


def test_answers_to_requests_sent_at_once_come_whole_and_in_their_order(live: Served) -> None:
    """Usual ones, one to `HEAD`, which has no body, and one of another head, on one connection."""
    length = b"Content-Length: %d\r\n\r\n" % len(FINE)
    get = b" /graphql?query=%7B__typename%7D HTTP/1.1\r\nHost: x\r\n"
    asked = [
        START + length + FINE,
        b"HEAD" + get + b"\r\n",
        b"GET" + get + b"\r\n",
        b"POST" + get + b"Connection: close\r\n\r\n",
    ]
    with connected(live) as connection:
        rest = sent(connection, b"".join(asked))
    found = []
    for has_body in (True, False, True, True):
        head, _, rest = rest.partition(b"\r\n\r\n")
        (long,) = [int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
        found.append((status_of(head), rest[:long] if has_body else b""))
        rest = rest[long:] if has_body else rest
    whole = b'{"data":{"__typename":"Query"}}'
    assert found[:3] == [(200, whole), (200, b""), (200, whole)]
    assert found[3][0] == 415
    assert rest == b""


def _head(answer: bytes) -> list[bytes]:
    """The lines of a head; of those that differ from one answer to the next the names."""
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return [line.split(b": ")[0] if line.startswith((b"x-request-id", b"date")) else line for line in lines]
