"""A socket of a customer ends with their session."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway.live.connection import CHECK_SECONDS
from tests.live import Served, served
from tests.partners import ROTATE, issued, known, narrowed, token_id
from tests.partners import payload as partner_payload
from tests.signing_in import OTHER_PASSWORD, PASSWORD, Account, call, confirmed, document, signed_in
from tests.world import World
from tests.writing import GUEST, placed

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


def test_an_open_socket_is_closed_once_the_token_of_one_order_is_ended(live: Served) -> None:
    payload = placed(live.world, "anonymous", customer=GUEST)
    with live.socket() as talk:
        talk.init({"Authorization": f"Bearer {payload['accessToken']}"})
        assert call(live.world, "signOut", payload["accessToken"])["ended"] == 1
        assert talk.ended(timeout=2) == (4403, "Forbidden: revoked")


def test_the_holder_of_an_orders_token_takes_no_seat_of_the_account(live: Served) -> None:
    with (
        served(live.world, live_connections_per_principal=1) as tight,
        tight.as_("customer"),
        tight.as_("one-order"),
        tight.socket() as third,
    ):
        third.say({"type": "connection_init", "payload": dict(live.world.askers["one-order"].headers)})
        assert third.ended() == (4429, "Too many connections")


def test_a_subcontractors_token_takes_no_seat_of_the_carriers_and_a_rotated_key_does(live: Served) -> None:
    carrier = issued(live.world)
    narrow = narrowed(live.world, carrier)
    rotation = {"id": token_id(live.world, carrier)}
    newer = known(live.world, partner_payload(live.world, carrier, ROTATE, rotation))
    with (
        served(live.world, live_connections_per_principal=1) as tight,
        tight.as_(narrow),
        tight.as_(carrier),
        tight.socket() as third,
    ):
        third.say({"type": "connection_init", "payload": dict(live.world.askers[newer].headers)})
        assert third.ended() == (4429, "Too many connections")


def test_looking_after_a_partner_is_no_use_of_its_token(live: Served) -> None:
    name = issued(live.world)
    key = live.world.askers[name].token_id
    with live.as_(name):
        uses = live.live.gateway.principals.last_uses
        assert key in uses.take()
        looked = live.clock() + timedelta(seconds=3 * CHECK_SECONDS)
        live.until(lambda: live.clock() > looked)
        assert key not in uses.take()


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
