"""Another e-mail address: who may give it, what proves it, and whose sessions end when it is confirmed."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from gateway.writes import accounts
from schema.scalars import global_id
from tests.signing_in import (
    ALIVE,
    ENDED,
    OTHER_PASSWORD,
    PASSWORD,
    Account,
    asked_to_reset,
    call,
    confirmed,
    hashings,
    letters,
    link,
    moved,
    refusal,
    registered,
    sent,
    signed_in,
    updated,
    viewer,
)
from tests.world import World
from tests.writing import another_gateway, at_once, kept

MINUTE = timedelta(minutes=1)


def credential(world: World, account: Account) -> dict[str, Any]:
    (row,) = kept(world, "credential", customer_id=account.key)
    return row


def errors(response: Any) -> list[dict[str, Any]]:
    """The mistakes of a change that was not made."""
    payload = response.json()["data"]["updateCustomer"]
    assert payload["customer"] is None
    found: list[dict[str, Any]] = payload["userErrors"]
    return found


def is_as_before(world: World, account: Account) -> bool:
    """Whether the register still has the address the account was made with, and mailed nothing else."""
    (row,) = kept(world, "customer", id=account.key)
    return bool(row["email"] == account.email and not letters(world, account, "address-changing"))


# ---------------------------------------------------------------- the present password


def test_who_does_not_know_the_password_changes_no_address(writable: World) -> None:
    account = confirmed(writable)
    token = signed_in(writable, account)["accessToken"]
    given = {"email": f"new-{account.email}", "currentPassword": OTHER_PASSWORD}
    with hashings() as hashes:
        found = errors(updated(writable, account, bearer=token, **given))
    (refused,) = refusal("changePassword")["userErrors"]
    assert found == [{**refused, "coordinate": "Mutation.updateCustomer"}]
    assert hashes == ["verify"]
    assert is_as_before(writable, account)


def test_the_password_that_is_missing_is_named_beside_what_else_is_wrong(writable: World) -> None:
    account = confirmed(writable)
    for given in ({}, {"currentPassword": None}):
        found = errors(updated(writable, account, email="no address", firstName=None, **given))
        assert {(one["code"], one["coordinate"]) for one in found} == {
            ("REQUIRED", "UpdateCustomerInput.currentPassword"),
            ("MALFORMED", "Customer.email"),
            ("REQUIRED", "Customer.firstName"),
        }
        assert found[0]["path"] == ["currentPassword"]
    assert is_as_before(writable, account)


def test_what_else_a_customer_changes_needs_no_password(writable: World) -> None:
    account = confirmed(writable)
    with hashings() as hashes:
        for given in ({}, {"currentPassword": OTHER_PASSWORD}):
            body = updated(writable, account, phone="+358401234567", **given).json()
            assert body["data"]["updateCustomer"]["userErrors"] == []
    assert hashes == []


def test_an_address_that_is_not_confirmed_is_changed_by_the_password_too(writable: World) -> None:
    """Whoever holds a registration's token for some minutes is not yet known by anything else."""
    account = registered(writable)
    assert [one["code"] for one in errors(updated(writable, account, email="x@store.example"))] == [
        "REQUIRED"
    ]
    moved(writable, account, f"new-{account.email}")


def test_a_customer_without_credentials_has_no_password_to_give(writable: World) -> None:
    """Such as those of an external issuer."""
    asker = writable.askers["customer"]
    token, key = asker.headers["Authorization"].removeprefix("Bearer "), asker.customer_id
    assert key is not None
    account = Account(global_id("Customer", key), "", token)
    (before,) = kept(writable, "customer", id=key)
    for email in (f"{uuid.uuid4()}@store.example", before["email"]):
        made = updated(writable, account, email=email).json()["data"]["updateCustomer"]
        assert (made["customer"]["email"], made["userErrors"]) == (email, [])


def test_another_customers_address_is_not_found_whatever_password_is_given(writable: World) -> None:
    account, other = confirmed(writable), confirmed(writable)
    stranger = Account(other.id, other.email, account.access_token)
    for given in ({}, {"currentPassword": PASSWORD}):
        found = errors(updated(writable, stranger, email="x@store.example", **given))
        assert [one["code"] for one in found] == ["NOT_FOUND"]


def test_a_password_that_is_changed_after_it_was_compared_changes_no_address(
    writable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the one connection of its pool a comparison that held it would wait for ever."""
    account = confirmed(writable)
    token, compare = asked_to_reset(writable, account), accounts.is_password
    with another_gateway(writable, pool_connections=1) as world:

        async def comparing(given: str, kept: str | None) -> bool:
            found = await compare(given, kept)
            reset = partial(call, world, "resetPassword", token=token, password=OTHER_PASSWORD)
            assert (await asyncio.to_thread(reset))["changed"] is True
            return found

        monkeypatch.setattr(accounts, "is_password", comparing)
        given = {"email": f"new-{account.email}", "currentPassword": PASSWORD}
        found = errors(updated(world, account, **given))
    assert [one["code"] for one in found] == ["INVALID_CREDENTIALS"]
    assert is_as_before(writable, account)


# ---------------------------------------------------------------- confirming it


def test_a_changed_address_is_signed_in_with_once_it_is_confirmed(writable: World) -> None:
    account = confirmed(writable)
    new = f"new-{account.email}"
    moved(writable, account, new)
    assert call(writable, "signIn", email=new, password=PASSWORD) == refusal("signIn")
    signed_in(writable, account)
    assert len(letters(writable, account, "address-changing")) == 1  # the owner hears of it where they are
    token = link(writable, account, "email-confirmation", new)
    assert call(writable, "confirmEmail", token=token)["confirmed"] is True
    assert call(writable, "signIn", email=account.email, password=PASSWORD) == refusal("signIn")
    assert call(writable, "signIn", email=new, password=PASSWORD)["userErrors"] == []


def test_a_link_to_an_address_that_is_the_customers_no_more_is_good_for_nothing(writable: World) -> None:
    account = confirmed(writable)
    reset = asked_to_reset(writable, account)
    moved(writable, account, f"new-{account.email}")
    token = link(writable, account, "email-confirmation", f"new-{account.email}")
    moved(writable, account, f"newer-{account.email}")
    assert call(writable, "confirmEmail", token=token) == refusal("confirmEmail")
    assert call(writable, "resetPassword", token=reset, password=OTHER_PASSWORD) == refusal("resetPassword")
    assert credential(writable, account)["email"] == account.email


def test_what_an_employee_changes_of_an_address_changes_no_sign_in(writable: World) -> None:
    account = confirmed(writable)
    before = len(letters(writable, account, "email-confirmation"))
    moved(writable, account, f"new-{account.email}", "support")
    assert letters(writable, account, "email-confirmation", f"new-{account.email}") == []
    assert len(letters(writable, account, "email-confirmation")) == before
    signed_in(writable, account)


def test_a_link_of_a_registration_to_an_address_that_staff_corrected_is_good_for_nothing(
    writable: World,
) -> None:
    account = registered(writable)
    token = link(writable, account, "email-confirmation")
    moved(writable, account, f"right-{account.email}", "support")
    assert call(writable, "confirmEmail", token=token) == refusal("confirmEmail")
    assert credential(writable, account)["confirmed_at"] is None


def test_a_link_to_a_changed_address_that_staff_corrected_is_good_for_nothing(writable: World) -> None:
    account = confirmed(writable)
    reset, wrong = asked_to_reset(writable, account), f"wrong-{account.email}"
    moved(writable, account, wrong)
    token = link(writable, account, "email-confirmation", wrong)
    moved(writable, account, f"right-{account.email}", "support")
    assert call(writable, "confirmEmail", token=token) == refusal("confirmEmail")
    assert call(writable, "resetPassword", token=reset, password=OTHER_PASSWORD) == refusal("resetPassword")
    assert credential(writable, account)["email"] == account.email


def test_a_link_is_refused_whoever_changed_the_address_in_the_register(writable: World) -> None:
    """The owner of the tables voids no link: the address itself is compared."""
    account = registered(writable)
    token = link(writable, account, "email-confirmation")
    given = (account.key, f"right-{account.email}")
    writable.execute("UPDATE customer SET email = $2 WHERE id = $1", *given)
    assert call(writable, "confirmEmail", token=token) == refusal("confirmEmail")
    writable.execute("UPDATE customer SET email = $2 WHERE id = $1", account.key, account.email)
    assert call(writable, "confirmEmail", token=token)["confirmed"] is True


def test_staff_who_give_the_same_address_again_leave_its_link_good(writable: World) -> None:
    account = registered(writable)
    token = link(writable, account, "email-confirmation")
    moved(writable, account, account.email, "support")
    assert call(writable, "confirmEmail", token=token)["confirmed"] is True


def test_confirming_another_address_ends_every_other_session(writable: World) -> None:
    account = confirmed(writable)
    own, other = signed_in(writable, account), signed_in(writable, account)
    moved(writable, account, f"new-{account.email}")
    token = link(writable, account, "email-confirmation", f"new-{account.email}")
    assert [viewer(writable, one["accessToken"]) for one in (own, other)] == [ALIVE] * 2
    assert call(writable, "confirmEmail", own["accessToken"], token=token)["confirmed"] is True
    assert [viewer(writable, one["accessToken"]) for one in (own, other)] == [ALIVE, ENDED]
    assert call(writable, "refreshSession", refreshToken=own["refreshToken"])["userErrors"] == []
    assert call(writable, "refreshSession", refreshToken=other["refreshToken"]) == refusal("refreshSession")
    ended = [
        row["ended_why"] for row in kept(writable, "session", customer_id=account.key) if row["ended_at"]
    ]
    assert set(ended) == {"ADDRESS_CHANGED"}


def test_who_confirms_another_address_signed_out_ends_every_session(writable: World) -> None:
    account, stranger = confirmed(writable), confirmed(writable)
    for bearer in (None, signed_in(writable, stranger)["accessToken"]):
        session = signed_in(writable, account)["accessToken"]
        new = f"n{uuid.uuid4().hex}@store.example"
        moved(writable, Account(account.id, account.email, session), new)
        token = link(writable, account, "email-confirmation", new)
        assert call(writable, "confirmEmail", bearer, token=token)["confirmed"] is True
        assert viewer(writable, session) == ENDED
        assert bearer is None or viewer(writable, bearer) == ALIVE
        account = Account(account.id, new, session)


def test_confirming_the_address_of_a_registration_ends_nothing(writable: World) -> None:
    account = registered(writable)
    call(writable, "confirmEmail", token=link(writable, account, "email-confirmation"))
    assert viewer(writable, account.access_token) == ALIVE


# ---------------------------------------------------------------- asking for the link again


def confirmations(world: World, account: Account) -> int:
    return len(letters(world, account, "email-confirmation"))


def test_who_signs_in_to_an_address_that_is_not_confirmed_is_mailed_the_link_again(writable: World) -> None:
    account = registered(writable)
    with writable.at(writable.now + timedelta(hours=25)):
        first = link(writable, account, "email-confirmation")
        assert call(writable, "confirmEmail", token=first) == refusal("confirmEmail")
        wrong = sent(writable, "signIn", email="nobody-again@store.example", password=PASSWORD)
        right = sent(writable, "signIn", email=account.email.upper(), password=PASSWORD)
        assert right.content == wrong.content
        again = link(writable, account, "email-confirmation")
        assert again != first
        assert call(writable, "confirmEmail", token=again)["confirmed"] is True
        signed_in(writable, account)


def test_the_link_is_mailed_again_once_in_five_minutes(writable: World) -> None:
    account, start = registered(writable), writable.now
    for minutes, count in ((0, 2), (0, 2), (4, 2), (5, 3)):
        with writable.at(start + minutes * MINUTE):
            assert call(writable, "signIn", email=account.email, password=PASSWORD) == refusal("signIn")
        assert confirmations(writable, account) == count


def test_of_parallel_sign_ins_one_is_mailed_the_link(writable: World) -> None:
    account = registered(writable)
    given = {"email": account.email, "password": PASSWORD}
    at_once(*[partial(call, writable, "signIn", **given)] * 4)
    assert confirmations(writable, account) == 2


def test_without_the_password_nobody_has_the_link_mailed_again(writable: World) -> None:
    account = registered(writable)
    call(writable, "signIn", email=account.email, password=OTHER_PASSWORD)
    call(writable, "requestPasswordReset", email=account.email)
    assert confirmations(writable, account) == 1
    assert kept(writable, "session", customer_id=account.key, ended_at=None)  # the registration's own
    assert len(kept(writable, "session", customer_id=account.key)) == 1


def test_a_strangers_registration_is_not_mailed_to_who_has_another_password(
    writable: World,
) -> None:
    """Who confirmed it would make an account of the stranger's password."""
    mine = registered(writable)
    strangers = registered(writable, mine.email, OTHER_PASSWORD)
    call(writable, "signIn", email=mine.email, password=PASSWORD)
    assert confirmations(writable, strangers) == 1


def test_a_confirmed_account_signs_in_whoever_else_registers_with_its_address(writable: World) -> None:
    account = confirmed(writable)
    later = registered(writable, account.email, OTHER_PASSWORD)
    assert call(writable, "signIn", email=account.email, password=OTHER_PASSWORD) == refusal("signIn")
    assert confirmations(writable, later) == 1
    signed_in(writable, account)


def test_an_address_that_was_given_up_before_it_was_confirmed_is_mailed_nothing(writable: World) -> None:
    account = registered(writable)
    moved(writable, account, f"new-{account.email}")
    assert call(writable, "signIn", email=account.email, password=PASSWORD) == refusal("signIn")
    assert confirmations(writable, account) == 1
    assert credential(writable, account)["confirmed_at"] is None


def test_an_erased_registration_is_mailed_nothing(writable: World) -> None:
    account = registered(writable)
    writable.execute("UPDATE customer SET status = 'ERASED', erased_at = now() WHERE id = $1", account.key)
    assert call(writable, "signIn", email=account.email, password=PASSWORD) == refusal("signIn")
    assert confirmations(writable, account) == 1
