"""Connections as SQL: a page of rows, cut by keys, with its edges, its place and its total.

A page that is only listed is one sub-select. One that shows cursors or its place, or that is counted from
the end, first finds the keys of its rows and one more, and then makes each row once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CTE,
    JSON,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Subquery,
    Text,
    Uuid,
    exists,
    false,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from ..plan.values import (
    AllOf,
    Compare,
    Condition,
    Connection,
    ConnectionItem,
    Constant,
    Edges,
    Nodes,
    Operand,
    PageField,
    PageInfo,
    Record,
    TotalCount,
)
from .conditions import beyond_cursor, condition_sql, sort_columns, visible
from .json_values import (
    Expression,
    Json,
    Made,
    Pair,
    global_id,
    joined,
    json_literal,
    list_of,
    object_of,
    single,
)

if TYPE_CHECKING:
    from .builder import Builder

Outer = tuple[FromClause, ...]
Parent = tuple[str, ColumnElement[Any]] | None
Keys = Subquery | CTE


# The fields that name one thing.
NAMING = frozenset({"id", "number", "email", "reference", "trackingCode"})


def connection_value(builder: Builder, connection: Connection, parent: Parent, outer: Outer) -> Made:
    """The JSON of a connection; `parent` is the column that holds the parent's id, and that id."""
    listing = _Listing(builder, connection, parent, outer)
    if builder.is_comparing(outer):
        listing.mark_named()
    counted = [item for item in connection.items if isinstance(item, Edges | PageInfo)]
    lists = [item for item in connection.items if isinstance(item, Nodes)]
    if counted or (lists and connection.page.backward) or len(lists) > 1:
        return listing.paged()
    return object_of([(item.key, listing.direct(item)) for item in connection.items])


class _Listing:
    """One connection while its SQL is made."""

    def __init__(self, builder: Builder, connection: Connection, parent: Parent, outer: Outer) -> None:
        self.builder = builder
        self.connection = connection
        self.parent = parent
        self.outer = outer
        page = connection.page
        self._after = self._cursor(page.after)
        self._before = self._cursor(page.before)

    def direct(self, item: ConnectionItem) -> Made:
        """A part of a page that is only listed."""
        match item:
            case Nodes(_, record):
                row = self._new_row()
                query = self._matching(row).where(*self._within_cursors(row))
                query = query.order_by(*sort_columns(self.connection.order, row, backward=False))
                limited = query.limit(_number(self.connection.page.size))
                return self.builder.rows_list(record, limited, row, self.outer)
            case TotalCount():
                return self._total()
            case Constant(_, value):
                return json_literal(value)
        raise AssertionError("a page with edges or page info is not only listed")

    def paged(self) -> Expression:
        """The whole connection from the keys of its page and one more."""
        keys = self._keys()
        row = self._new_row()
        # `HAVING true` makes it one row, also where no part of it is an aggregate.
        source = select().select_from(keys.join(row, row.c.id == keys.c.id)).having(true())
        pairs = [(item.key, self._part(item, keys, row)) for item in self.connection.items]
        return single(source.add_columns(object_of(pairs).sql()), *self.outer)

    # ------------------------------------------------------------ rows

    def _new_row(self) -> FromClause:
        return self.builder.new_row(self.connection.entity)

    def _matching(self, row: FromClause) -> Select[Any]:
        """All rows of the list, on whichever page."""
        connection, builder = self.connection, self.builder
        query = select().select_from(row).correlate(*self.outer)
        if self.parent is not None:
            query = query.where(row.c[self.parent[0]] == self.parent[1])
        query = query.where(*visible(connection.rules, connection.entity, row, builder.scope))
        if connection.where is not None:
            query = query.where(condition_sql(connection.where, row, builder, builder.scope))
        return query

    def _within_cursors(self, row: FromClause) -> list[ColumnElement[bool]]:
        found = []
        for key, after in ((self._after, True), (self._before, False)):
            if key is not None:
                found.append(self._beyond(row, key, after=after))
        return found

    def _beyond(self, row: FromClause, key: ColumnElement[Any], *, after: bool) -> ColumnElement[bool]:
        return beyond_cursor(self.connection.order, row, self._new_row(), key, after=after)

    def _keys(self) -> Keys:
        page, row = self.connection.page, self._new_row()
        order = sort_columns(self.connection.order, row, backward=page.backward)
        query = self._matching(row).where(*self._within_cursors(row))
        place = func.row_number().over(order_by=order).label("place")
        query = query.add_columns(row.c.id, place).order_by(*order).limit(_number(page.size + 1))
        if not self.builder.is_recording(self.outer):
            return query.subquery()
        return self.builder.marked_keys(query, self.connection, row)

    def _cursor(self, operand: Operand | None) -> ColumnElement[Any] | None:
        if operand is None:
            return None
        connection, builder = self.connection, self.builder
        key = builder.bind(operand, Uuid())
        row = self._new_row()
        seen = visible(connection.cursor_rules, connection.entity, row, builder.scope)
        builder.cursor_exists(operand, exists(select(literal_column("1")).where(row.c.id == key, *seen)))
        return key

    # ------------------------------------------------------------ parts

    def _part(self, item: ConnectionItem, keys: Keys, row: FromClause) -> Made:
        match item:
            case Nodes(_, record):
                return self._listed(self.builder.row_object(record, row, self.outer), keys)
            case Edges():
                return self._listed(object_of(self._edge(item, row)), keys)
            case PageInfo():
                return object_of([(key, self._page_field(part, keys)) for key, part in item.items])
            case TotalCount():
                return self._total()
            case Constant(_, value):
                return json_literal(value)

    def _edge(self, edges: Edges, row: FromClause) -> list[Pair]:
        pairs: list[Pair] = []
        for key, part in edges.items:
            match part:
                case None:
                    pairs.append((key, self._cursor_text(row.c.id)))
                case Constant(_, value):
                    pairs.append((key, json_literal(value)))
                case Record():
                    pairs.append((key, self.builder.row_object(part, row, self.outer)))
        return pairs

    def _listed(self, entry: Json, keys: Keys) -> Json:
        place = keys.c.place
        order = place.desc() if self.connection.page.backward else place.asc()
        return list_of(joined(entry.sql(), order).filter(self._on_page(keys)))

    def _on_page(self, keys: Keys) -> ColumnElement[bool]:
        return keys.c.place <= _number(self.connection.page.size)

    def _page_field(self, part: PageField | Constant, keys: Keys) -> Made:
        backward = self.connection.page.backward
        match part:
            case Constant(_, value):
                return json_literal(value)
            case PageField.HAS_NEXT:
                return self._more_outside(self._before, after=True) if backward else self._more(keys)
            case PageField.HAS_PREVIOUS:
                return self._more(keys) if backward else self._more_outside(self._after, after=False)
            case PageField.START:
                return self._edge_cursor(keys, first=not backward)
            case PageField.END:
                return self._edge_cursor(keys, first=backward)

    def _more(self, keys: Keys) -> Expression:
        return func.count(keys.c.id) > _number(self.connection.page.size)

    def _more_outside(self, key: ColumnElement[Any] | None, *, after: bool) -> Expression:
        """Whether a row of the list lies at the cursor or on its other side."""
        if key is None:
            return false()
        row = self._new_row()
        inside = self._beyond(row, key, after=not after)
        # Comparing nulls is neither true nor false, where the row and the cursor's both have none.
        return exists(self._matching(row).where(inside.is_not(true())).add_columns(literal_column("1")))

    def _edge_cursor(self, keys: Keys, *, first: bool) -> Expression:
        place = keys.c.place
        order = place.asc() if first else place.desc()
        ids = func.json_agg(aggregate_order_by(keys.c.id, order), type_=JSON()).filter(self._on_page(keys))
        return self._cursor_text(ids.op("->>", return_type=Text())(literal_column("0")))

    def _cursor_text(self, key: Expression) -> Expression:
        return global_id(self.connection.entity.name, key)

    def mark_named(self) -> None:
        """Has the rows seen that the list's condition names."""
        named = [one for one in _parts_of(self.connection.where) if _is_naming(one)]
        if named:
            row = self._new_row()
            query = select().select_from(row)
            query = query.where(
                *visible(self.connection.rules, self.connection.entity, row, self.builder.scope)
            )
            conditions = [condition_sql(one, row, self.builder, self.builder.scope) for one in named]
            self.builder.mark_named(query.where(*conditions), self.connection.entity, row)

    def _total(self) -> Expression:
        if self.builder.is_comparing(self.outer):
            counted = self._new_row()
            self.builder.mark_few(self._matching(counted), self.connection.entity, counted)
        row = self._new_row()
        return self._matching(row).add_columns(func.count()).scalar_subquery().correlate(*self.outer)


def _parts_of(condition: Condition | None) -> tuple[Condition, ...]:
    """The conditions that all hold together."""
    match condition:
        case None:
            return ()
        case AllOf(parts):
            return tuple(one for part in parts for one in _parts_of(part))
        case _:
            return (condition,)


def _is_naming(condition: Condition) -> bool:
    match condition:
        case Compare(field=field, operator="eq" | "in"):
            return field.name in NAMING
        case _:
            return False


def _number(value: int) -> ColumnElement[int]:
    # A literal, so that PostgreSQL's plan knows the page size; it comes from the plan, checked.
    return literal_column(str(int(value)), Integer())
