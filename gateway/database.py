"""PostgreSQL on the request path: connections with prepared statements, bytes out. No ORM, no session.

Gives rows; raises `DatabaseTimeout`, or
asyncpg's own errors, which the edge answers with INTERNAL.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from .config import Settings
from .principal import DesignationRow, PartnerRow, SessionRow


class DatabaseTimeout(Exception):
    """PostgreSQL ended a statement that took longer than its role may."""


class DatabaseConflict(Exception):
    """Two transactions waited for each other; this one was undone and can be tried again."""


class DatabaseDuplicate(Exception):
    """A row would have had what another row has already; `constraint` says what of it is unique."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


# What a broken connection or a refusing server raises.
DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

_DESIGNATIONS = """
SELECT ARRAY(
    SELECT (d.role, d.valid_from, d.valid_to, d.revoked_at) FROM designation d WHERE d.employee_id = e.id
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
    coalesce(t.revoked_at, p.revoked_at, g.revoked_at) AS revoked_at,
    t.operations, t.networks, t.documents, t.deliveries
FROM partner_token t
LEFT JOIN partner_token p ON p.id = t.parent_id
LEFT JOIN partner_token g ON g.id = p.parent_id
WHERE t.hash = $1"""
_SESSION = """
SELECT customer_id, expires_at, ended_at FROM session WHERE id = $1"""
_DELIVERIES_OF = """
SELECT array_agg(id ORDER BY id) AS ids FROM delivery WHERE order_id = $1"""
_CLOSING_SECONDS = 10
# How often a connection that only listens is asked whether it still lives, and how long it may take to say.
_LISTENING_CHECK_SECONDS = 10
_LISTENING_ANSWER_SECONDS = 5


class Connections:
    """At most `size` connections of one statement time-out, opened as they are needed.

    # PERF: asyncpg's own pool makes a proxy for each loan and resets it: a tenth of a small request.
    """

    def __init__(self, url: str, size: int, limit_seconds: float, *, writes: bool) -> None:
        self._url = url
        self._limit_seconds = limit_seconds
        self._writes = writes
        self._loans = asyncio.Semaphore(size)
        self._idle: list[Any] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def row(self, sql: str, values: Sequence[object]) -> Any:
        """The first row, None where there is none; raises `DatabaseTimeout`, or asyncpg's own errors."""
        async with self._loans:
            connection = self._take() or await self._connect()
            try:
                row = await connection.fetchrow(sql, *values)
            except asyncpg.PostgresError as error:
                self._give_back(connection)
                if isinstance(error, asyncpg.QueryCanceledError):
                    raise DatabaseTimeout from error
                raise
            except BaseException:
                # Cancelled, or cut off: whatever the connection still holds, nobody gets it.
                self._end(connection)
                raise
            self._give_back(connection)
            return row

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction, committed at the end of the block; whatever is raised in it rolls it back.

        It takes a connection with its first statement, so that what is done before holds none.
        """
        begun = Transaction(self.borrow, lambda connection: self._returned(connection, is_sound=True))
        try:
            yield begun
            await begun.commit()
            for step in begun.afterwards:
                step()
        except Exception:
            await self._undone(begun)
            raise
        except BaseException:  # cancelled: whatever the connection still holds, nobody gets it
            self._returned(begun.connection, is_sound=False)
            raise
        self._returned(begun.connection, is_sound=True)

    async def borrow(self) -> Any:
        """A connection, which `_returned` takes back."""
        await self._loans.acquire()
        try:
            return self._take() or await self._connect()
        except BaseException:
            self._loans.release()
            raise

    async def _undone(self, begun: Transaction) -> None:
        """Takes the connection back after a rollback, or closes it where even that fails."""
        try:
            await begun.rollback()
        except DATABASE_ERRORS:
            self._returned(begun.connection, is_sound=False)
        else:
            self._returned(begun.connection, is_sound=True)

    def _returned(self, connection: Any, *, is_sound: bool) -> None:
        if connection is None:
            return
        if is_sound:
            self._give_back(connection)
        else:
            self._end(connection)
        self._loans.release()

    async def open(self) -> None:
        """Opens one connection, so that a wrong address is found."""
        self._give_back(await self._connect())

    async def close(self) -> None:
        """Closes every connection, those on loan when they come back."""
        self._closed = True
        while self._idle:
            self._end(self._idle.pop())
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _take(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    def _give_back(self, connection: Any) -> None:
        if self._closed or connection.is_closed():
            self._end(connection)
        else:
            self._idle.append(connection)

    def _end(self, connection: Any) -> None:
        # Closing first has PostgreSQL cancel a statement whose caller went away.
        task = asyncio.create_task(_close(connection))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _connect(self) -> Any:
        return await asyncpg.connect(
            self._url,
            # Bounded: a prepared statement costs the server about a hundred times its text.
            statement_cache_size=100,
            max_cacheable_statement_size=16 * 1024,
            server_settings={
                "application_name": "gateway",
                "statement_timeout": str(int(self._limit_seconds * 1000)),
                "timezone": "UTC",
                "jit": "off",
                "default_transaction_read_only": "off" if self._writes else "on",
            },
        )


class Transaction:
    """A transaction, begun with its first statement on a connection borrowed for it."""

    def __init__(self, borrow: Callable[[], Awaitable[Any]], give_back: Callable[[Any], None]) -> None:
        self._borrow = borrow
        self._give_back = give_back
        self.connection: Any = None
        self._begun = False
        self._parts = 0
        # What is to be done once it is committed.
        self.afterwards: list[Callable[[], None]] = []

    async def row(self, sql: str, values: Sequence[object]) -> Any:
        """The first row, None where there is none; raises `DatabaseDuplicate`."""
        await self._begin()
        return await self._row(sql, values)

    async def rows(self, sql: str, values: Sequence[object]) -> Any:
        """Every row."""
        await self._begin()
        return await self.connection.fetch(sql, *values)

    async def alone(self, sql: str, values: Sequence[object]) -> Any:
        """The first row of a statement that is the whole transaction: committed when it returns.

        # PERF: one round trip to the server instead of four.
        """
        return await self._row(sql, values)

    def rest(self) -> None:
        """Holds no connection until the next statement, where nothing is begun yet."""
        if self.connection is not None and not self._begun:
            connection, self.connection = self.connection, None
            self._give_back(connection)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that is undone alone where something is raised in it."""
        name, is_first = f"part_{self._parts}", not self._begun
        self._parts += 1
        if not is_first:
            await self.connection.execute(f"SAVEPOINT {name}")
        try:
            yield
        except Exception:
            # Nothing came before the first part: the whole transaction is undone.
            await (self.rollback() if is_first else self.connection.execute(f"ROLLBACK TO {name}"))
            raise
        if not is_first:
            await self.connection.execute(f"RELEASE {name}")

    async def commit(self) -> None:
        """Makes what was done last."""
        await self._finish("COMMIT")

    async def rollback(self) -> None:
        """Undoes what was done."""
        await self._finish("ROLLBACK")

    async def _row(self, sql: str, values: Sequence[object]) -> Any:
        await self._connect()
        try:
            return await self.connection.fetchrow(sql, *values)
        except asyncpg.UniqueViolationError as error:
            raise DatabaseDuplicate(str(error.constraint_name)) from error

    async def _begin(self) -> None:
        if not self._begun:
            await self._connect()
            await self.connection.execute("BEGIN")
            self._begun = True

    async def _connect(self) -> None:
        if self.connection is None:
            self.connection = await self._borrow()

    async def _finish(self, command: str) -> None:
        if self._begun:
            self._begun = False
            # PostgreSQL answers ROLLBACK to the COMMIT of a transaction in which something failed.
            if await self.connection.execute(command) != command:
                raise asyncpg.InterfaceError(f"the transaction did not end with {command}")


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

    async def fetch(self, role: str | None, sql: str, values: Sequence[object]) -> Any:
        """The single row of an operation's statement, within the role's time-out."""
        return await self._connections(role).row(sql, values)

    @asynccontextmanager
    async def transaction(self, role: str | None) -> AsyncIterator[Transaction]:
        """A transaction that may write; raises `DatabaseTimeout`, or `DatabaseConflict` to try again."""
        try:
            async with self._connections(role, writes=True).transaction() as begun:
                yield begun
        except asyncpg.QueryCanceledError as error:
            raise DatabaseTimeout from error
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
            raise DatabaseConflict from error

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
        """The partner token with this hash."""
        row = await self.fetch(None, _BY_HASH, (token_hash,))
        return None if row is None else PartnerRow(*row)

    async def session(self, key: uuid.UUID) -> SessionRow | None:
        """The session with this id."""
        row = await self.fetch(None, _SESSION, (key,))
        return None if row is None else SessionRow(*row)

    async def deliveries_of(self, order: uuid.UUID) -> tuple[uuid.UUID, ...]:
        """The ids of an order's deliveries, for the gate to judge one by one."""
        row = await self.fetch(None, _DELIVERIES_OF, (order,))
        return tuple(row["ids"] or ())

    async def listen(self, heard: Mapping[str, Callable[[str], None]], begun: Callable[[], None]) -> None:
        """Hands each notice to its channel's function until the connection is lost.

        `begun` is called once it listens.
        """
        connection = await asyncpg.connect(
            self._settings.database_url.get_secret_value(),
            timeout=_CLOSING_SECONDS,
            server_settings={"application_name": "gateway listener"},
        )
        try:
            for channel in heard:
                await connection.add_listener(channel, lambda *notice: heard[notice[2]](notice[3]))
            begun()
            while not connection.is_closed():
                await _lost(connection)
        finally:
            await _close(connection)

    def _connections(self, role: str | None, *, writes: bool = False) -> Connections:
        key = (self._settings.statement_timeout(role), writes)
        found = self._groups.get(key)
        if found is None:
            url, size = self._settings.database_url.get_secret_value(), self._settings.pool_connections
            found = self._groups[key] = Connections(url, size, key[0], writes=writes)
        return found


async def _lost(connection: Any) -> None:
    """Returns when a connection is lost, or has just shown that it lives; raises where it does not answer."""
    lost = asyncio.Event()

    def lose(_: object) -> None:
        lost.set()

    connection.add_termination_listener(lose)
    try:
        await asyncio.wait_for(lost.wait(), _LISTENING_CHECK_SECONDS)
    except TimeoutError:
        await connection.execute("SELECT 1", timeout=_LISTENING_ANSWER_SECONDS)
    finally:
        connection.remove_termination_listener(lose)


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=_CLOSING_SECONDS)
    except DATABASE_ERRORS:
        connection.terminate()
