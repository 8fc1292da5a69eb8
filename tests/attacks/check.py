"""One attack check: what is sent, and with which statuses and codes it has to be answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = {"content-type": "application/json"}
TOO_COMPLEX, INVALID, SYNTAX = "TOO_COMPLEX", "VALIDATION_FAILED", "SYNTAX_ERROR"
VARIABLE, REQUEST, PAGE, ID = "BAD_VARIABLE", "BAD_REQUEST", "BAD_PAGE", "BAD_ID"


@dataclass(frozen=True)
class Check:
    """A request, and the only codes it may be answered with; none: it is answered without an error."""

    codes: tuple[str, ...]
    content: bytes | None = None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    params: Mapping[str, str] | None = None
    path: str = "/graphql"
    statuses: tuple[int, ...] = (200,)
    as_: str = "customer"
    # What must not be in the answer.
    never: tuple[str, ...] = ()


def asked(
    document: str, *codes: str, as_: str = "customer", never: tuple[str, ...] = (), **parts: Any
) -> Check:
    """A document by POST."""
    body = json.dumps({"query": document, **parts}, ensure_ascii=False).encode()
    return Check(codes, body, as_=as_, never=never)


def sent(content: bytes, *codes: str, statuses: tuple[int, ...] = (400,), **headers: str) -> Check:
    """A body as it is."""
    given = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Check(codes or (REQUEST,), content, headers=given, statuses=statuses)


def by_url(*codes: str, statuses: tuple[int, ...] = (200,), method: str = "GET", **params: str) -> Check:
    """A URL."""
    return Check(codes, None, method, {}, params, statuses=statuses)


FINE = b'{"query": "{ __typename }"}'
CHANGE = "mutation { signOut(input: {everywhere: true}) { userErrors { code } } }"
WHERE = "query($w: OrderWhere) { orders(where: $w) { nodes { id } } }"


def inside(depth: int, key: str) -> Any:
    """Variables inside themselves."""
    found: Any = {}
    for _ in range(depth):
        found = {key: [found] if key in ("and", "or") else found}
    return {"w": found}


def variables(text: str) -> bytes:
    """A body whose variables are this text."""
    return b'{"query": "query($w: OrderWhere) { orders(where: $w) { totalCount } }", "variables": ' + (
        text.encode() + b"}"
    )
