"""A consent that was taken back by the link in a newsletter has a source of its own."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NAME = "source_is_known"
KNOWN = (
    "source IN ('REGISTRATION', 'CHECKOUT', 'CUSTOMER', 'STAFF_ON_BEHALF', 'STAFF', 'CARRIER_EVENT'{more})"
)


def upgrade() -> None:
    op.drop_constraint(NAME, "change")
    op.create_check_constraint(NAME, "change", KNOWN.format(more=", 'UNSUBSCRIBE_LINK'"))


def downgrade() -> None:
    # What a link changed was the customer's to change: the older schema has no other word for it.
    op.execute("UPDATE change SET source = 'CUSTOMER' WHERE source = 'UNSUBSCRIBE_LINK'")
    op.drop_constraint(NAME, "change")
    op.create_check_constraint(NAME, "change", KNOWN.format(more=""))
