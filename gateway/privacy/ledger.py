"""The ledger of erasures outside the database, and their replay after an older backup is restored.

A line is JSON without a value of anybody's: `{"customer": …, "request": …, "channel": …, "receivedAt": …,
"at": …}`, with random ids; and once more with `"told": true` when the person and the recipients were told. A
restored backup holds people who were erased since it was made: `replay` erases them again, before the
register is served, and has told who had not been.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from ..database import Database
from ..errors import StartError
from .dates import due_at
from .erasure import Ordered, erase
from .office import Office

BATCH = 1000
_UNTOLD = """
SELECT e.id, e.customer_id, e.request_id, r.channel, r.received_at, e.at, r.status = 'COMPLETED' AS is_told
FROM erasure e JOIN subject_request r ON r.id = e.request_id
WHERE e.told_at IS NULL ORDER BY e.id LIMIT $1 FOR UPDATE OF e SKIP LOCKED FOR SHARE OF r SKIP LOCKED"""
_TOLD = """
UPDATE erasure SET told_at = $2 WHERE id = ANY ($1)"""
_CUSTOMER = """
SELECT erased_at IS NOT NULL AS is_erased FROM customer WHERE id = $1"""
# Of who is erased in the backup: what waited then to be sent was sent since.
_ALL_TOLD = """
WITH told AS (
    UPDATE erasure_notice SET sent_at = $2 WHERE customer_id = $1 AND sent_at IS NULL
    RETURNING request_id, recipient
)
UPDATE subject_request r SET notified = (
    SELECT array_agg(DISTINCT name ORDER BY name)
    FROM unnest(r.notified || ARRAY(SELECT recipient FROM told)) AS name
) WHERE r.id IN (SELECT request_id FROM told)"""
_UNSENT = """
DELETE FROM mail WHERE customer_id = $1 AND kind = 'erasure-done'"""
# The backup may be older than the request, and may hold one that was taken back since.
_TAKEN_BACK = """
UPDATE subject_request SET status = 'WITHDRAWN'
WHERE customer_id = $1 AND id <> $2 AND kind = 'ERASURE' AND status IN ('RECEIVED', 'ACCEPTED')"""
_REQUEST = """
INSERT INTO subject_request (id, customer_id, kind, channel, received_at, due_at, cooling_off_until, status)
VALUES ($1, $2, 'ERASURE', $3, $4, $5, $6, 'ACCEPTED') ON CONFLICT (id) DO NOTHING"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An erasure as the ledger tells it."""

    customer: UUID
    request: UUID
    channel: str
    received_at: datetime
    at: datetime
    is_told: bool = False

    def line(self) -> str:
        """The entry as JSON."""
        told = {"customer": str(self.customer), "request": str(self.request), "channel": self.channel}
        moments = {"receivedAt": self.received_at.isoformat(), "at": self.at.isoformat()}
        return json.dumps({**told, **moments, **({"told": True} if self.is_told else {})})


@dataclass(slots=True)
class Replayed:
    """How many of a ledger's people were erased again, were so already, or are in no row."""

    erased: int = 0
    known: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """Writes the erasures of a database to a file, when they are done and when everybody is told of them.

    After a crash between the two a line may be there twice.
    """

    database: Database
    path: Path

    async def tell(self, now: datetime) -> int:
        """Appends the erasures that are not in the file yet, and counts them."""
        told = found = await self._tell_some(now)
        while found == BATCH:
            found = await self._tell_some(now)
            told += found
        return told

    async def _tell_some(self, now: datetime) -> int:
        async with self.database.transaction(None) as transaction:
            rows = await transaction.rows(_UNTOLD, (BATCH,))
            if rows:
                lines = [Entry(*(row[place] for place in range(1, 7))).line() for row in rows]
                # INVARIANT: an erasure counts as told once it is on disk there.
                await asyncio.to_thread(append, self.path, lines)
                await transaction.row(_TOLD, ([row["id"] for row in rows], now))
        return len(rows)


def append(path: Path, lines: Sequence[str]) -> None:
    """Appends whole lines to a file that its owner alone reads, and has them on disk."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        # Whoever wrote last may have been cut off.
        is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        left = ("\n" * is_cut + "".join(f"{line}\n" for line in lines)).encode()
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_ledger(path: Path) -> list[Entry]:
    """The entries of a file, each once; raises `StartError` where there is none, or a line is no entry.

    A line that was cut off is passed over: what it said is told again.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise StartError(f"the ledger cannot be read: {type(error).__name__}") from error
    found: list[Entry] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.endswith(b"}"):
            continue
        try:
            found.append(_read_line(line))
        except (ValueError, TypeError, KeyError) as error:
            raise StartError(f"line {number} of the ledger is no erasure") from error
    return _each_once(found)


def _each_once(entries: Iterable[Entry]) -> list[Entry]:
    """One entry for each person, told where any is."""
    found: dict[UUID, Entry] = {}
    for entry in entries:
        known = found.get(entry.customer, entry)
        found[entry.customer] = replace(entry, is_told=entry.is_told or known.is_told)
    return list(found.values())


def _read_line(line: bytes) -> Entry:
    told = json.loads(line)
    received_at, at = (datetime.fromisoformat(told[name]) for name in ("receivedAt", "at"))
    if received_at.tzinfo is None or at.tzinfo is None:
        raise ValueError("a moment without an offset")
    customer, request, is_told = UUID(told["customer"]), UUID(told["request"]), told.get("told") is True
    return Entry(customer, request, str(told["channel"]), received_at, at, is_told)


async def replay(
    database: Database, entries: Iterable[Entry], now: datetime, office: Office, *, dry_run: bool
) -> Replayed:
    """Erases again whoever of a ledger is in the register with their data; each in a transaction.

    Whom the ledger does not say to be told, and their recipients, are told now, perhaps twice; what the
    backup holds for whom it says to be told is sent no more.
    """
    found = Replayed()
    for entry in _each_once(entries):
        async with database.transaction(None) as transaction:
            customer = await transaction.row(_CUSTOMER, (entry.customer,))
            if customer is None:
                found.unknown += 1
            elif customer["is_erased"]:
                found.known += 1
                if entry.is_told and not dry_run:
                    await transaction.row(_ALL_TOLD, (entry.customer, now))
                    await transaction.row(_UNSENT, (entry.customer,))
            elif dry_run:
                found.erased += 1
            else:
                await transaction.row(_TAKEN_BACK, (entry.customer, entry.request))
                received = entry.received_at
                values = (entry.request, entry.customer, entry.channel, received, due_at(received), entry.at)
                await transaction.row(_REQUEST, values)
                ordered = Ordered(
                    entry.request, entry.customer, replayed=True, done_at=entry.at, is_told=entry.is_told
                )
                found.erased += await erase(transaction, ordered, now, office)
    return found
