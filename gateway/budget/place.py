"""Where workers count budgets together: the URL of Redis, or of Valkey, which speaks the same protocol."""

from __future__ import annotations

from urllib.parse import urlsplit

# What the client, Redis's, calls them.
SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}


def checked_store(url: str) -> str:
    """The URL of a store; raises `ValueError`, without it, where it is none."""
    wrong = ValueError("is no `redis://user:password@host:port/number`, `rediss://…`, `valkey://…`")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in SCHEMES or not host or parts.query or parts.fragment:
        raise wrong
    return url
