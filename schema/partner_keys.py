"""The table of partners' tokens: whose, until when, and what each of them is limited to."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Uuid, text
from sqlmodel import SQLModel

from . import tags
from .columns import TEXT, TIME, column, one_of, primary_key
from .states import PartnerKind
from .tags import CARRIER_DATA, TECHNICAL


class PartnerToken(SQLModel, table=True):
    """A restricted token of a carrier or of the newsletter provider; only its hash is kept."""

    __tablename__ = "partner_token"
    __table_args__ = (
        one_of("kind", PartnerKind),
        CheckConstraint("(kind = 'CARRIER') = (carrier_id IS NOT NULL)", name="carrier_token_has_carrier"),
        CheckConstraint("expires_at <= created_at + interval '90 days'", name="expires_within_90_days"),
        CheckConstraint("deliveries IS NULL OR kind = 'CARRIER'", name="only_carriers_have_deliveries"),
        Index("partner_token_parent", "parent_id"),
        Index("partner_token_first", "first_id"),
    )
    id: uuid.UUID = primary_key()
    partner: str = column(TEXT, CARRIER_DATA)
    kind: str = column(TEXT, CARRIER_DATA)
    carrier_id: uuid.UUID | None = column(Uuid(), TECHNICAL, ForeignKey("carrier.id"), null=True)
    prefix: str = column(TEXT, TECHNICAL)
    hash: str = column(TEXT, TECHNICAL, unique=True)
    # Coordinates of root fields; an empty list limits to nothing, here and in `networks`.
    operations: list[str] = column(ARRAY(TEXT), TECHNICAL, server_default=text("'{}'"))
    networks: list[str] = column(ARRAY(TEXT), TECHNICAL, server_default=text("'{}'"))
    # SHA-256 of each document it may ask, in hexadecimal, and the deliveries it is for; null: any.
    documents: list[str] | None = column(ARRAY(TEXT), TECHNICAL, null=True)
    deliveries: list[uuid.UUID] | None = column(ARRAY(Uuid()), TECHNICAL, null=True)
    # The token it was narrowed from, and the first key of the rotation it comes from; null for that itself.
    parent_id: uuid.UUID | None = column(Uuid(), TECHNICAL, ForeignKey("partner_token.id"), null=True)
    first_id: uuid.UUID | None = column(Uuid(), TECHNICAL, ForeignKey("partner_token.id"), null=True)
    issued_by: str = column(TEXT, tags.staff("user.unique_id"))
    created_at: datetime = column(TIME, TECHNICAL)
    expires_at: datetime = column(TIME, TECHNICAL)
    last_used_at: datetime | None = column(TIME, TECHNICAL, null=True)
    revoked_at: datetime | None = column(TIME, TECHNICAL, null=True)
