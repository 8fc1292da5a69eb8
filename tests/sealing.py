"""Records made by hand, sealed and tampered with."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from gateway.audit.findings import Report
from gateway.audit.lines import ACCESS_RECORD, CHAINS, DISCLOSURE, Chain
from gateway.audit.sealer import BATCH, Sealer
from gateway.audit.source import snapshot
from gateway.audit.verify import Against, Anchored, verify
from gateway.config import Settings
from gateway.database import Database
from gateway.migrate import migrate
from gateway.policy import default_folder
from gateway.policy_files import load_periods
from tests.conftest import login_role, new_database

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = datetime(2031, 1, 1, tzinfo=UTC)
PERIODS = load_periods(default_folder())

ADD_ACCESS = (
    "INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, operation_hash, fields,"
    " subject_ids, policy_version, notice_version, request_id, decision)"
    " VALUES (gen_random_uuid(), $1, 'RW1wbG95ZWU6MQ==', 'support', gen_random_uuid(), 'customer-service',"
    " 'ab', ARRAY['Customer.email', 'Customer.phone'], ARRAY[gen_random_uuid(), gen_random_uuid()], 'p1',"
    " 'n1', $2, 'ALLOWED') RETURNING number"
)
ADD_DISCLOSURE = (
    "INSERT INTO disclosure (id, customer_id, recipient, purpose, at, fields, fields_digest, ref_id,"
    " policy_version, notice_version, request_id)"
    " VALUES (gen_random_uuid(), gen_random_uuid(), 'Kärrier \"A\"', 'delivery', $1,"
    " ARRAY['Delivery.recipientName'], '\\x00ff', gen_random_uuid(), 'p1', 'n1', $2) RETURNING number"
)
NEWEST, OLDEST = (f"pg_snapshot_{end}(pg_current_snapshot())::text::bigint" for end in ("xmax", "xmin"))
ADD = {ACCESS_RECORD.name: ADD_ACCESS, DISCLOSURE.name: ADD_DISCLOSURE}


@dataclass(frozen=True)
class Records:
    """A database of records as its owner, as the gateway, and as who drops records."""

    url: str
    gateway_url: str
    keeper_url: str


@contextmanager
def records_database(server_url: str) -> Iterator[Records]:
    """A migrated database without records."""
    with ExitStack() as stack:
        role, keeper = (stack.enter_context(login_role(server_url)) for _ in range(2))
        url = stack.enter_context(new_database(server_url))
        migrate(url, role=role, keeper=keeper)
        mark = "&" if "?" in url else "?"
        yield Records(url, f"{url}{mark}role={role}", f"{url}{mark}role={keeper}")


async def add(connection: Any, chain: Chain, count: int = 1, at: datetime = NOW) -> list[int]:
    """The numbers of so many new records."""
    return [await connection.fetchval(ADD[chain.name], at, str(uuid.uuid4())) for _ in range(count)]


async def with_database(url: str, step: Callable[[Database], Awaitable[Any]]) -> Any:
    """What the step returns for the gateway's database."""
    database = Database(Settings(database_url=url))
    try:
        return await step(database)
    finally:
        await database.close()


async def seal_all(url: str, now: datetime = NOW, batch: int = BATCH) -> dict[str, int]:
    """How many records of each chain a new worker has sealed."""

    async def step(database: Database) -> dict[str, int]:
        await _what_is_under_way_ends(database)
        return {chain.name: await Sealer(database, chain, batch=batch).seal(now) for chain in CHAINS}

    found: dict[str, int] = await with_database(url, step)
    return found


async def _what_is_under_way_ends(database: Database) -> None:
    """Waits for other transactions on the server, such as autovacuum's, which sealing waits for too."""
    (begun,) = await database.fetch(None, f"SELECT {NEWEST} AS id", ())

    async def have_ended() -> bool:
        (oldest,) = await database.fetch(None, f"SELECT {OLDEST} AS id", ())
        return bool(oldest >= begun)

    await comes_true(have_ended)


async def as_owner(url: str, step: Callable[[Any], Awaitable[Any]]) -> Any:
    """What the step returns for a connection."""
    connection = await asyncpg.connect(url)
    try:
        return await step(connection)
    finally:
        await connection.close()


async def comes_true(condition: Callable[[], Awaitable[bool]]) -> None:
    """Returns once it is true, at the latest before a test runs out of time."""
    async with asyncio.timeout(30):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


def execute(url: str, *statements: str) -> None:
    async def step(connection: Any) -> None:
        for statement in statements:
            await connection.execute(statement)

    asyncio.run(as_owner(url, step))


def against(anchored: Anchored | None = None, now: datetime = NOW) -> Against:
    return Against(PERIODS, anchored or {}, now)


def verified(url: str, anchored: Anchored | None = None, now: datetime = NOW) -> Report:
    async def run() -> Report:
        async with snapshot(url) as connection:
            return await verify(connection, against(anchored, now))

    return asyncio.run(run())


def found(report: Report) -> list[tuple[str, str, int | None]]:
    """Each finding as the chain, what it is, and the row's number or the seal's."""
    return [
        (one.chain, one.what.name, one.seal if one.number is None else one.number) for one in report.findings
    ]
