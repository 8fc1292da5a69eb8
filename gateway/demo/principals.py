"""The principals of the demo: employees, designations and partner tokens, made anew where they ran out.

Takes a seeded database and the signing key. Gives a `DemoPrincipal` for every role. All of it is demo data.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from schema.scalars import global_id

from ..config import Settings
from ..issue import PartnerHolder, Signer, customer_token, keep_partner_token
from ..principal import SigningKey, new_partner_token

TOKEN_LIFETIME = timedelta(days=7)
DESIGNATION_LIFETIME = timedelta(days=360)
DESIGNATION_RENEWAL = timedelta(days=30)
PARTNER_PERIOD = timedelta(days=30)

STAFF = {
    "support": "support",
    "register-admin": "register_admin",
    "warehouse": "warehouse",
    "finance": "finance",
    "marketing": "marketing",
    "analyst": "analyst",
    "privacy-officer": "privacy_officer",
}
CARRIERS = {"carrier": "Posti", "carrier-2": "Matkahuolto"}


@dataclass(frozen=True, slots=True)
class DemoPrincipal:
    """Somebody to ask as: `headers` is all a client sends, `id` the customer's or carrier's global id."""

    name: str
    role: str | None
    headers: dict[str, str]
    id: str | None = None


async def ensure_principals(
    url: str, settings: Settings, key: SigningKey, secret: bytes, now: datetime
) -> list[DemoPrincipal]:
    """Every principal of the demo, as the owner; running it again ends nothing that still holds."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            signer = Signer(key, settings, now, TOKEN_LIFETIME)
            customers = await _customers(connection, signer)
            staff = await _staff(connection, signer)
            partners = await _partners(connection, secret, now)
    finally:
        await connection.close()
    return [DemoPrincipal("anonymous", "anonymous", {}), *customers, *staff, *partners]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _customers(connection: Any, signer: Signer) -> list[DemoPrincipal]:
    found = []
    for name in ("customer", "customer-2"):
        text = await connection.fetchval("SELECT value FROM setting WHERE name = $1", f"demo.{name}")
        customer = uuid.UUID(text)
        token = await customer_token(connection, signer, customer)
        found.append(DemoPrincipal(name, "customer", _bearer(token), global_id("Customer", customer)))
    return found


def employee_id(name: str) -> uuid.UUID:
    """The key of a demo employee."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"https://store.example/employees/{name}")


async def _staff(connection: Any, signer: Signer) -> list[DemoPrincipal]:
    found = []
    names = ["register-admin", *(name for name in STAFF if name != "register-admin"), "undesignated"]
    for name in names:
        employee = employee_id(name)
        await connection.execute(
            "INSERT INTO employee (id, name, work_email, active) VALUES ($1, $2, $3, true)"
            " ON CONFLICT DO NOTHING",
            employee,
            f"Demo {name}",
            f"{name}@store.example",
        )
        if name in STAFF:
            await _designate(connection, name, employee, signer.now)
        token = signer.sign("employee", employee)
        found.append(DemoPrincipal(name, STAFF.get(name), _bearer(token)))
    return sorted(
        found, key=lambda principal: names.index(principal.name) if principal.name != "support" else -1
    )


async def _designate(connection: Any, name: str, employee: uuid.UUID, now: datetime) -> None:
    lasts = await connection.fetchval(
        "SELECT max(valid_to) FROM designation WHERE employee_id = $1 AND role = $2 AND revoked_at IS NULL",
        employee,
        STAFF[name],
    )
    if lasts is not None and lasts > now + DESIGNATION_RENEWAL:
        return
    first = name == "register-admin"
    await connection.execute(
        "INSERT INTO designation (id, employee_id, role, reason, designated_by, valid_from, valid_to)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        uuid.uuid4(),
        employee,
        STAFF[name],
        "demo data",
        None if first else employee_id("register-admin"),
        now,
        now + DESIGNATION_LIFETIME,
    )


async def _partners(connection: Any, secret: bytes, now: datetime) -> list[DemoPrincipal]:
    found = []
    for name, partner in {**CARRIERS, "newsletter": "Newsletter provider"}.items():
        carrier = await connection.fetchval("SELECT id FROM carrier WHERE name = $1", partner)
        token = await _partner_token(connection, name, partner, carrier, secret, now)
        role = "newsletter" if carrier is None else "carrier"
        shown = None if carrier is None else global_id("Carrier", carrier)
        found.append(DemoPrincipal(name, role, _bearer(token), shown))
    return found


async def _partner_token(
    connection: Any, name: str, partner: str, carrier: uuid.UUID | None, secret: bytes, now: datetime
) -> str:
    """A token that a second start can print again: made from the data directory's secret and the month."""
    period = int(now.timestamp() // PARTNER_PERIOD.total_seconds())
    token = new_partner_token(hmac.digest(secret, f"{name} {period}".encode(), hashlib.sha256))
    begins = datetime.fromtimestamp(period * PARTNER_PERIOD.total_seconds(), now.tzinfo)
    await keep_partner_token(
        connection,
        token,
        PartnerHolder(partner, carrier),
        issued_by="demo",
        now=begins,
        lifetime=2 * PARTNER_PERIOD,
    )
    return token
