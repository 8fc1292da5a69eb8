"""The parts that revisions after the first are made of; what a part makes may not change any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import context, op

TEXT = sa.Text(collation="C")
TIME = sa.DateTime(timezone=True)
MONEY = sa.Numeric(12, 2)


def key(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True)


def required(kind: Any, *names: str, default: str | None = None) -> tuple[sa.Column[Any], ...]:
    value = None if default is None else sa.text(default)
    return tuple(sa.Column(name, kind, nullable=False, server_default=value) for name in names)


def optional(kind: Any, *names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, kind, nullable=True) for name in names)


def one_of(name: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{name} IN ({listed})", name=f"{name}_is_known")


def points_to(parent: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"])


def index(name: str, table: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    options: dict[str, Any] = {} if where is None else {"postgresql_where": sa.text(where)}
    op.create_index(name, table, list(columns), unique=unique, **options)


def on_login_role(change: Callable[[str], None]) -> None:
    """Calls `change` with the quoted login role, unless it does not exist or owns the tables."""
    role = context.config.attributes["role"]
    found = sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role AND rolname <> current_user")
    bind = op.get_bind()
    if bind.execute(found, {"role": role}).scalar() is not None:
        change(bind.dialect.identifier_preparer.quote_identifier(role))
