"""The headers that every answer has, of every status, after the OWASP REST Security Cheat Sheet.

`Strict-Transport-Security` is left to the proxy that ends TLS: over plain HTTP it is none (RFC 6797, 7.2).
"""

from __future__ import annotations

from collections.abc import Iterable

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


def with_headers(given: Iterable[Header], request_id: str) -> list[Header]:
    """The headers of an answer, with those of every answer that it has not its own of."""
    found = list(given)
    own = NAMES.intersection([name for name, _ in found])
    found += [header for header in EVERYWHERE if header[0] not in own] if own else EVERYWHERE
    found.append((b"x-request-id", request_id.encode()))
    return found
