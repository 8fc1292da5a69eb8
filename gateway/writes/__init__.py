"""Changes: each mutation of an operation in turn, in one transaction, after the gate has passed all of them.

Takes gated `Write`s. Gives the JSON of `data`, or the refusals of coordinates that may not be set on the very
row. An operation is answered only after its transaction is committed; what is refused changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple

import orjson

from ..cache import Cache
from ..database import Database, DatabaseConflict, Transaction
from ..grants import Grants
from ..operation import Operation
from ..plan import Plan, Refusal
from ..plan.selections import Selections
from ..plan.values import Constant, MutationRoot, made_key
from ..principal import Principal
from ..recording import Circumstances, Recording, Unrecorded, record_values
from ..response import object_of
from ..statements import NoStatement, Statement
from ..statements.bound import bound_values
from ..statements.changed import is_of_one_row
from .evened import evened, is_evened
from .gate import Refused, Write, gate, personal_in
from .mistakes import Rejected, RowRefused
from .payload import local_parts
from .recorded import record_rejection, record_write
from .registry import HANDLERS
from .rows import Sql
from .tools import Tools
from .work import Outcome, Work

__all__ = ["Asked", "Payload", "Refused", "Tools", "Write", "gate", "perform", "personal_in"]

ATTEMPTS = 3
# How many statements that change and show at once are kept with a payload: one for each set of columns.
FUSED = 4


class Payload:
    """How a change's payload is read, and the statements that give it with the very change."""

    def __init__(self, plan: Plan, statement: Statement | NoStatement) -> None:
        self.statement = statement
        self.is_of_one_row = is_of_one_row(plan)
        self.fused: Cache[object, Sql] = Cache(FUSED)
        # What it says beside its entities where there is nothing to mend: the same for every request.
        self.quiet: Mapping[str, object] | None = None

    @property
    def weight(self) -> int:
        """What it weighs in the cache of plans: the length of its SQL, now and later."""
        return len(self.statement.sql) * (1 + FUSED) if isinstance(self.statement, Statement) else 0


class Asked(NamedTuple):
    """An operation of changes, and who asks for it."""

    operation: Operation
    variables: Mapping[str, object]
    plan: Plan
    payloads: Mapping[str, Payload]
    principal: Principal
    grants: Grants
    now: datetime
    constants: Mapping[str, object]
    client_address: str | None = None
    recording: Recording | Unrecorded = Unrecorded()
    circumstances: Circumstances = Circumstances("")


async def perform(
    asked: Asked, writes: tuple[Write, ...], database: Database, tools: Tools
) -> bytes | Refused:
    """The JSON of `data` of an operation of changes, or what is refused on the very rows."""
    if not is_evened(writes):
        return await _tried(asked, writes, database, tools)
    async with evened():
        return await _tried(asked, writes, database, tools)


async def _tried(
    asked: Asked, writes: tuple[Write, ...], database: Database, tools: Tools
) -> bytes | Refused:
    for attempt in range(ATTEMPTS):
        try:
            async with database.transaction(asked.principal.role) as transaction:
                return await _all(asked, writes, transaction, tools)
        except RowRefused as refused:
            return Refused(tuple(Refusal(one, refused.use, (), (), (), None) for one in refused.coordinates))
        except DatabaseConflict:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


async def _all(asked: Asked, writes: tuple[Write, ...], transaction: Transaction, tools: Tools) -> bytes:
    by_key = {write.root.key: write for write in writes}
    parts: dict[str, bytes] = {}
    for root in asked.plan.roots:
        if isinstance(root, Constant):
            parts[root.key] = orjson.dumps(root.value)
        elif isinstance(root, MutationRoot):
            parts[root.key] = await _one(asked, by_key[root.key], transaction, tools)
    return object_of(parts)


async def _one(asked: Asked, write: Write, transaction: Transaction, tools: Tools) -> bytes:
    bound = bound_values(asked.principal, asked.now, asked.constants, {})
    payload = asked.payloads[write.root.key]
    if payload.quiet is None:
        payload.quiet = _quiet(asked, write.root, tools)
    # What is recorded is no single statement: its record is written in the same transaction.
    is_alone = len(asked.plan.roots) == 1 and isinstance(asked.recording, Unrecorded)
    quiet = payload.quiet if is_alone and payload.is_of_one_row else None
    known = (asked.principal, asked.grants, asked.now, transaction, bound, tools, payload.fused, quiet)
    work = Work(write, *known, asked.client_address, asked.circumstances.request_id)
    handler = HANDLERS[write.root.mutation.name]
    try:
        # A change of several statements is undone as a whole where one of them is rejected.
        async with transaction.savepoint():
            outcome: Outcome = await handler(work)
            if isinstance(asked.recording, Recording):
                await record_write(work, asked.recording, asked.circumstances)
        for kind, key in outcome.changed_principals:
            transaction.afterwards.append(partial(tools.forget, kind, key))
    except Rejected as rejected:
        outcome = Outcome(rejected.shown, mistakes=rejected.mistakes)
        if isinstance(asked.recording, Recording):
            await record_rejection(work, asked.recording, asked.circumstances, rejected.mistakes)
    if outcome.body is not None:
        return outcome.body
    said = {**outcome.extras, "userErrors": [mistake.shown() for mistake in outcome.mistakes]}
    # INVARIANT: a secret is in no statement, so that no log of the database's can hold it.
    marks = {name: secrets.token_hex(16) for name in outcome.secrets}
    body = await _payload(asked, write.root, outcome, {**said, **marks}, transaction, tools)
    for name, secret in outcome.secrets.items():
        body = body.replace(orjson.dumps(marks[name]), orjson.dumps(secret))
    return body


def _quiet(asked: Asked, root: MutationRoot, tools: Tools) -> Mapping[str, object]:
    """What a payload says beside its entities where there is nothing to mend, as a statement binds it."""
    selections = Selections(asked.operation, asked.variables)
    parts = local_parts(root, selections, tools.model.graphql.type_map, {"userErrors": []})
    return {f"local_{key}": part.decode() for key, part in parts.items()}


async def _payload(
    asked: Asked,
    root: MutationRoot,
    outcome: Outcome,
    said: Mapping[str, object],
    transaction: Transaction,
    tools: Tools,
) -> bytes:
    selections = Selections(asked.operation, asked.variables)
    local = local_parts(root, selections, tools.model.graphql.type_map, said)
    match asked.payloads[root.key].statement:
        case NoStatement():
            constants = {
                part.key: orjson.dumps(part.value)
                for part in root.payload.roots
                if isinstance(part, Constant)
            }
            return object_of({part.key: (local | constants)[part.key] for part in root.payload.roots})
        case Statement() as statement:
            fields = (*root.mutation.entities, *root.mutation.lists)
            made = {made_key(name): outcome.made.get(name) for name in fields}
            made |= {made_key(name): made[made_key(name)] or [] for name in root.mutation.lists}
            variables = {**asked.variables, **made}
            named = bound_values(outcome.became or asked.principal, asked.now, asked.constants, local)
            if statement.records:
                named |= record_values(asked.principal, asked.now, asked.circumstances, statement.records)
            bound = statement.values(named, variables, tools.settings)
            return statement.body(await transaction.row(statement.sql, bound))
