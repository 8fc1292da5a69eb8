"""What the row rules are made of: conditions, aliases of tables, and the values they bind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Exists,
    FromClause,
    Interval,
    Text,
    Uuid,
    bindparam,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.sql.visitors import replacement_traverse
from sqlmodel import SQLModel

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class AllRows:
    """Every row of the table, no condition needed."""


@dataclass(frozen=True)
class Where:
    """The rows that meet a condition."""

    condition: Condition

    @cached_property
    def per_row(self) -> Condition:
        """The same condition for a value of the row: its look-ups are made row by row.

        # PERF: beside a value PostgreSQL takes `EXISTS` for a hash over the whole table, whatever the page's
        # size: 9.7 ms at 20,000 customers, which grows with them; `OFFSET 0` makes it an index look-up, 0.16.
        """

        def fenced(element: Any, **_: object) -> Any:
            if isinstance(element, Exists):
                query: Any = element.element
                return exists(query.element.offset(literal_column("0")))
            return None

        found: Condition = replacement_traverse(self.condition, {}, fenced)
        return found


RowAccess = AllRows | Where


class Scope(StrEnum):
    """How far `own` (the account, one order) and `assigned…` (all, or the deliveries named) reach."""

    ACCOUNT = "account"
    ONE_ORDER = "one order"
    NAMED_DELIVERIES = "named deliveries"


def some(outer: FromClause, *conditions: Condition) -> Condition:
    """Whether some row of another table meets the conditions, within the row of `outer`."""
    return exists(select(literal_column("1")).where(*conditions).correlate(outer))


def constants(states: tuple[str, ...]) -> list[ColumnElement[str]]:
    # States of the domain, written into the SQL so that PostgreSQL's plan can use the partial indexes.
    return [literal_column(f"'{state}'", Text()) for state in states]


@lru_cache(maxsize=4096)
def row_of(name: str, number: int) -> FromClause:
    """The `number`th alias of a table, the same object each time.

    # PERF: SQLAlchemy copies every column of a new alias; made once, they save a quarter of a
    # statement's compilation (tests/bench/report.md).
    """
    return SQLModel.metadata.tables[name].alias()


def other(name: str) -> FromClause:
    # One alias serves every rule: each stands in a sub-select of its own, which refers to no outer one.
    return row_of(name, 0)


def caller(name: str) -> ColumnElement[Any]:
    """The id the caller has: `customer`, `order`, `carrier`, `employee`, `rotation`; bound when run."""
    return bindparam(f"caller_{name}", type_=Uuid())


def now() -> ColumnElement[Any]:
    """The request's moment, bound when the statement runs, never SQL's own clock."""
    return bindparam("now", type_=DateTime(timezone=True))


def days(setting: str) -> ColumnElement[Any]:
    """A period from the settings, bound when the statement runs."""
    return bindparam(f"period_{setting}", type_=Interval())


# What a rule adds to its base, for an alias of a table, the table's name and the caller's scope.
Adds = Callable[[FromClause, str, Scope], list[Condition]]


def nothing(_: FromClause, __: str, ___: Scope) -> list[Condition]:
    """No condition more than the base's."""
    return []


def in_status(*states: str) -> Adds:
    """While the row has one of these statuses."""
    return lambda table, _, __: [table.c.status.in_(constants(states))]


def parent(
    table: FromClause, name: str, key: str, condition: Callable[[FromClause, str], Condition]
) -> Condition:
    """Whether the row that `key` leads to meets a condition."""
    row = other(name)
    return some(table, row.c.id == table.c[key], condition(row, name))


def holds_key(table: FromClause, column: str, key: ColumnElement[Any]) -> Condition:
    """Whether a key stands in an array column of a table, given as an alias.

    # PERF: the rows are found by the column's index before anything else is asked. Beside `ORDER BY … LIMIT`
    # PostgreSQL would walk all rows by id instead, as it cannot know how rare a bound key is: of 300,000 rows
    # with 20 keys each 1.2 s, and 1 ms this way.
    """
    row = other(table.element.name)  # type: ignore[attr-defined]  # an alias has what it stands for
    holding = select(row.c.id).where(row.c[column].op("@>", is_comparison=True)(array([key], type_=Uuid())))
    return table.c.id == func.any(func.array(holding.scalar_subquery()))
