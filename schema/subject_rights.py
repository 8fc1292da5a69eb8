"""What the rights of the person are kept in: requests, holds, erasures with their notices, exports, runs.

Nothing here holds a value of the register but `export_piece`, until its document expires.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime
from enum import Enum
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from . import tags
from .columns import TEXT, TIME, column, of_order, one_of, primary_key
from .states import RequestChannel, RequestDecision, SubjectRequestKind, SubjectRequestStatus
from .tags import TECHNICAL

_UNDER_WAY = "status IN ('RECEIVED', 'ACCEPTED', 'EXECUTED')"


class NoticeOutcome(Enum):
    """What the mail server made of a notice."""

    SENT = "SENT"
    LATER = "LATER"
    REFUSED = "REFUSED"


class HeldEntity(Enum):
    """What a hold can be on."""

    CUSTOMER = "Customer"
    ORDER = "Order"
    DELIVERY = "Delivery"
    RETURN = "Return"


class SubjectRequest(SQLModel, table=True):
    """What a person asked for about their data, and how far it has come (GDPR Article 12(3), (4))."""

    __tablename__ = "subject_request"
    __table_args__ = (
        one_of("kind", SubjectRequestKind),
        one_of("channel", RequestChannel),
        one_of("status", SubjectRequestStatus),
        one_of("decision", RequestDecision),
        of_order(),
        Index("subject_request_customer_page", "customer_id", "id"),
        Index("subject_request_due_at", "due_at", "id"),
        Index("subject_request_order", "order_id", postgresql_where=text("order_id IS NOT NULL")),
        Index("subject_request_under_way", "status", "id", postgresql_where=text(_UNDER_WAY)),
        # One erasure of a person at a time, and once it is done no other.
        Index(
            "subject_request_one_erasure",
            "customer_id",
            unique=True,
            postgresql_where=text("kind = 'ERASURE' AND status NOT IN ('REFUSED', 'WITHDRAWN')"),
        ),
        # One restriction at a time, asked for or in force: ending one would end the other.
        Index(
            "subject_request_one_restriction",
            "customer_id",
            unique=True,
            postgresql_where=text(
                "kind = 'RESTRICTION' AND (status IN ('RECEIVED', 'ACCEPTED')"
                " OR status = 'COMPLETED' AND decision = 'ACCEPTED')"
            ),
        ),
    )
    id: uuid.UUID = primary_key()
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("customer.id"))
    # The order whose link finds the request: a guest's; null where the person has an account.
    order_id: uuid.UUID | None = column(Uuid(), TECHNICAL, null=True)
    kind: str = column(TEXT, tags.request("user.behavior"))
    channel: str = column(TEXT, tags.request("user.behavior"))
    received_at: datetime = column(TIME, tags.request("user.behavior"))
    # One calendar month later; `extended_to` at most two more, told by `extension_told_at` within the first.
    due_at: datetime = column(TIME, TECHNICAL)
    extended_to: datetime | None = column(TIME, TECHNICAL, null=True)
    extension_told_at: datetime | None = column(TIME, TECHNICAL, null=True)
    # Until when the person may take an erasure back before anything is done; null for other kinds.
    cooling_off_until: datetime | None = column(TIME, TECHNICAL, null=True)
    status: str = column(TEXT, tags.request("user.behavior"), server_default=text("'RECEIVED'"))
    decision: str | None = column(TEXT, tags.request("user.behavior"), null=True)
    decided_at: datetime | None = column(TIME, TECHNICAL, null=True)
    # A global id of an employee, or `clock`.
    handled_by: str | None = column(TEXT, tags.staff("user.unique_id"), null=True)
    executed_at: datetime | None = column(TIME, TECHNICAL, null=True)
    completed_at: datetime | None = column(TIME, TECHNICAL, null=True)
    # [{"coordinate": …, "until": "2030-12-31" or null, "basis": …}]; names of fields and laws, no values.
    retained: list[dict[str, Any]] = column(
        JSONB(), tags.request("user.behavior"), server_default=text("'[]'::jsonb")
    )
    # Names of recipients, as the list of recipients has them.
    notified: list[str] = column(
        ARRAY(TEXT), tags.request("user.behavior"), server_default=text("'{}'::text[]")
    )


class LegalHold(SQLModel, table=True):
    """What keeps fields of a person's data beyond every rule and request, on which basis and until when."""

    __tablename__ = "legal_hold"
    __table_args__ = (
        one_of("target_entity", HeldEntity),
        CheckConstraint("cardinality(fields) > 0", name="holds_something"),
        CheckConstraint("btrim(basis) <> ''", name="has_a_basis"),
        of_order(),
        Index("legal_hold_customer_page", "customer_id", "id"),
        Index("legal_hold_target", "target_id"),
        Index("legal_hold_order", "order_id", postgresql_where=text("order_id IS NOT NULL")),
        Index("legal_hold_in_force", "until", postgresql_where=text("released_at IS NULL")),
    )
    id: uuid.UUID = primary_key()
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("customer.id"))
    # The order that the target is or belongs to; null where the target is the customer.
    order_id: uuid.UUID | None = column(Uuid(), TECHNICAL, null=True)
    target_entity: str = column(TEXT, TECHNICAL)
    target_id: uuid.UUID = column(Uuid(), TECHNICAL)
    # Coordinates of the schema, sorted; of rows that the target is or that belong to it.
    fields: list[str] = column(ARRAY(TEXT), tags.request("user.behavior"))
    basis: str = column(TEXT, tags.request("user.behavior"))
    # The last day on which it holds.
    until: date = column(Date(), tags.request("user.behavior"))
    placed_at: datetime = column(TIME, TECHNICAL)
    # A global id of an employee, here and below.
    placed_by: str = column(TEXT, tags.staff("user.unique_id"))
    released_at: datetime | None = column(TIME, tags.request("user.behavior"), null=True)
    released_by: str | None = column(TEXT, tags.staff("user.unique_id"), null=True)


class Erasure(SQLModel, table=True):
    """Append only: the ledger of erasures, by which they are done again after a restored backup."""

    __tablename__ = "erasure"
    __table_args__ = (Index("erasure_not_told", "id", postgresql_where=text("told_at IS NULL")),)
    id: uuid.UUID = primary_key()
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("customer.id"), unique=True)
    request_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("subject_request.id"), unique=True)
    at: datetime = column(TIME, TECHNICAL)
    # Whether it was done again after a restored backup, and everybody had been told of it before.
    replayed: bool = column(Boolean(), TECHNICAL, server_default=text("false"))
    # When it was written where a restored backup does not undo it; null until then, and again at its end.
    told_at: datetime | None = column(TIME, TECHNICAL, null=True)


class ErasureNotice(SQLModel, table=True):
    """What a recipient is told of an erasure (GDPR Article 19), once each; the queue and what came of it."""

    __tablename__ = "erasure_notice"
    __table_args__ = (
        UniqueConstraint("customer_id", "recipient", name="erasure_notice_once"),
        Index(
            "erasure_notice_due",
            "next_attempt_at",
            postgresql_where=text("sent_at IS NULL"),
        ),
        Index("erasure_notice_request", "request_id"),
    )
    id: uuid.UUID = primary_key()
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("customer.id"))
    request_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("subject_request.id"))
    recipient: str = column(TEXT, tags.disclosure("user.behavior"))
    # Global ids by which the recipient knows whom it is about: of deliveries, the customer, or a disclosure.
    refs: list[str] = column(ARRAY(TEXT), tags.disclosure("user.unique_id"))
    created_at: datetime = column(TIME, TECHNICAL)
    attempts: int = column(Integer(), TECHNICAL, server_default=text("0"))
    next_attempt_at: datetime = column(TIME, TECHNICAL)
    sent_at: datetime | None = column(TIME, TECHNICAL, null=True)
    failed_at: datetime | None = column(TIME, TECHNICAL, null=True)


class ErasureNoticeAttempt(SQLModel, table=True):
    """Append only: each attempt to tell a recipient, and what came of it."""

    __tablename__ = "erasure_notice_attempt"
    __table_args__ = (
        one_of("outcome", NoticeOutcome),
        Index("erasure_notice_attempt_notice", "notice_id", "id"),
    )
    id: uuid.UUID = primary_key()
    notice_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("erasure_notice.id"))
    attempt: int = column(Integer(), TECHNICAL)
    at: datetime = column(TIME, TECHNICAL)
    outcome: str = column(TEXT, TECHNICAL)


class ConsentProof(SQLModel, table=True):
    """Whose consents an erased person's were, for who knows the address and asks (GDPR Article 7(1))."""

    __tablename__ = "consent_proof"
    __table_args__ = (Index("consent_proof_digest", "address_digest"),)
    customer_id: uuid.UUID = Field(
        sa_column=Column(Uuid(), ForeignKey("customer.id"), primary_key=True, info={"tag": TECHNICAL})
    )
    # A keyed digest of the address: without the key nobody can try out whose it is.
    address_digest: bytes = column(LargeBinary(), tags.consent("user.unique_id", "made by the gateway"))
    made_at: datetime = column(TIME, TECHNICAL)


class ExportDocument(SQLModel, table=True):
    """A copy of a person's data that waits to be fetched with a signed link, until it expires."""

    __tablename__ = "export_document"
    __table_args__ = (
        UniqueConstraint("request_id", name="export_document_once"),
        UniqueConstraint("id", "customer_id", name="export_document_id_customer"),
        Index("export_document_customer", "customer_id"),
        Index("export_document_expires_at", "expires_at"),
    )
    id: uuid.UUID = primary_key()
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("customer.id"))
    request_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("subject_request.id"))
    created_at: datetime = column(TIME, TECHNICAL)
    expires_at: datetime = column(TIME, TECHNICAL)
    last_fetched_at: datetime | None = column(TIME, TECHNICAL, null=True)


class ExportPiece(SQLModel, table=True):
    """A piece of such a copy: in the order of their numbers, which have gaps, they are the whole."""

    __tablename__ = "export_piece"
    __table_args__ = (
        ForeignKeyConstraint(
            ["document_id", "customer_id"],
            ["export_document.id", "export_document.customer_id"],
            ondelete="CASCADE",
        ),
    )
    document_id: uuid.UUID = Field(sa_column=Column(Uuid(), primary_key=True, info={"tag": TECHNICAL}))
    number: int = Field(sa_column=Column(BigInteger(), primary_key=True, info={"tag": TECHNICAL}))
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL)
    piece: bytes = column(LargeBinary(), tags.account("user.content", "made by the gateway"))


class RetentionRun(SQLModel, table=True):
    """How far the daily retention has come with a rule on a day (UTC)."""

    __tablename__ = "retention_run"
    day: date = Field(sa_column=Column(Date(), primary_key=True, info={"tag": TECHNICAL}))
    rule: str = Field(sa_column=Column(TEXT, primary_key=True, info={"tag": TECHNICAL}))
    policy_version: str = column(TEXT, TECHNICAL)
    started_at: datetime = column(TIME, TECHNICAL)
    finished_at: datetime | None = column(TIME, TECHNICAL, null=True)
    # The last row that a batch has dealt with; the next begins behind it.
    after_id: uuid.UUID | None = column(Uuid(), TECHNICAL, null=True)
    rows: int = column(Integer(), TECHNICAL, server_default=text("0"))


class RetentionWarning(SQLModel, table=True):
    """That a customer was told that their data is about to go; a later activity makes it void."""

    __tablename__ = "retention_warning"
    customer_id: uuid.UUID = Field(
        sa_column=Column(Uuid(), ForeignKey("customer.id"), primary_key=True, info={"tag": TECHNICAL})
    )
    warned_at: datetime = column(TIME, TECHNICAL)
