"""Passwords: hashed with argon2id off the event loop, with OWASP's parameters. The only home of argon2."""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret_raw

from schema import formats

# OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
SALT_BYTES, HASH_BYTES = 16, 32


async def hashed(password: str) -> str:
    """The argon2id hash of a password, with its parameters and salt in the PHC string format."""
    return await asyncio.to_thread(_hasher().hash, password)


async def digested(password: str, salt: bytes) -> bytes:
    """Bytes that the same password and salt give again, at the price of a hash."""
    return await asyncio.to_thread(
        hash_secret_raw, password.encode(), salt, PASSES, MEMORY_KIB, LANES, hash_len=32, type=Type.ID
    )


async def is_password(given: str, kept: str | None) -> bool:
    """Whether a hash is of this password.

    # INVARIANT: one hash is computed whether there is one to compare with or not, whatever is given.
    """
    return await asyncio.to_thread(_verify, _spelled(given), kept or _nobodys()) and kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _hasher().check_needs_rehash(kept)


def _hasher() -> PasswordHasher:
    return PasswordHasher(
        time_cost=PASSES,
        memory_cost=MEMORY_KIB,
        parallelism=LANES,
        hash_len=HASH_BYTES,
        salt_len=SALT_BYTES,
    )


def _verify(password: str, kept: str) -> bool:
    try:
        return _hasher().verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


def _spelled(password: str) -> str:
    """As it was spelled when it was kept; what can be no password is the empty one, which is nobody's."""
    try:
        return formats.password(password)
    except formats.Malformed:
        return ""


def _nobodys() -> str:
    """A hash of today's parameters that no password has."""
    salt, digest = (_base64(secrets.token_bytes(count)) for count in (SALT_BYTES, HASH_BYTES))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"


def _base64(text: bytes) -> str:
    return b64encode(text).decode().rstrip("=")
