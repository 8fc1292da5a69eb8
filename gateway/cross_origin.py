"""CORS: which pages of other origins may ask and read what is answered (Fetch standard, section 3.2).

Those of `GATEWAY_ALLOWED_ORIGINS`, each spelled out. Nothing that a browser adds by itself proves who asks,
so `Access-Control-Allow-Credentials` is never sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

# The last two are read by nobody: Apollo's client sends them where its application has a name.
ASKED = (
    b"authorization, content-type, act-as, processing-purpose, case-reference, on-forbidden, "
    b"apollographql-client-name, apollographql-client-version"
)
EXPOSED = b"x-request-id, retry-after, www-authenticate"
# How long a browser believes the answer to a preflight.
PREFLIGHT_SECONDS = b"600"
STRANGE_SITES = ("cross-site", "same-site")


def checked_origin(text: str) -> str:
    """An origin as browsers write it (RFC 6454, section 6.2); raises `ValueError` for anything else."""
    parts = urlsplit(text)
    is_plain = text == f"{parts.scheme}://{parts.netloc}" == text.lower() and "*" not in text
    if not is_plain or parts.scheme not in ("http", "https") or not parts.hostname or "@" in text:
        raise ValueError("an origin is `https://host` or `https://host:port`, in lower case, and no pattern")
    if parts.port == {"http": 80, "https": 443}[parts.scheme]:
        raise ValueError("an origin is written without the port that its scheme has anyway")
    return text


def is_strange(headers: Mapping[str, str], allowed: Collection[str]) -> bool:
    """Whether a browser says that a page of another origin asks, which is not one of those allowed.

    Browsers say it of requests that need no preflight, too (Fetch Metadata Request Headers, section 2.4).
    """
    return headers.get("sec-fetch-site") in STRANGE_SITES and headers.get("origin") not in allowed


def is_of_this_host(headers: Mapping[str, str], allowed: Collection[str]) -> bool:
    """Whether no page of a strange host opens the socket: browsers always name the page's origin."""
    origin = headers.get("origin")
    if origin is None or origin in allowed:
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
    except ValueError:
        return False


class CrossOrigin:
    """The ASGI application that tells browsers which pages may read the answers of another."""

    def __init__(self, app: Application, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = {origin.encode() for origin in allowed}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers a preflight itself, and adds its headers to any other answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        # Also for those that are not allowed: no cache gives one origin's answer to another.
        added = [(b"vary", b"origin")]
        if origin in self._allowed:
            added += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", EXPOSED)]
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                await _preflight(added, send)
                return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, sending)


async def _preflight(added: list[tuple[bytes, bytes]], send: Send) -> None:
    added += [
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", ASKED),
        (b"access-control-max-age", PREFLIGHT_SECONDS),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": added})
    await send({"type": "http.response.body", "body": b""})
