"""GraphiQL, to ask by hand: the page that Strawberry ships, with a token that stays in the page.

Its scripts come from where Strawberry's page takes them, each held to its digest (Subresource Integrity); the
page's own headers let it load nothing else, and send to nobody but this gateway. It holds no data.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from .errors import StartError

# What is changed of the page: (what stands there, what stands there instead).
CHANGES = (
    ("Strawberry GraphiQL", "GraphiQL"),
    # It would ask its own address, and remember the headers, a token among them, in the browser.
    (
        'const fetchURL = window.location.href.split("?")[0];',
        'const fetchURL = new URL("/graphql", location).href;',
    ),
    ("shouldPersistHeaders: true", "shouldPersistHeaders: false"),
    # It would write what is asked, personal values too, into the address and the browser's history.
    ("history.replaceState(null, null, newSearch);", ""),
    # There is no cookie.
    ('const csrfToken = Cookies.get("csrftoken");', "const csrfToken = null;"),
)
_COOKIES = re.compile(r"<script\s[^>]*js\.cookie[^>]*></script>")
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_LOADED = re.compile(r"<(?:script|link)\s[^>]*(?:src|href)=\"(https://[^/\"]+)/[^>]*>")


@dataclass(frozen=True)
class Page:
    """The page's bytes, and the headers it has of its own."""

    body: bytes
    headers: Mapping[str, str]


def make_page() -> Page:
    """The page; raises `StartError` where Strawberry's is no longer what is known of it."""
    text = files("strawberry").joinpath("static", "graphiql.html").read_text(encoding="utf-8")
    for known, instead in CHANGES:
        text = _changed(text, known, instead)
    text = _COOKIES.sub("", text)
    loaded = list(_LOADED.finditer(text))
    if not loaded or not all(' integrity="sha384-' in re.sub(r"\s+", " ", one[0]) for one in loaded):
        raise StartError("GraphiQL's page loads what it does not name the digest of")
    hosts = " ".join(sorted({one[1] for one in loaded}))
    inline = " ".join(f"'sha256-{_digest(script)}'" for script in _INLINE.findall(text))
    allowed = (
        f"default-src 'none'; script-src {hosts} {inline}; style-src {hosts} 'unsafe-inline'; "
        "img-src data:; font-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(text.encode(), {"content-security-policy": allowed})


def _changed(text: str, known: str, instead: str) -> str:
    if text.count(known) != 1:
        raise StartError("GraphiQL's page is not the one that is known")
    return text.replace(known, instead)


def _digest(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()
