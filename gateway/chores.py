"""What a worker does beside answering: it sends mail, deletes what holds no more, notes last uses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import (
    ARRAY,
    DateTime,
    Uuid,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlmodel import SQLModel

from .config import Settings
from .database import DATABASE_ERRORS, Database, DatabaseConflict, DatabaseTimeout
from .mail.outbox import Outbox
from .mail.sender import Sender
from .mail.server import read_server
from .mail.smtp import Smtp
from .principal import LastUses
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
    settings: Settings, database: Database, clock: Callable[[], datetime], last_uses: LastUses
) -> AsyncIterator[None]:
    """Runs the chores while the block runs; one that fails is tried again in its time."""
    tasks = [asyncio.create_task(_repeat("tidying", TIDY_SECONDS, lambda: tidy(settings, database, clock())))]

    async def keep() -> None:
        await keep_last_uses(database, last_uses)

    tasks.append(asyncio.create_task(_repeat("last uses", settings.last_used_seconds, keep)))
    if (sender := sender_of(settings, database, clock)) is not None:
        tasks.append(asyncio.create_task(_repeat("mail", MAIL_SECONDS, sender.send_due)))
    try:
        yield
    finally:
        await _end(set(tasks))
        await _tried("last uses", keep)


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
        await _tried(name, chore)
        await asyncio.sleep(seconds)


async def _tried(name: str, chore: Callable[[], Awaitable[None]]) -> None:
    try:
        await chore()
    except (*DATABASE_ERRORS, DatabaseTimeout, DatabaseConflict) as error:
        # The error's text may quote values: its type and SQLSTATE say enough.
        log.error("%s: %s %s", name, type(error).__name__, getattr(error, "sqlstate", ""))
    except Exception as error:  # a chore never ends before its worker does
        log.error("%s: fault: %s", name, type(error).__name__)


async def keep_last_uses(database: Database, last_uses: LastUses) -> None:
    """Writes down when each token was last used, in one statement; what fails is remembered."""
    taken = last_uses.take()
    if not taken:
        return
    text, names = _last_uses()
    # One order for all workers, so that none waits for another in a circle.
    values: dict[str, object] = {"tokens": sorted(taken), "times": [taken[key] for key in sorted(taken)]}
    try:
        async with database.transaction(None) as transaction:
            await transaction.rows(text, [values[name] for name in names])
    except BaseException:
        last_uses.put_back(taken)
        raise


async def tidy(settings: Settings, database: Database, now: datetime) -> None:
    """Deletes what holds no more, and mail older than the tokens in it, in batches of short locks."""
    mail = {"mail": ("created_at", timedelta(days=settings.order_token_days))}
    for table, (column, kept) in {**OLD, **mail}.items():
        text, names = _old_rows(table, column)
        values: dict[str, object] = {"before": now - kept}
        gone = BATCH
        while gone == BATCH:
            async with database.transaction(None) as transaction:
                gone = len(await transaction.rows(text, [values[name] for name in names]))


@lru_cache(maxsize=1)
def _last_uses() -> tuple[str, tuple[str, ...]]:
    table = SQLModel.metadata.tables["partner_token"]
    lists = (
        bindparam("tokens", type_=ARRAY(Uuid())),
        bindparam("times", type_=ARRAY(table.c.last_used_at.type)),
    )
    seen = func.unnest(*lists).table_valued("token", "at").render_derived(name="seen")
    # Another worker may have seen a later use; GREATEST passes over null.
    later = func.greatest(table.c.last_used_at, seen.c.at)
    return compiled(update(table).where(table.c.id == seen.c.token).values(last_used_at=later))


@lru_cache(maxsize=len(OLD) + 1)
def _old_rows(name: str, column: str) -> tuple[str, tuple[str, ...]]:
    table = SQLModel.metadata.tables[name]
    key = tuple_(*table.primary_key.columns)
    old = select(*table.primary_key.columns).where(
        table.c[column] <= bindparam("before", type_=DateTime(timezone=True))
    )
    batch = old.order_by(table.c[column]).limit(literal_column(str(BATCH)))
    return compiled(delete(table).where(key.in_(batch)).returning(table.c[column]))
