"""Employees as their identity provider knows them, who ends a designation and why, and who may write that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import TEXT, on_login_role, optional

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

DESIGNATED = ("id", "employee_id", "role", "reason", "designated_by", "valid_from", "valid_to")
REVOKED = ("revoked_at", "revoked_by", "revoked_reason")
RULES = {
    "nobody_revokes_their_own": "revoked_by <> employee_id",
    "holds_for_some_time": "valid_from < valid_to",
    "has_a_reason": "btrim(reason) <> ''",
}
# Whose rights a change may have changed: nothing but the ids of employees.
TELLING = """
CREATE FUNCTION public.employee_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('principal_changed', 'employee:' || (to_jsonb(OLD) ->> TG_ARGV[0]));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('principal_changed', 'employee:' || (to_jsonb(NEW) ->> TG_ARGV[0]));
    END IF;
    RETURN NULL;
END
$$
"""
# The column that says whose rights a row decides about, by table.
WHOSE = {"employee": "id", "designation": "employee_id"}


def upgrade() -> None:
    op.add_column("employee", *optional(TEXT, "subject"))
    op.create_unique_constraint(None, "employee", ["subject"])
    for column in (*optional(sa.Uuid(), "revoked_by"), *optional(TEXT, "revoked_reason")):
        op.add_column("designation", column)
    op.create_foreign_key(None, "designation", "employee", ["revoked_by"], ["id"])
    for name, condition in RULES.items():
        op.create_check_constraint(name, "designation", condition)
    op.execute(TELLING)
    op.execute("REVOKE ALL ON FUNCTION public.employee_changed() FROM PUBLIC")
    for table, whose in WHOSE.items():
        op.execute(
            f"CREATE TRIGGER employee_changed AFTER INSERT OR UPDATE OR DELETE ON public.{table}"
            f" FOR EACH ROW EXECUTE FUNCTION public.employee_changed('{whose}')"
        )
    on_login_role(grant)


def downgrade() -> None:
    on_login_role(revoke)
    for table in WHOSE:
        op.execute(f"DROP TRIGGER employee_changed ON public.{table}")
    op.execute("DROP FUNCTION public.employee_changed()")
    for name in RULES:
        op.drop_constraint(name, "designation")
    for column in ("revoked_by", "revoked_reason"):
        op.drop_column("designation", column)
    op.drop_column("employee", "subject")


def grant(role: str) -> None:
    op.execute(f"GRANT INSERT ({', '.join(DESIGNATED)}) ON designation TO {role}")
    op.execute(f"GRANT UPDATE ({', '.join(REVOKED)}) ON designation TO {role}")


def revoke(role: str) -> None:
    op.execute(f"REVOKE UPDATE ({', '.join(REVOKED)}) ON designation FROM {role}")
    op.execute(f"REVOKE INSERT ({', '.join(DESIGNATED)}) ON designation FROM {role}")
