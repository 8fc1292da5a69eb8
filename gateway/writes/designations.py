"""Changes of designations: who may act in which role, given and taken back by somebody else."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Text, Uuid, bindparam, func, or_, select, update
from sqlmodel import SQLModel

from schema import formats
from schema.model import text_of
from schema.writing import UserErrorCode

from ..periods import months_after
from ..statements.bound import compiled
from .checks import Check, text
from .mistakes import Mistake, Mistakes, Rejected, not_found
from .once import Known, New, once
from .rows import Sql
from .work import Outcome, Work

REASON_LONGEST = 500
LONGEST_MONTHS, USUAL_MONTHS = 12, 6
# As long before its end a designation is looked at again, and the next one may be given.
AHEAD = timedelta(days=30)
CLOCK_DIFFERENCE = timedelta(minutes=5)


async def designate_employee(work: Work) -> Outcome:
    """A new designation of another, active employee; one role is held once at a time."""
    match await once(work, "Designation"):
        case New(key):
            employee = await _designate(work, key)
            return Outcome({"designation": key}, changed_principals=(("employee", employee),))
        case Known(key):
            return Outcome({"designation": key})


async def _designate(work: Work, key: uuid.UUID) -> uuid.UUID:
    """Adds the designation; whom it is of."""
    mistakes = Mistakes()
    reason = _reason(work, mistakes)
    begins, ends = _period(work, mistakes)
    employee = await _employee(work, mistakes)
    mistakes.check()
    assert employee is not None  # noqa: S101  # else there was a mistake
    values = {
        "id": key,
        "employee_id": employee,
        "role": text_of(work.input["role"]),
        "reason": reason,
        "designated_by": work.principal.employee_id,
        "valid_from": begins,
        "valid_to": ends,
    }
    await _check_free(work, values)
    await work.insert("designation", values)
    return employee


async def revoke_designation(work: Work) -> Outcome:
    """Ends another's designation at once."""
    mistakes, key = Mistakes(), work.key("id", "Designation")
    reason = _reason(work, mistakes)
    await _check_holds(work, key)
    row = await work.find("Designation", key, ("employee_id", "valid_to", "revoked_at"))
    if row["employee_id"] == work.principal.employee_id:
        message = "nobody ends their own designation"
        mistakes.add(UserErrorCode.NOT_ALLOWED, "RevokeDesignationInput.id", message, "id")
    elif row["revoked_at"] is not None or row["valid_to"] <= work.now:
        message = "the designation has ended already"
        mistakes.add(UserErrorCode.INVALID_TRANSITION, "Designation.revokedAt", message, "id")
    mistakes.check()
    values = {"revoked_by": work.principal.employee_id, "revoked_reason": reason}
    await work.row(_revoke(), key=key, **values)
    return Outcome({"designation": key}, changed_principals=(("employee", row["employee_id"]),))


async def _check_holds(work: Work, revoked: uuid.UUID) -> None:
    """Raises NOT_ALLOWED where the caller's own designation has ended since they were identified.

    # INVARIANT: of two administrators who revoke each other at once one remains. Both rows are locked here,
    # in the order of their ids, and stay locked: the second sees what the first has done.
    """
    own = work.principal.designation_id
    rows = await work.rows(_hold(), keys=[revoked, own])
    mine = next((row for row in rows if row["id"] == own), None)
    if mine is None or mine["revoked_at"] is not None or mine["valid_to"] <= work.now:
        message = "the caller's own designation has ended"
        raise Rejected(Mistake(UserErrorCode.NOT_ALLOWED, "RevokeDesignationInput.id", message, ("id",)))


def _reason(work: Work, mistakes: Mistakes) -> str | None:
    """Why, as one gives it; a blank text is none."""
    coordinate, given = f"{work.write.root.mutation.input.name}.reason", str(work.input["reason"])
    if not given.strip():
        mistakes.add(UserErrorCode.REQUIRED, coordinate, "a reason is needed", "reason")
        return None
    try:
        check: Check = text("reason", REASON_LONGEST, lines=True).check
        return check(given, "")
    except formats.Malformed as error:
        mistakes.add(UserErrorCode.MALFORMED, coordinate, f"the value {error.reason}", "reason")
        return None


# ---------------------------------------------------------------- for how long


def _period(work: Work, mistakes: Mistakes) -> tuple[datetime, datetime]:
    """From when to when; what began a moment ago by the caller's clock begins now."""
    begins, ends = work.input.get("validFrom") or work.now, work.input.get("validTo")
    if not work.now - CLOCK_DIFFERENCE <= begins <= work.now + AHEAD:
        message = f"a designation begins now, or at most {AHEAD.days} days ahead"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, "Designation.validFrom", message, "validFrom")
        begins = work.now
    begins = max(begins, work.now)
    if ends is None:
        ends = months_after(begins, USUAL_MONTHS)
    elif not begins < ends <= months_after(begins, LONGEST_MONTHS):
        message = f"a designation ends after it begins, at most {LONGEST_MONTHS} months later"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, "Designation.validTo", message, "validTo")
    return begins, ends


# ---------------------------------------------------------------- whom


async def _employee(work: Work, mistakes: Mistakes) -> uuid.UUID | None:
    """The employee who is meant: another one, who works for the store."""
    given = [name for name in ("employeeId", "workEmail") if work.input.get(name) is not None]
    if len(given) != 1:
        message = "give one of `employeeId` and `workEmail`"
        mistakes.add(UserErrorCode.REQUIRED, "DesignateEmployeeInput.employeeId", message, "employeeId")
        return None
    try:
        key = await _key(work, given[0])
        row = await work.find("Employee", key, ("active",), locks=False, path=(given[0],))
    except Rejected as unknown:
        mistakes.found += unknown.mistakes
        return None
    coordinate = f"DesignateEmployeeInput.{given[0]}"
    if key == work.principal.employee_id:
        message = "nobody designates themselves"
        mistakes.add(UserErrorCode.NOT_ALLOWED, coordinate, message, given[0])
    elif not row["active"]:
        message = "the employee does not work for the store any more"
        mistakes.add(UserErrorCode.INVALID_TRANSITION, "Employee.active", message, given[0])
    return key


async def _key(work: Work, name: str) -> uuid.UUID:
    """The employee's key; raises `Rejected` where the register knows no such address."""
    if name == "employeeId":
        return work.key(name, "Employee")
    try:
        address = formats.email(str(work.input[name]))
    except formats.Malformed as error:
        mistake = Mistake(UserErrorCode.MALFORMED, "Employee.workEmail", f"the value {error.reason}", (name,))
        raise Rejected(mistake) from error
    row = await work.row(_by_email(), address=address)
    if row is None:
        raise not_found("Employee.id", name)
    found: uuid.UUID = row["id"]
    return found


async def _check_free(work: Work, values: dict[str, Any]) -> None:
    """Raises CONFLICT where the employee holds the role already at some time of the period.

    # INVARIANT: of concurrent designations of an employee, each sees those made before it.
    """
    await work.row(_one_at_a_time(), number=values["employee_id"].int % 2**63)
    taken = {name: values[name] for name in ("employee_id", "role", "valid_from", "valid_to")}
    if await work.row(_overlapping(), **taken) is not None:
        message = "the employee holds the role in this time already: begin when that ends, or revoke it"
        raise Rejected(Mistake(UserErrorCode.CONFLICT, "Designation.role", message, ("role",)))


# ---------------------------------------------------------------- statements


@lru_cache(maxsize=1)
def _by_email() -> Sql:
    """The key alone: whether the row is there for the caller is asked by `Work.find`."""
    employee = SQLModel.metadata.tables["employee"]
    address = bindparam("address", type_=Text())
    return Sql(*compiled(select(employee.c.id).where(employee.c.work_email == address)))


@lru_cache(maxsize=1)
def _one_at_a_time() -> Sql:
    return Sql(*compiled(select(func.pg_advisory_xact_lock(bindparam("number", type_=BigInteger())))))


@lru_cache(maxsize=1)
def _overlapping() -> Sql:
    table = SQLModel.metadata.tables["designation"]
    bound = {column.name: bindparam(column.name, type_=column.type) for column in table.columns}
    query = select(table.c.id).where(
        table.c.employee_id == bound["employee_id"],
        table.c.role == bound["role"],
        or_(table.c.revoked_at.is_(None), table.c.revoked_at > bound["valid_from"]),
        table.c.valid_from < bound["valid_to"],
        table.c.valid_to > bound["valid_from"],
    )
    return Sql(*compiled(query))


@lru_cache(maxsize=1)
def _hold() -> Sql:
    """The designations with these `keys`, locked in the order of their ids."""
    table = SQLModel.metadata.tables["designation"]
    keys = bindparam("keys", type_=ARRAY(Uuid()))
    shown = (table.c.id, table.c.valid_to, table.c.revoked_at)
    query = select(*shown).where(table.c.id == func.any(keys)).order_by(table.c.id)
    return Sql(*compiled(query.with_for_update(key_share=True)))


@lru_cache(maxsize=1)
def _revoke() -> Sql:
    table = SQLModel.metadata.tables["designation"]
    names = ("revoked_by", "revoked_reason")
    values = {name: bindparam(name, type_=table.c[name].type) for name in names}
    query = update(table).where(table.c.id == bindparam("key", type_=table.c.id.type))
    now = bindparam("now", type_=table.c.revoked_at.type)
    return Sql(*compiled(query.values(revoked_at=now, **values).returning(table.c.id)))
