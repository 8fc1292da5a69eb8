"""PostgreSQL on the request path: connections with prepared statements, bytes out. No ORM, no session.

Gives rows; raises `DatabaseTimeout`, `DatabaseConflict`, `QuotaReached`, or
asyncpg's own errors, which the edge answers with INTERNAL.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import asyncpg

from .config import Settings
from .connections import (
    CLOSING_SECONDS,
    DATABASE_ERRORS,
    Connections,
    DatabaseConflict,
    DatabaseDuplicate,
    DatabaseTimeout,
    QuotaReached,
    Transaction,
    close_connection,
)
from .principal import DesignationRow, PartnerRow, SessionRow

__all__ = [
    "DATABASE_ERRORS",
    "Database",
    "DatabaseConflict",
    "DatabaseDuplicate",
    "DatabaseTimeout",
    "QuotaReached",
    "Transaction",
]

_DESIGNATIONS = """
SELECT ARRAY(
    SELECT (d.id, d.role, d.valid_from, d.valid_to, d.revoked_at)
    FROM designation d WHERE d.employee_id = e.id ORDER BY d.id
) AS designations
FROM employee e
WHERE e.id = $1 AND e.active"""
_EMPLOYEE_OF_SUBJECT = """
SELECT id FROM employee WHERE subject = $1"""
_CUSTOMER_OF_SUBJECT = """
SELECT id FROM customer WHERE subject = $1 AND status <> 'ERASED' AND erased_at IS NULL"""
_BY_HASH = """
SELECT
    t.id, t.first_id, t.kind, t.carrier_id,
    least(t.expires_at, p.expires_at, g.expires_at) AS expires_at,
    coalesce(
        t.revoked_at, p.revoked_at, g.revoked_at, CASE WHEN NOT c.active THEN t.created_at END
    ) AS revoked_at,
    t.operations, t.networks, t.documents, t.deliveries, coalesce(c.name, t.partner) AS recipient
FROM partner_token t
LEFT JOIN partner_token p ON p.id = t.parent_id
LEFT JOIN partner_token g ON g.id = p.parent_id
LEFT JOIN carrier c ON c.id = t.carrier_id
WHERE t.hash = $1"""
_SESSION = """
SELECT s.customer_id, s.order_id, s.expires_at, s.ended_at FROM session s
JOIN customer c ON c.id = s.customer_id WHERE s.id = $1 AND c.status <> 'ERASED' AND c.erased_at IS NULL"""
_DELIVERIES_OF = """
SELECT array_agg(id ORDER BY id) AS ids FROM delivery WHERE order_id = $1"""
_NOTICE = """
SELECT pg_notify($1, $2)"""
# How often a connection that listens is asked whether it still lives, and how long it may take to say.
_LISTENING_CHECK_SECONDS = 10
_LISTENING_ANSWER_SECONDS = 5


class Beat(Protocol):
    """What a connection that listens tells itself: who hears it has heard of all that was told before."""

    channel: str
    seconds: float

    def due(self) -> str | None:
        """What is to be told now, asked every `seconds`; None where there is nothing."""
        ...

    def came(self, notice: str) -> None:
        """Takes what was told."""
        ...


class Database:
    """The connections of one worker: groups by time-out and right to write, opened when first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._groups: dict[tuple[float, bool], Connections] = {}

    async def open(self) -> None:
        """Connects as customers and partners do, so that a wrong address stops the start."""
        await self._connections(None).open()

    async def close(self) -> None:
        """Closes every connection."""
        for group in self._groups.values():
            await group.close()
        self._groups.clear()

    async def fetch(
        self, role: str | None, sql: str, values: Sequence[object], *, writes: bool = False
    ) -> Any:
        """The single row of an operation's statement, within the role's time-out; committed if it writes."""
        return await self._connections(role, writes=writes).row(sql, values)

    def transaction(self, role: str | None) -> Transaction:
        """A transaction that may write; raises `DatabaseTimeout`, or `DatabaseConflict` to try again."""
        return self._connections(role, writes=True).transaction()

    async def is_ready(self) -> bool:
        """Whether the database answers."""
        try:
            await self.fetch(None, "SELECT 1", ())
        except (*DATABASE_ERRORS, DatabaseTimeout):
            return False
        return True

    async def designations(self, employee: uuid.UUID) -> tuple[DesignationRow, ...] | None:
        """The designations of an active employee; None where there is no such employee."""
        row = await self.fetch(None, _DESIGNATIONS, (employee,))
        return None if row is None else tuple(DesignationRow(*found) for found in row["designations"])

    async def employee_of_subject(self, subject: str) -> uuid.UUID | None:
        """The employee whom the company's identity provider knows as this `sub`."""
        row = await self.fetch(None, _EMPLOYEE_OF_SUBJECT, (subject,))
        return None if row is None else row["id"]

    async def customer_of_subject(self, subject: str) -> uuid.UUID | None:
        """The customer whom the store's identity provider knows as this `sub`; none who is erased."""
        row = await self.fetch(None, _CUSTOMER_OF_SUBJECT, (subject,))
        return None if row is None else row["id"]

    async def partner_token(self, token_hash: str) -> PartnerRow | None:
        """The partner token with this hash; of a carrier that is not active it counts as revoked."""
        row = await self.fetch(None, _BY_HASH, (token_hash,))
        return None if row is None else PartnerRow(*row)

    async def session(self, key: uuid.UUID) -> SessionRow | None:
        """The session with this id; none of an erased customer."""
        row = await self.fetch(None, _SESSION, (key,))
        return None if row is None else SessionRow(*row)

    async def deliveries_of(self, order: uuid.UUID) -> tuple[uuid.UUID, ...]:
        """The ids of an order's deliveries, for the gate to judge one by one."""
        row = await self.fetch(None, _DELIVERIES_OF, (order,))
        return tuple(row["ids"] or ())

    async def listen(
        self, heard: Mapping[str, Callable[[str], None]], begun: Callable[[], None], beat: Beat
    ) -> None:
        """Hands each notice to its channel's function until the connection is lost.

        `begun` is called once it listens. What the beat has due is sent by the connection that listens, as a
        notice of its own channel.
        """
        connection = await asyncpg.connect(
            self._settings.database_url.get_secret_value(),
            timeout=CLOSING_SECONDS,
            # A beat is a commit, of which nothing is to be kept: it waits for no disk.
            server_settings={"application_name": "gateway listener", "synchronous_commit": "off"},
        )

        def beaten(_: object, process: int, __: str, text: str) -> None:
            if process == connection.get_server_pid():
                beat.came(text)

        try:
            for channel in heard:
                await connection.add_listener(channel, lambda *notice: heard[notice[2]](notice[3]))
            await connection.add_listener(beat.channel, beaten)
            begun()
            await _kept(connection, beat)
        finally:
            await close_connection(connection)

    def _connections(self, role: str | None, *, writes: bool = False) -> Connections:
        key = (self._settings.statement_timeout(role), writes)
        found = self._groups.get(key)
        if found is None:
            url, size = self._settings.database_url.get_secret_value(), self._settings.pool_connections
            found = self._groups[key] = Connections(url, size, key[0], writes=writes)
        return found


async def _kept(connection: Any, beat: Beat) -> None:
    """Returns when a connection is lost; raises where it does not answer."""
    loop, lost = asyncio.get_running_loop(), asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    answered = loop.time()
    while not connection.is_closed() and not await _happens(lost, beat.seconds):
        text = beat.due()
        if text is not None and await _is_sent(connection, beat.channel, text):
            answered = loop.time()
        elif text is not None or loop.time() - answered >= _LISTENING_CHECK_SECONDS:
            await connection.execute("SELECT 1", timeout=_LISTENING_ANSWER_SECONDS)
            answered = loop.time()


async def _is_sent(connection: Any, channel: str, text: str) -> bool:
    """Whether a notice is sent in time; what holds up commits holds it up, on a sound connection too."""
    try:
        await connection.execute(_NOTICE, channel, text, timeout=_LISTENING_ANSWER_SECONDS)
    except TimeoutError:
        return False
    return True


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether an event happens within so many seconds."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
