"""Signing keys: published by their thumbprints, and changed without refusing a token before its time."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from starlette.testclient import TestClient

from gateway.app import app_of, create_gateway
from gateway.errors import StartError, Unauthenticated
from gateway.principal import SigningKey
from gateway.principal.jwks import read_key, thumbprint
from tests.world import NOW, World

PUBLIC = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
HOUR = timedelta(hours=1)


def token_of(world: World, key: SigningKey, customer: uuid.UUID) -> str:
    return key.sign("customer", customer, world.gateway.settings, now=NOW, lifetime=HOUR)


@pytest.fixture
def changed(tmp_path: Path) -> tuple[SigningKey, SigningKey, Path]:
    """A former key, the key that took its place, and the former one's public half in a file."""
    former = SigningKey.create(tmp_path / "former.pem")
    SigningKey.create(tmp_path / "present.pem")
    loaded = read_key(tmp_path / "former.pem")
    assert isinstance(loaded, Ed25519PrivateKey)
    public = tmp_path / "former.pub"
    public.write_bytes(loaded.public_key().public_bytes(*PUBLIC))
    return former, SigningKey.load(tmp_path / "present.pem", [public]), public


def test_a_token_of_a_former_key_is_accepted_while_the_key_is_listed(
    world: World, changed: tuple[SigningKey, SigningKey, Path], tmp_path: Path
) -> None:
    former, present, _ = changed
    customer = uuid.uuid4()
    token = token_of(world, former, customer)
    assert present.verify(token, world.gateway.settings).key == customer
    alone = SigningKey.load(tmp_path / "present.pem")
    with pytest.raises(Unauthenticated, match="UNAUTHENTICATED"):
        alone.verify(token, world.gateway.settings)


def test_an_employees_token_that_holds_longer_than_the_setting_allows_is_refused(world: World) -> None:
    settings = world.gateway.settings.model_copy(update={"employee_token_minutes": 60})
    for seconds, reasons in ((0, []), (1, ["lifetime"])):
        lifetime = HOUR + timedelta(seconds=seconds)
        token = world.key.sign("employee", uuid.uuid4(), settings, now=NOW, lifetime=lifetime)
        found = []
        try:
            world.key.verify(token, settings)
        except Unauthenticated as error:
            found.append(error.reason)
        assert found == reasons


def test_a_former_key_signs_nothing(world: World, changed: tuple[SigningKey, SigningKey, Path]) -> None:
    former, present, _ = changed
    token = token_of(world, present, uuid.uuid4())
    with pytest.raises(Unauthenticated):
        former.verify(token, world.gateway.settings)


@pytest.mark.parametrize("kid", ["", "../key", "0"])
def test_a_token_that_names_no_key_of_ours_is_refused(world: World, kid: str) -> None:
    token = token_of(world, world.key, uuid.uuid4())
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", headers={"kid": kid})
    with pytest.raises(Unauthenticated):
        world.key.verify(forged, world.gateway.settings)


def test_the_published_keys_verify_what_the_gateway_signs(world: World) -> None:
    response = world.client.get("/.well-known/jwks.json")
    assert response.headers["content-type"] == "application/jwk-set+json"
    (entry,) = response.json()["keys"]
    assert entry.keys() == {"kty", "crv", "x", "kid", "use", "alg"}
    token = token_of(world, world.key, uuid.uuid4())
    assert jwt.get_unverified_header(token)["kid"] == entry["kid"]
    found = jwt.PyJWKSet.from_dict(response.json())[entry["kid"]]
    options: Any = {"verify_exp": False, "verify_iat": False}
    jwt.decode(token, found.key, ["EdDSA"], audience=world.gateway.settings.audience, options=options)


def test_former_keys_are_published_too(
    world: World, changed: tuple[SigningKey, SigningKey, Path], tmp_path: Path
) -> None:
    given = {"signing_key_file": tmp_path / "present.pem", "former_key_files": (changed[2],)}
    settings = world.gateway.settings.model_copy(update=given)
    with TestClient(app_of(create_gateway(settings, world.clock))) as client:
        kids = [entry["kid"] for entry in client.get("/.well-known/jwks.json").json()["keys"]]
        customer = world.askers["customer"].customer_id
        assert customer is not None
        former = world.customer_token(customer, HOUR, key=changed[0])
        headers = {"Authorization": f"Bearer {former}"}
        asked = client.post("/graphql", json={"query": "{ viewer { role } }"}, headers=headers)
    assert len(kids) == 2
    assert asked.json() == {"data": {"viewer": {"role": "customer"}}}


def test_a_thumbprint_is_that_of_rfc_8037(tmp_path: Path) -> None:
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    found = thumbprint(Ed25519PrivateKey.from_private_bytes(secret).public_key())
    assert found == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"  # RFC 8037, appendix A.3


def test_what_is_no_ed25519_key_stops_the_start(tmp_path: Path) -> None:
    other = generate_private_key(65537, 2048)
    files = {
        "missing.pem": None,
        "empty.pem": b"",
        "rsa.pem": other.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        "rsa.pub": other.public_key().public_bytes(*PUBLIC),
    }
    for name, text in files.items():
        if text is not None:
            (tmp_path / name).write_bytes(text)
        with pytest.raises(StartError, match=name):
            read_key(tmp_path / name)


def test_a_public_key_cannot_be_the_one_that_signs(changed: tuple[SigningKey, SigningKey, Path]) -> None:
    with pytest.raises(StartError, match="is a public key"):
        SigningKey.load(changed[2])
