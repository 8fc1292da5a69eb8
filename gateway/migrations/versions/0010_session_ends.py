"""Sessions end where another address is confirmed; credentials are found by any address of theirs."""

from __future__ import annotations

from alembic import op

from gateway.migrations.steps import index

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NAME, KNOWN = "ended_why_is_known", "ended_why IN ('SIGNED_OUT', 'TOKEN_REUSED', 'PASSWORD_CHANGED'{more})"


def upgrade() -> None:
    op.drop_constraint(NAME, "session")
    op.create_check_constraint(NAME, "session", KNOWN.format(more=", 'ADDRESS_CHANGED'"))
    index("credential_email", "credential", "email")


def downgrade() -> None:
    op.drop_index("credential_email", "credential")
    op.execute("UPDATE session SET ended_why = 'SIGNED_OUT' WHERE ended_why = 'ADDRESS_CHANGED'")
    op.drop_constraint(NAME, "session")
    op.create_check_constraint(NAME, "session", KNOWN.format(more=""))
