"""Who hears that a carrier is active no more, or again: its tokens count as revoked meanwhile."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# What is known of a partner's token holds whether its carrier is active, and what it is called.
TELLING = """
CREATE FUNCTION public.carrier_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_notify('principal_changed', 'carrier:' || NEW.id::text);
    RETURN NULL;
END
$$
"""
TRIGGER = """
CREATE TRIGGER carrier_changed AFTER UPDATE ON public.carrier
FOR EACH ROW WHEN (OLD.active IS DISTINCT FROM NEW.active OR OLD.name IS DISTINCT FROM NEW.name)
EXECUTE FUNCTION public.carrier_changed()
"""


def upgrade() -> None:
    op.execute(TELLING)
    op.execute("REVOKE ALL ON FUNCTION public.carrier_changed() FROM PUBLIC")
    op.execute(TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER carrier_changed ON public.carrier")
    op.execute("DROP FUNCTION public.carrier_changed()")
