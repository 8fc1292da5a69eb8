"""The two pages behind the link of a newsletter: one that asks, one that says it is done.

They are the same for everybody, hold nothing of whom they are for, load nothing and run no script.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape

# What a mail program posts (RFC 8058, section 3.1), and the page's form with it.
FIELD, VALUE = "List-Unsubscribe", "One-Click"
STYLE = (
    "body{background:#fff;color:#1a1a1a;font:1.125rem/1.5 sans-serif;margin:0}"
    "main{margin:0 auto;max-width:36rem;padding:2rem 1rem}"
    "h1{font-size:1.75rem;line-height:1.2}"
    "button{background:#14417b;border:0;border-radius:.25rem;color:#fff;cursor:pointer;font:inherit;"
    "min-height:3rem;padding:.5rem 1.5rem}"
    "button:focus-visible{outline:.2rem solid #b35900;outline-offset:.2rem}"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""
_ASKING = f"""<p>You will get no more newsletters from {{store}}. Letters about your orders still come.</p>
<form method="post">
<input type="hidden" name="{FIELD}" value="{VALUE}">
<button type="submit">Unsubscribe</button>
</form>"""
_DONE = """<p role="status">You get no more newsletters from {store}. One already sent may still come.</p>
<p>If you want the newsletter again, say so in your account.</p>"""


@dataclass(frozen=True)
class Pages:
    """The bytes of both pages, and the headers they have of their own."""

    asking: bytes
    done: bytes
    headers: Mapping[str, str]


def make_pages(store: str) -> Pages:
    """The pages of a store's newsletter, by its name."""
    allowed = (
        f"default-src 'none'; style-src 'sha256-{_digest(STYLE)}'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {"content-security-policy": allowed, "content-language": "en", "x-robots-tag": "noindex"}
    return Pages(
        _page("Stop the newsletter?", _ASKING, store), _page("You are unsubscribed", _DONE, store), headers
    )


def _page(title: str, content: str, store: str) -> bytes:
    return _PAGE.format(title=title, style=STYLE, content=content.format(store=escape(store))).encode()


def _digest(style: str) -> str:
    return b64encode(sha256(style.encode()).digest()).decode()
