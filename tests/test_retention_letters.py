"""How long an account waits for the letter that tells of its end: not for ever, where it is tried in vain."""

from __future__ import annotations

import pytest

from gateway.mail.outbox import ATTEMPTS
from tests.retaining import Store, fields_of, noon

ACTIVE, WARNED = "2024-02-29", "2026-01-29"
# The account is over from 1 March 2026 on.
WAITS, WAITS_NO_MORE = "2026-05-29", "2026-05-30"


@pytest.fixture(autouse=True)
def _empty(shop: Store) -> None:
    shop.sql("TRUNCATE customer, retention_run CASCADE")


@pytest.mark.parametrize("is_given_up", [True, False])
def test_a_mailbox_that_always_wants_a_letter_later_keeps_no_account_for_ever(
    shop: Store, is_given_up: bool
) -> None:
    """The last letter is written on the account's 89th day over, and gives its person their whole time."""
    customer = shop.customer(noon(ACTIVE))
    tried = "UPDATE mail SET attempts = $1" + (", failed_at = created_at, body = ''" if is_given_up else "")
    for day in (WARNED, "2026-03-01", "2026-04-15", WAITS):
        assert fields_of(shop.run(day), "retention_warning") == {customer: {"warned_at"}}
        (letter,) = shop.rows("mail")
        shop.sql(tried, ATTEMPTS if is_given_up else 3)
    assert "until 28.6.2026 and" in letter["body"]
    assert shop.run(WAITS_NO_MORE) == []
    assert shop.run("2026-06-28") == []
    assert customer in fields_of(shop.run("2026-06-29"), "customer")
    assert (shop.row("customer", customer)["email"], shop.rows("mail")) == (None, [])


def test_where_no_letter_was_ever_tried_no_account_ends_however_long_it_is_over(shop: Store) -> None:
    """No mail server is set: nobody is told of anything, and the letter has its present day when one is."""
    customer = shop.customer(noon(ACTIVE))
    for day in (WARNED, "2026-03-01", WAITS_NO_MORE, "2026-08-15", "2028-01-01"):
        assert fields_of(shop.run(day), "retention_warning") == {customer: {"warned_at"}}
    assert "until 31.1.2028 and" in shop.rows("mail")[0]["body"]
    assert shop.row("customer", customer)["email"] is not None
