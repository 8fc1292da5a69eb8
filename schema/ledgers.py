"""What the gateway keeps beside the register: provenance, answered keys, attempts, mail, numbers."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, Sequence, Uuid, text
from sqlmodel import Field, SQLModel

from . import tags
from .columns import TEXT, TIME, Known, column, primary_key
from .states import ChangeSource
from .tags import TECHNICAL

MADE_HERE = "made by the gateway"

CUSTOMER_NUMBER = Sequence("customer_number", data_type=BigInteger, metadata=SQLModel.metadata)
ORDER_NUMBER = Sequence("order_number", data_type=BigInteger, metadata=SQLModel.metadata)
RETURN_NUMBER = Sequence("return_number", data_type=BigInteger, metadata=SQLModel.metadata)


class Change(SQLModel, table=True):
    """Append only: which personal field changed, when, by whom and from what source, without the value."""

    __tablename__ = "change"
    __table_args__ = (
        Index("change_customer_page", "customer_id", "id"),
        Index("change_entity", "entity_id"),
    )
    id: uuid.UUID = primary_key()
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("customer.id"))
    # `entity` and `field` are names of the GraphQL schema: `Customer`, `postalCode`.
    entity: str = column(TEXT, tags.account("user.account", MADE_HERE))
    entity_id: uuid.UUID = column(Uuid(), TECHNICAL)
    field: str = column(TEXT, tags.account("user.account", MADE_HERE))
    at: datetime = column(TIME, tags.account("user.behavior", MADE_HERE))
    source: str = column(Known("change_source", ChangeSource), tags.account("user.behavior", MADE_HERE))
    # A global id or `anonymous`.
    actor: str = column(TEXT, tags.account("user.unique_id", MADE_HERE))


class Idempotency(SQLModel, table=True):
    """What a principal's key has led to, so that the same request again changes nothing."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("idempotency_created_at", "created_at"),)
    principal: str = Field(
        sa_column=Column(TEXT, primary_key=True, info={"tag": tags.account("user.unique_id", MADE_HERE)})
    )
    key: uuid.UUID = Field(sa_column=Column(Uuid(), primary_key=True, info={"tag": TECHNICAL}))
    mutation: str = column(TEXT, TECHNICAL)
    # A keyed digest: without the key nobody can try out what the input was.
    digest: str = column(TEXT, TECHNICAL)
    entity: str = column(TEXT, TECHNICAL)
    entity_id: uuid.UUID = column(Uuid(), TECHNICAL)
    created_at: datetime = column(TIME, TECHNICAL)


class Attempt(SQLModel, table=True):
    """How full a bucket of attempts at secrets was at a moment; it drains from then on."""

    __tablename__ = "attempt"
    __table_args__ = (Index("attempt_at", "at"),)
    # A keyed digest of the account and the network: without the key nobody can try out whose it is.
    bucket: str = Field(sa_column=Column(TEXT, primary_key=True, info={"tag": TECHNICAL}))
    level: float = column(Double(), TECHNICAL)
    at: datetime = column(TIME, TECHNICAL)


class Mail(SQLModel, table=True):
    """A message to be sent; its row goes when it is sent, and stays with `failed_at` when it cannot be.

    Then without its body, which may hold a secret and is read by nobody any more.
    """

    __tablename__ = "mail"
    __table_args__ = (
        Index("mail_due", "next_attempt_at", postgresql_where=text("failed_at IS NULL")),
        Index("mail_customer", "customer_id"),
    )
    id: uuid.UUID = primary_key()
    customer_id: uuid.UUID | None = column(Uuid(), TECHNICAL, ForeignKey("customer.id"), null=True)
    kind: str = column(TEXT, tags.account("user.account", MADE_HERE))
    recipient: str = column(TEXT, tags.account("user.contact.email"))
    subject: str = column(TEXT, tags.account("user.content", MADE_HERE))
    body: str = column(TEXT, tags.account("user.content", MADE_HERE))
    created_at: datetime = column(TIME, TECHNICAL)
    attempts: int = column(Integer(), TECHNICAL, server_default=text("0"))
    next_attempt_at: datetime = column(TIME, TECHNICAL)
    failed_at: datetime | None = column(TIME, TECHNICAL, null=True)
