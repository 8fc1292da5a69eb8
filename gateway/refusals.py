"""The record of what was refused to employees and partners: an insert of its own, bounded in rate.

Who tries one thing after another writes so many records a minute and no more. What is beyond leaves no
record: one line of the log for each such minute says that, and how many were recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cachetools import LRUCache
from uuid_utils.compat import uuid7

from .database import Database
from .logs import Event, note
from .policy import Policy
from .principal import Principal
from .recording import Circumstances, is_recorded

MOST_PRINCIPALS = 10_000
WINDOW_SECONDS = 60

_REFUSED = """
INSERT INTO access_record (
    id, at, principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash,
    fields, subject_ids, policy_version, notice_version, request_id, decision
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '{}', $11, $12, $13, 'REFUSED')
RETURNING id"""


@dataclass(frozen=True, slots=True)
class Refused:
    """What was asked for and refused: the operation, for which purpose, and the coordinates."""

    operation_name: str | None
    operation_hash: str
    purpose: str | None
    coordinates: tuple[str, ...]


@dataclass(slots=True)
class _Minute:
    began: datetime
    records: int = 0


@dataclass(frozen=True, slots=True)
class RefusalRecords:
    """Writes records of refusals, at most `limit` of one principal in a minute and worker."""

    limit: int
    _minutes: LRUCache[str, _Minute] = field(default_factory=lambda: LRUCache(MOST_PRINCIPALS))

    async def write(
        self,
        database: Database,
        policy: Policy,
        refused: Refused,
        principal: Principal,
        now: datetime,
        circumstances: Circumstances,
    ) -> None:
        """Records what was refused to an employee or a partner; raises what the database raises."""
        if (
            not is_recorded(principal)
            or principal.actor_id is None
            or not self.has_room(principal.actor_id, now, principal.role, circumstances.request_id)
        ):
            return
        values = (
            uuid7(),
            now,
            principal.actor_id,
            principal.role,
            principal.designation_id,
            refused.purpose,
            circumstances.case_reference,
            refused.operation_name,
            refused.operation_hash,
            sorted(set(refused.coordinates)),
            policy.version,
            policy.notice.version,
            circumstances.request_id,
        )
        await database.fetch(principal.role, _REFUSED, values, writes=True)

    def has_room(self, actor: str, now: datetime, role: str | None, request_id: str) -> bool:
        """Whether one more record of this principal's refusals is written, which is counted.

        The first that is not written is logged.
        """
        minute = self._minutes.get(actor)
        if minute is None or (now - minute.began).total_seconds() >= WINDOW_SECONDS:
            minute = self._minutes[actor] = _Minute(now)
        minute.records += 1
        if minute.records == self.limit + 1:
            note(Event.REFUSALS_NOT_RECORDED, request_id=request_id, role=role, rows=self.limit)
        return minute.records <= self.limit
