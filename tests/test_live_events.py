"""Subscriptions as server-sent events: what is streamed, how a stream ends, and what opens none."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from schema.scalars import global_id
from tests.live import WATCH, WATCH_ORDER, Served, served
from tests.test_live import assigned, of_customer
from tests.test_live_attacks import AT_ONCE, SHORT, WIDE, short_token

EVENTS = {"Accept": "text/event-stream"}
LINES = (
    "subscription($id: ID!) { deliveryUpdated(deliveryId: $id) { events(first: 3) { nodes { status } } } }"
)


@dataclass(frozen=True)
class Stream:
    """An open event stream."""

    response: httpx.Response
    lines: Iterator[str]

    def next(self) -> tuple[str, Any]:
        """The next event and its data; comments, which keep the stream alive, are passed over."""
        event, data = "", []
        for line in self.lines:
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data.append(line.removeprefix("data: "))
            elif not line and event:
                text = "\n".join(data)
                return event, json.loads(text) if text else None
        raise EOFError


@contextmanager
def streamed(
    live: Served, headers: dict[str, str], query: str, variables: object = None, method: str = "POST"
) -> Iterator[Stream]:
    given: dict[str, Any] = {"query": query, "variables": variables}
    how: dict[str, Any] = {"json": given}
    if method == "GET":
        how = {"params": {"query": query, "variables": json.dumps(variables)}}
    with (
        httpx.Client(timeout=5) as client,
        client.stream(method, live.url, headers={**EVENTS, **headers}, **how) as response,
    ):
        yield Stream(response, response.iter_lines())


def headers_of(live: Served, name: str) -> dict[str, str]:
    return dict(live.world.askers[name].headers)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_events_are_streamed_after_each_change(live: Served, method: str) -> None:
    delivery = of_customer(live)
    id = {"id": global_id("Delivery", delivery["id"])}
    with streamed(live, headers_of(live, "customer"), WATCH, id, method) as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["cache-control"] == "no-store"
        assert "content-length" not in stream.response.headers
        live.until_watched()
        for _ in range(2):
            live.touch(delivery["id"])
            event, body = stream.next()
            assert (event, body["data"]["deliveryUpdated"]["reference"]) == ("next", delivery["reference"])
    live.until_watched(0)
    live.until(lambda: live.live.seats.taken == 0)


def test_the_lines_of_a_list_are_lines_of_data(live: Served) -> None:
    """PostgreSQL writes a list over several lines, each of which is a `data` line of its event."""
    counts = {row["id"]: 0 for row in live.deliveries()}
    for row in live.world.table("delivery_event"):
        counts[row["delivery_id"]] += 1
    key = max(counts, key=lambda one: counts[one])
    customer = {"Authorization": headers_of(live, "support")["Authorization"]}
    with streamed(live, customer, LINES, {"id": global_id("Delivery", key)}) as stream:
        live.until_watched()
        live.touch(key)
        assert len(stream.next()[1]["data"]["deliveryUpdated"]["events"]["nodes"]) == 3
    live.until_watched(0)


def test_an_operation_that_is_no_subscription_is_one_event(live: Served) -> None:
    with streamed(live, headers_of(live, "customer"), "{ viewer { role } }") as stream:
        assert stream.next() == ("next", {"data": {"viewer": {"role": "customer"}}})
        assert stream.next() == ("complete", None)


@pytest.mark.parametrize(
    ("name", "query", "kind", "code"),
    [
        ("customer", "subscription { nothing }", "Delivery", "VALIDATION_FAILED"),
        ("customer", "subscription { deliveryUpdated { id } }", "Delivery", "BAD_LOOKUP"),
        ("customer", WATCH, "Order", "BAD_ID"),
        ("carrier", WATCH_ORDER, "Order", "FIELD_FORBIDDEN"),
        ("anonymous", WATCH, "Delivery", "FIELD_FORBIDDEN"),
    ],
)
def test_mistakes_and_refusals_are_events(live: Served, name: str, query: str, kind: str, code: str) -> None:
    id = {"id": global_id(kind, UUID(int=1))} if "$id" in query else None
    with streamed(live, headers_of(live, name), query, id) as stream:
        assert stream.response.status_code == 200
        event, body = stream.next()
        assert (event, body["errors"][0]["extensions"]["code"]) == ("next", code)
        assert "data" not in body
        assert stream.next() == ("complete", None)


def test_who_is_not_known_gets_a_status(live: Served) -> None:
    for query in (WATCH, "{ viewer { role } }"):
        id = {"id": global_id("Delivery", UUID(int=1))} if "$id" in query else None
        with streamed(live, {"Authorization": "Bearer nonsense"}, query, id) as stream:
            assert stream.response.status_code == 401
            assert stream.response.headers["content-type"] == "application/json; charset=utf-8"
            assert stream.response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("accept", "query", "media"),
    [
        ("application/json, text/event-stream", "{ viewer { role } }", "application/json"),
        ("text/event-stream, application/json;q=0.5", "{ viewer { role } }", "text/event-stream"),
        (
            "application/json, text/event-stream",
            "subscription { deliveryUpdated { id } }",
            "text/event-stream",
        ),
        (
            "application/json, text/event-stream;q=0",
            "subscription { deliveryUpdated { id } }",
            "application/json",
        ),
    ],
)
def test_a_subscription_is_streamed_to_whom_takes_a_stream_and_a_query_to_whom_prefers_one(
    live: Served, accept: str, query: str, media: str
) -> None:
    with streamed(live, {**headers_of(live, "customer"), "Accept": accept}, query) as stream:
        assert stream.response.headers["content-type"] == f"{media}; charset=utf-8"


def test_head_opens_no_stream(live: Served) -> None:
    parameters = {"query": "subscription { deliveryUpdated { id } }"}
    response = httpx.head(live.url, params=parameters, headers={**EVENTS, **headers_of(live, "customer")})
    assert response.status_code == 400


def test_a_stream_ends_within_two_seconds_of_its_token(live: Served) -> None:
    id = {"id": global_id("Delivery", of_customer(live)["id"])}
    headers = {"Authorization": f"Bearer {short_token(live, SHORT)}"}
    with streamed(live, headers, WATCH, id) as stream:
        begun = time.monotonic()
        event, body = stream.next()
        assert (event, body["errors"][0]["extensions"]["code"]) == ("next", "UNAUTHENTICATED")
        assert stream.next() == ("complete", None)
        assert time.monotonic() - begun < SHORT + AT_ONCE
    live.until_watched(0)


def test_a_stream_ends_within_two_seconds_of_a_revocation(live: Served) -> None:
    carrier = live.world.askers["carrier"].carrier_id
    id = {"id": global_id("Delivery", assigned(live)["id"])}
    with streamed(live, headers_of(live, "carrier"), WATCH, id) as stream:
        live.until_watched()
        live.world.execute("UPDATE partner_token SET revoked_at = created_at WHERE carrier_id = $1", carrier)
        begun = time.monotonic()
        try:
            event, body = stream.next()
        finally:
            live.world.execute("UPDATE partner_token SET revoked_at = NULL WHERE carrier_id = $1", carrier)
        assert (event, body["errors"][0]["extensions"]["code"]) == ("next", "UNAUTHENTICATED")
        assert stream.next() == ("complete", None)
        assert time.monotonic() - begun < AT_ONCE


def test_a_stream_that_is_not_read_is_given_up(live: Served) -> None:
    delivery = of_customer(live)
    live.world.execute("UPDATE delivery SET instructions = $1 WHERE id = $2", "x" * 900, delivery["id"])
    query = f"subscription($id: ID!) {{ deliveryUpdated(deliveryId: $id) {{ {WIDE} }} }}"
    body = json.dumps({"query": query, "variables": {"id": global_id("Delivery", delivery["id"])}})
    lines = [
        *("POST /graphql HTTP/1.1", "Host: localhost", "Accept: text/event-stream"),
        *("Content-Type: application/json", f"Content-Length: {len(body)}"),
        f"Authorization: {headers_of(live, 'customer')['Authorization']}",
    ]
    with (
        served(live.world, live_send_timeout_seconds=0.3) as quick,
        socket.create_connection(("127.0.0.1", quick.port)) as raw,
    ):
        raw.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        quick.until_watched()
        deadline = time.monotonic() + 20
        while quick.live.seats.taken and time.monotonic() < deadline:
            quick.touch(delivery["id"])
        assert (quick.live.seats.taken, quick.live.broker.count()) == (0, 0)


def test_streams_and_sockets_are_counted_together(live: Served) -> None:
    id = {"id": global_id("Delivery", UUID(int=1))}
    headers = headers_of(live, "customer")
    with (
        served(live.world, live_connections_per_principal=2) as tight,
        tight.as_("customer"),
        streamed(tight, headers, WATCH, id),
    ):
        tight.until_watched()
        with streamed(tight, headers, WATCH, id) as third:
            assert third.response.status_code == 429
            assert third.response.headers["retry-after"] == "1"
            error = json.loads(third.response.read())["errors"][0]
            assert error["extensions"]["code"] == "TOO_MANY_CONNECTIONS"
        with streamed(tight, headers_of(live, "customer-2"), WATCH, id) as other:
            assert other.response.status_code == 200
