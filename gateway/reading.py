"""A query's statement, run: with its records in the same transaction, or nothing is given.

Takes a prepared operation and its caller. Gives the JSON of `data`. Refuses with READ_QUOTA; raises
`RequestError` (BAD_CURSOR, TOO_COMPLEX), `DatabaseConflict`, and what the database raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .database import DatabaseConflict, QuotaReached
from .local import without_database
from .noted import NOTHING, Known
from .on_record import refuse_for_quota
from .operation import Operation
from .prepared import Prepared
from .recording import record_values
from .request import Asking
from .response import object_of
from .statements import NoStatement, Statement
from .statements.bound import bound_values

if TYPE_CHECKING:
    from .answer import Gateway

READ_ATTEMPTS = 3


async def read(
    gateway: Gateway,
    operation: Operation,
    prepared: Prepared,
    asking: Asking,
    variables: Mapping[str, object],
    values: Mapping[str, bytes],
    event_row: UUID | None = None,
) -> bytes:
    """The JSON of `data`; `values` are its parts that no database has, `event_row` what an event is of."""
    match prepared.statement:
        case NoStatement():
            return object_of(without_database(prepared.plan, values))
        case Statement() as statement:
            named = bound_values(asking.principal, asking.now, gateway.constants, values)
            named |= {"event_row": event_row}
            try:
                return await _given(gateway, prepared, statement, asking, variables, named)
            except QuotaReached:
                await refuse_for_quota(gateway, operation, prepared.plan, asking)


async def _given(
    gateway: Gateway,
    prepared: Prepared,
    statement: Statement,
    asking: Asking,
    variables: Mapping[str, object],
    named: Mapping[str, object],
) -> bytes:
    """The JSON of `data`, by the brief statement where the last answer had nothing new to write once."""
    if statement.noting is None:
        return statement.body(await _row(gateway, statement, asking, variables, named, NOTHING))
    key = (statement.noting, asking.principal.employee_id, asking.now.date())
    known = gateway.noted.of(key)
    if known.repeats:
        brief = prepared.brief()
        row = await _row(gateway, brief, asking, variables, named, known)
        if known.holds(row["noted"]):
            return brief.body(row)
        # INVARIANT: that row is on no record, and nobody is given it.
    row = await _row(gateway, statement, asking, variables, named, known)
    gateway.noted.add(key, row["noted"])
    return statement.body(row)


async def _row(
    gateway: Gateway,
    statement: Statement,
    asking: Asking,
    variables: Mapping[str, object],
    named: Mapping[str, object],
    known: Known,
) -> Any:
    """The row of a statement, which is tried again where its records met those of another request."""
    if statement.records:
        who, of = (asking.principal, asking.now), asking.circumstances
        named = {**named, **record_values(*who, of, statement.records, known.digests)}
    bound = statement.values(named, variables, gateway.settings)
    given = (asking.principal.role, statement.sql, bound)
    for _ in range(READ_ATTEMPTS - 1):
        try:
            return await gateway.database.fetch(*given, writes=statement.records > 0)
        except DatabaseConflict:
            continue
    return await gateway.database.fetch(*given, writes=statement.records > 0)
