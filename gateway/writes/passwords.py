"""Passwords: hashed with argon2id off the event loop, with OWASP's parameters. The only home of argon2."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.low_level import Type, hash_secret_raw

# OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1


async def hashed(password: str) -> str:
    """The argon2id hash of a password, with its parameters and salt in the PHC string format."""
    hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
    return await asyncio.to_thread(hasher.hash, password)


async def digested(password: str, salt: bytes) -> bytes:
    """Bytes that the same password and salt give again, at the price of a hash."""
    return await asyncio.to_thread(
        hash_secret_raw, password.encode(), salt, PASSES, MEMORY_KIB, LANES, hash_len=32, type=Type.ID
    )
