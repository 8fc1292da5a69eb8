"""The run of a day: every rule in turn, in batches of a transaction each, by one instance at a time.

Takes a connection as the keeper, and the day. Gives each row it changed, or would change. A run that was cut
off goes on behind its last batch; one that is done finds nothing more. No clock: the day is handed in.

# INVARIANT: what a step finds does not depend on what the steps before it did on the same day, so that a dry
# run, which does nothing, finds the same. The order of the steps, and what each asks, see to that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from ...audit.source import CONFLICTS
from .accounts import account_step, consent_step, warning_step
from .columns import customer_steps, staff_steps
from .orders import order_step, row_steps
from .steps import Batch, Day, Step, Touched, fetched

BATCH = 500
ATTEMPTS = 3
# Stands in `retention_run` for the whole of a day's run.
WHOLE = "all"
_FIRST = UUID(int=0)
_LOCK = """
SELECT pg_try_advisory_lock(hashtextextended('gateway.retention', 0))"""
_UNLOCK = """
SELECT pg_advisory_unlock(hashtextextended('gateway.retention', 0))"""
_BEGUN = """
SELECT after_id FROM retention_run
WHERE day = $1 AND rule = $2 AND policy_version = $3 AND finished_at IS NULL"""
_BEGIN = """
INSERT INTO retention_run (day, rule, policy_version, started_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (day, rule) DO UPDATE SET policy_version = excluded.policy_version, finished_at = NULL,
    after_id = CASE WHEN retention_run.finished_at IS NULL AND
        retention_run.policy_version = excluded.policy_version THEN retention_run.after_id END"""
_ADVANCE = """
UPDATE retention_run SET after_id = $3, rows = rows + $4 WHERE day = $1 AND rule = $2"""
_FINISH = """
UPDATE retention_run SET finished_at = $3 WHERE day = $1 AND rule = $2"""
_IS_DONE = """
SELECT EXISTS (SELECT FROM retention_run WHERE day = $1 AND rule = $2 AND finished_at IS NOT NULL)"""


class Busy(Exception):
    """Another instance is at it."""


@dataclass(frozen=True)
class Run:
    """A run, or a dry run, of a day under a version of the policy."""

    connection: Any
    day: Day
    policy_version: str
    steps: Sequence[Step]
    dry: bool = False
    batch: int = BATCH
    # Told of each step that begins.
    begins: Callable[[Step], None] = lambda _: None

    async def touched(self) -> AsyncIterator[Touched]:
        """Every row, once its batch is committed; raises `Busy` where another instance is at it."""
        if not self.dry and not await self.connection.fetchval(_LOCK):
            raise Busy
        try:
            await self._begin(WHOLE)
            for step in self.steps:
                self.begins(step)
                async for one in self._step(step):
                    yield one
            await self._finish(WHOLE)
        finally:
            if not self.dry and not self.connection.is_closed():
                await self.connection.fetchval(_UNLOCK)

    async def _step(self, step: Step) -> AsyncIterator[Touched]:
        values = {**self.day.values(step.rule), "limit": self.batch}
        after = await self._begin(step.name)
        while True:
            found, last = await self._tried(step, {**values, "after": after})
            for one in found:
                yield one
            if last is None:
                break
            after = last
        await self._finish(step.name)

    async def _tried(self, step: Step, values: dict[str, object]) -> tuple[list[Touched], UUID | None]:
        """A batch, and the last row it looked at; None where none is left."""
        for attempt in range(ATTEMPTS):
            try:
                async with self.connection.transaction():
                    return await self._batch(step, values)
            except CONFLICTS:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _batch(self, step: Step, values: dict[str, object]) -> tuple[list[Touched], UUID | None]:
        rows = await fetched(self.connection, step.find, values)
        if not rows:
            return [], None
        last: UUID = rows[-1]["id"]
        if not self.dry:
            rows = await self._locked(step, rows, values)
        found = await step.touched(self.connection, rows, values)
        if not self.dry:
            if rows:
                await step.apply(Batch(self.connection, rows, values, self.day))
            await self.connection.execute(_ADVANCE, self.day.day, step.name, last, len(rows))
        return found, last

    async def _locked(self, step: Step, rows: Sequence[Any], values: dict[str, object]) -> Sequence[Any]:
        """What is due of rows that were found, once they are locked."""
        owners = [row["customer_id"] for row in rows if "customer_id" in row]
        bound = {**values, "ids": [row["id"] for row in rows], "owners": owners}
        for lock in step.locks:
            await fetched(self.connection, lock, bound)
        due: Sequence[Any] = await fetched(self.connection, step.again, bound)
        return due

    async def _begin(self, name: str) -> UUID:
        """Behind which row it begins."""
        key = (self.day.day, name, self.policy_version)
        if not self.dry:
            await self.connection.execute(_BEGIN, *key, self.day.now)
        return await self.connection.fetchval(_BEGUN, *key) or _FIRST

    async def _finish(self, name: str) -> None:
        if not self.dry:
            await self.connection.execute(_FINISH, self.day.day, name, self.day.now)


@lru_cache(maxsize=4)
def steps(public_url: str) -> tuple[Step, ...]:
    """Every step in its order.

    What empties columns comes before what ends accounts, as an ended account ends more at the next run;
    orders are unlinked last, and not of accounts that end by the same run.
    """
    return (
        *customer_steps(),
        warning_step(public_url),
        consent_step(),
        account_step(),
        order_step(),
        *staff_steps(),
        *row_steps(),
    )


async def is_done(connection: Any, day: Day) -> bool:
    """Whether the day's run has come to its end."""
    return bool(await connection.fetchval(_IS_DONE, day.day, WHOLE))
