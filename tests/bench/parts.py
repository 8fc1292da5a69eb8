"""What single steps cost, in process: planning a new operation, knowing a caller, making a list's JSON."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from gateway.answer import Gateway
from gateway.app import create_gateway, settle_memory
from gateway.operation import coerce, parse_operation
from gateway.plan import Access, plan
from gateway.policy import PARTNER_ROLES, STAFF
from gateway.principal import utc_now
from gateway.recording import Recording, Unrecorded
from gateway.row_rules import Scope, row_of
from gateway.statements import Statement, compile_plan
from schema.scalars import global_id

from .operations import OPERATIONS, New
from .place import Place

TIMES_EACH = 5
CALLS = 2000
LISTS = 200
NOBODY = UUID("0190a000-0000-7000-8000-000000000000")
VALUES = {"email": "nobody@store.example", "number": "C-000001", "after": None}

COLUMNS = "id, number, first_name, surname, street_address, postal_code, postal_town, phone, email"
PAGE = f"SELECT {COLUMNS} FROM customer ORDER BY id DESC LIMIT 100"
PAIRS = ", ".join(f"'{name}', {name}" for name in COLUMNS.split(", "))
KEYS = ",".join(f'"{name}"' for name in COLUMNS.split(", "))
OBJECTS = (
    f"SELECT json_object('{{{KEYS}}}'::text[], ARRAY[{COLUMNS.replace('id', 'id::text', 1)}])::text AS one"
)
WAYS = {
    "`string_agg` of a `json_object` of texts a row, as `bytea`": (
        f"SELECT convert_to(string_agg(one, ','), 'UTF8') FROM ({OBJECTS} FROM ({PAGE}) page) made"
    ),
    "`json_agg` of the sub-select's rows, as `bytea`": (
        f"SELECT convert_to(json_agg(page)::text, 'UTF8') FROM ({PAGE}) page"
    ),
    "`json_agg` of the sub-select's rows, as text": f"SELECT json_agg(page)::text FROM ({PAGE}) page",
    "`json_build_object` a row": f"SELECT json_agg(json_build_object({PAIRS}))::text FROM ({PAGE}) page",
    "rows, made JSON by orjson": PAGE,
}


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds: the median and the largest of some samples."""

    samples: int
    median_ms: float
    largest_ms: float

    @classmethod
    def of(cls, seconds: list[float]) -> Times:
        return cls(len(seconds), median(seconds) * 1000, max(seconds) * 1000)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the steps cost; `identify_us` by the kind of caller, `lists_ms` by the way of making JSON.

    Planning is counted in processor time: a machine with other work to do interrupts a wall clock's samples.
    `widest_ms` is the median of the operation that takes longest.
    """

    operations: int
    first_ms: float
    widest_ms: float
    planning: Times
    planning_by_clock: Times
    compiling: Times
    compiling_new_aliases: Times
    prepared_by_clock: Times
    identify_us: dict[str, float]
    verify_us: float
    lists_ms: dict[str, float]


def measured(place: Place) -> Parts:
    """The costs at a place, of a gateway in this process."""
    return asyncio.run(_measured(place))


async def _measured(place: Place) -> Parts:
    gateway = create_gateway(place.settings)
    settle_memory()  # as a worker does when it starts
    gateway.principals.hear(hears=True)
    await gateway.database.open()
    connection = await asyncpg.connect(place.url, server_settings={"jit": "off", "timezone": "UTC"})
    try:
        first = planned(gateway, OPERATIONS[0], 0)
        samples = [
            await _prepared(gateway, connection, new, number)
            for number in range(1, TIMES_EACH + 1)
            for new in OPERATIONS
        ]
        identify = {
            name: await _identify(gateway, place, name) for name in ("customer", "support", "carrier")
        }
        planning = [one.planned + one.compiled for one, _ in samples]
        return Parts(
            operations=len(OPERATIONS),
            first_ms=(first.planned + first.compiled) * 1000,
            widest_ms=max(median(planning[one :: len(OPERATIONS)]) for one in range(len(OPERATIONS))) * 1000,
            planning=Times.of(planning),
            planning_by_clock=Times.of([one.by_clock for one, _ in samples]),
            compiling=Times.of([one.compiled for one, _ in samples]),
            compiling_new_aliases=Times.of([_compiled_anew(one) for one, _ in samples]),
            prepared_by_clock=Times.of([one.by_clock + took for one, took in samples]),
            identify_us=identify,
            verify_us=_verify(place, gateway),
            lists_ms={name: await _list(connection, way) for name, way in WAYS.items()},
        )
    finally:
        await connection.close()
        await gateway.database.close()


# ---------------------------------------------------------------- planning


@dataclass(frozen=True, slots=True)
class Planned:
    """Seconds of processor time to plan and to compile, seconds of both by the clock, and what was made."""

    planned: float
    compiled: float
    by_clock: float
    sql: str
    compile_again: Callable[[], object]


def planned(gateway: Gateway, new: New, number: int) -> Planned:
    """The steps of `gateway.answer` for a text that no cache knows, and the seconds they took."""
    text = new.text(number)
    grants = gateway.policy.grants(new.role, new.purpose)
    given = {name: value for name, value in VALUES.items() if f"${name}" in text}
    if "$id" in text:
        kind = "Order" if "node(" in text else "Customer"
        given["id"] = global_id(kind, NOBODY)
    by_clock, started = time.perf_counter(), time.process_time()
    operation = parse_operation(text, None, gateway.model.graphql, gateway.settings)
    variables = coerce(operation, given, gateway.model.graphql, gateway.settings)
    made = plan(operation, variables, Access(grants, Scope.ACCOUNT), gateway.model, gateway.settings)
    after_plan = time.process_time()
    recording = _recording(new, grants.purpose, operation.shape)
    statement = compile_plan(made, recording)
    compiled, by_clock = time.process_time(), time.perf_counter() - by_clock
    if not isinstance(statement, Statement) or made.refusals:
        raise AssertionError(f"{made.refusals} of {text}: it is no operation as clients write them")
    return Planned(
        after_plan - started,
        compiled - after_plan,
        by_clock,
        statement.sql,
        lambda: compile_plan(made, recording),
    )


def _recording(new: New, purpose: str | None, digest: str) -> Recording | Unrecorded:
    """What is recorded of an operation, as `gateway.recording` has it of a principal's."""
    if new.role not in STAFF and new.role not in PARTNER_ROLES:
        return Unrecorded()
    is_partner = new.role in PARTNER_ROLES
    return Recording(new.role, purpose, None, digest, "Posti" if is_partner else None, not is_partner)


async def _prepared(gateway: Gateway, connection: Any, new: New, number: int) -> tuple[Planned, float]:
    """A planning, and how long PostgreSQL takes to prepare its statement."""
    found = planned(gateway, new, number)
    started = time.perf_counter()
    await connection.prepare(found.sql)
    return found, time.perf_counter() - started


def _compiled_anew(planned: Planned) -> float:
    """Compiling with every alias made anew."""
    row_of.cache_clear()
    started = time.process_time()
    planned.compile_again()
    return time.process_time() - started


# ---------------------------------------------------------------- callers


async def _identify(gateway: Gateway, place: Place, name: str) -> float:
    """Microseconds to know a caller whose token was seen before."""
    header, now = place.principals[name].headers["Authorization"], utc_now()

    async def once() -> object:
        return await gateway.principals.identify(header, None, now)

    return await _each(once, CALLS) * 1e6


def _verify(place: Place, gateway: Gateway) -> float:
    """Microseconds to verify a token's signature."""
    token = place.principals["customer"].headers["Authorization"].removeprefix("Bearer ")
    samples = []
    for _ in range(CALLS // 10):
        started = time.perf_counter()
        place.key.verify(token, gateway.settings)
        samples.append(time.perf_counter() - started)
    return median(samples) * 1e6


# ---------------------------------------------------------------- lists


async def _list(connection: Any, sql: str) -> float:
    """Milliseconds to fetch a list of 100 customers with 9 values each, as bytes."""
    statement = await connection.prepare(sql)
    is_rows = sql == PAGE

    async def once() -> object:
        if is_rows:
            return orjson.dumps([dict(row) for row in await statement.fetch()], default=str)
        return await statement.fetchval()

    return await _each(once, LISTS) * 1000


async def _each(step: Callable[[], Awaitable[object]], times: int) -> float:
    """The median time of a step in seconds, after a tenth as many to warm up."""
    for _ in range(times // 10):
        await step()
    samples = []
    for _ in range(times):
        started = time.perf_counter()
        await step()
        samples.append(time.perf_counter() - started)
    return median(samples)
