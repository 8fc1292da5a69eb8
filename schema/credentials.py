"""How customers sign in and stay signed in; in no GraphQL schema.

Of every secret that is handed out, only a hash is kept.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import Enum

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, Uuid, text
from sqlmodel import Field, SQLModel

from . import tags
from .columns import TEXT, TIME, column, of_order, one_of, primary_key
from .tags import TECHNICAL

MADE_HERE = "made by the gateway"


class SessionEnd(Enum):
    """Why a session ended before its time."""

    SIGNED_OUT = "SIGNED_OUT"
    TOKEN_REUSED = "TOKEN_REUSED"  # noqa: S105  # no secret
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105  # no secret
    ADDRESS_CHANGED = "ADDRESS_CHANGED"


class LinkKind(Enum):
    """What a one-time link is good for."""

    CONFIRM_EMAIL = "CONFIRM_EMAIL"
    RESET_PASSWORD = "RESET_PASSWORD"  # noqa: S105  # no secret


class Credential(SQLModel, table=True):
    """One to a customer; of those with the same address only one can be confirmed."""

    __tablename__ = "credential"
    __table_args__ = (
        Index(
            "credential_confirmed_once",
            "email",
            unique=True,
            postgresql_where=text("confirmed_at IS NOT NULL"),
        ),
        Index("credential_email", "email"),
    )
    customer_id: uuid.UUID = Field(
        sa_column=Column(Uuid(), ForeignKey("customer.id"), primary_key=True, info={"tag": TECHNICAL})
    )
    email: str = column(TEXT, tags.account("user.contact.email", "registration"))
    password_hash: str = column(TEXT, tags.account("user.authorization.credentials.password", "customer"))
    created_at: datetime = column(TIME, tags.account("user.account", "registration"))
    confirmed_at: datetime | None = column(TIME, tags.account("user.account", "customer"), null=True)


class Session(SQLModel, table=True):
    """The family of tokens that began with one sign-in, or the one token of an order; they end together."""

    __tablename__ = "session"
    __table_args__ = (
        one_of("ended_why", SessionEnd),
        of_order(ondelete="CASCADE"),
        UniqueConstraint("id", "customer_id", name="session_id_customer"),
        Index("session_customer", "customer_id"),
        Index("session_order", "order_id", postgresql_where=text("order_id IS NOT NULL")),
        Index("session_expires_at", "expires_at"),
    )
    id: uuid.UUID = primary_key()
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("customer.id"))
    # Of a token for one order; null where the session is of the whole account.
    order_id: uuid.UUID | None = column(Uuid(), TECHNICAL, null=True)
    created_at: datetime = column(TIME, tags.account("user.behavior", MADE_HERE))
    last_refreshed_at: datetime = column(TIME, tags.account("user.behavior", MADE_HERE))
    expires_at: datetime = column(TIME, tags.account("user.account", MADE_HERE))
    ended_at: datetime | None = column(TIME, tags.account("user.behavior", MADE_HERE), null=True)
    ended_why: str | None = column(TEXT, tags.account("user.behavior", MADE_HERE), null=True)


class RefreshToken(SQLModel, table=True):
    """A refresh token, good for one use; a second use of a used one gives a theft away."""

    __tablename__ = "refresh_token"
    __table_args__ = (
        ForeignKeyConstraint(
            ["session_id", "customer_id"], ["session.id", "session.customer_id"], ondelete="CASCADE"
        ),
        Index("refresh_token_session", "session_id"),
    )
    hash: str = Field(sa_column=Column(TEXT, primary_key=True, info={"tag": TECHNICAL}))
    session_id: uuid.UUID = column(Uuid(), TECHNICAL)
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL)
    issued_at: datetime = column(TIME, tags.account("user.behavior", MADE_HERE))
    expires_at: datetime = column(TIME, tags.account("user.account", MADE_HERE))
    used_at: datetime | None = column(TIME, tags.account("user.behavior", MADE_HERE), null=True)


class OneTimeLink(SQLModel, table=True):
    """A link that was mailed: whoever uses it can read the mail of the address."""

    __tablename__ = "one_time_link"
    __table_args__ = (
        one_of("kind", LinkKind),
        Index("one_time_link_customer", "customer_id"),
        Index("one_time_link_expires_at", "expires_at"),
    )
    hash: str = Field(sa_column=Column(TEXT, primary_key=True, info={"tag": TECHNICAL}))
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("customer.id"))
    kind: str = column(TEXT, tags.account("user.account", MADE_HERE))
    email: str = column(TEXT, tags.account("user.contact.email", "registration, customer"))
    created_at: datetime = column(TIME, tags.account("user.behavior", MADE_HERE))
    expires_at: datetime = column(TIME, tags.account("user.account", MADE_HERE))
    used_at: datetime | None = column(TIME, tags.account("user.behavior", MADE_HERE), null=True)
