"""Placing an order: prices from the price list, what is left out from the profile, mistakes all at once."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.writes.prices import Line, total_of
from tests.signing_in import until
from tests.world import World
from tests.writing import (
    GUEST,
    PLACE,
    another_gateway,
    at_once,
    basket,
    holder,
    kept,
    key_of,
    mistakes,
    placed,
)

PRICES = st.decimals(0, Decimal("99999.99"), places=2)


def test_an_order_is_placed_at_the_prices_of_the_price_list(writable: World) -> None:
    lines = [{"sku": "KIT-1001", "quantity": 2}, {"sku": "FOO-7002", "quantity": 3, "name": "Rye crisps"}]
    order = placed(writable, lines=lines)["order"]
    assert order["total"] == {"amount": "172.40", "currency": "EUR"}
    assert order["lines"]["nodes"] == [
        {
            "sku": "KIT-1001",
            "name": "Coffee maker",
            "quantity": 2,
            "vatRate": "25.50",
            "unitPrice": {"amount": "79.90", "currency": "EUR"},
        },
        {
            "sku": "FOO-7002",
            "name": "Rye crisps",
            "quantity": 3,
            "vatRate": "14.00",
            "unitPrice": {"amount": "4.20", "currency": "EUR"},
        },
    ]
    assert (order["status"], order["paymentStatus"], order["version"]) == ("PLACED", "PENDING", 1)


def test_later_prices_do_not_change_an_order(writable: World) -> None:
    order = placed(writable, lines=[{"sku": "TOY-6001", "quantity": 1}])["order"]
    writable.execute("UPDATE product SET unit_price = 1, name = 'Other' WHERE sku = 'TOY-6001'")
    (line,) = kept(writable, "order_line", order_id=key_of(order["id"]))
    assert (line["unit_price"], line["name"]) == (Decimal("32.90"), "Wooden train")


@given(st.lists(st.tuples(st.integers(1, 999), PRICES), min_size=1, max_size=100))
def test_a_total_is_exact(wanted: list[tuple[int, Decimal]]) -> None:
    lines = [
        Line(str(number), "", quantity, price, "EUR", Decimal(24))
        for number, (quantity, price) in enumerate(wanted)
    ]
    cents = sum(quantity * int(price * 100) for quantity, price in wanted)
    total = total_of(lines)
    assert int(total * 100) == cents
    assert total.as_tuple().exponent == -2


@settings(max_examples=15, deadline=None)
@given(wanted=st.lists(st.tuples(st.integers(1, 999), PRICES), min_size=1, max_size=20))
def test_the_register_and_the_answer_hold_the_exact_total(
    writable: World, wanted: list[tuple[int, Decimal]]
) -> None:
    run = uuid.uuid4().hex
    rows = [
        (f"{run}-{number}", "Made", price, "EUR", Decimal("25.5")) for number, (_, price) in enumerate(wanted)
    ]
    offer = "INSERT INTO product (sku, name, unit_price, currency, vat_rate) VALUES ($1, $2, $3, $4, $5)"
    writable.run(lambda connection: connection.executemany(offer, rows))
    lines = [{"sku": row[0], "quantity": quantity} for row, (quantity, _) in zip(rows, wanted, strict=True)]
    order = placed(writable, lines=lines)["order"]
    exact = sum((quantity * price for quantity, price in wanted), Decimal(0))
    assert order["total"]["amount"] == f"{exact:.2f}"
    assert [line["quantity"] for line in order["lines"]["nodes"]] == [quantity for quantity, _ in wanted]


def test_an_order_that_costs_more_than_the_register_can_hold_is_refused(writable: World) -> None:
    writable.execute(
        "INSERT INTO product VALUES ('DEAR', 'Dear', 9999999999.99, 'EUR', 0),"
        " ('CHEAP', 'Cheap', 0.01, 'EUR', 0)"
    )
    assert (
        placed(writable, lines=[{"sku": "DEAR", "quantity": 1}])["order"]["total"]["amount"]
        == "9999999999.99"
    )
    dear = [{"sku": "DEAR", "quantity": 1}, {"sku": "CHEAP", "quantity": 1}]
    assert mistakes(writable, "customer", PLACE, basket(lines=dear)) == [
        ("OUT_OF_RANGE", "Order.total", "lines")
    ]


def test_a_customer_s_order_is_completed_from_their_profile(writable: World) -> None:
    customer = writable.askers["customer"].customer_id
    order = placed(writable)["order"]
    (profile,) = kept(writable, "customer", id=customer)
    name = f"{profile['first_name']} {profile['surname']}"
    place = {
        "streetAddress": profile["street_address"],
        "postalCode": profile["postal_code"],
        "postalTown": profile["postal_town"],
        "countryCode": profile["country_code"],
    }
    assert order["billingName"] == name
    assert order["billingAddress"] == place
    (delivery,) = order["deliveries"]["nodes"]
    assert delivery == delivery | place | {
        "recipientName": name,
        "recipientPhone": profile["phone"],
        "recipientEmail": profile["email"],
        "reference": f"D-{order['number'].removeprefix('O-')}-1",
        "status": "PLANNED",
        "carrier": None,
        "parcelCount": 1,
    }
    assert profile["last_active_at"] == writable.now


def test_what_is_given_stands_before_the_profile(writable: World) -> None:
    address = {
        "streetAddress": "Testgatan 2",
        "postalCode": "11455",
        "postalTown": "Stockholm",
        "countryCode": "se",
    }
    order = placed(
        writable,
        billingName=" Testi Oy ",
        billingAddress=address,
        customerMessage="ring\r\ntwice",
        delivery={
            "serviceCode": "HOME",
            "recipientName": "Naapuri",
            "recipientPhone": None,
            "instructions": "door",
        },
    )["order"]
    assert order["billingName"] == "Testi Oy"
    assert order["billingAddress"] == address | {"postalCode": "114 55", "countryCode": "SE"}
    assert order["customerMessage"] == "ring\ntwice"
    (delivery,) = order["deliveries"]["nodes"]
    assert (delivery["recipientName"], delivery["recipientPhone"]) == ("Naapuri", None)


def test_a_guest_becomes_a_customer_of_this_order_alone(writable: World) -> None:
    payload = placed(writable, "anonymous", customer=GUEST)
    order = payload["order"]
    (row,) = kept(writable, "orders", id=key_of(order["id"]))
    (customer,) = kept(writable, "customer", id=row["customer_id"])
    assert (customer["email"], customer["postal_code"], customer["country_code"], customer["phone"]) == (
        *("guest.testi@example.com", "00100", "FI", "+358401234567"),
    )
    assert kept(writable, "credential", customer_id=customer["id"]) == []
    (consent,) = kept(writable, "consent_event", customer_id=customer["id"])
    notice = writable.gateway.policy.notice
    assert (consent["state"], consent["notice_version"], consent["text_digest"], consent["source"]) == (
        *("REFUSED", notice.version, notice.digest, "CHECKOUT"),
    )
    name = holder(writable, payload["accessToken"])
    seen = writable.data(name, "{ orders { nodes { number } } customers { totalCount } }")
    assert seen == {"orders": {"nodes": [{"number": order["number"]}]}, "customers": {"totalCount": 0}}


def test_each_guest_order_makes_a_customer_of_its_own(writable: World) -> None:
    orders = [placed(writable, "anonymous", customer=GUEST)["order"]["id"] for _ in range(2)]
    owners = {row["customer_id"] for shown in orders for row in kept(writable, "orders", id=key_of(shown))}
    assert len(owners) == 2


def test_a_guest_who_agrees_gets_the_newsletter(writable: World) -> None:
    payload = placed(writable, "anonymous", customer={**GUEST, "marketingConsent": True})
    (row,) = kept(writable, "orders", id=key_of(payload["order"]["id"]))
    assert [one["state"] for one in kept(writable, "consent_event", customer_id=row["customer_id"])] == [
        "GIVEN"
    ]


def test_a_guest_s_token_ends_after_the_days_of_the_setting(writable: World) -> None:
    name = holder(writable, placed(writable, "anonymous", customer=GUEST)["accessToken"])
    days = writable.gateway.settings.order_token_days
    for moment, status in ((timedelta(days=days, seconds=-1), 200), (timedelta(days=days, minutes=1), 401)):
        with writable.at(writable.now + moment):
            assert writable.ask(name, "{ __typename }")[0] == status


def test_a_one_order_token_places_no_order(writable: World) -> None:
    before = len(kept(writable, "orders"))
    assert mistakes(writable, "one-order", PLACE, basket()) == [("NOT_FOUND", "Customer.id", "")]
    assert len(kept(writable, "orders")) == before


def test_a_customer_may_not_say_that_they_are_another(writable: World) -> None:
    before = len(kept(writable, "orders"))
    _, body = writable.ask("customer", PLACE, {"input": basket(customer=GUEST)})
    assert "data" not in body
    assert {one["extensions"]["coordinate"] for one in body["errors"]} == {
        f"Customer.{name}" for name in GUEST
    }
    assert len(kept(writable, "orders")) == before


@pytest.mark.parametrize(("column", "refused"), [("restricted_at", False), ("erased_at", True)])
def test_a_restricted_customer_buys_and_an_erased_one_does_not(
    writable: World, column: str, refused: bool
) -> None:
    customer = writable.askers["customer-2"].customer_id
    status = "ERASED" if refused else "RESTRICTED"
    change = f"UPDATE customer SET {column} = $2, status = $3 WHERE id = $1"
    writable.execute(change, customer, writable.now, status)
    try:
        if refused:
            before = len(kept(writable, "orders"))
            wanted = {"input": basket()}
            assert until(lambda: writable.ask("customer-2", PLACE, wanted)[0] == 401)
            assert len(kept(writable, "orders")) == before
        else:
            assert placed(writable, "customer-2")["order"]["status"] == "PLACED"
    finally:
        writable.execute(change, customer, None, "ACTIVE")


def test_every_mistake_is_named_at_once_and_no_value_is(writable: World) -> None:
    wanted = basket(
        lines=[
            {"sku": "SECRET-1", "quantity": 0},
            {"sku": "KIT-1001", "quantity": 1000, "name": "SECRET-2"},
            {"sku": "KIT-1001", "quantity": 1},
        ],
        billingName=" ",
        billingAddress={"postalCode": "SECRET-3"},
        customerMessage="\a",
        customer={**GUEST, "email": "SECRET-4", "postalTown": "SECRET\n5"},
        delivery={"serviceCode": "SECRET-6", "recipientPhone": "SECRET-7", "streetAddress": None},
    )
    before = {table: len(rows) for table, rows in writable.rows().items()}
    response = writable.post("anonymous", PLACE, {"input": wanted})
    assert "SECRET" not in response.text
    found = response.json()["data"]["placeOrder"]
    assert (found["order"], found["accessToken"]) == (None, None)
    assert {(one["code"], one["coordinate"], "/".join(one["path"])) for one in found["userErrors"]} == {
        ("MALFORMED", "Customer.email", "customer/email"),
        ("MALFORMED", "Customer.postalTown", "customer/postalTown"),
        ("MALFORMED", "Order.billingName", "billingName"),
        ("MALFORMED", "Order.billingAddress", "billingAddress/postalCode"),
        ("REQUIRED", "Order.billingAddress", "billingAddress/streetAddress"),
        ("REQUIRED", "Order.billingAddress", "billingAddress/postalTown"),
        ("MALFORMED", "Order.customerMessage", "customerMessage"),
        ("MALFORMED", "Delivery.recipientPhone", "delivery/recipientPhone"),
        ("NOT_FOUND", "Delivery.serviceCode", "delivery/serviceCode"),
        ("OUT_OF_RANGE", "OrderLine.quantity", "lines/0/quantity"),
        ("NOT_FOUND", "OrderLine.sku", "lines/0/sku"),
        ("OUT_OF_RANGE", "OrderLine.quantity", "lines/1/quantity"),
        ("MALFORMED", "OrderLine.name", "lines/1/name"),
        ("MALFORMED", "OrderLine.sku", "lines/2/sku"),
    }
    writable.execute("SELECT 1")
    assert {table: len(rows) for table, rows in writable.rows().items()} == before


@pytest.mark.parametrize("count", [0, 101])
def test_an_order_has_from_1_to_100_lines(writable: World, count: int) -> None:
    lines = [{"sku": f"S-{number}", "quantity": 1} for number in range(count)]
    assert mistakes(writable, "customer", PLACE, basket(lines=lines)) == [
        ("OUT_OF_RANGE", "Order.lines", "lines")
    ]


def test_an_order_is_of_one_currency_and_of_active_products(writable: World) -> None:
    writable.execute(
        "INSERT INTO product VALUES ('SEK-1', 'Krona', 1, 'SEK', 0, true),"
        " ('OLD-1', 'Old', 1, 'EUR', 0, false)"
    )
    lines = [{"sku": sku, "quantity": 1} for sku in ("KIT-1002", "SEK-1", "OLD-1")]
    assert mistakes(writable, "customer", PLACE, basket(lines=lines)) == [
        ("MALFORMED", "OrderLine.sku", "lines/1/sku"),
        ("NOT_FOUND", "OrderLine.sku", "lines/2/sku"),
    ]


def test_a_service_of_no_active_carrier_is_refused(writable: World) -> None:
    writable.execute("UPDATE carrier SET active = false WHERE name = 'PostNord'")
    try:
        wanted = basket(delivery={"serviceCode": "MYPACK"})
        found = mistakes(writable, "customer", PLACE, wanted)
        assert found == [("NOT_FOUND", "Delivery.serviceCode", "delivery/serviceCode")]
    finally:
        writable.execute("UPDATE carrier SET active = true")


def test_a_guest_without_an_address_is_told_what_is_needed(writable: World) -> None:
    guest = {name: GUEST[name] for name in ("firstName", "surname", "email")}
    needed = ("streetAddress", "postalCode", "postalTown")
    assert mistakes(writable, "anonymous", PLACE, basket(customer=guest)) == [
        *(("REQUIRED", "Order.billingAddress", f"billingAddress/{name}") for name in needed),
        *(("REQUIRED", f"Delivery.{name}", f"delivery/{name}") for name in needed),
    ]


def test_a_country_without_postal_codes_needs_none(writable: World) -> None:
    guest = {**GUEST, "countryCode": "HK", "phone": None, "postalCode": None, "postalTown": "Kowloon"}
    order = placed(writable, "anonymous", customer=guest)["order"]
    assert order["billingAddress"]["postalCode"] is None


def test_whoever_has_no_account_says_who_they_are(writable: World) -> None:
    for wanted in (basket(), basket(customer=None)):
        assert mistakes(writable, "anonymous", PLACE, wanted) == [
            ("REQUIRED", "PlaceOrderInput.customer", "customer")
        ]


@pytest.mark.parametrize(("name", "guest"), [("customer", {}), ("anonymous", {"customer": GUEST})])
def test_the_same_key_makes_one_order_across_gateways_and_restarts(
    writable: World, name: str, guest: dict[str, Any]
) -> None:
    wanted = basket(idempotencyKey=str(uuid.uuid4()), **guest)
    first = writable.post(name, PLACE, {"input": wanted}).json()
    writable.execute("UPDATE product SET active = false WHERE sku = 'KIT-1001'")
    try:
        with another_gateway(writable) as other:
            assert other.post(name, PLACE, {"input": wanted}).json() == first
            changed = {**wanted, "paymentMethod": "INVOICE"}
            conflict = [("CONFLICT", "PlaceOrderInput.idempotencyKey", "idempotencyKey")]
            assert mistakes(other, name, PLACE, changed) == conflict
    finally:
        writable.execute("UPDATE product SET active = true")


def test_one_key_many_times_at_once_makes_one_order(writable: World) -> None:
    before = len(kept(writable, "orders")), len(kept(writable, "customer"))
    wanted = basket(idempotencyKey=str(uuid.uuid4()), customer=GUEST)
    with another_gateway(writable) as other:
        asks = [lambda one=one: placed(one, "anonymous", **wanted) for one in (writable, other) * 4]
        found = at_once(*asks)
    assert len({payload["order"]["id"] for payload in found}) == 1
    assert (len(kept(writable, "orders")), len(kept(writable, "customer"))) == (before[0] + 1, before[1] + 1)


def test_a_used_up_key_makes_one_more_order_however_many_ask_at_once(writable: World) -> None:
    wanted = basket(idempotencyKey=str(uuid.uuid4()))
    first = placed(writable, **wanted)["order"]["id"]
    with writable.at(writable.now + timedelta(hours=24)):
        found = {payload["order"]["id"] for payload in at_once(*[lambda: placed(writable, **wanted)] * 4)}
    assert len(found) == 1
    assert first not in found


def test_an_order_leaves_where_its_personal_data_came_from_and_no_value(writable: World) -> None:
    payload = placed(writable, "anonymous", customer=GUEST, customerMessage="SECRET")
    (row,) = kept(writable, "orders", id=key_of(payload["order"]["id"]))
    found = kept(writable, "change", customer_id=row["customer_id"])
    noted = {(one["entity"], one["field"]) for one in found}
    assert noted >= {
        *(("Customer", name) for name in GUEST),
        *(("Order", name) for name in ("billingName", "billingAddress", "paymentMethod", "customerMessage")),
        *(("Delivery", name) for name in ("serviceCode", "recipientName", "recipientPhone", "streetAddress")),
    }
    assert ("Delivery", "instructions") not in noted
    assert {one["source"] for one in found} == {"CHECKOUT"}
    assert {key_of(one["actor"]) for one in found} == {row["customer_id"]}
    assert "SECRET" not in str(found)
