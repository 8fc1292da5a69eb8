"""The role of the demo that may delete records whose time is over; it gets another password at each start."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

import asyncpg

KEEPER = "gateway_keeper"


async def keeper_url(owner_url: str) -> str:
    """The URL of the demo's database for the keeper, who is made where there is none yet."""
    password = secrets.token_urlsafe(24)
    connection = await asyncpg.connect(owner_url)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", KEEPER):
            await connection.execute(f"CREATE ROLE {KEEPER} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
        await connection.execute(f"ALTER ROLE {KEEPER} PASSWORD '{password}'")
    finally:
        await connection.close()
    place = urlsplit(owner_url)
    return place._replace(netloc=f"{KEEPER}:{password}@{place.netloc.rpartition('@')[2]}").geturl()
