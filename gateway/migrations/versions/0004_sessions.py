"""Customers' sessions: refresh tokens, one-time links of mails, and the rights to change credentials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import (
    TEXT,
    TIME,
    index,
    key,
    on_login_role,
    one_of,
    optional,
    points_to,
    required,
)

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = ("session", "refresh_token", "one_time_link")
INSERTED = {
    "session": ("id", "customer_id", "created_at", "last_refreshed_at", "expires_at"),
    "refresh_token": ("hash", "session_id", "customer_id", "issued_at", "expires_at"),
    "one_time_link": ("hash", "customer_id", "kind", "email", "created_at", "expires_at"),
}
DELETED = ("session", "one_time_link")
UPDATED = {
    "credential": ("password_hash", "confirmed_at", "email"),
    "session": ("last_refreshed_at", "ended_at", "ended_why"),
    "refresh_token": ("used_at",),
    "one_time_link": ("used_at",),
}

TELLING = """
CREATE FUNCTION public.session_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_notify('principal_changed', 'session:' || COALESCE(NEW.id, OLD.id)::text);
    RETURN NULL;
END
$$
"""
TRIGGER = """
CREATE TRIGGER session_changed AFTER INSERT OR UPDATE OF customer_id, expires_at, ended_at OR DELETE
ON public.session FOR EACH ROW EXECUTE FUNCTION public.session_changed()
"""


def upgrade() -> None:
    create_session()
    create_refresh_token()
    create_one_time_link()
    op.execute(TELLING)
    op.execute("REVOKE ALL ON FUNCTION public.session_changed() FROM PUBLIC")
    op.execute(TRIGGER)
    on_login_role(grant)


def downgrade() -> None:
    on_login_role(revoke)
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DROP FUNCTION public.session_changed()")


def create_session() -> None:
    op.create_table(
        "session",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "customer_id"),
        *required(TIME, "created_at", "last_refreshed_at", "expires_at"),
        *optional(TIME, "ended_at"),
        *optional(TEXT, "ended_why"),
        one_of("ended_why", "SIGNED_OUT", "TOKEN_REUSED", "PASSWORD_CHANGED"),
        points_to("customer", "customer_id"),
        sa.UniqueConstraint("id", "customer_id", name="session_id_customer"),
    )
    index("session_customer", "session", "customer_id")
    index("session_expires_at", "session", "expires_at")


def create_refresh_token() -> None:
    op.create_table(
        "refresh_token",
        key("hash", TEXT),
        *required(sa.Uuid(), "session_id", "customer_id"),
        *required(TIME, "issued_at", "expires_at"),
        *optional(TIME, "used_at"),
        sa.ForeignKeyConstraint(
            ["session_id", "customer_id"], ["session.id", "session.customer_id"], ondelete="CASCADE"
        ),
    )
    index("refresh_token_session", "refresh_token", "session_id")


def create_one_time_link() -> None:
    op.create_table(
        "one_time_link",
        key("hash", TEXT),
        *required(sa.Uuid(), "customer_id"),
        *required(TEXT, "kind", "email"),
        *required(TIME, "created_at", "expires_at"),
        *optional(TIME, "used_at"),
        one_of("kind", "CONFIRM_EMAIL", "RESET_PASSWORD"),
        points_to("customer", "customer_id"),
    )
    index("one_time_link_customer", "one_time_link", "customer_id")
    index("one_time_link_expires_at", "one_time_link", "expires_at")


def grant(role: str) -> None:
    op.execute(f"GRANT SELECT ON credential, {', '.join(TABLES)} TO {role}")
    for table, columns in INSERTED.items():
        op.execute(f"GRANT INSERT ({', '.join(columns)}) ON {table} TO {role}")
    op.execute(f"GRANT DELETE ON {', '.join(DELETED)} TO {role}")
    for table, columns in UPDATED.items():
        op.execute(f"GRANT UPDATE ({', '.join(columns)}) ON {table} TO {role}")


def revoke(role: str) -> None:
    for table, columns in UPDATED.items():
        op.execute(f"REVOKE UPDATE ({', '.join(columns)}) ON {table} FROM {role}")
    op.execute(f"REVOKE DELETE ON {', '.join(DELETED)} FROM {role}")
    for table, columns in INSERTED.items():
        op.execute(f"REVOKE INSERT ({', '.join(columns)}) ON {table} FROM {role}")
    op.execute(f"REVOKE SELECT ON credential, {', '.join(TABLES)} FROM {role}")  # noqa: S608  # a quoted identifier
