"""How customers sign in; in no GraphQL schema."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Column, ForeignKey, Index, Uuid, text
from sqlmodel import Field, SQLModel

from . import tags
from .columns import TEXT, TIME, column
from .tags import TECHNICAL


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
    )
    customer_id: uuid.UUID = Field(
        sa_column=Column(Uuid(), ForeignKey("customer.id"), primary_key=True, info={"tag": TECHNICAL})
    )
    email: str = column(TEXT, tags.account("user.contact.email", "registration"))
    password_hash: str = column(TEXT, tags.account("user.authorization.credentials.password", "customer"))
    created_at: datetime = column(TIME, tags.account("user.account", "registration"))
    confirmed_at: datetime | None = column(TIME, tags.account("user.account", "customer"), null=True)
