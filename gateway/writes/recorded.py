"""The record of a change: which personal fields an employee or a partner set, of whom; never a value.

A change that a row rejected is on the record as refused, as its answer tells of the row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from uuid import UUID

from sqlalchemy import bindparam, insert
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from schema.writing import UserErrorCode

from ..recording import Circumstances, Recording
from ..statements.bound import compiled
from .mistakes import Mistake
from .rows import Sql
from .work import Work

COLUMNS = (
    *("id", "at", "principal_id", "role", "designation_id", "purpose", "case_reference", "operation_name"),
    *(
        "operation_hash",
        "fields",
        "subject_ids",
        "policy_version",
        "notice_version",
        "request_id",
        "decision",
    ),
)


# A rejection for one of these tells whether there is a row for the caller, or how far it is.
TELLING = frozenset({UserErrorCode.NOT_FOUND, UserErrorCode.INVALID_TRANSITION})

# Who changes something reads of it too: it counts as a read does (`gateway.statements.record_rows.counted`).
COUNTED = Sql(
    """
WITH added AS (
    INSERT INTO daily_subject (employee_id, day, customer_id)
    SELECT $1::uuid, $2::date, subject FROM unnest($3::uuid[]) AS subject ORDER BY subject
    ON CONFLICT DO NOTHING RETURNING customer_id
)
INSERT INTO daily_reading (employee_id, day, subjects, quota)
SELECT $1::uuid, $2::date, count(*), $4::integer FROM added HAVING count(*) > 0
ON CONFLICT (employee_id, day) DO UPDATE
SET subjects = daily_reading.subjects + excluded.subjects, quota = excluded.quota
RETURNING subjects""",
    ("caller_employee", "day", "subjects", "setting_read_quota"),
)


async def record_write(work: Work, recording: Recording, circumstances: Circumstances) -> None:
    """Writes the access record of a change, in its transaction; none where it set nothing of a customer's.

    What was refused of it on a row has a record of its own. An employee's subjects count for the day.
    """
    written = work.write.guards if work.wrote.coordinates is None else work.wrote.coordinates
    if fields := _personal(work, {*written, *work.used}):
        await _record(work, recording, circumstances, fields, sorted(work.subjects))
        if recording.counts and work.subjects:
            await work.row(COUNTED, day=work.now.date(), subjects=sorted(work.subjects))
    if refused := _personal(work, work.wrote.refused):
        await _record_refused(work, recording, circumstances, refused)


async def record_rejection(
    work: Work, recording: Recording, circumstances: Circumstances, mistakes: Sequence[Mistake]
) -> None:
    """Records as refused a change that was rejected for what its answer tells of a customer's row."""
    told = {one.coordinate for one in mistakes if one.code in TELLING}
    if not told:
        return
    about = {one for one in told if _is_of_customer(work, one)}
    if fields := sorted({*_personal(work, {*work.write.guards, *work.used}), *about}):
        await _record_refused(work, recording, circumstances, fields)


def _personal(work: Work, coordinates: Collection[str]) -> list[str]:
    return sorted(one for one in coordinates if work.is_personal(one))


def _is_of_customer(work: Work, coordinate: str) -> bool:
    """Whether it is a field of a customer, or of a row that is about one."""
    entity = work.tools.model.entities.get(coordinate.partition(".")[0])
    return entity is not None and (entity.table.name == "customer" or "customer_id" in entity.table.c)


async def _record_refused(
    work: Work, recording: Recording, circumstances: Circumstances, fields: Sequence[str]
) -> None:
    actor, told = work.principal.actor_id, (recording.role, circumstances.request_id)
    if actor is not None and work.tools.refusals.has_room(actor, work.now, *told):
        await _record(work, recording, circumstances, fields, (), decision="REFUSED")


async def _record(
    work: Work,
    recording: Recording,
    circumstances: Circumstances,
    fields: Sequence[str],
    subjects: Sequence[UUID],
    *,
    decision: str = "ALLOWED",
) -> None:
    await work.row(
        _insert(),
        id=uuid7(),
        at=work.now,
        principal_id=work.principal.actor_id,
        role=recording.role,
        designation_id=work.principal.designation_id,
        purpose=recording.purpose,
        case_reference=circumstances.case_reference,
        operation_name=recording.operation_name,
        operation_hash=recording.operation_hash,
        fields=fields,
        subject_ids=subjects,
        policy_version=work.bound["setting_policy_version"],
        notice_version=work.bound["setting_notice_version"],
        request_id=circumstances.request_id,
        decision=decision,
    )


@lru_cache(maxsize=1)
def _insert() -> Sql:
    table = SQLModel.metadata.tables["access_record"]
    bound = {name: bindparam(name, type_=table.c[name].type) for name in COLUMNS}
    return Sql(*compiled(insert(table).values(bound).returning(table.c.id)))
