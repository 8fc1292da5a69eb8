"""The keys of the employees' identity provider: fetched, kept, replaced, refused; and their settings."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from pydantic import ValidationError

from gateway.config import Settings
from gateway.errors import StartError
from gateway.principal.oidc import read_keys
from tests.desk import FRESH, PAUSE, STALE, Desk, settings_of
from tests.issuer import Issuer, issuing, new_key, part, private_entry, public_entry
from tests.world import World

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
    "keys that are none": lambda issuer: setattr(issuer, "body", b'{"keys": [null, "k"]}'),
    "keys that are no list": lambda issuer: setattr(issuer, "body", b'{"keys": {}}'),
    "nothing": lambda issuer: setattr(issuer, "body", b""),
    "an error with an empty set": lambda issuer: vars(issuer).update(status=503, body=b'{"keys": []}'),
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


WITHDRAWN: dict[str, Callable[[Issuer], None]] = {
    "an empty set": lambda issuer: setattr(issuer, "listed", []),
    "none that is for us": lambda issuer: setattr(
        issuer, "body", b'{"keys": [{"kty": "oct", "kid": "eddsa", "k": "AA"}]}'
    ),
}


@pytest.mark.parametrize("name", WITHDRAWN)
def test_a_provider_that_withdraws_every_key_lets_nobody_in_at_once(desk: Desk, name: str) -> None:
    """A well-formed set is no outage: the old keys are not used on."""
    tokens = [desk.token(key_id) for key_id in ("eddsa", "es256", "rs256")]
    assert [desk.reason(token) for token in tokens] == [None] * 3
    WITHDRAWN[name](desk.issuer)
    assert [desk.reason(token, FRESH) for token in tokens] == ["unknown key"] * 3
    assert desk.issuer.requests == 2  # and not once for each
    desk.issuer.fails = True
    assert desk.reason(tokens[0], FRESH + PAUSE) == "unknown key"
    vars(desk.issuer).update(fails=False, body=None, listed=[])
    desk.issuer.add("next")
    assert desk.reason(desk.token("next"), FRESH + 2 * PAUSE) is None
    assert desk.reason(tokens[0], FRESH + 2 * PAUSE) == "unknown key"


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
    assert read_keys(json.dumps({"keys": [wrong]}).encode()) == {}


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
