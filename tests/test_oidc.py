"""Tokens of the employees' identity provider, a real server with its own keys: they say who, never what."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from gateway.app import app_of
from gateway.config import Settings
from gateway.database import Database
from gateway.errors import StartError
from gateway.principal import Principals
from gateway.principal.oidc import read_keys
from tests.issuer import (
    AUDIENCE,
    ISSUER,
    Issuer,
    issuing,
    new_key,
    part,
    private_entry,
    public_entry,
)
from tests.world import World

VIEWER = "{ viewer { role principalId } }"
FRESH, STALE, PAUSE = 300, 3600, 10


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer with one key of each kind."""
    with issuing() as found:
        for algorithm in ("EdDSA", "ES256", "RS256"):
            found.add(algorithm.lower(), algorithm)
        yield found


@dataclass(repr=False)
class Desk:
    """A gateway that takes the issuer's tokens, and an employee the issuer knows as `subject`."""

    world: World
    issuer: Issuer
    client: TestClient
    employee: uuid.UUID
    subject: str

    def token(self, key_id: str = "eddsa", **changed: Any) -> str:
        return self.issuer.token(changed.pop("sub", self.subject), self.world.now, key_id, **changed)

    def ask(self, token: str, seconds: float = 0, **headers: str) -> Any:
        given = {"authorization": f"Bearer {token}", **headers}
        with self.world.at(self.world.now + timedelta(seconds=seconds)):
            return self.client.post("/graphql", json={"query": VIEWER}, headers=given)

    def reason(self, token: str, seconds: float = 0) -> str | None:
        """Why a token is refused, None where it is not."""
        response = self.ask(token, seconds)
        if response.status_code == 200:
            return None
        assert response.status_code == 401
        assert set(response.json()) == {"errors"}
        assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        return str(response.headers["www-authenticate"].partition('error_description="')[2].rstrip('"'))

    def designate(self, role: str) -> None:
        self.world.execute(
            "INSERT INTO designation (id, employee_id, role, reason, valid_from, valid_to)"
            " VALUES ($1, $2, $3, 'test', $4, $5)",
            *(uuid.uuid4(), self.employee, role, self.world.now, self.world.now + timedelta(days=9)),
        )


def settings_of(world: World, issuer: Issuer, **changed: Any) -> Settings:
    given: dict[str, Any] = {
        "database_url": world.gateway.settings.database_url,
        "signing_key_file": world.gateway.settings.signing_key_file,
        "oidc_issuer": ISSUER,
        "oidc_audience": AUDIENCE,
        "oidc_jwks_url": issuer.url,
        "oidc_cache_seconds": FRESH,
        "oidc_stale_seconds": STALE,
        "oidc_pause_seconds": PAUSE,
    }
    return Settings(**(given | changed))


def gateway_of(world: World, settings: Settings) -> TestClient:
    """The same register and policy behind a gateway with other settings."""
    database = Database(settings)
    principals = Principals(settings, world.key, database)
    gateway = replace(world.gateway, settings=settings, database=database, principals=principals)
    return TestClient(app_of(gateway))


@pytest.fixture
def desk(world: World, issuer: Issuer) -> Iterator[Desk]:
    employee, subject = uuid.uuid4(), f"oidc|{uuid.uuid4()}"
    world.execute(
        "INSERT INTO employee (id, name, work_email, subject) VALUES ($1, 'Test employee', $2, $3)",
        *(employee, f"{employee}@store.example", subject),
    )
    with gateway_of(world, settings_of(world, issuer)) as client:
        yield Desk(world, issuer, client, employee, subject)
    world.execute("DELETE FROM designation WHERE employee_id = $1", employee)
    world.execute("DELETE FROM employee WHERE id = $1", employee)


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
    "a truncated signature": (lambda desk: desk.token()[:-8], "malformed"),
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


# ---------------------------------------------------------------- the provider's keys


def test_keys_are_fetched_once_for_many_requests(desk: Desk) -> None:
    for seconds in range(0, FRESH, 20):
        for key_id in ("eddsa", "es256", "rs256"):
            assert desk.reason(desk.token(key_id), seconds) is None
    assert desk.issuer.requests == 1


def test_many_that_wait_for_the_keys_share_one_request(desk: Desk) -> None:
    desk.issuer.seconds = 0.3
    tokens = [desk.token() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(desk.reason, tokens)) == [None] * 8
    assert desk.issuer.requests == 1


def test_a_new_key_is_taken_when_it_is_first_seen(desk: Desk) -> None:
    assert desk.reason(desk.token()) is None
    desk.issuer.add("next")
    assert desk.reason(desk.token("next"), PAUSE) is None
    assert desk.issuer.requests == 2


def test_a_key_that_is_published_no_more_proves_nothing_not_even_for_known_tokens(desk: Desk) -> None:
    token = desk.token()
    assert desk.reason(token) is None
    desk.issuer.drop("eddsa")
    assert desk.reason(token, FRESH - 1) is None
    assert desk.reason(token, FRESH) == "unknown key"


def test_a_key_that_is_replaced_under_its_id_proves_nothing_any_more(desk: Desk) -> None:
    token = desk.token()
    assert desk.reason(token) is None
    desk.issuer.drop("eddsa")
    desk.issuer.add("eddsa")
    assert desk.reason(token, FRESH) == "signature"
    assert desk.reason(desk.token(), FRESH) is None


def test_a_flood_of_unknown_key_ids_asks_the_provider_once_in_a_pause(desk: Desk) -> None:
    assert desk.reason(desk.token()) is None
    for seconds in (PAUSE, PAUSE + 0.5, 2 * PAUSE - 0.1):
        for _ in range(10):
            assert desk.reason(desk.token(headers={"kid": uuid.uuid4().hex}), seconds) == "unknown key"
            assert desk.reason(desk.token(), seconds) is None
    assert desk.issuer.requests == 2
    assert desk.reason(desk.token(headers={"kid": "x"}), 2 * PAUSE) == "unknown key"
    assert desk.issuer.requests == 3


def test_while_the_provider_fails_its_keys_are_used_for_a_bounded_time(desk: Desk) -> None:
    token = desk.token()
    assert desk.reason(token) is None
    desk.issuer.fails = True
    for seconds in (FRESH, FRESH + 1, FRESH + STALE - 1):
        assert desk.reason(token, seconds) is None
        assert desk.reason(desk.token("es256"), seconds) is None
    assert desk.issuer.requests == 3  # once a pause, not once a request
    assert desk.reason(token, FRESH + STALE) == "unknown key"
    desk.issuer.fails = False
    assert desk.reason(token, FRESH + STALE + PAUSE) is None


def test_a_provider_that_never_answered_lets_nobody_in(desk: Desk) -> None:
    desk.issuer.fails = True
    assert desk.reason(desk.token()) == "unknown key"
    assert desk.reason(desk.token()) == "unknown key"
    assert desk.issuer.requests == 1


def test_a_provider_that_hangs_holds_nobody_up_for_long_whose_key_is_known(desk: Desk) -> None:
    token = desk.token()
    assert desk.reason(token) is None
    desk.issuer.seconds = 2
    begun = time.monotonic()
    assert desk.reason(token, FRESH) is None
    assert time.monotonic() - begun < 1.5


ODD_ANSWERS: dict[str, Callable[[Issuer], None]] = {
    "no JSON": lambda issuer: setattr(issuer, "body", b"<html>"),
    "no key set": lambda issuer: setattr(issuer, "body", b"[]"),
    "no keys": lambda issuer: setattr(issuer, "listed", []),
    "deep nesting": lambda issuer: setattr(issuer, "body", b"[" * 100_000),
    "too long": lambda issuer: issuer.listed.append({"kid": "x" * 300_000}),
    "packed": lambda issuer: setattr(issuer, "headers", {"content-encoding": "gzip"}),
    "a redirect": lambda issuer: vars(issuer).update(status=302, headers={"location": issuer.url}),
}


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_an_odd_answer_counts_as_none(desk: Desk, name: str) -> None:
    token = desk.token()
    assert desk.reason(token) is None
    ODD_ANSWERS[name](desk.issuer)
    assert desk.reason(token, FRESH) is None
    assert desk.issuer.requests == 2
    assert desk.reason(token, FRESH + STALE) == "unknown key"


# ---------------------------------------------------------------- key sets


def entries() -> dict[str, dict[str, Any]]:
    """Keys that must not be used, by what is wrong with them."""
    good = public_entry("k", "RS256", new_key("RS256"))
    ed25519 = public_entry("k", "EdDSA", new_key("EdDSA"))
    short = generate_private_key(65537, 1024)  # noqa: S505  # what it must not be
    return {
        "a short RSA key": public_entry("k", "RS256", short),
        "a private RSA key": private_entry("k", "RS256", new_key("RS256")),
        "a private Ed25519 key": private_entry("k", "EdDSA", new_key("EdDSA")),
        "a secret": {"kty": "oct", "kid": "k", "k": part(b"x" * 32), "alg": "HS256"},
        "a secret that calls itself RSA": {**good, "k": part(b"x" * 32)},
        "another algorithm": {**good, "alg": "PS256"},
        "HMAC with an RSA key": {**good, "alg": "HS256"},
        "no algorithm": {**good, "alg": "none"},
        "for encryption": {**good, "use": "enc"},
        "for signing alone": {**good, "key_ops": ["sign"]},
        "operations that are no list": {**good, "key_ops": 1},
        "no id": {name: value for name, value in good.items() if name != "kid"},
        "an id that is a list": {**good, "kid": ["k"]},
        "another curve": {**ed25519, "crv": "X25519"},
        "half a key": {**ed25519, "x": ed25519["x"][:20]},
        "no key": {"kty": "EC", "crv": "P-256", "kid": "k"},
        "a kind that is a list": {**good, "kty": ["RSA"]},
    }


@pytest.mark.parametrize("name", sorted(entries()))
def test_a_key_that_must_not_be_used_is_left_out(name: str) -> None:
    good = public_entry("good", "EdDSA", new_key("EdDSA"))
    wrong = entries()[name]
    assert set(read_keys(json.dumps({"keys": [wrong, good, "no key", None]}).encode())) == {"good"}
    with pytest.raises(ValueError, match="no key to verify with"):
        read_keys(json.dumps({"keys": [wrong]}).encode())


def test_of_two_keys_with_one_id_the_first_counts() -> None:
    first, second = (public_entry("k", "EdDSA", new_key("EdDSA")) for _ in range(2))
    found, alone = (read_keys(json.dumps({"keys": keys}).encode()) for keys in ([first, second], [first]))
    assert found == alone
    assert found != read_keys(json.dumps({"keys": [second]}).encode())


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "changed",
    [
        {"oidc_algorithms": ("HS256",)},
        {"oidc_algorithms": ("none",)},
        {"oidc_algorithms": ("EdDSA", "RS384")},
        {"oidc_algorithms": ()},
        {"oidc_jwks_url": "http://login.store.example/keys"},
        {"oidc_jwks_url": "http://127.0.0.1.attacker.example/keys"},
        {"oidc_jwks_url": "https://user:password@login.store.example/keys"},
        {"oidc_jwks_url": "file:///etc/keys"},
        {"oidc_jwks_url": "https://"},
        {"oidc_jwks_url": None},
        {"oidc_audience": None},
        {"oidc_issuer": None},
        {"oidc_issuer": "https://store.example/"},
    ],
)
def test_settings_that_would_let_too_much_in_stop_the_start(world: World, changed: dict[str, Any]) -> None:
    with issuing() as issuer, pytest.raises(ValidationError):
        settings_of(world, issuer, **changed)


def test_the_start_says_in_one_line_which_setting_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://localhost/register")
    monkeypatch.setenv("GATEWAY_OIDC_ALGORITHMS", '["HS256"]')
    with pytest.raises(StartError, match=r"GATEWAY_OIDC_ALGORITHMS: .*an algorithm is one of"):
        Settings.read()
