"""Sessions of single orders; who hears that a customer is erased; given-up mail keeps no text."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import index, on_login_role, optional

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# An erased customer's sessions are found no more: whoever knows one asks again.
TELLING = """
CREATE FUNCTION public.customer_erased() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_notify('principal_changed', 'session:' || session.id::text)
    FROM public.session WHERE session.customer_id = NEW.id AND session.ended_at IS NULL;
    RETURN NULL;
END
$$
"""
TRIGGER = """
CREATE TRIGGER customer_erased AFTER UPDATE OF status, erased_at ON public.customer
FOR EACH ROW WHEN (NEW.status = 'ERASED' OR NEW.erased_at IS NOT NULL)
EXECUTE FUNCTION public.customer_erased()
"""


def upgrade() -> None:
    op.add_column("session", *optional(sa.Uuid(), "order_id"))
    # A session ends with its order.
    op.create_foreign_key(
        None,
        "session",
        "orders",
        ["order_id", "customer_id"],
        ["id", "customer_id"],
        ondelete="CASCADE",
    )
    index("session_order", "session", "order_id", where="order_id IS NOT NULL")
    op.execute(TELLING)
    op.execute("REVOKE ALL ON FUNCTION public.customer_erased() FROM PUBLIC")
    op.execute(TRIGGER)
    op.execute("UPDATE mail SET body = '' WHERE failed_at IS NOT NULL")
    on_login_role(grant)


def downgrade() -> None:
    on_login_role(revoke)
    op.execute("DROP TRIGGER customer_erased ON public.customer")
    op.execute("DROP FUNCTION public.customer_erased()")
    # Without its order a session would be of the whole account.
    op.execute("DELETE FROM session WHERE order_id IS NOT NULL")
    op.drop_column("session", "order_id")


def grant(role: str) -> None:
    op.execute(f"GRANT INSERT (order_id) ON session TO {role}")
    op.execute(f"GRANT UPDATE (body) ON mail TO {role}")


def revoke(role: str) -> None:
    op.execute(f"REVOKE UPDATE (body) ON mail FROM {role}")
    op.execute(f"REVOKE INSERT (order_id) ON session FROM {role}")
