"""Bodies that are no request, batches, requests that a page could send, and callers who are nobody."""

from __future__ import annotations

import gzip

from tests.test_attacks_denial import nested

from .check import (
    CHANGE,
    FINE,
    JSON,
    REQUEST,
    SYNTAX,
    TOO_COMPLEX,
    VARIABLE,
    Check,
    asked,
    by_url,
    sent,
    variables,
)

BODIES: dict[str, Check] = {
    **{
        f"JSON but no request: {text}": sent(text.encode())
        for text in ("null", "1", '"x"', "[]", "true", "1e400", "{}", '{"query": null}', '{"query": 1}')
    },
    "a query in a list": sent(b'{"query": ["{ __typename }"]}'),
    "an empty query": sent(b'{"query": ""}'),
    "variables as a list": sent(b'{"query": "{ __typename }", "variables": [1]}'),
    "variables as a text": sent(b'{"query": "{ __typename }", "variables": "{}"}'),
    "extensions as a text": sent(b'{"query": "{ __typename }", "extensions": "x"}'),
    "a name that is no text": sent(b'{"query": "{ __typename }", "operationName": 1}'),
    "an empty body": sent(b""),
    "no JSON": sent(b"query { __typename }"),
    "text behind it": sent(FINE + b"x"),
    "bad UTF-8": sent(b'{"query": "{ __typename } # \xff"}'),
    "overlong UTF-8": sent(b'{"query": "{ __typename } # \xc0\xaf"}'),
    "surrogates in UTF-8": sent(b'{"query": "{ __typename } # \xed\xa0\x80"}'),
    "UTF-16": sent(FINE.decode().encode("utf-16")),
    "a byte order mark": sent(b"\xef\xbb\xbf" + FINE),
    "a lone surrogate in the query": sent(b'{"query": "{ __typename } # \\ud800"}'),
    "a lone surrogate in the name": sent(b'{"query": "{ __typename }", "operationName": "\\udfff"}'),
    "a lone surrogate in a variable": sent(variables('{"w": "\\ud800"}')),
    "a lone surrogate in a key": sent(variables('{"\\ud800": 1}')),
    "a lone surrogate in a text": asked('{ order(number: "\\ud800") { id } }', SYNTAX),
    "a NUL in a text": asked('{ order(number: "\\u0000") { id } }', VARIABLE),
    "a NUL in a variable": asked(
        "query($n: String) { order(number: $n) { id } }", VARIABLE, variables={"n": "\0"}
    ),
    "50,000 levels": sent(nested(50_000, "[", "", "]").encode()),
    "40,000 levels of objects": sent(nested(40_000, '{"a":', "1", "}").encode()),
    "50,000 levels in variables": sent(variables(f'{{"w": {nested(50_000, "[", "", "]")}}}')),
    "500 levels in variables": sent(
        variables(f'{{"w": {nested(500, "[", "", "]")}}}'), TOO_COMPLEX, statuses=(200,)
    ),
    "levels that never end": sent(variables("[" * 50_000)),
    "too large": sent(b'{"query": "' + b" " * 300_000 + b'"}', statuses=(413,)),
    "the keys of a prototype": sent(
        variables('{"__proto__": {"admin": true}, "constructor": {"prototype": {}}}'), statuses=(200,)
    ),
}
BODIES["the keys of a prototype"] = Check((), BODIES["the keys of a prototype"].content)

BATCHES: dict[str, Check] = {
    **{f"a batch of {count}": sent(b"[" + b",".join([FINE] * count) + b"]") for count in (1, 2, 10, 1000)},
    "a batch in a batch": sent(b"[[" + FINE + b"]]"),
    "a batch as the query": sent(b'{"query": [' + FINE + b"]}"),
    "a batch under keys": sent(b'{"0": ' + FINE + b', "1": ' + FINE + b"}"),
    "two bodies": sent(FINE + b"\n" + FINE),
    "a batch by URL": by_url(REQUEST, statuses=(400,), batch='[{"query": "{ __typename }"}]'),
}

STRANGE: dict[str, Check] = {
    "a change by GET": by_url(REQUEST, statuses=(405,), query=CHANGE),
    "a change by GET under a name": by_url(
        REQUEST,
        statuses=(405,),
        query=f"query a {{ __typename }} {CHANGE.replace('mutation', 'mutation b')}",
        operationName="b",
    ),
    "a change by HEAD": by_url(statuses=(405,), method="HEAD", query=CHANGE),
    "a change by GET that says it is a POST": Check(
        (REQUEST,), None, "GET", {"x-http-method-override": "POST"}, {"query": CHANGE}, statuses=(405,)
    ),
    "a change by GET with a method parameter": by_url(REQUEST, statuses=(405,), query=CHANGE, _method="POST"),
    **{
        f"a body by {method}": Check((REQUEST,), FINE, method, statuses=(405,))
        for method in ("PUT", "PATCH", "DELETE", "PROPFIND")
    },
    "TRACE": Check((REQUEST,), None, "TRACE", {}, statuses=(405,)),
    **{
        f"a body of {kind}": Check((REQUEST,), content, headers={"content-type": kind}, statuses=(415,))
        for kind, content in (
            ("application/x-www-form-urlencoded", b"query=%7B__typename%7D"),
            (
                "multipart/form-data; boundary=x",
                b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{}\r\n--x--',
            ),
            ("text/plain", FINE),
            ("text/plain; application/json", FINE),
            ("application/graphql", b"{ __typename }"),
            ("application/json; charset=utf-16", FINE),
            ("application/json-patch+json", FINE),
            ("", FINE),
        )
    },
    "a body of no type": Check((REQUEST,), FINE, headers={}, statuses=(415,)),
    "two types": Check(
        (REQUEST,), FINE, headers={"content-type": "application/json, text/plain"}, statuses=(415,)
    ),
    **{
        f"a body in {coding}": sent(
            gzip.compress(b" " * 10_000_000), statuses=(415,), content_encoding=coding
        )
        for coding in ("gzip", "deflate", "br", "identity, gzip")
    },
    "gzip that does not say so": sent(gzip.compress(FINE)),
    "a GET of another site's page": Check(
        (REQUEST,),
        None,
        "GET",
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"query": "{ __typename }"},
        statuses=(403,),
    ),
    "a POST of another site's page": Check(
        (REQUEST,),
        FINE,
        headers={**JSON, "sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        statuses=(403,),
        never=("evil",),
    ),
    "a page without origin": Check(
        (REQUEST,), FINE, headers={**JSON, "sec-fetch-site": "cross-site", "origin": "null"}, statuses=(403,)
    ),
    "a preflight": Check(
        (),
        None,
        "OPTIONS",
        {"origin": "https://evil.example", "access-control-request-method": "POST"},
        statuses=(204,),
        never=("evil",),
    ),
    "an answer nobody reads": Check(
        (REQUEST,), FINE, headers={**JSON, "accept": "text/html"}, statuses=(406,)
    ),
}

CALLERS: dict[str, Check] = {
    **{
        f"a token that is {what}": Check(
            ("UNAUTHENTICATED",),
            FINE,
            headers={**JSON, "authorization": value},
            statuses=(401,),
            as_="",
            never=(value[-12:],),
        )
        for what, value in (
            ("nobody's", "Bearer canary-canary"),
            ("unsigned", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJjdXN0b21lcjoxIn0."),
            ("long", "Bearer " + "canary" * 3000),
            ("a partner's that never was", "Bearer crp_" + "0123456789ab" * 6),
            ("of another scheme", "Basic Y2FuYXJ5OmNhbmFyeQ=="),
        )
    },
    "a token in the URL": Check(
        (),
        None,
        "GET",
        {},
        {"query": "{ viewer { role } }", "access_token": "canary"},
        as_="",
        never=("canary",),
    ),
    "a token in a cookie": Check(
        (),
        b'{"query": "{ viewer { role } }"}',
        headers={**JSON, "cookie": "Authorization=canary"},
        as_="",
        never=("canary", '"customer"'),
    ),
    "a role of one's own choice": Check(
        ("ACT_AS_FORBIDDEN",), FINE, headers={**JSON, "act-as": "privacy_officer"}, statuses=(403,)
    ),
    "a purpose of one's own making": Check(
        ("UNKNOWN_PURPOSE",),
        FINE,
        headers={**JSON, "processing-purpose": "canary"},
        statuses=(400,),
        never=("canary",),
    ),
    "a hash that is not registered": sent(
        b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "' + b"a" * 64 + b'"}}}',
        "PERSISTED_QUERY_NOT_SUPPORTED",
        statuses=(200,),
    ),
    "a hash of something else": sent(
        b'{"query": "{ __typename }", "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "'
        + b"a" * 64
        + b'"}}}'
    ),
}
