"""Who hears that a looked-up column of a session has changed, and that a whole table was emptied."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TELLING = """
CREATE OR REPLACE FUNCTION public.session_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_notify('principal_changed', 'session:' || COALESCE(OLD.id, NEW.id)::text);
    IF TG_OP = 'UPDATE' AND OLD.id <> NEW.id THEN
        PERFORM pg_notify('principal_changed', 'session:' || NEW.id::text);
    END IF;
    RETURN NULL;
END
$$
"""
TOLD_BEFORE = """
CREATE OR REPLACE FUNCTION public.session_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_notify('principal_changed', 'session:' || COALESCE(NEW.id, OLD.id)::text);
    RETURN NULL;
END
$$
"""
TRIGGER = """
CREATE TRIGGER session_changed AFTER INSERT OR UPDATE OF {columns} OR DELETE
ON public.session FOR EACH ROW EXECUTE FUNCTION public.session_changed()
"""
COLUMNS = "id, customer_id, order_id, expires_at, ended_at"
COLUMNS_BEFORE = "customer_id, expires_at, ended_at"
# What is no notice of one principal has everything forgotten.
EMPTIED = """
CREATE FUNCTION public.principals_emptied() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_notify('principal_changed', 'all');
    RETURN NULL;
END
$$
"""
TABLES = ("session", "customer", "employee", "designation", "partner_token", "carrier")


def upgrade() -> None:
    make_session_trigger(TELLING, COLUMNS)
    op.execute(EMPTIED)
    op.execute("REVOKE ALL ON FUNCTION public.principals_emptied() FROM PUBLIC")
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER principals_emptied AFTER TRUNCATE ON public.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION public.principals_emptied()"
        )


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TRIGGER principals_emptied ON public.{table}")
    op.execute("DROP FUNCTION public.principals_emptied()")
    make_session_trigger(TOLD_BEFORE, COLUMNS_BEFORE)


def make_session_trigger(telling: str, columns: str) -> None:
    op.execute("DROP TRIGGER session_changed ON public.session")
    op.execute(telling)
    op.execute(TRIGGER.format(columns=columns))
