"""The demo data covers every state and both sides of every window, adds up, and is about nobody."""

from __future__ import annotations

import re
import uuid
from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from enum import Enum

import pytest

from gateway.demo.draw import FIXED_ANCHOR_MS
from schema import states
from tests.made_rows import ANCHOR, NOW, Data, basis, by, is_within, made, moment, value


@pytest.fixture(scope="module")
def smallest() -> Data:
    return made(30)


@pytest.fixture(scope="module")
def larger() -> Data:
    return made(1_000)


@pytest.fixture(params=["smallest", "larger"])
def data(request: pytest.FixtureRequest) -> Data:
    found: Data = request.getfixturevalue(request.param)
    return found


def test_ids_do_not_depend_on_the_day(smallest: Data) -> None:
    later = made(30, now=NOW + timedelta(days=40))
    for table, rows in smallest.items():
        if "id" in rows[0]:
            assert [row["id"] for row in rows] == [row["id"] for row in later[table]]
    assert smallest["orders"] != later["orders"]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("customer", "created_at"),
        ("consent_event", "at"),
        ("orders", "placed_at"),
        ("delivery", "created_at"),
        ("delivery_event", "occurred_at"),
        ("returns", "requested_at"),
    ],
)
def test_ids_rise_with_the_time_of_their_row(smallest: Data, table: str, column: str) -> None:
    for row in smallest[table]:
        key = uuid.UUID(value(row, "id"))
        assert (key.version, key.variant) == (7, uuid.RFC_4122)
        after = (moment(row, column) - ANCHOR).total_seconds()
        assert key.int >> 80 == FIXED_ANCHOR_MS + after * 1_000


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_state_occurs_among_thirty_customers(number: int) -> None:
    data = made(30, number=number)
    known: dict[tuple[str, str], type[Enum]] = {
        ("customer", "status"): states.CustomerStatus,
        ("consent_event", "state"): states.ConsentState,
        ("orders", "status"): states.OrderStatus,
        ("orders", "payment_method"): states.PaymentMethod,
        ("orders", "payment_status"): states.PaymentStatus,
        ("delivery", "status"): states.DeliveryStatus,
        ("returns", "kind"): states.ReturnKind,
        ("returns", "status"): states.ReturnStatus,
    }
    for (table, column), values in known.items():
        assert {row[column] for row in data[table]} == {state.value for state in values}


def test_every_reason_and_none_occur_among_thirty_customers(smallest: Data) -> None:
    reasons = {row["reason_code"] for row in smallest["returns"]}
    assert reasons == {None, *(reason.value for reason in states.ReturnReason)}


def test_services_differ_in_the_contacts_they_need(smallest: Data) -> None:
    needs = {(row["needs_phone"], row["needs_email"]) for row in smallest["carrier_service"]}
    assert len(needs) == 4
    services = by(smallest["carrier_service"], "carrier_id")
    for carrier in smallest["carrier"]:
        assert value(carrier, "contact_email").endswith(".example")
        offered = {row["code"] for row in services[value(carrier, "id")]}
        used = {row["service_code"] for row in smallest["delivery"] if row["carrier_id"] == carrier["id"]}
        assert used == offered
        assert 2 <= len(offered) <= 3


@pytest.mark.parametrize("hour", [0, 23])
@pytest.mark.parametrize("days", [3, 30, 90])
def test_each_carrier_has_deliveries_on_both_sides_of_each_window(
    smallest: Data, days: int, hour: int
) -> None:
    """Whatever the hour: the data stands still from midnight, the clock does not."""
    now = ANCHOR + timedelta(hours=hour, minutes=59)
    known = {"delivered_at", "handed_over_at", "created_at"}
    assigned = [row for row in smallest["delivery"] if row["status"] not in ("PLANNED", "CANCELLED")]
    for carrier in smallest["carrier"]:
        own = [row for row in assigned if row["carrier_id"] == carrier["id"]]
        assert known <= {basis(row) for row in own if is_within(row, days, now)}
        assert known <= {basis(row) for row in own if not is_within(row, days, now)}
    for side in (True, False):
        known = {basis(row) for row in assigned if is_within(row, days, now) is side}
        assert {"returned_at", "lost_at"} <= known


def test_each_service_has_deliveries_on_both_sides_of_the_contact_window(smallest: Data) -> None:
    sides = defaultdict(set)
    for row in smallest["delivery"]:
        if row["delivered_at"]:
            sides[row["carrier_id"], row["service_code"]].add((is_within(row, 3), is_within(row, 30)))
    for service in smallest["carrier_service"]:
        assert sides[service["carrier_id"], service["code"]] >= {(True, True), (False, True)}


def test_totals_and_refunds_add_up(data: Data) -> None:
    lines, returned = by(data["order_line"], "order_id"), by(data["return_line"], "return_id")
    for order in data["orders"]:
        own = lines[value(order, "id")]
        total = sum(Decimal(value(row, "unit_price")) * int(value(row, "quantity")) for row in own)
        assert Decimal(value(order, "total")) == total
        assert 1 <= len(own) <= 4
        assert len({row["sku"] for row in own}) == len(own)
    line_by_id = {row["id"]: row for row in data["order_line"]}
    for back in data["returns"]:
        worth = Decimal(0)
        for row in returned[value(back, "id")]:
            line = line_by_id[row["order_line_id"]]
            assert line["order_id"] == back["order_id"]
            assert int(value(row, "quantity")) <= int(value(line, "quantity"))
            worth += int(value(row, "quantity")) * Decimal(value(line, "unit_price"))
        assert worth > 0
        assert (back["refund_amount"] is not None) == (back["status"] in ("INSPECTED", "REFUNDED", "CLOSED"))
        assert Decimal(back["refund_amount"] or 0) <= worth
        assert (back["refunded_at"] is not None) == (back["status"] in ("REFUNDED", "CLOSED"))
    rates = {row["vat_rate"] for row in data["order_line"]}
    assert rates == {"25.50", "14.00", "10.00"}


def test_orders_and_their_deliveries_agree(data: Data) -> None:
    known = {
        "PLACED": {"PLANNED"},
        "PAID": {"PLANNED"},
        "PICKING": {"PLANNED", "READY", "PRE_ADVISED"},
        "SHIPPED": {*("PICKED_UP", "IN_TRANSIT", "AT_PICKUP_POINT", "OUT_FOR_DELIVERY", "EXCEPTION")}
        | {"ATTEMPT_FAILED", "RETURNING", "RETURNED", "LOST"},
        "DELIVERED": {"DELIVERED"},
        "COMPLETED": {"DELIVERED", "RETURNED", "LOST"},
        "CANCELLED": {"CANCELLED"},
    }
    deliveries = by(data["delivery"], "order_id")
    for order in data["orders"]:
        own = deliveries.get(value(order, "id"), [])
        assert {row["status"] for row in own} <= known[value(order, "status")]
        assert own or order["status"] in ("PLACED", "PAID", "CANCELLED")
        assert all(moment(row, "created_at") > moment(order, "placed_at") for row in own)
    placed = {value(order, "id"): order["placed_at"] for order in data["orders"]}
    for back in data["returns"]:
        assert value(back, "requested_at") > value(placed, value(back, "order_id"))


def test_deliveries_and_their_events_agree(data: Data) -> None:
    stamps = {
        "PICKED_UP": "handed_over_at",
        "DELIVERED": "delivered_at",
        "RETURNED": "returned_at",
        "LOST": "lost_at",
    }
    events = by(data["delivery_event"], "delivery_id")
    for delivery in data["delivery"]:
        own = sorted(events.get(value(delivery, "id"), []), key=lambda row: value(row, "id"))
        assert own == sorted(own, key=lambda row: value(row, "occurred_at"))
        if delivery["status"] in ("PLANNED", "READY", "CANCELLED"):
            assert own == []
        else:
            assert 2 <= len(own) <= 5
            assert own[-1]["status"] == delivery["status"]
        reported = {row["status"]: row["occurred_at"] for row in own}
        assert {column: delivery[column] for column in stamps.values()} == {
            column: reported.get(status) for status, column in stamps.items()
        }


def test_the_past_is_over_and_no_order_is_older_than_its_customer(data: Data) -> None:
    may_lie_ahead = {"promised_at", "refund_due_at"}
    for rows in data.values():
        times = {name for name in rows[0] if name == "at" or name.endswith("_at")} - may_lie_ahead
        for row in rows:
            assert all(moment(row, name) < ANCHOR for name in times if row[name])
    known_since = {value(row, "id"): row["created_at"] for row in data["customer"]}
    for order in data["orders"]:
        assert value(known_since, value(order, "customer_id")) <= value(order, "placed_at")


def test_marketing_consent_is_the_newest_event(data: Data) -> None:
    events = by(data["consent_event"], "customer_id")
    sources = {"REGISTRATION", "CUSTOMER", "UNSUBSCRIBE_LINK"}
    for customer in data["customer"]:
        own = events.get(value(customer, "id"), [])
        newest = max(own, key=lambda row: (value(row, "at"), value(row, "id")), default={"state": None})
        assert (customer["marketing_consent"] == "True") == (newest["state"] == "GIVEN")
        assert {row["source"] for row in own} <= sources
        assert [row["source"] for row in own][:1] in (["REGISTRATION"], [])


def test_shares_are_those_of_a_shop(larger: Data) -> None:
    assert len(larger["orders"]) == 3_000
    assert 0.44 <= sum(row["marketing_consent"] == "True" for row in larger["customer"]) / 1_000 <= 0.46
    statuses = Counter(row["status"] for row in larger["customer"])
    assert 4 <= statuses["RESTRICTED"] <= 6
    assert 4 <= statuses["ERASED"] <= 6
    guests = 1_000 - len({row["customer_id"] for row in larger["consent_event"]})
    assert 45 <= guests <= 55
    assert 1.9 <= len(larger["order_line"]) / 3_000 <= 2.1
    is_open = [row["status"] not in states.ORDER_FINAL for row in larger["orders"]]
    assert 0.02 <= sum(is_open) / 3_000 <= 0.10
    assert 0.07 <= len(larger["returns"]) / 3_000 <= 0.13


def test_thirty_customers_have_ninety_orders(smallest: Data) -> None:
    assert len(smallest["orders"]) == 90


def test_numbers_are_unique_and_e_mail_addresses_lead_nowhere(data: Data) -> None:
    for table, column in [("orders", "number"), ("delivery", "reference"), ("returns", "number")]:
        names = [row[column] for row in data[table]]
        assert len(set(names)) == len(names)
    tokens = {value(row, "unsubscribe_token") for row in data["customer"]}
    assert len(tokens) == len(data["customer"])
    assert all(re.fullmatch(r"[\w-]{43}", token) for token in tokens)
    shown = [row["email"] for row in data["customer"]] + [row["recipient_email"] for row in data["delivery"]]
    reserved = re.compile(r"[a-z]+\.[a-z]+\.\d+@example\.(com|net|org)")
    assert all(email is None or reserved.fullmatch(email) for email in shown)
    phones = {row["phone"] for row in data["customer"] if row["phone"]}
    assert all(re.fullmatch(r"\+358(40|50)\d{7}", phone) for phone in phones)
    ibans = {row["refund_iban"] for row in data["returns"] if row["refund_iban"]}
    assert all(re.fullmatch(r"FI\d{16}", iban) for iban in ibans)
    assert all(int(iban[4:] + "1518" + iban[2:4]) % 97 == 1 for iban in ibans)


def test_no_free_text_holds_an_e_mail_address_or_a_telephone_number(data: Data) -> None:
    texts = ("customer_message", "internal_note", "instructions", "note", "reason_text", "inspection_note")
    for rows in data.values():
        for row in rows:
            assert not any(re.search(r"@|\d{5}", row.get(name) or "") for name in texts)


def test_the_restricted_and_the_erased_have_nothing_open(data: Data) -> None:
    marked = {row["id"]: row for row in data["customer"] if row["status"] != "ACTIVE"}
    assert {row["status"] for row in marked.values()} == {"RESTRICTED", "ERASED"}
    assert {row["customer_id"] for row in data["orders"]} >= set(marked)
    final = {
        "orders": states.ORDER_FINAL,
        "delivery": states.DELIVERY_FINAL,
        "returns": states.RETURN_FINAL,
    }
    long_ago = ANCHOR - timedelta(days=120)
    for table in ("consent_event", "orders", "delivery", "delivery_event", "returns"):
        for row in data[table]:
            if row["customer_id"] in marked:
                assert row["status" if table in final else "customer_id"] in final.get(table, marked)
                times = [name for name in row if name == "at" or name.endswith("_at")]
                assert all(moment(row, name) < long_ago for name in times if row[name])
    for row in data["customer"]:
        assert (row["restricted_at"] is not None) == (row["status"] == "RESTRICTED")
        assert (row["erased_at"] is not None) == (row["status"] == "ERASED")


def test_nothing_leads_back_to_the_erased_but_the_vouchers(data: Data) -> None:
    erased = {row["id"] for row in data["customer"] if row["status"] == "ERASED"}
    gone = {
        "customer": "first_name surname street_address postal_code postal_town country_code phone email",
        "orders": "customer_message internal_note",
        "delivery": "recipient_name recipient_phone recipient_email street_address postal_code postal_town"
        " country_code pickup_point instructions signed_by tracking_code",
        "delivery_event": "place note",
        "returns": "reason_text inspection_note refund_iban",
    }
    for table, columns in gone.items():
        for row in data[table]:
            if row["id" if table == "customer" else "customer_id"] in erased:
                assert [row[column] for column in columns.split()] == [None] * len(columns.split())
    for order in data["orders"]:
        assert order["billing_name"]
        assert order["billing_postal_code"]


def test_the_printed_customer_has_something_in_every_column(data: Data) -> None:
    customer = data["customer"][0]
    never = {"customer": {"restricted_at", "erased_at"}}
    for table in ("customer", "consent_event", "orders", "order_line", "delivery", "delivery_event"):
        own = [row for row in data[table] if row.get("customer_id", row["id"]) == customer["id"]]
        filled = {column for row in own for column in row if row[column] is not None}
        assert filled == set(own[0]) - never.get(table, set()), table
    assert (customer["status"], customer["marketing_consent"]) == ("ACTIVE", "True")


def test_the_printed_customer_has_nine_orders_and_every_state(data: Data) -> None:
    customer = data["customer"][0]
    own = {table: [row for row in data[table] if row.get("customer_id") == customer["id"]] for table in data}
    assert {row["status"] for row in own["orders"]} == {state.value for state in states.OrderStatus}
    assert len(own["orders"]) == 9
    assert len(own["consent_event"]) == 3
    assert all(row["signed_by"] for row in own["delivery"] if row["status"] == "DELIVERED")
    refunded = [row for row in own["returns"] if row["status"] == "REFUNDED"]
    assert len(own["returns"]) >= 3
    assert any(all(row.values()) for row in refunded)
    assert any(row["customer_message"] and row["internal_note"] for row in own["orders"])


def test_the_second_customer_is_ordinary(data: Data) -> None:
    first, second = data["customer"][:2]
    assert second["status"] == "ACTIVE"
    assert {first["phone"], first["email"]}.isdisjoint({second["phone"], second["email"], None})
    assert sum(row["customer_id"] == second["id"] for row in data["orders"]) == 3
