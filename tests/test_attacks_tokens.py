"""Tokens: one that is forged, foreign, expired, truncated, revoked or unknown is 401, never anonymous."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.principal import new_partner_token, partner_token_hash
from tests.world import World

DAY = 86_400


def jwt_claims(world: World, name: str) -> dict[str, Any]:
    """What an asker's signed token claims."""
    token = world.askers[name].headers["Authorization"].removeprefix("Bearer ")
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def private_key(world: World) -> Ed25519PrivateKey:
    """The gateway's own signing key, as the file has it."""
    loaded = load_pem_private_key(world.gateway.settings.signing_key_file.read_bytes(), None)
    assert isinstance(loaded, Ed25519PrivateKey)
    return loaded


def signed(world: World, name: str = "customer", **changed: Any) -> str:
    """A well signed token of an asker with changed claims; None leaves one out."""
    claims = {key: value for key, value in (jwt_claims(world, name) | changed).items() if value is not None}
    return jwt.encode(claims, private_key(world), "EdDSA")


def part(value: Any) -> str:
    """One part of a token."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def unsigned(world: World, algorithm: str, signature: str = "") -> str:
    """A token that names another algorithm."""
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(jwt_claims(world, 'customer'))}.{signature}"


def keyed_with_public_key(world: World) -> str:
    """A token signed by HMAC with the public key's PEM as the secret."""
    pem = private_key(world).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = unsigned(world, "HS256").rstrip(".")
    return f"{head}.{part(hmac.digest(pem, head.encode(), hashlib.sha256))}"


def of_another_key(world: World) -> str:
    """A token of another signer, whose header brings the key along."""
    other = Ed25519PrivateKey.generate()
    x = part(other.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    headers = {
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x},
        "jku": "https://attacker.example/",
        "kid": "../",
    }
    return jwt.encode(jwt_claims(world, "customer"), other, "EdDSA", headers=headers)


def swapped(world: World) -> str:
    """The claims of one token with the signature of another."""
    mine, theirs = (
        world.askers[name].headers["Authorization"].split(".") for name in ("customer", "customer-2")
    )
    return f"{mine[0].removeprefix('Bearer ')}.{theirs[1]}.{mine[2]}"


def partner(world: World) -> str:
    """A carrier's token."""
    return world.askers["carrier"].headers["Authorization"].removeprefix("Bearer ")


TOKENS: dict[str, Callable[[World], str]] = {
    "garbage": lambda _: "garbage",
    "three dots": lambda _: "...",
    "not ASCII": lambda _: "\xe4\xf6.\xe4.\xf6",
    "a header that is no object": lambda _: f"{part([])}.{part({})}.AA",
    "a header that nests": lambda _: f"{part(b'[' * 1400 + b']' * 1400)}.{part({})}.AA",
    "a header of digits": lambda _: f"{part(('9' * 2500).encode())}.{part({})}.AA",
    "a header without algorithm": lambda _: f"{part({})}.{part({})}.AA",
    "no algorithm": lambda world: unsigned(world, "none"),
    "no algorithm, in capitals": lambda world: unsigned(world, "NONE", "AA"),
    "the public key as a secret": keyed_with_public_key,
    "another key": of_another_key,
    "another's claims": swapped,
    "no signature": lambda world: signed(world).rpartition(".")[0] + ".",
    "a truncated signature": lambda world: signed(world)[:-4],
    "wrong issuer": lambda world: signed(world, iss="https://other.example/"),
    "no issuer": lambda world: signed(world, iss=None),
    "wrong audience": lambda world: signed(world, aud="another"),
    "no audience": lambda world: signed(world, aud=None),
    "expired": lambda world: signed(world, exp=int(world.now.timestamp()) - 60),
    "expired as a text": lambda world: signed(world, exp="never"),
    "no end": lambda world: signed(world, exp=None),
    "an endless end": lambda world: signed(world, exp=10**400),
    "not yet valid": lambda world: signed(world, nbf=int(world.now.timestamp()) + DAY),
    "issued in the future": lambda world: signed(world, iat=int(world.now.timestamp()) + DAY),
    "no subject": lambda world: signed(world, sub=None),
    "a subject of another kind": lambda world: signed(world, sub=f"carrier:{uuid.uuid4()}"),
    "a subject that is no id": lambda world: signed(world, sub="customer:1"),
    "an order that is no id": lambda world: signed(world, order="1"),
    "no session": lambda world: signed(world, sid=None),
    "a session that is no id": lambda world: signed(world, sid="1"),
    "a session that nobody began": lambda world: signed(world, sid=str(uuid.uuid4())),
    "a session of another": lambda world: signed(world, sid=jwt_claims(world, "customer-2")["sid"]),
    "an order that its session is not of": lambda world: signed(world, order=str(uuid.uuid4())),
    "an order without a session": lambda world: signed(world, "one-order", sid=None),
    "the session of an order for the whole account": lambda world: signed(world, "one-order", order=None),
    "an employee's session": lambda world: signed(world, "support", sid=str(uuid.uuid4())),
    "an employee's order": lambda world: signed(world, "support", order=str(uuid.uuid4())),
    "an unknown employee": lambda world: signed(world, sub=f"employee:{uuid.uuid4()}"),
    "a truncated partner token": lambda world: partner(world)[:-1],
    "a lengthened partner token": lambda world: partner(world) + "0",
    "a partner token with another checksum": lambda world: partner(world)[:-1] + "x",
    "a partner token that nobody issued": lambda _: new_partner_token(b"\0" * 32),
    "only a partner token's prefix": lambda _: "crp_",
    "the stored hash of a partner token": lambda world: "crp_" + partner_token_hash(partner(world)),
    "5,000 characters": lambda _: "a" * 5000,
}


def of_register(statements: list[str]) -> list[str]:
    """The statements that read the register, without those that look up who asks."""
    return [sql for sql in statements if not re.search(r"\b(employee|partner_token|session)\b", sql)]


def assert_unauthenticated(world: World, authorization: str, moment: datetime | None = None) -> None:
    """The token is 401 with a challenge for every operation, and nobody is answered as anonymous."""
    headers = [(b"authorization", authorization.encode("latin-1"))]
    with world.at(moment or world.now), world.recorded() as statements:
        for document in ("{ carriers { totalCount } }", "{ __typename }", "{"):
            response = world.client.post("/graphql", json={"query": document}, headers=headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
            assert set(response.json()) == {"errors"}
            assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        assert world.client.get("/schema.graphql", headers=headers).status_code == 401
    assert of_register(statements) == []


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_that_proves_nothing_is_refused(world: World, name: str) -> None:
    """A forged, foreign, expired, truncated or unknown token is 401, never anonymous and never a 500."""
    assert_unauthenticated(world, f"Bearer {TOKENS[name](world)}")


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic eDp5", "Token x", "bearer  ", "Bearer,x"]
)
def test_a_header_that_holds_no_token_is_refused(world: World, authorization: str) -> None:
    """An `Authorization` header that is no bearer token is 401, not anonymous."""
    assert_unauthenticated(world, authorization)


def test_a_token_holds_from_its_first_to_its_last_second(world: World) -> None:
    """The control of the cases above: the same making with right claims is accepted while it holds."""
    token = {"authorization": f"Bearer {signed(world)}"}
    expires = datetime.fromtimestamp(jwt_claims(world, "customer")["exp"], world.now.tzinfo)
    leeway = timedelta(seconds=world.gateway.settings.token_leeway_seconds)
    with world.at(expires + leeway - timedelta(seconds=1)):
        asked = world.client.post("/graphql", json={"query": "{ viewer { role } }"}, headers=token)
        assert asked.json() == {"data": {"viewer": {"role": "customer"}}}
    assert_unauthenticated(world, token["authorization"], expires + leeway)


@pytest.mark.parametrize("ended", ["revoked_at", "expires_at"])
def test_a_partner_token_that_ended_is_refused(world: World, ended: str) -> None:
    """A revoked or expired partner token is 401 once what is known of it is asked again."""
    token, key = new_partner_token(), uuid.uuid4()
    world.execute(
        "INSERT INTO partner_token"
        " (id, partner, kind, carrier_id, prefix, hash, issued_by, created_at, expires_at)"
        " VALUES ($1, 'Posti', 'CARRIER', $2, $3, $4, 'test', $5, $6)",
        *(key, world.askers["carrier"].carrier_id, token[:12], partner_token_hash(token)),
        *(world.now, world.now + timedelta(days=1)),
    )
    try:
        headers = {"authorization": f"Bearer {token}"}
        asked = world.client.post("/graphql", json={"query": "{ viewer { role } }"}, headers=headers)
        assert asked.json() == {"data": {"viewer": {"role": "carrier"}}}
        world.execute(f"UPDATE partner_token SET {ended} = $2 WHERE id = $1", key, world.now)
        assert_unauthenticated(world, headers["authorization"], world.now + timedelta(seconds=3))
    finally:
        world.execute("DELETE FROM partner_token WHERE id = $1", key)


def test_an_employee_who_left_is_not_known(world: World) -> None:
    """The token of an employee who is not active is 401."""
    employee = uuid.UUID(jwt_claims(world, "analyst")["sub"].partition(":")[2])
    world.execute("UPDATE employee SET active = false WHERE id = $1", employee)
    try:
        authorization = world.askers["analyst"].headers["Authorization"]
        assert_unauthenticated(world, authorization, world.now + timedelta(minutes=20))
    finally:
        world.execute("UPDATE employee SET active = true WHERE id = $1", employee)


@pytest.mark.parametrize("name", ["undesignated", "customer"])
def test_roles_that_a_token_claims_are_ignored(world: World, name: str) -> None:
    """Role, scope and group claims of a well signed token change nothing: designations say what."""
    roles = ["privacy_officer", "register_admin"]
    token = signed(world, name, role=roles[0], roles=roles, groups=roles, scope="admin", act_as=roles[0])
    document = "{ viewer { role grants { coordinate } } customers { totalCount } }"
    claimed = {"authorization": f"Bearer {token}"}
    found = world.client.post("/graphql", json={"query": document}, headers=claimed)
    assert found.content == world.post(name, document).content
    acting = {**claimed, "act-as": roles[0]}
    assert world.client.post("/graphql", json={"query": document}, headers=acting).status_code == 403
