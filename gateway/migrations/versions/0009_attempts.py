"""Attempts at secrets, counted by all workers together, and the rights to count them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import TEXT, TIME, index, key, on_login_role, required

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UPDATED = ("level", "at")


def upgrade() -> None:
    op.create_table(
        "attempt",
        key("bucket", TEXT),
        *required(sa.Double(), "level"),
        *required(TIME, "at"),
    )
    index("attempt_at", "attempt", "at")
    on_login_role(grant)


def downgrade() -> None:
    on_login_role(revoke)
    op.drop_table("attempt")


def grant(role: str) -> None:
    op.execute(f"GRANT SELECT, INSERT, DELETE ON attempt TO {role}")
    op.execute(f"GRANT UPDATE ({', '.join(UPDATED)}) ON attempt TO {role}")


def revoke(role: str) -> None:
    op.execute(f"REVOKE UPDATE ({', '.join(UPDATED)}) ON attempt FROM {role}")
    op.execute(f"REVOKE SELECT, INSERT, DELETE ON attempt FROM {role}")
