"""Requests that take too long, or whose caller leaves: ended here, and in PostgreSQL."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from gateway import attended
from gateway.attended import UNWATCHED_SECONDS
from gateway.errors import CallerGone, HttpError, RequestTimeout
from schema.scalars import global_id
from tests.live import Served, Talk, served
from tests.logged import Collected
from tests.world import World

# Real servers, and statements that wait.
pytestmark = [pytest.mark.slow, pytest.mark.alone]

READ = "{ orders { totalCount } }"
CHANGE = """mutation($input: UpdateCustomerInput!) {
  updateCustomer(input: $input) { customer { firstName } userErrors { code } } }"""
# A gateway that has just started looks through many tables for late data of people who are erased.
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'gateway' AND wait_event_type = 'Lock'
AND query NOT LIKE '%FROM erasure %'"""
# The least time-out of a statement is 5 s: what ends sooner was ended by the gateway.
SOONER_SECONDS = 4.0


@contextmanager
def locked(world: World, table: str) -> Iterator[None]:
    """Nobody else reads or changes the table meanwhile."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(world.url))
        try:
            runner.run(connection.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
            yield
        finally:
            runner.run(connection.close())


def waiting(one: Served) -> int:
    """How many statements of the gateway wait for a lock."""

    async def count(connection: Any) -> int:
        found: int = await connection.fetchval(WAITING)
        return found

    number: int = one.world.run(count)
    return number


def post(one: Served, document: str, name: str = "customer", **variables: Any) -> httpx.Response:
    body = {"query": document, "variables": variables}
    return httpx.post(one.url, json=body, headers=one.world.askers[name].headers, timeout=30)


def left(one: Served, document: str, times: int = 1, later: int = 0, **variables: Any) -> None:
    """Asks as a customer, so many times at once and later on, and leaves while the first waits for a lock.

    Returns when no statement waits any more.
    """
    body = json.dumps({"query": document, "variables": variables}).encode()
    headers = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body))}
    headers |= one.world.askers["customer"].headers
    head = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    with socket.create_connection(("127.0.0.1", one.port)) as connection:
        request = f"POST /graphql HTTP/1.1\r\n{head}\r\n".encode() + body
        connection.sendall(request * times)
        one.until(lambda: waiting(one) == 1)
        if later:
            watched = time.monotonic() + 3 * UNWATCHED_SECONDS
            one.until(lambda: time.monotonic() > watched)
            connection.sendall(request * later)
            assert (
                httpx.get(one.url.replace("graphql", "healthz")).status_code == 200
            )  # after these were read
    start = time.monotonic()
    one.until(lambda: waiting(one) == 0)
    assert time.monotonic() - start < SOONER_SECONDS


@pytest.fixture(scope="module")
def hasty(live: Served) -> Iterator[Served]:
    """A gateway whose requests take half a second at most, on one connection of each kind."""
    with served(
        live.world, request_timeout_seconds=0.5, pool_connections=1, principal_cache_seconds=0
    ) as one:
        yield one


@pytest.fixture(scope="module")
def patient(live: Served) -> Iterator[Served]:
    """A gateway with one connection of each kind, whose requests may take their time."""
    with served(live.world, pool_connections=1) as one:
        yield one


@pytest.fixture(scope="module")
def roomy(live: Served) -> Iterator[Served]:
    """A gateway that can look after a socket's caller while one of its operations waits."""
    with served(live.world, pool_connections=2) as one:
        yield one


def test_a_request_over_its_time_is_504_and_its_statement_is_cancelled(hasty: Served) -> None:
    """The caller hears TIMEOUT, PostgreSQL works no more, and the next request has the connection's place."""
    for _ in range(3):
        with locked(hasty.world, "orders"):
            start = time.monotonic()
            response = post(hasty, READ)
            assert time.monotonic() - start < SOONER_SECONDS
            assert response.status_code == 504
            assert response.json()["errors"][0]["extensions"] == {"code": "TIMEOUT"}
            hasty.until(lambda: waiting(hasty) == 0)
        assert post(hasty, READ).json()["data"]["orders"]["totalCount"] > 0


def test_a_time_out_may_be_shorter_than_callers_go_unwatched(
    live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attended, "UNWATCHED_SECONDS", 10 * SOONER_SECONDS)
    with served(live.world, request_timeout_seconds=0.2, body_timeout_seconds=0.2) as one:
        start = time.monotonic()
        with locked(one.world, "orders"):
            assert post(one, READ).status_code == 504
        with raw(one, b"{", missing=1) as connection:
            assert connection.recv(4096).split(b" ", 2)[1] == b"408"
        assert time.monotonic() - start < 2 * SOONER_SECONDS


@pytest.mark.parametrize("late", ["body", "answer"])
def test_what_is_cut_off_is_gone_without_the_garbage_collector(live: Served, late: str) -> None:
    """What was raised in the place of a request would keep its body, where it kept itself."""
    body = json.dumps({"query": READ}).encode()
    with (
        served(live.world, request_timeout_seconds=0.2, body_timeout_seconds=0.2) as one,
        locked(one.world, "orders"),
    ):
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                with raw(one, body, missing=1 if late == "body" else 0) as connection:
                    assert connection.recv(4096).split(b" ", 2)[1] == (b"408" if late == "body" else b"504")
            one.until(lambda: cut_off() == [])
        finally:
            gc.enable()


def cut_off() -> list[object]:
    """What has been raised in the place of requests and is in memory."""
    return [found for found in gc.get_objects() if isinstance(found, HttpError | RequestTimeout | CallerGone)]


def test_a_request_that_waits_for_a_connection_is_over_in_time_too(hasty: Served) -> None:
    """Not only the statement is bounded: so is the wait for a place to run it."""
    with locked(hasty.world, "orders"):
        start = time.monotonic()
        sockets = [raw(hasty, json.dumps({"query": READ}).encode()) for _ in range(5)]
        answers = [one.recv(4096) for one in sockets]
        assert [answer.split(b" ", 2)[1] for answer in answers] == [b"504"] * 5
        assert time.monotonic() - start < SOONER_SECONDS
        for one in sockets:
            one.close()


def raw(one: Served, body: bytes, missing: int = 0) -> socket.socket:
    """A connection with a customer's request on its way, so many bytes of which are not."""
    authorization = one.world.askers["customer"].headers["Authorization"]
    head = f"Host: x\r\nContent-Type: application/json\r\nAuthorization: {authorization}\r\n"
    connection = socket.create_connection(("127.0.0.1", one.port), timeout=30)
    start = f"POST /graphql HTTP/1.1\r\n{head}Content-Length: {len(body) + missing}\r\n\r\n"
    connection.sendall(start.encode() + body)
    return connection


def test_the_schema_is_not_waited_for_either(hasty: Served) -> None:
    """The look-up of a caller is bounded at every endpoint, and answered like anywhere."""
    url = hasty.url.replace("/graphql", "/schema.graphql")
    with locked(hasty.world, "partner_token"):
        response = httpx.get(url, headers=hasty.world.askers["carrier"].headers, timeout=30)
        assert response.status_code == 504
        assert response.json()["errors"][0]["extensions"] == {"code": "TIMEOUT"}


def test_an_operation_on_a_socket_is_bounded_too(hasty: Served) -> None:
    """The socket hears TIMEOUT for this operation, and goes on."""
    with hasty.as_("customer") as talk:
        with locked(hasty.world, "orders"):
            talk.subscribe("a", READ)
            message = talk.hear(SOONER_SECONDS)
            assert (message["type"], message["payload"][0]["extensions"]) == ("error", {"code": "TIMEOUT"})
            hasty.until(lambda: waiting(hasty) == 0)
        talk.subscribe("b", READ)
        assert talk.hear()["type"] == "next"


@contextmanager
def recording(live: Served, seconds: float) -> Iterator[tuple[Served, Talk]]:
    """An employee's socket whose operation waits to be recorded as refused, before it is known what it is."""
    with (
        served(live.world, request_timeout_seconds=seconds, budget_per_minute=1) as one,
        locked(one.world, "access_record"),
        one.as_("support") as talk,
    ):
        talk.subscribe("a", READ)
        yield one, talk


def test_what_is_done_before_an_operation_is_known_is_bounded_too(live: Served) -> None:
    """It may be a subscription, which is not bounded: until that is known it is an operation like any."""
    with recording(live, 0.2) as (one, talk):
        message = talk.hear(SOONER_SECONDS)
        assert (message["type"], message["payload"][0]["extensions"]) == ("error", {"code": "TIMEOUT"})
        one.until(lambda: waiting(one) == 0)


def end(talk: Talk, *, leaves: bool) -> None:
    """Has an operation ended by its client, who leaves or completes it."""
    if leaves:
        talk.connection.close()
    else:
        talk.say({"id": "a", "type": "complete"})


@pytest.mark.parametrize("leaves", [False, True])
def test_what_is_done_before_an_operation_is_known_is_cancelled_with_it(live: Served, leaves: bool) -> None:
    with recording(live, 30) as (one, talk):
        one.until(lambda: waiting(one) == 1)
        start = time.monotonic()
        end(talk, leaves=leaves)
        one.until(lambda: waiting(one) == 0)
        assert time.monotonic() - start < SOONER_SECONDS


@pytest.mark.parametrize("leaves", [False, True])
def test_an_operation_that_its_socket_ends_is_cancelled(roomy: Served, leaves: bool) -> None:
    """By completing it, after which the socket goes on, or by leaving: PostgreSQL works no more on it."""
    with locked(roomy.world, "orders"), roomy.as_("customer") as talk:
        talk.subscribe("a", READ)
        roomy.until(lambda: waiting(roomy) == 1)
        start = time.monotonic()
        end(talk, leaves=leaves)
        roomy.until(lambda: waiting(roomy) == 0)
        assert time.monotonic() - start < SOONER_SECONDS
        if not leaves:
            talk.subscribe("a", "{ __typename }")
            assert talk.hear()["payload"] == {"data": {"__typename": "Query"}}
    assert post(roomy, READ).json()["data"]["orders"]["totalCount"] > 0


def test_a_change_that_its_socket_ends_is_undone(roomy: Served) -> None:
    before = changed(roomy)
    given = {"id": customer_id(roomy), "firstName": "Aino" if before[0] == "Eeva" else "Eeva"}
    with locked(roomy.world, "change"), roomy.as_("customer") as talk:
        talk.subscribe("a", CHANGE, {"input": given})
        roomy.until(lambda: waiting(roomy) == 1)
        talk.say({"id": "a", "type": "complete"})
        roomy.until(lambda: waiting(roomy) == 0)
    assert post(roomy, READ).status_code == 200
    assert changed(roomy) == before


@pytest.mark.parametrize(("times", "later"), [(1, 0), (2, 0), (5, 0), (1, 1), (1, 5), (2, 2)])
def test_a_read_whose_caller_left_is_cancelled(
    patient: Served, logged: Collected, times: int, later: int
) -> None:
    """PostgreSQL works for nobody who has gone, time after time, and others are answered after.

    What the caller asked behind it is not even begun.
    """
    for _ in range(3):
        with locked(patient.world, "orders"):
            left(patient, READ, times, later)
        assert post(patient, READ).status_code == 200
    patient.until(lambda: [line["status"] for line in logged.events("request")].count(499) == 3)
    assert logged.events("fault") + logged.events("database_fault") == []


def changed(one: Served) -> tuple[str, int]:
    """What a change of the customer's sets, and their version."""
    one.world.forget()
    customers = one.world.table("customer")
    key = one.world.askers["customer"].customer_id
    row = next(row for row in customers if row["id"] == key)
    return row["first_name"], row["version"]


def test_a_change_that_takes_too_long_is_undone(hasty: Served) -> None:
    """It is TIMEOUT and has changed nothing; the same change is made when there is time."""
    before = changed(hasty)
    given = {"id": customer_id(hasty), "firstName": "Aino" if before[0] == "Eeva" else "Eeva"}
    with locked(hasty.world, "change"):
        assert post(hasty, CHANGE, input=given).status_code == 504
        hasty.until(lambda: waiting(hasty) == 0)
    assert changed(hasty) == before
    assert post(hasty, CHANGE, input=given).json()["data"]["updateCustomer"]["userErrors"] == []
    assert changed(hasty) == (given["firstName"], before[1] + 1)


def test_a_change_whose_caller_left_is_undone(patient: Served) -> None:
    """Whoever leaves while their change is under way has changed nothing."""
    before = changed(patient)
    given = {"id": customer_id(patient), "firstName": "Aino" if before[0] == "Eeva" else "Eeva"}
    with locked(patient.world, "change"):
        left(patient, CHANGE, input=given)
    assert post(patient, READ).status_code == 200
    assert changed(patient) == before


def customer_id(one: Served) -> str:
    key = one.world.askers["customer"].customer_id
    assert key is not None
    return global_id("Customer", key)
