"""Customers' opaque tokens: 256 random bits, with a prefix and a checksum that leak scanners can find."""

from __future__ import annotations

import hashlib
import secrets
import zlib

REFRESH_PREFIX = "crr_"
LINK_PREFIX = "crl_"
_BITS = 256
_CHECKSUM_LENGTH = 8


def new_opaque_token(prefix: str) -> str:
    """A token that nobody can guess."""
    body = secrets.token_hex(_BITS // 8)
    return f"{prefix}{body}{_checksum(body)}"


def opaque_token_hash(token: str) -> str:
    """What is stored of a token. 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_opaque_token(token: str, prefix: str) -> bool:
    """Whether a text is written like a token with this prefix."""
    body, checksum = token[len(prefix) : -_CHECKSUM_LENGTH], token[-_CHECKSUM_LENGTH:]
    return (
        token.isascii()
        and token.startswith(prefix)
        and len(body) == _BITS // 4
        and _checksum(body) == checksum
    )


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):0{_CHECKSUM_LENGTH}x}"
