"""The triggers that tell the gateway's workers of changes of deliveries: two ids, and nothing else."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TELLING = """
CREATE FUNCTION public.delivery_updated() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_notify('delivery_updated', NEW.id::text || ',' || NEW.order_id::text);
    RETURN NULL;
END
$$
"""
# Who may report an event need not be allowed to read the delivery.
TELLING_OF_EVENTS = """
CREATE FUNCTION public.delivery_event_reported() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_notify('delivery_updated', delivery.id::text || ',' || delivery.order_id::text)
    FROM public.delivery WHERE delivery.id = NEW.delivery_id;
    RETURN NULL;
END
$$
"""
TRIGGER = """
CREATE TRIGGER delivery_updated AFTER INSERT OR UPDATE ON public.delivery
FOR EACH ROW EXECUTE FUNCTION public.delivery_updated()
"""
TRIGGER_OF_EVENTS = """
CREATE TRIGGER delivery_event_reported AFTER INSERT ON public.delivery_event
FOR EACH ROW EXECUTE FUNCTION public.delivery_event_reported()
"""


def upgrade() -> None:
    op.execute(TELLING)
    op.execute(TELLING_OF_EVENTS)
    op.execute("REVOKE ALL ON FUNCTION public.delivery_updated() FROM PUBLIC")
    op.execute("REVOKE ALL ON FUNCTION public.delivery_event_reported() FROM PUBLIC")
    op.execute(TRIGGER)
    op.execute(TRIGGER_OF_EVENTS)


def downgrade() -> None:
    op.execute("DROP TRIGGER delivery_event_reported ON public.delivery_event")
    op.execute("DROP TRIGGER delivery_updated ON public.delivery")
    op.execute("DROP FUNCTION public.delivery_event_reported()")
    op.execute("DROP FUNCTION public.delivery_updated()")
