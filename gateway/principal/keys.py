"""The gateway's own signed tokens. They say who; the database says what. The only module that knows JWT."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schema.scalars import global_id

from ..config import Settings
from ..errors import StartError, Unauthenticated
from ..row_rules import Scope
from .jwks import Key, key_set, public_of, read_key, thumbprint
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
    """The Ed25519 key that signs the gateway's own tokens, and those that verify them.

    A former key still verifies: it is listed until the last token it signed has expired.
    """

    def __init__(self, private: Ed25519PrivateKey, former: Sequence[Key] = ()) -> None:
        self._private = private
        self._former = tuple(former)
        self._public = {thumbprint(one): one for one in map(public_of, (private, *former))}
        self._kid = next(iter(self._public))

    @classmethod
    def load(cls, path: Path | None, former: Sequence[Path] = ()) -> SigningKey:
        """The key in a PEM file, and the former ones; raises `StartError`."""
        if path is None:
            raise StartError("setting GATEWAY_SIGNING_KEY_FILE: field required")
        found = read_key(path)
        if not isinstance(found, Ed25519PrivateKey):
            raise StartError(f"signing key {path}: is a public key")
        return cls(found, [read_key(one) for one in former])

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

    def secrets(self, purpose: str) -> list[bytes]:
        """A secret for one purpose of each private key, the present one's first (HKDF, RFC 5869)."""
        private = [one for one in (self._private, *self._former) if isinstance(one, Ed25519PrivateKey)]
        return [
            HKDF(hashes.SHA256(), 32, None, purpose.encode()).derive(one.private_bytes_raw())
            for one in private
        ]

    def published(self) -> bytes:
        """The public keys as a JSON Web Key Set."""
        return key_set(self._public.values())

    def sign(
        self,
        kind: str,
        key: uuid.UUID,
        settings: Settings,
        *,
        now: datetime,
        lifetime: timedelta,
        order_id: uuid.UUID | None = None,
        session_id: uuid.UUID | None = None,
    ) -> str:
        """A token that says who: `kind` is `customer`, of a session, or `employee`. It carries no right."""
        claims: dict[str, object] = {
            "iss": settings.issuer,
            "aud": settings.audience,
            "sub": f"{kind}:{key}",
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        if order_id is not None:
            claims["order"] = str(order_id)
        if session_id is not None:
            claims["sid"] = str(session_id)
        return jwt.encode(claims, self._private, ALGORITHM, headers={"kid": self._kid})

    def verify(self, token: str, settings: Settings) -> Identity:
        """Who a token says it is of; its times are for the caller to compare. Raises `Unauthenticated`."""
        try:
            claims = jwt.decode(
                token,
                self._verifying(token),
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
            session = uuid.UUID(claims["sid"]) if "sid" in claims else None
            not_before = max(float(claims["iat"]), float(claims.get("nbf", 0)))
            if not math.isfinite(not_before + float(claims["exp"])):
                raise ValueError("a time without end")
            found = _identity(kind, uuid.UUID(key), order, session, not_before, float(claims["exp"]))
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise Unauthenticated(reason_of(error)) from error
        if kind == "employee" and found.expires - float(claims["iat"]) > 60 * settings.employee_token_minutes:
            raise Unauthenticated("lifetime")  # such a token cannot be ended but by its holder's designation
        is_limited = order is not None or session is not None
        if kind not in ("customer", "employee") or (is_limited and kind != "customer"):
            raise Unauthenticated("subject")
        return found

    def _verifying(self, token: str) -> Ed25519PublicKey:
        """The key a token names; one that names none is the present key's."""
        kid = jwt.get_unverified_header(token).get("kid", self._kid)
        found = self._public.get(kid)
        if found is None:
            raise jwt.InvalidSignatureError
        return found


def _identity(
    kind: str,
    key: uuid.UUID,
    order: uuid.UUID | None,
    session: uuid.UUID | None,
    not_before: float,
    expires: float,
) -> Identity:
    """The identity with the principal it stands for; an employee's has no role before one is looked up."""
    if kind == "employee":
        principal = Principal(None, global_id("Employee", key))
    else:
        scope = Scope.ACCOUNT if order is None else Scope.ONE_ORDER
        shown = global_id("Customer", key)
        principal = Principal("customer", shown, scope, customer_id=key, order_id=order, session_id=session)
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
