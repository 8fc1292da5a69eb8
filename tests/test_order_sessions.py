"""Every customer's token can be ended: one of a single order is of a session, as those of the account are."""

from __future__ import annotations

import asyncio
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import StartError
from gateway.issue import Wanted, issue
from gateway.principal import utc_now
from tests.signing_in import (
    ALIVE,
    ENDED,
    OTHER_PASSWORD,
    PASSWORD,
    Account,
    asked_to_reset,
    call,
    confirmed,
    is_believed,
    link,
    registered,
    signed_in,
    until,
    viewer,
)
from tests.test_partner_tokens import recorded_values
from tests.world import World
from tests.writing import ACCESS, GUEST, PLACE, another_gateway, basket, kept, key_of, placed

GONE = (401, "unknown session")
HOUR = timedelta(hours=1)


def guests(world: World, **given: Any) -> tuple[str, uuid.UUID]:
    """The token of a guest's new order, and the order's key."""
    payload = placed(world, "anonymous", customer=GUEST, **given)
    return payload["accessToken"], key_of(payload["order"]["id"])


def mailed(world: World, order: uuid.UUID, after: timedelta = timedelta(0)) -> str:
    """The token of a new link to an order."""
    (row,) = kept(world, "orders", id=order)
    (who,) = kept(world, "customer", id=row["customer_id"])
    given = {
        "number": row["number"],
        "name": f"{who['first_name']} {who['surname']}",
        "email": who["email"],
    }
    with world.at(world.now + after):
        world.data("anonymous", ACCESS, {"input": given})
    mail = max(kept(world, "mail", customer_id=who["id"], kind="order-access"), key=lambda one: one["id"])
    found = re.search(r"order#(\S+)$", mail["body"], re.M)
    assert found
    return found[1]


def with_order(world: World) -> tuple[Account, str, uuid.UUID]:
    """A customer who can sign in, the token of a link to an order of theirs, and the order."""
    account = confirmed(world)
    given = basket(
        billingName="Aada Esimerkki",
        billingAddress={"streetAddress": "Koekatu 1", "postalCode": "00100", "postalTown": "Helsinki"},
        delivery={
            "serviceCode": "PICKUP",
            "streetAddress": "Koekatu 1",
            "postalCode": "00100",
            "postalTown": "Helsinki",
            "countryCode": "FI",
            "recipientName": "Aada Esimerkki",
            "recipientPhone": "040 123 4567",
        },
    )
    headers = {"Authorization": f"Bearer {signed_in(world, account)['accessToken']}"}
    payload = world.post("anonymous", PLACE, {"input": given}, headers=headers).json()["data"]["placeOrder"]
    assert payload["userErrors"] == []
    order = key_of(payload["order"]["id"])
    return account, mailed(world, order), order


# ---------------------------------------------------------------- no token without a session


@pytest.mark.parametrize("limits", [{}, {"order_id": uuid.UUID(int=1)}], ids=["account", "order"])
def test_a_customers_token_that_nobody_could_end_is_refused(writable: World, limits: Any) -> None:
    customer = writable.askers["customer"].customer_id
    assert customer is not None
    given = {"now": writable.now, "lifetime": HOUR, **limits}
    token = writable.key.sign("customer", customer, writable.gateway.settings, **given)
    assert viewer(writable, token) == (401, "no session")


def test_a_session_is_of_the_account_or_of_one_order_and_not_of_the_other(writable: World) -> None:
    token, order = guests(writable)
    assert viewer(writable, token) == ALIVE
    (row,) = kept(writable, "session", order_id=order)
    other = writable.askers["customer"]
    assert other.customer_id is not None
    mine, *_ = kept(writable, "session", customer_id=other.customer_id)
    settings, common = writable.gateway.settings, {"now": writable.now, "lifetime": HOUR}
    forged = [
        writable.key.sign("customer", row["customer_id"], settings, **common, session_id=row["id"]),
        writable.key.sign(
            "customer", other.customer_id, settings, **common, session_id=mine["id"], order_id=order
        ),
        writable.key.sign(
            "customer", other.customer_id, settings, **common, session_id=row["id"], order_id=order
        ),
    ]
    assert [viewer(writable, one) for one in forged] == [GONE] * 3


@pytest.mark.parametrize("is_of_order", [False, True])
def test_a_token_of_the_command_ends_by_signing_out(writable: World, is_of_order: bool) -> None:
    _, order = guests(writable)
    (row,) = kept(writable, "orders", id=order)
    (who,) = kept(writable, "customer", id=row["customer_id"])
    wanted = Wanted("customer", who["number"], row["number"] if is_of_order else None, HOUR)
    with writable.at(utc_now()):
        token = asyncio.run(issue(wanted, writable.gateway.settings, writable.url))
        assert viewer(writable, token) == ALIVE
        assert call(writable, "signOut", token)["ended"] == 1
        assert viewer(writable, token) == ENDED


def test_the_command_limits_no_employee_to_an_order(writable: World) -> None:
    wanted = Wanted("support", None, "O-1", HOUR)
    with pytest.raises(StartError, match="`--order` limits a customer's token"):
        asyncio.run(issue(wanted, writable.gateway.settings, writable.url))


# ---------------------------------------------------------------- how a token of one order ends


def test_signing_out_ends_the_token_of_one_order_and_no_other(writable: World) -> None:
    token, order = guests(writable)
    other, another = mailed(writable, order), guests(writable)[0]
    assert call(writable, "signOut", token) == {"ended": 1, "userErrors": []}
    assert [viewer(writable, one) for one in (token, other, another)] == [ENDED, ALIVE, ALIVE]


def test_whoever_holds_a_token_of_an_order_signs_out_of_that_order_alone(writable: World) -> None:
    account, token, order = with_order(writable)
    other = mailed(writable, order, HOUR)
    own = signed_in(writable, account)["accessToken"]
    with writable.at(writable.now + HOUR):
        assert call(writable, "signOut", token, everywhere=True)["ended"] == 2
        assert [viewer(writable, one) for one in (token, other)] == [ENDED] * 2
    assert viewer(writable, own) == ALIVE


def test_signing_out_of_the_account_everywhere_ends_the_tokens_of_its_orders(writable: World) -> None:
    account, token, _ = with_order(writable)
    own = signed_in(writable, account)["accessToken"]
    call(writable, "signOut", own)
    assert viewer(writable, token) == ALIVE
    call(writable, "signOut", signed_in(writable, account)["accessToken"], everywhere=True)
    assert viewer(writable, token) == ENDED


@pytest.mark.parametrize("by_mail", [False, True])
def test_a_new_password_ends_the_tokens_of_the_customers_orders(writable: World, by_mail: bool) -> None:
    account, token, _ = with_order(writable)
    if by_mail:
        call(writable, "resetPassword", token=asked_to_reset(writable, account), password=OTHER_PASSWORD)
    else:
        given = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
        call(writable, "changePassword", signed_in(writable, account)["accessToken"], **given)
    assert viewer(writable, token) == ENDED


def test_what_one_gateway_ends_another_refuses_within_two_seconds(writable: World) -> None:
    """Its clock stands still: it believes what it knows until it is told."""
    token, _ = guests(writable)
    with another_gateway(writable) as other:
        assert until(lambda: other.client.get("/readyz").json()["listening"] is True)
        assert viewer(other, token) == ALIVE
        call(writable, "signOut", token)
        assert until(lambda: viewer(other, token) == ENDED)


@pytest.mark.parametrize("change", ["status = 'ERASED', erased_at = now()", "erased_at = now()"])
def test_every_token_of_an_erased_customer_is_refused_within_two_seconds(
    writable: World, change: str
) -> None:
    """The clock stands still: what is known is believed until the database tells of the erasure."""
    account, token, _ = with_order(writable)
    tokens = (token, signed_in(writable, account)["accessToken"])
    assert [viewer(writable, one) for one in tokens] == [ALIVE] * 2
    writable.execute(f"UPDATE customer SET {change} WHERE id = $1", account.key)
    assert until(lambda: [viewer(writable, one) for one in tokens] == [GONE] * 2)


def test_a_token_ends_with_its_order(writable: World) -> None:
    token, order = guests(writable)
    assert viewer(writable, token) == ALIVE
    for table, column in (("delivery", "order_id"), ("order_line", "order_id"), ("orders", "id")):
        writable.execute(f"DELETE FROM {table} WHERE {column} = $1", order)
    assert until(lambda: viewer(writable, token) == GONE)
    assert kept(writable, "session", order_id=order) == []


def test_a_token_holds_the_days_of_the_setting_and_its_session_no_longer(writable: World) -> None:
    token, order = guests(writable)
    (row,) = kept(writable, "session", order_id=order)
    days = timedelta(days=writable.gateway.settings.order_token_days)
    assert row["expires_at"] == writable.now + days
    with writable.at(row["expires_at"] - timedelta(seconds=1)):
        assert viewer(writable, token) == ALIVE
    with writable.at(row["expires_at"]):
        assert viewer(writable, token) == (401, "expired")


# ---------------------------------------------------------------- how it comes about


def test_the_same_request_gives_the_token_of_the_same_session(writable: World) -> None:
    key = str(uuid.uuid4())
    first, order = guests(writable, idempotencyKey=key)
    before = kept(writable, "session")
    with writable.at(writable.now + HOUR):
        again, same = guests(writable, idempotencyKey=key)
        assert (same, viewer(writable, again)) == (order, ALIVE)
        assert kept(writable, "session") == before
        call(writable, "signOut", again)
    assert viewer(writable, first) == ENDED


def test_the_same_request_brings_no_token_back_that_was_ended(writable: World) -> None:
    wanted = basket(customer=GUEST, idempotencyKey=str(uuid.uuid4()))
    payload = writable.data("anonymous", PLACE, {"input": wanted})["placeOrder"]
    call(writable, "signOut", payload["accessToken"])
    again = writable.data("anonymous", PLACE, {"input": wanted})["placeOrder"]
    assert (again["order"], again["accessToken"]) == (None, None)
    assert [(one["code"], one["path"]) for one in again["userErrors"]] == [("CONFLICT", ["idempotencyKey"])]


@pytest.mark.parametrize("changed", [{"name": "Somebody Else"}, {"number": "O-999999"}])
def test_whoever_did_not_order_begins_no_session(writable: World, changed: dict[str, str]) -> None:
    _, order = guests(writable)
    (row,) = kept(writable, "orders", id=order)
    before = kept(writable, "session")
    given = {"number": row["number"], "name": "Guest von Testi", "email": GUEST["email"], **changed}
    writable.data("anonymous", ACCESS, {"input": given})
    assert kept(writable, "session") == before


def test_the_check_of_an_orders_token_costs_no_statement_while_it_is_believed(writable: World) -> None:
    token, _ = guests(writable)
    assert is_believed(writable, token)


# ---------------------------------------------------------------- where tokens are written


def test_no_token_of_a_customer_is_bound_by_a_statement_but_by_that_of_its_mail(
    writable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = recorded_values(monkeypatch)
    account = registered(writable)
    call(writable, "confirmEmail", token=link(writable, account, "email-confirmation"))
    tokens = signed_in(writable, account)
    again = call(writable, "refreshSession", refreshToken=tokens["refreshToken"])
    guest, order = guests(writable)
    mail = mailed(writable, order)
    assert any("INSERT INTO session" in one for one in sent)
    secrets = [account.access_token, guest]
    secrets += [one[name] for one in (tokens, again) for name in ("accessToken", "refreshToken")]
    for secret in secrets:
        for trace in (secret, secret[4:-8], secret.rpartition(".")[2]):
            assert not any(trace in one for one in sent)
    holding = [one for one in sent if mail in one]
    assert holding
    assert all("INSERT INTO mail" in one for one in holding)
