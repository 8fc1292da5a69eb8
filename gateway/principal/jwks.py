"""Public keys as a JSON Web Key Set (RFC 7517), named by their thumbprints (RFC 7638)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ..errors import StartError

Key = Ed25519PrivateKey | Ed25519PublicKey


def read_key(path: Path) -> Key:
    """The Ed25519 key in a PEM file, private or public; raises `StartError`."""
    try:
        text = path.read_bytes()
        found: object
        if b"PUBLIC KEY" in text:
            found = serialization.load_pem_public_key(text)
        else:
            found = serialization.load_pem_private_key(text, None)
    except (OSError, ValueError, TypeError) as error:
        problem = f"{type(error).__name__}: run `gateway token --new-key`"
        raise StartError(f"signing key {path}: {problem}") from error
    if not isinstance(found, Ed25519PrivateKey | Ed25519PublicKey):
        raise StartError(f"signing key {path}: is no Ed25519 key")
    return found


def public_of(key: Key) -> Ed25519PublicKey:
    """The public half of a key."""
    return key.public_key() if isinstance(key, Ed25519PrivateKey) else key


def thumbprint(key: Ed25519PublicKey) -> str:
    """The `kid` of a key: SHA-256 of its required members in lexical order (RFC 7638, section 3)."""
    members = orjson.dumps({"crv": "Ed25519", "kty": "OKP", "x": _x(key)})
    return _base64url(hashlib.sha256(members).digest())


def key_set(keys: Iterable[Ed25519PublicKey]) -> bytes:
    """The set that is published, so that others can verify the gateway's tokens."""
    shown = [
        {"kty": "OKP", "crv": "Ed25519", "x": _x(key), "kid": thumbprint(key), "use": "sig", "alg": "EdDSA"}
        for key in keys
    ]
    return orjson.dumps({"keys": shown})


def _x(key: Ed25519PublicKey) -> str:
    return _base64url(key.public_bytes_raw())


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
