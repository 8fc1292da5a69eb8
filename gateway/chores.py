"""What a worker does beside answering: it sends mail, and deletes what holds no more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import DateTime, Table, bindparam, delete, literal_column, select, tuple_
from sqlmodel import SQLModel

from .config import Settings
from .database import DATABASE_ERRORS, Database, DatabaseConflict, DatabaseTimeout
from .mail.outbox import Outbox
from .mail.sender import Sender
from .mail.server import read_server
from .mail.smtp import Smtp
from .statements.bound import compiled
from .writes.once import KEPT

log = logging.getLogger("gateway")

MAIL_SECONDS, TIDY_SECONDS, CANCEL_SECONDS = 2, 3600, 0.1
BATCH = 1000


@asynccontextmanager
async def chores(
    settings: Settings, database: Database, clock: Callable[[], datetime]
) -> AsyncIterator[None]:
    """Runs the chores while the block runs; one that fails is tried again in its time."""
    tasks = [asyncio.create_task(_repeat("tidying", TIDY_SECONDS, lambda: tidy(settings, database, clock())))]
    if (sender := sender_of(settings, database, clock)) is not None:
        tasks.append(asyncio.create_task(_repeat("mail", MAIL_SECONDS, sender.send_due)))
    try:
        yield
    finally:
        await _end(set(tasks))


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """Cancels until all have ended: before Python 3.12 `asyncio.wait_for` may swallow a cancellation."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=CANCEL_SECONDS)


def sender_of(settings: Settings, database: Database, clock: Callable[[], datetime]) -> Sender | None:
    """What sends mail; None where the settings name no mail server."""
    if settings.smtp_url is None:
        return None
    server = read_server(settings.smtp_url.get_secret_value())
    return Sender(Outbox(database), Smtp(server, settings.mail_from), clock)


async def _repeat(name: str, seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await chore()
        except (*DATABASE_ERRORS, DatabaseTimeout, DatabaseConflict) as error:
            # The error's text may quote values: its type and SQLSTATE say enough.
            log.error("%s: %s %s", name, type(error).__name__, getattr(error, "sqlstate", ""))
        except Exception as error:  # a chore never ends before its worker does
            log.error("%s: fault: %s", name, type(error).__name__)
        await asyncio.sleep(seconds)


async def tidy(settings: Settings, database: Database, now: datetime) -> None:
    """Deletes the idempotency keys that hold no more, and mail that is older than the tokens in it."""
    await _delete(database, _old_keys(), now - KEPT)
    await _delete(database, _old_mail(), now - timedelta(days=settings.order_token_days))


async def _delete(database: Database, statement: tuple[str, tuple[str, ...]], before: datetime) -> None:
    """Deletes in batches, so that no lock is held for long."""
    text, names = statement
    while True:
        async with database.transaction(None) as transaction:
            gone = await transaction.rows(text, [before for _ in names])
        if len(gone) < BATCH:
            return


@lru_cache(maxsize=1)
def _old_keys() -> tuple[str, tuple[str, ...]]:
    table = SQLModel.metadata.tables["idempotency"]
    key = tuple_(table.c.principal, table.c.key)
    return compiled(delete(table).where(key.in_(_batch(table, *key.clauses))).returning(table.c.key))


@lru_cache(maxsize=1)
def _old_mail() -> tuple[str, tuple[str, ...]]:
    table = SQLModel.metadata.tables["mail"]
    return compiled(delete(table).where(table.c.id.in_(_batch(table, table.c.id))).returning(table.c.id))


def _batch(table: Table, *keys: Any) -> Any:
    """The keys of the oldest rows made before a moment."""
    old = select(*keys).where(table.c.created_at <= bindparam("before", type_=DateTime(timezone=True)))
    return old.order_by(table.c.created_at).limit(literal_column(str(BATCH)))
