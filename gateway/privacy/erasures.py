"""The clock of erasures: what is due is done, what is done is brought to its end, by whichever worker comes.

A request is done once its cooling-off is over, where the privacy officer accepted it or nothing stands
against it: no hold in force, no restriction, in force or asked for, which says that somebody still needs the
data, and no answer that was put off, which an officer will give. Each step is a transaction of its own that
looks at the rows anew, so that a worker that dies leaves nothing half done, and the next goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import orjson

from ..connections import Transaction
from ..database import Database, DatabaseConflict
from ..row_rules.orders import open_order_of
from .erasure import HOLD_CUSTOMER, IS_DUE, Ordered, clear, delete_rows, erase
from .notices import add_due_notices
from .office import Office
from .retained import facts_of, retained
from .treatment import PARENTS, going

ATTEMPTS = 3
_DUE = f"""
SELECT r.id, r.customer_id FROM subject_request r JOIN customer c ON c.id = r.customer_id
WHERE r.kind = 'ERASURE' AND {IS_DUE}
ORDER BY r.id"""  # noqa: S608  # a text of ours
_EXECUTED = """
SELECT id, customer_id FROM subject_request WHERE kind = 'ERASURE' AND status = 'EXECUTED' ORDER BY id"""
_LOCK = """
SELECT pg_try_advisory_xact_lock(hashtextextended('gateway.erasure.' || $1::text, 0)) AS is_ours"""
_HOLD = """
SELECT e.at, e.replayed FROM customer c JOIN subject_request r ON r.customer_id = c.id
JOIN erasure e ON e.request_id = r.id
WHERE r.id = $1 AND r.status = 'EXECUTED' FOR NO KEY UPDATE OF c, r"""
# A message that is given up holds the address: nobody sends it any more.
_GIVEN_UP = """
DELETE FROM mail WHERE customer_id = $1 AND failed_at IS NOT NULL"""
_IS_OVER = f"""
SELECT NOT EXISTS (SELECT FROM mail WHERE customer_id = $1)
   AND NOT EXISTS (SELECT FROM erasure_notice
                   WHERE customer_id = $1 AND sent_at IS NULL)
   AND NOT {open_order_of("$1")} AS is_over"""  # noqa: S608  # a text of ours
_KEEPS = """
UPDATE subject_request SET retained = $2 WHERE id = $1"""
_COMPLETED = """
UPDATE subject_request SET status = 'COMPLETED', completed_at = $2 WHERE id = $1 AND status = 'EXECUTED'"""
# The ledger is told once more, now that everybody is.
_UNTOLD = """
UPDATE erasure SET told_at = NULL WHERE request_id = $1"""


@dataclass(frozen=True, slots=True)
class Erasures:
    """The erasures of a database."""

    database: Database
    office: Office

    async def run(self, now: datetime) -> int:
        """Does what is due and brings to its end what is done; counts both.

        What fails keeps the others from nothing: the first fault is raised when all were tried.
        """
        due = await self._rows(_DUE, now, now.date())
        count, faults = await self._each(due, lambda row: self._erase(row, now))
        done = await self._rows(_EXECUTED)
        ended, more = await self._each(done, lambda row: self._end(row, now))
        for fault in (*faults, *more):
            raise fault
        return count + ended

    async def clear_late(self, now: datetime) -> int:
        """Empties what is there of people who are erased, and counts whose that was.

        A carrier reports late, an employee notes something, a hold is released.
        """
        found = await self._rows(_late())
        count, faults = await self._each(found, lambda row: self._clear(row["customer_id"], now))
        for fault in faults:
            raise fault
        return count

    async def _each(self, rows: Any, step: Callable[[Any], Awaitable[bool]]) -> tuple[int, list[Exception]]:
        count, faults = 0, list[Exception]()
        for row in rows:
            try:
                count += await step(row)
            except Exception as error:  # raised when the others were tried
                faults.append(error)
        return count, faults

    async def _erase(self, row: Any, now: datetime) -> bool:
        ordered = Ordered(row["id"], row["customer_id"])

        async def step(transaction: Transaction) -> bool:
            return await erase(transaction, ordered, now, self.office)

        return await self._alone(row["id"], step)

    async def _end(self, row: Any, now: datetime) -> bool:
        """Empties what closed orders needed, adds the notices that waited for it; whether all is over."""
        request, subject = row["id"], row["customer_id"]

        async def step(transaction: Transaction) -> bool:
            held = await transaction.row(_HOLD, (request,))
            if held is None:
                return False
            if await clear(transaction, subject, now):
                kept = retained(await facts_of(transaction.rows, subject, now, self.office), self.office)
                await transaction.row(_KEEPS, (request, orjson.dumps(kept).decode()))
            if not held["replayed"]:
                await add_due_notices(transaction, subject, request, held["at"], now)
            await delete_rows(transaction, subject)
            await transaction.row(_GIVEN_UP, (subject,))
            if not (await transaction.row(_IS_OVER, (subject,)))["is_over"]:
                return False
            await transaction.row(_COMPLETED, (request, now))
            await transaction.row(_UNTOLD, (request,))
            return True

        return await self._alone(request, step)

    async def _clear(self, subject: UUID, now: datetime) -> bool:
        async with self.database.transaction(None) as transaction:
            await transaction.row(HOLD_CUSTOMER, (subject,))
            return await clear(transaction, subject, now) > 0

    async def _alone(self, request: UUID, step: Callable[[Transaction], Awaitable[bool]]) -> bool:
        """What the step says, in a transaction of its own; false where another worker is at this request.

        Changes of what is the person's may stand in each other's way: then it is tried again.
        """
        for attempt in range(ATTEMPTS):
            try:
                async with self.database.transaction(None) as transaction:
                    if not (await transaction.row(_LOCK, (str(request),)))["is_ours"]:
                        return False
                    return await step(transaction)
            except DatabaseConflict:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _rows(self, text: str, *values: object) -> Any:
        async with self.database.transaction(None) as transaction:
            return await transaction.rows(text, values)


@cache
def _late() -> str:
    """The people whose erasure is over and of whom something stands in a column that is emptied."""
    columns: dict[str, list[str]] = {}
    for one in going():
        columns.setdefault(one.table, []).append(f"t.{one.column}")
    conditions = {table: f"coalesce({', '.join(of)}) IS NOT NULL" for table, of in columns.items()}
    # The number is replaced, and not emptied.
    conditions["customer"] = f"({conditions['customer']} OR t.number <> 'E-' || t.id::text)"
    filled = " OR ".join(
        f"EXISTS (SELECT FROM {table} t WHERE {_is_of_erased(table)} AND {is_filled})"
        for table, is_filled in conditions.items()
    )
    return f"""
SELECT e.customer_id FROM erasure e JOIN subject_request q ON q.id = e.request_id
WHERE q.status = 'COMPLETED' AND ({filled}) ORDER BY e.customer_id"""  # noqa: S608  # names of ours


def _is_of_erased(table: str) -> str:
    if table not in PARENTS:
        return f"t.{'id' if table == 'customer' else 'customer_id'} = e.customer_id"
    parent, key = PARENTS[table]
    return f"t.{key} = ANY (ARRAY(SELECT p.id FROM {parent} p WHERE p.customer_id = e.customer_id))"  # noqa: S608
