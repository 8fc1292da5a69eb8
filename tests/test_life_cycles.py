"""Orders, deliveries and returns live through random lives over HTTP, and the register stays right.

After every change the whole register is read and compared with what it was. `HYPOTHESIS_PROFILE=thorough`
lives longer.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from schema.lifecycles import REPORTED
from schema.scalars import global_id
from schema.states import OrderStatus, PaymentStatus, ReturnStatus
from tests.conftest import new_database
from tests.foretold import foretold_order
from tests.invariants import Ledger, Move, Row, key_of
from tests.lives import Life, keyed, lasting, named
from tests.naive_rules import RETURN_FINAL
from tests.register_invariants import check_register
from tests.world import NOW, World, make_world

EXAMPLES, STEPS = {"default": (30, 25), "thorough": (400, 50)}[
    os.environ.get("HYPOTHESIS_PROFILE", "default")
]
LIVES = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
ADDRESS = {"streetAddress": "Uusikatu 2", "postalCode": "33100", "postalTown": "Tampere"}
CENT = Decimal("0.01")
MOST_DAYS = timedelta(days=25)

PLACES = st.integers(0, 7)
KEYS = st.sampled_from([None, None, 1, 2])
VERSIONS = st.sampled_from([None, None, None, 0, -1])
STAFF = st.sampled_from(["support", "warehouse", "finance", "register-admin"])
ASKERS = st.sampled_from(
    ["owner", "owner", "guest", "customer-2", "carrier", "carrier-2", "support", "warehouse", "finance"]
)
CARRIERS = st.sampled_from(["carrier", "carrier-2", "idle"])
SERVICES = st.sampled_from(["HOME", "PICKUP", "NEAR", "PARCEL", "no such service"])
BASKETS = st.lists(
    st.tuples(
        st.sampled_from(["KIT-1001", "FOO-7002", "BOO-8005"] * 3 + ["no such product"]),
        st.sampled_from([1, 1, 2, 3, 3, 0]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda line: line[0],
)
REPORTS = st.tuples(
    st.sampled_from([*sorted(REPORTED), *sorted(REPORTED), "READY"]),
    st.integers(-60, 90),
    st.sampled_from([None, "Vantaa"]),
)


class Lives(Life):
    """Everybody's changes, in any order, right and wrong."""

    # ------------------------------------------------------------ orders

    @initialize(
        who=st.sampled_from(["customer", "customer", "anonymous"]),
        quantity=st.integers(1, 3),
        method=st.sampled_from(["CARD", "INVOICE"]),
        steps=st.integers(0, 12),
    )
    def an_order_is_on_its_way(self, who: str, quantity: int, method: str, steps: int) -> None:
        self.places(who, [("KIT-1001", quantity), ("FOO-7002", 2)], method, None)
        self.goes_on(0, steps)

    @rule(
        who=st.sampled_from(["customer", "customer-2", "anonymous"]),
        basket=BASKETS,
        method=st.sampled_from(["CARD", "INVOICE"]),
        key=KEYS,
    )
    def places(self, who: str, basket: Any, method: str, key: int | None) -> None:
        given: dict[str, Any] = {
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in basket],
            "paymentMethod": method,
            "delivery": {"serviceCode": "HOME"},
        }
        if who == "anonymous":
            guest = {"firstName": "Vieras", "surname": "Testi", "email": "vieras@store.example", **ADDRESS}
            given["customer"] = guest
        given |= keyed(key)
        move = Move(who, "placeOrder", given)
        active = {row["sku"] for row in self.rows["product"].values() if row["active"]}
        said = self.hold(move, foretold_order(move, self.earlier(move), active))
        if not said.is_done:
            return
        order = key_of(said.payload["order"]["id"])
        if who == "anonymous":
            self.admit(order, said.payload["accessToken"])

    @rule(place=PLACES, who=ASKERS, version=VERSIONS)
    def cancels(self, place: int, who: str, version: int | None) -> None:
        order = self.one("orders", place)
        self.change(self.asker(who, order), "cancelOrder", **named("Order", order, version))

    @rule(
        place=PLACES,
        who=STAFF,
        status=st.sampled_from([*OrderStatus]),
        payment=st.sampled_from([*PaymentStatus]),
        version=VERSIONS,
    )
    def updates_an_order(self, place: int, who: str, status: Any, payment: Any, version: int | None) -> None:
        step = {"paymentStatus": payment.value} if who == "finance" else {"status": status.value}
        self.change(who, "updateOrder", **named("Order", self.one("orders", place), version), **step)

    @rule(place=PLACES, who=STAFF)
    def notes(self, place: int, who: str) -> None:
        order = self.one("orders", place)
        self.change(who, "addOrderNote", id=global_id("Order", order["id"]), internalNote="a note")

    # ------------------------------------------------------------ deliveries

    @rule(place=PLACES, carrier=st.one_of(st.just(...), CARRIERS), service=SERVICES, key=KEYS)
    def creates_a_delivery(self, place: int, carrier: Any, service: str, key: int | None) -> None:
        given = {"orderId": global_id("Order", self.one("orders", place)["id"]), **keyed(key)}
        if isinstance(carrier, str):
            given["carrier"] = self.carrier_id(carrier)
        self.change("warehouse", "createDelivery", **given, serviceCode=service)

    @precondition(lambda self: self.has("delivery"))
    @rule(
        place=PLACES,
        who=st.sampled_from(["warehouse", "warehouse", "warehouse", "support", "carrier"]),
        status=st.one_of(st.just(...), st.sampled_from(["READY", "PRE_ADVISED", "CANCELLED", "DELIVERED"])),
        carrier=st.one_of(st.just(...), st.none(), CARRIERS),
        service=st.one_of(st.just(...), SERVICES),
        version=VERSIONS,
    )
    def updates_a_delivery(
        self, place: int, who: str, status: Any, carrier: Any, service: Any, version: int | None
    ) -> None:
        key = self.carrier_id(carrier) if isinstance(carrier, str) else carrier
        delivery = self.one("delivery", place)
        given = named("Delivery", delivery, version)
        self.change(
            who, "updateDelivery", **given, status=status, carrier=key, serviceCode=service, weightGrams=500
        )

    @precondition(lambda self: self.has("delivery"))
    @rule(place=PLACES, who=st.sampled_from(["carrier", "carrier-2"]), code=st.sampled_from(["A1", None]))
    def keeps_a_delivery_right(self, place: int, who: str, code: str | None) -> None:
        delivery = global_id("Delivery", self.one("delivery", place)["id"])
        self.change(who, "updateDelivery", id=delivery, trackingCode=code, pickupPoint="Kauppa 1")

    @precondition(lambda self: self.has("delivery"))
    @rule(place=PLACES, who=ASKERS, version=VERSIONS)
    def changes_an_address(self, place: int, who: str, version: int | None) -> None:
        delivery = self.one("delivery", place)
        given = named("Delivery", delivery, version)
        self.change(self.asker(who, delivery), "updateDeliveryAddress", **given, **ADDRESS)

    # ------------------------------------------------------------ reports

    @precondition(lambda self: self.has("delivery"))
    @rule(place=PLACES, given=st.lists(REPORTS, min_size=1, max_size=4), right=st.integers(0, 4))
    def reports(self, place: int, given: Any, right: int) -> None:
        delivery = self.one("delivery", place)
        for turn in range(place * right, place * right + 3):  # one that its carrier sees, where it can be had
            if delivery["status"] in ("PLANNED", "CANCELLED"):
                delivery = self.one("delivery", turn)
        who = self.carrier_of(delivery) if right else "carrier-2"
        self.report(who, [self.told(delivery, *one) for one in given])

    @precondition(lambda self: self.has("delivery_event"))
    @rule(place=PLACES, changed=st.booleans())
    def reports_again(self, place: int, changed: bool) -> None:
        event = self.one("delivery_event", place)
        delivery = self.rows["delivery"][(event["delivery_id"],)]
        told = {
            "deliveryId": global_id("Delivery", delivery["id"]),
            "status": event["status"],
            "occurredAt": event["occurred_at"].isoformat(),
            "place": "Oulu" if changed else event["place"],
            "idempotencyKey": str(event["idempotency_key"]),
        }
        self.report(self.carrier_of(delivery), [told, told])

    # ------------------------------------------------------------ returns

    @rule(
        place=PLACES,
        who=ASKERS,
        kind=st.sampled_from(["WITHDRAWAL", "DEFECT"]),
        quantities=st.lists(st.sampled_from([1, 1, 1, 2, 3, 0]), min_size=1, max_size=3),
        other=st.integers(0, 7),
        key=KEYS,
    )
    def requests_a_return(
        self, place: int, who: str, kind: str, quantities: list[int], other: int, key: int | None
    ) -> None:
        order = self.one("orders", place)
        of = order if other else self.one("orders", place + 1)
        lines = sorted(
            global_id("OrderLine", row["id"])
            for row in self.rows["order_line"].values()
            if row["order_id"] == of["id"]
        )
        self.change(
            self.asker(who, order),
            "requestReturn",
            orderId=global_id("Order", order["id"]),
            **keyed(key),
            kind=kind,
            lines=[
                {"orderLine": lines[place % len(lines)], "quantity": quantity}
                for place, quantity in enumerate(quantities)
            ],
        )

    @precondition(lambda self: self.has("returns"))
    @rule(place=PLACES, who=STAFF, status=st.sampled_from([*ReturnStatus]), version=VERSIONS)
    def updates_a_return(self, place: int, who: str, status: Any, version: int | None) -> None:
        given = named("Return", self.one("returns", place), version)
        found = {"inspectionNote": "dented"} if status.value == "INSPECTED" else {}
        self.change(who, "updateReturn", **given, status=status.value, **found)

    @precondition(lambda self: self.has("returns"))
    @rule(
        place=PLACES,
        who=st.sampled_from(["finance", "finance", "finance", "warehouse"]),
        share=st.sampled_from(["0.60", "0.60", "0.40", "1.00", "1.01", "-1.00", ...]),
        when=st.sampled_from([0, 0, 1, -9000, ...]),
        version=VERSIONS,
    )
    def refunds(self, place: int, who: str, share: Any, when: Any, version: int | None) -> None:
        back = self.one("returns", place)
        given, total = named("Return", back, version), self.rows["orders"][(back["order_id"],)]["total"]
        amount = share if share is ... else str((total * Decimal(share)).quantize(CENT))
        moment = when if when is ... else (self.world.now + timedelta(minutes=when)).isoformat()
        if amount is moment is ...:
            moment = self.world.now.isoformat()
        self.change(who, "updateReturn", **given, refundAmount=amount, refundedAt=moment)

    # ------------------------------------------------------------ the way of the world

    @rule(place=PLACES, steps=st.integers(1, 12))
    def goes_on(self, place: int, steps: int) -> None:
        """The next steps of an order that all goes well with."""
        order = self.one("orders", place)["id"]
        for _ in range(steps):
            if not self.goes_one_step(order):
                return

    def goes_one_step(self, key: uuid.UUID) -> bool:
        order = self.rows["orders"][(key,)]
        of = [row for row in self.rows["delivery"].values() if row["order_id"] == key]
        back = [row for row in self.rows["returns"].values() if row["order_id"] == key]
        shown = global_id("Order", key)
        match order["status"]:
            case "PLACED" if order["payment_method"] == "CARD" and order["payment_status"] != "PAID":
                self.change("finance", "updateOrder", id=shown, paymentStatus="PAID")
            case "PLACED" | "PAID":
                status = "PAID" if order["status"] == "PLACED" else "PICKING"
                who = "warehouse" if order["status"] == "PAID" else "support"
                self.change(who, "updateOrder", id=shown, status=status)
            case "PICKING" | "SHIPPED":
                return self.delivers(of)
            case "DELIVERED" if len(back) < 2:
                self.requests_a_return(self.place_of(key), "owner", "DEFECT", [1], 1, None)
            case "DELIVERED" | "COMPLETED" if any(one["status"] not in RETURN_FINAL for one in back):
                return self.takes_back(next(one for one in back if one["status"] not in RETURN_FINAL))
            case _:
                return False
        return True

    def delivers(self, deliveries: list[Row]) -> bool:
        for delivery in deliveries:
            key = global_id("Delivery", delivery["id"])
            match delivery["status"]:
                case "PLANNED":
                    given = {"carrier": self.carrier_id("carrier"), "serviceCode": "HOME"}
                    self.change("warehouse", "updateDelivery", id=key, status="READY", **given)
                    return True
                case "READY" | "PRE_ADVISED":
                    self.report(self.carrier_of(delivery), [self.told(delivery, "PICKED_UP", 1, None)])
                    return True
                case "PICKED_UP" | "IN_TRANSIT" | "OUT_FOR_DELIVERY" | "AT_PICKUP_POINT":
                    self.report(self.carrier_of(delivery), [self.told(delivery, "DELIVERED", 0, None)])
                    return True
        return False

    def takes_back(self, back: Row) -> bool:
        key = global_id("Return", back["id"])
        following = {"REQUESTED": "AWAITING_GOODS", "AWAITING_GOODS": "RECEIVED", "RECEIVED": "INSPECTED"}
        following["REFUNDED"] = "CLOSED"
        if back["status"] in following:
            self.change("warehouse", "updateReturn", id=key, status=following[back["status"]])
        elif back["status"] == "INSPECTED":
            moment = self.world.now.isoformat()
            self.change("finance", "updateReturn", id=key, refundAmount="4.20", refundedAt=moment)
        return self.rows["returns"][(back["id"],)] != back

    @rule(place=PLACES, steps=st.integers(1, 3), is_called_off=st.booleans())
    def is_fetched_too_early(self, place: int, steps: int, is_called_off: bool) -> None:
        """The next steps of a delivery, wherever its order stands."""
        key = self.one("delivery", place)["id"]
        for _ in range(steps):
            self.delivers([self.rows["delivery"][(key,)]])
        if is_called_off:
            order = self.rows["delivery"][(key,)]["order_id"]
            self.cancels(self.place_of(order), "owner", None)

    @precondition(lambda self: self.has("returns"))
    @rule(place=PLACES, share=st.sampled_from(["0.40", "0.60"]))
    def is_promised_a_refund_of_each_return(self, place: int, share: str) -> None:
        order = self.one("returns", place)["order_id"]
        for turn, back in enumerate(sorted(self.rows["returns"].values(), key=lambda row: row["id"])):
            if back["order_id"] == order:
                self.refunds(turn, "finance", share, ..., None)

    @rule(hours=st.sampled_from([1, 30, 100, 400]))
    def time_passes(self, hours: int) -> None:
        self.world.clock.now = min(self.world.now + timedelta(hours=hours), NOW + MOST_DAYS)

    @precondition(lambda self: self.guests)
    @rule(place=PLACES)
    def a_guest_has_their_data_restricted(self, place: int) -> None:
        order = sorted(self.guests)[place % len(self.guests)]
        statement = "UPDATE customer SET status = 'RESTRICTED', restricted_at = $2 WHERE id = $1"
        self.ledger.execute(statement, self.rows["orders"][(order,)]["customer_id"], self.world.now)
        self.rows = self.ledger.register()

    @invariant()
    def the_register_is_right(self) -> None:
        check_register(self.rows)
        events = {global_id("DeliveryEvent", key) for (key,) in self.rows["delivery_event"]}
        assert events == set(self.recorded.values())


@pytest.fixture(scope="module")
def lived(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world on a database of its own, which is emptied of orders."""
    with (
        new_database(server_url) as url,
        make_world(url, tmp_path_factory.mktemp("keys")) as world,
    ):
        world.askers = {name: lasting(world, asker) for name, asker in world.askers.items()}
        world.execute("UPDATE carrier SET active = false WHERE name = 'DHL'")
        yield world


def test_whatever_is_done_the_register_stays_right(lived: World) -> None:
    ledger = Ledger(lived.url)
    try:
        seeded = [key for (key,) in ledger.rows()["customer"]]
        run_state_machine_as_test(lambda: Lives(lived, ledger, seeded), settings=LIVES)
    finally:
        ledger.close()
