"""Copies of people's data are kept in pieces, so that nobody who makes or reads one holds it whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import key, on_login_role, required

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("export_document", "document")
    op.create_unique_constraint("export_document_id_customer", "export_document", ["id", "customer_id"])
    op.create_table(
        "export_piece",
        key("document_id", sa.Uuid()),
        key("number", sa.BigInteger()),
        *required(sa.Uuid(), "customer_id"),
        *required(sa.LargeBinary(), "piece"),
        sa.ForeignKeyConstraint(
            ["document_id", "customer_id"],
            ["export_document.id", "export_document.customer_id"],
            ondelete="CASCADE",
        ),
    )
    on_login_role(lambda role: op.execute(f"GRANT SELECT, INSERT ON export_piece TO {role}"))


def downgrade() -> None:
    op.drop_table("export_piece")
    op.drop_constraint("export_document_id_customer", "export_document")
    op.execute("DELETE FROM export_document")
    op.add_column("export_document", sa.Column("document", sa.LargeBinary(), nullable=False))
