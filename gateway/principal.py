"""Who asks: a signed token of a customer or employee, a partner's opaque token, or nobody.

Takes the `Authorization` and `Act-As` headers and the moment. Gives a `Principal`. Rejects with
`Unauthenticated` or `HttpError`. Tokens say who; the database says what. The only module that knows JWT.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import uuid
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schema.scalars import global_id

from .cache import Cache
from .config import Settings
from .errors import Code, HttpError, StartError, Unauthenticated
from .policy import STAFF
from .row_rules import Scope

ALGORITHM = "EdDSA"
PARTNER_PREFIX = "crp_"
_CHECKSUM_LENGTH = 8
LONGEST_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and the one role they act in; `role` is None for an employee without a designation."""

    role: str | None
    id: str | None = None
    scope: Scope = Scope.ACCOUNT
    customer_id: uuid.UUID | None = None
    order_id: uuid.UUID | None = None
    carrier_id: uuid.UUID | None = None


ANONYMOUS = Principal("anonymous")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a valid signed token proves, until it expires."""

    kind: str
    key: uuid.UUID
    principal: Principal
    not_before: float
    expires: float


@dataclass(frozen=True, slots=True)
class DesignationRow:
    """A designation as the table has it."""

    role: str
    valid_from: datetime
    valid_to: datetime
    revoked_at: datetime | None

    def is_active(self, now: datetime) -> bool:
        """Whether it holds at this moment."""
        return self.valid_from <= now < self.valid_to and self.revoked_at is None


@dataclass(frozen=True, slots=True)
class PartnerRow:
    """A partner token as the table has it."""

    id: uuid.UUID
    kind: str
    carrier_id: uuid.UUID | None
    expires_at: datetime
    revoked_at: datetime | None


class Register(Protocol):
    """Where designations and partner tokens are looked up."""

    async def designations(self, employee: uuid.UUID) -> tuple[DesignationRow, ...] | None:
        """The designations of an active employee; None where there is no such employee."""
        ...

    async def partner_token(self, token_hash: str) -> PartnerRow | None:
        """The partner token with this hash."""
        ...


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
            raise Unauthenticated(_reason(error)) from error
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


def _reason(error: Exception) -> str:
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


# ---------------------------------------------------------------- partner tokens


def new_partner_token(secret: bytes | None = None) -> str:
    """An opaque token of 256 bits with a prefix and a checksum, so that leak scanners can find it."""
    body = (secret or secrets.token_bytes(32)).hex()
    return f"{PARTNER_PREFIX}{body}{_checksum(body)}"


def partner_token_hash(token: str) -> str:
    """What is stored of a partner token. 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):0{_CHECKSUM_LENGTH}x}"


def _is_well_formed(token: str) -> bool:
    body = token.removeprefix(PARTNER_PREFIX)
    secret, checksum = body[:-_CHECKSUM_LENGTH], body[-_CHECKSUM_LENGTH:]
    return hmac.compare_digest(_checksum(secret).encode(), checksum.encode())


# ---------------------------------------------------------------- identifying


class Principals:
    """Identifies callers. What it learns from the database it believes for `principal_cache_seconds`."""

    def __init__(self, settings: Settings, key: SigningKey, register: Register) -> None:
        self._settings = settings
        self._key = key
        self._register = register
        self._identities: Cache[str, Identity] = Cache(settings.principal_cache_entries)
        self._designations: Cache[uuid.UUID, tuple[datetime, tuple[DesignationRow, ...]]] = Cache(
            settings.principal_cache_entries
        )
        self._partner_hashes: Cache[str, str] = Cache(settings.principal_cache_entries)
        self._partners: Cache[str, tuple[datetime, PartnerRow]] = Cache(settings.principal_cache_entries)

    async def identify(self, authorization: str | None, act_as: str | None, now: datetime) -> Principal:
        """The caller; raises `Unauthenticated`, or `HttpError` where the role is not clear or not theirs."""
        if authorization is None:
            principal = ANONYMOUS
        else:
            scheme, _, token = authorization.partition(" ")
            token = token.strip()
            if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN:
                raise Unauthenticated("malformed")
            if token.startswith(PARTNER_PREFIX):
                principal = await self._partner(token, now)
            else:
                principal = await self._signed(token, act_as, now)
        if act_as is not None and principal.role != act_as:
            raise HttpError(Code.ACT_AS_FORBIDDEN, "the caller does not hold the role in `Act-As`", 403)
        return principal

    async def _signed(self, token: str, act_as: str | None, now: datetime) -> Principal:
        identity = self._identities.get(token)
        if identity is None:
            # PERF: verifying a signature takes 155 µs, knowing it again 2 (tests/bench/report.md).
            identity = self._identities.put(token, self._key.verify(token, self._settings))
        moment, leeway = now.timestamp(), self._settings.token_leeway_seconds
        if moment >= identity.expires + leeway:
            raise Unauthenticated("expired")
        if moment < identity.not_before - leeway:
            raise Unauthenticated("not yet valid")
        if identity.kind == "employee":
            return await self._employee(identity.key, act_as, now)
        return identity.principal

    async def _employee(self, employee: uuid.UUID, act_as: str | None, now: datetime) -> Principal:
        cached = self._designations.get(employee)
        if cached is None or not self._is_fresh(cached[0], now):
            found = await self._register.designations(employee)
            if found is None:
                raise Unauthenticated("unknown employee")
            cached = self._designations.put(employee, (now, found))
        roles = sorted({row.role for row in cached[1] if row.is_active(now) and row.role in STAFF})
        if len(roles) > 1 and act_as is None:
            message = f"several designations: give one of {', '.join(roles)} in `Act-As`"
            raise HttpError(Code.ACT_AS_REQUIRED, message)
        chosen = act_as if act_as in roles else roles[0] if len(roles) == 1 else None
        return Principal(chosen, global_id("Employee", employee))

    async def _partner(self, token: str, now: datetime) -> Principal:
        token_hash = self._partner_hashes.get(token)
        if token_hash is None:
            if not _is_well_formed(token):
                raise Unauthenticated("malformed")
            token_hash = self._partner_hashes.put(token, partner_token_hash(token))
        cached = self._partners.get(token_hash)
        if cached is None or not self._is_fresh(cached[0], now):
            found = await self._register.partner_token(token_hash)
            if found is None:
                raise Unauthenticated("unknown token")
            cached = self._partners.put(token_hash, (now, found))
        row = cached[1]
        if row.revoked_at is not None:
            raise Unauthenticated("revoked")
        if now >= row.expires_at:
            raise Unauthenticated("expired")
        if row.kind == "CARRIER" and row.carrier_id is not None:
            return Principal("carrier", global_id("Carrier", row.carrier_id), carrier_id=row.carrier_id)
        return Principal("newsletter", global_id("PartnerToken", row.id))

    def _is_fresh(self, learned: datetime, now: datetime) -> bool:
        age = (now - learned).total_seconds()
        return 0 <= age < self._settings.principal_cache_seconds


def utc_now() -> datetime:
    """The present moment; handed to the application as its clock."""
    return datetime.now(UTC)
