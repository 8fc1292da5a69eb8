"""What an operation may cost: the number of values it can ask PostgreSQL for, known before any SQL."""

from __future__ import annotations

from .values import (
    Connection,
    ConnectionItem,
    Edges,
    EventRoot,
    Item,
    ListRoot,
    LookupRoot,
    MutationRoot,
    NodeRoot,
    Nodes,
    NodesRoot,
    Record,
    Root,
    ToManyPage,
    ToOneRecord,
    TotalCount,
)

# A count goes over the whole list, however long.
COUNT_COST = 100
# A change takes some statements of its own.
MUTATION_COST = 100


def root_cost(root: Root, page_limit: int) -> int:
    """The values a root field can give, each counted as 1."""
    match root:
        case ListRoot(_, connection):
            return connection_cost(connection)
        case LookupRoot(record=record) | NodeRoot(record=record) | EventRoot(record=record):
            return record_cost(record)
        case NodesRoot(records=records):
            return page_limit * max((record_cost(record) for record in records), default=1)
        case MutationRoot(payload=payload):
            return MUTATION_COST + payload.cost
        case _:
            return 1


def record_cost(record: Record) -> int:
    """The values of one row and all below it."""
    return 1 + sum(_item_cost(item) for item in record.items)


def _item_cost(item: Item) -> int:
    match item:
        case ToOneRecord(record=record):
            return record_cost(record)
        case ToManyPage(connection=connection):
            return connection_cost(connection)
        case _:
            return 1


def connection_cost(connection: Connection) -> int:
    """The values of a full page."""
    return 1 + sum(_part_cost(item, connection.page.size) for item in connection.items)


def _part_cost(item: ConnectionItem, size: int) -> int:
    match item:
        case Nodes(_, record):
            return size * record_cost(record)
        case Edges(_, items):
            return size * sum(record_cost(part) if isinstance(part, Record) else 1 for _, part in items)
        case TotalCount():
            return COUNT_COST
        case _:
            return 1
