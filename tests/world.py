"""A small register with rows on every side of every rule, and the gateway in front of it over HTTP."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from sqlmodel import SQLModel
from starlette.testclient import TestClient

from gateway.answer import Gateway
from gateway.app import app_of, create_gateway
from gateway.config import Settings
from gateway.database import Database
from gateway.demo.principals import STAFF, DemoPrincipal, employee_id, ensure_principals
from gateway.demo.seed import seed
from gateway.issue import Signer, customer_token
from gateway.migrate import migrate
from gateway.principal import SigningKey, partner_token_hash
from schema.scalars import read_global_id
from tests.logged import COLLECTED

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
CUSTOMERS = 60
# Many tests share a worker, and every one of them a client address.
UNTHROTTLED = dict.fromkeys(
    (f"throttle_{name}_limit" for name in ("account", "client", "everywhere")), 100_000
)


# The worlds of this process, so that rows read before another module changed them can be forgotten.
MADE: list[weakref.ref[World]] = []


@dataclass
class Clock:
    """The gateway's clock: it stands still until a test moves it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Asker:
    """Somebody a test asks as."""

    name: str
    role: str | None
    headers: Mapping[str, str]
    customer_id: UUID | None = None
    order_id: UUID | None = None
    carrier_id: UUID | None = None
    employee_id: UUID | None = None
    token_id: UUID | None = None


Rows = dict[str, list[dict[str, Any]]]
RECORDS = {"access_record", "disclosure", "daily_subject", "daily_reading", "seal"}


@dataclass(repr=False)
class World:
    """The register, the gateway, and everybody who may ask it."""

    url: str
    gateway: Gateway
    client: TestClient
    clock: Clock
    askers: dict[str, Asker]
    key: SigningKey
    statements: list[str] = field(default_factory=list)
    _read: Rows = field(default_factory=dict, init=False)
    _first: Rows | None = None

    @property
    def now(self) -> datetime:
        return self.clock.now

    def post(
        self,
        name: str,
        document: str,
        variables: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        operation_name: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The HTTP response to an operation."""
        body = {"query": document, "variables": variables, "operationName": operation_name}
        given = {**self.askers[name].headers, **(headers or {})}
        if purpose is not None:
            given["Processing-Purpose"] = purpose
        if document.lstrip().startswith("mutation"):
            self.forget()
        return self.client.post("/graphql", json=body, headers=given)

    def ask(
        self,
        name: str,
        document: str,
        variables: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        operation_name: str | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """The status and the body of an answer."""
        response = self.post(name, document, variables, purpose, operation_name)
        return response.status_code, response.json()

    def data(self, name: str, document: str, variables: Any = None, purpose: str | None = None) -> Any:
        """The data of an answer without refusals."""
        status, body = self.ask(name, document, variables, purpose)
        assert status == 200, body
        assert "errors" not in body, body
        return body["data"]

    def rows(self) -> Rows:
        """Every row of every table."""
        return self._rows_of(SQLModel.metadata.tables)

    def table(self, name: str) -> list[dict[str, Any]]:
        """Every row of a table, for which the others are not read."""
        return self._rows_of([name])[name]

    def register(self) -> Rows:
        """Every row of every table but those that say who looked at the others."""
        return self._rows_of([name for name in SQLModel.metadata.tables if name not in RECORDS])

    def first_rows(self) -> Rows:
        """Every row as it was when this was first asked: what is generated of them does not change."""
        if self._first is None:
            self._first = self.rows()
        return self._first

    def forget(self, *tables: str) -> None:
        """The rows read before may have changed: those of the tables, or all."""
        self._read = {name: rows for name, rows in self._read.items() if tables and name not in tables}

    def _rows_of(self, tables: Collection[str]) -> Rows:
        async def read(connection: Any) -> Rows:
            return {
                name: [dict(row) for row in await connection.fetch(f'SELECT * FROM "{name}"')]
                for name in missing
            }

        # PERF: `test_orders` took 32 s of a processor reading them all each time; now 5 s.
        if missing := [name for name in tables if name not in self._read]:
            self._read = self._read | self._connected(read)
        return {name: self._read[name] for name in tables}

    def run(self, step: Any) -> Any:
        """What an async function returns for a connection of the owner; rows read before are forgotten."""
        self.forget()
        return self._connected(step)

    def _connected(self, step: Any) -> Any:
        async def connected() -> Any:
            connection = await asyncpg.connect(self.url)
            try:
                return await step(connection)
            finally:
                await connection.close()

        return asyncio.run(connected())

    def execute(self, statement: str, *values: Any) -> None:
        """Changes the register as its owner."""
        self.run(lambda connection: connection.execute(statement, *values))

    def customer_token(
        self,
        customer: UUID,
        lifetime: timedelta = timedelta(hours=1),
        *,
        order: UUID | None = None,
        now: datetime = NOW,
        key: SigningKey | None = None,
    ) -> str:
        """A customer's token of a session of its own, as `gateway token` makes it."""
        signer = Signer(key or self.key, self.gateway.settings, now, lifetime)
        made: str = self.run(lambda connection: customer_token(connection, signer, customer, order))
        return made

    def resume_sessions(self) -> None:
        """Has those sessions of the customers who ask go on that one of them signed out of."""
        customers = [one.customer_id for one in self.askers.values() if one.customer_id]
        resume = "UPDATE session SET ended_at = NULL, ended_why = NULL WHERE ended_why = 'SIGNED_OUT'"
        self.execute(f"{resume} AND customer_id = ANY($1)", customers)

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        """The gateway's clock at another moment."""
        before, self.clock.now = self.clock.now, moment
        try:
            yield
        finally:
            self.clock.now = before

    @contextmanager
    def recorded(self, *, refusals: bool = False) -> Iterator[list[str]]:
        """The statements the gateway sends while the block runs, without those that record a refusal."""
        start = len(self.statements)
        found: list[str] = []
        yield found
        found.extend(one for one in self.statements[start:] if refusals or "'REFUSED'" not in one)


def make_askers(principals: list[DemoPrincipal]) -> dict[str, Asker]:
    found = {}
    for one in principals:
        key = read_global_id(one.id) if one.id else None
        kind, value = key or (None, None)
        found[one.name] = Asker(
            one.name,
            one.role,
            one.headers,
            customer_id=value if kind == "Customer" else None,
            carrier_id=value if kind == "Carrier" else None,
            employee_id=employee_id(one.name) if one.name in {*STAFF, "undesignated"} else None,
        )
    return found


def _one_order(world: World) -> Asker:
    """The first printed customer with a token for one of their orders."""
    customer = world.askers["customer"].customer_id
    assert customer is not None
    orders = [row for row in world.rows()["orders"] if row["customer_id"] == customer]
    wanted = next(row for row in sorted(orders, key=lambda row: row["id"]) if row["status"] == "COMPLETED")
    token = world.customer_token(customer, timedelta(days=365), order=wanted["id"])
    headers = {"Authorization": f"Bearer {token}"}
    return Asker("one-order", "customer", headers, customer_id=customer, order_id=wanted["id"])


def _with_tokens(world: World) -> dict[str, Asker]:
    """The partners, with the ids of their tokens."""
    ids = {row["hash"]: row["id"] for row in world.rows()["partner_token"]}
    tokens = {name: who.headers.get("Authorization", "")[7:] for name, who in world.askers.items()}
    hashes = {name: partner_token_hash(token) for name, token in tokens.items()}
    return {
        name: replace(world.askers[name], token_id=ids[digest])
        for name, digest in hashes.items()
        if digest in ids
    }


@contextmanager
def make_world(url: str, folder: Path, now: datetime = NOW, **changed: Any) -> Iterator[World]:
    """A world on an empty database."""
    migrate(url)
    asyncio.run(seed(url, customers=CUSTOMERS, seed=7, now=now, progress=lambda *_: None))
    key_file = folder / "key.pem"
    key = SigningKey.create(key_file)
    # Last uses would change rows under a test that compares them.
    given: dict[str, Any] = {"database_url": url, "signing_key_file": key_file, "last_used_seconds": 1e6}
    # Nor does a chore send statements among those that a test counts.
    given["seal_seconds"] = given["erasure_seconds"] = 1e6
    # Lists of everything show what is granted; tests of lists set their own limit.
    given |= {"list_limit": 100, "read_quota": 1_000_000}
    # Their clock stands still, and so no minute ever ends.
    given["refusal_records_per_minute"] = 1_000_000
    given["budget_per_minute"] = 10**12
    # Their clock is moved by years.
    given["employee_token_minutes"] = 1000 * 24 * 60
    given |= {**UNTHROTTLED, **changed}
    settings = Settings(**given)
    principals = asyncio.run(ensure_principals(url, settings, key, b"tests", now))
    clock = Clock(now)
    gateway = create_gateway(settings, clock)
    with TestClient(app_of(gateway)) as client:
        world = World(url, gateway, client, clock, make_askers(principals), key)
        MADE.append(weakref.ref(world))
        _record(world)
        world.askers["one-order"] = _one_order(world)
        # What is tidied up far ahead leaves the askers of other tests their sessions.
        world.execute("UPDATE session SET expires_at = expires_at + interval '1000 days'")
        world.askers |= _with_tokens(world)
        client.event_hooks["response"].append(COLLECTED.answered)
        tokens = [asker.headers.get("Authorization", "")[7:] for asker in world.askers.values()]
        COLLECTED.seen(world.rows(), tokens)
        try:
            yield world
        finally:
            world.forget()
            COLLECTED.seen(world.rows())


def _record(world: World) -> None:
    """Keeps every statement the gateway's databases are asked to run; they still run them."""
    for database in (world.gateway.database, world.gateway.tools.throttle.database):
        record_of(world, database)


def record_of(world: World, database: Database) -> None:
    """Keeps every statement of a database of the gateway's."""

    def recording(run: Any, *, role_first: bool) -> Any:
        async def recorded(*given: Any, **named: Any) -> Any:
            world.statements.append(given[1 if role_first else 0])
            return await run(*given, **named)

        return recorded

    begin = database.transaction

    @asynccontextmanager
    async def begun(role: str | None) -> AsyncIterator[Any]:
        async with begin(role) as transaction:
            for name in ("row", "rows", "alone"):
                setattr(transaction, name, recording(getattr(transaction, name), role_first=False))
            yield transaction

    database.fetch = recording(database.fetch, role_first=True)  # type: ignore[method-assign]
    database.transaction = begun  # type: ignore[method-assign]
