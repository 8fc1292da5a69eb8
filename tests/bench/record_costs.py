"""What the access record costs inside PostgreSQL: a statement with ever more of it, and its parts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import asyncpg

from gateway.answer import Gateway
from gateway.app import create_gateway
from gateway.noted import Key
from gateway.operation import coerce, parse_operation
from gateway.plan import Access, plan
from gateway.principal import utc_now
from gateway.recording import Circumstances, Recording, Unrecorded, record_values, recording_of
from gateway.statements import Statement, compile_plan
from gateway.statements.bound import bound_values

from .place import Place
from .workloads import Workload

ROUNDS, TIMES_EACH, WARM = 15, 20, 10
NAMES = ("W2", "W3", "W6")
# The table without its index of subjects, to see what the index costs.
PLAIN = "bench_record"
MAKE_PLAIN = f"""
CREATE TABLE {PLAIN} (LIKE access_record INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE);
ALTER TABLE {PLAIN} ADD PRIMARY KEY (id), ADD UNIQUE (number);
GRANT INSERT ON {PLAIN} TO PUBLIC"""
# Beside the demo's own: of two servers that answer alike, one record of each differs in none of these.
UNLIKE = """
SELECT DISTINCT operation_name FROM (
  SELECT operation_name FROM access_record WHERE operation_name LIKE 'W%'
  GROUP BY operation_name, role, purpose, principal_id, designation_id, case_reference, fields, decision,
    ARRAY(SELECT unnest(subject_ids) ORDER BY 1)
  HAVING count(*) % 2 = 1) found ORDER BY 1"""
UNRECORDED, ROW, ROW_PLAIN, WHOLE, KNOWN, FLUSHED = STEPS = (
    "nothing recorded",
    "the access record",
    "the access record without its index of subjects",
    "and disclosures, or the day's count, of which all is known",
    "the same by the statement for what is known",
    "and flushed to disk before the answer",
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a recorded statement: milliseconds with all it waits for, and bytes of write-ahead log."""

    name: str
    took_ms: float
    wal_bytes: int


@dataclass(frozen=True, slots=True)
class RecordCosts:
    """Microseconds of each step, and the parts of the whole, by workload."""

    steps_us: Mapping[str, Mapping[str, float]]
    parts: Mapping[str, tuple[Part, ...]]


@dataclass(frozen=True, slots=True)
class _Variant:
    connection: Any
    statement: Statement
    gateway: Gateway
    asked: Asked

    async def run(self, prefix: str = "") -> Any:
        sql = f"{prefix}{self.statement.sql}"
        row = await self.connection.fetchrow(sql, *self.asked.values(self.gateway, self.statement))
        if self.statement.noting and not prefix:
            self.gateway.noted.add(self.asked.noted(self.statement), row["noted"])
        return row


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as a statement is made and bound of it."""

    principal: Any
    variables: Mapping[str, object]
    plan: Any
    recording: Recording

    def values(self, gateway: Gateway, statement: Statement) -> list[object]:
        """What a statement of it binds."""
        now = utc_now()
        named = bound_values(self.principal, now, gateway.constants, {})
        known = gateway.noted.of(self.noted(statement))
        named |= record_values(self.principal, now, Circumstances("0" * 32), statement.records, known.digests)
        return statement.values(named, self.variables, gateway.settings)

    def noted(self, statement: Statement) -> Key:
        """What a worker keeps under which it knows what the statement has written down."""
        return statement.noting or b"", self.principal.employee_id, utc_now().date()


async def unlike_records(owner_url: str) -> list[str]:
    """The operations of which two servers that answered alike wrote down different things."""
    connection = await asyncpg.connect(owner_url)
    try:
        return [row["operation_name"] for row in await connection.fetch(UNLIKE)]
    finally:
        await connection.close()


def record_costs(place: Place, workloads: Sequence[Workload]) -> RecordCosts:
    """The costs at a place, of one connection to its database."""
    return asyncio.run(_measured(place, [one for one in workloads if one.name in NAMES]))


async def _measured(place: Place, workloads: Sequence[Workload]) -> RecordCosts:
    gateway = create_gateway(place.settings)
    owner = await asyncpg.connect(place.owner_url)
    await owner.execute(MAKE_PLAIN)
    later, at_once = [await _connected(place, flush) for flush in ("off", "on")]
    steps, parts = {}, {}
    try:
        for workload in workloads:
            asked = await _asked(gateway, workload)
            variants = dict(_variants(gateway, asked, later, at_once))
            steps[workload.name] = await _times(variants)
            parts[workload.name] = await _parts(variants[FLUSHED])
    finally:
        for connection in (later, at_once, owner):
            await connection.close()
        await gateway.database.close()
    return RecordCosts(steps, parts)


async def _connected(place: Place, flush: str) -> Any:
    settings = {"jit": "off", "timezone": "UTC", "synchronous_commit": flush}
    return await asyncpg.connect(place.url, server_settings=settings)


async def _asked(gateway: Gateway, workload: Workload) -> Asked:
    call = workload.calls[0]
    principal = await gateway.principals.identify(call.headers["Authorization"], None, utc_now())
    grants = gateway.policy.grants(principal.role, call.headers.get("Processing-Purpose"))
    operation = parse_operation(workload.document, None, gateway.model.graphql, gateway.settings)
    variables = coerce(operation, call.variables, gateway.model.graphql, gateway.settings)
    made = plan(operation, variables, Access(grants, principal.scope), gateway.model, gateway.settings)
    recording = recording_of(principal, grants, operation)
    assert isinstance(recording, Recording)
    return Asked(principal, variables, made, recording)


def _variants(gateway: Gateway, asked: Asked, later: Any, at_once: Any) -> Iterator[tuple[str, _Variant]]:
    def variant(connection: Any, recording: Recording | Unrecorded, *, is_brief: bool = False) -> _Variant:
        statement = compile_plan(asked.plan, recording, is_brief=is_brief)
        assert isinstance(statement, Statement)
        return _Variant(connection, statement, gateway, asked)

    row = variant(later, replace(asked.recording, recipient=None, counts=False))
    plain = row.statement.sql.replace("INSERT INTO access_record", f"INSERT INTO {PLAIN}")
    yield UNRECORDED, variant(later, Unrecorded())
    yield ROW_PLAIN, replace(row, statement=replace(row.statement, sql=plain))
    yield ROW, row
    whole = variant(later, asked.recording)
    yield WHOLE, whole
    # A look-up of one row has no brief statement.
    is_brief = whole.statement.noting is not None
    yield KNOWN, variant(later, asked.recording, is_brief=is_brief)
    yield FLUSHED, variant(at_once, asked.recording, is_brief=is_brief)


async def _times(variants: Mapping[str, _Variant]) -> dict[str, float]:
    """The median of the rounds' medians: the variants in turn, the order swapped each time."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for variant in variants.values():
        for _ in range(WARM):
            await variant.run()
    for turn in range(ROUNDS):
        for name in variants if turn % 2 == 0 else reversed(variants):
            taken[name].append(median([await _timed(variants[name]) for _ in range(TIMES_EACH)]))
    return {name: median(found) * 1e6 for name, found in taken.items()}


async def _timed(variant: _Variant) -> float:
    started = time.perf_counter()
    await variant.run()
    return time.perf_counter() - started


async def _parts(variant: _Variant) -> tuple[Part, ...]:
    """The statement's common table expressions by `EXPLAIN ANALYZE`, the last of some runs."""
    for _ in range(WARM):
        row = await variant.run("EXPLAIN (ANALYZE, BUFFERS, WAL, FORMAT JSON) ")
    return tuple(
        Part(node["Subplan Name"].removeprefix("CTE "), node["Actual Total Time"], node.get("WAL Bytes", 0))
        for node in _nodes(json.loads(row[0])[0]["Plan"])
        if node.get("Subplan Name", "").startswith("CTE ")
    )


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)
