"""Each rule clears what it speaks of, on the day after its last and not before; holds win."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.privacy.retention.handling import cleared
from tests.retaining import Store, fields_of, filled, noon, store

CONTACT = ("recipient_phone", "recipient_email", "instructions")
DELIVERY = (
    *("recipient_name", "street_address", "postal_code", "postal_town", "country_code", "pickup_point"),
    *("tracking_code", "signed_by"),
)
BILLING = (
    *("billing_name", "billing_street_address", "billing_postal_code", "billing_postal_town"),
    "billing_country_code",
)


@pytest.fixture(scope="module")
def shop(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with store(server_url, tmp_path_factory.mktemp("keys"), fiscal_year_end="03-31") as made:
        yield made


@pytest.fixture(autouse=True)
def _empty(shop: Store) -> None:
    shop.sql("TRUNCATE customer, retention_run CASCADE")


def ordered(shop: Store, ended: str, **changed: Any) -> dict[str, uuid.UUID]:
    """A customer with an order, its delivery that ended on a day, and a return that was asked for on it."""
    customer = shop.customer(**changed)
    order = shop.order(customer, noon(ended) - timedelta(days=5))
    delivery, event = shop.delivery(customer, order, noon(ended))
    back = shop.returned(customer, order, noon(ended))
    return {
        "customer": customer,
        "orders": order,
        "delivery": delivery,
        "delivery_event": event,
        "returns": back,
    }


@pytest.mark.parametrize(
    ("table", "rule", "columns", "last"),
    [
        ("delivery", "R-CONTACT", CONTACT, "2024-05-29"),
        ("delivery", "R-DELIVERY", DELIVERY, "2024-08-27"),
        ("delivery_event", "R-DELIVERY", ("place", "note"), "2024-08-27"),
        ("orders", "R-DELIVERY", ("customer_message", "internal_note"), "2024-08-27"),
        ("returns", "R-DELIVERY", ("reason_text", "inspection_note"), "2024-08-27"),
        ("returns", "R-IBAN", ("refund_iban",), "2024-03-30"),
        ("orders", "R-VOUCHER", BILLING, "2030-12-31"),
    ],
)
def test_a_column_is_kept_on_its_last_day_and_cleared_on_the_next(
    shop: Store, table: str, rule: str, columns: tuple[str, ...], last: str
) -> None:
    made = ordered(shop, "2024-02-29")
    assert set(columns) == set(cleared(table, rule))
    of_rule = [one for one in shop.run(last) if one.rule == rule]
    assert of_rule == []
    assert filled(shop.row(table, made[table]), columns) == set(columns)
    found = [one for one in shop.run(noon(last) + timedelta(hours=12)) if one.rule == rule]
    assert fields_of(found, table) == {made[table]: set(columns)}
    row = shop.row(table, made[table])
    assert filled(row, columns) == set()
    assert {name for name in columns if row[name] is not None} == set()
    assert shop.run(noon(last) + timedelta(days=1)) == []


def test_what_is_cleared_is_noted_without_values_where_a_field_shows_it(shop: Store) -> None:
    made = ordered(shop, "2024-02-29")
    version = shop.row("delivery", made["delivery"])["version"]
    shop.run("2024-05-30")
    assert shop.noted(made["delivery"]) == [
        (field, "RETENTION", "retention") for field in ("instructions", "recipientEmail", "recipientPhone")
    ]
    assert shop.row("delivery", made["delivery"])["version"] == version + 1
    shop.run("2027-03-01")
    shop.run("2031-01-01")
    assert [field for field, _, _ in shop.noted(made["orders"])] == [
        "billingAddress",
        "billingName",
        "customer",
    ]


def test_a_fiscal_year_that_ended_in_march_2024_keeps_its_vouchers_through_2030(shop: Store) -> None:
    customer = shop.customer()
    old, new = (shop.order(customer, noon(day)) for day in ("2024-03-31", "2024-04-01"))
    shop.run("2030-12-31")
    assert [filled(shop.row("orders", key), BILLING) for key in (old, new)] == [set(BILLING)] * 2
    shop.run("2031-01-01")
    assert [filled(shop.row("orders", key), BILLING) for key in (old, new)] == [set(), set(BILLING)]
    shop.run("2032-01-01")
    assert filled(shop.row("orders", new), BILLING) == set()


@pytest.mark.parametrize(
    ("year_ends", "edge"), [("12-31", "2024-12-31T22:00:00"), ("03-31", "2024-03-31T21:00:00")]
)
def test_a_fiscal_year_ends_when_the_store_s_own_day_does(shop: Store, year_ends: str, edge: str) -> None:
    settings = shop.settings.model_copy(update={"fiscal_year_end": year_ends})
    local, begins = replace(shop, settings=settings), datetime.fromisoformat(f"{edge}+00:00")
    customer = shop.customer()
    old, new = (shop.order(customer, at) for at in (begins - timedelta(microseconds=1), begins))
    local.run("2030-12-31")
    assert [filled(shop.row("orders", key), BILLING) for key in (old, new)] == [set(BILLING)] * 2
    local.run("2031-01-01")
    assert [filled(shop.row("orders", key), BILLING) for key in (old, new)] == [set(), set(BILLING)]
    local.run("2032-01-01")
    assert filled(shop.row("orders", new), BILLING) == set()


@pytest.mark.parametrize(
    ("changed", "ended"),
    [
        ({"returned_at": noon("2024-03-05")}, "2024-03-05"),
        ({"delivered_at": None, "status": "LOST", "lost_at": noon("2024-03-10")}, "2024-03-10"),
        ({"delivered_at": None, "handed_over_at": noon("2024-01-01"), "status": "IN_TRANSIT"}, "2024-03-01"),
        (
            {
                "delivered_at": None,
                "handed_over_at": None,
                "status": "PLANNED",
                "created_at": noon("2024-01-01"),
            },
            "2024-04-30",
        ),
    ],
)
def test_a_delivery_ends_as_the_carriers_windows_have_it(
    shop: Store, changed: dict[str, Any], ended: str
) -> None:
    customer = shop.customer()
    delivery, _ = shop.delivery(customer, shop.order(customer), noon("2024-02-29"), **changed)
    last = noon(ended) + timedelta(days=90)
    shop.run(last)
    assert filled(shop.row("delivery", delivery), CONTACT) == set(CONTACT)
    shop.run(last + timedelta(days=1))
    assert filled(shop.row("delivery", delivery), CONTACT) == set()


def test_an_order_counts_from_the_end_of_its_last_delivery_and_a_late_return_from_when_it_was_asked_for(
    shop: Store,
) -> None:
    made = ordered(shop, "2024-02-29")
    shop.delivery(made["customer"], made["orders"], noon("2024-06-30"))
    late = shop.returned(made["customer"], made["orders"], noon("2025-01-31"))
    shop.run("2024-08-28")
    assert shop.row("orders", made["orders"])["internal_note"] is not None
    shop.run("2024-12-28")
    assert shop.row("orders", made["orders"])["internal_note"] is None
    shop.run("2025-07-30")
    assert shop.row("returns", late)["reason_text"] is not None
    shop.run("2025-07-31")
    assert shop.row("returns", late)["reason_text"] is None


def test_a_bank_account_goes_also_where_nothing_was_refunded_and_stays_while_it_is_needed(
    shop: Store,
) -> None:
    customer = shop.customer()
    order = shop.order(customer, noon("2024-01-01"))
    shop.delivery(customer, order, noon("2024-01-20"))
    asked = noon("2024-02-01")
    rejected = shop.returned(customer, order, asked, status="REJECTED", refunded_at=None)
    waiting = shop.returned(customer, order, asked, status="INSPECTED", refunded_at=None)
    shop.run("2024-03-16")
    assert shop.row("returns", rejected)["refund_iban"] is not None
    shop.run("2024-03-17")
    assert shop.row("returns", rejected)["refund_iban"] is None
    shop.run("2027-01-31")
    assert shop.row("returns", waiting)["refund_iban"] is not None
    shop.run("2027-02-02")
    assert shop.row("returns", waiting)["refund_iban"] is None


# ---------------------------------------------------------------- holds


@pytest.mark.parametrize("entity", ["Customer", "Order", "Delivery"])
def test_a_hold_keeps_its_fields_until_its_last_day_and_nothing_else(shop: Store, entity: str) -> None:
    made = ordered(shop, "2024-02-29")
    target = {"Customer": "customer", "Order": "orders", "Delivery": "delivery"}[entity]
    order = None if entity == "Customer" else made["orders"]
    fields = ["Delivery.recipientName", "Delivery.recipientPhone"]
    shop.hold(made["customer"], entity, made[target], fields, "2025-01-31", order)
    touched = shop.run("2024-12-31")
    held = {"recipient_name", "recipient_phone"}
    assert filled(shop.row("delivery", made["delivery"]), (*CONTACT, *DELIVERY)) == held
    assert fields_of(touched, "delivery")[made["delivery"]] == {*CONTACT, *DELIVERY} - held
    assert shop.run("2025-01-31") == []
    assert fields_of(shop.run("2025-02-01"), "delivery") == {made["delivery"]: held}


def test_a_hold_on_one_row_keeps_nothing_of_another_and_a_released_one_nothing(shop: Store) -> None:
    first, second = ordered(shop, "2024-02-29"), ordered(shop, "2024-02-29")
    held = (first["customer"], "Delivery", first["delivery"], ["Delivery.recipientPhone"], "2030-01-01")
    shop.hold(*held, first["orders"])
    other = (second["customer"], "Delivery", second["delivery"], ["Delivery.recipientPhone"], "2030-01-01")
    shop.hold(*other, second["orders"], released_at=noon("2024-03-01"), released_by="x")
    shop.run("2025-01-01")
    assert shop.row("delivery", first["delivery"])["recipient_phone"] is not None
    assert shop.row("delivery", second["delivery"])["recipient_phone"] is None


@pytest.mark.parametrize("entity", ["Order", "Delivery", "Return"])
def test_a_hold_keeps_what_belongs_to_its_row(shop: Store, entity: str) -> None:
    made = ordered(shop, "2024-02-29")
    target = {"Order": "orders", "Delivery": "delivery", "Return": "returns"}[entity]
    fields = ["DeliveryEvent.note", "Order.billingAddress", "Return.refundIban"]
    shop.hold(made["customer"], entity, made[target], fields, "2040-01-01", made["orders"])
    shop.run("2032-01-01")
    kept = {
        "note": shop.row("delivery_event", made["delivery_event"])["note"],
        "billing": shop.row("orders", made["orders"])["billing_postal_town"],
        "iban": shop.row("returns", made["returns"])["refund_iban"],
        "name": shop.row("orders", made["orders"])["billing_name"],
    }
    wanted = {"Order": {"note", "billing", "iban"}, "Delivery": {"note"}, "Return": {"iban"}}[entity]
    assert {name for name, value in kept.items() if value is not None} == wanted


# ---------------------------------------------------------------- restricted and erased


def test_nothing_of_a_restricted_customer_is_touched(shop: Store) -> None:
    """Restriction is storage alone: what is restricted is not erased either (GDPR Article 18(2))."""
    old = datetime(2012, 1, 1, tzinfo=UTC)
    made = ordered(shop, "2012-02-29", active=old, status="RESTRICTED", restricted_at=old)
    shop.consent(made["customer"], "WITHDRAWN", old)
    assert shop.run("2040-01-01") == []
    shop.sql("UPDATE customer SET restricted_at = NULL, status = 'ACTIVE'")
    assert fields_of(shop.run("2040-01-01"), "delivery")[made["delivery"]] >= {*CONTACT, *DELIVERY}


def test_what_an_erasure_left_for_a_hold_or_an_open_order_goes_when_that_ends(shop: Store) -> None:
    erased_at = noon("2024-03-10")
    made = ordered(shop, "2024-03-01", status="ERASED", erased_at=erased_at)
    waiting = ordered(shop, "2024-03-01", status="ERASED", erased_at=erased_at)
    shop.sql("UPDATE orders SET status = 'SHIPPED' WHERE id = $1", waiting["orders"])
    fields = ["Customer.email", "Delivery.recipientName"]
    shop.hold(made["customer"], "Customer", made["customer"], fields, "2024-03-20")
    found = shop.run("2024-03-20")
    assert set(fields_of(found, "delivery")) == {made["delivery"]}
    assert "recipient_name" not in fields_of(found, "delivery")[made["delivery"]]
    assert "email" not in fields_of(found, "customer")[made["customer"]]
    found = shop.run("2024-03-21")
    assert fields_of(found, "delivery") == {made["delivery"]: {"recipient_name"}}
    assert fields_of(found, "customer") == {made["customer"]: {"email"}}
    assert filled(shop.row("orders", made["orders"]), BILLING) == set(BILLING)
    assert shop.row("customer", waiting["customer"])["email"] is not None


# ---------------------------------------------------------------- consents


def test_a_history_that_ends_without_consent_goes_three_years_later(shop: Store) -> None:
    withdrawn, given = shop.customer(), shop.customer()
    for customer in (withdrawn, given):
        shop.consent(customer, "GIVEN", noon("2020-01-01"))
    shop.consent(withdrawn, "WITHDRAWN", noon("2024-02-29"))
    assert shop.run("2027-02-28") == []
    touched = shop.run("2027-03-01")
    assert {(one.rule, one.table) for one in touched} == {
        ("R-CONSENT", "customer"),
        ("R-CONSENT", "consent_event"),
    }
    assert {row["customer_id"] for row in shop.rows("consent_event")} == {given}
    assert ("consents", "RETENTION", "retention") in shop.noted(withdrawn)
    assert shop.row("customer", given)["marketing_consent"] is True


def test_a_history_that_is_held_stays(shop: Store) -> None:
    customer = shop.customer()
    shop.consent(customer, "WITHDRAWN", noon("2020-01-01"))
    shop.hold(customer, "Customer", customer, ["ConsentEvent.state"], "2030-12-31")
    assert shop.run("2030-12-31") == []
    assert {one.table for one in shop.run("2031-01-01")} == {"customer", "consent_event"}


# ---------------------------------------------------------------- orders


def test_an_order_is_unlinked_with_all_that_belongs_to_it_three_years_after_its_delivery(shop: Store) -> None:
    made = ordered(shop, "2024-02-29")
    session, request = uuid.uuid4(), shop.request(made["customer"], "COMPLETED", noon("2024-03-01"))
    shop.sql("UPDATE subject_request SET order_id = $1 WHERE id = $2", made["orders"], request)
    at = noon("2024-03-01")
    times = {"created_at": at, "last_refreshed_at": at, "expires_at": at}
    shop.insert("session", id=session, customer_id=made["customer"], order_id=made["orders"], **times)
    before = shop.row("orders", made["orders"])
    shop.run("2027-02-28")
    assert shop.row("orders", made["orders"])["customer_id"] == made["customer"]
    touched = [one for one in shop.run("2027-03-01") if one.rule == "R-CLAIM"]
    after = shop.row("orders", made["orders"])
    tombstone = shop.row("customer", after["customer_id"])
    assert (tombstone["status"], tombstone["erased_at"]) == ("ERASED", noon("2027-03-01"))
    assert {name for name, value in tombstone.items() if value is None} >= set(
        cleared("customer", "R-ACCOUNT")
    )
    for table in ("order_line", "delivery", "delivery_event", "returns", "return_line"):
        assert {row["customer_id"] for row in shop.rows(table)} == {tombstone["id"]}
    kept = ("number", "placed_at", "total", "payment_method", "billing_name", "billing_postal_town")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert shop.row("subject_request", request)["order_id"] is None
    assert shop.rows("session") == []
    assert {one.table for one in touched} == {
        *("orders", "order_line", "delivery", "delivery_event", "returns", "return_line"),
        *("subject_request", "session"),
    }
    # Nothing says any more whose it was.
    assert (
        shop.sql("SELECT 1 FROM change WHERE customer_id = $1 AND entity <> 'Customer'", made["customer"])
        == []
    )
    assert shop.noted(made["orders"]) == [("customer", "RETENTION", "retention")]
    assert [one for one in shop.run("2027-03-02") if one.rule == "R-CLAIM"] == []


def test_each_order_is_unlinked_to_a_tombstone_of_its_own(shop: Store) -> None:
    customer = shop.customer()
    orders = [shop.order(customer, noon("2020-01-01")) for _ in range(3)]
    shop.run("2025-01-01")
    owners = {shop.row("orders", key)["customer_id"] for key in orders}
    assert len(owners) == 3
    assert customer not in owners


@pytest.mark.parametrize(
    ("target", "fields", "is_kept"),
    [
        ("orders", ["Order.total"], True),
        ("delivery", ["Delivery.signedBy"], True),
        ("customer", ["Order.billingName"], True),
        ("customer", ["Customer.email"], False),
    ],
)
def test_a_hold_on_an_order_keeps_whose_it_is(
    shop: Store, target: str, fields: list[str], is_kept: bool
) -> None:
    made = ordered(shop, "2020-02-29")
    entity = {"orders": "Order", "delivery": "Delivery", "customer": "Customer"}[target]
    order = None if entity == "Customer" else made["orders"]
    shop.hold(made["customer"], entity, made[target], fields, "2030-12-31", order)
    shop.run("2030-12-31")
    assert (shop.row("orders", made["orders"])["customer_id"] == made["customer"]) is is_kept
    shop.run("2031-01-01")
    assert shop.row("orders", made["orders"])["customer_id"] != made["customer"]


def test_an_order_of_an_empty_customer_stays_with_them(shop: Store) -> None:
    made = ordered(shop, "2020-02-29", status="ERASED", erased_at=noon("2021-01-01"))
    assert [one for one in shop.run("2030-01-01") if one.rule == "R-CLAIM"] == []
    assert shop.row("orders", made["orders"])["customer_id"] == made["customer"]
