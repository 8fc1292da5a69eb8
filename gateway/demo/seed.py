"""Fills a migrated, empty database with made-up customers and their orders.

Takes the owner's URL, a number of customers and a seed. Gives a filled database.
Rejects too few customers and a database that holds some already, each with `StartError`.

The same seed on the same day makes the same data; on another day the same but for the dates.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from gateway.demo.carriers import add_carriers
from gateway.demo.customers import Register
from gateway.demo.draw import Draw
from gateway.demo.people import People
from gateway.demo.products import add_price_list
from gateway.demo.records import add_records
from gateway.demo.rows import Rows
from gateway.demo.scene import Scene
from gateway.demo.subject_requests import add_subject_requests
from gateway.errors import StartError

FEWEST_CUSTOMERS = 30
BATCH = 1_000  # customers copied at once, in about 26,000 rows
TURN = 5  # customers made between two looks at the connection, in some 2 ms
REPORT_SECONDS = 0.25  # between two calls of `progress`
# In the order of their foreign keys.
TABLES = (
    *("carrier", "carrier_service", "customer", "consent_event", "orders", "order_line"),
    *("delivery", "delivery_event", "returns", "return_line", "setting"),
)
RECORDS = (
    *("employee", "designation", "access_record", "disclosure"),
    *("subject_request", "legal_hold", "erasure"),
)
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public' AND tablename = ANY ($1) AND NOT EXISTS (
    SELECT FROM pg_constraint
    WHERE conindid = (quote_ident(schemaname) || '.' || quote_ident(indexname))::regclass
)
ORDER BY indexname
"""


@dataclass(slots=True)
class Work:
    """What to make, and how many of the customers are made."""

    customers: int
    seed: int
    now: datetime
    done: int = 0


async def seed(
    url: str, *, customers: int, seed: int, now: datetime, progress: Callable[[int, int], None]
) -> None:
    """Fills the database in one transaction: a crash leaves it empty.

    `progress` is called with the customers done and the total, at least twice a second. The table `setting`
    records `demo.seed`, `demo.customers`, and as `demo.customer` and `demo.customer-2` the ids of the two
    customers that `gateway demo` prints.

    Raises `StartError`.
    """
    if customers < FEWEST_CUSTOMERS:
        raise StartError(f"the demo data needs at least {FEWEST_CUSTOMERS} customers")
    work = Work(customers, seed, now)
    progress(0, customers)
    running = asyncio.create_task(_seed(url, work))
    try:
        while not (await asyncio.wait({running}, timeout=REPORT_SECONDS))[0]:
            progress(work.done, customers)
    finally:
        running.cancel()
        await asyncio.wait({running})
    running.result()
    progress(customers, customers)


async def _seed(url: str, work: Work) -> None:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await _prepare(connection)
            indexes = await connection.fetch(INDEXES, TABLES)
            for index in indexes:
                await connection.execute(f'DROP INDEX public."{index["indexname"]}"')
            await add_price_list(connection)
            draw = Draw(work.seed, work.now)
            await _fill(connection, work, draw)
            # The next customer gets the number after those of the demo.
            await connection.execute("SELECT setval('public.customer_number', $1)", work.customers)
            # PERF: made afterwards, the indexes take 6 s; kept up to date row by row they take 26 s.
            for index in indexes:
                await connection.execute(index["indexdef"])
            await add_records(connection, draw, work.now)
            await add_subject_requests(connection, draw, work.now)
        for table in (*TABLES, *RECORDS):
            await connection.execute(f"ANALYZE public.{table}")
    finally:
        await connection.close()


async def _prepare(connection: asyncpg.Connection) -> None:
    if await connection.fetchval("SELECT EXISTS (SELECT FROM public.customer)"):
        raise StartError("the demo data needs an empty database, and this one holds customers")
    if await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        # PERF: skips the triggers of foreign keys and consents, which a test shows to hold all the same.
        await connection.execute("SET LOCAL session_replication_role = replica")


async def _fill(connection: asyncpg.Connection, work: Work, draw: Draw) -> None:
    """Makes the rows and copies them.

    # PERF: the server takes in a batch while the next is made, in turns of one thread. A second thread gains
    # nothing: the two wait for each other's interpreter lock.
    """
    rows = Rows()
    scene = Scene(draw, People(draw, work.seed), add_carriers(draw, rows), rows)
    register = Register(scene, work.customers)
    printed = [UUID(register.add_customer(number)) for number in (1, 2)]
    _add_settings(rows, work, printed)
    copying = asyncio.create_task(_copy(connection, Rows()))
    try:
        for number in range(3, work.customers + 1):
            register.add_customer(number)
            work.done = number
            if number % TURN == 0:
                await asyncio.sleep(0)
            if number % BATCH == 0 or number == work.customers:
                await copying
                copying = asyncio.create_task(_copy(connection, scene.rows))
                scene.rows = Rows()
    finally:
        await copying


def _add_settings(rows: Rows, work: Work, printed: list[UUID]) -> None:
    values = {
        "demo.seed": work.seed,
        "demo.customers": work.customers,
        "demo.customer": printed[0],
        "demo.customer-2": printed[1],
    }
    for name, value in values.items():
        rows.add("setting", {"name": name, "value": str(value)})


async def _copy(connection: asyncpg.Connection, rows: Rows) -> None:
    for table in TABLES:
        if table in rows.columns:
            text = _whole(rows.text(table))
            await connection.copy_to_table(
                table, schema_name="public", columns=rows.columns[table], source=text
            )


async def _whole(text: bytes) -> AsyncIterator[bytes]:
    yield text
