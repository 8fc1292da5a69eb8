"""What is revoked through one process is refused by it at once, and by another one within two seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bench.place import made
from tests.twins import Twins, started, world_of

pytestmark = [pytest.mark.slow, pytest.mark.alone]

LONGEST_SECONDS = 2.0
WHO = "{ viewer { role } }"
PERSON = {
    "firstName": "Aada",
    "surname": "Esimerkki",
    "email": "aada.esimerkki@store.example",
    "password": "a long enough password",
}


@dataclass
class Pair:
    """Two processes on one database, each asked by itself."""

    first: Twins
    second: Twins


@pytest.fixture(scope="module")
def pair(server_url: str) -> Iterator[Pair]:
    with ExitStack() as stack:
        place = stack.enter_context(made(30, server_url))
        servers = [stack.enter_context(started(place)) for _ in range(2)]
        yield Pair(*(world_of(place, server) for server in servers))


def measured(pair: Pair, headers: dict[str, str], revoke: Any, is_refused: Any) -> float:
    """Seconds from the answer to a revocation until the other process refuses, which it did not before."""
    for world in (pair.first, pair.second):
        assert not is_refused(world.post("anonymous", WHO, headers=headers))
    revoke()
    started_at = time.monotonic()
    assert is_refused(pair.first.post("anonymous", WHO, headers=headers)), "the same process goes on"
    while not is_refused(pair.second.post("anonymous", WHO, headers=headers)):
        assert time.monotonic() - started_at < LONGEST_SECONDS, "the other process goes on"
    return time.monotonic() - started_at


def is_unknown(response: Any) -> bool:
    refused: bool = response.status_code == 401
    assert refused == ("www-authenticate" in response.headers)
    return refused


def has_no_role(response: Any) -> bool:
    role: str | None = response.json()["data"]["viewer"]["role"]
    return role is None


def headers_of(pair: Pair, name: str) -> dict[str, str]:
    return dict(pair.first.askers[name].headers)


def test_a_designation(pair: Pair) -> None:
    found = pair.first.data("marketing", "{ designations { nodes { id role } } }")["designations"]["nodes"]
    (held,) = [one for one in found if one["role"] == "marketing"]
    document = """mutation($input: RevokeDesignationInput!) { revokeDesignation(input: $input) {
      designation { revokedAt } userErrors { code } } }"""

    def revoke() -> None:
        given = {"input": {"id": held["id"], "reason": "left the department"}}
        payload = pair.first.data("register-admin", document, given)["revokeDesignation"]
        assert payload["userErrors"] == []

    assert measured(pair, headers_of(pair, "marketing"), revoke, has_no_role) < LONGEST_SECONDS


def test_a_partner_token(pair: Pair) -> None:
    (held,) = pair.first.data("carrier-2", "{ partnerTokens { nodes { id } } }")["partnerTokens"]["nodes"]
    document = """mutation($input: RevokePartnerTokenInput!) { revokePartnerToken(input: $input) {
      partnerToken { revokedAt } userErrors { code } } }"""

    def revoke() -> None:
        given = {"input": {"id": held["id"]}}
        payload = pair.first.data("register-admin", document, given)["revokePartnerToken"]
        assert payload["userErrors"] == []

    assert measured(pair, headers_of(pair, "carrier-2"), revoke, is_unknown) < LONGEST_SECONDS


def test_a_session(pair: Pair) -> None:
    register = """mutation($input: RegisterCustomerInput!) { registerCustomer(input: $input) {
      accessToken userErrors { code } } }"""
    token = pair.first.data("anonymous", register, {"input": PERSON})["registerCustomer"]["accessToken"]
    headers = {"Authorization": f"Bearer {token}"}

    def revoke() -> None:
        document = "mutation { signOut(input: {}) { ended userErrors { code } } }"
        response = pair.first.post("anonymous", document, headers=headers).json()
        assert response["data"]["signOut"] == {"ended": 1, "userErrors": []}

    assert measured(pair, headers, revoke, is_unknown) < LONGEST_SECONDS
