"""What people of the demo asked about their data, and what is held of it; all of it is demo data."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg

from gateway.demo.draw import DAY, Draw
from gateway.demo.records import ERASED, FIRST, GUEST, PLAIN, RESTRICTED, SECOND, former_employee, insert_all
from gateway.periods import months_after
from schema.scalars import global_id

COOLING_OFF = timedelta(days=3)
BILLING = ("Order.billingAddress", "Order.billingName")
BASIS = "Accounting Act 1336/1997 2:10"
ORDERS = """
SELECT customer_id, min(id::text)::uuid AS id FROM orders WHERE customer_id = ANY ($1) GROUP BY customer_id
"""


class Asked(NamedTuple):
    """A request: how many days ago, of whom, and what became of it after how many days."""

    day: float
    customer: int
    kind: str
    status: str
    channel: str = "ACCOUNT"
    decision: str | None = None
    after: float = 1.0
    is_put_off: bool = False


class Held(NamedTuple):
    """A hold: how many days ago, of whom, on their first order or on themselves, and for how many years."""

    day: float
    customer: int
    fields: Sequence[str]
    basis: str
    years: int
    is_released: bool = False


REQUESTS = (
    Asked(-320.6, FIRST, "ERASURE", "WITHDRAWN"),
    Asked(-150.3, FIRST, "EXPORT", "COMPLETED", decision="ACCEPTED"),
    Asked(-140.2, GUEST, "ERASURE", "REFUSED", "ORDER_LINK", "REFUSED", after=20),
    Asked(-130.4, SECOND, "RESTRICTION", "COMPLETED", "EMPLOYEE", "LIFTED", after=9),
    Asked(-120.1, ERASED, "ERASURE", "COMPLETED", decision="ACCEPTED", after=3),
    Asked(-110.7, RESTRICTED, "RESTRICTION", "COMPLETED", decision="ACCEPTED"),
    Asked(-45.5, PLAIN, "RESTRICTION", "RECEIVED", "EMPLOYEE"),
    Asked(-40.9, SECOND, "RESTRICTION", "RECEIVED", is_put_off=True),
    Asked(-2.4, GUEST, "RESTRICTION", "RECEIVED", "ORDER_LINK"),
)
HOLDS = (
    Held(-250.2, FIRST, ("Order.billingName", "Order.total"), "Demo claim 1", 3),
    Held(-200.3, SECOND, BILLING, "Demo claim 2", 2, is_released=True),
    Held(-119.8, ERASED, BILLING, BASIS, 6),
    Held(-90.1, RESTRICTED, ("Order.billingName", "Order.number"), "Demo claim 3", 3),
    Held(-60.4, PLAIN, ("Customer.email", "Customer.phone"), "Demo claim 4", 1),
)

# What an erasure makes of a number; set once the demo's customers were found by theirs.
NUMBERLESS = "UPDATE customer SET number = 'E-' || id::text WHERE erased_at IS NOT NULL"


async def add_subject_requests(connection: asyncpg.Connection, draw: Draw, now: datetime) -> None:
    """Adds them to a register that holds the demo's customers; the same draw makes the same rows."""
    query = """
    SELECT id, coalesce(erased_at, restricted_at) AS marked_at FROM customer
    WHERE number = ANY ($1) ORDER BY number"""
    numbers = [f"C-{number:06}" for number in range(FIRST, ERASED + 1)]
    found = await connection.fetch(query, numbers)
    customers = [row["id"] for row in found]
    orders = {row["customer_id"]: row["id"] for row in await connection.fetch(ORDERS, customers)}
    made = _Made(draw, now, customers, orders, {row["id"]: row["marked_at"] for row in found})
    requests = list(made.requests())
    await insert_all(connection, "subject_request", requests)
    await insert_all(connection, "legal_hold", list(made.holds()))
    await insert_all(connection, "erasure", list(made.erasures(requests)))
    await connection.execute(NUMBERLESS)


class _Made:
    """Makes the rows; moments are seconds relative to the anchor, as those of `Draw`."""

    def __init__(
        self,
        draw: Draw,
        now: datetime,
        customers: Sequence[uuid.UUID],
        orders: Mapping[uuid.UUID, uuid.UUID],
        marked: Mapping[uuid.UUID, datetime | None],
    ) -> None:
        self._draw = draw
        self._anchor = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self._customers = customers
        self._orders = orders
        self._marked = marked

    def requests(self) -> Iterator[dict[str, object]]:
        """The requests, each with the columns of all."""
        for one in REQUESTS:
            customer = self._customers[one.customer - 1]
            ended = self._marked[customer] or self._moment(one.day + one.after)
            at = ended - timedelta(days=one.after)
            erases, is_erased = one.kind == "ERASURE", (one.kind, one.status) == ("ERASURE", "COMPLETED")
            is_done = one.status == "COMPLETED"
            yield {
                "id": uuid.UUID(self._draw.id(int((at - self._anchor).total_seconds()))),
                "customer_id": customer,
                "order_id": self._orders[customer] if one.channel == "ORDER_LINK" else None,
                "kind": one.kind,
                "channel": one.channel,
                "received_at": at,
                "due_at": months_after(at, 1),
                "extended_to": months_after(at, 3) if one.is_put_off else None,
                "extension_told_at": at + timedelta(days=20) if one.is_put_off else None,
                "cooling_off_until": at + COOLING_OFF if erases else None,
                "status": one.status,
                "decision": one.decision,
                "decided_at": ended if one.decision else None,
                "handled_by": self._handler(one),
                "executed_at": ended if is_done else None,
                "completed_at": ended if is_done else None,
                "retained": json.dumps(self._retained(at) if is_erased else []),
                "notified": ["Posti"] if is_erased else [],
            }

    def _handler(self, one: Asked) -> str | None:
        if one.decision is None:
            return None
        is_by_clock = one.decision == "ACCEPTED" and one.kind != "RESTRICTION"
        return "clock" if is_by_clock else global_id("Employee", former_employee("privacy_officer"))

    @staticmethod
    def _retained(at: datetime) -> list[dict[str, object]]:
        until = f"{at.year + 6}-12-31"
        return [{"coordinate": name, "until": until, "basis": BASIS} for name in BILLING]

    def holds(self) -> Iterator[dict[str, object]]:
        """The holds, each with the columns of all."""
        for one in HOLDS:
            at, customer = self._moment(one.day), self._customers[one.customer - 1]
            is_of_order = one.fields[0].startswith("Order.")
            by = global_id("Employee", former_employee("privacy_officer"))
            yield {
                "id": uuid.UUID(self._draw.id(int(one.day * DAY))),
                "customer_id": customer,
                "order_id": self._orders[customer] if is_of_order else None,
                "target_entity": "Order" if is_of_order else "Customer",
                "target_id": self._orders[customer] if is_of_order else customer,
                "fields": sorted(one.fields),
                "basis": one.basis,
                "until": months_after(at, 12 * one.years).date(),
                "placed_at": at,
                "placed_by": by,
                "released_at": at + timedelta(days=30) if one.is_released else None,
                "released_by": by if one.is_released else None,
            }

    def erasures(self, requests: Sequence[dict[str, object]]) -> Iterator[dict[str, object]]:
        """The ledger: each erasure that was done."""
        for request in requests:
            if request["kind"] == "ERASURE" and request["executed_at"] is not None:
                yield {
                    "id": uuid.UUID(self._draw.id(int(-100.5 * DAY))),
                    "customer_id": request["customer_id"],
                    "request_id": request["id"],
                    "at": request["executed_at"],
                }

    def _moment(self, day: float) -> datetime:
        return self._anchor + timedelta(seconds=int(day * DAY))
