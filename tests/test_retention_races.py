"""What is committed while a run waits for a row decides what the run does to it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import date, datetime

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from tests.retaining import Store, noon
from tests.sealing import comes_true

DAY, PLACED, ENDED = "2026-03-01", "2021-01-01", "2021-02-01"
# As whoever places a hold does: the customer first, so that retention and erasure wait.
LOCK = "SELECT FROM customer WHERE id = $1 FOR NO KEY UPDATE"
HOLD = """
INSERT INTO legal_hold (id, customer_id, order_id, target_entity, target_id, fields, basis, until, placed_at,
    placed_by) VALUES ($1, $2, $3, $4, $5, $6, 'Test claim', $7, $8, 'x')"""
CONSENT = """
INSERT INTO consent_event (id, customer_id, purpose, state, at, source, notice_version, text_digest, actor)
VALUES ($1, $2, 'NEWSLETTER', 'GIVEN', $3, 'CUSTOMER', '1', 'ab', 'x')"""
WAITS = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
    AND application_name = 'gateway retention')"""

Statement = tuple[str, tuple[object, ...]]


@pytest.fixture(autouse=True)
def _empty(shop: Store) -> None:
    shop.sql("TRUNCATE customer, employee, carrier, access_record, retention_run CASCADE")


async def _meanwhile(shop: Store, day: str, statements: list[Statement]) -> None:
    """Runs a day while a transaction is open that did these; it commits once the run waits, or is over."""
    other, looker = await asyncpg.connect(shop.url), await asyncpg.connect(shop.url)
    try:
        async with other.transaction():
            for statement, values in statements:
                await other.execute(statement, *values)
            run = asyncio.create_task(shop.daily.run(noon(day)))

            async def waits() -> bool:
                return run.done() or bool(await looker.fetchval(WAITS))

            await comes_true(waits)
        await run
    finally:
        await other.close()
        await looker.close()


def meanwhile(shop: Store, day: str, *statements: Statement) -> None:
    asyncio.run(_meanwhile(shop, day, list(statements)))


def hold(
    customer: uuid.UUID, entity: str, target: uuid.UUID, field: str, order: uuid.UUID | None = None
) -> tuple[Statement, Statement]:
    until: date = date(2040, 1, 1)
    at: datetime = noon(DAY)
    placed = (HOLD, (uuid7(), customer, order, entity, target, [field], until, at))
    return (LOCK, (customer,)), placed


@pytest.mark.parametrize("on", ["Customer", "Order", "Delivery"])
def test_a_hold_that_commits_while_a_run_waits_keeps_the_field_that_it_names(shop: Store, on: str) -> None:
    customer = shop.customer()
    order = shop.order(customer, noon("2025-01-01"))
    delivery, _ = shop.delivery(customer, order, noon("2025-02-01"))
    target = {"Customer": customer, "Order": order, "Delivery": delivery}[on]
    of_order = None if on == "Customer" else order
    meanwhile(shop, DAY, *hold(customer, on, target, "Delivery.recipientPhone", of_order))
    row = shop.row("delivery", delivery)
    assert (row["recipient_phone"], row["recipient_email"]) == ("+358401234567", None)


def test_a_hold_that_commits_while_a_run_waits_keeps_whose_an_order_is(shop: Store) -> None:
    customer = shop.customer()
    order = shop.order(customer, noon(PLACED))
    shop.delivery(customer, order, noon(ENDED))
    shop.run("2021-03-01")
    meanwhile(shop, DAY, *hold(customer, "Customer", customer, "Order.total"))
    assert shop.row("orders", order)["customer_id"] == customer


def test_a_hold_that_commits_while_a_run_waits_keeps_what_it_names_of_an_account(shop: Store) -> None:
    customer = shop.customer(noon("2023-01-01"))
    shop.warned(customer, noon("2025-01-01"))
    meanwhile(shop, DAY, *hold(customer, "Customer", customer, "Customer.email"))
    row = shop.row("customer", customer)
    assert (row["status"], row["phone"]) == ("ERASED", None)
    assert row["email"] is not None


def test_who_consents_again_while_a_run_waits_keeps_the_history(shop: Store) -> None:
    customer = shop.customer()
    shop.consent(customer, "GIVEN", noon("2015-01-01"))
    shop.consent(customer, "WITHDRAWN", noon("2016-01-01"))
    meanwhile(shop, DAY, (CONSENT, (uuid7(), customer, noon(DAY))))
    assert shop.row("customer", customer)["marketing_consent"] is True
    states = [row["state"] for row in shop.sql("SELECT state FROM consent_event ORDER BY at")]
    assert states == ["GIVEN", "WITHDRAWN", "GIVEN"]


def test_who_is_restricted_while_a_run_waits_is_left_alone(shop: Store) -> None:
    customer = shop.customer()
    order = shop.order(customer, noon(PLACED))
    delivery, _ = shop.delivery(customer, order, noon(ENDED))
    restricted = ("UPDATE customer SET restricted_at = $2 WHERE id = $1", (customer, noon(DAY)))
    meanwhile(shop, DAY, restricted)
    assert shop.row("delivery", delivery)["recipient_phone"] == "+358401234567"
    assert shop.row("orders", order)["customer_id"] == customer
