"""The gateway's own signed tokens. They say who; the database says what. The only module that knows JWT."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schema.scalars import global_id

from ..config import Settings
from ..errors import StartError, Unauthenticated
from ..row_rules import Scope
from .values import Principal

ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a valid signed token proves, until it expires."""

    kind: str
    key: uuid.UUID
    principal: Principal
    not_before: float
    expires: float


class SigningKey:
    """The Ed25519 key that signs the gateway's own tokens and verifies them."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public = private.public_key()

    @classmethod
    def load(cls, path: Path | None) -> SigningKey:
        """The key in a PEM file; raises `StartError`."""
        if path is None:
            raise StartError("setting GATEWAY_SIGNING_KEY_FILE: field required")
        try:
            loaded = serialization.load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise StartError(
                f"signing key {path}: {type(error).__name__}: run `gateway token --new-key`"
            ) from error
        if not isinstance(loaded, Ed25519PrivateKey):
            raise StartError(f"signing key {path}: is no Ed25519 key")
        return cls(loaded)

    @classmethod
    def create(cls, path: Path) -> SigningKey:
        """A new key in a new file that only its owner can read; an existing file is not touched."""
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(pem)
        return cls(private)

    def derive(self, purpose: str) -> bytes:
        """A secret for one purpose, made from the key (HKDF, RFC 5869)."""
        secret = self._private.private_bytes_raw()
        return HKDF(hashes.SHA256(), 32, None, purpose.encode()).derive(secret)

    def sign(
        self,
        kind: str,
        key: uuid.UUID,
        settings: Settings,
        *,
        now: datetime,
        lifetime: timedelta,
        order_id: uuid.UUID | None = None,
    ) -> str:
        """A token that says who: `kind` is `customer` or `employee`. It carries no right."""
        claims: dict[str, object] = {
            "iss": settings.issuer,
            "aud": settings.audience,
            "sub": f"{kind}:{key}",
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        if order_id is not None:
            claims["order"] = str(order_id)
        return jwt.encode(claims, self._private, ALGORITHM)

    def verify(self, token: str, settings: Settings) -> Identity:
        """Who a token says it is of; its times are for the caller to compare. Raises `Unauthenticated`."""
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[ALGORITHM],
                issuer=settings.issuer,
                audience=settings.audience,
                options={
                    "require": ["iss", "aud", "sub", "iat", "exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            kind, _, key = claims["sub"].partition(":")
            # A claim that is there limits the token, whatever it holds: what is no id is refused.
            order = uuid.UUID(claims["order"]) if "order" in claims else None
            not_before = max(float(claims["iat"]), float(claims.get("nbf", 0)))
            if not math.isfinite(not_before + float(claims["exp"])):
                raise ValueError("a time without end")
            found = _identity(kind, uuid.UUID(key), order, not_before, float(claims["exp"]))
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise Unauthenticated(reason_of(error)) from error
        if kind not in ("customer", "employee") or (order is not None and kind != "customer"):
            raise Unauthenticated("subject")
        return found


def _identity(
    kind: str, key: uuid.UUID, order: uuid.UUID | None, not_before: float, expires: float
) -> Identity:
    """The identity with the principal it stands for; an employee's has no role before one is looked up."""
    if kind == "employee":
        principal = Principal(None, global_id("Employee", key))
    else:
        scope = Scope.ACCOUNT if order is None else Scope.ONE_ORDER
        shown = global_id("Customer", key)
        principal = Principal("customer", shown, scope, customer_id=key, order_id=order)
    return Identity(kind, key, principal, not_before, expires)


def reason_of(error: Exception) -> str:
    """Why a token is refused, as its `WWW-Authenticate` says."""
    match error:
        case jwt.InvalidSignatureError():
            return "signature"
        case jwt.InvalidAlgorithmError():
            return "algorithm"
        case jwt.InvalidIssuerError():
            return "issuer"
        case jwt.InvalidAudienceError():
            return "audience"
        case jwt.MissingRequiredClaimError():
            return "claim missing"
        case _:
            return "malformed"
