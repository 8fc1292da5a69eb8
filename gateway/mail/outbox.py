"""The table `mail`: what is due is taken for a while, and forgotten when it is sent."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    DateTime,
    Double,
    Interval,
    Uuid,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlmodel import SQLModel

from ..database import Database
from ..statements.bound import compiled

# The waits double: 1, 2, 4 … minutes; the last attempt is about 17 hours after the first.
FIRST_WAIT_SECONDS = 60
ATTEMPTS = 11
# A letter of this kind has to leave before an account may end.
ACCOUNT_ENDING = "account-ending"
# Of a row of `mail`, whatever it is called: it has not left, and no mailbox refused it.
OWED = f"(kind = '{ACCOUNT_ENDING}' AND (failed_at IS NULL OR attempts >= {ATTEMPTS}))"

_Statement = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message taken to be sent; `attempts` counts this one."""

    key: uuid.UUID
    recipient: str
    subject: str
    body: str
    created_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Outbox:
    """The messages of a database. No lock is held while one is sent: it is due again later, if need be."""

    database: Database

    async def take(self, now: datetime) -> Waiting | None:
        """The message due longest, which no other worker takes until its next attempt is due."""
        rows = await self._run(_take(), now=now, wait_seconds=FIRST_WAIT_SECONDS)
        return Waiting(*rows[0]) if rows else None

    async def forget(self, waiting: Waiting, now: datetime) -> None:
        """Deletes a message that is sent; when that was is kept nowhere."""
        await self._run(_forget(), key=waiting.key)

    async def put_off(self, waiting: Waiting, now: datetime) -> None:
        """Nothing: a message that was taken is due again by itself."""

    async def give_up(self, waiting: Waiting, now: datetime) -> None:
        """Keeps that a message cannot be sent, without its text, which may hold a link; tries no more."""
        await self._run(_give_up(), key=waiting.key, now=now)

    async def listed(self) -> list[dict[str, Any]]:
        """Every message, the newest first."""
        return [dict(row) for row in await self._run(_listed())]

    async def _run(self, statement: _Statement, **values: object) -> Any:
        text, names = statement
        async with self.database.transaction(None) as transaction:
            return await transaction.rows(text, [values[name] for name in names])


def _mail() -> Any:
    return SQLModel.metadata.tables["mail"].c


@lru_cache(maxsize=1)
def _take() -> _Statement:
    mail, now = _mail(), bindparam("now", type_=DateTime(timezone=True))
    due = (
        select(mail.id)
        .where(mail.failed_at.is_(None), mail.next_attempt_at <= now)
        .order_by(mail.next_attempt_at, mail.id)
        .limit(literal_column("1"))
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    taken = update(SQLModel.metadata.tables["mail"]).where(mail.id == due)
    taken = taken.values(attempts=mail.attempts + literal_column("1"), next_attempt_at=now + _wait(mail))
    shown = (mail.id, mail.recipient, mail.subject, mail.body, mail.created_at, mail.attempts)
    return compiled(taken.returning(*shown))


def _wait(mail: Any) -> Any:
    """How long until the next attempt: the first wait, doubled with each attempt so far."""
    times: Any = func.least(mail.attempts, literal_column("9"))
    doubled: Any = func.power(literal_column("2"), times, type_=Double())
    first: Any = bindparam("wait_seconds", type_=Double())
    zeros: list[Any] = [literal_column("0") for _ in ("years", "months", "weeks", "days", "hours", "mins")]
    return func.make_interval(*zeros, first * doubled, type_=Interval())


@lru_cache(maxsize=1)
def _forget() -> _Statement:
    table = SQLModel.metadata.tables["mail"]
    return compiled(delete(table).where(table.c.id == bindparam("key", type_=Uuid())))


@lru_cache(maxsize=1)
def _give_up() -> _Statement:
    table = SQLModel.metadata.tables["mail"]
    query = update(table).where(table.c.id == bindparam("key", type_=Uuid()))
    failed_at = bindparam("now", type_=DateTime(timezone=True))
    return compiled(query.values(failed_at=failed_at, body=literal_column("''")))


@lru_cache(maxsize=1)
def _listed() -> _Statement:
    table = SQLModel.metadata.tables["mail"]
    return compiled(select(table).order_by(table.c.created_at.desc(), table.c.id.desc()))
