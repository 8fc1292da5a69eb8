"""Retention: the keeper's rights, what it is noted as, and orders that can be linked to an empty customer."""

from __future__ import annotations

from alembic import op

from gateway.migrations.steps import index, on_keeper_role, retention_grants, retention_revokes

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SOURCES = (
    "REGISTRATION",
    "CHECKOUT",
    "CUSTOMER",
    "STAFF_ON_BEHALF",
    "STAFF",
    "CARRIER_EVENT",
    "UNSUBSCRIBE_LINK",
)
# What belongs to an order is its customer's by a key of both: table, parent, column, and what else it says.
CHILDREN = (
    ("order_line", "orders", "order_id", ""),
    ("delivery", "orders", "order_id", ""),
    ("returns", "orders", "order_id", ""),
    ("session", "orders", "order_id", " ON DELETE CASCADE"),
    ("subject_request", "orders", "order_id", ""),
    ("legal_hold", "orders", "order_id", ""),
    ("delivery_event", "delivery", "delivery_id", ""),
    ("return_line", "returns", "return_id", ""),
)
OF_ORDERS = ("subject_request", "legal_hold")


def upgrade() -> None:
    note_sources(*SOURCES, "RETENTION")
    for table, parent, column, more in CHILDREN:
        follow(table, parent, column, f"{more} ON UPDATE CASCADE")
    for table in OF_ORDERS:
        index(f"{table}_order", table, "order_id", where="order_id IS NOT NULL")
    on_keeper_role(grant)


def downgrade() -> None:
    on_keeper_role(revoke)
    for table in OF_ORDERS:
        op.drop_index(f"{table}_order", table)
    for table, parent, column, more in CHILDREN:
        follow(table, parent, column, more)
    op.execute("DELETE FROM change WHERE source = 'RETENTION'")
    note_sources(*SOURCES)


def note_sources(*sources: str) -> None:
    listed = ", ".join(f"'{source}'" for source in sources)
    op.drop_constraint("source_is_known", "change")
    op.create_check_constraint("source_is_known", "change", f"source IN ({listed})")


def follow(table: str, parent: str, column: str, more: str) -> None:
    name = f"{table}_{column}_customer_id_fkey"
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}, customer_id)"
        f" REFERENCES {parent} (id, customer_id){more}"
    )


def grant(role: str) -> None:
    for statement in retention_grants(role):
        op.execute(statement)


def revoke(role: str) -> None:
    for statement in retention_revokes(role):
        op.execute(statement)
