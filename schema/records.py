"""What makes every access answerable: who looked at whose data, to whom it went, and the seals over both.

`access_record` and `disclosure` are append only; no value of the register stands in them.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    Sequence,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel

from . import tags
from .columns import TEXT, TIME, Known, column, primary_key
from .states import Decision
from .tags import TECHNICAL

# The number of a row is drawn after its transaction has an id: a snapshot taken later than the drawing knows
# the transaction, so that a seal over all numbers up to one leaves out none that is still being written.
NUMBERED = "CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('{}'::regclass) END"


ACCESS_RECORD_NUMBER = Sequence("access_record_number", data_type=BigInteger, metadata=SQLModel.metadata)
DISCLOSURE_NUMBER = Sequence("disclosure_number", data_type=BigInteger, metadata=SQLModel.metadata)


def _number(sequence: Sequence) -> Any:
    drawn = text(NUMBERED.format(sequence.name))
    return column(BigInteger(), TECHNICAL, server_default=drawn, unique=True)


class AccessRecord(SQLModel, table=True):
    """Append only: one read or write of personal data by staff or a partner, or one that was refused.

    GDPR Articles 5(2), 29 and 32. A record names fields and people, and holds no value.
    """

    __tablename__ = "access_record"
    __table_args__ = (
        Index("access_record_subjects", "subject_ids", postgresql_using="gin"),
        Index("access_record_principal", "principal_id", "id"),
    )
    id: uuid.UUID = primary_key()
    number: int = _number(ACCESS_RECORD_NUMBER)
    at: datetime = column(TIME, tags.access("user.behavior"))
    # A global id: of an employee, or of a partner's token.
    principal_id: str = column(TEXT, tags.staff("user.unique_id", subjects=("employee", "partner")))
    role: str | None = column(TEXT, tags.access("user.behavior"), null=True)
    designation_id: uuid.UUID | None = column(Uuid(), TECHNICAL, null=True)
    purpose: str | None = column(TEXT, tags.access("user.behavior"), null=True)
    case_reference: str | None = column(TEXT, tags.access("user.unique_id"), null=True)
    operation_name: str | None = column(TEXT, TECHNICAL, null=True)
    # SHA-256 of the document without its comments, texts and numbers, in hexadecimal.
    operation_hash: str = column(TEXT, TECHNICAL)
    # Coordinates of the schema, sorted.
    fields: list[str] = column(ARRAY(TEXT), tags.access("user.behavior"))
    subject_ids: list[uuid.UUID] = column(ARRAY(Uuid()), tags.access("user.unique_id"))
    policy_version: str = column(TEXT, TECHNICAL)
    notice_version: str = column(TEXT, TECHNICAL)
    request_id: str = column(TEXT, TECHNICAL)
    decision: str = column(Known("access_decision", Decision), tags.access("user.behavior"))


class Disclosure(SQLModel, table=True):
    """Append only: what went to a recipient, once for each subject, thing and set of fields.

    GDPR Articles 15(1)(c) and 19.
    """

    __tablename__ = "disclosure"
    __table_args__ = (
        CheckConstraint("notice_status IN ('NOT_DUE')", name="notice_status_is_known"),
        UniqueConstraint("ref_id", "recipient", "purpose", "fields_digest", name="disclosure_once"),
        Index("disclosure_customer_page", "customer_id", "id"),
        Index("disclosure_recipient", "recipient", "id"),
    )
    id: uuid.UUID = primary_key()
    number: int = _number(DISCLOSURE_NUMBER)
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL)
    recipient: str = column(TEXT, tags.disclosure("user.behavior"))
    purpose: str = column(TEXT, tags.disclosure("user.behavior"))
    at: datetime = column(TIME, tags.disclosure("user.behavior"))
    fields: list[str] = column(ARRAY(TEXT), tags.disclosure("user.behavior"))
    # SHA-256 of the sorted coordinates, joined by commas.
    fields_digest: bytes = column(LargeBinary(), TECHNICAL)
    # The delivery or the customer whose fields were given; to an authority, the disclosure itself.
    ref_id: uuid.UUID = column(Uuid(), TECHNICAL)
    statute: str | None = column(TEXT, tags.disclosure("user.behavior"), null=True)
    requester: str | None = column(TEXT, tags.disclosure("user.behavior"), null=True)
    case_number: str | None = column(TEXT, tags.disclosure("user.unique_id"), null=True)
    visible_to_subject: bool = column(Boolean(), TECHNICAL, server_default=text("true"))
    # What it was when the row was written; what became of it since, `erasure_notice` says.
    notice_status: str = column(TEXT, TECHNICAL, server_default=text("'NOT_DUE'"))
    policy_version: str = column(TEXT, TECHNICAL)
    notice_version: str = column(TEXT, TECHNICAL)
    request_id: str = column(TEXT, TECHNICAL)


class DailySubject(SQLModel, table=True):
    """That an employee has read of a customer on a day (UTC), for the daily quota."""

    __tablename__ = "daily_subject"
    __table_args__ = (Index("daily_subject_day", "day"),)
    employee_id: uuid.UUID = Field(sa_column=Column(Uuid(), primary_key=True, info={"tag": TECHNICAL}))
    day: date = Field(sa_column=Column(Date(), primary_key=True, info={"tag": TECHNICAL}))
    customer_id: uuid.UUID = Field(sa_column=Column(Uuid(), primary_key=True, info={"tag": TECHNICAL}))


class DailyReading(SQLModel, table=True):
    """How many customers an employee has read of on a day (UTC), which never passes the quota."""

    __tablename__ = "daily_reading"
    __table_args__ = (CheckConstraint("subjects <= quota", name="read_quota"),)
    employee_id: uuid.UUID = Field(sa_column=Column(Uuid(), primary_key=True, info={"tag": TECHNICAL}))
    day: date = Field(sa_column=Column(Date(), primary_key=True, info={"tag": TECHNICAL}))
    subjects: int = column(Integer(), TECHNICAL)
    quota: int = column(Integer(), TECHNICAL)


class Seal(SQLModel, table=True):
    """Append only: what the rows of a chain from one number to another were when they were sealed."""

    __tablename__ = "seal"
    __table_args__ = (UniqueConstraint("chain", "first_number", name="seal_follows"),)
    # The sealed table: `access_record` or `disclosure`.
    chain: str = Field(sa_column=Column(TEXT, primary_key=True, info={"tag": TECHNICAL}))
    number: int = Field(sa_column=Column(BigInteger(), primary_key=True, info={"tag": TECHNICAL}))
    first_number: int = column(BigInteger(), TECHNICAL)
    last_number: int = column(BigInteger(), TECHNICAL)
    records: int = column(Integer(), TECHNICAL)
    # Which columns the lines hold, in which form: see `gateway.audit.lines`.
    line_version: int = column(Integer(), TECHNICAL)
    # For each row its number (8 bytes) and the SHA-256 of its line (32 bytes); gone with the rows.
    leaves: bytes | None = column(LargeBinary(), TECHNICAL, null=True)
    # SHA-256 of the leaves.
    digest: bytes = column(LargeBinary(), TECHNICAL)
    previous: bytes = column(LargeBinary(), TECHNICAL)
    # SHA-256 over the previous seal and every column above, but for the leaves, and over `sealed_at`.
    seal: bytes = column(LargeBinary(), TECHNICAL)
    sealed_at: datetime = column(TIME, TECHNICAL)
    dropped_at: datetime | None = column(TIME, TECHNICAL, null=True)
