"""Who asks: a signed token of a customer or employee, a partner's opaque token, or nobody.

Takes the `Authorization` and `Act-As` headers and the moment. Gives a `Principal`. Rejects with
`Unauthenticated` or `HttpError`. Tokens say who; the database says what.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from schema.scalars import global_id

from ..cache import Cache
from ..config import Settings
from ..errors import Code, HttpError, Unauthenticated
from ..policy import STAFF
from .keys import Identity, SigningKey
from .known import Hearing, Known
from .oidc import LONGEST_TOKEN as LONGEST_PROVIDER_TOKEN
from .oidc import IdentityProvider, Subject, claimed_issuer
from .partner_tokens import (
    PARTNER_PREFIX,
    is_well_formed,
    new_partner_token,
    partner_token_hash,
    token_prefix,
)
from .partners import LastUses, Partner, partner_of
from .values import ANONYMOUS, DesignationRow, PartnerRow, Principal, Register, SessionRow

__all__ = [
    "ANONYMOUS",
    "DesignationRow",
    "Hearing",
    "LastUses",
    "PartnerRow",
    "Principal",
    "Principals",
    "SessionRow",
    "SigningKey",
    "new_partner_token",
    "partner_token_hash",
    "token_prefix",
    "utc_now",
]

LONGEST_TOKEN = 4096


class Principals:
    """Identifies callers.

    What it learns from the database it believes until a change is heard of, as long as it is certain that
    none was missed for `principal_cache_seconds`; while none would be heard of, it asks for every request.
    """

    def __init__(self, settings: Settings, key: SigningKey, register: Register) -> None:
        self._settings = settings
        self._key = key
        self._register = register
        self._providers = IdentityProvider.of(settings)
        self._identities: Cache[str, Identity] = Cache(settings.principal_cache_entries)
        self._partner_hashes: Cache[str, str] = Cache(settings.principal_cache_entries)
        self._employees: Cache[tuple[object, ...], Principal] = Cache(settings.principal_cache_entries)
        self.hearing = Hearing()
        given = settings.principal_cache_entries, settings.principal_cache_seconds, self.hearing
        self._designations: Known[uuid.UUID, tuple[DesignationRow, ...]] = Known(*given)
        self._subjects: Known[str, uuid.UUID] = Known(*given)
        self._customer_subjects: Known[str, uuid.UUID] = Known(*given)
        self._partners: Known[str, Partner] = Known(*given)
        self._sessions: Known[uuid.UUID, SessionRow] = Known(*given)
        self.last_uses = LastUses()

    async def identify(
        self,
        authorization: str | None,
        act_as: str | None,
        now: datetime,
        address: str | None = None,
        *,
        is_known: bool = False,
        is_use: bool = True,
    ) -> Principal:
        """The caller; raises `Unauthenticated`, or `HttpError` where the role is not clear or not theirs.

        `address` is where the request comes from; None where that is not known. Whose token `is_known`
        already, by this very clock, gets no leeway at its end. Of a partner's token is noted what `is_use`.
        """
        if authorization is None:
            principal = ANONYMOUS
        else:
            scheme, _, token = authorization.partition(" ")
            token = token.strip()
            if scheme.lower() != "bearer" or not token or len(token) > LONGEST_PROVIDER_TOKEN:
                raise Unauthenticated("malformed")
            if (provider := self._provider_of(token)) is not None:
                principal = await self._provided(provider, token, act_as, now, is_known=is_known)
            elif len(token) > LONGEST_TOKEN:
                raise Unauthenticated("malformed")
            elif token.startswith(PARTNER_PREFIX):
                principal = await self._partner(token, now, address, is_use=is_use)
            else:
                principal = await self._signed(token, act_as, now, is_known=is_known)
        if act_as is not None and principal.role != act_as:
            message = "the caller does not hold the role in `Act-As`"
            raise HttpError(Code.ACT_AS_FORBIDDEN, message, 403, principal)
        return principal

    async def _signed(self, token: str, act_as: str | None, now: datetime, *, is_known: bool) -> Principal:
        identity = self._identities.get(token)
        if identity is None:
            # PERF: verifying a signature takes 155 µs, knowing it again 2 (tests/bench/report.md).
            identity = self._identities.put(token, self._key.verify(token, self._settings))
        self._check_times(identity, now, is_known=is_known)
        if identity.kind == "employee":
            return await self._employee(identity.key, act_as, now)
        await self._check_session(identity.principal, now)
        return identity.principal

    def _provider_of(self, token: str) -> IdentityProvider | None:
        """The identity provider a token says it is of, which nothing has proved yet; None of any other."""
        if not self._providers or self._identities.get(token) is not None:
            return None
        for provider in self._providers:
            if provider.has_seen(token):
                return provider
        claimed = claimed_issuer(token)
        return next((provider for provider in self._providers if provider.is_issuer(claimed)), None)

    async def _provided(
        self, provider: IdentityProvider, token: str, act_as: str | None, now: datetime, *, is_known: bool
    ) -> Principal:
        """The customer or the employee whom a token of their identity provider is of."""
        found = await provider.verify(token, now)
        self._check_times(found, now, is_known=is_known)
        if provider.kind == "customer":
            return await self._customer(found.subject, now)
        employee = await self._subjects.of(found.subject, now, self._register.employee_of_subject)
        if employee is None:
            raise Unauthenticated("unknown employee")
        return await self._employee(employee, act_as, now)

    async def _customer(self, subject: str, now: datetime) -> Principal:
        found = await self._customer_subjects.of(subject, now, self._register.customer_of_subject)
        if found is None:
            raise Unauthenticated("unknown customer")
        return Principal("customer", global_id("Customer", found), customer_id=found)

    def _check_times(self, of: Identity | Subject, now: datetime, *, is_known: bool) -> None:
        moment, leeway = now.timestamp(), self._settings.token_leeway_seconds
        if moment >= of.expires + (0 if is_known else leeway):
            raise Unauthenticated("expired")
        if moment < of.not_before - leeway:
            raise Unauthenticated("not yet valid")

    async def _check_session(self, holder: Principal, now: datetime) -> None:
        # INVARIANT: no token of a customer is good by its signature alone: what nobody could end is refused.
        if holder.session_id is None:
            raise Unauthenticated("no session")
        row = await self._sessions.of(holder.session_id, now, self._register.session)
        if row is None or (row.customer_id, row.order_id) != (holder.customer_id, holder.order_id):
            raise Unauthenticated("unknown session")
        if row.ended_at is not None:
            raise Unauthenticated("revoked")
        if now >= row.expires_at:
            raise Unauthenticated("expired")

    async def _employee(self, employee: uuid.UUID, act_as: str | None, now: datetime) -> Principal:
        found = await self._designations.of(employee, now, self._register.designations)
        if found is None:
            raise Unauthenticated("unknown employee")
        held = {row.role: row.id for row in found if row.is_active(now) and row.role in STAFF}
        roles = sorted(held)
        if len(roles) > 1 and act_as is None:
            message = f"several designations: give one of {', '.join(roles)} in `Act-As`"
            raise HttpError(Code.ACT_AS_REQUIRED, message)
        chosen = act_as if act_as in roles else roles[0] if len(roles) == 1 else None
        return self._acting(employee, chosen, None if chosen is None else held[chosen])

    def _acting(self, employee: uuid.UUID, role: str | None, designation: uuid.UUID | None) -> Principal:
        # PERF: making it, with the global id, takes 6 µs; found again 0.6 (`timeit`).
        key = (employee, role, designation)
        found = self._employees.get(key)
        if found is None:
            shown = global_id("Employee", employee)
            made = Principal(role, shown, employee_id=employee, designation_id=designation)
            found = self._employees.put(key, made)
        return found

    async def _partner(self, token: str, now: datetime, address: str | None, *, is_use: bool) -> Principal:
        token_hash = self._partner_hashes.get(token)
        if token_hash is None:
            if not is_well_formed(token):
                raise Unauthenticated("malformed")
            token_hash = self._partner_hashes.put(token, partner_token_hash(token))
        found = await self._partners.of(token_hash, now, self._learned)
        if found is None:
            raise Unauthenticated("unknown token")
        principal = found.check(address, now)
        if is_use and principal.token_id is not None:
            self.last_uses.note(principal.token_id, now)
        return principal

    async def _learned(self, token_hash: str) -> Partner | None:
        row = await self._register.partner_token(token_hash)
        return None if row is None else partner_of(row)

    # ------------------------------------------------------------ changes

    def hear(self, *, hears: bool) -> None:
        """Says whether changes are heard of from now on; what was learned before may have changed."""
        self.hearing.hear(hears=hears)
        self._forget_all()

    def heard(self, notice: str) -> None:
        """Takes a notice of a change, `kind:id`; one that is none makes everything forgotten."""
        kind, _, key = notice.partition(":")
        try:
            self.forget(kind, uuid.UUID(key))
        except ValueError:
            self._forget_all()

    def _forget_all(self) -> None:
        every: tuple[Known[Any, Any], ...] = (
            self._designations,
            self._subjects,
            self._customer_subjects,
            self._partners,
            self._sessions,
        )
        for known in every:
            known.forget()

    def forget(self, kind: str, key: uuid.UUID) -> None:
        """Believes nothing of a principal any more; raises `ValueError` where the kind is unknown."""
        match kind:
            case "customer":
                self._customer_subjects.forget()  # known by what the identity provider calls them
            case "employee":
                self._designations.forget(key)
                self._subjects.forget()  # as customers are
            case "partner_token" | "carrier":
                self._partners.forget()  # known by their hashes
            case "session":
                self._sessions.forget(key)
            case _:
                raise ValueError("no kind of principal")


def utc_now() -> datetime:
    """The present moment; handed to the application as its clock."""
    return datetime.now(UTC)
