"""What the tests of changes share: orders to place, guests, a second gateway, concurrent requests."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest
from starlette.testclient import TestClient

from gateway.app import app_of, create_gateway
from gateway.database import Transaction
from schema.scalars import read_global_id
from tests.world import Asker, World

LISTENING_SECONDS = 10
USER_ERRORS = "userErrors { code coordinate message path currentVersion }"
PLACE = f"""mutation ($input: PlaceOrderInput!) {{ placeOrder(input: $input) {{ accessToken order {{
    id number status paymentStatus paymentMethod version billingName customerMessage
    billingAddress {{ streetAddress postalCode postalTown countryCode }}
    total {{ amount currency }}
    lines(first: 100) {{ nodes {{ sku name quantity vatRate unitPrice {{ amount currency }} }} }}
    deliveries {{ nodes {{ id reference status serviceCode parcelCount carrier {{ name }} recipientName
        recipientPhone recipientEmail streetAddress postalCode postalTown countryCode }} }}
}} {USER_ERRORS} }} }}"""
CANCEL = f"""mutation ($input: CancelOrderInput!) {{ cancelOrder(input: $input) {{ order {{
    id status version deliveries {{ nodes {{ status version }} }} }} {USER_ERRORS} }} }}"""
UPDATE = f"""mutation ($input: UpdateOrderInput!) {{ updateOrder(input: $input) {{ order {{
    id status version }} {USER_ERRORS} }} }}"""
NOTE = f"""mutation ($input: AddOrderNoteInput!) {{ addOrderNote(input: $input) {{ order {{
    internalNote version }} {USER_ERRORS} }} }}"""
ACCESS = f"""mutation ($input: RequestOrderAccessInput!) {{ requestOrderAccess(input: $input) {{
    accepted {USER_ERRORS} }} }}"""

GUEST: Mapping[str, Any] = {
    "firstName": "Guest",
    "surname": "von Testi",
    "email": "Guest.Testi@Example.com",
    "phone": "040 123 4567",
    "streetAddress": "Koekatu 1",
    "postalCode": "FI-00100",
    "postalTown": "Helsinki",
}


def basket(**changed: Any) -> dict[str, Any]:
    """The input of an order for two coffee makers."""
    given = {
        "lines": [{"sku": "KIT-1001", "quantity": 2}],
        "paymentMethod": "CARD",
        "delivery": {"serviceCode": "PICKUP"},
    }
    return given | changed


def placed(world: World, name: str = "customer", **changed: Any) -> Any:
    """The payload of an order that was placed."""
    payload = world.data(name, PLACE, {"input": basket(**changed)})["placeOrder"]
    assert payload["userErrors"] == []
    return payload


def mistakes(world: World, name: str, document: str, given: Any, purpose: str | None = None) -> list[Any]:
    """The `userErrors` of a change that was not made, each as code, coordinate and path."""
    (payload,) = world.data(name, document, {"input": given}, purpose).values()
    assert payload["userErrors"], "it was made"
    return [(one["code"], one["coordinate"], "/".join(one["path"])) for one in payload["userErrors"]]


def holder(world: World, token: str) -> str:
    """The name of an asker with a one-order token."""
    name = f"holder-{uuid.uuid4()}"
    headers = {"Authorization": f"Bearer {token}"}
    world.askers[name] = Asker(name, "customer", headers)
    return name


def key_of(shown: str) -> uuid.UUID:
    """The key in a global id."""
    found = read_global_id(shown)
    assert found is not None
    return found[1]


def kept(world: World, table: str, **wanted: Any) -> list[dict[str, Any]]:
    """The rows of a table, as they are now, with these values."""
    world.forget()
    return [row for row in world.table(table) if all(row[name] == value for name, value in wanted.items())]


def at_once(*steps: Callable[[], Any]) -> list[Any]:
    """What the steps return, each run in a thread of its own at the same time."""
    with ThreadPoolExecutor(len(steps)) as pool:
        return [future.result() for future in [pool.submit(step) for step in steps]]


@contextmanager
def recorded() -> Iterator[list[str]]:
    """The statements of changes that are sent while the block runs; they still run."""
    found: list[str] = []
    row = Transaction.row

    async def recording(self: Transaction, sql: str, values: Any) -> Any:
        found.append(sql)
        return await row(self, sql, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transaction, "row", recording)
        yield found


@contextmanager
def another_gateway(world: World, **changed: object) -> Iterator[World]:
    """The same register behind a second gateway, started anew, with other settings."""
    gateway = create_gateway(world.gateway.settings.model_copy(update=changed), world.clock)
    with TestClient(app_of(gateway)) as client:
        yield replace(world, gateway=gateway, client=client)


def until_listening(world: World) -> None:
    """Waits until the worker hears of changes: before, it believes nothing."""
    deadline = monotonic() + LISTENING_SECONDS
    while not world.client.get("/readyz").json()["listening"]:
        assert monotonic() < deadline


@contextmanager
def told_to_nobody(world: World, table: str, trigger: str) -> Iterator[None]:
    """What changes in a table while the block runs is told to no other worker."""
    world.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
    try:
        yield
    finally:
        world.execute(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}")
