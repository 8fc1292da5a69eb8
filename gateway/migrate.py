"""Brings a database to the tables this gateway knows, and says whether it is there.

Takes a database URL. Gives a migrated database, or the answer whether it is one.
Rejects a database it cannot reach and one that a newer gateway has migrated, each with `StartError`.

The URL is read by asyncpg itself, as on the request path, so every form it knows works here too:
`postgresql://user:password@host:port/name`, and `postgresql://user:password@/name?host=/socket/folder`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from gateway.errors import StartError
from gateway.migrations.steps import keeper_grants, retention_grants

CONNECT_TIMEOUT_SECONDS = 10

Result = TypeVar("Result")


def migrate(url: str, *, role: str = "gateway", keeper: str = "gateway_keeper") -> None:
    """Upgrades the database to the newest revision, in one transaction; does nothing when it is there.

    `url` names the owner of the tables. `role` is the login role of `gateway serve`: it may read and write
    what requests read and write, column by column, and nothing else. `keeper` is that of `gateway audit
    drop` and `gateway retention run`, and gets its rights at every call, as it may be made later than the
    tables. A role that does not exist, or owns the tables, is left alone.

    Must not be called from a running event loop. Raises `StartError`, also where the two are one role.
    """
    if role == keeper:
        raise StartError("`--role` and `--keeper` are two roles: who serves may not delete what was recorded")

    def upgrade(connection: Connection) -> None:
        _reject_newer(connection)
        command.upgrade(migration_config(connection, role, keeper), "head")
        _grant_keeper(connection, keeper)

    on_database(url, upgrade)


def _grant_keeper(connection: Connection, keeper: str) -> None:
    found = text("SELECT 1 FROM pg_roles WHERE rolname = :role AND rolname <> current_user")
    if connection.execute(found, {"role": keeper}).scalar() is not None:
        quoted = connection.dialect.identifier_preparer.quote_identifier(keeper)
        for statement in (*keeper_grants(quoted), *retention_grants(quoted)):
            connection.execute(text(statement))


def current_is_head(url: str) -> bool:
    """Whether the database is at the newest revision, false for an empty one.

    Must not be called from a running event loop. Raises `StartError`, also for a newer database.
    """

    def compare(connection: Connection) -> bool:
        _reject_newer(connection)
        return set(_revisions(connection)) == set(_scripts().get_heads())

    return on_database(url, compare)


def migration_config(connection: Connection, role: str = "gateway", keeper: str = "gateway_keeper") -> Config:
    """Alembic's configuration for commands on this connection; no `alembic.ini` is needed."""
    config = _config()
    config.attributes["connection"] = connection
    config.attributes["role"] = role
    config.attributes["keeper"] = keeper
    return config


def on_database(url: str, step: Callable[[Connection], Result]) -> Result:
    """What `step` returns for a connection to the database, whose changes are committed.

    Must not be called from a running event loop. Raises `StartError` when there is no connection.
    """
    return asyncio.run(_on_database(url, step))


async def _on_database(url: str, step: Callable[[Connection], Result]) -> Result:
    async def connect() -> asyncpg.Connection:
        try:
            return await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_SECONDS)
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StartError(_no_connection(error)) from None

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(step)
    except DBAPIError as error:
        raise StartError(f"the database refuses: {_first_line(error.orig)}") from error
    finally:
        await engine.dispose()


def _no_connection(error: Exception) -> str:
    """One line without the URL, which holds the password."""
    match error:
        case TimeoutError():
            reason = f"no answer within {CONNECT_TIMEOUT_SECONDS} s"
        case ValueError() | asyncpg.InterfaceError():
            reason = "the URL is not of the form `postgresql://user:password@host:port/name`"
        case _:
            reason = _first_line(error)
    return f"the database cannot be reached: {reason}"


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _reject_newer(connection: Connection) -> None:
    scripts = _scripts()
    known = {script.revision for script in scripts.walk_revisions()}
    for revision in _revisions(connection):
        if revision not in known:
            raise StartError(
                f"the database has a newer schema (`{revision}`) than this gateway knows "
                f"(`{scripts.get_current_head()}`): install a newer gateway"
            )


def _revisions(connection: Connection) -> tuple[str, ...]:
    return MigrationContext.configure(connection).get_current_heads()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "gateway:migrations")  # also found in an installed wheel
    return config
