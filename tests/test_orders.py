"""Orders after they are placed: every step legal or not, called off with their deliveries, noted."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from schema.lifecycles import DELIVERY, ORDER, PAYMENT
from schema.scalars import global_id
from tests import shipments
from tests.shipments import send
from tests.world import World
from tests.writing import CANCEL, NOTE, UPDATE, another_gateway, at_once, kept, key_of, mistakes, placed

SUPPORT = "customer-service"
Order = dict[str, Any]


@pytest.fixture(scope="module")
def order(writable: World) -> Order:
    """An order that the tests set back as they need it."""
    found: Order = placed(writable)["order"]
    return found


@pytest.fixture(autouse=True)
def set_back(writable: World, order: Order) -> None:
    """Each test starts from a placed order."""
    put(writable, order, "PLACED", "PENDING", "PLANNED")


def put(world: World, order: Order, status: str, payment: str = "PENDING", delivery: str = "PLANNED") -> None:
    key = key_of(order["id"])
    world.execute("UPDATE orders SET status = $2, payment_status = $3 WHERE id = $1", key, status, payment)
    world.execute("UPDATE delivery SET status = $2 WHERE order_id = $1", key, delivery)


def row(world: World, order: Order) -> dict[str, Any]:
    (found,) = kept(world, "orders", id=key_of(order["id"]))
    return found


def change(world: World, name: str, document: str, given: Any, purpose: str | None = None) -> list[str]:
    """The codes of what is wrong; none where it was made."""
    (payload,) = world.data(name, document, {"input": given}, purpose).values()
    return [one["code"] for one in payload["userErrors"]]


def test_the_gateway_of_these_tests_is_limited_to_the_login_role(writable: World) -> None:
    portal = writable.client.portal
    assert portal is not None
    query = "SELECT current_user AS name, has_table_privilege('customer', 'DELETE') AS may"
    found = portal.call(writable.gateway.database.fetch, None, query, ())
    assert found["name"].startswith("gateway_role_")
    assert not found["may"]


@pytest.mark.parametrize("wanted", ORDER)
@pytest.mark.parametrize("present", ORDER)
def test_an_order_takes_the_steps_of_its_life_and_no_other(
    writable: World, order: Order, present: str, wanted: str
) -> None:
    put(writable, order, present)
    before = row(writable, order)["version"]
    found = change(writable, "support", UPDATE, {"id": order["id"], "status": wanted}, SUPPORT)
    legal = wanted in ORDER[present] and wanted != "CANCELLED"  # which is `cancelOrder`'s
    after = row(writable, order)
    assert found == ([] if legal else ["INVALID_TRANSITION"])
    assert (after["status"], after["version"] - before) == ((wanted, 1) if legal else (present, 0))


@pytest.mark.parametrize("wanted", PAYMENT)
@pytest.mark.parametrize("present", PAYMENT)
def test_a_payment_takes_the_steps_of_its_life_and_no_other(
    writable: World, order: Order, present: str, wanted: str
) -> None:
    put(writable, order, "PICKING", present)
    found = change(writable, "finance", UPDATE, {"id": order["id"], "paymentStatus": wanted}, "payment")
    legal = wanted in PAYMENT[present] and wanted != "REFUNDED"  # which waits for the refunds
    after = row(writable, order)
    assert found == ([] if legal else ["INVALID_TRANSITION"])
    assert (after["payment_status"], after["status"]) == (wanted if legal else present, "PICKING")


def test_a_payment_that_is_in_makes_a_placed_order_paid(writable: World, order: Order) -> None:
    given = {"id": order["id"], "paymentStatus": "PAID"}
    assert change(writable, "finance", UPDATE, given, "payment") == []
    after = row(writable, order)
    assert (after["status"], after["payment_status"]) == ("PAID", "PAID")


@pytest.mark.parametrize("present", ORDER)
def test_an_order_is_called_off_before_it_is_shipped(writable: World, order: Order, present: str) -> None:
    put(writable, order, present)
    legal = "CANCELLED" in ORDER[present]
    assert change(writable, "customer", CANCEL, {"id": order["id"]}) == (
        [] if legal else ["INVALID_TRANSITION"]
    )
    assert row(writable, order)["status"] == ("CANCELLED" if legal else present)


@pytest.mark.parametrize("present", DELIVERY)
def test_an_order_is_called_off_with_its_delivery_unless_a_carrier_has_it(
    writable: World, order: Order, present: str
) -> None:
    put(writable, order, "PICKING", delivery=present)
    legal = present in ("PLANNED", "READY", "PRE_ADVISED", "CANCELLED")
    found = change(writable, "support", CANCEL, {"id": order["id"]}, SUPPORT)
    (delivery,) = kept(writable, "delivery", order_id=key_of(order["id"]))
    assert found == ([] if legal else ["INVALID_TRANSITION"])
    assert (row(writable, order)["status"], delivery["status"]) == (
        ("CANCELLED", "CANCELLED") if legal else ("PICKING", present)
    )


@pytest.mark.parametrize("by", ["event", "moment"])
def test_an_order_whose_parcel_a_carrier_has_had_is_not_called_off_whatever_its_status(
    writable: World, by: str
) -> None:
    sent = send(writable, "READY", order={"status": "PICKING"})
    if by == "moment":
        writable.execute("UPDATE delivery SET handed_over_at = now() WHERE id = $1", sent.delivery)
    else:  # what no step leads to stands in the history, and moves nothing
        told = {"deliveryId": sent.delivery_id, "status": "RETURNED", "occurredAt": writable.now.isoformat()}
        events = {"events": [{**told, "idempotencyKey": str(uuid.uuid4())}]}
        shipments.change(writable, "carrier", "reportDeliveryEvent", events, "results { outcome }")
    (before,) = kept(writable, "delivery", id=sent.delivery)
    assert change(writable, "customer", CANCEL, {"id": sent.order_id}) == ["INVALID_TRANSITION"]
    assert kept(writable, "delivery", id=sent.delivery) == [before]


def test_an_order_is_called_off_once_however_many_ask_at_once(writable: World) -> None:
    order = placed(writable)["order"]
    with another_gateway(writable) as other:
        given = {"id": order["id"]}
        asks = [lambda one=one: change(one, "customer", CANCEL, given) for one in (writable, other) * 3]
        found = at_once(*asks)
    assert sorted(found) == [[], *[["INVALID_TRANSITION"]] * 5]
    assert row(writable, order)["version"] == 2
    (delivery,) = kept(writable, "delivery", order_id=key_of(order["id"]))
    assert (delivery["status"], delivery["version"]) == ("CANCELLED", 2)


def test_a_step_and_a_call_off_at_once_leave_one_of_the_two(writable: World) -> None:
    order = placed(writable)["order"]
    paid = {"id": order["id"], "status": "PAID", "ifVersion": 1}
    called_off = {"id": order["id"], "ifVersion": 1}
    found = at_once(
        lambda: change(writable, "support", UPDATE, paid, SUPPORT),
        lambda: change(writable, "customer", CANCEL, called_off),
    )
    assert sorted(found) == [[], ["CONFLICT"]]
    assert row(writable, order)["status"] == ("PAID" if found[0] == [] else "CANCELLED")


@pytest.mark.parametrize(
    ("name", "document", "given", "purpose"),
    [
        ("customer", CANCEL, {}, None),
        ("support", UPDATE, {"status": "PAID"}, SUPPORT),
        ("finance", UPDATE, {"paymentStatus": "PAID"}, "payment"),
        ("support", NOTE, {"internalNote": "called"}, SUPPORT),
    ],
)
def test_a_change_of_another_version_is_a_conflict(
    writable: World, order: Order, name: str, document: str, given: dict[str, Any], purpose: str | None
) -> None:
    version = row(writable, order)["version"]
    stale = {"id": order["id"], "ifVersion": version - 1, **given}
    (payload,) = writable.data(name, document, {"input": stale}, purpose).values()
    (error,) = payload["userErrors"]
    assert (error["code"], error["path"], error["currentVersion"]) == ("CONFLICT", ["ifVersion"], version)
    assert payload["order"]["version"] == version
    assert change(writable, name, document, {**stale, "ifVersion": version}, purpose) == []
    assert row(writable, order)["version"] == version + 1


@pytest.mark.parametrize(
    ("name", "given", "purpose", "wanted"),
    [
        ("support", {}, SUPPORT, "status"),
        ("support", {"status": None}, SUPPORT, "status"),
        ("finance", {"paymentStatus": None}, "payment", "paymentStatus"),
    ],
)
def test_an_order_is_not_changed_to_nothing(
    writable: World, order: Order, name: str, given: dict[str, Any], purpose: str, wanted: str
) -> None:
    found = mistakes(writable, name, UPDATE, {"id": order["id"], **given}, purpose)
    assert found == [("REQUIRED", f"Order.{wanted}", wanted)]


def test_an_order_of_another_and_none_at_all_are_the_same(writable: World, order: Order) -> None:
    nobody = global_id("Order", uuid.uuid4())
    answers = {
        writable.post("customer-2", CANCEL, {"input": {"id": shown}}).content
        for shown in (order["id"], nobody)
    }
    assert len(answers) == 1
    assert b"NOT_FOUND" in answers.pop()


def test_a_one_order_token_calls_off_its_order_and_no_other(writable: World, order: Order) -> None:
    assert change(writable, "one-order", CANCEL, {"id": order["id"]}) == ["NOT_FOUND"]


def test_notes_are_added_line_by_line(writable: World) -> None:
    order = placed(writable)["order"]
    for note in (" first ", "second\r\nthird"):
        assert change(writable, "support", NOTE, {"id": order["id"], "internalNote": note}, SUPPORT) == []
    assert row(writable, order)["internal_note"] == "first\nsecond\nthird"
    found = kept(writable, "change", entity_id=key_of(order["id"]), field="internalNote")
    assert [one["source"] for one in found] == ["STAFF_ON_BEHALF"] * 2


def test_no_note_is_lost_when_many_are_added_at_once(writable: World) -> None:
    order = placed(writable)["order"]
    names = [f"note {number}" for number in range(8)]

    def add(world: World, note: str) -> list[str]:
        return change(world, "support", NOTE, {"id": order["id"], "internalNote": note}, SUPPORT)

    with another_gateway(writable) as other:
        asks = [
            lambda note=note, one=one: add(one, note)
            for note, one in zip(names, (writable, other) * 4, strict=True)
        ]
        assert at_once(*asks) == [[]] * 8
    assert sorted(row(writable, order)["internal_note"].split("\n")) == names


@pytest.mark.parametrize(
    ("before", "note", "code"),
    [
        (0, "x" * 1000, None),
        (0, "x" * 1001, "MALFORMED"),
        (0, " ", "MALFORMED"),
        (8999, "x" * 1000, None),
        (9000, "x" * 1000, "OUT_OF_RANGE"),
    ],
)
def test_notes_have_a_longest(writable: World, before: int, note: str, code: str | None) -> None:
    order = placed(writable)["order"]
    if before:
        writable.execute(
            "UPDATE orders SET internal_note = repeat('y', $2) WHERE id = $1", key_of(order["id"]), before
        )
    found = change(writable, "support", NOTE, {"id": order["id"], "internalNote": note}, SUPPORT)
    assert found == ([] if code is None else [code])
