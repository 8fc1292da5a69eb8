"""Clients that change the same things at the same moment, through two processes: exactly one effect."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from gateway.principal import utc_now
from schema.scalars import global_id
from tests.invariants import Ledger
from tests.register_invariants import check_register
from tests.shipments import Sent, change, document, return_of, row, rows, together
from tests.twins import Twins, made_twins, sent_now
from tests.writing import GUEST, PLACE, at_once, basket

# Two processes are started.
pytestmark = pytest.mark.slow

MANY = 8
PURPOSES = {"support": "customer-service", "finance": "returns"}
Call = Callable[[], Any]


@pytest.fixture(scope="module")
def twins(server_url: str) -> Iterator[Twins]:
    """A register of its own behind two server processes, which serve by turns."""
    with made_twins(server_url) as made:
        yield made


def asking(twins: Twins, name: str, mutation: str, shown: str, given: Mapping[str, Any]) -> Call:
    """A change to be made, whose payload is returned."""
    return lambda: change(twins, name, mutation, dict(given), shown, PURPOSES.get(name))


def codes_of(payloads: list[Any]) -> Counter[str]:
    """How often each code was answered; `made` where there was nothing to mend."""
    return Counter(
        error["code"] for payload in payloads for error in payload["userErrors"] or [{"code": "made"}]
    )


def report(
    key: uuid.UUID, status: str, idempotency_key: str | None = None, minutes: int = 0
) -> dict[str, Any]:
    return {
        "deliveryId": global_id("Delivery", key),
        "status": status,
        "occurredAt": (utc_now() - timedelta(minutes=minutes)).isoformat(),
        "idempotencyKey": idempotency_key or str(uuid.uuid4()),
    }


def outcomes_of(payloads: list[Any]) -> Counter[str]:
    return Counter(result["outcome"] for payload in payloads for result in payload["results"])


def test_of_many_updates_of_one_version_one_wins(twins: Twins) -> None:
    sent = sent_now(twins, "PLANNED", order={"status": "PICKING"})
    calls = [
        asking(
            twins,
            "warehouse",
            "updateDelivery",
            "delivery { version }",
            {"id": sent.delivery_id, "ifVersion": 1, "weightGrams": 100 + number},
        )
        for number in range(MANY)
    ]
    payloads = together(twins, "delivery", sent.delivery, *calls)
    assert codes_of(payloads) == {"made": 1, "CONFLICT": MANY - 1}
    told = {error["currentVersion"] for payload in payloads for error in payload["userErrors"]}
    assert told == {2}
    assert row(twins, "delivery", sent.delivery)["version"] == 2


def test_of_many_returns_of_a_line_as_many_are_taken_as_were_sold(twins: Twins) -> None:
    sent = sent_now(twins, "DELIVERED", order={"status": "DELIVERED"})
    given = {"orderId": sent.order_id, "kind": "WITHDRAWAL"}
    given |= {"lines": [{"orderLine": sent.line_id, "quantity": 1}]}
    calls = [asking(twins, "customer", "requestReturn", "return { id }", given) for _ in range(MANY)]
    payloads = together(twins, "orders", sent.order, *calls)
    assert codes_of(payloads) == {"made": 3, "OUT_OF_RANGE": MANY - 3}
    assert len(rows(twins, "returns", "order_id", sent.order)) == 3


def test_one_report_told_many_times_is_kept_once(twins: Twins) -> None:
    sent = sent_now(twins, "READY", order={"status": "PICKING"})
    events = {"events": [report(sent.delivery, "PICKED_UP", str(uuid.uuid4()))]}
    shown = "deliveries { status } results { outcome }"
    calls = [asking(twins, "carrier", "reportDeliveryEvent", shown, events) for _ in range(MANY)]
    payloads = together(twins, "orders", sent.order, *calls)
    assert outcomes_of(payloads) == {"RECORDED": 1, "DUPLICATE": MANY - 1}
    assert len(rows(twins, "delivery_event", "delivery_id", sent.delivery)) == 1
    assert row(twins, "delivery", sent.delivery)["version"] == 2
    assert row(twins, "orders", sent.order)["version"] == 2


def test_an_order_under_one_key_is_placed_once_and_all_are_answered_alike(twins: Twins) -> None:
    customer = twins.askers["customer"].customer_id
    assert customer is not None
    given = {"input": basket(idempotencyKey=str(uuid.uuid4()))}
    calls: list[Call] = [lambda: twins.post("customer", PLACE, given).content] * MANY
    before = rows(twins, "orders", "customer_id", customer)
    answers = together(twins, "customer", customer, *calls)
    assert len(set(answers)) == 1
    assert b'"userErrors":[]' in answers[0]
    assert len(rows(twins, "orders", "customer_id", customer)) == len(before) + 1


def test_a_guest_s_order_under_one_key_makes_one_customer(twins: Twins) -> None:
    email = f"{uuid.uuid4().hex}@store.example"
    given = basket(customer={**GUEST, "email": email}, idempotencyKey=str(uuid.uuid4()))
    calls: list[Call] = [lambda: twins.data("anonymous", PLACE, {"input": given})["placeOrder"]] * MANY
    payloads = at_once(*calls)
    assert len({payload["order"]["id"] for payload in payloads}) == 1
    assert all(payload["userErrors"] == [] and payload["accessToken"] for payload in payloads)
    twins.forget()
    assert len([one for one in twins.rows()["customer"] if one["email"] == email]) == 1


@pytest.mark.parametrize(
    "first", [("cancelOrder", "reportDeliveryEvent"), ("reportDeliveryEvent", "cancelOrder")]
)
def test_of_a_call_off_and_a_pick_up_one_wins(twins: Twins, first: tuple[str, str]) -> None:
    sent = sent_now(twins, "READY", order={"status": "PICKING"})
    events = {"events": [report(sent.delivery, "PICKED_UP")]}
    calls = {
        "cancelOrder": asking(twins, "customer", "cancelOrder", "order { id }", {"id": sent.order_id}),
        "reportDeliveryEvent": asking(twins, "carrier", "reportDeliveryEvent", "results { outcome }", events),
    }
    payloads = together(twins, "orders", sent.order, *(calls[name] for name in first))
    found = dict(zip(first, payloads, strict=True))
    is_off = found["cancelOrder"]["userErrors"] == []
    outcome = found["reportDeliveryEvent"]["results"][0]["outcome"]
    states = row(twins, "orders", sent.order)["status"], row(twins, "delivery", sent.delivery)["status"]
    assert (is_off, outcome, states) in (
        (True, "REFUSED", ("CANCELLED", "CANCELLED")),
        (False, "RECORDED", ("SHIPPED", "PICKED_UP")),
    )


def test_a_call_off_and_a_step_at_once_leave_a_call_off(twins: Twins) -> None:
    sent = sent_now(twins, "PLANNED", order={"status": "PAID"})
    calls = [
        asking(twins, "customer", "cancelOrder", "order { id }", {"id": sent.order_id}),
        asking(twins, "warehouse", "updateOrder", "order { id }", {"id": sent.order_id, "status": "PICKING"}),
    ]
    off, step = together(twins, "orders", sent.order, *calls)
    assert off["userErrors"] == []
    order = row(twins, "orders", sent.order)
    assert (order["status"], row(twins, "delivery", sent.delivery)["status"]) == ("CANCELLED", "CANCELLED")
    assert order["version"] == (3 if step["userErrors"] == [] else 2)


def test_refunds_at_once_never_add_up_to_more_than_was_paid(twins: Twins) -> None:
    sent = sent_now(twins, "DELIVERED", order={"status": "DELIVERED"})
    keys = [return_of(twins, sent, "INSPECTED", requested_at=utc_now()) for _ in range(MANY)]
    calls = [
        asking(
            twins,
            "finance",
            "updateReturn",
            "return { id }",
            {"id": global_id("Return", key), "refundAmount": "10.00", "refundedAt": utc_now().isoformat()},
        )
        for key in keys
    ]
    payloads = together(twins, "orders", sent.order, *calls)
    assert codes_of(payloads) == {"made": 3, "OUT_OF_RANGE": MANY - 3}
    states = Counter(one["status"] for one in rows(twins, "returns", "order_id", sent.order))
    assert states == {"REFUNDED": 3, "INSPECTED": MANY - 3}


def test_two_carriers_report_on_the_same_orders_in_opposite_order_and_none_waits_for_ever(
    twins: Twins,
) -> None:
    orders = [sent_now(twins, "IN_TRANSIT", "IN_TRANSIT", order={"status": "SHIPPED"}) for _ in range(6)]
    second = twins.askers["carrier-2"].carrier_id
    for sent in orders:
        twins.execute("UPDATE delivery SET carrier_id = $2 WHERE id = $1", sent.deliveries[1], second)

    def told(name: str, turn: int, order: list[Sent]) -> Call:
        events = [report(sent.deliveries[turn], "OUT_FOR_DELIVERY") for sent in order]
        return asking(twins, name, "reportDeliveryEvent", "results { outcome }", {"events": events})

    for _ in range(5):
        calls = [told("carrier", 0, orders), told("carrier-2", 1, orders[::-1])] * 3
        payloads = at_once(*calls)
        assert outcomes_of(payloads).keys() <= {"RECORDED", "DUPLICATE"}
    for sent in orders:
        states = {one["status"] for one in rows(twins, "delivery", "order_id", sent.order)}
        assert states == {"OUT_FOR_DELIVERY"}


def test_whatever_is_done_to_an_order_at_once_it_stays_right(twins: Twins) -> None:
    """Every acknowledged change raises its row's number by one, and nothing fails."""
    draw = random.Random(1)
    orders = []
    for _ in range(6):
        sent = sent_now(twins, "READY", order={"status": "PICKING"})
        orders.append(sent.order)
        back = return_of(twins, sent, requested_at=utc_now())
        answers = at_once(*(storm(twins, sent, back, draw) for _ in range(24)))
        assert all(status == 200 and "errors" not in body for status, body in answers), answers
        payloads = [found for _, body in answers for found in body["data"].items()]
        made = Counter(name for name, payload in payloads if payload["userErrors"] == [])
        assert row(twins, "returns", back)["version"] == 1 + made["updateReturn"]
        notes = row(twins, "orders", sent.order)["internal_note"] or ""
        assert notes.count("seen") == made["addOrderNote"]
    check_orders(twins, orders)


def check_orders(twins: Twins, orders: list[uuid.UUID]) -> None:
    """The register holds nothing wrong about these orders."""
    ledger = Ledger(twins.url)
    found = {name: dict(kept) for name, kept in ledger.rows().items()}
    ledger.close()
    found["orders"] = {key: one for key, one in found["orders"].items() if one["id"] in orders}
    found["delivery"] = {key: one for key, one in found["delivery"].items() if one["order_id"] in orders}
    check_register(found)


def storm(twins: Twins, sent: Sent, back: uuid.UUID, draw: random.Random) -> Call:
    """One of the changes that may be asked of an order on its way, right or wrong."""
    lines = [{"orderLine": sent.line_id, "quantity": draw.choice([1, 2])}]
    key = global_id("Return", back)
    statuses = ["PICKED_UP", "IN_TRANSIT", "DELIVERED", "RETURNING", "RETURNED"]
    events = [report(sent.delivery, draw.choice(statuses), minutes=draw.randrange(60)) for _ in range(2)]
    step = draw.choice(["AWAITING_GOODS", "RECEIVED", "INSPECTED", "REJECTED"])
    paid = {"refundAmount": draw.choice(["10.00", "40.00"]), "refundedAt": utc_now().isoformat()}
    moves: list[tuple[str, str, dict[str, Any]]] = [
        ("customer", "cancelOrder", {"id": sent.order_id}),
        ("customer", "requestReturn", {"orderId": sent.order_id, "kind": "DEFECT", "lines": lines}),
        ("carrier", "reportDeliveryEvent", {"events": events}),
        ("warehouse", "updateReturn", {"id": key, "status": step}),
        ("warehouse", "createDelivery", {"orderId": sent.order_id, "serviceCode": "HOME"}),
        ("finance", "updateReturn", {"id": key, **paid}),
        ("support", "addOrderNote", {"id": sent.order_id, "internalNote": "seen"}),
    ]
    name, mutation, given = draw.choice(moves)
    text = document(mutation, "__typename")
    return lambda: twins.ask(name, text, {"input": given}, PURPOSES.get(name))
