"""What the gateway is measured against: an endpoint written by hand, a statement by hand for each operation.

It authorises as a careful author would who knows the operations beforehand: the token's signature once,
its expiry each time, the role and purpose an operation is for, and the rows in its SQL. PostgreSQL makes the
JSON in the best way measured, and the bytes go out as they come.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import orjson
import phonenumbers
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uuid_utils.compat import uuid7

from . import hand_written_sql as sql

POSTGRES = {
    "timezone": "UTC",
    "jit": "off",
    "statement_timeout": "15000",
}
READING = {"default_transaction_read_only": "on"}
# What is acknowledged is on the disk, as it is with the gateway.
WRITING = {"default_transaction_read_only": "off", "synchronous_commit": "on"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a token is of, until when (seconds since 1970) it holds, and what records say of its holder."""

    role: str
    key: uuid.UUID
    expires: float
    actor: str = ""
    designation: uuid.UUID | None = None
    name: str = ""


Values = Callable[[Caller, Mapping[str, Any]], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: for which role and purpose, with which statement and values."""

    role: str
    purpose: str | None
    sql: str
    values: Values
    writes: bool = False
    is_recorded: bool = False


def own(caller: Caller, variables: Mapping[str, Any]) -> tuple[object, ...]:
    """The customer asked for, and who asks."""
    return uuid.UUID(base64.b64decode(variables["id"]).decode().removeprefix("Customer:")), caller.key


def changed(caller: Caller, given: Mapping[str, Any]) -> tuple[object, ...]:
    """Whose number becomes which, and when."""
    number = phonenumbers.parse(given["phone"])
    if not phonenumbers.is_valid_number(number):
        raise ValueError("no telephone number")
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return *own(caller, given), written, datetime.now(UTC)


def _changed_input(caller: Caller, variables: Mapping[str, Any]) -> tuple[object, ...]:
    return changed(caller, variables["input"])


def assigned(caller: Caller, _: Mapping[str, Any]) -> tuple[object, ...]:
    """The carrier, and what it is called."""
    return caller.key, caller.name


def counted(caller: Caller, _: Mapping[str, Any]) -> tuple[object, ...]:
    """The employee, the day, and of how many customers one may read in it."""
    return caller.key, datetime.now(UTC).date(), int(os.environ["BENCH_READ_QUOTA"])


def _found(caller: Caller, variables: Mapping[str, Any]) -> tuple[object, ...]:
    return *counted(caller, variables), variables["email"]


SERVICE = "customer-service"
OPERATIONS = {
    "W1": Operation("customer", None, sql.ONE_CUSTOMER, own),
    "W2": Operation("carrier", None, sql.DELIVERIES, assigned, writes=True, is_recorded=True),
    "W3": Operation("support", SERVICE, sql.CUSTOMERS, counted, writes=True, is_recorded=True),
    "W3b": Operation("support", SERVICE, sql.ORDERS, counted, writes=True, is_recorded=True),
    "W4": Operation("support", None, sql.MASKED, counted, writes=True, is_recorded=True),
    "W5": Operation("customer", None, sql.UPDATE, _changed_input, writes=True),
    "W6": Operation("support", SERVICE, sql.ONE_FOUND, _found, writes=True, is_recorded=True),
}
POLICY, NOTICE = (hashlib.sha256(name.encode()).hexdigest() for name in ("policy", "notice"))
DESIGNATIONS = "SELECT id, employee_id, role FROM designation"
PARTNERS = """
SELECT t.id, t.hash, t.carrier_id, t.expires_at, c.name FROM partner_token t
JOIN carrier c ON c.id = t.carrier_id"""


def _circumstances(caller: Caller, case: str | None) -> tuple[object, ...]:
    """What an access record says of the very request."""
    request = secrets.token_hex(16)
    return datetime.now(UTC), uuid7(), caller.actor, caller.designation, case, request, POLICY, NOTICE


class Endpoint:
    """The endpoint of one worker: its pool, and the callers it knows."""

    def __init__(self, environment: Mapping[str, str], operations: Mapping[str, Operation]) -> None:
        self._environment = environment
        self._operations = operations
        self._public_key = Path(environment["BENCH_PUBLIC_KEY_FILE"]).read_text()
        self._pools: dict[bool, Any] = {}
        self._callers: dict[str, Caller] = {}
        self._roles: dict[uuid.UUID, tuple[str, uuid.UUID]] = {}
        self._partners: dict[str, Caller] = {}

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Opens the pool and reads who is designated, and the partners' tokens."""
        for writes in (False, True):
            self._pools[writes] = await asyncpg.create_pool(
                self._environment["BENCH_DATABASE_URL"],
                min_size=1,
                max_size=int(self._environment["BENCH_POOL_CONNECTIONS"]),
                reset=_keep,
                statement_cache_size=512,
                max_cacheable_statement_size=0,
                server_settings={**POSTGRES, **(WRITING if writes else READING)},
            )
        for row in await self._pools[False].fetch(DESIGNATIONS):
            self._roles[row["employee_id"]] = row["role"], row["id"]
        for row in await self._pools[False].fetch(PARTNERS):
            self._partners[row["hash"]] = Caller(
                "carrier",
                row["carrier_id"],
                row["expires_at"].timestamp(),
                actor=_global_id("PartnerToken", row["id"]),
                name=row["name"],
            )
        yield
        for pool in self._pools.values():
            await pool.close()

    async def graphql(self, request: Request) -> Response:
        """The answer to one of the operations, named by `operationName`."""
        body = orjson.loads(await request.body())
        caller = self._identify(request.headers.get("authorization", ""))
        operation = self._operations.get(body["operationName"])
        if caller is None:
            return Response(status_code=401)
        if operation is None or (operation.role, operation.purpose) != (
            caller.role,
            request.headers.get("processing-purpose"),
        ):
            return Response(status_code=403)
        values = operation.values(caller, body["variables"])
        if operation.is_recorded:
            values = (*_circumstances(caller, request.headers.get("case-reference")), *values)
        async with self._pools[operation.writes].acquire() as connection:
            data = await connection.fetchval(operation.sql, *values)
        return Response(b'{"data":' + data + b"}", media_type="application/json")

    def _identify(self, authorization: str) -> Caller | None:
        token = authorization.removeprefix("Bearer ")
        caller = self._callers.get(token)
        if caller is None:
            caller = self._partners.get(hashlib.sha256(token.encode()).hexdigest()) or self._signed(token)
            if caller is None:
                return None
            self._callers[token] = caller
        return caller if time.time() < caller.expires else None

    def _signed(self, token: str) -> Caller | None:
        issuer, audience = self._environment["BENCH_ISSUER"], self._environment["BENCH_AUDIENCE"]
        try:
            claims = jwt.decode(
                token, self._public_key, algorithms=["EdDSA"], issuer=issuer, audience=audience
            )
        except jwt.PyJWTError:
            return None
        kind, _, key = claims["sub"].partition(":")
        subject = uuid.UUID(key)
        if kind == "customer":
            return Caller(kind, subject, claims["exp"])
        role, designation = self._roles.get(subject, ("undesignated", None))
        return Caller(role, subject, claims["exp"], _global_id("Employee", subject), designation)


def _global_id(kind: str, key: uuid.UUID) -> str:
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


async def _keep(_: object) -> None:
    return None


def application(operations: Mapping[str, Operation]) -> Starlette:
    """The application of these operations, with the settings of the environment."""
    endpoint = Endpoint(os.environ, operations)
    return Starlette(
        lifespan=endpoint.lifespan, routes=[Route("/graphql", endpoint.graphql, methods=["POST"])]
    )


def from_environment() -> Starlette:
    """The application of the operations above."""
    return application(OPERATIONS)
