"""A small OpenID Connect issuer: its own keys, published over HTTP on loopback, and tokens signed by them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://login.store.example/", "register-gateway"
WRITERS: dict[str, Any] = {"EdDSA": OKPAlgorithm, "ES256": ECAlgorithm, "RS256": RSAAlgorithm}


def new_key(algorithm: str, bits: int = 2048) -> Any:
    match algorithm:
        case "EdDSA":
            return Ed25519PrivateKey.generate()
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return rsa.generate_private_key(65537, bits)


def public_entry(key_id: str, algorithm: str, private: Any) -> dict[str, Any]:
    """A key as a key set lists it."""
    entry = WRITERS[algorithm].to_jwk(private.public_key(), as_dict=True)
    return {"use": "sig", **entry, "kid": key_id, "alg": algorithm}


def private_entry(key_id: str, algorithm: str, private: Any) -> dict[str, Any]:
    """A key as no key set should list it."""
    return {**WRITERS[algorithm].to_jwk(private, as_dict=True), "kid": key_id, "alg": algorithm}


def part(value: Any) -> str:
    """One part of a token."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


class Issuer:
    """The issuer: `keys` are those it signs with, `listed` those it publishes; it can fail and be slow."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, Any]] = {}
        self.listed: list[dict[str, Any]] = []
        self.requests = 0
        self.fails = False
        self.seconds = 0.0
        self.body: bytes | None = None
        self.headers: dict[str, str] = {}
        self.status = 200
        self.url = ""

    def add(self, key_id: str, algorithm: str = "EdDSA") -> None:
        """Signs with one more key and publishes it."""
        private = new_key(algorithm)
        self.keys[key_id] = (algorithm, private)
        self.listed.append(public_entry(key_id, algorithm, private))

    def drop(self, key_id: str) -> None:
        """Publishes a key no more."""
        self.listed = [entry for entry in self.listed if entry["kid"] != key_id]

    def token(self, subject: str, now: datetime, key_id: str, **changed: Any) -> str:
        """A token with changed claims (None leaves one out); `headers` are changed too."""
        headers = {"kid": key_id, "typ": "at+jwt"} | changed.pop("headers", {})
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(days=2)).timestamp()),
        }
        claims = {name: value for name, value in (claims | changed).items() if value is not None}
        algorithm, private = self.keys[key_id]
        named = {name: value for name, value in headers.items() if value is not None}
        return jwt.PyJWS().encode(json.dumps(claims).encode(), private, algorithm, headers=named)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        time.sleep(self.seconds)
        if self.fails:
            handler.send_error(503)
            return
        body = json.dumps({"keys": self.listed}).encode() if self.body is None else self.body
        handler.send_response(self.status)
        for name, value in {"content-length": str(len(body)), **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that answers while the block runs."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.answer(self)

        def log_message(self, *_: Any) -> None:
            """A test server says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        issuer.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
