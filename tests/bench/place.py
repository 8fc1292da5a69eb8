"""Where it is measured: a database of its own, migrated and seeded, with principals and a signing key."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from cryptography.hazmat.primitives import serialization

from gateway.config import Settings
from gateway.demo.embedded import running
from gateway.demo.principals import TOKEN_LIFETIME, DemoPrincipal, ensure_principals
from gateway.demo.seed import seed
from gateway.issue import Signer, customer_token
from gateway.migrate import migrate
from gateway.principal import SigningKey, utc_now
from tests.conftest import new_database

SEED = 1
POOL_CONNECTIONS = 10
# Beyond what one employee reads in the run.
READ_QUOTA = 10_000_000
# Beyond what one of them spends in a minute.
BUDGET_PER_MINUTE = 10**12
BUSY_CUSTOMERS = 50
ORDERS_EACH = 10
LIFETIME = timedelta(days=1)

# The customers with the most orders; their newest order is copied, with its lines and deliveries, until they
# have ten: the demo's customers have nine at most.
BUSY = """
SELECT c.id, c.email FROM customer c JOIN orders o ON o.customer_id = c.id
WHERE c.status = 'ACTIVE' AND c.restricted_at IS NULL
GROUP BY c.id ORDER BY count(*) DESC, c.id LIMIT $1"""
COPY = "CREATE TEMP TABLE copy (id uuid, of uuid, number text) ON COMMIT DROP"
COPIES = """
INSERT INTO copy SELECT gen_random_uuid(), newest.id, newest.number || '-' || place
FROM unnest($1::uuid[]) AS busy (id)
CROSS JOIN LATERAL (
  SELECT id, number FROM orders WHERE customer_id = busy.id ORDER BY id DESC LIMIT 1) newest
CROSS JOIN LATERAL generate_series(
  (SELECT count(*) FROM orders WHERE customer_id = busy.id) + 1, $2) AS place"""
COPY_ORDERS = """
INSERT INTO orders
SELECT (jsonb_populate_record(o, jsonb_build_object('id', copy.id, 'number', copy.number))).*
FROM copy JOIN orders o ON o.id = copy.of"""
COPY_LINES = """
INSERT INTO order_line
SELECT (jsonb_populate_record(l, jsonb_build_object('id', gen_random_uuid(), 'order_id', copy.id))).*
FROM copy JOIN order_line l ON l.order_id = copy.of"""
COPY_DELIVERIES = """
INSERT INTO delivery
SELECT (jsonb_populate_record(d, jsonb_build_object(
  'id', gen_random_uuid(), 'order_id', copy.id, 'reference', d.reference || '-' || copy.number))).*
FROM copy JOIN delivery d ON d.order_id = copy.of"""

# What a store in use has written down already: each delivery disclosed once, and who read of whom today. In
# empty tables PostgreSQL looks rows up by reading the whole, and keeps to that plan while they fill.
FILL = """
INSERT INTO disclosure (id, customer_id, recipient, purpose, at, fields, fields_digest, ref_id,
  policy_version, notice_version, request_id)
SELECT gen_random_uuid(), d.customer_id, k.name, 'delivery', now(), '{Delivery.status}', '\\x00', d.id,
  '', '', ''
FROM delivery d JOIN carrier k ON k.id = d.carrier_id;
INSERT INTO daily_subject (employee_id, day, customer_id)
SELECT gen_random_uuid(), current_date, id FROM customer"""


@dataclass(frozen=True)
class Place:
    """A seeded database, as the servers reach it, and everybody who may ask."""

    url: str = field(repr=False)
    owner_url: str = field(repr=False)
    postgres: str
    settings: Settings
    key: SigningKey
    public_key_file: Path
    principals: dict[str, DemoPrincipal]
    busy: list[UUID]
    emails: list[str] = field(repr=False)
    # Tokens of the busy customers, one each.
    tokens: Mapping[UUID, str] = field(repr=False)
    embedded_pid: int | None

    def environment(self) -> dict[str, str]:
        """What both servers are told."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        return {
            **kept,
            "GATEWAY_DATABASE_URL": self.url,
            "GATEWAY_SIGNING_KEY_FILE": str(self.settings.signing_key_file),
            "GATEWAY_EMPLOYEE_TOKEN_MINUTES": str(self.settings.employee_token_minutes),
            "GATEWAY_POOL_CONNECTIONS": str(POOL_CONNECTIONS),
            "GATEWAY_READ_QUOTA": str(READ_QUOTA),
            "GATEWAY_BUDGET_PER_MINUTE": str(BUDGET_PER_MINUTE),
            "BENCH_DATABASE_URL": self.url,
            "BENCH_PUBLIC_KEY_FILE": str(self.public_key_file),
            "BENCH_POOL_CONNECTIONS": str(POOL_CONNECTIONS),
            "BENCH_READ_QUOTA": str(READ_QUOTA),
            "BENCH_ISSUER": self.settings.issuer,
            "BENCH_AUDIENCE": self.settings.audience,
        }


@contextmanager
def made(customers: int, server_url: str | None) -> Iterator[Place]:
    """A place with so many customers, on a server's new database or on an embedded server of its own."""
    with ExitStack() as stack:
        folder = folder_for(stack)
        if server_url is None:
            server = stack.enter_context(running(folder / "data"))
            yield prepared(customers, folder, server.owner_url, server.gateway_url, server.pid)
        else:
            url = stack.enter_context(new_database(server_url))
            yield prepared(customers, folder, url, url, None)


def folder_for(stack: ExitStack) -> Path:
    """A new folder with a short path, which the user that runs PostgreSQL may enter."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-", dir="/tmp")))
    folder.chmod(0o711)
    return folder


def prepared(customers: int, folder: Path, owner_url: str, url: str, pid: int | None) -> Place:
    migrate(owner_url)
    key_file = folder / "key.pem"
    key = SigningKey.create(key_file)
    given: dict[str, Any] = {"database_url": url, "signing_key_file": key_file, "read_quota": READ_QUOTA}
    given["employee_token_minutes"] = TOKEN_LIFETIME // timedelta(minutes=1)
    settings = Settings(**given)
    now = utc_now()
    asyncio.run(seed(owner_url, customers=customers, seed=SEED, now=now, progress=lambda *_: None))
    principals = asyncio.run(ensure_principals(owner_url, settings, key, key_file.read_bytes(), now))
    busy, emails, version = asyncio.run(_busy_customers(owner_url))
    return Place(
        url=url,
        owner_url=owner_url,
        postgres=version,
        settings=settings,
        key=key,
        public_key_file=public_key_file(key_file),
        principals={principal.name: principal for principal in principals},
        busy=busy,
        emails=emails,
        tokens=asyncio.run(_tokens(owner_url, Signer(key, settings, now, LIFETIME), busy)),
        embedded_pid=pid,
    )


def public_key_file(key_file: Path) -> Path:
    """The public half of a signing key, in a file beside it."""
    private = serialization.load_pem_private_key(key_file.read_bytes(), None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    path = key_file.with_name("public.pem")
    path.write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, form))
    return path


async def _tokens(owner_url: str, signer: Signer, customers: list[UUID]) -> dict[UUID, str]:
    connection = await asyncpg.connect(owner_url)
    try:
        return {one: await customer_token(connection, signer, one) for one in customers}
    finally:
        await connection.close()


async def _busy_customers(owner_url: str) -> tuple[list[UUID], list[str], str]:
    """The ids and addresses of the customers with ten orders, and PostgreSQL's version."""
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
            rows = await connection.fetch(BUSY, BUSY_CUSTOMERS)
            busy, emails = [row["id"] for row in rows], [row["email"] for row in rows]
            await connection.execute(COPY)
            await connection.execute(COPIES, busy, ORDERS_EACH)
            for statement in (COPY_ORDERS, COPY_LINES, COPY_DELIVERIES):
                await connection.execute(statement)
            await connection.execute(FILL)
        await connection.execute("VACUUM ANALYZE")
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return busy, emails, str(version).partition(" ")[0]
