"""Who asks a kept register: principals with tokens, and how a server of it is set up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from gateway.config import Settings
from gateway.demo.principals import TOKEN_LIFETIME, DemoPrincipal, ensure_principals
from gateway.issue import PartnerHolder, Signer, customer_token, keep_partner_token
from gateway.principal import SigningKey, new_partner_token, utc_now
from schema.scalars import global_id

from .place import LIFETIME, READ_QUOTA, Place, public_key_file
from .register import CARRIERS, Register


def place_of(register: Register, folder: Path) -> Place:
    """The register as a place: with a new key, and tokens for everybody who asks."""
    key_file = folder / "key.pem"
    key = SigningKey.create(key_file)
    given: dict[str, Any] = {"database_url": register.url, "signing_key_file": key_file}
    given |= {"read_quota": READ_QUOTA, "employee_token_minutes": TOKEN_LIFETIME // timedelta(minutes=1)}
    place = Place(
        url=register.url,
        owner_url=register.owner_url,
        postgres=register.postgres,
        settings=Settings(**given),
        key=key,
        public_key_file=public_key_file(key_file),
        principals={},
        busy=[customer for customer, _ in register.heavy],
        emails=[email for _, email in register.heavy],
        tokens={},
        embedded_pid=None,
    )
    return asyncio.run(_with_callers(place, key_file.read_bytes()))


async def _with_callers(place: Place, secret: bytes) -> Place:
    now = utc_now()
    made = await ensure_principals(place.owner_url, place.settings, place.key, secret, now)
    signer = Signer(place.key, place.settings, now, LIFETIME)
    connection = await asyncpg.connect(place.owner_url)
    try:
        carriers = [await _carrier(connection, name) for name in CARRIERS]
        async with connection.transaction():
            tokens = {one: await customer_token(connection, signer, one) for one in place.busy}
    finally:
        await connection.close()
    principals = {principal.name: principal for principal in (*made, *carriers)}
    return replace(place, principals=principals, tokens=tokens)


async def _carrier(connection: Any, name: str) -> DemoPrincipal:
    """A carrier with a token of this run, called as it is."""
    key = await connection.fetchval("SELECT id FROM carrier WHERE name = $1", name)
    token, now = new_partner_token(), utc_now()
    holder = PartnerHolder(name, key)
    await keep_partner_token(connection, token, holder, issued_by="bench", now=now, lifetime=LIFETIME)
    headers = {"Authorization": f"Bearer {token}"}
    return DemoPrincipal(name, "carrier", headers, global_id("Carrier", key))
