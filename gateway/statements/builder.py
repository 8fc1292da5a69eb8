"""Builds the one statement of a plan from its values: roots, records, connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    LargeBinary,
    Select,
    Text,
    Uuid,
    bindparam,
    case,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from schema.fields import Keys, Listed, Mask, Scalar, ToMany, ToOne, ValueObject
from schema.model import Entity, Field

from ..grants import Masked, PerRow, Shown
from ..plan.uses import records_in
from ..plan.values import (
    Connection,
    Constant,
    EventRoot,
    Item,
    ListRoot,
    LocalRoot,
    LookupRoot,
    MutationRoot,
    NodeRoot,
    NodesRoot,
    Operand,
    Plan,
    Record,
    Root,
    ToManyPage,
    ToOneRecord,
    Value,
)
from ..row_rules import Scope, row_of
from .conditions import condition_sql, operand_type, visible
from .connections import connection_value
from .json_values import (
    NULL,
    Expression,
    Json,
    JsonText,
    Made,
    Pair,
    PlainText,
    entries,
    global_ids,
    joined,
    json_literal,
    json_of,
    list_of,
    object_of,
    one_of,
    single,
    text_literal,
    written,
)
from .judging import Judging
from .records import Recorder

Read = Callable[[Mapping[str, object]], object]
# The column of a row's object. No response key can be this name (GraphQL specification, section 2.1.9).
OBJECT = "object$"
# The name of the sub-select of a list's rows.
ROWS = "rows$"
# A count of so few tells of each of them; so many that a caller names are on the record.
FEW, MOST_NAMED = 20, 100


class Builder:
    """Collects what a statement binds while it is built: each operand's reader, by parameter name.

    Where `made` is given, it is the row of the root's entity, and is not looked for by its id. What is read
    goes to the `recorder`, where there is one.
    """

    def __init__(
        self, scope: Scope, made: FromClause | None = None, recorder: Recorder | None = None
    ) -> None:
        self.scope = scope
        self._made = made
        self.recorder = recorder
        self._judging = Judging(scope)
        self.reads: dict[str, Read] = {}
        self.cursors: list[tuple[Operand, ColumnElement[bool]]] = []
        self._used: Counter[str] = Counter()
        self._bound: dict[tuple[object, ...], ColumnElement[Any]] = {}

    def bind(self, operand: Operand, kind: TypeEngine[Any]) -> ColumnElement[Any]:
        """The parameter of a caller's value."""
        # A value used in many places is bound once.
        key = (operand.source, operand.reading, repr(kind))
        if key not in self._bound:
            self._bound[key] = self._bind(operand.read, kind)
        return self._bound[key]

    def new_row(self, entity: Entity) -> FromClause:
        """An alias of the entity's table that the statement does not use yet; the rules have number 0."""
        self._used[entity.table.name] += 1
        return row_of(entity.table.name, self._used[entity.table.name])

    def _bind(self, read: Read, kind: TypeEngine[Any]) -> ColumnElement[Any]:
        name = f"given_{len(self.reads)}"
        self.reads[name] = read
        return bindparam(name, type_=kind)

    # ------------------------------------------------------------ roots

    def root(self, root: Root) -> Made:
        """The JSON of a root field."""
        match root:
            case Constant(_, value):
                return json_literal(value)
            case LocalRoot(key=key):
                return bindparam(f"local_{key}", type_=JsonText())
            case ListRoot(_, connection):
                return connection_value(self, connection, None, ())
            case LookupRoot():
                return self._lookup(root)
            case NodeRoot(_, _, record) if self._made is not None:
                return self._of_made(record, self._made)
            case NodeRoot(_, operand, record):
                return self._by_id(record, self.bind(operand, Uuid()), ())
            case NodesRoot():
                return self._nodes(root)
            case EventRoot():
                return self._event(root)
            case MutationRoot():
                raise AssertionError("of a change, the payload's plan is compiled")

    def _of_made(self, record: Record, row: FromClause) -> Made:
        """The record's object of the row that is at hand, or null where its rules do not hold for it.

        # PERF: a sub-select of the one row is 17 µs of W5's 260 (the statement by one connection, in turn).
        """
        made = self.row_object(record, row, ())
        if record.rules is None:
            return made
        is_there = self._judging.holds(record.rules, frozenset(), record.entity.table.name, row)
        return json_of(case((is_there, made.sql())))

    def _lookup(self, root: LookupRoot) -> Expression:
        row = self.new_row(root.record.entity)
        value = self._plain(root.field, row)
        wanted = self.bind(root.operand, operand_type(value))
        query = self._rows(root.record, row, ()).where(value == wanted)
        newest = query.order_by(row.c.id.desc()).limit(literal_column("1"))
        return self._single(root.record, newest, row, ())

    def _by_id(self, record: Record, key: ColumnElement[Any], outer: tuple[FromClause, ...]) -> Expression:
        row = self.new_row(record.entity)
        return self._single(record, self._rows(record, row, outer).where(row.c.id == key), row, outer)

    def _event(self, root: EventRoot) -> Expression:
        row = self.new_row(root.record.entity)
        query = self._rows(root.record, row, ()).where(
            row.c.id == bindparam("event_row", type_=Uuid()),
            condition_sql(root.condition, row, self, self.scope),
        )
        return self._single(root.record, query, row, ())

    def _nodes(self, root: NodesRoot) -> Json:
        keys = self.bind(root.operand, ARRAY(Uuid()))
        types = self._bind(root.operand.type_names, ARRAY(Text()))
        wanted = (
            func.unnest(keys, types).table_valued("key", "type", with_ordinality="place").render_derived()
        )
        choices = [
            (wanted.c.type == text_literal(record.entity.name), self._by_id(record, wanted.c.key, (wanted,)))
            for record in root.records
        ]
        self._mark_nodes(root, keys)
        entry = json_of(case(*choices)) if choices else NULL
        return list_of(single(select(joined(entry.sql(), wanted.c.place)).select_from(wanted)))

    def _mark_nodes(self, root: NodesRoot, keys: ColumnElement[Any]) -> None:
        if not self.is_recording(()):
            return
        for record in root.records:
            row = self.new_row(record.entity)
            query = self._rows(record, row, ()).where(row.c.id == func.any(keys))
            self.marked(query, record.entity, (record,), row)

    # ------------------------------------------------------------ what is recorded

    def is_recording(self, outer: tuple[FromClause, ...]) -> bool:
        """Whether rows of a root field are to say whose they are; those below are of the same customers."""
        return self.recorder is not None and not outer and self.recorder.is_reading()

    def marked(self, query: Select[Any], entity: Entity, records: Sequence[Record], row: FromClause) -> CTE:
        """The rows of a root field with their marks, seen by the recorder."""
        assert self.recorder is not None  # noqa: S101  # asked by `is_recording`
        marks = self.recorder.marks(entity, records, row, self._judging)
        rows = query.add_columns(*marks).cte(self.recorder.new_name())
        self.recorder.saw(rows)
        return rows

    def marked_keys(self, query: Select[Any], connection: Connection, row: FromClause) -> CTE:
        """The keys of a root list's page and one more, with their marks; those on the page are seen."""
        assert self.recorder is not None  # noqa: S101  # asked by `is_recording`
        records = records_in(connection)
        marks = self.recorder.marks(connection.entity, records, row, self._judging)
        keys = query.add_columns(*marks).cte(self.recorder.new_name())
        self.recorder.saw(keys, keys.c.place <= literal_column(str(connection.page.size), Integer()))
        return keys

    def mark_few(self, query: Select[Any], entity: Entity, row: FromClause) -> None:
        """Has rows seen that are only counted, where they are so few that each is told by its number."""
        assert self.recorder is not None  # noqa: S101  # asked by `is_recording`
        marks = self.recorder.marks(entity, (), row, self._judging)
        few = query.add_columns(*marks).limit(literal_column(str(FEW + 1))).cte(self.recorder.new_name())
        number = select(func.count()).select_from(few).scalar_subquery()
        self.recorder.saw(few, number <= literal_column(str(FEW), Integer()))

    def mark_named(self, query: Select[Any], entity: Entity, row: FromClause) -> None:
        """Has rows seen that the caller names, whether or not they meet what else is asked of them."""
        assert self.recorder is not None  # noqa: S101  # asked by `is_recording`
        marks = self.recorder.marks(entity, (), row, self._judging)
        named = query.add_columns(*marks).limit(literal_column(str(MOST_NAMED)))
        self.recorder.saw(named.cte(self.recorder.new_name()))

    def is_comparing(self, outer: tuple[FromClause, ...]) -> bool:
        """Whether the rows of a root list are found by personal data."""
        return self.is_recording(outer) and self.recorder is not None and self.recorder.is_comparing()

    def _objects(
        self, record: Record, query: Select[Any], row: FromClause, outer: tuple[FromClause, ...]
    ) -> Select[Any]:
        """The objects of a query's rows."""
        made = object_of(self.pairs(record, row, outer)).sql().label(OBJECT)
        if not self.is_recording(outer):
            return query.add_columns(made)
        rows = self.marked(query.add_columns(made), record.entity, (record,), row)
        return select(rows.c[OBJECT])

    # ------------------------------------------------------------ records

    def _rows(self, record: Record, row: FromClause, outer: tuple[FromClause, ...]) -> Select[Any]:
        """The query of a record's rows; its columns come with `_single` or `rows_list`."""
        return (
            select()
            .select_from(row)
            .where(*visible(record.rules, record.entity, row, self.scope))
            .correlate(*outer)
        )

    def _single(
        self, record: Record, query: Select[Any], row: FromClause, outer: tuple[FromClause, ...]
    ) -> Expression:
        return single(self._objects(record, query, row, outer), *outer)

    def rows_list(
        self, record: Record, query: Select[Any], row: FromClause, outer: tuple[FromClause, ...]
    ) -> Json:
        """The list of the rows of a limited query, each as the record's object."""
        query, row = self._judging.page(record, query, row, is_marked=self.is_recording(outer))
        rows = self._objects(record, query, row, outer).subquery(ROWS)
        return list_of(single(select(joined(rows.c[OBJECT])), *outer))

    def row_object(self, record: Record, row: FromClause, outer: tuple[FromClause, ...]) -> Json:
        """The record's object of one row that the enclosing query has at hand."""
        return object_of(self.pairs(record, row, outer))

    def pairs(self, record: Record, row: FromClause, outer: tuple[FromClause, ...]) -> list[Pair]:
        """The keys of a record and their values on a row."""
        return [(item.key, self._item(record, item, row, (*outer, row))) for item in record.items]

    def _item(self, record: Record, item: Item, row: FromClause, outer: tuple[FromClause, ...]) -> Made:
        match item:
            case Constant(_, text):
                return json_literal(text)
            case Value():
                return self._value(record, item, row, outer)
            case ToOneRecord(_, field, related) if isinstance(field.source, ToOne):
                return self._by_id(related, row.c[field.source.key], outer)
            case ToManyPage(_, field, connection) if isinstance(field.source, ToMany):
                return connection_value(self, connection, (field.source.key, row.c.id), outer)
        raise AssertionError("a relation's field has a relation as its source")

    # ------------------------------------------------------------ values

    def _plain(self, field: Field, row: FromClause) -> Expression:
        if not isinstance(field.source, Scalar):
            raise AssertionError(f"{field.coordinate} is no scalar")
        return field.source.expression(row)

    def _value(self, record: Record, value: Value, row: FromClause, outer: tuple[FromClause, ...]) -> Made:
        shown = self._shown(record, value, row, outer)
        match value.decision:
            case Shown():
                return shown
            case Masked():
                return self.masked(value.field, row)
            case PerRow(read, mask, known):
                holds, table = self._judging.holds, record.entity.table.name
                choices = []
                if read:
                    choices.append((holds(read, known, table, row), shown))
                if mask:
                    masked = self.masked(value.field, row)
                    choices.append((holds(mask, known, table, row), masked))
                return one_of(choices)

    def masked(self, field: Field, row: FromClause) -> Expression:
        """The mask of a field on a row."""
        mask = field.source.mask if isinstance(field.source, Scalar) else None
        if not isinstance(mask, Mask):
            raise AssertionError(f"{field.coordinate} has no mask")
        kind = PlainText() if mask.is_plain else Text()
        return type_coerce(mask.of(self._plain(field, row)), kind)

    def _shown(self, record: Record, value: Value, row: FromClause, outer: tuple[FromClause, ...]) -> Made:
        match value.field.source:
            case ValueObject(parts=parts, present=present):
                pairs = [
                    (
                        key,
                        json_literal(part.value)
                        if isinstance(part, Constant)
                        else written(parts[part][0], parts[part][1](row), ""),
                    )
                    for key, part in value.parts
                ]
                return case((present(row).is_not(None), object_of(pairs).sql()))
            case Keys(target, column):
                return global_ids(target, row.c[column])
            case Listed(column=column):
                return entries(value.parts, row.c[column], outer)
            case _:
                return written(value.field.kind, self._plain(value.field, row), record.entity.name)

    # ------------------------------------------------------------ the whole

    def whole(self, plan: Plan) -> Expression:
        """The JSON of `data`, as `bytea`."""
        made = object_of([(root.key, self._recorded(root)) for root in plan.roots])
        return func.convert_to(made.sql(), literal_column("'UTF8'"), type_=LargeBinary())

    def _recorded(self, root: Root) -> Made:
        if self.recorder is None:
            return self.root(root)
        self.recorder.begin(root)
        value = self.root(root)
        self.recorder.end(root)
        return value

    def cursor_exists(self, operand: Operand, query: ColumnElement[bool]) -> None:
        """Remembers that the statement must say whether the caller sees a cursor's row."""
        self.cursors.append((operand, query))
