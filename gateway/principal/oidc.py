"""Access tokens of an identity provider (OpenID Connect): they say who, and nothing else.

Takes a token and the moment. Gives its `Subject`. Rejects with `Unauthenticated`. What a token claims of
roles, groups or scopes is not read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ..cache import Cache
from ..config import Settings
from ..errors import Unauthenticated
from ..logs import Event, note
from .keys import reason_of
from .provider_keys import Freshness, KeySet

# What a key is good for by its type and curve; nothing else is taken from a key set.
ALGORITHMS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", None): "RS256"}
# The members of a key that are secret (RFC 7518, sections 6.2.2, 6.3.2 and 6.4; RFC 8037, section 2).
SECRET = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# An access token's (RFC 9068, section 2.1), or none in particular: a logout token, say, is refused.
TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt", "application/jwt"})
RSA_SHORTEST_BITS, RSA_LONGEST_BITS = 2048, 8192
LONGEST_TOKEN = 16 * 1024
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """A public key of the provider and the one algorithm it is good for; equal by what it is made of."""

    algorithm: str
    digest: str
    public: Any = field(compare=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a valid token proves until it expires: who the provider says it is of."""

    subject: str
    key_id: str
    key: ProviderKey
    not_before: float
    expires: float


class IdentityProvider:
    """Verifies the tokens of one issuer, all of one kind of principal, against the keys it publishes."""

    def __init__(
        self,
        kind: Literal["customer", "employee"],
        issuer: str,
        audience: str | None,
        jwks_url: str | None,
        settings: Settings,
    ) -> None:
        self.kind = kind
        self._issuer = issuer
        self._audience = audience
        self._settings = settings
        freshness = Freshness(
            settings.oidc_cache_seconds,
            settings.oidc_stale_seconds,
            settings.oidc_pause_seconds,
            settings.oidc_timeout_seconds,
        )
        self._keys: KeySet[ProviderKey] = KeySet(f"{kind}s", jwks_url or "", read_keys, freshness)
        self._verified: Cache[str, Subject] = Cache(settings.principal_cache_entries)

    @classmethod
    def of(cls, settings: Settings) -> tuple[IdentityProvider, ...]:
        """The providers that the settings name."""
        found = []
        if settings.customer_oidc_issuer:
            audience, url = settings.customer_oidc_audience, settings.customer_oidc_jwks_url
            found.append(cls("customer", settings.customer_oidc_issuer, audience, url, settings))
        if settings.oidc_issuer:
            audience, url = settings.oidc_audience, settings.oidc_jwks_url
            found.append(cls("employee", settings.oidc_issuer, audience, url, settings))
        return tuple(found)

    def has_seen(self, token: str) -> bool:
        """Whether this very token was verified before."""
        return self._verified.get(token) is not None

    def is_issuer(self, claimed: object) -> bool:
        """Whether what a token says of its issuer names this one."""
        return claimed == self._issuer

    async def verify(self, token: str, now: datetime) -> Subject:
        """Whom a token says it is of; its times are for the caller to compare. Raises `Unauthenticated`."""
        kept = self._verified.get(token)
        key_id, algorithm = (
            (kept.key_id, kept.key.algorithm) if kept is not None else _header(token, self._settings)
        )
        # INVARIANT: a token is good only while its very key is published, however often it was seen.
        key = await self._keys.find(key_id, now)
        if key is None:
            raise Unauthenticated("unknown key")
        if kept is not None and kept.key == key:
            return kept
        if key.algorithm != algorithm:
            raise Unauthenticated("algorithm")
        return self._verified.put(token, self._subject(token, key_id, key))

    def _subject(self, token: str, key_id: str, key: ProviderKey) -> Subject:
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                options={
                    "require": ["iss", "aud", "sub", "iat", "exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            subject = claims["sub"]
            str(subject).encode()  # half a surrogate pair is no text
            not_before = max(float(claims["iat"]), float(claims.get("nbf", 0)))
            expires = float(claims["exp"])
            if not math.isfinite(not_before + expires):
                raise ValueError("a time without end")
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Unauthenticated(reason_of(error)) from error
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_NAME or "\0" in subject:
            raise Unauthenticated("subject")
        return Subject(subject, key_id, key, not_before, expires)


def claimed_issuer(token: str) -> object:
    """What a token says of its issuer, unverified: only to know whose keys it has to stand up to."""
    try:
        _, claims, _ = token.split(".")
        found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except (ValueError, RecursionError):
        return None
    return found.get("iss") if isinstance(found, dict) else None


def _header(token: str, settings: Settings) -> tuple[str, str]:
    """The id of the key and the algorithm a token says it is signed with; raises `Unauthenticated`."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise Unauthenticated("malformed") from error
    key_id, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ", "jwt")
    if algorithm not in settings.oidc_algorithms:
        raise Unauthenticated("algorithm")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= LONGEST_NAME:
        raise Unauthenticated("key id")
    if not isinstance(kind, str) or kind.lower() not in TYPES or "crit" in header:
        raise Unauthenticated("type")
    return key_id, str(algorithm)


# ---------------------------------------------------------------- key sets (RFC 7517)


def read_keys(body: bytes) -> Mapping[str, ProviderKey]:
    """The keys of a key set that a token may be verified with; raises `ValueError` where it is no key set.

    A key is left out where it is secret, short, of another kind or use, or without an id. Of two with the
    same id the first counts. A set without any is one: the provider has withdrawn its keys, and nobody gets
    in by those of before.
    """
    document = json.loads(body)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no key set")
    if listed and not any(isinstance(entry, dict) for entry in listed):
        raise ValueError("no key in a key set")
    found: dict[str, ProviderKey] = {}
    for entry in listed:
        key = _read_key(entry) if isinstance(entry, dict) else None
        if key is not None:
            found.setdefault(entry["kid"], key)
    if not found:
        note(Event.KEY_NOT_USED, why="none")
    return found


def _read_key(entry: Mapping[str, Any]) -> ProviderKey | None:
    algorithm = _algorithm(entry)
    key_id = entry.get("kid")
    if algorithm is None or not isinstance(key_id, str) or not key_id:
        return None
    uses = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        return None
    if SECRET & entry.keys():
        note(Event.KEY_NOT_USED, why="symmetric")
        return None
    try:
        public = jwt.PyJWK(dict(entry), algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(public, RSAPublicKey) and not _is_strong(public):
        note(Event.KEY_NOT_USED, why="weak")
        return None
    members = json.dumps({name: entry.get(name) for name in ("kty", "crv", "x", "y", "n", "e")})
    return ProviderKey(algorithm, hashlib.sha256(members.encode()).hexdigest(), public)


def _algorithm(entry: Mapping[str, Any]) -> str | None:
    """The one algorithm a key is good for; None where that is none of ours, or not what it says."""
    kind, curve = entry.get("kty"), entry.get("crv")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return None
    found = ALGORITHMS.get((kind, curve))
    return found if entry.get("alg", found) == found else None


def _is_strong(key: RSAPublicKey) -> bool:
    return RSA_SHORTEST_BITS <= key.key_size <= RSA_LONGEST_BITS
