"""How values and objects become JSON inside PostgreSQL.

# PERF: `json_agg` and `row_to_json` over a sub-select's row type write a list in 0.75 of the time of
# `json_build_object` per row (tests/bench/report.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Label,
    LargeBinary,
    Select,
    Subquery,
    Text,
    cast,
    column,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB, array

from schema.fields import Kind

from ..plan.values import Constant

Expression = ColumnElement[Any]
Pair = tuple[str, Expression]

# The name of every sub-select whose rows become objects. No response key can be this name (GraphQL
# specification, section 2.1.9), so that naming the row never names a column.
ROW = "row$"

# PostgreSQL cuts names at 63 bytes and refuses a row of more than 1,664 columns.
LONGEST_NAME_BYTES = 63
MOST_COLUMNS = 1600
# ... and a function call of more than 100 arguments.
MOST_PAIRS = 50


def text_literal(text: str) -> Expression:
    """A constant text: names of types and fields only, never a caller's value."""
    escaped = text.replace("'", "''")
    return literal_column(f"'{escaped}'::text", Text())


def json_null() -> Expression:
    """A JSON null."""
    return literal_column("NULL::json", JSON())


def written(kind: Kind | None, value: Expression, type_name: str) -> Expression:
    """A value as its scalar is written: ids as global ids, times in UTC, decimals as text."""
    match kind:
        case Kind.ID:
            return global_id(type_name, value)
        case Kind.TIME:
            # INVARIANT: every session's time zone is UTC (`gateway.database`).
            return func.to_char(value, literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""))
        case Kind.DECIMAL:
            return cast(value, Text())
        case _:
            return value


def global_id(type_name: str, key: Expression) -> Expression:
    """A Relay global id of a key."""
    plain = text_literal(f"{type_name}:").concat(cast(key, Text()))
    return func.encode(cast(plain, LargeBinary()), literal_column("'base64'"), type_=Text())


def global_ids(type_name: str, keys: Expression) -> Expression:
    """The Relay global ids of an array of keys, in its order."""
    key = func.unnest(keys).table_valued("key", with_ordinality="place").render_derived()
    listed = select(global_id(type_name, key.c.key)).order_by(key.c.place)
    return func.array(listed.scalar_subquery(), type_=ARRAY(Text()))


def entries(
    parts: Sequence[tuple[str, str | Constant]], listed: Expression, outer: Sequence[Any]
) -> Expression:
    """The objects of a JSON array, each with these parts of it under their keys, in its order."""
    entry = func.jsonb_array_elements(listed).table_valued(column("value", JSONB()), with_ordinality="place")
    entry = entry.render_derived(name="entry")
    pairs = [
        (
            key,
            text_literal(part.value or "")
            if isinstance(part, Constant)
            else entry.c.value.op("->")(text_literal(part)),
        )
        for key, part in parts
    ]
    found = select(*columns(pairs)).select_from(entry).order_by(entry.c.place).subquery(ROW)
    return object_of(select(list_value(pairs, found)), *outer)


def is_narrow(pairs: Sequence[Pair]) -> bool:
    """Whether an object's keys can be the column names of one row."""
    return len(pairs) <= MOST_COLUMNS and all(len(key.encode()) <= LONGEST_NAME_BYTES for key, _ in pairs)


def columns(pairs: Sequence[Pair]) -> list[Label[Any]]:
    """The columns of a sub-select whose rows `row_value` reads as objects."""
    if pairs and is_narrow(pairs):
        return [value.label(key) for key, value in pairs]
    return [wide_object(pairs).label("object")]


def row_value(pairs: Sequence[Pair], rows: Subquery) -> Expression:
    """One row of a sub-select made of `columns`, as an object."""
    if pairs and is_narrow(pairs):
        return func.row_to_json(rows.table_valued(), type_=JSON())
    return rows.c.object


def list_value(pairs: Sequence[Pair], rows: Subquery) -> Expression:
    """All rows of a sub-select made of `columns`, as a list of objects, in the sub-select's order."""
    entry: Any = rows.table_valued() if pairs and is_narrow(pairs) else rows.c.object
    return func.coalesce(func.json_agg(entry), literal_column("'[]'::json"), type_=JSON())


def wide_object(pairs: Sequence[Pair]) -> Expression:
    """An object of any number of keys of any length."""
    if not pairs:
        return literal_column("'{}'::json", JSON())
    entries = [
        text_literal(f'"{key}":').concat(
            func.coalesce(cast(func.to_json(value), Text()), text_literal("null"))
        )
        for key, value in pairs
    ]
    joined = func.array_to_string(array(entries), text_literal(","), type_=Text())
    return cast(text_literal("{").concat(joined).concat(text_literal("}")), JSON())


def small_object(pairs: Sequence[Pair]) -> Expression:
    """An object that is made once per list, not once per row."""
    if not pairs or len(pairs) > MOST_PAIRS:
        return wide_object(pairs)
    arguments = [part for key, value in pairs for part in (text_literal(key), value)]
    return func.json_build_object(*arguments, type_=JSON())


def standalone_object(pairs: Sequence[Pair], *outer: Any) -> Expression:
    """An object of values of the enclosing row."""
    if not pairs or not is_narrow(pairs):
        return wide_object(pairs)
    rows = select(*columns(pairs)).correlate(*outer).subquery(ROW)
    return object_of(select(row_value(pairs, rows)), *outer)


def object_of(query: Select[Any], *outer: Any) -> Expression:
    """The single value of a query, within the rows of `outer`."""
    return type_coerce(query.correlate(*outer).scalar_subquery(), JSON())
