"""What comes behind a body in chunks: no header, whatever it is called, and bounded like a head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network

import pytest

from tests.live import Served, served
from tests.partners import issued
from tests.test_http_bounds import START, connected, is_answered, sent, status_of

pytestmark = pytest.mark.slow

WHO = b'{"query": "{ viewer { role } }"}'
END = b"Connection: close\r\n"
INSIDE = "192.0.2.77"


@pytest.fixture(scope="module")
def proxied(live: Served) -> Iterator[Served]:
    """A gateway that believes this machine from where a request comes."""
    with served(live.world, trusted_proxies=(ip_network("127.0.0.1/32"),)) as one:
        yield one


def begun(headers: Mapping[str, str], end: bytes = END) -> bytes:
    """A request who asks, but for what comes behind its body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    chunk = b"%x\r\n%b\r\n" % (len(WHO), WHO)
    return START + lines + end + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n"


def answer(one: Served, headers: Mapping[str, str], trailer: str, *, together: bool) -> bytes:
    """The answer to a request with a trailer, in the same segment or after all before it was read."""
    rest = f"{trailer}\r\n\r\n".encode()
    with connected(one) as connection:
        if together:
            return sent(connection, begun(headers) + rest)
        connection.sendall(begun(headers))
        assert is_answered(one)
        return sent(connection, rest)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", ["anonymous", "customer"])
@pytest.mark.parametrize("header", ["Authorization", "Act-As", "Host", "Content-Type"])
def test_a_trailer_is_no_header(proxied: Served, name: str, header: str, together: bool) -> None:
    """It proves nobody, chooses no role, and is no second one beside the head's."""
    askers = proxied.world.askers
    value = {"Authorization": askers["support"].headers["Authorization"], "Act-As": "support"}
    found = answer(proxied, askers[name].headers, f"{header}: {value.get(header, 'x')}", together=together)
    assert status_of(found) == 200, found
    assert b'"role":"%b"' % name.encode() in found


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("trailer", [f"X-Forwarded-For: {INSIDE}", f"Forwarded: for={INSIDE}"])
def test_a_trailer_says_of_nobody_from_where_they_come(proxied: Served, trailer: str, together: bool) -> None:
    """A proxy hands trailers on as they are: they are the client's."""
    partner = issued(proxied.world, networks=["192.0.2.0/24"])
    headers = proxied.world.askers[partner].headers
    assert status_of(answer(proxied, headers, trailer, together=together)) == 401
    named, _, value = trailer.partition(": ")
    assert status_of(answer(proxied, {**headers, named: value}, "X: a", together=together)) == 200


def test_what_is_asked_behind_a_trailer_is_answered(live: Served) -> None:
    """Its headers are its own."""
    with connected(live) as connection:
        found = sent(connection, begun({}, b"") + b"X-A: a\r\nX-B: b\r\n\r\n" + begun({}) + b"\r\n")
    assert found.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "flood",
    [
        b"X-A: a\r\n" * 20_000,
        b"X-A: " + b"a" * 3_000_000,
        b"a" * 3_000_000,
        b"X-A: a\r\n" + b" a\r\n" * 99_999,
    ],
    ids=["many", "a value", "a name", "lines"],
)
@pytest.mark.parametrize("together", [False, True], ids=["behind", "together"])
def test_trailers_without_end_end_the_connection(live: Served, flood: bytes, together: bool) -> None:
    """Long before the body would have been waited for too long."""
    with connected(live) as connection:
        assert sent(connection, *([begun({}) + flood] if together else [begun({}), flood])) == b""
    assert is_answered(live)


def test_a_chunk_that_never_begins_ends_the_connection(live: Served) -> None:
    """Its size may have extensions (RFC 9112, section 7.1.1), which nobody reads."""
    with connected(live) as connection:
        assert sent(connection, begun({}).removesuffix(b"0\r\n") + b"1;a=", b"a" * 3_000_000) == b""
    assert is_answered(live)


def test_a_body_of_many_small_chunks_is_read(live: Served) -> None:
    """What frames them is more than a head may be, and none of it is in a row."""
    body = WHO + b" " * 20_000
    chunks = b"".join(b"1\r\n%c\r\n" % one for one in body)
    start = START + END + b"Transfer-Encoding: chunked\r\n\r\n"
    with connected(live) as connection:
        assert status_of(sent(connection, start, chunks, b"0\r\n\r\n")) == 200
