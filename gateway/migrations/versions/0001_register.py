"""The register's tables, the trigger that keeps `marketing_consent`, and the rights of the read path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text(collation="C")
TIME = sa.DateTime(timezone=True)
MONEY = sa.Numeric(12, 2)

# In the order of their foreign keys.
TABLES = (
    *("customer", "credential", "consent_event", "orders", "order_line", "carrier", "carrier_service"),
    *("delivery", "delivery_event", "returns", "return_line", "partner_token", "employee", "designation"),
    "setting",
)
# The read path needs the revision too: `gateway serve` asks whether the database is migrated.
READABLE = (*(name for name in TABLES if name != "credential"), "alembic_version")

CONSENT_FUNCTION = """
CREATE FUNCTION public.consent_event_newest() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    -- One event of a customer at a time: the update below, a statement of its own, sees all earlier ones.
    PERFORM 1 FROM public.customer WHERE id = NEW.customer_id FOR NO KEY UPDATE;
    UPDATE public.customer
    SET marketing_consent = (
        SELECT event.state = 'GIVEN' FROM public.consent_event AS event
        WHERE event.customer_id = NEW.customer_id AND event.purpose = 'NEWSLETTER'
        ORDER BY event.at DESC, event.id DESC LIMIT 1
    )
    WHERE id = NEW.customer_id;
    RETURN NULL;
END
$$
"""
CONSENT_TRIGGER = """
CREATE TRIGGER consent_event_newest AFTER INSERT ON public.consent_event
FOR EACH ROW WHEN (NEW.purpose = 'NEWSLETTER') EXECUTE FUNCTION public.consent_event_newest()
"""


def upgrade() -> None:
    create_customer()
    create_credential()
    create_consent_event()
    create_orders()
    create_order_line()
    create_carrier()
    create_carrier_service()
    create_delivery()
    create_delivery_event()
    create_returns()
    create_return_line()
    create_partner_token()
    create_employee()
    create_designation()
    op.create_table("setting", key("name", TEXT), *required(TEXT, "value"))
    op.execute(CONSENT_FUNCTION)
    op.execute("REVOKE ALL ON FUNCTION public.consent_event_newest() FROM PUBLIC")
    op.execute(CONSENT_TRIGGER)
    on_login_role(grant)


def downgrade() -> None:
    on_login_role(revoke)
    op.execute("DROP TRIGGER consent_event_newest ON public.consent_event")
    op.execute("DROP FUNCTION public.consent_event_newest()")
    for name in reversed(TABLES):
        op.drop_table(name)


def key(name: str, kind: Any, *constraints: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *constraints, primary_key=True)


def required(kind: Any, *names: str, default: str | None = None) -> tuple[sa.Column[Any], ...]:
    value = None if default is None else sa.text(default)
    return tuple(sa.Column(name, kind, nullable=False, server_default=value) for name in names)


def optional(kind: Any, *names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, kind, nullable=True) for name in names)


def version() -> tuple[sa.Column[Any], ...]:
    return required(sa.Integer(), "version", default="1")


def one_of(name: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{name} IN ({listed})", name=f"{name}_is_known")


def points_to(parent: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"])


def belongs_to(parent: str, column: str) -> sa.ForeignKeyConstraint:
    """The child's customer is its parent's."""
    return sa.ForeignKeyConstraint([column, "customer_id"], [f"{parent}.id", f"{parent}.customer_id"])


def index(name: str, table: str, *columns: str, where: str | None = None) -> None:
    options: dict[str, Any] = {} if where is None else {"postgresql_where": sa.text(where)}
    keys = [sa.text(column) if " " in column else column for column in columns]
    op.create_index(name, table, keys, **options)


def create_customer() -> None:
    op.create_table(
        "customer",
        key("id", sa.Uuid()),
        *required(TEXT, "number"),
        *optional(TEXT, "first_name", "surname", "street_address", "postal_code", "postal_town"),
        *optional(TEXT, "country_code", "phone", "email"),
        *required(sa.Boolean(), "marketing_consent", default="false"),
        *required(TEXT, "unsubscribe_token"),
        *required(TEXT, "status", default="'ACTIVE'"),
        *required(TIME, "created_at", "last_active_at"),
        *optional(TIME, "restricted_at", "erased_at"),
        *version(),
        sa.UniqueConstraint("number"),
        sa.UniqueConstraint("unsubscribe_token"),
        one_of("status", "ACTIVE", "RESTRICTED", "ERASED"),
    )
    index("customer_email", "customer", "email")
    index("customer_phone", "customer", "phone")
    index("customer_postal_code", "customer", "postal_code")
    index("customer_restricted", "customer", "id", where="restricted_at IS NOT NULL")
    consented = "marketing_consent AND restricted_at IS NULL AND erased_at IS NULL"
    index("customer_consented", "customer", "id", where=consented)


def create_credential() -> None:
    op.create_table(
        "credential",
        key("customer_id", sa.Uuid()),
        *required(TEXT, "password_hash"),
        points_to("customer", "customer_id"),
    )


def create_consent_event() -> None:
    op.create_table(
        "consent_event",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "customer_id"),
        *required(TEXT, "purpose", "state"),
        *required(TIME, "at"),
        *required(TEXT, "source", "notice_version", "text_digest", "actor"),
        one_of("purpose", "NEWSLETTER"),
        one_of("state", "GIVEN", "REFUSED", "WITHDRAWN"),
        points_to("customer", "customer_id"),
    )
    index("consent_event_newest_first", "consent_event", "customer_id", "purpose", "at DESC", "id DESC")
    index("consent_event_customer_page", "consent_event", "customer_id", "id")


def create_orders() -> None:
    op.create_table(
        "orders",
        key("id", sa.Uuid()),
        *required(TEXT, "number"),
        *required(sa.Uuid(), "customer_id"),
        *required(TIME, "placed_at"),
        *required(TEXT, "status", "currency"),
        *required(MONEY, "total"),
        *optional(TEXT, "billing_name", "billing_street_address", "billing_postal_code"),
        *optional(TEXT, "billing_postal_town", "billing_country_code"),
        *required(TEXT, "payment_method", "payment_status"),
        *optional(TEXT, "customer_message", "internal_note"),
        *version(),
        one_of("status", "PLACED", "PAID", "PICKING", "SHIPPED", "DELIVERED", "COMPLETED", "CANCELLED"),
        one_of("payment_method", "CARD", "BANK_TRANSFER", "INVOICE", "MOBILE"),
        one_of("payment_status", "PENDING", "AUTHORISED", "PAID", "REFUNDED", "FAILED"),
        sa.UniqueConstraint("number"),
        sa.UniqueConstraint("id", "customer_id", name="orders_id_customer"),
        points_to("customer", "customer_id"),
    )
    index("orders_customer_page", "orders", "customer_id", "id")
    index("orders_placed_at", "orders", "placed_at", "id")
    index("orders_open", "orders", "id", where="status NOT IN ('COMPLETED', 'CANCELLED')")


def create_order_line() -> None:
    op.create_table(
        "order_line",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "order_id", "customer_id"),
        *required(TEXT, "sku", "name"),
        *required(sa.Integer(), "quantity"),
        *required(MONEY, "unit_price"),
        *required(TEXT, "currency"),
        *required(sa.Numeric(5, 2), "vat_rate"),
        sa.CheckConstraint("quantity > 0", name="quantity_is_positive"),
        belongs_to("orders", "order_id"),
    )
    index("order_line_order_page", "order_line", "order_id", "id")


def create_carrier() -> None:
    op.create_table(
        "carrier",
        key("id", sa.Uuid()),
        *required(TEXT, "name", "contact_email"),
        *required(sa.Boolean(), "active", default="true"),
        *version(),
        sa.UniqueConstraint("name"),
    )


def create_carrier_service() -> None:
    op.create_table(
        "carrier_service",
        key("carrier_id", sa.Uuid()),
        key("code", TEXT),
        *required(sa.Boolean(), "needs_phone", "needs_email"),
        *required(TEXT, "tracking_url"),
        points_to("carrier", "carrier_id"),
    )


DELIVERY_STATUS = (
    *("PLANNED", "READY", "PRE_ADVISED", "PICKED_UP", "IN_TRANSIT", "AT_PICKUP_POINT", "OUT_FOR_DELIVERY"),
    *("DELIVERED", "EXCEPTION", "ATTEMPT_FAILED", "RETURNING", "RETURNED", "CANCELLED", "LOST"),
)


def create_delivery() -> None:
    op.create_table(
        "delivery",
        key("id", sa.Uuid()),
        *required(TEXT, "reference"),
        *required(sa.Uuid(), "order_id", "customer_id"),
        *optional(sa.Uuid(), "carrier_id"),
        *required(TEXT, "service_code", "status"),
        *optional(TEXT, "tracking_code"),
        *required(sa.Integer(), "parcel_count"),
        *optional(sa.Integer(), "weight_grams"),
        *optional(TEXT, "recipient_name", "recipient_phone", "recipient_email"),
        *optional(TEXT, "street_address", "postal_code", "postal_town", "country_code"),
        *optional(TEXT, "pickup_point", "instructions"),
        *optional(TIME, "promised_at"),
        *required(TIME, "created_at"),
        *optional(TIME, "handed_over_at", "delivered_at", "returned_at", "lost_at"),
        *optional(TEXT, "signed_by"),
        *version(),
        one_of("status", *DELIVERY_STATUS),
        sa.UniqueConstraint("reference"),
        sa.UniqueConstraint("id", "customer_id", name="delivery_id_customer"),
        belongs_to("orders", "order_id"),
        points_to("carrier", "carrier_id"),
    )
    index("delivery_order_page", "delivery", "order_id", "id")
    index("delivery_carrier_page", "delivery", "carrier_id", "id")
    index("delivery_customer_page", "delivery", "customer_id", "id")
    index("delivery_tracking_code", "delivery", "tracking_code")
    not_final = "status NOT IN ('DELIVERED', 'RETURNED', 'LOST', 'CANCELLED')"
    index("delivery_not_final", "delivery", "order_id", where=not_final)


def create_delivery_event() -> None:
    op.create_table(
        "delivery_event",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "delivery_id", "customer_id"),
        *required(TEXT, "status"),
        *required(TIME, "occurred_at"),
        *optional(TEXT, "place", "note"),
        *required(sa.Uuid(), "idempotency_key"),
        one_of("status", *DELIVERY_STATUS),
        sa.CheckConstraint("length(note) <= 200", name="note_is_short"),
        sa.UniqueConstraint("delivery_id", "idempotency_key", name="delivery_event_once"),
        belongs_to("delivery", "delivery_id"),
    )
    index("delivery_event_delivery_page", "delivery_event", "delivery_id", "id")


RETURN_STATUS = ("REQUESTED", "AWAITING_GOODS", "RECEIVED", "INSPECTED", "REFUNDED", "CLOSED", "REJECTED")
RETURN_REASON = ("CHANGED_MIND", "WRONG_SIZE", "DAMAGED", "NOT_AS_DESCRIBED", "LATE", "OTHER")


def create_returns() -> None:
    op.create_table(
        "returns",
        key("id", sa.Uuid()),
        *required(TEXT, "number"),
        *required(sa.Uuid(), "order_id", "customer_id"),
        *required(TEXT, "kind", "status"),
        *required(TIME, "requested_at"),
        *optional(TEXT, "reason_code", "reason_text", "inspection_note"),
        *required(TIME, "refund_due_at"),
        *optional(MONEY, "refund_amount"),
        *required(TEXT, "currency"),
        *optional(TIME, "refunded_at"),
        *optional(TEXT, "refund_iban"),
        *version(),
        one_of("kind", "WITHDRAWAL", "DEFECT", "WRONG_ITEM", "UNDELIVERED"),
        one_of("status", *RETURN_STATUS),
        one_of("reason_code", *RETURN_REASON),
        sa.UniqueConstraint("number"),
        sa.UniqueConstraint("id", "customer_id", name="returns_id_customer"),
        belongs_to("orders", "order_id"),
    )
    index("returns_order_page", "returns", "order_id", "id")
    index("returns_customer_page", "returns", "customer_id", "id")
    index("returns_not_final", "returns", "order_id", where="status NOT IN ('CLOSED', 'REJECTED')")


def create_return_line() -> None:
    op.create_table(
        "return_line",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "return_id", "customer_id", "order_line_id"),
        *required(sa.Integer(), "quantity"),
        sa.CheckConstraint("quantity > 0", name="quantity_is_positive"),
        belongs_to("returns", "return_id"),
        points_to("order_line", "order_line_id"),
    )
    index("return_line_return_page", "return_line", "return_id", "id")


def create_partner_token() -> None:
    op.create_table(
        "partner_token",
        key("id", sa.Uuid()),
        *required(TEXT, "partner", "kind"),
        *optional(sa.Uuid(), "carrier_id"),
        *required(TEXT, "prefix", "hash"),
        *required(sa.ARRAY(TEXT), "operations", "networks", default="'{}'"),
        *required(TEXT, "issued_by"),
        *required(TIME, "created_at", "expires_at"),
        *optional(TIME, "last_used_at", "revoked_at"),
        one_of("kind", "CARRIER", "NEWSLETTER"),
        sa.CheckConstraint("(kind = 'CARRIER') = (carrier_id IS NOT NULL)", name="carrier_token_has_carrier"),
        sa.CheckConstraint("expires_at <= created_at + interval '90 days'", name="expires_within_90_days"),
        sa.UniqueConstraint("hash"),
        points_to("carrier", "carrier_id"),
    )


def create_employee() -> None:
    op.create_table(
        "employee",
        key("id", sa.Uuid()),
        *required(TEXT, "name", "work_email"),
        *required(sa.Boolean(), "active", default="true"),
        sa.UniqueConstraint("work_email"),
    )


def create_designation() -> None:
    op.create_table(
        "designation",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "employee_id"),
        *required(TEXT, "role", "reason"),
        *optional(sa.Uuid(), "designated_by"),
        *required(TIME, "valid_from", "valid_to"),
        *optional(TIME, "revoked_at"),
        one_of(
            "role",
            *("support", "register_admin", "warehouse", "finance", "marketing", "analyst"),
            "privacy_officer",
        ),
        sa.CheckConstraint("valid_to <= valid_from + interval '12 months'", name="at_most_twelve_months"),
        sa.CheckConstraint("designated_by <> employee_id", name="nobody_designates_themselves"),
        points_to("employee", "employee_id"),
        points_to("employee", "designated_by"),
    )
    index("designation_employee", "designation", "employee_id")


def on_login_role(change: Callable[[str], None]) -> None:
    """Calls `change` with the quoted login role, unless it does not exist or owns the tables."""
    role = context.config.attributes["role"]
    found = sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role AND rolname <> current_user")
    bind = op.get_bind()
    if bind.execute(found, {"role": role}).scalar() is not None:
        change(bind.dialect.identifier_preparer.quote_identifier(role))


def grant(role: str) -> None:
    op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    op.execute(f"GRANT SELECT ON {', '.join(READABLE)} TO {role}")


def revoke(role: str) -> None:
    op.execute(f"REVOKE SELECT ON {', '.join(READABLE)} FROM {role}")  # noqa: S608  # a quoted identifier
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {role}")
