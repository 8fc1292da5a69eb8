"""A socket of a customer ends with their session."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.live import Served
from tests.signing_in import OTHER_PASSWORD, PASSWORD, Account, call, confirmed, document, signed_in
from tests.world import World

VIEWER = "{ viewer { role } }"


def signed_out(world: World, _: Account, tokens: dict[str, str]) -> None:
    assert call(world, "signOut", tokens["accessToken"])["ended"] == 1


def signed_out_elsewhere(world: World, account: Account, _: dict[str, str]) -> None:
    assert call(world, "signOut", account.access_token, everywhere=True)["ended"] == 2


def password_changed_elsewhere(world: World, account: Account, _: dict[str, str]) -> None:
    given = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    assert call(world, "changePassword", account.access_token, **given)["changed"] is True


def token_reused(world: World, _: Account, tokens: dict[str, str]) -> None:
    for _ in range(2):
        call(world, "refreshSession", refreshToken=tokens["refreshToken"])


@pytest.mark.parametrize(
    "end",
    [signed_out, signed_out_elsewhere, password_changed_elsewhere, token_reused],
    ids=lambda step: step.__name__,
)
def test_an_open_socket_is_closed_within_two_seconds_of_its_sessions_end(
    live: Served, end: Callable[[World, Account, dict[str, str]], None]
) -> None:
    """The session ends in another gateway than the socket's."""
    account = confirmed(live.world)
    tokens = signed_in(live.world, account)
    with live.socket() as talk:
        talk.init({"Authorization": f"Bearer {tokens['accessToken']}"})
        talk.subscribe("1", VIEWER)
        assert talk.hear()["payload"]["data"]["viewer"]["role"] == "customer"
        assert talk.hear()["type"] == "complete"
        end(live.world, account, tokens)
        assert talk.ended(timeout=2) == (4403, "Forbidden: revoked")


def test_a_customer_signs_in_over_a_socket_and_is_answered_as_over_http(live: Served) -> None:
    account = confirmed(live.world)
    with live.socket() as talk:
        talk.init()
        for password in (PASSWORD, OTHER_PASSWORD):
            given = {"input": {"email": account.email, "password": password}}
            talk.subscribe(password, document("signIn"), given)
            payload = talk.hear()["payload"]["data"]["signIn"]
            assert (payload["refreshToken"] is not None) == (password == PASSWORD)
            assert talk.hear()["type"] == "complete"
        assert account.email not in json.dumps(payload)
