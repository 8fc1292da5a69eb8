"""Tokens of the employees' identity provider, a real server with its own keys: they say who, never what."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.websockets import WebSocketDisconnect

from tests.desk import VIEWER, Desk, gateway_of, settings_of
from tests.issuer import AUDIENCE, ISSUER, Issuer, new_key, part, public_entry
from tests.world import World


def role_of(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return response.json()["data"]["viewer"]["role"]


# ---------------------------------------------------------------- who


@pytest.mark.parametrize("key_id", ["eddsa", "es256", "rs256"])
def test_a_token_says_who_and_the_designation_what(desk: Desk, key_id: str) -> None:
    assert role_of(desk.ask(desk.token(key_id))) is None
    desk.designate("support")
    assert role_of(desk.ask(desk.token(key_id), 2)) == "support"


def test_roles_that_the_provider_claims_are_not_read(desk: Desk) -> None:
    roles = ["register_admin", "privacy_officer"]
    token = desk.token(role=roles[0], roles=roles, groups=roles, scope="admin", realm_access={"roles": roles})
    assert role_of(desk.ask(token)) is None
    assert desk.ask(token, **{"act-as": "register_admin"}).status_code == 403


def test_of_several_designations_act_as_chooses_one(desk: Desk) -> None:
    desk.designate("warehouse")
    desk.designate("finance")
    token = desk.token()
    assert desk.ask(token).json()["errors"][0]["extensions"]["code"] == "ACT_AS_REQUIRED"
    assert role_of(desk.ask(token, **{"act-as": "finance"})) == "finance"
    assert desk.ask(token, **{"act-as": "support"}).status_code == 403


def test_a_subject_the_register_does_not_know_is_nobody(desk: Desk) -> None:
    for subject in ("somebody", str(desk.employee), f"employee:{desk.employee}"):
        assert desk.reason(desk.token(sub=subject)) == "unknown employee"


def test_an_employee_who_left_is_not_known(desk: Desk) -> None:
    assert desk.reason(desk.token()) is None
    desk.world.execute("UPDATE employee SET active = false WHERE id = $1", desk.employee)
    assert desk.reason(desk.token(), 2) == "unknown employee"


def test_a_subject_that_is_taken_away_is_not_known_any_more(desk: Desk) -> None:
    assert desk.reason(desk.token()) is None
    desk.world.execute("UPDATE employee SET subject = NULL WHERE id = $1", desk.employee)
    assert desk.reason(desk.token(), 2) == "unknown employee"


def test_the_gateways_own_tokens_are_taken_as_before(desk: Desk) -> None:
    for name in ("customer", "support"):
        token = desk.world.askers[name].headers["Authorization"].removeprefix("Bearer ")
        assert role_of(desk.ask(token)) == desk.world.askers[name].role
    assert desk.issuer.requests == 0


def test_without_a_provider_its_tokens_prove_nothing(desk: Desk) -> None:
    authorization = {"authorization": f"Bearer {desk.token()}"}
    response = desk.world.client.post("/graphql", json={"query": VIEWER}, headers=authorization)
    assert response.status_code == 401


# ---------------------------------------------------------------- what is refused


def with_public_key_as_secret(desk: Desk) -> str:
    """A token signed by HMAC with the published RSA key as the secret."""
    public = desk.issuer.keys["rs256"][1].public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = part({"alg": "HS256", "typ": "JWT", "kid": "rs256"})
    claims = desk.token().split(".")[1]
    signature = hmac.digest(secret, f"{head}.{claims}".encode(), hashlib.sha256)
    return f"{head}.{claims}.{part(signature)}"


def unsigned(desk: Desk, algorithm: str) -> str:
    return f"{part({'alg': algorithm, 'kid': 'eddsa'})}.{desk.token().split('.')[1]}."


def of_another_key(desk: Desk, **headers: Any) -> str:
    """A token of somebody else, who names the provider's key."""
    other = Issuer()
    other.add("eddsa")
    return other.token(desk.subject, desk.world.now, "eddsa", headers=headers)


def with_own_key(desk: Desk) -> str:
    """A token whose header brings the key and its address along."""
    entry = public_entry("eddsa", "EdDSA", new_key("EdDSA"))
    return of_another_key(desk, jwk=entry, jku="http://127.0.0.1:9/", x5u="http://127.0.0.1:9/")


def of_other_algorithm(desk: Desk) -> str:
    """A good RS256 signature under the id of the EC key."""
    return desk.token("rs256", headers={"kid": "es256"})


def signed_by_gateway(desk: Desk) -> str:
    """The gateway's own key with the provider's issuer."""
    world = desk.world
    token = world.key.sign("employee", desk.employee, world.gateway.settings, now=world.now, lifetime=DAY)
    claims = jwt.decode(token, options={"verify_signature": False}) | {"iss": ISSUER, "aud": AUDIENCE}
    head, _, signature = token.split(".")
    return f"{head}.{part(claims)}.{signature}"


DAY = timedelta(days=1)
# A token that does not say it is of the provider is tried as the gateway's own.
OTHERS = "signature"
REFUSED: dict[str, tuple[Callable[[Desk], str], str]] = {
    "no algorithm": (lambda desk: unsigned(desk, "none"), "algorithm"),
    "no algorithm, in capitals": (lambda desk: unsigned(desk, "NONE"), "algorithm"),
    "the public key as a secret": (with_public_key_as_secret, "algorithm"),
    "another key": (of_another_key, "signature"),
    "a key brought along": (with_own_key, "signature"),
    "another key's id": (of_other_algorithm, "algorithm"),
    "the gateway's own signature": (signed_by_gateway, "unknown key"),
    "wrong audience": (lambda desk: desk.token(aud="another"), "audience"),
    "the gateway's own audience": (lambda desk: desk.token(aud="customer-register"), "audience"),
    "no audience": (lambda desk: desk.token(aud=None), "claim missing"),
    "wrong issuer": (lambda desk: desk.token(iss="https://login.other.example/"), OTHERS),
    "an issuer without its slash": (lambda desk: desk.token(iss=ISSUER[:-1]), OTHERS),
    "several issuers": (lambda desk: desk.token(iss=[ISSUER]), OTHERS),
    "no issuer": (lambda desk: desk.token(iss=None), OTHERS),
    "expired": (lambda desk: desk.token(exp=int(desk.world.now.timestamp()) - 60), "expired"),
    "no end": (lambda desk: desk.token(exp=None), "claim missing"),
    "an endless end": (lambda desk: desk.token(exp=10**400), "malformed"),
    "not yet valid": (lambda desk: desk.token(nbf=int(desk.world.now.timestamp()) + 60), "not yet valid"),
    "issued in the future": (
        lambda desk: desk.token(iat=int(desk.world.now.timestamp()) + 60),
        "not yet valid",
    ),
    "no moment of issue": (lambda desk: desk.token(iat=None), "claim missing"),
    "no subject": (lambda desk: desk.token(sub=None), "claim missing"),
    "an empty subject": (lambda desk: desk.token(sub=""), "subject"),
    "a subject with a NUL": (lambda desk: desk.token(sub="a\0b"), "subject"),
    "a long subject": (lambda desk: desk.token(sub="a" * 256), "subject"),
    "no key id": (lambda desk: desk.token(headers={"kid": None}), "key id"),
    "a key id that is a path": (lambda desk: desk.token(headers={"kid": "../../etc/passwd"}), "unknown key"),
    "a key id that is SQL": (lambda desk: desk.token(headers={"kid": "' OR 1=1 --"}), "unknown key"),
    "a long key id": (lambda desk: desk.token(headers={"kid": "k" * 256}), "key id"),
    "a logout token": (lambda desk: desk.token(headers={"typ": "logout+jwt"}), "type"),
    "a critical extension": (lambda desk: desk.token(headers={"crit": ["x"], "x": 1}), "malformed"),
    "a truncated signature": (lambda desk: desk.token()[:-9], "malformed"),
    "16,000 characters and more": (lambda desk: desk.token(more="a" * 16_384), "malformed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_that_proves_nothing_is_refused_with_its_reason(desk: Desk, name: str) -> None:
    make, reason = REFUSED[name]
    desk.designate("support")
    assert desk.reason(make(desk)) == reason


@pytest.mark.parametrize("length", [5_000, 12_000])
def test_a_token_may_be_as_long_as_providers_make_them(desk: Desk, length: int) -> None:
    assert desk.reason(desk.token(groups=["g" * length])) is None


def test_a_token_that_nests_deeply_is_refused(desk: Desk) -> None:
    nested = part(b'{"iss": "' + ISSUER.encode() + b'", "a": ' + b"[" * 5000 + b"]" * 5000 + b"}")
    head = part({"alg": "EdDSA", "kid": "eddsa"})
    assert desk.reason(f"{head}.{nested}.AA") is not None
    assert desk.reason(f"{part(b'[' * 5000 + b']' * 5000)}.{desk.token().split('.')[1]}.AA") is not None


def test_a_token_ends_at_its_expiry_though_it_is_known(desk: Desk) -> None:
    token = desk.token(exp=int(desk.world.now.timestamp()) + 60)
    leeway = desk.world.gateway.settings.token_leeway_seconds
    assert desk.reason(token, 59) is None
    assert desk.reason(token, 60 + leeway) == "expired"


def test_only_the_algorithms_of_the_settings_are_taken(world: World, issuer: Issuer) -> None:
    with gateway_of(world, settings_of(world, issuer, oidc_algorithms=("ES256",))) as client:
        desk = Desk(world, issuer, client, uuid.uuid4(), "nobody")
        assert desk.reason(desk.token("rs256")) == "algorithm"
        assert desk.reason(desk.token("es256")) == "unknown employee"


# ---------------------------------------------------------------- sockets


def first_answer(desk: Desk, token: str) -> Any:
    """What a socket whose `connection_init` holds the token is answered with: a message, or how it ends."""
    with desk.client.websocket_connect("/graphql", subprotocols=["graphql-transport-ws"]) as talk:
        talk.send_json({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
        try:
            assert talk.receive_json()["type"] == "connection_ack"
        except WebSocketDisconnect as end:
            return end.code
        talk.send_json({"id": "1", "type": "subscribe", "payload": {"query": VIEWER}})
        role = talk.receive_json()["payload"]["data"]["viewer"]["role"]
        assert talk.receive_json()["type"] == "complete"
        talk.send_json({"type": "this is no message"})  # the gateway ends the socket itself
        with pytest.raises(WebSocketDisconnect):
            talk.receive_json()
        return role


def test_a_socket_takes_the_providers_tokens_as_a_request_does(desk: Desk) -> None:
    desk.designate("finance")
    assert first_answer(desk, desk.token()) == "finance"


@pytest.mark.parametrize("name", ["no algorithm", "the public key as a secret", "another key", "expired"])
def test_a_socket_refuses_what_a_request_refuses(desk: Desk, name: str) -> None:
    assert first_answer(desk, REFUSED[name][0](desk)) == 4403
