"""A register of any size, made by PostgreSQL itself, in a database that is kept for the next run.

One customer in ten has 12 orders, the others have 2; each order has two lines and a delivery, each tenth a
return. Keys are UUIDv7 in the order of their times, so that pages lie on disk as they would in a store.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg

from gateway.demo.seed import INDEXES
from gateway.migrate import migrate
from gateway.principal import utc_now

ROLE = "gateway"
PREFIX = "gateway_bench_"
CARRIERS = ("Posti", "Matkahuolto", "DHL", "PostNord")
# Beyond that the parcels on their way would leave the carriers' sight.
KEPT = timedelta(days=5)
MARK = "bench.made"
# Written in another way, the rows are made anew.
FORM = "1"
SPAN_DAYS = 1000
# What a store in use has written down already: more of it changes no plan.
FILLED = 300_000
TABLES = ("customer", "orders", "order_line", "delivery", "returns", "disclosure", "daily_subject")

FUNCTIONS = f"""
CREATE FUNCTION pg_temp.at(part double precision) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT current_setting('bench.now')::timestamptz - interval '1 hour'
    - (1 - part) * interval '{SPAN_DAYS} days' $$;
CREATE FUNCTION pg_temp.key(at timestamptz, kind text, n bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
    || substr(md5(kind || n), 1, 3) || '8' || substr(md5(kind || n), 4, 15))::uuid $$;
CREATE FUNCTION pg_temp.customer(n bigint, total bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT pg_temp.key(pg_temp.at(n::double precision / total), 'customer', n) $$;
CREATE FUNCTION pg_temp.ordered(n bigint, total bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT pg_temp.at((n + 1)::double precision / (3 * total)) $$;
CREATE FUNCTION pg_temp.buyer(n bigint, total bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN n % 5 < 2 THEN ((n / 5 * 2 + n % 5) % (total / 10) + 1) * 10
    ELSE (n / 5 * 3 + n % 5 - 2) % (total / 10 * 9) / 9 * 10
      + (n / 5 * 3 + n % 5 - 2) % (total / 10 * 9) % 9 + 1 END $$"""

CUSTOMERS = """
INSERT INTO customer (id, number, first_name, surname, street_address, postal_code, postal_town, country_code,
  phone, email, marketing_consent, unsubscribe_token, created_at, last_active_at)
SELECT pg_temp.customer(n, $1), 'C-' || lpad(n::text, 8, '0'),
  ('{Aino,Eino,Helmi,Veikko,Lempi,Onni,Hilja,Toivo,Impi,Arvo,Saima,Urho,Kerttu}'::text[])[1 + n % 13],
  ('{Korhonen,Virtanen,Mäkinen,Nieminen,Mäkelä,Hämäläinen,Laine,Heikkinen,Koskinen}'::text[])[1 + n * 7 % 9],
  ('{Rantatie,Koulukatu,Kirkkotie,Mannerheimintie,Asemakatu,Puistokatu}'::text[])[1 + n * 3 % 6]
    || ' ' || 1 + n % 199,
  lpad((n * 37 % 99000 + 100)::text, 5, '0'),
  ('{Helsinki,Espoo,Tampere,Vantaa,Oulu,Turku,Jyväskylä,Kuopio,Lahti,Pori}'::text[])[1 + n * 5 % 10], 'FI',
  '+35840' || lpad((n * 7919 % 10000000)::text, 7, '0'), 'customer' || n || '@example.test', n % 3 = 0,
  'bench-' || md5('unsubscribe' || n), pg_temp.at(n::double precision / $1),
  pg_temp.at(n::double precision / $1)
FROM generate_series(1, $1::bigint) n"""

ORDERS = """
INSERT INTO orders (id, number, customer_id, placed_at, status, currency, total, payment_method,
  payment_status)
SELECT pg_temp.key(pg_temp.ordered(n, $1), 'order', n), 'O-' || lpad(n::text, 9, '0'),
  pg_temp.customer(pg_temp.buyer(n, $1), $1), pg_temp.ordered(n, $1),
  ('{PLACED,PAID,PICKING,SHIPPED,DELIVERED,COMPLETED,COMPLETED,COMPLETED}'::text[])[1 + n * 11 % 8], 'EUR',
  (500 + n * 7717 % 49500) / 100.0, 'CARD', 'PAID'
FROM generate_series(0, 3 * $1::bigint - 1) n"""

LINES = """
INSERT INTO order_line (id, order_id, customer_id, sku, name, quantity, unit_price, currency, vat_rate)
SELECT pg_temp.key(pg_temp.ordered(n, $1) + line * interval '1 millisecond', 'line', 2 * n + line),
  pg_temp.key(pg_temp.ordered(n, $1), 'order', n), pg_temp.customer(pg_temp.buyer(n, $1), $1),
  'SKU-' || lpad(((2 * n + line) * 104729 % 50000)::text, 5, '0'),
  ('{Cotton shirt,Wool socks,Rain jacket,Running shoes,Leather belt,Sun hat}'::text[])[1 + n * 13 % 6] || ' '
    || ('{S,M,L,XL}'::text[])[1 + n % 4],
  1 + (2 * n + line) % 3, (250 + n * 3571 % 20000) / 100.0, 'EUR', 25.5
FROM generate_series(0, 3 * $1::bigint - 1) n CROSS JOIN generate_series(0, 1) line"""

# Each eighth is on its way, spread over the whole time as its order is.
DELIVERIES = """
INSERT INTO delivery (id, reference, order_id, customer_id, carrier_id, service_code, status, tracking_code,
  parcel_count, recipient_name, recipient_phone, recipient_email, street_address, postal_code, postal_town,
  country_code, promised_at, created_at, handed_over_at, delivered_at)
SELECT pg_temp.key(o.placed_at, 'delivery', n), 'D-' || lpad(n::text, 9, '0'), o.id, o.customer_id, k.id,
  'HOME', kinds.status, 'TRK' || lpad((n * 15485863 % 1000000000)::text, 10, '0'), 1,
  c.first_name || ' ' || c.surname, c.phone, c.email, c.street_address, c.postal_code, c.postal_town, 'FI',
  o.placed_at + interval '3 days', o.placed_at,
  CASE kinds.status WHEN 'READY' THEN NULL
    WHEN 'IN_TRANSIT' THEN current_setting('bench.now')::timestamptz - n % 40 * interval '1 day'
    ELSE o.placed_at + interval '1 day' END,
  CASE kinds.status WHEN 'DELIVERED' THEN o.placed_at + interval '2 days' END
FROM generate_series(0, 3 * $1::bigint - 1) n
CROSS JOIN LATERAL (SELECT (
  '{DELIVERED,DELIVERED,IN_TRANSIT,DELIVERED,READY,DELIVERED,DELIVERED,AT_PICKUP_POINT}'::text[]
  )[1 + n % 8] AS status) kinds
JOIN orders o ON o.id = pg_temp.key(pg_temp.ordered(n, $1), 'order', n)
JOIN customer c ON c.id = o.customer_id
JOIN carrier k ON k.name = ($2::text[])[1 + n / 8 % 4]"""

RETURNS = """
INSERT INTO returns (id, number, order_id, customer_id, kind, status, requested_at, reason_code,
  refund_due_at, refund_amount, currency)
SELECT pg_temp.key(o.placed_at + interval '5 days', 'return', n), 'R-' || lpad(n::text, 8, '0'), o.id,
  o.customer_id, 'WITHDRAWAL', ('{REQUESTED,RECEIVED,REFUNDED}'::text[])[1 + n % 3],
  o.placed_at + interval '5 days', 'WRONG_SIZE', o.placed_at + interval '19 days', o.total, 'EUR'
FROM generate_series(1, 3 * $1::bigint / 10) n
JOIN orders o ON o.id = pg_temp.key(pg_temp.ordered(10 * n - 1, $1), 'order', 10 * n - 1)"""

WRITTEN = f"""
INSERT INTO disclosure (id, customer_id, recipient, purpose, at, fields, fields_digest, ref_id,
  policy_version, notice_version, request_id)
SELECT gen_random_uuid(), d.customer_id, k.name, 'delivery', $1::timestamptz, '{{Delivery.status}}', '\\x00',
  d.id, '', '', ''
FROM delivery d JOIN carrier k ON k.id = d.carrier_id LIMIT {FILLED}"""
COUNTED = f"""
INSERT INTO daily_subject (employee_id, day, customer_id)
SELECT gen_random_uuid(), $1::date, id FROM customer LIMIT {FILLED}"""

SUPPLIED = """
INSERT INTO carrier (id, name, contact_email)
SELECT pg_temp.key(pg_temp.at(0), 'carrier', n), name, 'privacy@carrier.example'
FROM unnest($1::text[]) WITH ORDINALITY AS listed (name, n)"""
SERVICES = """
INSERT INTO carrier_service (carrier_id, code, needs_phone, needs_email, tracking_url)
SELECT id, 'HOME', true, true, 'https://track.example/{code}' FROM carrier"""
# The demo's principals are made for these two.
SETTINGS = """
INSERT INTO setting (name, value)
SELECT name, pg_temp.customer(10 * n, $1)::text
FROM unnest('{demo.customer,demo.customer-2}'::text[]) WITH ORDINALITY AS listed (name, n)"""

STATEMENTS = (CUSTOMERS, ORDERS, LINES, DELIVERIES, RETURNS)
MADE = "SELECT value FROM setting WHERE name = $1"
HEAVY = """
SELECT c.id, c.email FROM unnest($1::text[]) asked (number) JOIN customer c ON c.number = asked.number
ORDER BY c.number"""


@dataclass(frozen=True, slots=True)
class Register:
    """A kept database: as its owner, as the login role, and what a run asks for."""

    customers: int
    owner_url: str
    url: str
    postgres: str
    # Customers with twelve orders, drawn evenly over the whole register: their ids and addresses.
    heavy: list[tuple[UUID, str]]


def register(server_url: str, customers: int, heavy: int = 200) -> Register:
    """The database of this size on a server, made where it is missing or has grown old.

    `server_url` is of a superuser. The number of customers is a multiple of ten. So many of those with
    twelve orders are there to ask for.
    """
    owner_url = asyncio.run(_database(server_url, f"{PREFIX}{customers}"))
    migrate(owner_url, role=ROLE)
    return asyncio.run(_filled(owner_url, customers, heavy))


def as_role(url: str, role: str) -> str:
    """A URL of a server that trusts whoever connects, for another role."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}@{place}"))


def evenly(customers: int, count: int) -> list[str]:
    """The numbers of so many customers with twelve orders, or of all of them, evenly over the register."""
    heavy = customers // 10
    asked = min(count, heavy)
    return [f"C-{10 * (1 + place * heavy // asked):08}" for place in range(asked)]


async def _database(server_url: str, name: str) -> str:
    """The URL of the database, which is made anew where what it holds is of another form, or old."""
    owner_url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    connection = await asyncpg.connect(server_url)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", ROLE):
            await connection.execute(f"CREATE ROLE {ROLE} LOGIN")
        known = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name)
        if known and not await _is_fresh(owner_url):
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            known = False
        if not known:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0 ENCODING UTF8')
    finally:
        await connection.close()
    return owner_url


async def _is_fresh(owner_url: str) -> bool:
    connection = await asyncpg.connect(owner_url)
    try:
        form, _, day = str(await connection.fetchval(MADE, MARK)).partition(" ")
        return form == FORM and datetime.fromisoformat(day) > utc_now() - KEPT
    except asyncpg.UndefinedTableError:
        return False
    finally:
        await connection.close()


async def _filled(owner_url: str, customers: int, heavy: int) -> Register:
    connection = await asyncpg.connect(owner_url, command_timeout=1800)
    try:
        if not await connection.fetchval(MADE, MARK):
            async with connection.transaction():
                await _fill(connection, customers, utc_now())
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("CHECKPOINT")
        rows = await connection.fetch(HEAVY, evenly(customers, heavy))
        version = str(await connection.fetchval("SHOW server_version")).partition(" ")[0]
    finally:
        await connection.close()
    found = [(row["id"], row["email"]) for row in rows]
    return Register(customers, owner_url, await _as_login_role(owner_url), version, found)


async def _as_login_role(owner_url: str) -> str:
    """The database as the login role, where the server trusts it without a password; else as its owner."""
    url = as_role(owner_url, ROLE)
    try:
        connection = await asyncpg.connect(url)
    except asyncpg.PostgresError:
        return owner_url
    await connection.close()
    return url


async def _fill(connection: Any, customers: int, now: datetime) -> None:
    """Every row, without the triggers, and the indexes made afterwards."""
    await connection.execute("SET LOCAL session_replication_role = replica")
    await connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
    await connection.execute("SELECT set_config('bench.now', $1, true)", now.isoformat())
    await connection.execute(FUNCTIONS)
    indexes = await connection.fetch(INDEXES, TABLES)
    for index in indexes:
        await connection.execute(f'DROP INDEX public."{index["indexname"]}"')
    await connection.execute(SUPPLIED, list(CARRIERS))
    await connection.execute(SERVICES)
    for statement in STATEMENTS:
        given = (customers, list(CARRIERS)) if statement is DELIVERIES else (customers,)
        await connection.execute(statement, *given)
    await connection.execute(WRITTEN, now)
    await connection.execute(COUNTED, now.date())
    await connection.execute(SETTINGS, customers)
    await connection.execute("SELECT setval('public.customer_number', $1)", customers)
    for index in indexes:
        await connection.execute(index["indexdef"])
    marked = f"{FORM} {now.isoformat()}"
    await connection.execute("INSERT INTO setting (name, value) VALUES ($1, $2)", MARK, marked)
