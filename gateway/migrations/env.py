"""Alembic's environment: runs the revisions on the connection that `gateway.migrate` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text
from sqlmodel import SQLModel

import schema.tables  # noqa: F401  # fills SQLModel.metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata)
with context.begin_transaction():
    # Two gateways that start together migrate one after the other.
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('gateway.migrate', 0))"))
    context.run_migrations()
