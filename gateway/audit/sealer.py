"""Seals the committed rows of a chain, whoever of all workers comes first.

A seal covers every number up to one, so no row with a lower number may come after it. A row's transaction
has its id before it draws its number (`schema.records.NUMBERED`). So the sealer first reads how far the
numbers are drawn, then draws a transaction id of its own: whoever holds one of those numbers has a lower id.
Once no transaction with an id up to the sealer's own is under way, each of the numbers is committed or will
never be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..database import Database, DatabaseTimeout
from ..logs import Event, note
from .lines import HEADER, NOTHING, Chain

# The most rows of a seal: with 100 subjects in each PostgreSQL needs less than a second for them.
BATCH = 10_000
# A wait this long is logged, and again after as long; `gateway audit verify` asks for the same by default.
LONG_WAIT = timedelta(minutes=10)

_IS_NEW = """
SELECT EXISTS (
    SELECT FROM {chain} WHERE number > coalesce(
        (SELECT last_number FROM seal WHERE chain = '{chain}' ORDER BY number DESC LIMIT 1), 0)
) AS is_new"""
_DRAWN = """
SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS number FROM {chain}_number"""
# The transaction's id is cast by way of text, which is all that PostgreSQL offers for it.
_DRAW_ID = """
SELECT pg_current_xact_id()::text::bigint AS id, pg_postmaster_start_time() AS server"""
_OLDEST = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS id, pg_postmaster_start_time() AS server"""
_LOCK = """
SELECT pg_try_advisory_xact_lock(hashtextextended('gateway.seal.{chain}', 0)) AS is_ours"""
_SEAL = """
WITH newest AS (
    SELECT number, last_number, seal FROM seal WHERE chain = '{chain}' ORDER BY number DESC LIMIT 1
), batch AS (
    SELECT r.number, {leaf} AS leaf FROM {chain} r
    WHERE r.number > coalesce((SELECT last_number FROM newest), 0) AND r.number <= $1
    ORDER BY r.number LIMIT $3::bigint
), content AS (
    SELECT string_agg(leaf, ''::bytea ORDER BY number) AS leaves, count(*)::integer AS records,
           max(number) AS highest
    FROM batch HAVING count(*) > 0
), s AS (
    SELECT '{chain}' AS chain,
           coalesce((SELECT number FROM newest), 0) + 1 AS number,
           coalesce((SELECT last_number FROM newest), 0) + 1 AS first_number,
           CASE WHEN records = $3::bigint THEN highest ELSE $1 END AS last_number,
           records, {version} AS line_version, leaves, sha256(leaves) AS digest,
           coalesce((SELECT seal FROM newest), '\\x{nothing}'::bytea) AS previous,
           $2::timestamptz AS sealed_at
    FROM content
)
INSERT INTO seal (chain, number, first_number, last_number, records, line_version, leaves, digest, previous,
                  seal, sealed_at)
SELECT chain, number, first_number, last_number, records, line_version, leaves, digest, previous,
       sha256({header}), sealed_at
FROM s
RETURNING records"""


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to which number rows may be sealed once no transaction up to `transaction` is under way."""

    number: int
    transaction: int
    # When the server started: another's numbers and transactions say nothing.
    server: datetime


@dataclass(slots=True)
class _Wait:
    """Since when a mark is waited for, and when that was logged last."""

    since: datetime
    told: datetime


class Sealer:
    """Seals one chain; what it waits for is kept from one call to the next."""

    def __init__(self, database: Database, chain: Chain, *, batch: int = BATCH) -> None:
        self._database = database
        self._batch = batch
        self._texts = _texts(chain)
        self._mark: Mark | None = None
        self._wait: _Wait | None = None

    async def seal(self, now: datetime) -> int:
        """How many rows it has sealed: none while nothing is new, or what is new may still miss a row."""
        mark, self._mark = self._mark or await self._marked(), None
        if mark is None:
            return 0
        oldest = await self._oldest()
        if oldest.server != mark.server:
            return 0
        if oldest.transaction <= mark.transaction:
            self._mark = mark
            self._waits(now)
            return 0
        self._wait = None
        total = sealed = await self._seal(mark.number, now)
        while sealed == self._batch:
            sealed = await self._seal(mark.number, now)
            total += sealed
        return total

    def _waits(self, now: datetime) -> None:
        """Logs a wait that is long: a transaction that stays open keeps every record unsealed."""
        wait = self._wait = self._wait or _Wait(now, now)
        if now - wait.told >= LONG_WAIT:
            wait.told = now
            waited = (now - wait.since) / timedelta(milliseconds=1)
            note(Event.SEALING_WAITS, chore="sealing", duration_ms=waited)

    async def _marked(self) -> Mark | None:
        """A mark at the number that is drawn last; None where every row is sealed."""
        if not await self._is_new():
            return None
        async with self._database.transaction(None) as transaction:
            # INVARIANT: the number is read before the id is drawn, and in a statement before it.
            drawn = await transaction.row(self._texts["drawn"], ())
            own = await transaction.row(_DRAW_ID, ())
        return Mark(drawn["number"], own["id"], own["server"])

    async def _is_new(self) -> bool:
        async with self._database.transaction(None) as transaction:
            return bool((await transaction.alone(self._texts["is_new"], ()))["is_new"])

    async def _oldest(self) -> Mark:
        """The oldest transaction under way, none of whose numbers count."""
        async with self._database.transaction(None) as transaction:
            row = await transaction.alone(_OLDEST, ())
        return Mark(0, row["id"], row["server"])

    async def _seal(self, number: int, now: datetime) -> int:
        """Seals one batch; 0 where nothing is left, or another worker is at it.

        What takes longer than a statement may is tried with half as many rows the next time.
        """
        try:
            async with self._database.transaction(None) as transaction:
                # The statement after the lock sees what its former holder has sealed.
                if not (await transaction.row(self._texts["lock"], ()))["is_ours"]:
                    return 0
                row = await transaction.row(self._texts["seal"], (number, now, self._batch))
        except DatabaseTimeout:
            self._batch = max(1, self._batch // 2)
            raise
        return 0 if row is None else int(row["records"])


def _texts(chain: Chain) -> dict[str, str]:
    seal = _SEAL.format(
        chain=chain.name,
        leaf=chain.leaf(chain.version),
        version=chain.version,
        nothing=NOTHING.hex(),
        header=HEADER,
    )
    short = {"is_new": _IS_NEW, "drawn": _DRAWN, "lock": _LOCK}
    return {"seal": seal} | {name: text.format(chain=chain.name) for name, text in short.items()}
