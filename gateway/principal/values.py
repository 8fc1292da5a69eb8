"""Who asks, as a value, and what the database says of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

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


ANONYMOUS = Principal("anonymous")


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
    """A partner token as the table has it; it ends no later than those it was narrowed from."""

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


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A customer's session as the table has it."""

    customer_id: uuid.UUID
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
        """The partner token with this hash."""
        ...

    async def session(self, key: uuid.UUID) -> SessionRow | None:
        """The session with this id."""
        ...
