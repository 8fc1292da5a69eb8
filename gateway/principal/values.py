"""Who asks, as a value, and what the database says of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schema.scalars import global_id

from ..row_rules import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and the one role they act in; `role` is None for an employee without a designation."""

    role: str | None
    id: str | None = None
    scope: Scope = Scope.ACCOUNT
    customer_id: uuid.UUID | None = None
    order_id: uuid.UUID | None = None
    carrier_id: uuid.UUID | None = None
    employee_id: uuid.UUID | None = None
    session_id: uuid.UUID | None = None
    # Of a partner: its token, the first key of its rotation, and what it is for: root fields (without any all
    # of its role), documents, deliveries.
    token_id: uuid.UUID | None = None
    rotation_id: uuid.UUID | None = None
    operations: frozenset[str] = frozenset()
    documents: frozenset[str] | None = None
    deliveries: tuple[uuid.UUID, ...] | None = None
    # Of an employee: by what they have their role. Of a partner: who is on the list of recipients.
    designation_id: uuid.UUID | None = None
    recipient: str | None = None

    @property
    def actor_id(self) -> str | None:
        """Who stands in records of access: the employee, or the very token of a partner; a global id."""
        return self.id if self.token_id is None else global_id("PartnerToken", self.token_id)

    @property
    def holder(self) -> str | None:
        """By what callers are told apart: the holder of one order's token is not the whole account."""
        return self.id if self.order_id is None else f"{self.id} {global_id('Order', self.order_id)}"

    @property
    def purse(self) -> str | None:
        """Whose budget is spent: a partner's tokens have one together, or narrowing would multiply it."""
        if self.token_id is None:
            return self.holder
        return self.id if self.carrier_id is not None else f"partner {self.recipient}"

    @property
    def seat(self) -> str | None:
        """Whose connections are counted together: of a partner those of one token and its rotations."""
        return self.holder if self.rotation_id is None else global_id("PartnerToken", self.rotation_id)


ANONYMOUS = Principal("anonymous")


@dataclass(frozen=True, slots=True)
class DesignationRow:
    """A designation as the table has it."""

    id: uuid.UUID
    role: str
    valid_from: datetime
    valid_to: datetime
    revoked_at: datetime | None

    def is_active(self, now: datetime) -> bool:
        """Whether it holds at this moment."""
        return self.valid_from <= now < self.valid_to and self.revoked_at is None


@dataclass(frozen=True, slots=True)
class PartnerRow:
    """A partner token as the table has it; it ends with those it was narrowed from and its carrier."""

    id: uuid.UUID
    first_id: uuid.UUID | None
    kind: str
    carrier_id: uuid.UUID | None
    expires_at: datetime
    revoked_at: datetime | None
    operations: Sequence[str]
    networks: Sequence[str]
    documents: Sequence[str] | None
    deliveries: Sequence[uuid.UUID] | None
    # The carrier's present name; of the newsletter's provider what it was called when the token was issued.
    recipient: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A customer's session as the table has it; with an order it is of this order alone."""

    customer_id: uuid.UUID
    order_id: uuid.UUID | None
    expires_at: datetime
    ended_at: datetime | None


class Register(Protocol):
    """Where designations, partner tokens and sessions are looked up."""

    async def designations(self, employee: uuid.UUID) -> tuple[DesignationRow, ...] | None:
        """The designations of an active employee; None where there is no such employee."""
        ...

    async def employee_of_subject(self, subject: str) -> uuid.UUID | None:
        """The employee whom the company's identity provider knows as this `sub`."""
        ...

    async def customer_of_subject(self, subject: str) -> uuid.UUID | None:
        """The customer whom the store's identity provider knows as this `sub`; none who is erased."""
        ...

    async def partner_token(self, token_hash: str) -> PartnerRow | None:
        """The partner token with this hash; of a carrier that is not active it counts as revoked."""
        ...

    async def session(self, key: uuid.UUID) -> SessionRow | None:
        """The session with this id; none of an erased customer."""
        ...
