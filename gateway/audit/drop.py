"""Drops whole sealed batches whose time is over; their seals stay, and say when it was done.

*Takes* the database as the role that may delete records. A batch that is not what was sealed is left for
people to look at, as dropping it would take the trace of what was changed away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..periods import Period
from .lines import CHAINS, Chain, Seal
from .source import next_seal

_LEAVES = """
SELECT string_agg({leaf}, ''::bytea ORDER BY r.number) FROM {chain} r WHERE r.number BETWEEN $1 AND $2"""
_DELETE = """
DELETE FROM {chain} WHERE number BETWEEN $1 AND $2"""
_MARK = """
UPDATE seal SET leaves = NULL, dropped_at = $3 WHERE chain = $1 AND number = $2"""


@dataclass(slots=True)
class Dropped:
    """What was dropped of a chain, and the seals that were left as they do not fit their rows."""

    chain: str
    seals: int = 0
    records: int = 0
    left: list[int] = field(default_factory=list)


async def drop(
    connection: Any, periods: Mapping[str, Period], now: datetime, *, dry_run: bool
) -> list[Dropped]:
    """What was dropped, or with `dry_run` would be; each batch is a transaction of its own."""
    return [await _drop(connection, chain, periods[chain.rule], now, dry_run) for chain in CHAINS]


async def _drop(connection: Any, chain: Chain, period: Period, now: datetime, dry_run: bool) -> Dropped:
    dropped, after = Dropped(chain.name), 0
    while True:
        async with connection.transaction():
            seal = await next_seal(connection, chain, after, for_update=not dry_run)
            # Seals are dropped in their order: what comes after the first that is kept is kept too.
            if seal is None or period.after(seal.sealed_at) > now:
                return dropped
            after = seal.number
            if not await _fits(connection, chain, seal):
                dropped.left.append(seal.number)
                continue
            if not dry_run:
                await connection.execute(
                    _DELETE.format(chain=chain.name), seal.first_number, seal.last_number
                )
                await connection.execute(_MARK, chain.name, seal.number, now)
        dropped.seals += 1
        dropped.records += seal.records


async def _fits(connection: Any, chain: Chain, seal: Seal) -> bool:
    """Whether the rows are those that were sealed."""
    if seal.seal != seal.computed() or seal.leaves is None or seal.line_version not in chain.columns:
        return False
    if hashlib.sha256(seal.leaves).digest() != seal.digest:
        return False
    query = _LEAVES.format(chain=chain.name, leaf=chain.leaf(seal.line_version))
    found = await connection.fetchval(query, seal.first_number, seal.last_number)
    return bool(found == seal.leaves)
