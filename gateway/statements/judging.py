"""Under which rules a field of a row is shown, as SQL; in a plain list each condition is judged once a row.

A list of deliveries shows name, address and telephone number by two rules, and says on the record which of
them it has shown: seven times the same two conditions, which its sub-select gives as two columns. A page with
cursors still asks them where each is needed.

# PERF: PostgreSQL's 881 µs for a carrier's recorded page of 50 became 797: the best of 40 rounds of 25 by one
# connection, the two statements in turn (`python -m tests.bench --parts cells --only W2`: whole requests).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, or_, select, true

from schema.fields import columns_of

from ..grants import PerRow
from ..plan.values import Record, ToManyPage, ToOneRecord, Value
from ..row_rules import AllRows, Scope, Where, rows

Judged = tuple[FromClause, frozenset[str], frozenset[str]]


@dataclass(slots=True)
class Judging:
    """The conditions of a statement's rows, as it is built."""

    scope: Scope
    _columns: dict[Judged, ColumnElement[bool]] = field(default_factory=dict)
    _pages: int = 0

    def page(
        self, record: Record, query: Select[Any], row: FromClause, *, is_marked: bool
    ) -> tuple[Select[Any], FromClause]:
        """A limited query and its row, with a column for each condition, where one is asked more than once.

        `is_marked` says that the record's marks ask each of them too, and read what they name.
        """
        # INVARIANT: without a limit PostgreSQL would merge the query with what is around it, and the order of
        # its rows would be nobody's.
        if query._limit_clause is None:  # SQLAlchemy says so in no other way
            raise AssertionError("a page has a limit")
        asked = [key for item in record.items for key in _asked(item)]
        found = tuple(dict.fromkeys(asked))
        if not found or (len(asked) == len(found) and not is_marked):
            return query, row
        table = record.entity.table.name
        judged = [self.holds(*key, table, row).label(f"rule_{place}$") for place, key in enumerate(found)]
        self._pages += 1
        # No alias of a table can have such a name.
        page = query.add_columns(*_needed(record, row, is_marked), *judged).subquery(f"page_{self._pages}$")
        for key, column in zip(found, judged, strict=True):
            self._columns[page, *key] = page.c[column.name]
        return select().select_from(page), page

    def holds(
        self, rules: frozenset[str], known: frozenset[str], table: str, row: FromClause
    ) -> ColumnElement[bool]:
        """Whether one of the rules means a row of `table`; `known` are those under which it is there."""
        if (column := self._columns.get((row, rules, known))) is not None:
            return column
        match rows(rules, row, table, self.scope, known):
            case AllRows():
                return true()
            case Where() as where:
                return where.per_row

    def shows(self, decision: PerRow, table: str, row: FromClause) -> ColumnElement[bool]:
        """Whether a field is shown of a row, or masked."""
        return or_(*(self.holds(*key, table, row) for key in _conditions(decision)))


def _needed(record: Record, row: FromClause, is_marked: bool) -> list[ColumnElement[Any]]:
    """The columns that a record and its marks read, and no other."""
    of = record.entity
    names: set[str | None] = {of.reference, of.subject} if is_marked else set()
    for item in record.items:
        match item:
            case Value(field=field) | ToOneRecord(field=field):
                names |= {column.name for column in columns_of(field.source, of.table)}
            case ToManyPage():
                names.add("id")
    return [column for column in row.c if column.name in names]


def _asked(item: object) -> list[tuple[frozenset[str], frozenset[str]]]:
    match item:
        case Value(decision=PerRow() as decision):
            return _conditions(decision)
        case _:
            return []


def _conditions(decision: PerRow) -> list[tuple[frozenset[str], frozenset[str]]]:
    return [(rules, decision.known) for rules in (decision.read, decision.mask) if rules]
