"""A grammar of broken HTTP: request lines, headers, lengths, codings and bodies, as bytes of a connection."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]
FINE = b'{"query": "{ __typename }"}'
METHODS = [b"GET", b"HEAD", b"POST", b"OPTIONS", b"PUT", b"PATCH", b"DELETE", b"TRACE", b"CONNECT", b"PRI"]
METHODS += [b"get", b"P\xc3\x96ST", b"G" * 300, b"", b"POST POST", b"BREW", b"QUERY", b"M-SEARCH"]
PATHS = [b"/graphql", b"/graphql/", b"//graphql", b"/graphql/../graphql", b"/GRAPHQL"]
PATHS += [b"/%67raphql", b"*", b"/"]
PATHS += [b"/schema.graphql", b"/healthz", b"/readyz", b"/.well-known/jwks.json", b"/graphiql", b"/metrics"]
PATHS += [b"http://127.0.0.1/graphql", b"graphql", b"/graphql\xff", b"/graph\tql", b"/%00", b"/%"]
PATHS += [b"/%zz", b"/\xe2\x82"]
PATHS += [b"/graphql#x", b"/" + b"a/" * 200, b"/" + b"a" * 40_000, b"/graphql;a=b"]
PATHS += [b"\\\\graphql", b"/graphql\0"]
VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1"]
VERSIONS += [b"HTP/1.1", b""]
QUERIES = ["{ __typename }", "{", "mutation { signOut(input: {}) { userErrors { code } } }", "é"]
QUERIES += ["\0", "\ud800", ""]
NAMES = [b"Accept", b"Content-Type", b"Authorization", b"Act-As", b"Processing-Purpose", b"On-Forbidden"]
NAMES += [b"Case-Reference", b"Origin", b"Sec-Fetch-Site", b"Host", b"Connection", b"Expect"]
NAMES += [b"X-Request-Id"]
NAMES += [b"Content-Encoding", b"X-Forwarded-For", b"Forwarded", b"Cookie", b"Range"]
NAMES += [b"If-None-Match", b"Via"]
NAMES += [b"Access-Control-Request-Method", b"Accept-Encoding", b"Upgrade", b"Sec-WebSocket-Key"]
NAMES += [b"TE", b"X" * 5000]
NAMES += [b"", b" X", b"X Y", b"\xff", b"X\0", b"X-\xc3\xa9", b":", b"Transfer-Encoding", b"Content-Length"]
MEDIA = [b"application/json", b"application/graphql-response+json", b"text/event-stream", b"*/*"]
MEDIA += [b"application/*"]
MEDIA += [b"application/json; charset=utf-8", b"application/json; charset=utf-16", b"text/plain"]
MEDIA += [b"text/html"]
MEDIA += [b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded"]
MEDIA += [b"application/json;q=2", b";;;"]
MEDIA += [b"application/json;q=0", b"*/*;q=nan", b", ,", b"application/json;" * 300]
MEDIA += [b"a/b;q=0.5, */*;q=1e9", b"q=1"]
VALUES = [b"", b" ", b"Bearer", b"Bearer ", b"Bearer crp_" + b"0" * 72]
VALUES += [b"Bearer eyJhbGciOiJub25lIn0.e30.", b"Basic YTpi"]
VALUES += [b"Bearer " + b"a" * 9000, b"Bearer eyJhbGciOiJFZERTQSIsImtpZCI6W119.W10.AA"]
VALUES += [b"Bearer \xff\xfe", b"bearer x"]
VALUES += [b"Bearer ..", b"Bearer eyJ.eyJ.eyJ", b"support", b"customer-service", b"reject"]
VALUES += [b"null", b"any", b"CASE-1"]
VALUES += [b"http://evil.example", b"null", b"cross-site", b"100-continue", b"keep-alive, Upgrade"]
VALUES += [b"websocket", b"h2c"]
VALUES += [b"gzip", b"br", b"chunked", b"127.0.0.1", b'for=[::1]:99999;by="', b"1.2.3.4," * 900]
VALUES += [b"bytes=0-", b"-1"]
VALUES += [b"\xff" * 20, b"a\0b", b"a\rb", b"a\tb", b"9" * 5000, b"x" * 33_000]
VALUES += [b"\xf0\x9f\x92\xa5", b"POST", b"13"]
BODIES = [FINE, b"", b"null", b"1", b'"x"', b"[]", b"[" + FINE + b"]", b"{}", b"{"]
BODIES += [b"\xef\xbb\xbf" + FINE, b"\xff\xfe{}"]
BODIES += [b'{"query": "\xff"}', b'{"query": "\xed\xa0\x80"}', b'{"query": "\\ud800"}']
BODIES += [b"[" * 50_000, b'{"a":' * 50_000]
BODIES += [b'{"query": 1' + b"0" * 50_000 + b"}", b'{"query": {}}', b"a" * 300_000]
BODIES += [b" " * 200_000 + FINE, b"\0" * 99]
BODIES += [gzip.compress(FINE), gzip.compress(b" " * 50_000_000), zlib.compress(FINE)]
BODIES += [FINE.decode().encode("utf-16")]
BODIES += [b'{"query": "{ __typename }", "query": 1}']
BODIES += [b'{"query": "{ __typename }", "variables": [[[[]]]]}', b"query={a}"]


@st.composite
def requests(draw: Draw) -> tuple[str, bytes]:
    """A method as the client understands it, and the bytes of a request, after which the connection ends."""
    method = draw(st.one_of(st.sampled_from([b"POST", b"GET"]), st.sampled_from(METHODS)))
    path = draw(st.one_of(st.just(b"/graphql"), st.sampled_from(PATHS))) + draw(_search())
    line = b" ".join([method, path, draw(st.sampled_from(VERSIONS))])
    body = draw(st.one_of(st.sampled_from(BODIES), st.binary(max_size=40))) if method != b"GET" else b""
    given = [b"Host: x", b"Connection: close", *draw(st.lists(_headers(), max_size=4))]
    if method != b"GET" and draw(st.integers(0, 3)):
        given.append(b"Content-Type: application/json")
    lengths, sent = draw(_framed(body))
    end = draw(st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\n\t"]))
    return method.decode("latin-1"), end.join([line, *given, *lengths, b"", b""]) + sent


def _search() -> st.SearchStrategy[bytes]:
    """The query of a URL."""
    texts = st.sampled_from(QUERIES).map(lambda text: quote(text, errors="surrogatepass"))
    broken = st.sampled_from(["%", "%zz", "%ff", "%C3%28", "%ED%A0%80", "+", "&", "=", "%00", "a" * 9000])
    names = st.sampled_from(
        ["query", "query", "variables", "operationName", "extensions", "documentId", "a", ""]
    )
    pairs = st.tuples(names, st.one_of(texts, broken)).map("=".join)
    some = st.lists(pairs, min_size=1, max_size=3).map(lambda found: f"?{'&'.join(found)}".encode())
    return st.one_of(st.just(b""), some)


def _headers() -> st.SearchStrategy[bytes]:
    values = st.one_of(st.sampled_from(MEDIA), st.sampled_from(VALUES), st.binary(max_size=12))
    marks = st.sampled_from([b": "] * 8 + [b":", b" : ", b"", b"=", b":\r\n "])
    named = st.tuples(st.sampled_from(NAMES), marks, values).map(b"".join)
    accepts = st.tuples(st.just(b"Accept: "), st.sampled_from(MEDIA)).map(b"".join)
    return st.one_of(named, accepts, st.sampled_from(MEDIA).map(lambda one: b"Content-Type: " + one))


def _framed(body: bytes) -> st.SearchStrategy[tuple[list[bytes], bytes]]:
    """How a body says where it ends, mostly rightly, and its bytes."""
    size, chunk = len(body), b"%x\r\n" % len(body) + body
    right = [([b"Content-Length: %d" % size], body)] * 6
    chunked = [([b"Transfer-Encoding: chunked"], chunk + b"\r\n0\r\n\r\n")] if body else right[:1]
    wrong = [
        ([], body),
        ([b"Content-Length: %d" % (size + 1)], body),
        ([b"Content-Length: %d" % max(size - 1, 0)], body),
        ([b"Content-Length: -1"], body),
        ([b"Content-Length: 1" + b"0" * 30], body),
        ([b"Content-Length: 0x1"], body),
        ([b"Content-Length: %d" % size, b"Content-Length: 1"], body),
        ([b"Content-Length: %d" % size, b"Transfer-Encoding: chunked"], chunk + b"\r\n0\r\n\r\n"),
        ([b"Transfer-Encoding: chunked"], chunk),
        ([b"Transfer-Encoding: chunked"], b"zz\r\n" + body),
        ([b"Transfer-Encoding: chunked"], b"ffffffffffffffffff\r\n" + body),
        ([b"Transfer-Encoding: gzip, chunked"], chunk + b"\r\n0\r\n\r\n"),
        (
            [b"Transfer-Encoding: chunked", b"Trailer: X"],
            chunk + b"\r\n0\r\nX: " + b"a" * 90_000 + b"\r\n\r\n",
        ),
        ([b"Content-Length: %d" % size], body + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3),
    ]
    return st.sampled_from([*right, *chunked, *wrong])
