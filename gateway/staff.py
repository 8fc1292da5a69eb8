"""Employees by command, as the owner of the tables: who there is, and the first administrator.

Whoever is designated after the first is designated by an administrator, over the API.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from uuid_utils.compat import uuid7

from schema import formats
from schema.states import StaffRole

from .errors import StartError

FIRST_ROLE = str(StaffRole.REGISTER_ADMIN.value)

_DESIGNATED = """
SELECT e.name, e.work_email, e.active, e.subject IS NOT NULL AS signs_in_by_oidc,
       d.role, d.reason, by.work_email AS designated_by, d.valid_from, d.valid_to
FROM employee e
LEFT JOIN designation d ON d.employee_id = e.id AND d.revoked_at IS NULL AND d.valid_to > $1
LEFT JOIN employee by ON by.id = d.designated_by
WHERE $2::timestamptz IS NULL OR e.active AND d.valid_to < $2
ORDER BY d.valid_to NULLS LAST, e.work_email"""
_IS_FIRST = """
SELECT NOT EXISTS (
    SELECT FROM designation d JOIN employee e ON e.id = d.employee_id
    WHERE d.role = $1 AND e.active AND d.revoked_at IS NULL AND d.valid_to > $2
)"""
_DESIGNATE = """
INSERT INTO designation (id, employee_id, role, reason, valid_from, valid_to)
VALUES ($1, $2, $3, $4, $5, $6)"""
_REVOKE = """
UPDATE designation SET revoked_at = $2, revoked_reason = $3
WHERE employee_id = $1 AND revoked_at IS NULL AND valid_to > $2"""
LEFT, CAME_BACK = "the employee was deactivated", "the employee came back and is designated anew"


@dataclass(frozen=True, slots=True)
class Person:
    """An employee as they are given; `subject` is what the company's identity provider calls them."""

    email: str
    name: str | None
    subject: str | None


@asynccontextmanager
async def _begun(url: str) -> AsyncIterator[Any]:
    """A transaction of the owner of the tables; raises `StartError` where there is no database."""
    try:
        connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartError(f"the database cannot be reached: {type(error).__name__}") from error
    try:
        async with connection.transaction():
            yield connection
    except asyncpg.UniqueViolationError as error:
        option = "subject" if error.constraint_name == "employee_subject_key" else "email"
        raise StartError(f"another employee has this `--{option}`") from error
    finally:
        await connection.close()


async def add_employee(url: str, person: Person, now: datetime) -> None:
    """Adds an employee, or changes what is given of the one with this address, who works there again.

    # INVARIANT: who comes back holds no designation of before, however that one was left behind.
    """
    async with _begun(url) as connection:
        key = await _keep(connection, person)
        if not await connection.fetchval("SELECT active FROM employee WHERE id = $1", key):
            await connection.execute(_REVOKE, key, now, CAME_BACK)
            await connection.execute("UPDATE employee SET active = true WHERE id = $1", key)


async def deactivate_employee(url: str, email: str, reason: str, now: datetime) -> None:
    """Ends everything an employee may do, at once, and every designation of theirs for this reason.

    Their row stays, for what refers to it.
    """
    async with _begun(url) as connection:
        query = "UPDATE employee SET active = false WHERE work_email = $1 RETURNING id"
        key = await connection.fetchval(query, _address(email))
        if key is None:
            raise StartError("the database knows no employee with this `--email`")
        await connection.execute(_REVOKE, key, now, _reason(reason))


async def list_employees(url: str, now: datetime, ending_days: int | None) -> list[dict[str, Any]]:
    """Every employee and what they are designated for, or the designations that end within so many days."""
    until = None if ending_days is None else now + timedelta(days=ending_days)
    async with _begun(url) as connection:
        return [dict(row) for row in await connection.fetch(_DESIGNATED, now, until)]


async def designate_first(url: str, person: Person, reason: str, begins: datetime, ends: datetime) -> None:
    """Designates the first administrator; raises `StartError` where there is one.

    # INVARIANT: of concurrent calls one alone finds no administrator: the table is locked against changes.
    """
    async with _begun(url) as connection:
        await connection.execute("LOCK TABLE designation IN SHARE ROW EXCLUSIVE MODE")
        if not await connection.fetchval(_IS_FIRST, FIRST_ROLE, begins):
            message = "there is an administrator: they designate others with `designateEmployee`"
            raise StartError(message)
        key = await _keep(connection, person)
        if not await connection.fetchval("SELECT active FROM employee WHERE id = $1", key):
            raise StartError("the employee does not work for the store any more")
        await connection.execute(_DESIGNATE, uuid7(), key, FIRST_ROLE, _reason(reason), begins, ends)


async def _keep(connection: Any, person: Person) -> Any:
    """The key of the employee with this address, added or changed where something is given."""
    email = _address(person.email)
    key = await connection.fetchval("SELECT id FROM employee WHERE work_email = $1 FOR UPDATE", email)
    name = None if person.name is None else _text(person.name, 200, "--name")
    subject = None if person.subject is None else _text(person.subject, 255, "--subject")
    if key is None:
        if name is None:
            raise StartError("the employee is new: give `--name`")
        key = uuid7()
        query = "INSERT INTO employee (id, name, work_email, subject) VALUES ($1, $2, $3, $4)"
        await connection.execute(query, key, name, email, subject)
    else:
        query = "UPDATE employee SET name = coalesce($2, name), subject = coalesce($3, subject) WHERE id = $1"
        await connection.execute(query, key, name, subject)
    return key


def _address(text: str) -> str:
    try:
        return formats.email(text)
    except formats.Malformed as error:
        raise StartError(f"`--email` {error.reason}") from error


def _reason(text: str) -> str:
    return _text(text, 500, "--reason")


def _text(text: str, longest: int, option: str) -> str:
    """A plain text that says something."""
    try:
        return formats.text(text, longest)
    except formats.Malformed as error:
        raise StartError(f"`{option}` {error.reason}") from error
