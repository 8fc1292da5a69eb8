"""The kinds of columns the tables are made of; each column carries its data-protection tag."""

from __future__ import annotations

from enum import Enum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    Numeric,
    Text,
    Uuid,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Field
from uuid_utils.compat import uuid7

from .tags import TECHNICAL, Tag

# Text is compared by code point in every table: the same order and prefix search on every server.
TEXT = Text(collation="C")
TIME = DateTime(timezone=True)
MONEY = Numeric(12, 2)


class Known(TypeDecorator[str]):
    """The values of an enum as a domain of PostgreSQL's: a text like any other, but where it is stored.

    # PERF: the check of a column is read and planned anew by every statement that writes its table, 10 to
    # 20 µs for the eight values of `change.source` (W5's statement by one connection, in turn); that of a
    # domain is kept.
    """

    impl = Text
    cache_ok = True

    def __init__(self, name: str, values: type[Enum]) -> None:
        super().__init__(collation="C")
        self.name = name
        self.values = tuple(str(value.value) for value in values)


@compiles(Known)
def _written(kind: Known, _: Any, **__: Any) -> str:
    return kind.name


def column(kind: TypeEngine[Any], tag: Tag, *constraints: Any, null: bool = False, **options: Any) -> Any:
    """A column with its tag; not nullable unless `null`."""
    return Field(sa_column=Column(kind, *constraints, nullable=null, info={"tag": tag}, **options))


def primary_key() -> Any:
    """A UUIDv7: random to outsiders, ordered by creation (RFC 9562, section 5.7)."""
    return Field(default_factory=uuid7, sa_column=Column(Uuid(), primary_key=True, info={"tag": TECHNICAL}))


def version() -> Any:
    """The number of the row's present state, for optimistic concurrency."""
    return column(Integer(), TECHNICAL, server_default=text("1"))


def belongs_to(parent: str, key: str, **options: Any) -> ForeignKeyConstraint:
    """A key to a parent of the same customer; whose row it is follows when the parent's is another's."""
    columns, of = [key, "customer_id"], [f"{parent}.id", f"{parent}.customer_id"]
    return ForeignKeyConstraint(columns, of, onupdate="CASCADE", **options)


def of_order(**options: Any) -> ForeignKeyConstraint:
    """A key to the order that a row is about."""
    return belongs_to("orders", "order_id", **options)


def one_of(name: str, values: type[Enum]) -> CheckConstraint:
    """A check that the column holds one of the enum's values."""
    listed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{name} IN ({listed})", name=f"{name}_is_known")
