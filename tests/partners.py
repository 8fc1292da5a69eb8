"""Partners' tokens as the tests of them use them: issued, narrowed and rotated over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from starlette.testclient import TestClient

from gateway.app import app_of, create_gateway
from schema.scalars import global_id, read_global_id, write_time
from tests.world import Asker, World

TOKEN = "partnerToken { id partner kind prefix operations networks issuedBy expiresAt revokedAt lastUsedAt }"
ERRORS = "userErrors { code coordinate path message }"
ISSUE = (
    "mutation($input: IssuePartnerTokenInput!)"
    f" {{ issuePartnerToken(input: $input) {{ token {TOKEN} {ERRORS} }} }}"
)
NARROW = (
    "mutation($input: NarrowPartnerTokenInput!)"
    f" {{ narrowPartnerToken(input: $input) {{ token {TOKEN} {ERRORS} }} }}"
)
ROTATE = (
    "mutation($input: RotatePartnerTokenInput!)"
    f" {{ rotatePartnerToken(input: $input) {{ token {TOKEN} {ERRORS} }} }}"
)
REVOKE = (
    "mutation($input: RevokePartnerTokenInput!)"
    f" {{ revokePartnerToken(input: $input) {{ {TOKEN} {ERRORS} }} }}"
)
VIEWER = "{ viewer { role grants { coordinate } } }"
SECOND = timedelta(seconds=1)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def carrier_id(world: World, name: str = "carrier") -> str:
    key = world.askers[name].carrier_id
    assert key is not None
    return global_id("Carrier", key)


def in_days(world: World, days: float) -> str:
    return write_time(world.now + timedelta(days=days))


def payload(world: World, name: str, document: str, given: dict[str, Any]) -> Any:
    """The payload of a change, with its mistakes if there are any."""
    (found,) = world.data(name, document, {"input": given}).values()
    return found


def known(world: World, made: Any, role: str = "carrier") -> str:
    """The name of an asker with the token of a payload."""
    assert made["userErrors"] == [], made["userErrors"]
    key = read_global_id(made["partnerToken"]["id"])
    assert key is not None
    name = f"partner {key[1]}"
    query = "SELECT carrier_id FROM partner_token WHERE id = $1"
    carrier = world.run(lambda connection: connection.fetchval(query, key[1]))
    world.askers[name] = Asker(name, role, bearer(made["token"]), carrier_id=carrier, token_id=key[1])
    return name


def issued(world: World, **limits: Any) -> str:
    """The name of an asker with a new token of the first carrier, or of the kind given."""
    given = {"kind": "CARRIER", "carrier": carrier_id(world), "expiresAt": in_days(world, 30)} | limits
    if given["kind"] == "NEWSLETTER":
        del given["carrier"]
    role = {"CARRIER": "carrier", "NEWSLETTER": "newsletter"}[given["kind"]]
    return known(world, payload(world, "register-admin", ISSUE, given), role)


def narrowed(world: World, name: str, **limits: Any) -> str:
    """The name of an asker with a token narrowed from another's."""
    given = {"expiresAt": in_days(world, 1)} | limits
    return known(world, payload(world, name, NARROW, given), world.askers[name].role or "")


def token_id(world: World, name: str) -> str:
    key = world.askers[name].token_id
    assert key is not None
    return global_id("PartnerToken", key)


def token_of(world: World, name: str) -> str:
    return world.askers[name].headers["Authorization"].removeprefix("Bearer ")


def wrong(world: World, name: str, document: str, given: dict[str, Any]) -> list[tuple[str, str]]:
    """The mistakes of a change that is not made, as code and place in the input."""
    before = world.run(lambda connection: connection.fetch("SELECT * FROM partner_token ORDER BY id"))
    found = payload(world, name, document, given)
    assert found["userErrors"], "it was made"
    assert found.get("token") is None
    after = world.run(lambda connection: connection.fetch("SELECT * FROM partner_token ORDER BY id"))
    assert before == after
    return [(one["code"], "/".join(one["path"])) for one in found["userErrors"]]


def reason(world: World, name: str, at: datetime | None = None) -> str | None:
    """Why a caller is not known; None where they are."""
    with world.at(at or world.now):
        response = world.post(name, "{ viewer { role } }")
    if response.status_code == 200:
        return None
    assert response.status_code == 401
    assert "data" not in response.json()
    found = response.headers["www-authenticate"]
    return str(found.rpartition('error_description="')[2].removesuffix('"'))


def from_address(world: World, address: str) -> World:
    """The same world, asked from an address."""
    client = TestClient(world.client.app, client=(address, 40000))
    client.portal = world.client.portal  # the application runs there already
    return replace(world, client=client)


@contextmanager
def behind(world: World, *proxies: str, address: str) -> Iterator[World]:
    """The same register behind a gateway that trusts these proxies, asked from an address."""
    trusted = tuple(ip_network(proxy) for proxy in proxies)
    settings = world.gateway.settings.model_copy(update={"trusted_proxies": trusted})
    gateway = create_gateway(settings, world.clock)
    with TestClient(app_of(gateway), client=(address, 40000)) as client:
        yield replace(world, gateway=gateway, client=client)


def mine(world: World) -> list[uuid.UUID]:
    """The deliveries the first carrier sees, oldest first."""
    found = world.data("carrier", "{ deliveries(first: 100) { nodes { id } } }")["deliveries"]["nodes"]
    keys = [read_global_id(node["id"]) for node in found]
    return [key[1] for key in keys if key is not None]


@pytest.fixture
def kept(writable: World) -> Iterator[World]:
    """The writable world; the tokens and idempotency keys a test makes go with it."""
    before = [row["id"] for row in writable.table("partner_token")]
    names = set(writable.askers)
    yield writable
    for name in set(writable.askers) - names:
        del writable.askers[name]
    writable.execute("DELETE FROM partner_token WHERE NOT id = ANY($1)", before)
    writable.execute("DELETE FROM idempotency WHERE entity = 'PartnerToken'")
