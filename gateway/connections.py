"""Connections to PostgreSQL with their prepared statements, at most so many of a kind, and transactions.

Gives rows; raises `DatabaseTimeout`, `DatabaseDuplicate`, `QuotaReached`, or asyncpg's own errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


class DatabaseTimeout(Exception):
    """PostgreSQL ended a statement that took longer than its role may."""


class DatabaseConflict(Exception):
    """Two transactions waited for each other; this one was undone and can be tried again."""


class DatabaseDuplicate(Exception):
    """A row would have had what another row has already; `constraint` says what of it is unique."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class QuotaReached(Exception):
    """An employee would have read of more customers in a day than one may; nothing was read."""


# What a broken connection or a refusing server raises.
DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

CLOSING_SECONDS = 10


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
        connection = await self.borrow()
        try:
            row = await connection.fetchrow(sql, *values)
        except asyncpg.PostgresError as error:
            self._returned(connection, is_sound=True)
            raise fault_of(error) from error
        except BaseException:
            # Cancelled, or cut off: whatever the connection still holds, nobody gets it.
            self._returned(connection, is_sound=False)
            raise
        self._returned(connection, is_sound=True)
        return row

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction, committed at the end of the block; whatever is raised in it rolls it back.

        It takes a connection with its first statement, so that what is done before holds none. Raises what
        `fault_of` makes of PostgreSQL's errors.
        """
        begun = Transaction(self.borrow, lambda connection: self._returned(connection, is_sound=True))
        try:
            yield begun
            await begun.commit()
            for step in begun.afterwards:
                step()
        except asyncpg.PostgresError as error:
            await self._undone(begun)
            raise fault_of(error) from error
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
            self._loans.release()
        else:
            # INVARIANT: it counts until it is closed, so that whoever breaks off takes no more than a place.
            self._end(connection).add_done_callback(lambda _: self._loans.release())

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

    def _end(self, connection: Any) -> asyncio.Task[None]:
        # Closing first has PostgreSQL cancel a statement whose caller went away.
        task = asyncio.create_task(close_connection(connection))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

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
                # INVARIANT: what is answered is on disk, its record with it, whatever the role is set to.
                "synchronous_commit": "on",
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
        except asyncpg.CheckViolationError as error:
            raise fault_of(error) from error

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


def fault_of(error: asyncpg.PostgresError) -> Exception:
    """What an error of PostgreSQL's means here; the error itself where it means nothing more."""
    match error:
        case asyncpg.QueryCanceledError():
            return DatabaseTimeout()
        case asyncpg.DeadlockDetectedError() | asyncpg.SerializationError():
            return DatabaseConflict()
        case asyncpg.CheckViolationError(constraint_name="read_quota"):
            return QuotaReached()
        case _:
            found: Exception = error
            return found


async def close_connection(connection: Any) -> None:
    """Closes a connection, at once where its server does not answer in time."""
    try:
        await connection.close(timeout=CLOSING_SECONDS)
    except DATABASE_ERRORS:
        connection.terminate()
