"""What one connection may take: heads, bodies, silence and slowness, against a real server on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live import Served, served
from tests.unsubscribing import FORM, GIVEN, decisions, subscribed

pytestmark = [pytest.mark.slow, pytest.mark.alone]

FINE = b'{"query": "{ __typename }"}'
START = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
QUICK = {
    "head_timeout_seconds": 0.5,
    "body_timeout_seconds": 0.5,
    "send_timeout_seconds": 0.5,
    "keep_alive_seconds": 1,
    "head_limit_bytes": 8192,
}
# How long a bound of half a second may take on a busy machine.
AT_ONCE = 4.0


@pytest.fixture(scope="module")
def quick(live: Served) -> Iterator[Served]:
    """A gateway of little patience."""
    with served(live.world, **QUICK) as one:
        yield one


@contextmanager
def connected(one: Served) -> Iterator[socket.socket]:
    """A connection, on which waiting takes no longer than `AT_ONCE`."""
    with socket.create_connection(("127.0.0.1", one.port)) as connection:
        connection.settimeout(AT_ONCE)
        yield connection


def heard(connection: socket.socket) -> bytes:
    """Everything until the server closes; fails where it does not."""
    found = b""
    try:
        while chunk := connection.recv(65536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def sent(connection: socket.socket, *parts: bytes) -> bytes:
    """What is answered to these bytes until the server closes."""
    try:
        for part in parts:
            connection.sendall(part)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return heard(connection)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def is_answered(one: Served) -> bool:
    """Whether others are answered meanwhile."""
    return httpx.post(one.url, content=FINE, headers={"content-type": "application/json"}).status_code == 200


# ---------------------------------------------------------------- heads


def test_a_connection_that_says_nothing_is_closed(quick: Served) -> None:
    """Fifty silent connections keep nobody waiting, and end."""
    silent = [socket.create_connection(("127.0.0.1", quick.port)) for _ in range(50)]
    try:
        assert is_answered(quick)
        for connection in silent:
            connection.settimeout(AT_ONCE)
            assert heard(connection) == b""
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.parametrize("drip", [b"\r\n", b"X-A: b\r\n", b"a"])
def test_a_head_that_drips_is_not_waited_for(quick: Served, drip: bytes) -> None:
    """Whoever sends a little now and then is not taken for somebody who is about to ask."""
    start = time.monotonic()
    with connected(quick) as connection:
        if drip != b"\r\n":
            connection.sendall(START)
        connection.settimeout(0.05)
        answer = None
        while answer is None and time.monotonic() < start + AT_ONCE:
            try:
                connection.sendall(drip)
                answer = connection.recv(65536)
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                answer = b""
        assert answer is not None
        assert answer == b"" or status_of(answer) == 408


@pytest.mark.parametrize(
    "head",
    [
        START + b"X-A: " + b"a" * 9000 + b"\r\nContent-Length: 0\r\n\r\n",
        START + b"X-A: " + b"a" * 3_000_000,
        START + b"".join(b"X-%d: a\r\n" % number for number in range(120)) + b"\r\n",
        START + b"X-A: a\r\n" * 100_000,
        b"GET /graphql?query=" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 3_000_000,
    ],
)
def test_a_head_over_the_limit_is_431(quick: Served, head: bytes) -> None:
    """One header, many, a URL, whole or without end: none is kept, and the answer is like any mistake's."""
    with connected(quick) as connection:
        answer = sent(connection, head)
    assert not answer or status_of(answer) == 431
    assert not answer or b'"code":"BAD_REQUEST"' in answer
    assert is_answered(quick)


def test_a_head_within_the_limit_is_read(quick: Served) -> None:
    """Also where it comes in parts and behind another request."""
    end = b"Connection: close\r\nX-A: " + b"a" * 7000 + b"\r\n\r\n"
    with connected(quick) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n")
        answer = sent(connection, end)
    assert answer.count(b"HTTP/1.1 200") == 2


def test_a_head_that_grows_over_the_limit_in_parts_is_431(quick: Served) -> None:
    """Each part is within it; on a busy machine the second may come too late."""
    with connected(quick) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 5000)
        assert is_answered(quick)  # which is after the first part was read
        answer = sent(connection, b"a" * 5000 + b"\r\n\r\n")
    assert not answer or status_of(answer) in (408, 431)


def test_what_is_no_http_is_answered_like_any_mistake(quick: Served) -> None:
    """400 with `errors` and the fixed headers, and nothing of what was sent."""
    with connected(quick) as connection:
        answer = sent(connection, b"canary \x00\xff nothing\r\n\r\n")
    assert status_of(answer) == 400
    assert b'"code":"BAD_REQUEST"' in answer
    assert b"no-store" in answer
    assert b"canary" not in answer


def test_an_idle_connection_is_closed(quick: Served) -> None:
    """After an answer a connection is kept for so long, and no longer."""
    with connected(quick) as connection:
        answer = sent(connection, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status_of(answer) == 200


@pytest.mark.parametrize("is_used", [False, True])
def test_a_socket_is_no_silent_connection(quick: Served, is_used: bool) -> None:
    """Nobody waits for a head after the upgrade, also where something was asked before it."""
    with connected(quick) as connection:
        if is_used:
            connection.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert status_of(connection.recv(65536)) == 200
        connection.settimeout(None)
        with quick.socket(sock=connection) as talk:
            talk.init()
            assert talk.is_silent(1.5)
            talk.say({"type": "ping"})
            assert talk.hear() == {"type": "pong"}


def test_an_upgrade_behind_a_request_that_is_not_answered_ends_the_connection(quick: Served) -> None:
    """Else the answer would be written among the frames of the socket."""
    asked = START + b"Content-Length: %d\r\n\r\n%b" % (len(FINE), FINE)
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    upgrade = b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + key
    with connected(quick) as connection:
        assert sent(connection, asked + upgrade) == b""
    assert is_answered(quick)


def test_a_full_worker_turns_away_and_takes_again_when_one_leaves(live: Served) -> None:
    """A connection over the limit is 503 with `Retry-After` before it has said anything."""
    with served(live.world, connection_limit=3) as small:
        kept = [socket.create_connection(("127.0.0.1", small.port)) for _ in range(3)]
        try:
            with connected(small) as connection:
                answer = heard(connection)
            assert status_of(answer) == 503
            assert b"retry-after: 1" in answer
            kept.pop().close()
            small.until(lambda: may_ask(small))
        finally:
            for one in kept:
                one.close()


def may_ask(one: Served) -> bool:
    try:
        return is_answered(one)
    except httpx.TransportError:
        return False


def test_every_worker_of_gateway_serve_is_bounded(live: Served, tmp_path: Path) -> None:
    """The bounds hold in processes of their own, and a second worker has them too."""
    with served_by_command(live, tmp_path, GATEWAY_HEAD_TIMEOUT_SECONDS="0.5") as port:
        url = f"http://127.0.0.1:{port}/graphql"
        assert httpx.post(url, content=FINE, headers={"content-type": "application/json"}).json()["data"]
        for _ in range(8):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.settimeout(AT_ONCE)
                connection.sendall(START)
                assert status_of(heard(connection)) == 408


@contextmanager
def served_by_command(one: Served, folder: Path, **environment: str) -> Iterator[int]:
    """The port of `gateway serve` with two workers, on the world's database."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = one.world.gateway.settings
    environment |= {
        # As the login role: nobody else may serve.
        "GATEWAY_DATABASE_URL": settings.database_url.get_secret_value(),
        "GATEWAY_SIGNING_KEY_FILE": str(settings.signing_key_file),
    }
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GATEWAY_")}
    command = [sys.executable, "-c", "from gateway.cli import main; main()"]
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(
            [*command, "serve", "--port", str(port), "--workers", "2"],
            env=kept | environment,
            cwd=Path(__file__).parents[1],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while (folder / "log").read_text().count('"started"') < 2:
            assert started.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield port
    finally:
        started.terminate()
        started.wait(30)


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (START + b"Content-Length: 99\r\n\r\n{", 408),
        (START + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", 408),
        (START + b"Content-Length: 300000\r\n\r\n", 413),
        (START + b"Content-Length: 99999999999999\r\nExpect: 100-continue\r\n\r\n", 413),
        (START + b"Transfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b"a" * 0x4000 + b"\r\n") * 17, 413),
        (START + b"Content-Encoding: gzip\r\nContent-Length: 9999\r\n\r\n", 415),
    ],
)
def test_a_body_that_is_too_late_or_too_large_is_a_mistake_at_once(
    quick: Served, start: bytes, status: int
) -> None:
    """The answer comes before the body does, and what comes of it after is not waited for."""
    with connected(quick) as connection:
        answer = sent(connection, start)
    assert status_of(answer) == status
    assert b"100 Continue" not in answer
    assert b'"code":"BAD_REQUEST"' in answer
    assert is_answered(quick)


def test_a_click_that_does_not_come_is_a_mistake_at_once(quick: Served) -> None:
    """The form of a newsletter's link is waited for no longer than any body, and withdraws nothing."""
    one = subscribed(quick.world)
    head = f"POST {one.link} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['Content-Type']}\r\n"
    with connected(quick) as connection:
        answer = sent(connection, head.encode() + b"Content-Length: 26\r\n\r\nList-Unsubscribe=")
    assert status_of(answer) == 408
    assert decisions(quick.world, one) == [GIVEN]


def test_a_body_that_nobody_wanted_is_not_read_for_ever(quick: Served) -> None:
    """A GET whose body drips is answered, and its connection is closed."""
    start = time.monotonic()
    with connected(quick) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        connection.settimeout(0.05)
        is_closed = False
        while not is_closed and time.monotonic() < start + AT_ONCE:
            try:
                connection.sendall(b"a")
                is_closed = connection.recv(65536) == b""
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                is_closed = True
        assert is_closed


def test_stalled_requests_keep_nobody_waiting(quick: Served) -> None:
    """While heads and bodies hang on many connections, requests are answered."""
    kept: list[Any] = []
    try:
        for part in (b"POST", START, START + b"Content-Length: 99\r\n\r\n{"):
            for _ in range(30):
                kept.append(socket.create_connection(("127.0.0.1", quick.port)))
                kept[-1].sendall(part)
        assert is_answered(quick)
    finally:
        for one in kept:
            one.close()


# ---------------------------------------------------------------- answers


def test_a_client_that_takes_no_answer_is_cut_off(quick: Served) -> None:
    """What it has not taken in time is thrown away, however many answers it asked for."""
    size = len(httpx.get(quick.url.replace("/graphql", "/schema.graphql")).content)
    asked, count = b"GET /schema.graphql HTTP/1.1\r\nHost: x\r\n\r\n", 1000
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", quick.port))
        connection.settimeout(AT_ONCE)
        connection.sendall(asked * count)
        quick.until(lambda: is_cut_off(connection))
        assert is_answered(quick)
    assert size * count > 10_000_000  # more than any buffer between the two holds


def is_cut_off(connection: socket.socket) -> bool:
    """Whether the other side has closed, although what it sent was not taken."""
    try:
        connection.send(b"\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False
