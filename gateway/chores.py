"""What a worker does beside answering: it sends mail, and deletes what holds no more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import DateTime, bindparam, delete, literal_column, select, tuple_
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
# What is deleted, by table: the column that says how old a row is, and how long it is kept after.
OLD: Mapping[str, tuple[str, timedelta]] = {
    "idempotency": ("created_at", KEPT),
    "one_time_link": ("expires_at", timedelta(0)),
    "session": ("expires_at", timedelta(0)),
}


@asynccontextmanager
async def chores(
    settings: Settings, database: Database, clock: Callable[[], datetime]
) -> AsyncIterator[None]:
    """Runs the chores while the block runs; one that fails is tried again in its time."""
    tasks = [asyncio.create_task(_repeat("tidying", TIDY_SECONDS, lambda: tidy(database, clock())))]
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


async def tidy(database: Database, now: datetime) -> None:
    """Deletes what holds no more, in batches, so that no lock is held for long."""
    for table, (column, kept) in OLD.items():
        text, names = _old_rows(table, column)
        values: dict[str, object] = {"before": now - kept}
        gone = BATCH
        while gone == BATCH:
            async with database.transaction(None) as transaction:
                gone = len(await transaction.rows(text, [values[name] for name in names]))


@lru_cache(maxsize=len(OLD))
def _old_rows(name: str, column: str) -> tuple[str, tuple[str, ...]]:
    table = SQLModel.metadata.tables[name]
    key = tuple_(*table.primary_key.columns)
    old = select(*table.primary_key.columns).where(
        table.c[column] <= bindparam("before", type_=DateTime(timezone=True))
    )
    batch = old.order_by(table.c[column]).limit(literal_column(str(BATCH)))
    return compiled(delete(table).where(key.in_(batch)).returning(table.c[column]))
