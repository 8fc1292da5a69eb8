"""Refunds that are due are found in their order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

NAME = "returns_refund_due"


def upgrade() -> None:
    order = [sa.text("refund_due_at"), sa.text("id DESC")]
    op.create_index(NAME, "returns", order, postgresql_where=sa.text("refunded_at IS NULL"))


def downgrade() -> None:
    op.drop_index(NAME, "returns")
