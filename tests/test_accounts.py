"""Addresses are confirmed and passwords set by mailed links that are good once, or by the password before."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from gateway.writes import sessions
from tests.signing_in import (
    ALIVE,
    ENDED,
    OTHER_PASSWORD,
    PASSWORD,
    REGISTER,
    TOKEN_IN_URL,
    Account,
    asked_to_reset,
    call,
    confirmed,
    hashings,
    letters,
    link,
    refusal,
    registered,
    sent,
    signed_in,
    until,
    viewer,
)
from tests.world import World
from tests.writing import another_gateway, at_once, kept

UNKNOWN = f"crl_{'0' * 64}00000000"


def credential(world: World, account: Account) -> dict[str, Any]:
    (row,) = kept(world, "credential", customer_id=account.key)
    return row


# ---------------------------------------------------------------- confirming an address


def test_registering_mails_a_link_whose_token_stands_behind_the_hash(writable: World) -> None:
    account = registered(writable)
    (text,) = letters(writable, account, "email-confirmation")
    found = TOKEN_IN_URL.search(text)
    assert found is not None
    assert found[1] == "https://store.example/confirm-email"
    (row,) = kept(writable, "one_time_link", customer_id=account.key)
    assert (row["kind"], row["email"], row["used_at"]) == ("CONFIRM_EMAIL", account.email, None)
    assert row["hash"] not in text


def test_a_link_confirms_once_and_makes_the_address_good_for_signing_in(writable: World) -> None:
    account = registered(writable)
    token = link(writable, account, "email-confirmation")
    assert call(writable, "signIn", email=account.email, password=PASSWORD) == refusal("signIn")
    assert call(writable, "confirmEmail", token=token)["confirmed"] is True
    assert credential(writable, account)["confirmed_at"] == writable.now
    assert call(writable, "confirmEmail", token=token) == refusal("confirmEmail")
    signed_in(writable, account)


def test_a_link_holds_for_24_hours(writable: World) -> None:
    early, late = registered(writable), registered(writable)
    tokens = [link(writable, account, "email-confirmation") for account in (early, late)]
    with writable.at(writable.now + timedelta(hours=24, seconds=-1)):
        assert call(writable, "confirmEmail", token=tokens[0])["confirmed"] is True
    with writable.at(writable.now + timedelta(hours=24)):
        assert call(writable, "confirmEmail", token=tokens[1]) == refusal("confirmEmail")


def test_a_link_is_good_for_its_kind_alone(writable: World) -> None:
    account, other = confirmed(writable), registered(writable)
    reset, confirmation = asked_to_reset(writable, account), link(writable, other, "email-confirmation")
    assert call(writable, "confirmEmail", token=reset) == refusal("confirmEmail")
    by_confirmation = call(writable, "resetPassword", token=confirmation, password=OTHER_PASSWORD)
    assert by_confirmation == refusal("resetPassword")
    assert call(writable, "resetPassword", token=reset, password=OTHER_PASSWORD)["changed"] is True
    assert call(writable, "confirmEmail", token=confirmation)["confirmed"] is True


def test_an_address_that_another_customer_has_confirmed_is_refused_alike_and_nothing_is_joined(
    writable: World,
) -> None:
    first = registered(writable)
    second = registered(writable, first.email, OTHER_PASSWORD)
    tokens = [link(writable, account, "email-confirmation") for account in (first, second)]
    assert call(writable, "confirmEmail", token=tokens[0])["confirmed"] is True
    refused = sent(writable, "confirmEmail", token=tokens[1])
    assert refused.content == sent(writable, "confirmEmail", token=UNKNOWN).content
    assert credential(writable, second)["confirmed_at"] is None
    assert call(writable, "signIn", email=first.email, password=OTHER_PASSWORD) == refusal("signIn")
    signed_in(writable, first)


def test_of_two_customers_who_confirm_one_address_at_once_one_succeeds(writable: World) -> None:
    first = registered(writable)
    second = registered(writable, first.email)
    tokens = [link(writable, account, "email-confirmation") for account in (first, second)]
    steps = [partial(call, writable, "confirmEmail", token=token) for token in tokens]
    found = sorted((payload["confirmed"] is True for payload in at_once(*steps)), reverse=True)
    assert found == [True, False]


# ---------------------------------------------------------------- a forgotten password


def test_a_link_sets_a_new_password_once_and_ends_every_session(writable: World) -> None:
    account = confirmed(writable)
    tokens = [signed_in(writable, account)["accessToken"] for _ in range(2)]
    assert [viewer(writable, token) for token in tokens] == [ALIVE] * 2
    token = asked_to_reset(writable, account)
    payload = call(writable, "resetPassword", tokens[0], token=token, password=OTHER_PASSWORD)
    assert payload == {"changed": True, "userErrors": []}
    assert [viewer(writable, token) for token in tokens] == [ENDED] * 2
    assert call(writable, "signIn", email=account.email, password=PASSWORD) == refusal("signIn")
    signed_in(writable, account, OTHER_PASSWORD)
    again = call(writable, "resetPassword", token=token, password=PASSWORD)
    assert again == refusal("resetPassword")
    assert len(letters(writable, account, "password-changed")) == 1


def test_a_reset_link_holds_for_an_hour_and_an_earlier_one_ends_with_a_later_ones_use(
    writable: World,
) -> None:
    account, start = confirmed(writable), writable.now
    first = asked_to_reset(writable, account)
    with writable.at(start + timedelta(minutes=10)):
        second = asked_to_reset(writable, account)
        assert second != first
        assert call(writable, "resetPassword", token=second, password=OTHER_PASSWORD)["changed"] is True
        assert call(writable, "resetPassword", token=first, password=PASSWORD) == refusal("resetPassword")
        third_at = writable.now + timedelta(minutes=10)
    with writable.at(third_at):
        third = asked_to_reset(writable, account)
    with writable.at(third_at + timedelta(minutes=60)):
        assert call(writable, "resetPassword", token=third, password=PASSWORD) == refusal("resetPassword")


def test_asking_for_a_link_answers_and_works_the_same_whether_the_address_is_known_or_not(
    writable: World,
) -> None:
    known, unconfirmed = confirmed(writable), registered(writable)
    found = []
    for email in (known.email, unconfirmed.email, "nobody-reset@store.example", "no address either"):
        with writable.recorded() as statements, hashings() as hashes:
            answer = sent(writable, "requestPasswordReset", email=email).content
        found.append((answer, statements, hashes))
    assert found == [found[0]] * 4
    assert found[0][1]
    writable.forget()
    mailed = [row["customer_id"] for row in writable.table("mail") if row["kind"] == "password-reset"]
    assert known.key in mailed
    assert unconfirmed.key not in mailed


def test_a_link_is_mailed_to_an_address_once_in_five_minutes(writable: World) -> None:
    account = confirmed(writable)
    for minutes, count in ((0, 1), (0, 1), (4, 1), (5, 2)):
        with writable.at(writable.now + timedelta(minutes=minutes)):
            call(writable, "requestPasswordReset", email=account.email)
        assert len(letters(writable, account, "password-reset")) == count


def test_an_erased_customer_gets_no_link_and_an_open_one_is_good_for_nothing(writable: World) -> None:
    account = confirmed(writable)
    token = asked_to_reset(writable, account)
    writable.execute("UPDATE customer SET status = 'ERASED', erased_at = now() WHERE id = $1", account.key)
    assert call(writable, "resetPassword", token=token, password=OTHER_PASSWORD) == refusal("resetPassword")
    with writable.at(writable.now + timedelta(hours=1)):
        call(writable, "requestPasswordReset", email=account.email)
    assert len(letters(writable, account, "password-reset")) == 1


def test_a_password_that_cannot_be_kept_uses_no_link_up(writable: World) -> None:
    account = confirmed(writable)
    token = asked_to_reset(writable, account)
    (error,) = call(writable, "resetPassword", token=token, password="short")["userErrors"]
    assert (error["code"], error["coordinate"], error["path"]) == (
        *("MALFORMED", "ResetPasswordInput.password"),
        ["password"],
    )
    assert call(writable, "resetPassword", token=token, password=OTHER_PASSWORD)["changed"] is True


def test_of_parallel_uses_of_one_link_one_succeeds(writable: World) -> None:
    account = confirmed(writable)
    token = asked_to_reset(writable, account)
    steps = [lambda: call(writable, "resetPassword", token=token, password=OTHER_PASSWORD)] * 5
    assert sum(payload["changed"] is True for payload in at_once(*steps)) == 1


# ---------------------------------------------------------------- a changed password


def test_changing_the_password_ends_every_other_session(writable: World) -> None:
    account = confirmed(writable)
    own, other = signed_in(writable, account), signed_in(writable, account)
    reset = asked_to_reset(writable, account)
    given = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    payload = call(writable, "changePassword", own["accessToken"], **given)
    assert payload == {"changed": True, "userErrors": []}
    assert viewer(writable, own["accessToken"]) == ALIVE
    assert call(writable, "refreshSession", refreshToken=own["refreshToken"])["userErrors"] == []
    assert viewer(writable, other["accessToken"]) == ENDED
    assert call(writable, "refreshSession", refreshToken=other["refreshToken"]) == refusal("refreshSession")
    assert call(writable, "resetPassword", token=reset, password=PASSWORD) == refusal("resetPassword")
    assert call(writable, "signIn", email=account.email, password=PASSWORD) == refusal("signIn")
    signed_in(writable, account, OTHER_PASSWORD)
    assert len(letters(writable, account, "password-changed")) == 1


def test_the_password_is_changed_only_by_whoever_knows_it_and_has_one(writable: World) -> None:
    account = confirmed(writable)
    own = signed_in(writable, account)["accessToken"]
    given = {"currentPassword": OTHER_PASSWORD, "newPassword": OTHER_PASSWORD}
    assert call(writable, "changePassword", own, **given) == refusal("changePassword")
    for name in ("customer", "one-order"):
        token = writable.askers[name].headers["Authorization"].removeprefix("Bearer ")
        assert call(writable, "changePassword", token, **given) == refusal("changePassword")
    signed_in(writable, account)


def test_a_sign_in_under_way_while_the_password_is_changed_opens_no_session(
    writable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password is changed between the comparison and the session."""
    account = confirmed(writable)
    own = signed_in(writable, account)["accessToken"]
    token = asked_to_reset(writable, account)
    # With one connection this waits for ever if the comparison holds it.
    with another_gateway(writable, pool_connections=1) as world:
        reset = partial(call, world, "resetPassword", token=token, password=OTHER_PASSWORD)
        compared = during(monkeypatch, reset)
        assert call(world, "signIn", email=account.email, password=PASSWORD) == refusal("signIn")
    assert compared == [True]
    assert until(lambda: viewer(writable, own) == ENDED)
    assert all(row["ended_at"] for row in kept(writable, "session", customer_id=account.key))


def during(monkeypatch: pytest.MonkeyPatch, step: Callable[[], Any]) -> list[bool]:
    """Has a step run after the next comparison of a password, before its outcome is known."""
    compare = sessions.is_password
    found: list[bool] = []

    async def comparing(given: str, kept: str | None) -> bool:
        found.append(await compare(given, kept))
        await asyncio.to_thread(step)
        return found[-1]

    monkeypatch.setattr(sessions, "is_password", comparing)
    return found


def test_a_registration_that_is_confirmed_is_entered_by_signing_in_alone(writable: World) -> None:
    """Whoever registered an address that is not theirs does not come in by the key of that registration."""
    given = {
        "firstName": "Aada",
        "surname": "Esimerkki",
        "email": f"{uuid.uuid4().hex}@store.example",
        "password": PASSWORD,
        "idempotencyKey": str(uuid.uuid4()),
    }

    def register() -> dict[str, Any]:
        found: dict[str, Any] = writable.data("anonymous", REGISTER, {"input": given})["registerCustomer"]
        return found

    first = register()
    account = Account(first["customer"]["id"], given["email"], first["accessToken"], PASSWORD)
    assert register()["customer"] == first["customer"]
    call(writable, "confirmEmail", token=link(writable, account, "email-confirmation"))
    again = register()
    assert [error["code"] for error in again["userErrors"]] == ["CONFLICT"]
    assert (again["customer"], again["accessToken"]) == (None, None)
