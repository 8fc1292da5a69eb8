"""What is written with almost every request holds known values by a domain, whose check is planned once."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Domain, table, column, the values.
KNOWN = (
    ("customer_status", "customer", "status", ("ACTIVE", "RESTRICTED", "ERASED")),
    (
        "change_source",
        "change",
        "source",
        (
            "REGISTRATION",
            "CHECKOUT",
            "CUSTOMER",
            "STAFF_ON_BEHALF",
            "STAFF",
            "CARRIER_EVENT",
            "UNSUBSCRIBE_LINK",
            "RETENTION",
        ),
    ),
    ("access_decision", "access_record", "decision", ("ALLOWED", "REFUSED")),
)
# They name the column, whose type changes under none; as they were made, 0007 and 0008 say why.
TRIGGERS = (
    """
CREATE TRIGGER customer_changed AFTER UPDATE OF subject, status, erased_at OR DELETE ON public.customer
FOR EACH ROW WHEN (OLD.subject IS NOT NULL) EXECUTE FUNCTION public.customer_changed()
""",
    """
CREATE TRIGGER customer_erased AFTER UPDATE OF status, erased_at ON public.customer
FOR EACH ROW WHEN (NEW.status = 'ERASED' OR NEW.erased_at IS NOT NULL)
EXECUTE FUNCTION public.customer_erased()
""",
)


def upgrade() -> None:
    drop_triggers()
    for domain, table, column, values in KNOWN:
        # Without a check yet, so that no table is written anew: that of the domain reads each once.
        op.execute(f'CREATE DOMAIN public.{domain} AS text COLLATE "C"')
        op.execute(f"ALTER TABLE public.{table} DROP CONSTRAINT {column}_is_known")
        op.execute(f"ALTER TABLE public.{table} ALTER COLUMN {column} TYPE public.{domain}")
        known = f"CONSTRAINT {column}_is_known CHECK (VALUE IN ({listed(values)}))"
        op.execute(f"ALTER DOMAIN public.{domain} ADD {known}")
    make_triggers()
    count_values()


def downgrade() -> None:
    drop_triggers()
    for domain, table, column, values in KNOWN:
        op.execute(f'ALTER TABLE public.{table} ALTER COLUMN {column} TYPE text COLLATE "C"')
        op.execute(f"DROP DOMAIN public.{domain}")
        known = f"CONSTRAINT {column}_is_known CHECK ({column} IN ({listed(values)}))"
        op.execute(f"ALTER TABLE public.{table} ADD {known}")
    make_triggers()
    count_values()


def listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def count_values() -> None:
    """With its type a column loses what the planner knew of its values."""
    for _, table, column, _ in KNOWN:
        op.execute(f"ANALYZE public.{table} ({column})")


def drop_triggers() -> None:
    for name in ("customer_changed", "customer_erased"):
        op.execute(f"DROP TRIGGER {name} ON public.customer")


def make_triggers() -> None:
    for trigger in TRIGGERS:
        op.execute(trigger)
