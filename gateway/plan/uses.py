"""What a root field uses of personal data: what goes on the record. Pure.

Takes a planned root. Gives the coordinates whose values are shown, and those compared or sorted by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schema.model import Field

from .values import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Connection,
    Edges,
    EventRoot,
    IsNull,
    Item,
    ListRoot,
    LookupRoot,
    NodeRoot,
    Nodes,
    NodesRoot,
    Not,
    Record,
    Related,
    Root,
    ToManyPage,
    ToOneRecord,
    TotalCount,
    Value,
)


@dataclass(frozen=True, slots=True)
class Uses:
    """Coordinates of personal fields, sorted: those shown, masked ones too; those compared or sorted by."""

    shown: tuple[str, ...]
    compared: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every personal field that is used."""
        return tuple(sorted({*self.shown, *self.compared}))


def uses_of(root: Root) -> Uses:
    """What a root field uses of personal data."""
    shown = {field.coordinate for field in _shown(root) if field.personal}
    compared = {field.coordinate for field in _compared(root) if field.personal}
    return Uses(tuple(sorted(shown)), tuple(sorted(compared)))


def records_of(root: Root) -> tuple[Record, ...]:
    """The records a root field shows of its own rows."""
    match root:
        case ListRoot(_, connection):
            return records_in(connection)
        case LookupRoot(record=record) | NodeRoot(record=record) | EventRoot(record=record):
            return (record,)
        case NodesRoot(records=records):
            return records
        case _:
            return ()


def records_in(connection: Connection) -> tuple[Record, ...]:
    """The records a connection shows of its rows."""
    found = []
    for item in connection.items:
        match item:
            case Nodes(_, record):
                found.append(record)
            case Edges(_, parts):
                found += [part for _, part in parts if isinstance(part, Record)]
    return tuple(found)


def is_counted(connection: Connection) -> bool:
    """Whether a connection says how many rows there are."""
    return any(isinstance(item, TotalCount) for item in connection.items)


def fields_shown(item: Item) -> Iterator[Field]:
    """The fields whose values an item of a record shows, at every depth."""
    match item:
        case Value(field=field):
            yield field
        case ToOneRecord(field=field, record=record):
            # Whose a thing is, is said by the link alone.
            yield field
            yield from _of_record(record)
        case ToManyPage(field=field, connection=connection):
            if is_counted(connection):
                yield field
            for record in records_in(connection):
                yield from _of_record(record)


def _of_record(record: Record) -> Iterator[Field]:
    for item in record.items:
        yield from fields_shown(item)


def _shown(root: Root) -> Iterator[Field]:
    for record in records_of(root):
        yield from _of_record(record)


def _compared(root: Root) -> Iterator[Field]:
    match root:
        case ListRoot(_, connection):
            yield from _of_connection(connection)
        case LookupRoot(field=field):
            yield field
        case EventRoot(condition=condition):
            yield from _of_condition(condition)
    for record in records_of(root):
        yield from _below(record)


def _below(record: Record) -> Iterator[Field]:
    """What the conditions and orders of the lists under a record compare."""
    for item in record.items:
        match item:
            case ToOneRecord(record=related):
                yield from _below(related)
            case ToManyPage(connection=connection):
                yield from _of_connection(connection)
                for one in records_in(connection):
                    yield from _below(one)


def _of_connection(connection: Connection) -> Iterator[Field]:
    if connection.where is not None:
        yield from _of_condition(connection.where)
    yield from (key.field for key in connection.order)


def _of_condition(condition: Condition) -> Iterator[Field]:
    match condition:
        case Compare(field=field) | IsNull(field=field):
            yield field
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _of_condition(part)
        case Not(part):
            yield from _of_condition(part)
        case Related(field=field, condition=below):
            yield field
            yield from _of_condition(below)
