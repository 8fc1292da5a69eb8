"""A server process that is killed outright: what was acknowledged stays, what was not is whole or absent."""

from __future__ import annotations

import random
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from gateway.principal import utc_now
from schema.scalars import global_id
from tests.bench.place import Place, made
from tests.invariants import Ledger, Rows
from tests.register_invariants import check_register
from tests.shipments import change, codes, document
from tests.twins import CUSTOMERS, Server, Twins, sent_now, started, until, world_of
from tests.writing import GUEST, PLACE, basket, key_of

# Every test starts processes.
pytestmark = pytest.mark.slow

CLIENTS, ROUNDS = 8, 4
LINES = [{"sku": sku, "quantity": 2} for sku in ("KIT-1001", "FOO-7002", "BOO-8005")]


@pytest.fixture(scope="module")
def place(server_url: str) -> Iterator[Place]:
    with made(CUSTOMERS, server_url) as place:
        yield place


def rows_of(place: Place) -> Rows:
    """Every row, once no transaction of a server that is gone runs any more."""
    ledger = Ledger(place.url)
    until(lambda: ledger.others() == 0)
    rows = ledger.rows()
    ledger.close()
    return rows


def guest_order(key: uuid.UUID) -> dict[str, Any]:
    """The input of a guest's order; the guest is told by the order's key."""
    guest = {**GUEST, "email": f"{key.hex}@store.example", "marketingConsent": True}
    return basket(lines=LINES, customer=guest, idempotencyKey=str(key))


def placed(world: Twins, key: uuid.UUID) -> Any:
    payload = world.data("anonymous", PLACE, {"input": guest_order(key)})["placeOrder"]
    assert payload["userErrors"] == []
    return payload["order"]


# ---------------------------------------------------------------- between requests


def test_no_acknowledged_change_is_lost_when_the_server_is_killed(place: Place) -> None:
    keys = [uuid.uuid4() for _ in range(3)]
    with started(place) as server:
        world = world_of(place, server)
        orders = [placed(world, key) for key in keys]
        sent = sent_now(world, "READY", order={"status": "PICKING"})
        event = {
            "deliveryId": sent.delivery_id,
            "status": "PICKED_UP",
            "occurredAt": utc_now().isoformat(),
            "idempotencyKey": str(uuid.uuid4()),
        }
        told = change(world, "carrier", "reportDeliveryEvent", {"events": [event]}, "results { outcome }")
        assert told["results"] == [{"outcome": "RECORDED"}]
        lines = [{"orderLine": sent.line_id, "quantity": 1}]
        asked = {"orderId": sent.order_id, "kind": "DEFECT", "lines": lines, "idempotencyKey": str(keys[0])}
        back = change(world, "customer", "requestReturn", asked, "return { id }")
        note = {"id": sent.order_id, "internalNote": "kept"}
        assert codes(change(world, "support", "addOrderNote", note, "order { id }", "customer-service")) == []
        before = everything(place)
        server.kill()
    rows_of(place)
    assert everything(place) == before
    assert len(orders) == len({order["id"] for order in orders})
    with started(place) as server:
        world = world_of(place, server)
        assert [placed(world, key) for key in keys] == orders
        told = change(world, "carrier", "reportDeliveryEvent", {"events": [event]}, "results { outcome }")
        assert told["results"] == [{"outcome": "DUPLICATE"}]
        assert change(world, "customer", "requestReturn", asked, "return { id }")["return"] == back["return"]
        assert everything(place) == before


def everything(place: Place) -> Rows:
    """Every row as it is now, but for records, which are sealed meanwhile."""
    ledger = Ledger(place.url)
    rows = ledger.register()
    ledger.close()
    return rows


# ---------------------------------------------------------------- in the middle of requests


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_an_order_that_was_under_way_is_whole_or_absent(place: Place, turn: int) -> None:
    with started(place) as server:
        acknowledged, uncertain = killed_while_ordering(place, server, random.Random(turn).uniform(0.05, 0.4))
    assert uncertain, "nothing was under way"
    rows = rows_of(place)
    found = whole_orders(rows, acknowledged.keys() | uncertain)
    assert acknowledged.items() <= found.items()
    with started(place) as server:
        world = world_of(place, server)
        again = {key: placed(world, key)["id"] for key in (*acknowledged, *uncertain)}
    assert found.items() <= again.items()
    assert whole_orders(rows_of(place), again.keys()) == again


def killed_while_ordering(
    place: Place, server: Server, seconds: float
) -> tuple[dict[uuid.UUID, str], set[uuid.UUID]]:
    """Orders by key: those that were answered before the server was killed, and those that were not."""
    world = world_of(place, server)
    placed(world, uuid.uuid4())  # it serves
    acknowledged: dict[uuid.UUID, str] = {}
    uncertain: set[uuid.UUID] = set()

    def order_on() -> None:
        while True:
            key = uuid.uuid4()
            try:
                acknowledged[key] = placed(world, key)["id"]
            except httpx.TransportError:
                uncertain.add(key)
                return

    with ThreadPoolExecutor(CLIENTS) as threads:
        futures = [threads.submit(order_on) for _ in range(CLIENTS)]
        time.sleep(seconds)  # the moment itself is the test
        server.kill()
        for future in futures:
            future.result()
    return acknowledged, uncertain


def whole_orders(rows: Rows, keys: Any) -> dict[uuid.UUID, str]:
    """The orders of guests with these keys that are there, each with everything that is made with it."""
    of: dict[str, dict[Any, list[Any]]] = {
        table: defaultdict(list) for table in ("order_line", "delivery", "orders", "consent_event", "change")
    }
    for table, found in of.items():
        for row in rows[table].values():
            found[row["order_id" if table in ("order_line", "delivery") else "customer_id"]].append(row)
    known = {row["key"]: row["entity_id"] for row in rows["idempotency"].values()}
    guests = {row["email"]: row["id"] for row in rows["customer"].values()}
    whole = {}
    for key in keys:
        customer = guests.get(f"{key.hex}@store.example")
        assert (customer is None) == (key not in known)
        if customer is None:
            continue
        (order,) = of["orders"][customer]
        assert order["id"] == known[key]
        assert len(of["order_line"][order["id"]]) == len(LINES)
        assert len(of["delivery"][order["id"]]) == 1
        assert [event["state"] for event in of["consent_event"][customer]] == ["GIVEN"]
        assert {row["entity"] for row in of["change"][customer]} == {"Customer", "Order", "Delivery"}
        whole[key] = global_id("Order", order["id"])
    return whole


def test_reports_that_were_under_way_are_kept_as_a_whole_or_not_at_all(place: Place) -> None:
    with started(place) as server:
        world = world_of(place, server)
        placed(world, uuid.uuid4())  # it serves
        deliveries = [
            sent_now(world, "READY", order={"status": "PICKING"}).delivery_id for _ in range(CLIENTS)
        ]
        batches = [batch(delivery) for delivery in deliveries]
        with ThreadPoolExecutor(CLIENTS) as threads:
            futures = [threads.submit(answered, world, events) for events in batches]
            until(lambda: any(future.done() for future in futures))
            server.kill()
            done = [future.result() for future in futures]
    rows = rows_of(place)
    kept = {str(row["idempotency_key"]): row["delivery_id"] for row in rows["delivery_event"].values()}
    for delivery, events, was_answered in zip(deliveries, batches, done, strict=True):
        there = [event["idempotencyKey"] in kept for event in events]
        assert all(there) or not (any(there) or was_answered)
        status = rows["delivery"][(key_of(delivery),)]["status"]
        assert status == ("DELIVERED" if all(there) else "READY")
    with started(place) as server:
        world = world_of(place, server)
        assert all(answered(world, events) for events in batches)
    rows = rows_of(place)
    mine = {key_of(delivery) for delivery in deliveries}
    of = {key: row for key, row in rows["delivery"].items() if row["id"] in mine}
    assert {row["status"] for row in of.values()} == {"DELIVERED"}
    events = [row for row in rows["delivery_event"].values() if row["delivery_id"] in mine]
    assert len(events) == sum(len(one) for one in batches)
    check_register({**rows, "orders": {}, "delivery": of})


def batch(delivery: str) -> list[dict[str, Any]]:
    statuses = ["PICKED_UP", *["IN_TRANSIT"] * 30, "DELIVERED"]
    return [
        {
            "deliveryId": delivery,
            "status": status,
            "occurredAt": utc_now().isoformat(),
            "idempotencyKey": str(uuid.uuid4()),
        }
        for status in statuses
    ]


def answered(world: Twins, events: list[dict[str, Any]]) -> bool:
    """Whether all of the reports were acknowledged."""
    given = {"input": {"events": events}}
    try:
        body = world.data("carrier", document("reportDeliveryEvent", "results { outcome }"), given)
    except httpx.TransportError:
        return False
    return all(one["outcome"] != "REFUSED" for one in body["reportDeliveryEvent"]["results"])
