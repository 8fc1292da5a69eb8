"""Partners' opaque tokens: how they are written, and what is stored of them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import zlib

PARTNER_PREFIX = "crp_"
_CHECKSUM_LENGTH = 8


def new_partner_token(secret: bytes | None = None) -> str:
    """An opaque token of 256 bits with a prefix and a checksum, so that leak scanners can find it."""
    body = (secret or secrets.token_bytes(32)).hex()
    return f"{PARTNER_PREFIX}{body}{_checksum(body)}"


def partner_token_hash(token: str) -> str:
    """What is stored of a partner token. 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):0{_CHECKSUM_LENGTH}x}"


def is_well_formed(token: str) -> bool:
    body = token.removeprefix(PARTNER_PREFIX)
    secret, checksum = body[:-_CHECKSUM_LENGTH], body[-_CHECKSUM_LENGTH:]
    return hmac.compare_digest(_checksum(secret).encode(), checksum.encode())
