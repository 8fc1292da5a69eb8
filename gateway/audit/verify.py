"""Whether the records are what was sealed: every seal and every row of a chain, in one pass side by side.

*Takes* a snapshot of the database, how long each chain is kept, and seals that were anchored outside.
*Gives* a `Report`. Memory holds one seal and a few thousand leaves at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..periods import Period
from .findings import ChainReport, Finding, Report, What
from .lines import CHAINS, LEAF_BYTES, NOTHING, NUMBER_BYTES, Chain, Seal
from .source import Row, Stretches, drawn_number, oldest_row, seals

# Seals by chain and number, as they were anchored; of one number usually one.
Anchored = Mapping[tuple[str, int], frozenset[bytes]]
# Is told how many rows are done.
Progress = Callable[[int], None]
EVERYTHING = float("inf")
STEP = 1_000


@dataclass(frozen=True, slots=True)
class Against:
    """What the records are held to; `periods` are those of the retention rules, `now` is the present.

    A row that is older than `longest_unsealed` has its seal; None says nothing of it.
    """

    periods: Mapping[str, Period]
    anchored: Anchored
    now: datetime
    longest_unsealed: timedelta | None = None


async def verify(connection: Any, against: Against, progress: Progress = lambda _: None) -> Report:
    """The report on every chain."""
    report = Report()
    for chain in CHAINS:
        await _Verification(connection, chain, against, report, progress).run()
    return report


async def expected_rows(connection: Any) -> int:
    """About how many rows a verification will see."""
    query = "SELECT coalesce(sum(records), 0) FROM seal WHERE dropped_at IS NULL"
    return int(await connection.fetchval(query))


@dataclass(slots=True)
class _Before:
    """Where the next seal has to begin."""

    number: int = 0
    last_number: int = 0
    # The seal as it stands and as it should be: one of them the next one must name.
    seals: tuple[bytes, ...] = (NOTHING,)


@dataclass(slots=True)
class _Verification:
    connection: Any
    chain: Chain
    against: Against
    report: Report
    progress: Progress
    seen: ChainReport = field(init=False)
    rows: Stretches[bytes] = field(init=False)
    before: _Before = field(default_factory=_Before)
    anchored: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.seen = ChainReport(self.chain.name)
        self.rows = Stretches(self.connection, self.chain, Chain.leaf)

    async def run(self) -> None:
        self.report.chains.append(self.seen)
        # INVARIANT: read in the snapshot or after it was taken: its rows drew their numbers before.
        drawn = await drawn_number(self.connection, self.chain)
        async for seal in seals(self.connection, self.chain):
            await self._seal(seal)
        await self._unsealed(drawn)
        for chain, number in sorted(self.against.anchored):
            if chain == self.chain.name and number not in self.anchored:
                self._found(What.ANCHOR_MISSING, seal=number)

    async def _unsealed(self, drawn: int) -> None:
        """Looks at the rows behind the seals: none has a number that was not drawn, or waits for long."""
        async for row in self.rows.up_to(EVERYTHING, self.chain.version):
            if row.number > drawn:
                self._inserted(row)
            else:
                self.seen.unsealed_rows += 1
        if not self.seen.unsealed_rows or self.against.longest_unsealed is None:
            return
        number, at = await oldest_row(self.connection, self.chain, self.before.last_number, drawn)
        if at <= self.against.now - self.against.longest_unsealed:
            self._found(What.ROW_UNSEALED, number=number)

    def _found(self, what: What, **named: Any) -> None:
        self.report.add(Finding(self.chain.name, what, **named))

    async def _seal(self, seal: Seal) -> None:
        computed = seal.computed()
        is_sound = seal.seal == computed
        if not is_sound:
            self._found(What.SEAL_CHANGED, seal=seal.number)
        self._follows(seal)
        self._anchor(seal)
        if seal.line_version not in self.chain.columns:
            self._found(What.SEAL_UNREADABLE, seal=seal.number)
            await self._skip(seal.last_number)
        else:
            await self._batch(seal, is_sound)
        self.before = _Before(seal.number, seal.last_number, (seal.seal, computed))
        self.seen.seals += 1
        self.seen.newest = (seal.number, seal.seal, seal.sealed_at)

    def _follows(self, seal: Seal) -> None:
        """Looks whether the seal comes right after the one before it."""
        before = self.before
        if seal.number > before.number + 1:
            self._found(What.SEAL_MISSING, seal=before.number + 1, until=seal.number - 1)
        elif (
            seal.number != before.number + 1
            or seal.first_number != before.last_number + 1
            or seal.previous not in before.seals
        ):
            self._found(What.SEAL_UNLINKED, seal=seal.number)

    def _anchor(self, seal: Seal) -> None:
        self.anchored.add(seal.number)
        wanted = self.against.anchored.get((seal.chain, seal.number), frozenset())
        if wanted - {seal.seal}:
            self._found(What.ANCHOR_DIFFERS, seal=seal.number)

    async def _batch(self, seal: Seal, is_sound: bool) -> None:
        """Looks whether the rows of a seal are those that were sealed."""
        fits = _fits(seal)
        first, last = _numbers(seal, by_leaves=fits and not is_sound)
        if seal.number > self.before.number + 1:
            await self._skip(first - 1)
        if seal.dropped_at is not None:
            await self._dropped(seal, seal.dropped_at, last)
        elif seal.leaves is not None and fits:
            await self._by_leaves(seal, seal.leaves, last)
        else:
            missing = seal.leaves is None
            self._found(What.LEAVES_MISSING if missing else What.LEAVES_CHANGED, seal=seal.number)
            await self._by_digest(seal, last)

    async def _skip(self, last: int) -> None:
        """Passes over rows of which no seal can be asked."""
        async for _ in self.rows.up_to(last, self.chain.version):
            pass

    async def _dropped(self, seal: Seal, dropped_at: datetime, last: int) -> None:
        """Looks whether the rows were dropped when their time was over, all of them."""
        self.seen.dropped += 1
        over = self.against.periods[self.chain.rule].after(seal.sealed_at)
        if over > min(dropped_at, self.against.now):
            self._found(What.DROPPED_EARLY, seal=seal.number)
        if seal.leaves is not None:
            self._found(What.LEAVES_LEFT, seal=seal.number)
        async for row in self.rows.up_to(last, seal.line_version):
            self._inserted(row)

    async def _by_digest(self, seal: Seal, last: int) -> None:
        """Looks at the rows as a whole, where there are no leaves to say which of them is another."""
        digest = hashlib.sha256()
        async for row in self.rows.up_to(last, seal.line_version):
            digest.update(row.form)
            self._done()
        if digest.digest() != seal.digest:
            self._found(What.ROWS_CHANGED, seal=seal.number)

    async def _by_leaves(self, seal: Seal, leaves: bytes, last: int) -> None:
        """Looks at each row beside its leaf; both are in the order of their numbers."""
        waiting = _split(leaves)
        number, leaf = next(waiting, (EVERYTHING, b""))
        async for row in self.rows.up_to(last, seal.line_version):
            while number < row.number:
                self._found(What.ROW_MISSING, seal=seal.number, number=number)
                number, leaf = next(waiting, (EVERYTHING, b""))
            if number != row.number:
                self._inserted(row)
                continue
            if leaf != row.form:
                self._found(What.ROW_CHANGED, seal=seal.number, number=row.number, id=row.id)
            number, leaf = next(waiting, (EVERYTHING, b""))
            self._done()
        while number != EVERYTHING:
            self._found(What.ROW_MISSING, seal=seal.number, number=number)
            number, leaf = next(waiting, (EVERYTHING, b""))

    def _inserted(self, row: Row[bytes]) -> None:
        self._found(What.ROW_INSERTED, number=row.number, id=row.id)

    def _done(self) -> None:
        self.seen.sealed_rows += 1
        if self.seen.sealed_rows % STEP == 0:
            self.progress(STEP)


def _fits(seal: Seal) -> bool:
    """Whether the leaves are those that were sealed, be it that the digest is not."""
    digest = hashlib.sha256(seal.leaves or b"").digest()
    return digest == seal.digest or replace(seal, digest=digest).computed() == seal.seal


def _numbers(seal: Seal, *, by_leaves: bool) -> tuple[int, int]:
    """The first and last number of a batch: as the seal says, or where it was changed as its leaves do."""
    if not by_leaves or not seal.leaves:
        return seal.first_number, seal.last_number
    numbers = (seal.leaves[:NUMBER_BYTES], seal.leaves[-LEAF_BYTES:][:NUMBER_BYTES])
    return _number(numbers[0]), _number(numbers[1])


def _number(text: bytes) -> int:
    return int.from_bytes(text, "big", signed=True)


def _split(leaves: bytes) -> Iterator[tuple[float, bytes]]:
    """Each leaf with its number."""
    for start in range(0, len(leaves), LEAF_BYTES):
        leaf = leaves[start : start + LEAF_BYTES]
        yield _number(leaf[:NUMBER_BYTES]), leaf
