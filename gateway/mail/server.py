"""Where the mail server is, read from its URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server; `is_wrapped` means TLS from the first byte (RFC 8314), else STARTTLS where offered."""

    host: str
    port: int
    is_wrapped: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def read_server(url: str) -> Server:
    """The server of `smtp://user:password@host:port` or `smtps://…`; raises `ValueError` without the URL."""
    wrong = ValueError("is no `smtp://user:password@host:port` or `smtps://…`")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in _PORTS or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise wrong
    if (parts.username is None) is not (parts.password is None):
        raise wrong
    return Server(
        host,
        port or _PORTS[parts.scheme],
        parts.scheme == "smtps",
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )
