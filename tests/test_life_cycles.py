"""Orders, deliveries and returns live through random lives over HTTP, and the register stays right.

After every change the whole register is read and compared with what it was. `HYPOTHESIS_PROFILE=thorough`
lives longer.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
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
from tests.foretold import foretold, foretold_reports
from tests.lives import Ledger, Move, Row, Rows, Said, check_register, check_step, key_of, listed
from tests.naive_rules import Asker as NaiveAsker
from tests.naive_rules import Register
from tests.world import NOW, Asker, World, make_world

EXAMPLES, STEPS = {"default": (12, 20), "thorough": (400, 50)}[
    os.environ.get("HYPOTHESIS_PROFILE", "default")
]
LIVES = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
SHOWN = {
    "placeOrder": "accessToken order { id }",
    "cancelOrder": "order { id }",
    "updateOrder": "order { id }",
    "addOrderNote": "order { id }",
    "createDelivery": "delivery { id }",
    "updateDelivery": "delivery { id }",
    "updateDeliveryAddress": "delivery { id }",
    "reportDeliveryEvent": "results { outcome idempotencyKey eventId userErrors { code } }",
    "requestReturn": "return { id }",
    "updateReturn": "return { id }",
}
PURPOSES = {"support": "customer-service", "register-admin": "customer-service"}
FINANCE = {"updateOrder": "payment", "updateReturn": "returns"}
ADDRESS = {"streetAddress": "Uusikatu 2", "postalCode": "33100", "postalTown": "Tampere"}
MOST_DAYS = timedelta(days=25)

PLACES = st.integers(0, 7)
VERSIONS = st.sampled_from([None, None, None, 0, -1])
STAFF = st.sampled_from(["support", "warehouse", "finance", "register-admin"])
ASKERS = st.sampled_from(
    ["owner", "owner", "guest", "customer-2", "carrier", "carrier-2", "support", "warehouse", "finance"]
)
CARRIERS = st.sampled_from(["carrier", "carrier-2", "idle"])
SERVICES = st.sampled_from(["HOME", "PICKUP", "NEAR", "PARCEL", "no such service"])
BASKETS = st.lists(
    st.tuples(st.sampled_from(["KIT-1001", "FOO-7002", "BOO-8005"]), st.integers(1, 3)),
    min_size=1,
    max_size=3,
    unique_by=lambda line: line[0],
)
REPORTS = st.tuples(
    st.sampled_from([*sorted(REPORTED), *sorted(REPORTED), "READY"]),
    st.integers(-60, 90),
    st.sampled_from([None, "Vantaa"]),
)


class Lives(RuleBasedStateMachine):
    """Everybody's changes, in any order, right and wrong."""

    def __init__(self, world: World, ledger: Ledger, seeded: list[uuid.UUID]) -> None:
        super().__init__()
        self.world, self.ledger, self.seeded = world, ledger, seeded
        self.world.clock.now = NOW
        self.recorded: dict[tuple[str, str], str] = {}
        self.guests: dict[uuid.UUID, str] = {}
        ledger.empty(seeded)
        self.rows: Rows = ledger.rows()

    # ------------------------------------------------------------ asking

    def ask(self, move: Move) -> Said:
        """Makes a change, and holds it to what it may do."""
        note(f"{move}")
        shown, kind = SHOWN[move.mutation], f"{move.mutation[0].upper()}{move.mutation[1:]}Input!"
        document = (
            f"mutation ($input: {kind}) {{ {move.mutation}(input: $input) {{ {shown} "
            "userErrors { code coordinate path currentVersion } } }"
        )
        status, body = self.world.ask(move.asker, document, {"input": dict(move.given)}, move.purpose)
        before, self.rows = self.rows, self.ledger.rows()
        said = answered(status, body, move)
        note(f"  {sorted(said.codes) or said.outcomes or 'done'}")
        check_step(before, self.rows, move, said, self.world)
        return said

    def change(self, asker: str, mutation: str, **given: Any) -> Said:
        """Makes a change whose answer is foretold."""
        found = self.world.askers[asker]
        purpose = FINANCE.get(mutation) if asker == "finance" else PURPOSES.get(asker)
        move = Move(asker, mutation, {k: v for k, v in given.items() if v is not ...}, purpose)
        codes = foretold(self.register(found, purpose), move)
        said = self.ask(move)
        if codes:
            assert said.codes, f"{move} was made, and is {sorted(codes)}"
            assert said.codes <= codes, f"{move} is {sorted(codes)}, and was answered {sorted(said.codes)}"
        else:
            assert not said.codes, f"{move} may be made, and was answered {sorted(said.codes)}"
        return said

    def register(self, asker: Asker, purpose: str | None) -> Register:
        naive = NaiveAsker(asker.role, asker.customer_id, asker.order_id, asker.carrier_id, purpose)
        return Register(listed(self.rows), naive, self.world.now)

    # ------------------------------------------------------------ finding

    def one(self, table: str, place: int) -> Row:
        """One of a table's rows, by its age."""
        rows = sorted(self.rows[table].values(), key=lambda row: row["id"])
        return rows[place % len(rows)]

    def has(self, table: str) -> bool:
        return bool(self.rows[table])

    def asker(self, name: str, row: Row) -> str:
        """Who acts on a row: its owner, the guest who ordered, or somebody by name."""
        order = row.get("order_id", row["id"])
        owned = {one.customer_id: name for name, one in self.world.askers.items() if one.order_id is None}
        match name:
            case "guest":
                return self.guests.get(order, "anonymous")
            case "owner":
                return self.guests.get(order) or owned.get(row["customer_id"], "customer")
            case _:
                return name

    def carrier_id(self, name: str) -> str:
        if name == "idle":
            rows = self.rows["carrier"].values()
            return global_id("Carrier", next(row["id"] for row in rows if not row["active"]))
        key = self.world.askers[name].carrier_id
        assert key is not None
        return global_id("Carrier", key)

    def carrier_of(self, delivery: Row) -> str:
        keys = {one.carrier_id: name for name, one in self.world.askers.items() if one.carrier_id}
        return keys.get(delivery["carrier_id"], "carrier")

    # ------------------------------------------------------------ orders

    @initialize(basket=BASKETS, method=st.sampled_from(["CARD", "INVOICE"]))
    def places_the_first_order(self, basket: Any, method: str) -> None:
        self.places("customer", basket, method, None)

    @rule(
        who=st.sampled_from(["customer", "customer-2", "anonymous"]),
        basket=BASKETS,
        method=st.sampled_from(["CARD", "INVOICE"]),
        key=st.sampled_from([None, 1]),
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
        if key is not None:
            given["idempotencyKey"] = str(uuid.UUID(int=key))
        known = {(row["principal"], row["key"].int) for row in self.rows["idempotency"].values()}
        before = self.rows
        said = self.ask(Move(who, "placeOrder", given))
        if any(number == key for _, number in known) and not said.is_done:
            assert said.codes == {"CONFLICT"}
            return
        assert said.is_done, said
        order = key_of(said.payload["order"]["id"])
        if (order,) in before["orders"]:
            assert set(before["orders"]) == set(self.rows["orders"])
        if who == "anonymous":
            self.admit(order, said.payload["accessToken"])

    def admit(self, order: uuid.UUID, token: str) -> None:
        name = self.guests.setdefault(order, f"guest-{len(self.guests)}")
        customer = self.rows["orders"][(order,)]["customer_id"]
        headers = {"Authorization": f"Bearer {token}"}
        self.world.askers[name] = Asker(name, "customer", headers, customer, order)

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

    @rule(place=PLACES, carrier=st.one_of(st.just(...), CARRIERS), service=SERVICES)
    def creates_a_delivery(self, place: int, carrier: Any, service: str) -> None:
        key = self.carrier_id(carrier) if isinstance(carrier, str) else ...
        order = global_id("Order", self.one("orders", place)["id"])
        self.change("warehouse", "createDelivery", orderId=order, serviceCode=service, carrier=key)

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

    def told(self, delivery: Row, status: str, minutes: int, place: str | None) -> dict[str, Any]:
        number = len(self.recorded) * 100 + minutes
        return {
            "deliveryId": global_id("Delivery", delivery["id"]),
            "status": status,
            "occurredAt": (self.world.now - timedelta(minutes=minutes)).isoformat(),
            "place": place,
            "idempotencyKey": str(uuid.UUID(int=number + 10_000)),
            **({"signedBy": "Otto Vastaan"} if status == "DELIVERED" else {}),
        }

    def report(self, who: str, told: list[dict[str, Any]]) -> None:
        register = self.register(self.world.askers[who], None)
        said = self.ask(Move(who, "reportDeliveryEvent", {"events": told}))
        assert said.is_done
        outcomes, statuses = foretold_reports(register, told)
        assert said.outcomes == outcomes, told
        assert {key: self.rows["delivery"][(key,)]["status"] for key in statuses} == statuses, told
        for one, result in zip(told, said.payload["results"], strict=True):
            key = one["deliveryId"], one["idempotencyKey"]
            if result["outcome"] == "DUPLICATE":
                assert self.recorded[key] == result["eventId"]
            if result["outcome"] == "RECORDED":
                assert self.recorded.setdefault(key, result["eventId"]) == result["eventId"]
                event = self.rows["delivery_event"][(key_of(result["eventId"]),)]
                assert (event["status"], event["place"]) == (one["status"], one["place"])
                assert event["occurred_at"].isoformat() == one["occurredAt"]

    # ------------------------------------------------------------ returns

    @rule(
        place=PLACES,
        who=ASKERS,
        kind=st.sampled_from(["WITHDRAWAL", "DEFECT"]),
        quantities=st.lists(st.integers(0, 3), min_size=1, max_size=3),
        other=st.integers(0, 7),
    )
    def requests_a_return(self, place: int, who: str, kind: str, quantities: list[int], other: int) -> None:
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
        amount=st.sampled_from(["4.20", "26.90", "79.90", "500.00", "-1.00", ...]),
        when=st.sampled_from([0, 0, 1, -9000, ...]),
        version=VERSIONS,
    )
    def refunds(self, place: int, who: str, amount: Any, when: Any, version: int | None) -> None:
        given = named("Return", self.one("returns", place), version)
        moment = when if when is ... else (self.world.now + timedelta(minutes=when)).isoformat()
        if amount is ... and moment is ...:
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
            case "PLACED" if order["payment_status"] in ("PENDING", "AUTHORISED", "FAILED"):
                self.change("finance", "updateOrder", id=shown, paymentStatus="PAID")
            case "PLACED" | "PAID":
                status = "PAID" if order["status"] == "PLACED" else "PICKING"
                who = "warehouse" if order["status"] == "PAID" else "support"
                self.change(who, "updateOrder", id=shown, status=status)
            case "PICKING" | "SHIPPED":
                return self.delivers(of)
            case "DELIVERED" | "COMPLETED" if back:
                return self.takes_back(back[0])
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
        return back["status"] in following or back["status"] == "INSPECTED"

    @rule(hours=st.sampled_from([1, 30, 100, 400]))
    def time_passes(self, hours: int) -> None:
        self.world.clock.now = min(self.world.now + timedelta(hours=hours), NOW + MOST_DAYS)

    @precondition(lambda self: self.guests)
    @rule(place=PLACES)
    def a_guest_has_their_data_restricted(self, place: int) -> None:
        order = sorted(self.guests)[place % len(self.guests)]
        statement = "UPDATE customer SET status = 'RESTRICTED', restricted_at = $2 WHERE id = $1"
        self.ledger.execute(statement, self.rows["orders"][(order,)]["customer_id"], self.world.now)
        self.rows = self.ledger.rows()

    @invariant()
    def the_register_is_right(self) -> None:
        check_register(self.rows)
        events = {global_id("DeliveryEvent", key) for (key,) in self.rows["delivery_event"]}
        assert events == set(self.recorded.values())


def named(entity: str, row: Row, version: int | None) -> dict[str, Any]:
    """The row to change; with a version, the present one plus so many."""
    expected = {} if version is None else {"ifVersion": row["version"] + version}
    return {"id": global_id(entity, row["id"]), **expected}


def answered(status: int, body: Any, move: Move) -> Said:
    """What an answer says; anything but a payload or a refusal is a failure."""
    if status == 403:
        codes = {error["extensions"]["code"] for error in body["errors"]}
        assert codes <= {"FIELD_FORBIDDEN", "PURPOSE_REQUIRED"}, body
        return Said(frozenset({"REFUSED"}), {})
    assert status == 200, body
    assert "errors" not in body or all(
        error["extensions"]["code"] in ("FIELD_FORBIDDEN", "PURPOSE_REQUIRED") for error in body["errors"]
    ), body
    if body.get("data") is None:
        return Said(frozenset({"REFUSED"}), {})
    payload = body["data"][move.mutation]
    return Said(frozenset(error["code"] for error in payload["userErrors"]), payload)


def lasting(world: World, asker: Asker) -> Asker:
    """The asker with a token that outlives every life."""
    token = asker.headers.get("Authorization", "").removeprefix("Bearer ")
    if token.count(".") != 2 or asker.order_id is not None:
        return asker
    claims = jwt.decode(token, options={"verify_signature": False})
    kind, _, key = claims["sub"].partition(":")
    made = world.key.sign(kind, uuid.UUID(key), world.gateway.settings, now=NOW, lifetime=timedelta(days=90))
    return replace(asker, headers={"Authorization": f"Bearer {made}"})


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
