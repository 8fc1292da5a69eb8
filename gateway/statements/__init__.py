"""The plan as SQL: one statement per operation, compiled once, whose JSON PostgreSQL makes.

Takes a `Plan`, which only `plan()` makes. Gives a `Statement`, or `NoStatement` where nothing is read from
the database. No Plan, no SQL; the statement names no column that the plan does not show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, LargeBinary, select
from sqlalchemy.dialects.postgresql import array

from ..config import Settings
from ..errors import Code, fault
from ..plan import Plan
from ..plan.values import Constant, LocalRoot, Operand
from ..recording import Recording, Unrecorded
from .bound import NAMED, compiled
from .builder import Builder
from .records import Recorder

Read = Callable[[Mapping[str, object]], object]


@dataclass(frozen=True, slots=True)
class NoStatement:
    """The answer needs no database: only `__typename`, local fields and nulls."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL in asyncpg's dialect. `parameters` are its values in order: a reader of variables, or a name.

    The single row has the JSON of `data` as `bytea`, and, where `cursors` are given, whether the caller
    sees the row of each.
    """

    sql: str
    parameters: tuple[Read | str, ...]
    cursors: tuple[Operand, ...]
    # How many access records it writes; one that writes any is no statement for a connection that only reads.
    records: int = 0
    # Where the row says in `noted`, by digests, what is now written down: the SHA-256 of the SQL.
    noting: bytes | None = None

    def values(
        self, named: Mapping[str, object], variables: Mapping[str, object], settings: Settings
    ) -> list[object]:
        """What the statement binds, in order; raises `RequestError` (TOO_COMPLEX, and what readers raise)."""
        bound = [named[read] if isinstance(read, str) else read(variables) for read in self.parameters]
        listed = sum(len(value) for value in bound if isinstance(value, list))
        if listed > settings.listed_limit:
            message = f"the conditions list more than {settings.listed_limit} values"
            raise fault(Code.TOO_COMPLEX, message, cost=listed)
        return bound

    def body(self, row: Mapping[str, Any]) -> bytes:
        """The JSON of the statement's row; raises `RequestError` (BAD_CURSOR)."""
        for seen, cursor in zip(row["cursors"] if self.cursors else (), self.cursors, strict=True):
            if not seen:
                raise fault(Code.BAD_CURSOR, "the cursor's entry is gone", cursor.location)
        body: bytes = row["body"]
        return body


def compile_plan(
    plan: Plan, recording: Recording | Unrecorded, *, only_found: bool = False, is_brief: bool = False
) -> Statement | NoStatement:
    """The statement of a plan, which also writes what is to be recorded of it.

    `only_found` leaves out what finds no row. One that `is_brief` writes its records only where the digests
    it gives in `noted` are all known, and nothing else ever: where one is not, its answer is on no record.

    # PERF: what would write disclosures or the day's count, which mostly are there already, is 0.04 ms of
    # W2's 0.73 and 0.02 of W3's 0.68 (tests/bench/report.md, "Where the cost goes").
    """
    if all(isinstance(root, Constant | LocalRoot) for root in plan.roots):
        return NoStatement()
    recorder = Recorder(recording, only_found, is_brief) if isinstance(recording, Recording) else None
    builder = Builder(plan.scope, recorder=recorder)
    query = select(builder.whole(plan).label("body"))
    if builder.cursors:
        seen_rows: Any = [seen for _, seen in builder.cursors]
        query = query.add_columns(array(seen_rows, type_=Boolean()).label("cursors"))
    if recorder is not None:
        query = query.add_cte(*recorder.writes([seen for _, seen in builder.cursors]))
        if recorder.noted:
            digests: Any = [select(noted.c.digest).scalar_subquery() for noted in recorder.noted]
            query = query.add_columns(array(digests, type_=LargeBinary()).label("noted"))
    sql, names = compiled(query)
    # INVARIANT: every parameter is a value of the caller's or one of `gateway.statements.bound`.
    parameters = tuple(builder.reads.get(name, name) for name in names)
    for name in parameters:
        if isinstance(name, str) and not name.startswith(NAMED):
            raise AssertionError(f"the statement binds `{name}`, which nobody gives")
    cursors = tuple(operand for operand, _ in builder.cursors)
    if recorder is None:
        return Statement(sql, parameters, cursors)
    noting = hashlib.sha256(sql.encode()).digest() if recorder.noted else None
    return Statement(sql, parameters, cursors, recorder.records, noting)
