"""Customers as the store's identity provider knows them; who hears that one is known so no more."""

from __future__ import annotations

from alembic import op

from gateway.migrations.steps import TEXT, optional

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# The login role reads the whole table and may not write this column.
TELLING = """
CREATE FUNCTION public.customer_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_notify('principal_changed', 'customer:' || OLD.id::text);
    RETURN NULL;
END
$$
"""
# Who had no subject was not known by one, and that somebody is not known is never believed.
TRIGGER = """
CREATE TRIGGER customer_changed AFTER UPDATE OF subject, status, erased_at OR DELETE ON public.customer
FOR EACH ROW WHEN (OLD.subject IS NOT NULL) EXECUTE FUNCTION public.customer_changed()
"""


def upgrade() -> None:
    op.add_column("customer", *optional(TEXT, "subject"))
    op.create_unique_constraint(None, "customer", ["subject"])
    op.execute(TELLING)
    op.execute("REVOKE ALL ON FUNCTION public.customer_changed() FROM PUBLIC")
    op.execute(TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER customer_changed ON public.customer")
    op.execute("DROP FUNCTION public.customer_changed()")
    op.drop_column("customer", "subject")
