"""Attack checks over real HTTP: each is answered at once, as a mistake of the caller's or in a few bytes.

None is a fault of the gateway's, tells anything it should not, or keeps others from being answered.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.attacks import CHECKS
from tests.attacks.check import FINE, JSON, Check
from tests.live import Served, served
from tests.test_http_bounds import AT_ONCE, QUICK, START, connected, is_answered, sent, status_of

pytestmark = [pytest.mark.slow, pytest.mark.alone]

PATIENCE_SECONDS = 30.0
MOST_BYTES = 500_000
LEAST_CHECKS = 128
# What tells of how the gateway is made, or of what it was doing.
TELLTALE = re.compile(
    r"traceback|stacktrace|exception|did you mean|\.py\b|graphql-core|strawberry|asyncpg|sqlstate|pg_|uvicorn"
    r"|starlette|tracing",
    re.I,
)


@pytest.fixture(scope="module")
def client(live: Served) -> Iterator[httpx.Client]:
    """A client of the server on loopback; what takes longer than its patience is a stall."""
    url = live.url.removesuffix("/graphql")
    with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as found:
        yield found


def answered(live: Served, client: httpx.Client, check: Check) -> httpx.Response:
    """The response to a check."""
    who = live.world.askers[check.as_].headers if check.as_ else {}
    request = client.build_request(
        check.method, check.path, content=check.content, params=check.params, headers={**who, **check.headers}
    )
    return client.send(request)


@pytest.mark.parametrize("name", CHECKS)
def test_an_attack_gets_nothing_out_of_the_gateway(live: Served, client: httpx.Client, name: str) -> None:
    check = CHECKS[name]
    response = answered(live, client, check)
    assert response.status_code in check.statuses, response.text[:300]
    assert len(response.content) < MOST_BYTES
    assert not TELLTALE.search(response.text), response.text[:300]
    told = f"{response.text} {response.headers}"
    assert [text for text in check.never if text in told] == []
    assert "server" not in response.headers
    assert "access-control-allow-origin" not in response.headers
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    if check.method not in ("HEAD", "OPTIONS"):
        codes = {error["extensions"]["code"] for error in response.json().get("errors", ())}
        assert codes <= set(check.codes), codes
        assert bool(codes) is bool(check.codes)
    assert client.post("/graphql", content=FINE, headers=JSON).json() == {"data": {"__typename": "Query"}}


def test_a_mistake_says_the_same_to_every_role(live: Served, client: httpx.Client) -> None:
    """What is refused for its size is refused to everybody, in the same bytes."""
    found = set()
    for check in CHECKS.values():
        if check.codes != ("TOO_COMPLEX",) or check.content is None:
            continue
        answers = set()
        for who in ("anonymous", "customer", "support", "carrier"):
            headers = {**live.world.askers[who].headers, **check.headers}
            answers.add(client.post("/graphql", content=check.content, headers=headers).content)
        # What is counted in a plan is of what the caller may read; what is counted before it is one for all.
        if not any(word in answer for answer in answers for word in (b"the operation", b"conditions")):
            assert len(answers) == 1, answers
            found |= answers
    assert len(found) > 15


# ---------------------------------------------------------------- what no client library sends

RAW: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "a head that never ends": (START, (408,)),
    "a header that never ends": (START + b"X-A: ", (408,)),
    "a body that never comes": (START + b"Content-Length: 99\r\n\r\n", (408,)),
    "a body that stops": (START + b"Content-Length: 99\r\n\r\n{", (408,)),
    "a chunk that never comes": (START + b"Transfer-Encoding: chunked\r\n\r\n", (408,)),
    "a body of 10 TB": (START + b"Content-Length: 10000000000000\r\n\r\n", (413,)),
    "a body of less than nothing": (START + b"Content-Length: -1\r\n\r\n", (400,)),
    "a length that is none": (START + b"Content-Length: 1e3\r\n\r\n", (400,)),
    "two lengths": (START + b"Content-Length: 1\r\nContent-Length: 27\r\n\r\n" + FINE, (400,)),
    "a length and chunks": (
        START + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n" + FINE + b"\r\n0\r\n\r\n",
        (400, 200),
    ),
    "a chunk of no size": (START + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", (400,)),
    "200 headers": (START + b"X-A: a\r\n" * 200 + b"\r\n", (431,)),
    "a header of 64 KB": (START + b"X-A: " + b"a" * 65_536 + b"\r\n\r\n", (431,)),
    "a URL of 64 KB": (b"GET /graphql?query=" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (431,)),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
    "HTTP/2 without asking": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
    "a NUL in a header": (START + b"X-A: a\x00b\r\nContent-Length: 0\r\n\r\n", (400,)),
    "a header in two lines": (START + b"X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n", (400,)),
    "a token given twice": (
        START + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\nContent-Length: 27\r\n\r\n" + FINE,
        (400,),
    ),
    "a purpose given twice": (
        START + b"Processing-Purpose: a\r\nProcessing-Purpose: b\r\nContent-Length: 27\r\n\r\n" + FINE,
        (400,),
    ),
    "a chunked body over the limit": (
        START + b"Transfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b"a" * 0x4000 + b"\r\n") * 17,
        (413,),
    ),
    "a gzip bomb whose end never comes": (
        START + b"Content-Encoding: gzip\r\nContent-Length: 99\r\n\r\n\x1f\x8b",
        (415,),
    ),
}


@pytest.fixture(scope="module")
def quick(live: Served) -> Iterator[Served]:
    """A gateway of little patience."""
    with served(live.world, **QUICK) as one:
        yield one


@pytest.mark.parametrize("name", RAW)
def test_bytes_that_are_no_request_are_answered_or_cut_off(quick: Served, name: str) -> None:
    """Within the bounds of a connection, while others are answered."""
    content, statuses = RAW[name]
    with connected(quick) as connection:
        answer = sent(connection, content)
    assert not answer or status_of(answer) in statuses, answer[:200]
    assert not TELLTALE.search(answer.decode("latin-1")), answer[:300]
    assert is_answered(quick)


def test_a_hundred_slow_clients_keep_nobody_waiting(quick: Served) -> None:
    kept = [socket.create_connection(("127.0.0.1", quick.port)) for _ in range(100)]
    try:
        for place, connection in enumerate(kept):
            connection.sendall((b"", b"POST", START, START + b"Content-Length: 99\r\n\r\n{")[place % 4])
        assert is_answered(quick)
        for connection in kept:
            connection.settimeout(AT_ONCE)
            while connection.recv(65536):
                pass
    except ConnectionResetError:
        pass
    finally:
        for connection in kept:
            connection.close()


# ---------------------------------------------------------------- sockets

MESSAGES: dict[str, tuple[tuple[str, ...], int]] = {
    "an operation before the connection is initialised": (
        ('{"id": "a", "type": "subscribe", "payload": {"query": "{ __typename }"}}',),
        4401,
    ),
    "the former protocol's start": (
        ('{"id": "a", "type": "start", "payload": {"query": "{ __typename }"}}',),
        4400,
    ),
    "no JSON": (("x",), 4400),
    "JSON but no object": (("null",), 4400),
    "a batch": (('[{"type": "connection_init"}]',), 4400),
    "50,000 levels": (("[" * 50_000,), 4400),
    "a lone surrogate": (('{"type": "\\ud800"}',), 4400),
    "a message over the limit": (('{"type": "ping", "payload": "' + "x" * 300_000 + '"}',), 1009),
    "initialised twice": (('{"type": "connection_init"}', '{"type": "connection_init"}'), 4429),
    "a token that is none": (
        ('{"type": "connection_init", "payload": {"Authorization": "Bearer canary"}}',),
        4403,
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_socket_ends_with_its_code(live: Served, name: str) -> None:
    messages, code = MESSAGES[name]
    with live.socket() as talk:
        for message in messages:
            talk.say(message)
        found, reason = talk.ended()
    assert found == code
    assert not TELLTALE.search(reason)
    assert "canary" not in reason


@pytest.mark.parametrize("name", [name for name, one in CHECKS.items() if one.codes == ("TOO_COMPLEX",)][:10])
def test_a_limit_holds_on_a_socket(live: Served, name: str) -> None:
    body = CHECKS[name].content
    assert body is not None
    with live.as_("customer") as talk:
        talk.say('{"id": "a", "type": "subscribe", "payload": ' + body.decode() + "}")
        message = talk.hear(PATIENCE_SECONDS)
    assert message["type"] == "error"
    assert {error["extensions"]["code"] for error in message["payload"]} == {"TOO_COMPLEX"}


def test_there_are_checks_enough() -> None:
    """No fewer than what others are measured with."""
    assert len(CHECKS) + len(RAW) + len(MESSAGES) >= LEAST_CHECKS
    assert len(CHECKS) >= LEAST_CHECKS
