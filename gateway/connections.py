"""Connections to PostgreSQL with their prepared statements, at most so many of a kind, and transactions.

Gives rows; raises `DatabaseTimeout`, `DatabaseDuplicate`, `QuotaReached`, or asyncpg's own errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

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
            self.give_back(connection, is_sound=True)
            raise fault_of(error) from error
        except BaseException:
            # Cancelled, or cut off: whatever the connection still holds, nobody gets it.
            self.give_back(connection, is_sound=False)
            raise
        self.give_back(connection, is_sound=True)
        return row

    def transaction(self) -> Transaction:
        """A transaction, to be entered: it takes a connection of these with its first statement."""
        return Transaction(self)

    async def borrow(self) -> Any:
        """A connection, which `give_back` takes back."""
        await self._loans.acquire()
        try:
            return self._take() or await self._connect()
        except BaseException:
            self._loans.release()
            raise

    def give_back(self, connection: Any, *, is_sound: bool) -> None:
        """Takes a connection back, to lend it again where it is sound; None is no connection."""
        if connection is None:
            return
        if is_sound:
            self._keep(connection)
            self._loans.release()
        else:
            # INVARIANT: it counts until it is closed, so that whoever breaks off takes no more than a place.
            self._end(connection).add_done_callback(lambda _: self._loans.release())

    async def open(self) -> None:
        """Opens one connection, so that a wrong address is found."""
        self._keep(await self._connect())

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

    def _keep(self, connection: Any) -> None:
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
    """A transaction, committed at the end of its block; whatever is raised in it rolls it back.

    It takes a connection with its first statement, so that what is done before holds none. Raises what
    `fault_of` makes of PostgreSQL's errors.

    # PERF: a block of `contextlib`'s takes 3.5 µs, one of a class 0.7 (`async with` around nothing).
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.connection: Any = None
        # Whether PostgreSQL holds anything of it.
        self.is_begun = False
        self._parts = 0
        # What is to be done once it is committed.
        self.afterwards: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        """The transaction, of which nothing is begun."""
        return self

    async def __aexit__(self, _: object, raised: BaseException | None, __: object) -> None:
        """Commits, does what is to be done then, and gives the connection back; or undoes it."""
        try:
            if raised is not None:
                try:
                    raise raised
                finally:
                    # What is raised holds this frame: it is not to hold it too.
                    del raised
            await self.commit()
            for step in self.afterwards:
                step()
        except asyncpg.PostgresError as error:
            await self._undo()
            raise fault_of(error) from error
        except Exception:
            await self._undo()
            raise
        except BaseException:  # cancelled: whatever the connection still holds, nobody gets it
            self._give_back(is_sound=False)
            raise
        self._give_back(is_sound=True)

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
        if self.connection is not None and not self.is_begun:
            self._give_back(is_sound=True)

    def savepoint(self) -> Part:
        """A part, to be entered, that is undone alone where something is raised in it."""
        self._parts += 1
        return Part(self, f"part_{self._parts}")

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
        if not self.is_begun:
            await self._connect()
            await self.connection.execute("BEGIN")
            self.is_begun = True

    async def _connect(self) -> None:
        if self.connection is None:
            self.connection = await self._connections.borrow()

    async def _finish(self, command: str) -> None:
        if self.is_begun:
            self.is_begun = False
            # PostgreSQL answers ROLLBACK to the COMMIT of a transaction in which something failed.
            if await self.connection.execute(command) != command:
                raise asyncpg.InterfaceError(f"the transaction did not end with {command}")

    async def _undo(self) -> None:
        """Gives the connection back after a rollback, or has it closed where even that fails."""
        try:
            await self.rollback()
        except BaseException as error:
            self._give_back(is_sound=False)
            if not isinstance(error, DATABASE_ERRORS):
                raise
        else:
            self._give_back(is_sound=True)

    def _give_back(self, *, is_sound: bool) -> None:
        connection, self.connection = self.connection, None
        self._connections.give_back(connection, is_sound=is_sound)


class Part:
    """A part of a transaction: where something is raised in its block, what was done in it is undone."""

    def __init__(self, whole: Transaction, name: str) -> None:
        self._whole = whole
        self._name = name
        # Nothing comes before the first part: with it the whole transaction is undone.
        self._is_first = not whole.is_begun

    async def __aenter__(self) -> None:
        """Marks where it begins."""
        if not self._is_first:
            await self._whole.connection.execute(f"SAVEPOINT {self._name}")

    async def __aexit__(self, _: object, raised: BaseException | None, __: object) -> None:
        """Forgets the mark, or goes back to it."""
        if raised is None and not self._is_first:
            await self._whole.connection.execute(f"RELEASE {self._name}")
        elif isinstance(raised, Exception) and self._is_first:
            await self._whole.rollback()
        elif isinstance(raised, Exception):
            await self._whole.connection.execute(f"ROLLBACK TO {self._name}")


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
