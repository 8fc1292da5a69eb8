"""What is given away of one person's data, as JSON that PostgreSQL makes.

A `Section` is what is given of one table. `sections` makes them of coordinates; whoever gives more than the
schema shows makes others. `document` is the whole, as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import FromClause, Uuid, bindparam, select

from schema.fields import Keys, Listed, Scalar, ValueObject
from schema.model import Field, Model

from ..grants import Grants, Rows, Shown
from ..plan.values import Record, Value
from ..row_rules import Scope
from ..statements.bound import compiled
from ..statements.builder import Builder
from ..statements.conditions import Sql, visible
from ..statements.json_values import Pair, joined, list_of, object_of, single

FORMAT = "customer-export/1"


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of a table that are about the person: their values by name, and which of them are given."""

    name: str
    row: FromClause
    values: tuple[Pair, ...]
    # Which rows are given, that they are about the person among them.
    conditions: tuple[Sql, ...]


def field_of(model: Model, coordinate: str) -> Field | None:
    """The field with this coordinate, if it is a value of a row about one customer."""
    type_name, _, name = coordinate.partition(".")
    entity = model.entities.get(type_name)
    if entity is None or entity.subject is None:
        return None
    found = entity.fields.get(name)
    return (
        found
        if found is not None and isinstance(found.source, Scalar | ValueObject | Keys | Listed)
        else None
    )


def sections(model: Model, grants: Grants, scope: Scope, coordinates: Iterable[str]) -> tuple[Section, ...]:
    """The sections of these coordinates, which the caller may read; none of a type they do not see."""
    wanted: dict[str, list[Field]] = {}
    for coordinate in sorted(set(coordinates)):
        field = field_of(model, coordinate)
        if field is not None:
            wanted.setdefault(coordinate.partition(".")[0], []).append(field)
    builder = Builder(scope)
    return tuple(
        _section(builder, model, name, fields, access.rules)
        for name, fields in wanted.items()
        if isinstance(access := grants.type_access(name), Rows)
    )


def _section(
    builder: Builder, model: Model, name: str, fields: Iterable[Field], rules: frozenset[str]
) -> Section:
    entity = model.entities[name]
    subject = entity.subject
    assert subject is not None  # noqa: S101  # `field_of` has looked
    row = builder.new_row(entity)
    values = tuple(Value(field.name, field, Shown(), _parts(field)) for field in fields)
    pairs = builder.pairs(Record(entity, rules, values), row, ())
    is_about = row.c[subject] == bindparam("subject", type_=Uuid())
    return Section(name, row, tuple(pairs), (is_about, *visible(rules, entity, row, builder.scope)))


def _parts(field: Field) -> tuple[tuple[str, str], ...]:
    of = field.source
    return tuple((part, part) for part in of.parts) if isinstance(of, ValueObject | Listed) else ()


def statement(given: Iterable[Section]) -> tuple[str, tuple[str, ...]]:
    """The SQL of the sections' rows by name, oldest first, and what it binds: `subject`, and what rules do.

    The single row has the JSON as the text `entities`.
    """
    pairs: list[Pair] = []
    for section in given:
        row = section.row
        query = select(object_of(section.values).sql().label("object")).select_from(row)
        rows = query.where(*section.conditions).order_by(row.c.id).subquery("exported")
        pairs.append((section.name, list_of(single(select(joined(rows.c.object))))))
    return compiled(select(object_of(pairs).sql().label("entities")))


def document(header: Mapping[str, object], coordinates: Iterable[str], entities: str) -> str:
    """The document: what it is about, which coordinates it holds, and the rows that PostgreSQL has made."""
    whole = {"format": FORMAT, **header, "fields": sorted(set(coordinates))}
    return orjson.dumps({**whole, "entities": orjson.Fragment(entities)}).decode()
