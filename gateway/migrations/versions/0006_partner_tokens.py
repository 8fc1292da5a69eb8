"""What partners' tokens are narrowed to and rotated from, who hears of changes, the rights to make them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import TEXT, index, on_login_role, optional

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UPDATED = ("last_used_at", "revoked_at", "expires_at")
COLUMNS = ("documents", "deliveries", "parent_id", "first_id")

# A use changes no right. What was narrowed from a token ends with it.
TELLING = """
CREATE FUNCTION public.partner_token_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    changed uuid := coalesce(NEW.id, OLD.id);
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(OLD) - 'last_used_at' = to_jsonb(NEW) - 'last_used_at' THEN
        RETURN NULL;
    END IF;
    PERFORM pg_notify('principal_changed', 'partner_token:' || changed::text);
    PERFORM pg_notify('principal_changed', 'partner_token:' || child.id::text)
    FROM public.partner_token child LEFT JOIN public.partner_token parent ON parent.id = child.parent_id
    WHERE parent.id = changed OR parent.parent_id = changed;
    RETURN NULL;
END
$$
"""
TRIGGER = """
CREATE TRIGGER partner_token_changed AFTER INSERT OR UPDATE OR DELETE ON public.partner_token
FOR EACH ROW EXECUTE FUNCTION public.partner_token_changed()
"""


def upgrade() -> None:
    for column in (
        *optional(sa.ARRAY(TEXT), "documents"),
        *optional(sa.ARRAY(sa.Uuid()), "deliveries"),
        *optional(sa.Uuid(), "parent_id", "first_id"),
    ):
        op.add_column("partner_token", column)
    for name in ("parent_id", "first_id"):
        op.create_foreign_key(None, "partner_token", "partner_token", [name], ["id"])
    only_carriers = "deliveries IS NULL OR kind = 'CARRIER'"
    op.create_check_constraint("only_carriers_have_deliveries", "partner_token", only_carriers)
    index("partner_token_parent", "partner_token", "parent_id")
    index("partner_token_first", "partner_token", "first_id")
    op.execute(TELLING)
    op.execute("REVOKE ALL ON FUNCTION public.partner_token_changed() FROM PUBLIC")
    op.execute(TRIGGER)
    on_login_role(grant)


def downgrade() -> None:
    on_login_role(revoke)
    op.execute("DROP TRIGGER partner_token_changed ON public.partner_token")
    op.execute("DROP FUNCTION public.partner_token_changed()")
    op.drop_constraint("only_carriers_have_deliveries", "partner_token")
    for column in COLUMNS:
        op.drop_column("partner_token", column)


def grant(role: str) -> None:
    op.execute(f"GRANT INSERT ON partner_token TO {role}")
    op.execute(f"GRANT UPDATE ({', '.join(UPDATED)}) ON partner_token TO {role}")


def revoke(role: str) -> None:
    op.execute(f"REVOKE UPDATE ({', '.join(UPDATED)}) ON partner_token FROM {role}")
    op.execute(f"REVOKE INSERT ON partner_token FROM {role}")
