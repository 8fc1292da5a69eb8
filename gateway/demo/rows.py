"""Rows on their way to the database, as the text that `COPY` reads."""

from __future__ import annotations

# A row by column. INVARIANT: no value holds a tab, a line break or, but for NULL, a backslash.
Row = dict[str, str]
NULL = r"\N"


class Rows:
    """Collects rows by table; the rows of a table must name the same columns in the same order."""

    def __init__(self) -> None:
        self.columns: dict[str, tuple[str, ...]] = {}
        self._lines: dict[str, list[str]] = {}

    def add(self, table: str, row: Row) -> None:
        """Adds a row."""
        if table not in self._lines:
            self._lines[table] = []
            self.columns[table] = tuple(row)
        self._lines[table].append("\t".join(row.values()))

    def text(self, table: str) -> bytes:
        """The table's rows in PostgreSQL's text format."""
        return "\n".join([*self._lines[table], ""]).encode()
