"""The end of an account: warned before, never while something is open, and nothing of the person is left."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from gateway.chores import tidy
from gateway.database import Database
from gateway.mail.outbox import ATTEMPTS
from gateway.principal import SigningKey
from gateway.privacy.retention.handling import cleared
from gateway.privacy.spent_token import spent
from tests.retaining import LONG_AGO, Store, fields_of, filled, noon

PROFILE = cleared("customer", "R-ACCOUNT")
ACTIVE, WARNED, LAST, OVER = "2024-02-29", "2026-01-29", "2026-02-28", "2026-03-01"


@pytest.fixture(autouse=True)
def _empty(shop: Store) -> None:
    shop.sql("TRUNCATE customer, employee, carrier, access_record, retention_run CASCADE")


def test_a_customer_is_warned_thirty_days_before_once_and_told_the_day(shop: Store) -> None:
    customer = shop.customer(noon(ACTIVE))
    assert shop.run(noon(WARNED) - timedelta(days=1)) == []
    assert fields_of(shop.run(WARNED), "retention_warning") == {customer: {"warned_at"}}
    assert shop.run(noon(WARNED) + timedelta(days=1)) == []
    (mail,) = shop.rows("mail")
    assert (mail["customer_id"], mail["kind"]) == (customer, "account-ending")
    assert mail["recipient"] == shop.row("customer", customer)["email"]
    assert "until 28.2.2026 and" in mail["body"]


def test_an_account_is_empty_the_day_after_its_last(shop: Store) -> None:
    customer = shop.customer(noon(ACTIVE))
    shop.warn(WARNED)
    assert shop.run(LAST) == []
    touched = shop.run(OVER)
    row = shop.row("customer", customer)
    assert {name for name in PROFILE if row[name] is not None} == set()
    assert (row["status"], row["erased_at"]) == ("ERASED", noon(OVER))
    assert str(customer) in row["number"]
    assert row["unsubscribe_token"] == spent(f"token-{customer}")
    changed = {*PROFILE, "number", "unsubscribe_token", "status", "erased_at"}
    assert fields_of(touched, "customer") == {customer: changed}
    assert [one for one in shop.rows("mail") if one["customer_id"] == customer] == []
    assert shop.rows("retention_warning") == []
    fields = {field for field, source, _ in shop.noted(customer) if source == "RETENTION"}
    assert fields >= {"firstName", "surname", "email", "phone", "streetAddress"}
    assert shop.run(noon(OVER) + timedelta(days=1)) == []


def test_nobody_goes_unwarned_even_when_the_run_comes_late(shop: Store) -> None:
    customer = shop.customer(noon("2015-01-01"))
    shop.run("2026-03-01")
    assert "until 31.3.2026 and" in shop.rows("mail")[0]["body"]
    shop.sql("DELETE FROM mail")
    assert shop.run("2026-03-31") == []
    assert customer in fields_of(shop.run("2026-04-01"), "customer")


def test_who_comes_back_stays_and_is_warned_anew(shop: Store) -> None:
    customer = shop.customer(noon(ACTIVE))
    shop.warn(WARNED)
    shop.sql("UPDATE customer SET last_active_at = $1", noon("2026-02-10"))
    assert shop.run(OVER) == []
    assert shop.row("customer", customer)["email"] is not None
    assert fields_of(shop.warn("2028-01-11"), "retention_warning") == {customer: {"warned_at"}}
    assert shop.run("2028-02-10") == []
    assert customer in fields_of(shop.run("2028-02-11"), "customer")


def letter(shop: Store) -> dict[str, Any]:
    (found,) = shop.rows("mail")
    return found


def test_no_account_ends_while_its_warning_has_not_left(shop: Store) -> None:
    """It is written anew each time it has waited for more than a day, and tells the new last day."""
    customer = shop.customer(noon(ACTIVE))
    shop.run(WARNED)
    first = letter(shop)
    touched = shop.run(OVER)
    assert fields_of(touched, "retention_warning") == {customer: {"warned_at"}}
    assert fields_of(touched, "mail") == {first["id"]: set()}
    assert "until 31.3.2026 and" in letter(shop)["body"]
    assert shop.row("customer", customer)["email"] is not None
    shop.sql("DELETE FROM mail")
    assert shop.run("2026-03-31") == []
    assert customer in fields_of(shop.run("2026-04-01"), "customer")


@pytest.mark.parametrize(("attempts", "ends"), [(ATTEMPTS, False), (1, True)], ids=["given up", "refused"])
def test_a_letter_that_no_server_took_warns_nobody_and_a_refused_mailbox_is_no_address(
    shop: Store, attempts: int, ends: bool
) -> None:
    customer = shop.customer(noon(ACTIVE))
    shop.run(WARNED)
    shop.sql("UPDATE mail SET failed_at = $1, attempts = $2, body = ''", noon(WARNED), attempts)
    touched = shop.run(OVER)
    assert (customer in fields_of(touched, "customer")) == ends
    assert (shop.row("customer", customer)["email"] is None) == ends
    assert [bool(row["body"]) for row in shop.rows("mail")] == ([] if ends else [True])


def test_the_workers_do_not_tidy_a_warning_away_that_has_not_left(shop: Store) -> None:
    shop.customer(noon(ACTIVE))
    shop.run(WARNED)

    async def tidied() -> int:
        database = Database(shop.settings)
        try:
            return await tidy(shop.settings, database, noon(WARNED) + timedelta(days=400))
        finally:
            await database.close()

    assert asyncio.run(tidied()) == 0
    shop.sql("UPDATE mail SET failed_at = created_at, attempts = $1", ATTEMPTS)
    assert asyncio.run(tidied()) == 0
    shop.sql("UPDATE mail SET attempts = 1")
    assert asyncio.run(tidied()) == 1


def test_who_left_no_address_has_the_same_time(shop: Store) -> None:
    customer = shop.customer(noon(ACTIVE), email=None)
    shop.warn(WARNED)
    assert shop.rows("mail") == []
    assert shop.run(LAST) == []
    assert customer in fields_of(shop.run(OVER), "customer")


@pytest.mark.parametrize("what", ["order", "delivery", "return", "request", "executed request"])
def test_an_account_with_something_open_is_not_warned_and_not_touched(shop: Store, what: str) -> None:
    customer = shop.customer(noon(ACTIVE))
    order = shop.order(customer, noon("2026-01-01"), status="SHIPPED" if what == "order" else "COMPLETED")
    if what == "delivery":
        shop.delivery(customer, order, noon("2026-01-01"), status="IN_TRANSIT", delivered_at=None)
    if what == "return":
        shop.returned(customer, order, noon("2026-01-01"), status="RECEIVED", refunded_at=None)
    if "request" in what:
        shop.request(customer, "EXECUTED" if "executed" in what else "RECEIVED", noon("2026-01-01"))
    shop.warned(customer, noon("2026-01-01"))
    assert [one for one in shop.run(OVER) if one.rule == "R-ACCOUNT"] == []
    assert shop.row("customer", customer)["email"] is not None
    for close in (
        "UPDATE orders SET status = 'COMPLETED'",
        "UPDATE delivery SET status = 'DELIVERED', delivered_at = handed_over_at",
        "UPDATE returns SET status = 'REJECTED'",
        "UPDATE subject_request SET status = 'COMPLETED'",
    ):
        shop.sql(close)
    assert customer in fields_of(shop.run(OVER), "customer")


def test_a_held_field_stays_and_goes_with_its_hold(shop: Store) -> None:
    customer = shop.customer(noon(ACTIVE))
    number = shop.row("customer", customer)["number"]
    shop.hold(customer, "Customer", customer, ["Customer.email", "Customer.number"], "2027-06-30")
    shop.warn(WARNED)
    shop.run(OVER)
    row = shop.row("customer", customer)
    assert filled(row, PROFILE) == {"email"}
    assert (row["number"], row["status"]) == (number, "ERASED")
    assert shop.run("2027-06-30") == []
    assert fields_of(shop.run("2027-07-01"), "customer") == {customer: {"email", "number"}}
    row = shop.row("customer", customer)
    assert (row["email"], row["number"], row["erased_at"]) == (None, f"E-{customer}", noon(OVER))
    assert shop.run("2027-07-02") == []


def sessions(shop: Store, customer: uuid.UUID) -> None:
    """Everything that is kept of how somebody signs in, and what waits for them."""
    at, key = LONG_AGO, uuid.uuid4()
    times = {"created_at": at, "expires_at": datetime(2099, 1, 1, tzinfo=UTC)}
    shop.insert("credential", customer_id=customer, email="a@store.example", password_hash="x", created_at=at)
    shop.insert("session", id=key, customer_id=customer, last_refreshed_at=at, **times)
    issued = {"issued_at": at, "expires_at": times["expires_at"]}
    shop.insert("refresh_token", hash=str(key), session_id=key, customer_id=customer, **issued)
    link = {"kind": "RESET_PASSWORD", "email": "a@store.example", **times}
    shop.insert("one_time_link", hash=str(key), customer_id=customer, **link)
    noted = {
        "entity": "Customer",
        "entity_id": customer,
        "field": "email",
        "source": "CUSTOMER",
        "actor": "x",
    }
    shop.insert("change", id=uuid7(), customer_id=customer, at=at, **noted)
    request = shop.request(customer, "COMPLETED", noon("2026-02-20"))
    of = {"customer_id": customer, "request_id": request}
    shop.insert("export_document", id=uuid7(), **of, **times)
    letter = {"kind": "password-changed", "recipient": "a@store.example", "subject": "x", "body": "x"}
    shop.insert("mail", id=uuid7(), customer_id=customer, **letter, created_at=at, next_attempt_at=at)


def test_what_signs_somebody_in_goes_with_the_account(shop: Store) -> None:
    gone, stays = shop.customer(noon(ACTIVE)), shop.customer()
    for customer in (gone, stays):
        sessions(shop, customer)
    shop.warn(WARNED)
    touched = shop.run(OVER)
    of_account = ("credential", "session", "one_time_link", "export_document", "mail")
    for table in (*of_account, "refresh_token"):
        assert {row["customer_id"] for row in shop.rows(table)} == {stays}, table
    assert {one.table for one in touched} == {*of_account, "customer", "retention_warning"}
    assert {source for _, source, _ in shop.noted(gone)} == {"RETENTION"}
    assert ("email", "CUSTOMER", "x") in shop.noted(stays)


def test_the_proof_of_consent_stays_as_a_keyed_digest_and_goes_three_years_later(shop: Store) -> None:
    customer = shop.customer(noon(ACTIVE))
    address = shop.row("customer", customer)["email"]
    shop.consent(customer, "GIVEN", noon("2023-01-01"))
    shop.warn(WARNED)
    shop.run(OVER)
    proof = shop.row("consent_proof", customer, "customer_id")
    key = SigningKey.load(shop.settings.signing_key_file)
    import hmac

    assert proof["address_digest"] == hmac.digest(key.secrets("consent")[0], address.encode(), "sha256")
    states = [(row["state"], row["evidence"]) for row in shop.rows("consent_event")]
    assert sorted(states, key=str) == [("GIVEN", "Soitti"), ("WITHDRAWN", None)]
    assert shop.row("customer", customer)["marketing_consent"] is False
    shop.run(noon(OVER) + timedelta(days=1))
    assert {row["evidence"] for row in shop.rows("consent_event")} == {None}
    assert shop.run("2029-03-01") == []
    shop.run("2029-03-02")
    assert (shop.rows("consent_event"), shop.rows("consent_proof")) == ([], [])


def test_orders_outlive_the_account_with_their_billing_data_alone(shop: Store) -> None:
    customer = shop.customer(noon(ACTIVE))
    order = shop.order(customer, noon(ACTIVE))
    shop.delivery(customer, order, noon(ACTIVE))
    shop.warn(WARNED)
    shop.run(OVER)
    row = shop.row("orders", order)
    assert (row["customer_id"], row["billing_name"]) == (customer, "Aino Esimerkki")
    shop.run("2031-01-01")
    assert shop.row("orders", order)["billing_name"] is None


def test_no_value_of_the_person_is_left_in_the_database(shop: Store) -> None:
    customer = shop.customer(noon(ACTIVE))
    order = shop.order(customer, noon(ACTIVE))
    shop.delivery(customer, order, noon(ACTIVE))
    shop.returned(customer, order, noon(ACTIVE))
    shop.consent(customer, "GIVEN", noon("2023-01-01"))
    sessions(shop, customer)
    values = {value for value in shop.row("customer", customer).values() if isinstance(value, str)} - {
        "ACTIVE",
        "FI",
    }
    for day in (WARNED, OVER, "2026-03-02", "2031-01-01"):
        shop.warn(day)
    names = [
        row["tablename"] for row in shop.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    dump = "\n".join(json.dumps(row, default=str) for name in names for row in shop.rows(name))
    assert {value for value in values if value in dump} == set()
    assert {text for text in ("Soita", "Rikki", "Ovelle", "Kioski", "FI21") if text in dump} == set()


# ---------------------------------------------------------------- staff, requests, notices


def employee(shop: Store, *, active: bool, **designation: Any) -> uuid.UUID:
    key = uuid7()
    shop.insert(
        "employee", id=key, name="Eeva", work_email=f"{key}@store.example", active=active, subject=f"s-{key}"
    )
    if designation:
        of = {"employee_id": key, "role": "support", "reason": "Töissä"}
        shop.insert("designation", id=uuid7(), **of, **designation)
    return key


def test_who_worked_for_the_store_is_known_as_long_as_the_records_of_their_work(shop: Store) -> None:
    period = {"valid_from": noon("2023-03-01"), "valid_to": noon("2024-02-29")}
    former, works = employee(shop, active=False, **period), employee(shop, active=True, **period)
    assert shop.run("2026-02-28") == []
    record = {
        "at": noon("2024-02-01"),
        "principal_id": shop.sql(
            "SELECT encode(convert_to('Employee:' || $1::uuid, 'UTF8'), 'base64') AS x", former
        )[0]["x"],
        "operation_hash": "ab",
        "fields": ["Customer.email"],
        "subject_ids": [],
        "policy_version": "p",
        "notice_version": "n",
        "request_id": "r",
        "decision": "ALLOWED",
    }
    shop.insert("access_record", id=uuid7(), **record)
    assert {one.table for one in shop.run("2026-03-01")} == {"designation"}
    shop.sql("DELETE FROM access_record")
    assert fields_of(shop.run("2026-03-02"), "employee") == {former: {"name", "work_email", "subject"}}
    row = shop.row("employee", former)
    assert (row["name"], row["subject"]) == ("", None)
    assert shop.row("employee", works)["name"] == "Eeva"


def test_a_hold_is_forgotten_three_years_after_its_end_and_who_placed_it_before(shop: Store) -> None:
    customer = shop.customer()
    over = shop.hold(customer, "Customer", customer, ["Customer.email"], "2024-02-29")
    shop.hold(customer, "Customer", customer, ["Customer.email"], "2040-01-01")
    assert shop.run("2026-02-28") == []
    assert fields_of(shop.run("2026-03-01"), "legal_hold") == {over: {"placed_by"}}
    assert shop.run("2027-02-28") == []
    shop.run("2027-03-01")
    assert [row["until"].year for row in shop.rows("legal_hold")] == [2040]


def test_a_request_is_forgotten_three_years_after_it_was_answered(shop: Store) -> None:
    customer = shop.customer()
    at = noon("2024-02-29")
    done = shop.request(customer, "COMPLETED", at, completed_at=at, handled_by="x")
    shop.request(customer, "RECEIVED", at)
    assert shop.run("2026-02-28") == []
    assert fields_of(shop.run("2026-03-01"), "subject_request") == {done: {"handled_by"}}
    shop.run("2027-03-01")
    assert [row["status"] for row in shop.rows("subject_request")] == ["RECEIVED"]


def test_a_restriction_in_force_is_not_forgotten_and_its_period_runs_from_when_it_was_lifted(
    shop: Store,
) -> None:
    began = noon("2020-02-29")
    customer = shop.customer(status="RESTRICTED", restricted_at=began)
    times = dict.fromkeys(("decided_at", "executed_at", "completed_at"), began)
    given = {"kind": "RESTRICTION", "decision": "ACCEPTED", "handled_by": "x"}
    request = shop.request(customer, "COMPLETED", began, **given, **times)
    assert shop.run("2024-02-28") == []
    shop.sql("UPDATE subject_request SET decision = 'LIFTED', decided_at = $1", noon("2024-02-29"))
    # It holds until its person is told.
    assert shop.run("2030-01-01") == []
    shop.sql("UPDATE customer SET restricted_at = NULL, status = 'ACTIVE'")
    assert shop.run("2026-02-28") == []
    assert fields_of(shop.run("2026-03-01"), "subject_request") == {request: {"handled_by"}}
    assert shop.run("2027-02-28") == []
    assert fields_of(shop.run("2027-03-01"), "subject_request") == {request: set()}
    assert shop.rows("subject_request") == []


def test_the_request_of_an_erasure_stays_with_the_ledger_without_what_it_tells(shop: Store) -> None:
    customer, at = shop.customer(status="ERASED", erased_at=noon("2024-02-29")), noon("2024-02-29")
    told = {"notified": ["Posti"], "retained": json.dumps([{"coordinate": "Order.total"}])}
    request = shop.request(customer, "COMPLETED", at, kind="ERASURE", completed_at=at, **told)
    shop.insert("erasure", id=uuid7(), customer_id=customer, request_id=request, at=at)
    notice = uuid7()
    of = {"customer_id": customer, "request_id": request, "recipient": "Posti", "refs": ["x"]}
    shop.insert("erasure_notice", id=notice, **of, created_at=at, next_attempt_at=at, sent_at=at)
    shop.insert("erasure_notice_attempt", id=uuid7(), notice_id=notice, attempt=1, at=at, outcome="SENT")
    shop.run("2027-02-28")
    assert len(shop.rows("erasure_notice")) == 1
    touched = shop.run("2027-03-01")
    assert fields_of(touched, "subject_request") == {request: {"notified", "retained"}}
    assert (shop.rows("erasure_notice"), shop.rows("erasure_notice_attempt")) == ([], [])
    row = shop.row("subject_request", request)
    assert (row["kind"], row["retained"], row["notified"]) == ("ERASURE", "[]", [])
    assert len(shop.rows("erasure")) == 1
