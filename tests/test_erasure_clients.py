"""Erasure while clients order, pay, pick and deliver: what was placed is emptied once it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.erasing import (
    DAY,
    HELD,
    Person,
    asked_for,
    bought,
    deliver_all,
    found_of,
    new_person,
    quiet_mail,
    tick,
)
from tests.shipments import Sent, change
from tests.shipments import send as ship
from tests.test_delivery_events import SHOWN, event
from tests.world import World
from tests.writing import PLACE, at_once, basket, kept

AFTER = 3 * DAY

pytestmark = pytest.mark.usefixtures("nothing_waits")


def orders(world: World, person: Person) -> Callable[[], None]:
    """A client that places orders until it is not known any more."""

    def run() -> None:
        for _ in range(6):
            delivery = {"serviceCode": "HOME", "instructions": f"soita{person.mark}"}
            wanted = basket(delivery=delivery, customerMessage=f"viesti{person.mark}")
            answer = world.post(person.name, PLACE, {"input": wanted})
            if answer.status_code == 401:
                return
            assert answer.status_code == 200

    return run


def picks(world: World, placed: list[Any]) -> Callable[[], None]:
    """Employees who take orders on."""
    document = """mutation ($input: UpdateOrderInput!) { updateOrder(input: $input) {
        userErrors { code } } }"""

    def run() -> None:
        for order in placed:
            paid = {"id": order["id"], "paymentStatus": "PAID"}
            world.data("finance", document, {"input": paid}, "payment")
            world.data("warehouse", document, {"input": {"id": order["id"], "status": "PICKING"}})

    return run


def reports(world: World, sent: list[Sent]) -> Callable[[], None]:
    """A carrier who delivers, and says who has signed."""

    def run() -> None:
        for one in sent:
            told = event(one.delivery, "DELIVERED", signedBy="Kuittaaja Testinen")
            answer = change(world, "carrier", "reportDeliveryEvent", {"events": [told]}, SHOWN)
            assert [result["outcome"] for result in answer["results"]] == ["RECORDED"]

    return run


@pytest.mark.slow
def test_orders_that_are_placed_meanwhile_are_erased_or_refused(writable: World) -> None:
    """Clients order and employees deliver while the clock erases: what was placed is emptied once closed."""
    people = [new_person(writable) for _ in range(4)]
    placed = [bought(writable, person) for person in people]
    sent = [ship(writable, "IN_TRANSIT", asker=person.name) for person in people]
    for person in people:
        asked_for(writable, person)
    writable.execute("DELETE FROM mail")

    def erases() -> None:
        for _ in range(3):
            tick(writable, AFTER)

    at_once(
        *(orders(writable, person) for person in people),
        picks(writable, placed),
        reports(writable, sent),
        erases,
        erases,
    )
    tick(writable, AFTER)
    for person in people:
        messages = {row["customer_message"] for row in kept(writable, "orders", customer_id=person.key)}
        assert messages == {None}
        assert kept(writable, "customer", id=person.key)[0]["email"] is None
        deliver_all(writable, person)
    quiet_mail(writable)
    tick(writable, AFTER)
    for one in sent:
        (delivery,) = kept(writable, "delivery", id=one.delivery)
        names = delivery["signed_by"], delivery["recipient_name"]
        assert (delivery["status"], *names) == ("DELIVERED", None, None)
    for person in people:
        assert found_of(writable, person) <= HELD | {"orders.billing_postal_town"}
        assert len(kept(writable, "erasure", customer_id=person.key)) == 1
