"""How an entity's field is filled: `column`, `computed`, `money`, `address`, `keys`, `one`, `many`.

An entity class is a Strawberry type whose every field carries its source. The gateway's planner reads the
sources; no resolver runs for them. "Add a field" is one line in `schema.tables` and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import strawberry
from sqlalchemy import Column, ColumnElement, FromClause, Integer, Table, Text, case, func, literal_column
from sqlalchemy.sql import visitors
from sqlmodel import SQLModel

Expression = Callable[[FromClause], ColumnElement[Any]]
T = TypeVar("T")

SOURCE = "source"


class Kind(Enum):
    """How a value is written in JSON and compared in SQL, named after its GraphQL type."""

    STRING = "String"
    ID = "ID"
    TIME = "DateTime"
    DATE = "Date"
    DECIMAL = "Decimal"
    INTEGER = "Int"
    BOOLEAN = "Boolean"
    ENUM = "Enum"


class Mask(Enum):
    """What is left of a value: of constant width, so that neither length nor first letter shows."""

    EMAIL = "***@***"
    PHONE = "*** and the last two digits"
    NAME = "***"
    IBAN = "*** and the last four characters"

    @property
    def is_plain(self) -> bool:
        """Whether no character that JSON escapes can be left."""
        return self in (Mask.EMAIL, Mask.PHONE, Mask.NAME)

    def of(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """The masked value in SQL; null stays null."""
        match self:
            case Mask.EMAIL:
                shown: ColumnElement[Any] = literal_column("'***@***'")
            case Mask.NAME:
                shown = literal_column("'***'")
            case Mask.PHONE:
                shown = literal_column("'***'").concat(_last_digits(value))
            case Mask.IBAN:
                shown = literal_column("'***'").concat(func.right(value, literal_column("4")))
        return case((value.is_not(None), shown))


def _last_digits(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """The last two digits, whatever stands between and behind them.

    # PERF: most numbers end in them; with the pattern for all of them PostgreSQL took 0.77 ms for W4
    # unrecorded (`tests/bench/peer_queries`), so 0.67.
    """
    two, nothing = literal_column("2", Integer()), literal_column("''", Text())
    last = func.right(value, two)
    digits = func.regexp_replace(value, literal_column(r"'\D'"), nothing, literal_column("'g'"))
    is_digits = func.translate(last, literal_column("'0123456789'"), nothing) == nothing
    return case((is_digits, last), else_=func.right(digits, two))


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value of the row. `comparable` says whether it may stand in `where` and `orderBy` at all."""

    expression: Expression
    mask: Mask | None = None
    comparable: bool = True


@dataclass(frozen=True, slots=True)
class ValueObject:
    """An object without identity that belongs to its field (`Money`, `Address`).

    It is null where `present` is null, and compared by `compared`, the name of one of its parts.
    """

    parts: Mapping[str, tuple[Kind, Expression]]
    present: Expression
    compared: str | None = None


@dataclass(frozen=True, slots=True)
class ToOne:
    """The row of `target` whose id stands in this row's `key`."""

    target: str
    key: str


@dataclass(frozen=True, slots=True)
class ToMany:
    """The rows of `target` in whose `key` this row's id stands."""

    target: str
    key: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The global ids of the rows of `target` whose ids stand in this row's array column `column`."""

    target: str
    column: str


@dataclass(frozen=True, slots=True)
class Listed:
    """Objects without identity of the GraphQL type `of`: the entries of this row's JSON array `column`.

    An entry holds the `parts`, the type's fields, by their names and as they are answered.
    """

    of: str
    parts: tuple[str, ...]
    column: str


Source = Scalar | ValueObject | ToOne | ToMany | Keys | Listed


class One:
    """Stands for a related entity in a class body until `schema.connections` puts its type there."""


class Many:
    """Stands for a connection in a class body until `schema.connections` puts its type there."""


def _field(source: Source, description: str) -> Any:
    return strawberry.field(description=description, metadata={SOURCE: source})


def column(description: str, *, of: str | None = None, mask: Mask | None = None) -> Any:
    """A field that shows a column; `of` names it where its name differs from the field's."""
    field: Any = _field(Scalar(lambda table: table.c[of or field.python_name], mask), description)
    return field


def computed(description: str, expression: Expression) -> Any:
    """A field made from other columns; it cannot be filtered or sorted by."""
    return _field(Scalar(expression, comparable=False), description)


def money(description: str, amount: str) -> Any:
    """A `Money` of the column `amount` and the row's currency, compared by its amount."""
    parts = {"amount": (Kind.DECIMAL, _column(amount)), "currency": (Kind.STRING, _column("currency"))}
    return _field(ValueObject(parts, _column(amount), "amount"), description)


def address(description: str, prefix: str) -> Any:
    """An `Address` of the four columns that begin with `prefix`; null where all four are."""
    columns = {
        "streetAddress": f"{prefix}_street_address",
        "postalCode": f"{prefix}_postal_code",
        "postalTown": f"{prefix}_postal_town",
        "countryCode": f"{prefix}_country_code",
    }
    parts = {name: (Kind.STRING, _column(of)) for name, of in columns.items()}

    def present(table: FromClause) -> ColumnElement[Any]:
        return func.coalesce(*(table.c[of] for of in columns.values()))

    return _field(ValueObject(parts, present), description)


def _column(name: str) -> Expression:
    return lambda table: table.c[name]


def one(target: str, description: str, *, key: str) -> Any:
    """A field that leads to one other entity."""
    return _field(ToOne(target, key), description)


def many(target: str, description: str, *, key: str) -> Any:
    """A field that leads to a connection of other entities."""
    return _field(ToMany(target, key), description)


def keys(target: str, description: str, *, of: str) -> Any:
    """A field that lists the global ids of other entities, which need not be there any more."""
    return _field(Keys(target, of), description)


def listed(of: type, description: str, *, column: str) -> Any:
    """A field that lists objects of a Strawberry type without identity, kept as one JSON array.

    The names of the type's fields are single words.
    """
    declared: Any = of.__strawberry_definition__  # type: ignore[attr-defined]  # set by Strawberry
    parts = tuple(field.python_name for field in declared.fields)
    return _field(Listed(declared.name, parts, column), description)


def columns_of(source: Source, table: Table) -> Iterator[Column[Any]]:
    """The columns of its own table that a field is made of."""
    match source:
        case Scalar(expression=expression):
            made = [expression(table)]
        case ValueObject(parts=parts, present=present):
            made = [present(table), *(part(table) for _, part in parts.values())]
        case ToOne(key=key) | Keys(column=key) | Listed(column=key):
            made = [table.c[key]]
        case ToMany():
            made = []
    for one in made:
        for element in visitors.iterate(one):
            if isinstance(element, Column) and element.table is table:
                yield element


@strawberry.interface(description="Anything with a global id (Relay object identification).")
class Node:
    id: strawberry.ID = strawberry.field(
        description="The global id: base64 of `Type:uuid`.",
        metadata={SOURCE: Scalar(lambda table: table.c.id)},
    )


TABLE = "__entity_table__"


def entity(table: type[SQLModel], *, description: str) -> Callable[[type[T]], type[T]]:
    """Makes a class the Strawberry type of a table's rows."""

    def declare(declared: type[T]) -> type[T]:
        setattr(declared, TABLE, SQLModel.metadata.tables[str(table.__tablename__)])
        return strawberry.type(declared, description=description)

    return declare


def table_of(declared: type) -> Table:
    """The table an entity class was declared for."""
    found: Table = getattr(declared, TABLE)
    return found
