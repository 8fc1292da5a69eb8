"""`gateway token`: makes a token for somebody the database knows."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr
from uuid_utils.compat import uuid7

from .config import Settings
from .errors import StartError
from .policy import STAFF
from .principal import SigningKey, new_partner_token, partner_token_hash, token_prefix, utc_now

PARTNER_LIFETIME = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Wanted:
    """For whom a token is wanted: `who` is a customer number, a work e-mail or a carrier's name."""

    role: str
    who: str | None
    order: str | None
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class Signer:
    """What signs tokens that begin now and hold so long."""

    key: SigningKey
    settings: Settings
    now: datetime
    lifetime: timedelta

    def sign(self, kind: str, holder: uuid.UUID, **limits: uuid.UUID | None) -> str:
        """A token of a customer or an employee, with what it is limited to."""
        return self.key.sign(kind, holder, self.settings, now=self.now, lifetime=self.lifetime, **limits)


@dataclass(frozen=True, slots=True)
class PartnerHolder:
    """Whose token it is; `carrier` is None for the newsletter provider."""

    name: str
    carrier: uuid.UUID | None


def environment_place() -> tuple[Settings, str]:
    """The settings of the environment, and the URL of the database's owner."""
    settings = Settings.read()
    return settings, settings.owner_url


def demo_place(data_dir: Path) -> tuple[Settings, str]:
    """The settings and the owner's URL of a running demo; raises `StartError` where none runs."""
    from .demo.run import demo_settings

    try:
        running = json.loads((data_dir / "running.json").read_text())
    except OSError as error:
        raise StartError(f"no demo runs on {data_dir}: start it with `gateway demo`") from error
    settings = demo_settings(running["gateway_url"], data_dir / "signing-key.pem", "http://127.0.0.1/")
    keeper = SecretStr(running.get("keeper_url", ""))
    return settings.model_copy(update={"keeper_database_url": keeper}), running["owner_url"]


def make_key(settings: Settings) -> None:
    """Makes the signing key's file; raises `StartError` where it exists or cannot be written."""
    if settings.signing_key_file is None:
        raise StartError("setting GATEWAY_SIGNING_KEY_FILE: field required")
    try:
        SigningKey.create(settings.signing_key_file)
    except OSError as error:
        raise StartError(f"cannot make {settings.signing_key_file}: {error.strerror}") from error


async def issue(wanted: Wanted, settings: Settings, owner_url: str) -> str:
    """The token; raises `StartError` where the database does not know whom it is for."""
    try:
        connection = await asyncpg.connect(owner_url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartError(f"the database cannot be reached: {type(error).__name__}") from error
    try:
        if wanted.role in ("carrier", "newsletter"):
            return await _partner(connection, wanted)
        signer = Signer(SigningKey.load(settings.signing_key_file), settings, utc_now(), wanted.lifetime)
        if wanted.role in STAFF:
            if wanted.order is not None:
                raise StartError("`--order` limits a customer's token")
            if wanted.lifetime > timedelta(minutes=settings.employee_token_minutes):
                raise StartError(f"`--minutes` is {settings.employee_token_minutes} at most for an employee")
            return signer.sign("employee", await _employee(connection, wanted))
        customer = await _customer(connection, wanted)
        order = None if wanted.order is None else await _order(connection, wanted.order, customer)
        return await customer_token(connection, signer, customer, order)
    finally:
        await connection.close()


async def customer_token(
    connection: Any, signer: Signer, customer: uuid.UUID, order: uuid.UUID | None = None
) -> str:
    """A customer's token, or one of a single order, of a new session that can be ended like any other.

    The session is kept for as long as the token is taken, with the leeway.
    """
    session, leeway = uuid7(), timedelta(seconds=signer.settings.token_leeway_seconds)
    await connection.execute(
        "INSERT INTO session (id, customer_id, order_id, created_at, last_refreshed_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $4, $5)",
        session,
        customer,
        order,
        signer.now,
        signer.now + signer.lifetime + leeway,
    )
    return signer.sign("customer", customer, order_id=order, session_id=session)


async def _customer(connection: Any, wanted: Wanted) -> uuid.UUID:
    found = await connection.fetchval("SELECT id FROM customer WHERE number = $1", wanted.who or "")
    return _known(found, "customer", "--id with a customer number")


async def _order(connection: Any, number: str, customer: uuid.UUID) -> uuid.UUID:
    query = "SELECT id FROM orders WHERE number = $1 AND customer_id = $2"
    return _known(await connection.fetchval(query, number, customer), "order of that customer", "--order")


async def _employee(connection: Any, wanted: Wanted) -> uuid.UUID:
    query = (
        "SELECT e.id FROM employee e JOIN designation d ON d.employee_id = e.id"
        " WHERE d.role = $1 AND d.revoked_at IS NULL AND now() >= d.valid_from AND now() < d.valid_to"
        " AND e.active AND ($2::text IS NULL OR e.work_email = $2) ORDER BY e.work_email LIMIT 1"
    )
    found = await connection.fetchval(query, wanted.role, wanted.who)
    return _known(found, f"employee designated as {wanted.role}", "--id with a work e-mail")


async def _partner(connection: Any, wanted: Wanted) -> str:
    carrier = None
    if wanted.role == "carrier":
        found = await connection.fetchval(
            "SELECT id FROM carrier WHERE name = $1 AND active", wanted.who or ""
        )
        carrier = _known(found, "carrier", "--id with a carrier's name")
    made = new_partner_token()
    holder = PartnerHolder(wanted.who or "Newsletter provider", carrier)
    await keep_partner_token(
        connection, made, holder, issued_by="command", now=utc_now(), lifetime=PARTNER_LIFETIME
    )
    return made


async def keep_partner_token(
    connection: Any, token: str, holder: PartnerHolder, *, issued_by: str, now: datetime, lifetime: timedelta
) -> None:
    """Keeps the hash of a partner's token, not the token; the same token twice is kept once."""
    await connection.execute(
        "INSERT INTO partner_token"
        " (id, partner, kind, carrier_id, prefix, hash, issued_by, created_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (hash) DO NOTHING",
        uuid7(),
        holder.name,
        "NEWSLETTER" if holder.carrier is None else "CARRIER",
        holder.carrier,
        token_prefix(token),
        partner_token_hash(token),
        issued_by,
        now,
        now + lifetime,
    )


def _known(found: uuid.UUID | None, what: str, option: str) -> uuid.UUID:
    if found is None:
        raise StartError(f"the database knows no such {what}: give `{option}`")
    return found
