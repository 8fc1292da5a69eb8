"""Who is asking, over a WebSocket, by tokens of identity providers: taken and refused as by a request."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.staff import deactivate_employee
from schema.scalars import global_id
from tests import test_customer_issuer, test_oidc
from tests.desk import Desk, issuer_of_each_kind
from tests.issuer import AUDIENCE, ISSUER, Issuer, issuing
from tests.live import Served, Talk, served
from tests.test_customer_issuer import CUSTOMERS_AUDIENCE, CUSTOMERS_ISSUER, Store
from tests.test_live_attacks import AT_ONCE, seconds_until_ended

WHO = "{ viewer { role principalId } }"
GONE = "Forbidden: the role is no longer the caller's"
REVOKE = """mutation ($input: RevokeDesignationInput!) { revokeDesignation(input: $input) {
  userErrors { code } } }"""


@dataclass(frozen=True)
class Providers:
    """A gateway behind a real server that takes the tokens of both providers."""

    live: Served
    employees: Issuer
    customers: Issuer


@dataclass(frozen=True)
class Room:
    """The gateway, an employee and a customer whom its providers know."""

    live: Served
    desk: Desk
    store: Store

    def opened(self, talk: Talk, token: str, **headers: str) -> Any:
        """As whom the holder of a token is answered over a socket that it opens."""
        talk.init({"Authorization": f"Bearer {token}", **headers})
        talk.subscribe("1", WHO)
        found = talk.hear()["payload"]["data"]["viewer"]
        assert talk.hear()["type"] == "complete"
        return found

    def refused(self, token: str, **headers: str) -> str:
        """Why a socket with a token is closed, which acknowledges nothing."""
        with self.live.socket() as talk:
            talk.say({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}", **headers}})
            code, reason = talk.ended()
        assert code == 4403
        assert token not in reason
        return reason

    def designation(self, role: str) -> str:
        """The global id of the employee's designation."""
        rows = self.live.world.table("designation")
        mine = [row["id"] for row in rows if (row["employee_id"], row["role"]) == (self.desk.employee, role)]
        return global_id("Designation", mine[0])


@pytest.fixture(scope="module")
def providers(live: Served) -> Iterator[Providers]:
    """Keys are asked for every second, so that what is withdrawn is heard of soon."""
    with issuer_of_each_kind() as employees, issuing() as customers:
        customers.add("k")
        given = {
            "oidc_issuer": ISSUER,
            "oidc_audience": AUDIENCE,
            "oidc_jwks_url": employees.url,
            "customer_oidc_issuer": CUSTOMERS_ISSUER,
            "customer_oidc_audience": CUSTOMERS_AUDIENCE,
            "customer_oidc_jwks_url": customers.url,
            "oidc_cache_seconds": 1.0,
            "oidc_pause_seconds": 1.0,
        }
        with served(live.world, **given) as found:
            yield Providers(found, employees, customers)


@pytest.fixture
def room(providers: Providers) -> Iterator[Room]:
    live, world = providers.live, providers.live.world
    employee, customer = uuid.uuid4(), world.askers["customer"].customer_id
    assert customer is not None
    desk = Desk(world, providers.employees, world.client, employee, f"oidc|{employee}")
    store = Store(world, providers.customers, providers.employees, world.client, customer, employee)
    query = "INSERT INTO employee (id, name, work_email, subject) VALUES ($1, 'Test employee', $2, $3)"
    world.execute(query, employee, f"{employee}@store.example", desk.subject)
    store.change(f"subject = '{store.subject}'")
    # Tokens are made by the server's clock, which runs.
    with world.at(live.clock()):
        yield Room(live, desk, store)
    store.change("subject = NULL")
    world.execute("DELETE FROM designation WHERE employee_id = $1", employee)
    world.execute("DELETE FROM employee WHERE id = $1", employee)


# ---------------------------------------------------------------- employees


@pytest.mark.parametrize("key_id", ["eddsa", "es256", "rs256"])
def test_an_employee_opens_a_socket_with_the_providers_token(room: Room, key_id: str) -> None:
    room.desk.designate("support")
    with room.live.socket() as talk:
        found = room.opened(talk, room.desk.token(key_id))
    assert found == {"role": "support", "principalId": global_id("Employee", room.desk.employee)}


@pytest.mark.parametrize("name", test_oidc.REFUSED)
def test_what_proves_no_employee_opens_no_socket_and_is_told_why(room: Room, name: str) -> None:
    make, reason = test_oidc.REFUSED[name]
    room.desk.designate("support")
    assert room.refused(make(room.desk)) == f"Forbidden: {reason}"


def test_a_subject_that_nobody_has_opens_no_socket(room: Room) -> None:
    assert room.refused(room.desk.token(sub="nobody")) == "Forbidden: unknown employee"


def test_of_several_designations_a_socket_acts_as_the_one_it_names(room: Room) -> None:
    for role in ("warehouse", "finance"):
        room.desk.designate(role)
    token = room.desk.token()
    assert room.refused(token) == "Forbidden: ACT_AS_REQUIRED"
    for role in ("support", "customer", "anonymous", "Finance", ""):
        assert room.refused(token, **{"Act-As": role}) == "Forbidden: ACT_AS_FORBIDDEN"
    for role in ("warehouse", "finance"):
        with room.live.socket() as talk:
            assert room.opened(talk, token, **{"Act-As": role})["role"] == role


def test_who_is_not_designated_opens_a_socket_in_no_role_and_acts_in_none(room: Room) -> None:
    with room.live.socket() as talk:
        assert room.opened(talk, room.desk.token())["role"] is None
    assert room.refused(room.desk.token(), **{"Act-As": "support"}) == "Forbidden: ACT_AS_FORBIDDEN"


def test_a_revoked_designation_ends_the_sockets_that_act_by_it_and_no_others(room: Room) -> None:
    for role in ("warehouse", "finance"):
        room.desk.designate(role)
    token, world = room.desk.token(), room.live.world
    with room.live.socket() as ending, room.live.socket() as staying:
        room.opened(ending, token, **{"Act-As": "warehouse"})
        room.opened(staying, token, **{"Act-As": "finance"})
        given = {"id": room.designation("warehouse"), "reason": "the work is done"}
        made = world.data("register-admin", REVOKE, {"input": given})["revokeDesignation"]
        assert made["userErrors"] == []
        taken, code, reason = seconds_until_ended(ending)
        assert (code, reason) == (4403, GONE)
        assert taken < AT_ONCE
        staying.subscribe("2", WHO)
        assert staying.hear()["payload"]["data"]["viewer"]["role"] == "finance"


def test_deactivating_an_employee_ends_their_socket(room: Room) -> None:
    room.desk.designate("support")
    with room.live.socket() as talk:
        room.opened(talk, room.desk.token())
        address = f"{room.desk.employee}@store.example"
        asyncio.run(deactivate_employee(room.live.world.url, address, "left", room.live.clock()))
        taken, code, reason = seconds_until_ended(talk)
    assert (code, reason) == (4403, "Forbidden: unknown employee")
    assert taken < AT_ONCE
    assert room.refused(room.desk.token()) == "Forbidden: unknown employee"


def test_an_employees_socket_ends_when_their_token_does(room: Room) -> None:
    room.desk.designate("support")
    ends = room.live.clock() + timedelta(seconds=1)
    with room.live.socket() as talk:
        room.opened(talk, room.desk.token(exp=ends.timestamp()))
        assert talk.ended() == (4403, "Forbidden: expired")
    assert timedelta() <= room.live.clock() - ends < timedelta(seconds=AT_ONCE)


def test_a_socket_ends_when_the_provider_withdraws_its_keys(room: Room) -> None:
    listed = room.desk.issuer.listed
    try:
        with room.live.socket() as talk:
            room.opened(talk, room.desk.token())
            room.desk.issuer.listed = []
            assert talk.ended() == (4403, "Forbidden: unknown key")
    finally:
        room.desk.issuer.listed = listed
        headers = {"Authorization": f"Bearer {room.desk.token()}"}
        room.live.until(lambda: httpx.get(room.live.url, params={"query": WHO}, headers=headers).is_success)


# ---------------------------------------------------------------- customers


def test_a_customer_opens_a_socket_with_their_providers_token(room: Room) -> None:
    with room.live.socket() as talk:
        found = room.opened(talk, room.store.token())
    assert found == {"role": "customer", "principalId": global_id("Customer", room.store.customer)}


@pytest.mark.parametrize("name", test_customer_issuer.REFUSED)
def test_what_proves_no_customer_opens_no_socket_and_is_told_why(room: Room, name: str) -> None:
    changed, reason = test_customer_issuer.REFUSED[name]
    assert room.refused(room.store.token(**changed)) == f"Forbidden: {reason}"


def test_neither_providers_tokens_open_a_socket_of_the_others(room: Room) -> None:
    crossed = {"iss": CUSTOMERS_ISSUER, "aud": CUSTOMERS_AUDIENCE}
    assert room.refused(room.desk.token(**crossed)) == "Forbidden: unknown key"
    assert room.refused(room.store.token(iss=ISSUER, aud=AUDIENCE)) == "Forbidden: unknown key"
    assert room.refused(room.store.token(sub=room.desk.subject)) == "Forbidden: unknown customer"
    assert room.refused(room.desk.token(sub=room.store.subject)) == "Forbidden: unknown employee"


def test_a_customer_acts_as_no_employee_over_a_socket(room: Room) -> None:
    found = room.refused(room.store.token(roles=["support"]), **{"Act-As": "support"})
    assert found == "Forbidden: ACT_AS_FORBIDDEN"


@pytest.mark.parametrize("changes", ["subject = NULL", "status = 'ERASED', erased_at = now()"])
def test_a_customer_who_is_known_no_more_loses_their_socket(room: Room, changes: str) -> None:
    try:
        with room.live.socket() as talk:
            room.opened(talk, room.store.token())
            room.store.change(changes)
            taken, code, reason = seconds_until_ended(talk)
    finally:
        room.store.change("status = 'ACTIVE', erased_at = NULL")
    assert (code, reason) == (4403, "Forbidden: unknown customer")
    assert taken < AT_ONCE
