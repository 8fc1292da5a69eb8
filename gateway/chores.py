"""What a worker does beside answering: it seals, sends mail, deletes what holds no more, notes last uses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache, lru_cache

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    DateTime,
    Uuid,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    not_,
    select,
    tuple_,
    update,
)
from sqlmodel import SQLModel

from .audit.anchors import Anchoring
from .audit.lines import CHAINS
from .audit.sealer import Sealer
from .config import Settings
from .database import Database
from .logs import Event, about, milliseconds, note
from .mail.outbox import OWED, Outbox
from .mail.sender import Sender
from .mail.server import read_server
from .mail.smtp import Smtp
from .principal import LastUses
from .privacy.chores import Chore
from .privacy.retention.daily import once_a_day
from .statements.bound import compiled
from .tasks import end_tasks
from .writes.once import KEPT

MAIL_SECONDS, TIDY_SECONDS, RETENTION_SECONDS = 2, 3600, 600
BATCH = 1000
# What is deleted, by table: the column that says how old a row is, and how long it is kept after.
OLD: Mapping[str, tuple[str, timedelta]] = {
    "idempotency": ("created_at", KEPT),
    "one_time_link": ("expires_at", timedelta(0)),
    "export_document": ("expires_at", timedelta(0)),
    "session": ("expires_at", timedelta(0)),
}


@asynccontextmanager
async def chores(
    settings: Settings,
    database: Database,
    clock: Callable[[], datetime],
    last_uses: LastUses,
    others: Iterable[Chore] = (),
) -> AsyncIterator[None]:
    """Runs the chores and the others while the block runs; one that fails is tried again in its time."""
    tasks = [asyncio.create_task(_repeat("tidying", TIDY_SECONDS, lambda: tidy(settings, database, clock())))]

    async def keep() -> int:
        return await keep_last_uses(database, last_uses)

    tasks.append(asyncio.create_task(_repeat("last_uses", settings.last_used_seconds, keep)))
    for chain in CHAINS:
        seal = Sealer(database, chain).seal
        tasks.append(asyncio.create_task(_repeat("sealing", settings.seal_seconds, _timed(seal, clock))))
    if settings.anchor is not None:
        anchor = Anchoring(database, settings.anchor).anchor
        tasks.append(asyncio.create_task(_repeat("anchoring", 60 * settings.anchor_minutes, anchor)))
    if settings.retention_hour is not None:
        retention = _timed(once_a_day(settings), clock)
        tasks.append(asyncio.create_task(_repeat("retention", RETENTION_SECONDS, retention)))
    if (sender := sender_of(settings, database, clock)) is not None:
        tasks.append(asyncio.create_task(_repeat("mail", MAIL_SECONDS, sender.send_due)))
    tasks += [asyncio.create_task(_repeat(one.name, one.seconds, one.work)) for one in others]
    try:
        yield
    finally:
        await end_tasks(tasks)
        await _tried("last_uses", keep)


def sender_of(settings: Settings, database: Database, clock: Callable[[], datetime]) -> Sender | None:
    """What sends mail; None where the settings name no mail server."""
    if settings.smtp_url is None:
        return None
    server = read_server(settings.smtp_url.get_secret_value())
    return Sender(Outbox(database), Smtp(server, settings.mail_from), clock)


def _timed(
    chore: Callable[[datetime], Awaitable[int]], clock: Callable[[], datetime]
) -> Callable[[], Awaitable[int]]:
    """The chore at whatever time it is."""
    return lambda: chore(clock())


async def _repeat(name: str, seconds: float, chore: Callable[[], Awaitable[int]]) -> None:
    while True:
        await _tried(name, chore)
        await asyncio.sleep(seconds)


async def _tried(name: str, chore: Callable[[], Awaitable[int]]) -> None:
    start = time.perf_counter()
    try:
        rows = await chore()
    except Exception as error:  # a chore never ends before its worker does
        note(Event.CHORE_FAILED, chore=name, **about(error))
    else:
        if rows:
            note(Event.CHORE_DONE, chore=name, rows=rows, duration_ms=milliseconds(start))


async def keep_last_uses(database: Database, last_uses: LastUses) -> int:
    """Writes down when each token was last used, in one statement, and counts; what fails is remembered."""
    taken = last_uses.take()
    if not taken:
        return 0
    text, names = _last_uses()
    # One order for all workers, so that none waits for another in a circle.
    values: dict[str, object] = {"tokens": sorted(taken), "times": [taken[key] for key in sorted(taken)]}
    try:
        async with database.transaction(None) as transaction:
            await transaction.rows(text, [values[name] for name in names])
    except BaseException:
        last_uses.put_back(taken)
        raise
    return len(taken)


async def tidy(settings: Settings, database: Database, now: datetime) -> int:
    """Deletes what holds and counts no more, and mail older than its tokens, in batches of short locks.

    Returns how many rows that were.
    """
    deleted = 0
    by_settings = {
        "mail": ("created_at", timedelta(days=settings.order_token_days)),
        **dict.fromkeys(("daily_subject", "daily_reading"), ("day", timedelta(days=2))),
        "attempt": ("at", timedelta(seconds=settings.throttle_window_seconds)),  # drained by then
    }
    for table, (column, kept) in {**OLD, **by_settings}.items():
        text, names = _old_rows(table, column)
        values: dict[str, object] = {"before": now - kept}
        gone = BATCH
        while gone == BATCH:
            async with database.transaction(None) as transaction:
                gone = len(await transaction.rows(text, [values[name] for name in names]))
            deleted += gone
    return deleted


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


@cache
def _old_rows(name: str, column: str) -> tuple[str, tuple[str, ...]]:
    table = SQLModel.metadata.tables[name]
    key = tuple_(*table.primary_key.columns)
    is_old: ColumnElement[bool] = table.c[column] <= bindparam("before", type_=DateTime(timezone=True))
    if name == "mail":
        # What is owed stays until it is sent, or the run of retention writes it anew.
        is_old = and_(is_old, not_(literal_column(OWED, Boolean())))
    old = select(*table.primary_key.columns).where(is_old)
    batch = old.order_by(table.c[column]).limit(literal_column(str(BATCH)))
    # Asked of the row itself too: one that was renewed since it was found old stays.
    return compiled(delete(table).where(key.in_(batch), is_old).returning(table.c[column]))
