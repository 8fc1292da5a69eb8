"""PostgreSQL on the request path: pools of prepared statements, bytes out. No ORM, no session.

One pool per statement time-out, opened when it is first needed. Gives rows; raises `DatabaseTimeout`, or
asyncpg's own errors, which the edge answers with INTERNAL.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import asyncpg

from .config import Settings
from .principal import DesignationRow, PartnerRow


class DatabaseTimeout(Exception):
    """PostgreSQL ended a statement that took longer than its role may."""


# What a broken connection or a refusing server raises.
DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

_DESIGNATIONS = """
SELECT ARRAY(
    SELECT (d.role, d.valid_from, d.valid_to, d.revoked_at) FROM designation d WHERE d.employee_id = e.id
) AS designations
FROM employee e
WHERE e.id = $1 AND e.active"""
_BY_HASH = """
SELECT id, kind, carrier_id, expires_at, revoked_at FROM partner_token WHERE hash = $1"""


class Database:
    """The pools of one worker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pools: dict[float, Any] = {}
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Opens the pool of customers and partners, so that a wrong address stops the start."""
        await self._pool(self._settings.statement_timeout(None))

    async def close(self) -> None:
        """Closes every connection."""
        for pool in self._pools.values():
            await pool.close()
        self._pools.clear()

    async def fetch(self, role: str | None, sql: str, values: Sequence[object]) -> Any:
        """The single row of an operation's statement, within the role's time-out."""
        return await self._row(role, sql, values)

    async def _row(self, role: str | None, sql: str, values: Sequence[object]) -> Any:
        limit = self._settings.statement_timeout(role)
        pool = self._pools.get(limit) or await self._pool(limit)
        try:
            async with pool.acquire() as connection:
                return await connection.fetchrow(sql, *values)
        except asyncpg.QueryCanceledError as error:
            raise DatabaseTimeout from error

    async def is_ready(self) -> bool:
        """Whether the database answers."""
        try:
            await self.fetch(None, "SELECT 1", ())
        except (*DATABASE_ERRORS, DatabaseTimeout):
            return False
        return True

    async def designations(self, employee: uuid.UUID) -> tuple[DesignationRow, ...] | None:
        """The designations of an active employee; None where there is no such employee."""
        row = await self._row(None, _DESIGNATIONS, (employee,))
        return None if row is None else tuple(DesignationRow(*found) for found in row["designations"])

    async def partner_token(self, token_hash: str) -> PartnerRow | None:
        """The partner token with this hash."""
        row = await self._row(None, _BY_HASH, (token_hash,))
        return None if row is None else PartnerRow(*row)

    async def _pool(self, limit: float) -> Any:
        async with self._opening:
            if limit not in self._pools:
                self._pools[limit] = await asyncpg.create_pool(
                    self._settings.database_url.get_secret_value(),
                    min_size=1,
                    max_size=self._settings.pool_connections,
                    # The request path changes no session state, so there is none to reset.
                    reset=_keep,
                    # Bounded: a prepared statement costs the server about a hundred times its text.
                    statement_cache_size=100,
                    max_cacheable_statement_size=16 * 1024,
                    server_settings={
                        "application_name": "gateway",
                        "statement_timeout": str(int(limit * 1000)),
                        "timezone": "UTC",
                        "jit": "off",
                        "default_transaction_read_only": "on",
                    },
                )
        return self._pools[limit]


async def _keep(_: object) -> None:
    return None
