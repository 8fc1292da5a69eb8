"""The link to a copy of somebody's data: what stands in it, and how a forged one is told.

A link holds the random id of the copy and a keyed digest of it, and nothing about the person: whether there
is such a copy, still, is for the table to say.
"""

from __future__ import annotations

import hmac
import re
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

# 16 bytes of the id and 32 of the digest: 64 characters without padding, each text of another pair.
_FORM = re.compile(r"[A-Za-z0-9_-]{64}")
_ID_BYTES = 16
PATH = "/export/"


@dataclass(frozen=True, slots=True)
class Forged:
    """A link that was never given to anybody."""


@dataclass(frozen=True)
class Links:
    """Signs with the first secret, that of the present signing key; the others still verify."""

    secrets: tuple[bytes, ...]

    def sign(self, copy: uuid.UUID) -> str:
        """The token of a copy's link; of one copy always the same."""
        return urlsafe_b64encode(copy.bytes + _digest(self.secrets[0], copy.bytes)).decode()

    def verify(self, token: str) -> uuid.UUID | Forged:
        """The copy whose link it is."""
        if _FORM.fullmatch(token) is None:
            return Forged()
        whole = urlsafe_b64decode(token)
        key, digest = whole[:_ID_BYTES], whole[_ID_BYTES:]
        if not any(hmac.compare_digest(digest, _digest(secret, key)) for secret in self.secrets):
            return Forged()
        return uuid.UUID(bytes=key)

    def url(self, public_url: str, copy: uuid.UUID) -> str:
        """The whole link."""
        return f"{public_url.rstrip('/')}{PATH}{self.sign(copy)}"


def _digest(secret: bytes, key: bytes) -> bytes:
    return hmac.digest(secret, key, sha256)
