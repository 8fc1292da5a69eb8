"""Every column that holds a datum about a person, with the fields that show it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import SQLModel

from .fields import columns_of
from .model import Model
from .tags import Personal


@dataclass(frozen=True, slots=True)
class PersonalColumn:
    """A column as `table.column`, its tag, and the coordinates of the fields that show it or part of it."""

    name: str
    tag: Personal
    coordinates: tuple[str, ...]


def personal_columns(model: Model) -> tuple[PersonalColumn, ...]:
    """All of them, also those of tables that no entity shows, in the order of their names."""
    shown: dict[str, set[str]] = {}
    for entity in model.entities.values():
        for field in entity.fields.values():
            for column in columns_of(field.source, entity.table):
                shown.setdefault(str(column), set()).add(field.coordinate)
    found = (
        PersonalColumn(str(column), tag, tuple(sorted(shown.get(str(column), ()))))
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(tag := column.info.get("tag"), Personal)
    )
    return tuple(sorted(found, key=lambda one: one.name))


def coordinates_of_customers(model: Model) -> frozenset[str]:
    """Every field of an entity whose rows are about a customer: what may be disclosed, and is recorded."""
    return frozenset(
        field.coordinate
        for entity in model.entities.values()
        if entity.subject is not None
        for field in entity.fields.values()
    )
