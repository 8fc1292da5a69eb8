"""What an operation costs, known before any SQL: rows times fields, with the price of finding them.

A price is how long PostgreSQL works, 1 being one value of one row: about half a microsecond. It is the most
that the operation can come to: full pages, and for a list of a whole register a register of some ten thousand
rows, whoever asks. So the same plan costs every role the same. Pure; the cost is a part of the plan.

# PERF: the prices are relations between prepared statements on the demo's data, 5,000 customers and 15,000
# orders, the least of 21 runs each. `python -m tests.bench.prices` measures them again.
"""

from __future__ import annotations

from ..grants import Masked, PerRow
from .values import (
    AllOf,
    AnyOf,
    Condition,
    Connection,
    ConnectionItem,
    Edges,
    EventRoot,
    Item,
    Listed,
    ListRoot,
    LocalRoot,
    LookupRoot,
    MutationRoot,
    NodeRoot,
    Nodes,
    NodesRoot,
    Not,
    PageField,
    PageInfo,
    Record,
    Related,
    Root,
    ToManyPage,
    ToOneRecord,
    TotalCount,
    Value,
)

# A text takes 0.3 µs, a time 0.75 µs, written as JSON.
VALUE = 1
# Finding a row and making its object takes 1.7 µs, by its key from another row 1.8 µs.
ROW = 3
# A mask of a number takes its digits apart: 0.8 µs beside the value.
MASK = 2
# A value with a rule of its own is a `CASE`: 0.2 µs more.
RULE = 1
# A list below a row is a search of its own: 4 µs for the two rows it has.
LIST = 5
# Of a list below a row: a comparison took 3.3 µs, a sort 5 µs, a count 2.3 µs; what a condition looks for in
# another table is a search again, for each row compared.
COMPARED = 5
SORTED = 10
COUNTED = 5
RELATED = 20
# A list of the register is looked through as if it were a thousand of those below a row. Of 15,000 orders a
# count took 1.8 ms (0.5 ms where every row is seen), a page none of whose rows fits a comparison 9.5 ms, a
# sort 18 ms and 8 ms for the second key, a condition on their lines 20 ms.
REGISTER = 1000
# Parsing, binding, and the way to PostgreSQL and back: 60 µs at least.
ROOT = 100
# Introspection of the whole schema takes Python 70 ms, a type half a millisecond, the caller's grants 1.4 ms.
SCHEMA, LOCAL = 100_000, 1000
# A change takes some statements of its own, and a flush to disk.
CHANGE = 1000
# Where a secret is tried, argon2 takes 30 ms of a core, by design.
SECRET = 50_000


# The least any request costs.
LEAST = ROOT


def root_cost(root: Root, page_limit: int) -> int:
    """What a root field costs at most."""
    return ROOT + _below_root(root, page_limit)


def _below_root(root: Root, page_limit: int) -> int:
    match root:
        case ListRoot(_, connection):
            return connection_cost(connection, REGISTER)
        case LookupRoot(record=record) | NodeRoot(record=record):
            return record_cost(record)
        case EventRoot(condition=condition, record=record):
            return condition_cost(condition) + record_cost(record)
        case NodesRoot(operand=operand, records=records):
            number = len(operand.source.items) if isinstance(operand.source, Listed) else page_limit
            return number * max((record_cost(record) for record in records), default=VALUE)
        case MutationRoot(mutation=mutation, payload=payload):
            return (SECRET if mutation.alone else CHANGE) + payload.cost
        case LocalRoot(name="__schema"):
            return SCHEMA
        case LocalRoot():
            return LOCAL
        case _:
            return VALUE


def record_cost(record: Record) -> int:
    """One row and all below it."""
    return ROW + sum(_item_cost(item) for item in record.items)


def _item_cost(item: Item) -> int:
    match item:
        case ToOneRecord(record=record):
            return record_cost(record)
        case ToManyPage(connection=connection):
            return LIST + connection_cost(connection, 1)
        case Value(decision=decision, parts=parts):
            return VALUE * max(1, len(parts)) + _decision_cost(decision)
        case _:
            return VALUE


def _decision_cost(decision: object) -> int:
    match decision:
        case Masked():
            return MASK
        case PerRow(mask=mask):
            return RULE + (MASK if mask else 0)
        case _:
            return 0


def connection_cost(connection: Connection, rows: int) -> int:
    """A full page and how it is found, in a list of so many times the rows that lists below a row have."""
    parts = sum(_part_cost(item, connection, rows) for item in connection.items)
    is_searched = any(isinstance(item, Nodes | Edges | PageInfo) for item in connection.items)
    return parts + (rows * _search_cost(connection) if is_searched else 0)


def _part_cost(item: ConnectionItem, connection: Connection, rows: int) -> int:
    size = connection.page.size
    match item:
        case Nodes(_, record):
            return size * record_cost(record)
        case Edges(_, items):
            return size * sum(record_cost(part) if isinstance(part, Record) else VALUE for _, part in items)
        case TotalCount():
            return rows * (COUNTED + _filter_cost(connection))
        case PageInfo(_, items):
            # Whether there is more on a cursor's other side is a search of its own.
            has_cursor = connection.page.after is not None or connection.page.before is not None
            asked = [part for _, part in items if part in (PageField.HAS_NEXT, PageField.HAS_PREVIOUS)]
            return len(items) * VALUE + (len(asked) * rows * _search_cost(connection) if has_cursor else 0)
        case _:
            return VALUE


def _search_cost(connection: Connection) -> int:
    return _filter_cost(connection) + SORTED * len(connection.order)


def _filter_cost(connection: Connection) -> int:
    return 0 if connection.where is None else condition_cost(connection.where)


def condition_cost(condition: Condition) -> int:
    """What a condition costs on the rows of a list below a row."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return sum(condition_cost(part) for part in parts)
        case Not(part):
            return condition_cost(part)
        case Related(condition=below):
            return RELATED + condition_cost(below)
        case _:
            return COMPARED
