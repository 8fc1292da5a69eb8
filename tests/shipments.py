"""Orders on their way, made for one test each, and clients that act on one of them at the same moment."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from threading import Event
from typing import Any

import asyncpg
from uuid_utils.compat import uuid7

from schema.scalars import global_id
from tests.world import NOW, World

DAY = timedelta(days=1)
MADE, TAKEN_OVER, ENDED = NOW - 5 * DAY, NOW - 3 * DAY, NOW - DAY
ENDS = {"DELIVERED": "delivered_at", "RETURNED": "returned_at", "LOST": "lost_at"}
AT_HOME = ("PLANNED", "READY", "PRE_ADVISED", "CANCELLED")
# A server that is just starting on a busy machine answers late.
PATIENCE_SECONDS = 30
ERRORS = "userErrors { code coordinate message path currentVersion }"


@dataclass(frozen=True)
class Sent:
    """An order of one line of three things at 10.00, and its deliveries."""

    order: uuid.UUID
    customer: uuid.UUID
    line: uuid.UUID
    deliveries: tuple[uuid.UUID, ...]

    @property
    def order_id(self) -> str:
        return global_id("Order", self.order)

    @property
    def line_id(self) -> str:
        return global_id("OrderLine", self.line)

    @property
    def delivery(self) -> uuid.UUID:
        return self.deliveries[0]

    @property
    def delivery_id(self) -> str:
        return global_id("Delivery", self.delivery)


def send(
    world: World, *statuses: str, order: dict[str, Any] | None = None, asker: str = "customer", **given: Any
) -> Sent:
    """An order with a delivery in each status, carried by the first carrier unless told otherwise."""
    customer, carrier = world.askers[asker].customer_id, world.askers["carrier"].carrier_id
    assert customer is not None
    key, line, name = uuid7(), uuid7(), uuid.uuid4().hex[:12]
    deliveries = tuple(uuid7() for _ in statuses)
    orders = {
        "id": key,
        "number": f"O-{name}",
        "customer_id": customer,
        "placed_at": MADE,
        "status": "SHIPPED",
        "currency": "EUR",
        "total": Decimal("30.00"),
        "payment_method": "CARD",
        "payment_status": "PAID",
        **(order or {}),
    }
    product = {
        "sku": "T-1",
        "name": "Tuoppi",
        "quantity": 3,
        "unit_price": Decimal(10),
        "vat_rate": Decimal(25),
    }
    lines = {"id": line, "order_id": key, "customer_id": customer, "currency": "EUR", **product}
    rows = [("orders", orders), ("order_line", lines)]
    for turn, (one, status) in enumerate(zip(deliveries, statuses, strict=True), 1):
        delivery = {
            "id": one,
            "reference": f"D-{name}-{turn}",
            "order_id": key,
            "customer_id": customer,
            "carrier_id": carrier,
            "service_code": "HOME",
            "status": status,
            "parcel_count": 1,
            "recipient_name": "Vastaan Ottaja",
            "street_address": "Testikatu 1",
            "postal_code": "00100",
            "postal_town": "Helsinki",
            "country_code": "FI",
            "created_at": MADE,
        }
        delivery |= {} if status in AT_HOME else {"handed_over_at": TAKEN_OVER}
        delivery |= {ENDS[status]: ENDED} if status in ENDS else {}
        rows.append(("delivery", delivery | given))
    insert(world, *rows)
    return Sent(key, customer, line, deliveries)


def insert(world: World, *rows: tuple[str, dict[str, Any]]) -> None:
    """Inserts rows as the owner."""

    async def step(connection: Any) -> None:
        for table, row in rows:
            places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
            await connection.execute(
                f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values()
            )

    world.run(step)


def return_of(world: World, sent: Sent, status: str = "REQUESTED", **given: Any) -> uuid.UUID:
    """A return of one thing of the order."""
    key = uuid7()
    row = {
        "id": key,
        "number": f"R-{uuid.uuid4().hex[:12]}",
        "order_id": sent.order,
        "customer_id": sent.customer,
        "kind": "DEFECT",
        "status": status,
        "requested_at": ENDED,
        "refund_due_at": ENDED + 14 * DAY,
        "currency": "EUR",
        **given,
    }
    line = {"id": uuid7(), "return_id": key, "customer_id": sent.customer}
    insert(world, ("returns", row), ("return_line", line | {"order_line_id": sent.line, "quantity": 1}))
    return key


def row(world: World, table: str, key: uuid.UUID) -> dict[str, Any]:
    """A row as it is stored."""
    return dict(
        world.run(lambda connection: connection.fetchrow(f"SELECT * FROM {table} WHERE id = $1", key))
    )


def rows(world: World, table: str, column: str, key: uuid.UUID) -> list[dict[str, Any]]:
    """The rows of a table that belong to another one, the oldest first."""
    query = f"SELECT * FROM {table} WHERE {column} = $1 ORDER BY id"
    return [dict(one) for one in world.run(lambda connection: connection.fetch(query, key))]


def change(
    world: World, name: str, mutation: str, given: dict[str, Any], shown: str, purpose: str | None = None
) -> Any:
    """The payload of a mutation that is not refused as a whole."""
    return world.data(name, document(mutation, shown), {"input": given}, purpose)[mutation]


def document(mutation: str, shown: str) -> str:
    kind = f"{mutation[0].upper()}{mutation[1:]}Input!"
    return f"mutation ($input: {kind}) {{ {mutation}(input: $input) {{ {shown} {ERRORS} }} }}"


def codes(payload: Any) -> list[tuple[str, str]]:
    """The code and coordinate of every user error."""
    return [(error["code"], error["coordinate"]) for error in payload["userErrors"]]


def refused(world: World, name: str, mutation: str, given: Any, purpose: str | None = None) -> list[str]:
    """The coordinates for which an operation is refused as a whole."""
    _, body = world.ask(name, document(mutation, "__typename"), {"input": given}, purpose)
    assert "data" not in body, body
    return [error["extensions"]["coordinate"] for error in body["errors"]]


def together(world: World, table: str, key: uuid.UUID, *calls: Callable[[], Any]) -> list[Any]:
    """What the calls return that all stood waiting for the same row, so that they truly meet."""
    with ThreadPoolExecutor(len(calls)) as threads:
        with _locked(world, table, key, len(calls)) as wait:
            futures: list[Future[Any]] = [threads.submit(call) for call in calls]
            wait()
        return [future.result() for future in futures]


@contextmanager
def _locked(world: World, table: str, key: uuid.UUID, waiting: int) -> Iterator[Callable[[], None]]:
    """Holds a row until so many statements wait for a lock."""
    held, met = Event(), Event()

    async def hold() -> None:
        connection = await asyncpg.connect(world.url)
        try:
            async with connection.transaction():
                await connection.execute(f"SELECT FROM {table} WHERE id = $1 FOR UPDATE", key)
                held.set()
                await _waiting(connection, waiting)
        finally:
            met.set()
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(asyncio.run, hold())
        assert held.wait(10)
        yield lambda: _came(met)
        future.result()


def in_turn(world: World, lock: str, *calls: Callable[[], Any]) -> list[Any]:
    """What the calls return, each begun once the one before waits for what `lock` has locked."""

    async def run() -> list[Any]:
        connection = await asyncpg.connect(world.url)
        begun: list[asyncio.Future[Any]] = []
        try:
            async with connection.transaction():
                await connection.execute(lock)
                for call in calls:
                    begun.append(asyncio.ensure_future(asyncio.to_thread(call)))
                    await _waiting(connection, len(begun))
            return list(await asyncio.gather(*begun))
        finally:
            await connection.close()

    return asyncio.run(run())


async def _waiting(connection: Any, count: int) -> None:
    """Comes back once so many statements of this database wait for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    ends = time.monotonic() + PATIENCE_SECONDS
    while await connection.fetchval(query) < count:
        assert time.monotonic() < ends, "the calls do not wait"
        await connection.execute("SELECT pg_stat_clear_snapshot()")


def _came(event: Event) -> None:
    assert event.wait(PATIENCE_SECONDS)
