"""An erasure by command: what it would do, and doing it at once, whatever its cooling-off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from ..connections import Transaction
from ..database import Database
from ..errors import StartError
from .dates import due_at
from .erasure import Ordered, erase
from .office import Office
from .retained import erased, facts_of, retained

COMMAND = "command"
_CUSTOMER = """
SELECT id, erased_at IS NOT NULL AS is_erased FROM customer WHERE number = $1 FOR UPDATE"""
_PENDING = """
SELECT id FROM subject_request WHERE customer_id = $1 AND kind = 'ERASURE'
AND status IN ('RECEIVED', 'ACCEPTED')"""
_REQUEST = """
INSERT INTO subject_request (id, customer_id, kind, channel, received_at, due_at, cooling_off_until, status)
VALUES ($1, $2, 'ERASURE', 'EMPLOYEE', $3, $4, $3, 'ACCEPTED')"""


@dataclass(frozen=True, slots=True)
class Previewed:
    """Which coordinates go, and what stays until when and why."""

    erased: list[str]
    retained: list[dict[str, Any]]


async def preview(database: Database, number: str, now: datetime, office: Office) -> Previewed:
    """What an erasure of the customer with this number would do; raises `StartError` where there is none."""
    async with database.transaction(None) as transaction:
        return await _previewed(transaction, await _customer(transaction, number), now, office)


async def erase_by_hand(database: Database, number: str, now: datetime, office: Office) -> Previewed:
    """Does it in one transaction, by the request that waits, or a new one; raises `StartError`."""
    async with database.transaction(None) as transaction:
        customer = await _customer(transaction, number)
        found = await _previewed(transaction, customer, now, office)
        pending = await transaction.row(_PENDING, (customer,))
        request = pending["id"] if pending else uuid7()
        if pending is None:
            await transaction.row(_REQUEST, (request, customer, now, due_at(now)))
        await erase(transaction, Ordered(request, customer, by=COMMAND), now, office)
    return found


async def _customer(transaction: Transaction, number: str) -> UUID:
    row = await transaction.row(_CUSTOMER, (number,))
    if row is None or row["is_erased"]:
        raise StartError("there is no customer with this number, or no data of theirs any more")
    found: UUID = row["id"]
    return found


async def _previewed(transaction: Transaction, customer: UUID, now: datetime, office: Office) -> Previewed:
    facts = await facts_of(transaction.rows, customer, now, office)
    kept = retained(facts, office)
    return Previewed(erased(facts, kept), kept)
