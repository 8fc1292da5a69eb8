"""What the gateway is measured against: an endpoint written by hand, a statement by hand for each operation.

It authorises as a careful author would who knows the four operations beforehand: the token's signature once,
its expiry each time, the role and purpose an operation is for, and the rows in its SQL. PostgreSQL makes the
JSON in the best way measured, and the bytes go out as they come.
"""

from __future__ import annotations

import base64
import hashlib
import os
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

TIME = '\'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\''
POSTGRES = {
    "timezone": "UTC",
    "jit": "off",
    "statement_timeout": "15000",
}

ONE_CUSTOMER = f"""
SELECT convert_to(json_build_object('customer', (
  SELECT row_to_json(found) FROM (
    SELECT encode(('Customer:' || c.id)::bytea, 'base64') AS id, c.first_name AS "firstName", c.surname,
      c.street_address AS "streetAddress", c.postal_code AS "postalCode", c.postal_town AS "postalTown",
      c.phone, c.email, (
        SELECT json_build_object('nodes', coalesce(json_agg(one), '[]')) FROM (
          SELECT encode(('Order:' || o.id)::bytea, 'base64') AS id, o.status,
            to_char(o.placed_at, {TIME}) AS "placedAt",
            json_build_object('amount', o.total::text, 'currency', o.currency) AS total, (
              SELECT json_build_object('nodes', coalesce(json_agg(one), '[]')) FROM (
                SELECT l.sku, l.name, l.quantity FROM order_line l
                WHERE l.order_id = o.id ORDER BY l.id DESC LIMIT 20) one) AS lines, (
              SELECT json_build_object('nodes', coalesce(json_agg(one), '[]')) FROM (
                SELECT (SELECT row_to_json(by) FROM (SELECT k.name) by) AS carrier,
                  d.tracking_code AS "trackingCode", d.status, to_char(d.promised_at, {TIME}) AS "promisedAt"
                FROM delivery d LEFT JOIN carrier k ON k.id = d.carrier_id
                WHERE d.order_id = o.id ORDER BY d.id DESC LIMIT 5) one) AS deliveries
          FROM orders o WHERE o.customer_id = c.id ORDER BY o.id DESC LIMIT 10) one) AS orders
    FROM customer c WHERE c.id = $1 AND c.id = $2) found))::text, 'UTF8')"""

DELIVERIES = """
SELECT convert_to(json_build_object('deliveries', json_build_object('nodes', (
  SELECT coalesce(json_agg(one), '[]') FROM (
    SELECT encode(('Delivery:' || d.id)::bytea, 'base64') AS id, d.tracking_code AS "trackingCode", d.status,
      CASE WHEN $2 < ended + interval '30 days' THEN d.recipient_name END AS "recipientName",
      CASE WHEN $2 < ended + interval '30 days' THEN d.street_address END AS "streetAddress",
      CASE WHEN $2 < ended + interval '30 days' THEN d.postal_code END AS "postalCode",
      CASE WHEN $2 < ended + interval '30 days' THEN d.postal_town END AS "postalTown",
      CASE WHEN $2 < ended + interval '3 days' AND s.needs_phone THEN d.recipient_phone END
        AS "recipientPhone"
    FROM delivery d
    CROSS JOIN LATERAL (SELECT coalesce(d.returned_at, d.delivered_at, d.lost_at,
      d.handed_over_at + interval '60 days', d.created_at + interval '120 days') AS ended) windows
    LEFT JOIN carrier_service s ON s.carrier_id = d.carrier_id AND s.code = d.service_code
    WHERE d.carrier_id = $1 AND d.status NOT IN ('PLANNED', 'CANCELLED')
      AND $2 < ended + interval '90 days'
      AND NOT EXISTS (SELECT FROM customer c WHERE c.id = d.customer_id AND c.restricted_at IS NOT NULL)
    ORDER BY d.id DESC LIMIT 50) one)))::text, 'UTF8')"""

CUSTOMERS = f"""
SELECT convert_to(json_build_object('customers', json_build_object('nodes', (
  SELECT coalesce(json_agg(one), '[]') FROM (
    SELECT encode(('Customer:' || id)::bytea, 'base64') AS id, first_name AS "firstName", surname,
      street_address AS "streetAddress", postal_code AS "postalCode", postal_town AS "postalTown", phone,
      email, marketing_consent AS "marketingConsent", to_char(created_at, {TIME}) AS "createdAt"
    FROM customer WHERE restricted_at IS NULL ORDER BY customer.id DESC LIMIT 100) one)))::text, 'UTF8')"""

UPDATE = """
UPDATE customer SET phone = $3, last_active_at = $4, version = version + 1 WHERE id = $1 AND id = $2
RETURNING convert_to(json_build_object('updateCustomer', json_build_object(
  'customer', json_build_object('id', encode(('Customer:' || id)::bytea, 'base64'), 'firstName', first_name,
    'surname', surname, 'phone', phone, 'email', email),
  'userErrors', '[]'::json))::text, 'UTF8')"""

ORDERS = f"""
SELECT convert_to(json_build_object('orders', json_build_object('nodes', (
  SELECT coalesce(json_agg(one), '[]') FROM (
    SELECT encode(('Order:' || o.id)::bytea, 'base64') AS id, o.number,
      to_char(o.placed_at, {TIME}) AS "placedAt", o.status,
      json_build_object('amount', o.total::text, 'currency', o.currency) AS total,
      o.payment_method AS "paymentMethod", o.payment_status AS "paymentStatus",
      o.customer_message AS "customerMessage", o.version
    FROM orders o
    WHERE NOT EXISTS (SELECT FROM customer c WHERE c.id = o.customer_id AND c.restricted_at IS NOT NULL)
    ORDER BY o.id DESC LIMIT 100) one)))::text, 'UTF8')"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a token is of, and until when (in seconds since 1970) it holds."""

    role: str
    key: uuid.UUID
    expires: float


Values = Callable[[Caller, Mapping[str, Any]], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: for which role and purpose, with which statement and values."""

    role: str
    purpose: str | None
    sql: str
    values: Values
    writes: bool = False


def _own(caller: Caller, variables: Mapping[str, Any]) -> tuple[object, ...]:
    return uuid.UUID(base64.b64decode(variables["id"]).decode().removeprefix("Customer:")), caller.key


def _changed(caller: Caller, variables: Mapping[str, Any]) -> tuple[object, ...]:
    given = variables["input"]
    number = phonenumbers.parse(given["phone"])
    if not phonenumbers.is_valid_number(number):
        raise ValueError("no telephone number")
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return *_own(caller, given), written, datetime.now(UTC)


def _assigned(caller: Caller, _: Mapping[str, Any]) -> tuple[object, ...]:
    return caller.key, datetime.now(UTC)


def _nothing(_: Caller, __: Mapping[str, Any]) -> tuple[object, ...]:
    return ()


OPERATIONS = {
    "W1": Operation("customer", None, ONE_CUSTOMER, _own),
    "W2": Operation("carrier", None, DELIVERIES, _assigned),
    "W3": Operation("support", "customer-service", CUSTOMERS, _nothing),
    "W3b": Operation("support", "customer-service", ORDERS, _nothing),
    "W5": Operation("customer", None, UPDATE, _changed, writes=True),
}


class Endpoint:
    """The endpoint of one worker: its pool, and the callers it knows."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._public_key = Path(environment["BENCH_PUBLIC_KEY_FILE"]).read_text()
        self._pools: dict[bool, Any] = {}
        self._callers: dict[str, Caller] = {}
        self._roles: dict[uuid.UUID, str] = {}
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
                server_settings={**POSTGRES, "default_transaction_read_only": "off" if writes else "on"},
            )
        for row in await self._pools[False].fetch("SELECT employee_id, role FROM designation"):
            self._roles[row["employee_id"]] = row["role"]
        for row in await self._pools[False].fetch("SELECT hash, carrier_id, expires_at FROM partner_token"):
            self._partners[row["hash"]] = Caller("carrier", row["carrier_id"], row["expires_at"].timestamp())
        yield
        for pool in self._pools.values():
            await pool.close()

    async def graphql(self, request: Request) -> Response:
        """The answer to one of the operations, named by `operationName`."""
        body = orjson.loads(await request.body())
        caller = self._identify(request.headers.get("authorization", ""))
        operation = OPERATIONS.get(body["operationName"])
        if caller is None:
            return Response(status_code=401)
        if operation is None or (operation.role, operation.purpose) != (
            caller.role,
            request.headers.get("processing-purpose"),
        ):
            return Response(status_code=403)
        values = operation.values(caller, body["variables"])
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
        role = kind if kind == "customer" else self._roles.get(subject, "undesignated")
        return Caller(role, subject, claims["exp"])


async def _keep(_: object) -> None:
    return None


def from_environment() -> Starlette:
    """The application, with the settings of the environment."""
    endpoint = Endpoint(os.environ)
    return Starlette(
        lifespan=endpoint.lifespan, routes=[Route("/graphql", endpoint.graphql, methods=["POST"])]
    )
