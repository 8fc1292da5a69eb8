"""Where seals are anchored: a file, or a URL."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_url(place: str) -> bool:
    """Whether the place is a URL, not a path."""
    return "://" in place


def checked_place(place: str) -> str:
    """The place, a path or a URL; raises `ValueError` for a URL on which the seals could be changed."""
    if not is_url(place):
        return place
    parts = urlsplit(place)
    is_here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not parts.hostname or parts.username is not None or not (parts.scheme == "https" or is_here):
        raise ValueError("an anchor is a file or `https://…`, on this host also `http://…`")
    return place
