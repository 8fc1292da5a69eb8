"""The headers that every answer has, of every status, after the OWASP REST Security Cheat Sheet.

`Strict-Transport-Security` is left to the proxy that ends TLS: over plain HTTP it is none (RFC 6797, 7.2).
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

Header = tuple[bytes, bytes]

EVERYWHERE: tuple[Header, ...] = (
    # Answers depend on who asks, and most hold personal data.
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # What is no page, shown as one, loads nothing and stands in no frame.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    # The URL of a GET holds variables.
    (b"referrer-policy", b"no-referrer"),
    # No page of another origin embeds an answer; one that may read it asks with CORS.
    (b"cross-origin-resource-policy", b"same-origin"),
)
NAMES = frozenset(name for name, _ in EVERYWHERE)
# The own headers of a usual answer, in their order, and of what type it is.
USUAL = (b"content-length", b"content-type")
USUAL_TYPES = frozenset(
    f"{media}; charset=utf-8".encode() for media in ("application/json", "application/graphql-response+json")
)
# Where the start of an answer says that it is usual: these headers are all it has of its own.
IS_USUAL = "gateway.is_usual"


def add_headers(start: MutableMapping[str, Any], request_id: str) -> None:
    """Adds the headers of every answer to the start of one, an ASGI message, that has not its own of them."""
    given, id = start["headers"], (b"x-request-id", request_id.encode())
    if _is_usual(given):
        start[IS_USUAL] = True
        start["headers"] = [*given, *EVERYWHERE, id]
        return
    own = NAMES.intersection([name for name, _ in given])
    start["headers"] = [*given, *(header for header in EVERYWHERE if header[0] not in own), id]


def _is_usual(given: Sequence[Header]) -> bool:
    return (
        len(given) == len(USUAL)
        and (given[0][0], given[1][0]) == USUAL
        and given[0][1].isdigit()
        and given[1][1] in USUAL_TYPES
    )
