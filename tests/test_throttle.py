"""Secrets can be tried only so often: at an account, known or not, and from one client address."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any

import pytest

from gateway.config import Settings
from gateway.errors import TooMany
from gateway.throttle import Throttle, network_of
from tests.signing_in import OTHER_PASSWORD, PASSWORD, call, confirmed, sent, signed_in
from tests.world import World
from tests.writing import another_gateway

DEFAULTS = {"throttle_account_limit": 10, "throttle_client_limit": 100, "throttle_window_seconds": 900}


def throttled(world: World, **changed: int) -> AbstractContextManager[World]:
    """The register behind a gateway that throttles."""
    return another_gateway(world, **{**DEFAULTS, **changed})


def wrong(world: World, email: str) -> Any:
    return sent(world, "signIn", email=email, password=OTHER_PASSWORD)


def test_the_defaults_are_ten_an_account_and_a_hundred_an_address_in_a_quarter_of_an_hour() -> None:
    assert {name: Settings.model_fields[name].default for name in DEFAULTS} == DEFAULTS


def test_after_ten_attempts_an_account_is_answered_429_with_when_to_come_back(writable: World) -> None:
    account, other = confirmed(writable), confirmed(writable)
    with throttled(writable) as world:
        answers = {}
        for email in (account.email, "nobody-at-all@store.example"):
            assert [wrong(world, email).status_code for _ in range(10)] == [200] * 10
            answers[email] = wrong(world, email.upper())
        for answer in answers.values():
            assert answer.status_code == 429
            assert answer.json()["errors"][0]["extensions"] == {"code": "TOO_MANY_ATTEMPTS"}
            assert 890 <= int(answer.headers["retry-after"]) <= 900
        assert len({answer.content for answer in answers.values()}) == 1
        right = sent(world, "signIn", email=account.email, password=PASSWORD)
        assert right.status_code == 429
        signed_in(world, other)
        # What proves an address by mail is counted apart.
        assert call(world, "requestPasswordReset", email=account.email)["accepted"] is True


def test_several_attempts_in_one_operation_count_each(writable: World) -> None:
    account = confirmed(writable)
    tries = " ".join(
        f't{number}: signIn(input: {{email: "{account.email}", password: "{OTHER_PASSWORD}"}})'
        " { userErrors { code } }"
        for number in range(4)
    )
    with throttled(writable, throttle_account_limit=3) as world:
        assert world.post("anonymous", f"mutation {{ {tries} }}").status_code == 429
        assert wrong(world, account.email).status_code == 429


def test_an_address_is_throttled_over_all_accounts_and_kinds(writable: World) -> None:
    with throttled(writable, throttle_client_limit=4) as world:
        found = [wrong(world, f"somebody-{number}@store.example").status_code for number in range(3)]
        found.append(sent(world, "confirmEmail", token="crl_").status_code)
        assert found == [200] * 4
        refused = [
            wrong(world, "somebody-else@store.example"),
            sent(world, "confirmEmail", token="crl_"),
            sent(world, "resetPassword", token="crl_", password=OTHER_PASSWORD),
            sent(world, "requestPasswordReset", email="somebody-else@store.example"),
        ]
        assert [answer.status_code for answer in refused] == [429] * 4
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)


def test_registering_and_changing_a_password_are_throttled_too(writable: World) -> None:
    account = confirmed(writable)
    token = signed_in(writable, account)["accessToken"]
    document = "mutation ($input: RegisterCustomerInput!) { registerCustomer(input: $input) { accessToken } }"
    given = {"firstName": "Aada", "surname": "Esimerkki", "email": account.email, "password": PASSWORD}
    change = {"currentPassword": OTHER_PASSWORD, "newPassword": OTHER_PASSWORD}
    with throttled(writable, throttle_account_limit=2) as world:
        registrations = [world.post("anonymous", document, {"input": given}).status_code for _ in range(3)]
        changes = [sent(world, "changePassword", token, **change).status_code for _ in range(3)]
    assert registrations == changes == [200, 200, 429]


def test_links_to_confirm_another_address_are_throttled_by_that_address(writable: World) -> None:
    account = confirmed(writable)
    headers = {"Authorization": f"Bearer {account.access_token}"}
    document = (
        "mutation ($input: UpdateCustomerInput!) { updateCustomer(input: $input) { userErrors { code } } }"
    )
    with throttled(writable, throttle_account_limit=2) as world:
        given = [{"id": account.id, "email": f"{name}-{account.email}"} for name in ("a", "a", "a", "b")]
        found = [world.post("anonymous", document, {"input": one}, headers=headers) for one in given]
    assert [answer.status_code for answer in found] == [200, 200, 429, 200]


def test_a_429_holds_for_every_media_type(writable: World) -> None:
    with throttled(writable, throttle_account_limit=1) as world:
        wrong(world, "media@store.example")
        body = {
            "query": "mutation ($input: SignInInput!) { signIn(input: $input) { accessToken } }",
            "variables": {"input": {"email": "media@store.example", "password": PASSWORD}},
        }
        for media in ("application/json", "application/graphql-response+json"):
            answer = world.client.post("/graphql", json=body, headers={"Accept": media})
            assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (429, media)


def test_after_the_window_there_is_room_again(writable: World) -> None:
    settings = writable.gateway.settings.model_copy(
        update={"throttle_account_limit": 1, "throttle_window_seconds": 1}
    )

    async def run() -> None:
        throttle = Throttle(settings, b"secret")
        await throttle.count("signIn", account="one", client=None)
        with pytest.raises(TooMany) as refused:
            await throttle.count("signIn", account="one", client=None)
        assert refused.value.retry_after_seconds == 1
        await asyncio.sleep(refused.value.retry_after_seconds)
        await throttle.count("signIn", account="one", client=None)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("testclient", "testclient", True),
        ("testclient", "192.0.2.1", False),
    ],
)
def test_a_client_is_known_by_what_it_cannot_change_at_will(one: str, other: str, together: bool) -> None:
    assert (network_of(one) == network_of(other)) is together


def test_what_is_counted_holds_no_address_of_an_account(writable: World) -> None:
    throttle = Throttle(writable.gateway.settings, b"secret")

    async def run() -> str:
        await throttle.count("signIn", account="somebody@store.example", client="192.0.2.1")
        return str(vars(throttle._limiter.storage))

    kept = asyncio.run(run())
    assert "192.0.2.1" in kept
    assert "somebody" not in kept
