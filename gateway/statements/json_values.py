"""How values and objects become JSON inside PostgreSQL: as text, put together of its parts.

# PERF: PostgreSQL's 4.3 ms for 1,000 orders of six values by `json_agg` over the rows of a sub-select, which
# looks every column's type up again for each row, became 3.3 (W3b unrecorded, the two statements in turn by
# one connection). An object of texts beside `json_agg`: tests/bench/report.md, "Single steps".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    Text,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, array
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from schema.fields import Kind

from ..plan.values import Constant

Expression = ColumnElement[Any]

# PostgreSQL refuses a function call of more than 100 arguments.
MOST_ARGUMENTS = 100
# PERF: of W3b's amounts, with one text to escape, `json_object` takes as long as `concat`; its blanks are 3
# bytes more a key.
FEWEST_ESCAPED = 3
# Base64 of more bytes than `Type:` and a key of 36 would be cut into lines.
LONGEST_TYPE_NAME = 19


class PlainText(Text):
    """The type of a text that has no character to escape."""


class JsonText(Text):
    """The type of a text that is JSON."""


class _Around(FunctionElement[str]):
    """An expression with SQL around it; one element, where SQLAlchemy's own would be three or four.

    # PERF: an object of seven values is made and compiled in 0.68 of the time that theirs take (`timeit`).
    """

    inherit_cache = False

    def __init__(self, before: str, value: Expression, after: str) -> None:
        super().__init__(value)
        self.before, self.value, self.after, self.type = before, value, after, JsonText()


class _Concat(FunctionElement[str]):
    """Texts and expressions, put together."""

    inherit_cache = False

    def __init__(self, parts: Sequence[str | Expression]) -> None:
        super().__init__(*(part for part in parts if not isinstance(part, str)))
        self.parts, self.type = parts, JsonText()


@compiles(_Around)
def _around(element: _Around, compiler: Any, **given: Any) -> str:
    return f"{element.before}{compiler.process(element.clauses, **given)}{element.after}"


@compiles(_Concat)
def _concatenated(element: _Concat, compiler: Any, **given: Any) -> str:
    # Its own expressions, as they are now: SQLAlchemy may have put others in their place.
    made = iter(element.clauses)
    pieces = [
        _literal(part) if isinstance(part, str) else compiler.process(next(made), **given)
        for part in _merged(element.parts)
    ]
    while len(pieces) > MOST_ARGUMENTS:
        starts = range(0, len(pieces), MOST_ARGUMENTS)
        pieces = [f"concat({', '.join(pieces[one : one + MOST_ARGUMENTS])})" for one in starts]
    return f"concat({', '.join(pieces)})"


@dataclass(frozen=True, slots=True)
class Json:
    """JSON of fixed text with expressions between; one of them that is null adds nothing."""

    parts: tuple[str | Expression, ...]

    def sql(self) -> Expression:
        """The whole as one expression, which is never null."""
        match self.parts:
            case (ColumnElement(type=JsonText()) as one,):
                return one
            case parts:
                return _Concat(parts)


# What stands in JSON: JSON that is never null, or an expression of a value or of JSON that may be.
Made = Expression | Json
Pair = tuple[str, Made]

NULL = Json(("null",))


def _merged(parts: Sequence[str | Expression]) -> Iterator[str | Expression]:
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text:
            yield text
        yield part
        text = ""
    if text:
        yield text


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def text_literal(text: str) -> Expression:
    """A constant text: names of types and fields only, never a caller's value."""
    return literal_column(f"{_literal(text)}::text", Text())


def json_literal(text: str | None) -> Json:
    """A constant text as JSON: a name of the schema, which has no character to escape."""
    if text is not None and not text.isidentifier():
        raise AssertionError("a constant of an answer is a name")
    return NULL if text is None else Json((f'"{text}"',))


def _texts_of(values: Iterable[Made]) -> list[Expression]:
    """Those that are texts of values."""
    return [
        value
        for value in values
        if not isinstance(value, Json)
        and isinstance(value.type, Text)
        and not isinstance(value.type, JsonText)
    ]


def _json_text(value: Made) -> Expression:
    """The JSON of a value, null where it is null."""
    if isinstance(value, Json):
        return value.sql()
    match value.type:
        case JsonText():
            return value
        case PlainText():
            return _Around("""'"' || """, value, """ || '"'""")
        case Integer() | Boolean():
            return _Around("CAST(", value, " AS TEXT)")
        case _:
            return _Around("to_json(", value, ")::text")


def one_of(choices: Sequence[tuple[ColumnElement[bool], Made]]) -> Expression:
    """What stands by the first condition that holds, null where none does."""
    texts = _texts_of(value for _, value in choices)
    if len(texts) < len(choices):
        made = case(*((condition, _json_text(value)) for condition, value in choices))
        return type_coerce(made, JsonText())
    # INVARIANT: where one of them may have a character to escape, all of them are escaped.
    is_plain = all(isinstance(text.type, PlainText) for text in texts)
    return type_coerce(case(*choices), PlainText() if is_plain else Text())


def json_of(value: Made) -> Json:
    """The JSON of a value, `null` where it is null."""
    if isinstance(value, Json):
        return value
    match _json_text(value):
        case _Around(before=before, after=after, value=inner):
            return Json((_Around(f"coalesce({before}", inner, f"{after}, 'null')"),))
        case made:
            return Json((_Around("coalesce(", made, ", 'null')"),))


def object_of(pairs: Sequence[Pair]) -> Json:
    """An object of these keys, which are GraphQL names, and values."""
    if not all(key.isidentifier() for key, _ in pairs):
        raise AssertionError("a key of an answer is a name")
    texts = _texts_of(value for _, value in pairs)
    escaped = [text for text in texts if not isinstance(text.type, PlainText)]
    if len(texts) == len(pairs) and len(escaped) >= FEWEST_ESCAPED:
        return Json((_object_of_texts([key for key, _ in pairs], texts),))
    parts: list[str | Expression] = []
    for key, value in pairs:
        parts += (f'{"," if parts else ""}"{key}":', *json_of(value).parts)
    return Json(("{", *parts, "}"))


def _object_of_texts(keys: Sequence[str], texts: Sequence[Expression]) -> Expression:
    # PERF: this escapes them all at once: 0.93 of PostgreSQL's time for W2, measured as above.
    names = ",".join(f'"{key}"' for key in keys)
    values: Any = array(texts, type_=Text())
    return cast(func.json_object(literal_column(f"'{{{names}}}'::text[]"), values), JsonText())


def list_of(entries: Expression) -> Json:
    """A list of entries that are `joined`, of none where it is null."""
    return Json(("[", entries, "]"))


def joined(entry: Expression, *order: ColumnElement[Any]) -> Any:
    """The JSON of all rows with commas between, null where there is none; in this order, or the rows' own."""
    comma = literal_column("','", Text())
    return func.string_agg(entry, aggregate_order_by(comma, *order) if order else comma, type_=JsonText())


def single(query: Select[Any], *outer: Any) -> Expression:
    """The JSON that a query's one row is, null where it has none, within the rows of `outer`."""
    return type_coerce(query.correlate(*outer).scalar_subquery(), JsonText())


def written(kind: Kind | None, value: Expression, type_name: str) -> Expression:
    """A value as its scalar is written: ids as global ids, times in UTC, decimals as text."""
    match kind:
        case Kind.ID:
            return global_id(type_name, value)
        case Kind.TIME:
            # INVARIANT: every session's time zone is UTC (`gateway.database`).
            form = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
            return func.to_char(value, literal_column(form), type_=PlainText())
        case Kind.DECIMAL:
            return cast(value, PlainText())
        case Kind.ENUM:
            # INVARIANT: the database holds enumerations' own names alone (`tests/test_json_values.py`).
            return type_coerce(value, PlainText())
        case _:
            return value


def global_id(type_name: str, key: Expression) -> Expression:
    """A Relay global id of a key."""
    if len(type_name) > LONGEST_TYPE_NAME:
        raise AssertionError(f"the name of type {type_name} is too long for its ids")
    plain = text_literal(f"{type_name}:").concat(cast(key, Text()))
    return func.encode(cast(plain, LargeBinary()), literal_column("'base64'"), type_=PlainText())


def global_ids(type_name: str, keys: Expression) -> Expression:
    """The Relay global ids of an array of keys, in its order."""
    key = func.unnest(keys).table_valued("key", with_ordinality="place").render_derived()
    listed = select(global_id(type_name, key.c.key)).order_by(key.c.place)
    return func.array(listed.scalar_subquery(), type_=ARRAY(Text()))


def entries(parts: Sequence[tuple[str, str | Constant]], listed: Expression, outer: Sequence[Any]) -> Json:
    """The objects of a JSON array, each with these parts of it under their keys, in its order."""
    entry = func.jsonb_array_elements(listed).table_valued(column("value", JSONB()), with_ordinality="place")
    entry = entry.render_derived(name="entry")
    pairs = [
        (
            key,
            json_literal(part.value)
            if isinstance(part, Constant)
            else cast(entry.c.value.op("->")(text_literal(part)), JsonText()),
        )
        for key, part in parts
    ]
    made = joined(object_of(pairs).sql(), entry.c.place)
    return list_of(single(select(made).select_from(entry), *outer))
