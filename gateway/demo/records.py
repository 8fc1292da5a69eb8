"""Look-ups and disclosures of the demo's past, made by employees who have left; all of it is demo data."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from gateway.demo.customers import NOTICE_VERSION
from gateway.demo.draw import DAY, Draw
from schema.scalars import global_id

# Of the first customers: the two that are printed, a guest, a plain one, a restricted and an erased one.
FIRST, SECOND, GUEST, PLAIN, RESTRICTED, ERASED = range(1, 7)
DESIGNATED, DESIGNATED_DAYS = -400, 360
ADDRESS = (
    *("Delivery.countryCode", "Delivery.postalCode", "Delivery.postalTown"),
    *("Delivery.recipientName", "Delivery.streetAddress"),
)
CONTACT = ("Customer.email", "Customer.phone")
NAME = ("Customer.firstName", "Customer.surname")
LETTER = ("Customer.email", "Customer.firstName")
DELIVERED = """
SELECT d.id, d.customer_id, c.name, extract(epoch FROM d.handed_over_at)::bigint AS at
FROM delivery d JOIN carrier c ON c.id = d.carrier_id
WHERE d.customer_id = ANY ($1) AND d.handed_over_at IS NOT NULL ORDER BY d.id
"""


class LookUp(NamedTuple):
    """One use of data: how many days ago, in which role, for what, of whom, and whether it was allowed."""

    day: float
    role: str
    purpose: str | None
    operation: str | None
    fields: Sequence[str]
    customers: Sequence[int]
    allowed: bool = True
    case: str | None = None


class Demand(NamedTuple):
    """What an authority was given, how many days ago, and whether the customer sees that."""

    day: float
    customer: int
    fields: Sequence[str]
    visible: bool


LOOK_UPS = (
    LookUp(-380.4, "support", None, "Search", NAME, (FIRST, SECOND, GUEST, PLAIN)),
    LookUp(-300.2, "support", "customer-service", "Card", (*NAME, *CONTACT), (FIRST,), case="DEMO-17"),
    LookUp(-300.1, "support", "customer-service", None, ("Return.refundIban",), (FIRST,), allowed=False),
    LookUp(-250.6, "warehouse", "order-fulfilment", "Packing", ADDRESS, (FIRST, PLAIN)),
    LookUp(-240.5, "warehouse", "order-fulfilment", "Packing", ADDRESS, (SECOND,)),
    LookUp(-230.3, "support", "customer-service", "Card", CONTACT, (ERASED, RESTRICTED)),
    LookUp(-220.8, "warehouse", None, None, CONTACT, (), allowed=False),
    LookUp(-210.7, "privacy_officer", "subject-rights", "Answer", NAME, (RESTRICTED,), case="DEMO-18"),
    LookUp(-200.9, "privacy_officer", "authority-request", "Answer", CONTACT, (SECOND, FIRST)),
)
DEMANDS = (
    Demand(-290.3, FIRST, NAME, visible=True),
    Demand(-200.8, FIRST, CONTACT, visible=False),
    Demand(-200.7, SECOND, CONTACT, visible=False),
    Demand(-190.2, RESTRICTED, NAME, visible=True),
    Demand(-180.1, ERASED, ("Order.billingName", "Order.number"), visible=False),
)
FORMER = ("register_admin", "support", "warehouse", "privacy_officer")


async def add_records(connection: asyncpg.Connection, draw: Draw, now: datetime) -> None:
    """Adds them to a register that holds the demo's customers; the same draw makes the same rows."""
    query = "SELECT id FROM customer WHERE number = ANY ($1) ORDER BY number"
    numbers = [f"C-{number:06}" for number in range(FIRST, ERASED + 1)]
    customers = [row["id"] for row in await connection.fetch(query, numbers)]
    past = _Past(draw, now, customers)
    deliveries = await connection.fetch(DELIVERED, [customers[n - 1] for n in (FIRST, SECOND, RESTRICTED)])
    for table, rows in (
        ("employee", past.employees()),
        ("designation", past.designations()),
        ("access_record", past.look_ups()),
        ("disclosure", (*past.deliveries(deliveries), *past.letters(), *past.demands())),
    ):
        await insert_all(connection, table, list(rows))


async def insert_all(
    connection: asyncpg.Connection, table: str, rows: Sequence[Mapping[str, object]]
) -> None:
    """Inserts rows that all have the columns of the first."""
    columns = list(rows[0])
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608  # names of ours
    await connection.executemany(insert, [tuple(row.values()) for row in rows])


def former_employee(role: str) -> uuid.UUID:
    """The id of the employee who has left and was designated for a role."""
    return _key("employees", role)


def _key(kind: str, role: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"https://store.example/{kind}/former-{role}")


class _Past:
    """Makes the rows; moments are seconds relative to the anchor, as those of `Draw`."""

    def __init__(self, draw: Draw, now: datetime, customers: Sequence[uuid.UUID]) -> None:
        self._draw = draw
        self._anchor = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self._customers = customers

    def employees(self) -> Iterator[dict[str, object]]:
        """Who has left."""
        for role in FORMER:
            name = role.replace("_", "-")
            address = f"former-{name}@store.example"
            yield {
                "id": _key("employees", role),
                "name": f"Demo former {name}",
                "work_email": address,
                "active": False,
            }

    def designations(self) -> Iterator[dict[str, object]]:
        """What they were designated for, by the administrator among them."""
        begins = self._moment(DESIGNATED * DAY)
        for role in FORMER:
            by = None if role == FORMER[0] else _key("employees", FORMER[0])
            yield {
                "id": _key("designations", role),
                "employee_id": _key("employees", role),
                "role": role,
                "reason": "demo data",
                "designated_by": by,
                "valid_from": begins,
                "valid_to": begins + timedelta(days=DESIGNATED_DAYS),
                "revoked_at": begins + timedelta(days=DESIGNATED_DAYS - 1),
                "revoked_by": by,
                "revoked_reason": "demo data",
            }

    def look_ups(self) -> Iterator[dict[str, object]]:
        """The records of access."""
        for one in LOOK_UPS:
            at = int(one.day * DAY)
            yield {
                **self._made(at),
                "principal_id": global_id("Employee", _key("employees", one.role)),
                "role": one.role,
                "designation_id": _key("designations", one.role),
                "purpose": one.purpose,
                "case_reference": one.case,
                "operation_name": one.operation,
                "operation_hash": hashlib.sha256(str(one.operation).encode()).hexdigest(),
                "fields": sorted(one.fields),
                "subject_ids": [self._customers[number - 1] for number in one.customers],
                "decision": "ALLOWED" if one.allowed else "REFUSED",
            }

    def deliveries(self, rows: Sequence[Any]) -> Iterator[dict[str, object]]:
        """What carriers were given, when they took deliveries over."""
        for row in rows:
            at = row["at"] - int(self._anchor.timestamp())
            yield self._disclosure(row["customer_id"], row["name"], "delivery", at, ADDRESS, row["id"])

    def letters(self) -> Iterator[dict[str, object]]:
        """What the newsletter provider was given."""
        for number in (FIRST, SECOND):
            customer = self._customers[number - 1]
            at = int((-30.5 - number) * DAY)
            yield self._disclosure(customer, "Newsletter provider", "newsletter", at, LETTER, customer)

    def demands(self) -> Iterator[dict[str, object]]:
        """What authorities were given."""
        for place, one in enumerate(DEMANDS, 1):
            customer = self._customers[one.customer - 1]
            at = int(one.day * DAY)
            made = self._disclosure(customer, "Authorities", "authority-request", at, one.fields, None)
            told = {"statute": f"Demo Act 1:{place}", "requester": "Demo authority"}
            yield {**made, **told, "case_number": f"DEMO/{place}", "visible_to_subject": one.visible}

    def _disclosure(
        self,
        customer: uuid.UUID,
        recipient: str,
        purpose: str,
        at: int,
        fields: Sequence[str],
        ref: uuid.UUID | None,
    ) -> dict[str, object]:
        made, held = self._made(at), sorted(fields)
        return {
            **made,
            "customer_id": customer,
            "recipient": recipient,
            "purpose": purpose,
            "fields": held,
            "fields_digest": hashlib.sha256(",".join(held).encode()).digest(),
            "ref_id": ref or made["id"],
            "statute": None,
            "requester": None,
            "case_number": None,
            "visible_to_subject": True,
        }

    def _made(self, at: int) -> dict[str, object]:
        return {
            "id": uuid.UUID(self._draw.id(at)),
            "at": self._moment(at),
            "policy_version": "demo data",
            "notice_version": NOTICE_VERSION,
            "request_id": f"{self._draw.bits(128):032x}",
        }

    def _moment(self, at: int) -> datetime:
        return self._anchor + timedelta(seconds=at)
