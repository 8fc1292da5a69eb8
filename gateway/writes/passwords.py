"""Passwords: hashed with argon2id off the event loop, with OWASP's parameters. The only home of argon2."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher

# OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1


async def hashed(password: str) -> str:
    """The argon2id hash of a password, with its parameters and salt in the PHC string format."""
    hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
    return await asyncio.to_thread(hasher.hash, password)
