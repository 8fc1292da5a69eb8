"""The database as the commands `gateway audit …` read it: seals and rows, in order, a few at a time."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import asyncpg

from ..errors import StartError
from .lines import Chain, Seal

CONNECT_TIMEOUT_SECONDS = 10
# What another transaction at the same rows may end a statement with: it can be tried again.
CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
# Rows and seals fetched at once; a seal of 10,000 rows has 400 KB.
ROWS_AT_ONCE, SEALS_AT_ONCE = 5_000, 20


# A moment that Python does not know was changed by hand: any other moment shows it.
_MOMENTS = {
    name: f"CASE WHEN {name} IS NOT NULL THEN greatest('1970-01-01Z', least('2999-01-01Z', {name})) END"
    for name in ("sealed_at", "dropped_at")
}
_SEAL_COLUMNS = ", ".join(_MOMENTS.get(name, name) for name in Seal.__slots__)
_SEALS = """
SELECT {columns} FROM seal WHERE chain = $1 ORDER BY number"""
_NEXT = """
SELECT {columns} FROM seal WHERE chain = $1 AND number > $2 AND dropped_at IS NULL
ORDER BY number LIMIT 1"""
_ROWS = """
SELECT r.number, r.id, ARRAY[{forms}] FROM {chain} r ORDER BY r.number"""

# A sequence is as it stands now, whatever snapshot it is read in.
_DRAWN = """
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {chain}_number"""
_OLDEST = """
SELECT r.number, {at} FROM {chain} r WHERE r.number > $1 AND r.number <= $2 ORDER BY r.at, r.number LIMIT 1"""

Form = TypeVar("Form", bytes, str)


@dataclass(frozen=True, slots=True)
class Row(Generic[Form]):
    """A row of a chain, in the form it was asked for: its leaf, or its line."""

    number: int
    id: uuid.UUID
    form: Form


@asynccontextmanager
async def connected(url: str, name: str = "gateway audit") -> AsyncIterator[Any]:
    """A connection to the database; raises `StartError` where it cannot be had or refuses."""
    try:
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_SECONDS,
            server_settings={"application_name": name, "timezone": "UTC", "jit": "off"},
        )
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartError(f"the database cannot be reached: {type(error).__name__}") from error
    try:
        yield connection
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartError(f"the database refuses: {type(error).__name__}") from error
    finally:
        await connection.close()


@asynccontextmanager
async def snapshot(url: str) -> AsyncIterator[Any]:
    """A connection to which the database stands still."""
    async with (
        connected(url) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection


async def drawn_number(connection: Any, chain: Chain) -> int:
    """The number that was drawn last; 0 where none was."""
    return int(await connection.fetchval(_DRAWN.format(chain=chain.name)))


async def oldest_row(connection: Any, chain: Chain, after: int, last: int) -> tuple[int, datetime]:
    """Number and moment of the oldest row behind one number and up to another, of which there is one."""
    at = "greatest('1970-01-01Z', least('2999-01-01Z', r.at))"
    number, moment = await connection.fetchrow(_OLDEST.format(chain=chain.name, at=at), after, last)
    return number, moment


async def seals(connection: Any, chain: Chain) -> AsyncIterator[Seal]:
    """The seals of a chain in the order of their numbers, in a transaction."""
    async for row in connection.cursor(
        _SEALS.format(columns=_SEAL_COLUMNS), chain.name, prefetch=SEALS_AT_ONCE
    ):
        yield Seal(*row)


def _rows(connection: Any, chain: Chain, form: Callable[[Chain, int], str]) -> AsyncIterator[Any]:
    forms = ", ".join(form(chain, version) for version in sorted(chain.columns))
    return aiter(connection.cursor(_ROWS.format(forms=forms, chain=chain.name), prefetch=ROWS_AT_ONCE))


class Stretches(Generic[Form]):
    """The rows of a chain, handed out one stretch of numbers after the other."""

    def __init__(self, connection: Any, chain: Chain, form: Callable[[Chain, int], str]) -> None:
        self._place = {version: place for place, version in enumerate(sorted(chain.columns))}
        self._rows = _rows(connection, chain, form)
        self._ahead: Any = None
        self._is_over = False

    async def up_to(self, number: float, version: int) -> AsyncIterator[Row[Form]]:
        """The next rows as far as this number, in this version of their lines."""
        place = self._place[version]
        while (row := await self._next()) is not None and row[0] <= number:
            self._ahead = None
            yield Row(row[0], row[1], row[2][place])

    async def _next(self) -> Any:
        """The row that is handed out next; None at the end."""
        if self._ahead is None and not self._is_over:
            self._ahead = await anext(self._rows, None)
            self._is_over = self._ahead is None
        return self._ahead


async def next_seal(connection: Any, chain: Chain, after: int, *, for_update: bool) -> Seal | None:
    """The next seal after this one whose rows are not dropped; locked, where something will be changed."""
    query = _NEXT.format(columns=_SEAL_COLUMNS) + (" FOR UPDATE" if for_update else "")
    row = await connection.fetchrow(query, chain.name, after)
    return None if row is None else Seal(*row)
