"""What the write path needs: price list, provenance, idempotency, mail, numbers, and the rights to write."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import (
    MONEY,
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

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("product", "change", "idempotency", "mail")
# The letter that the numbers begin with, by sequence, and the table that holds them.
NUMBERS = {
    "customer_number": ("C", "customer"),
    "order_number": ("O", "orders"),
    "return_number": ("R", "returns"),
}
SOURCES = ("REGISTRATION", "CHECKOUT", "CUSTOMER", "STAFF_ON_BEHALF", "STAFF", "CARRIER_EVENT")
# Amounts that are never below zero.
AMOUNTS = {"orders": "total", "returns": "refund_amount"}

INSERTED = (
    *("consent_event", "orders", "order_line", "delivery", "delivery_event"),
    *("returns", "return_line", "change", "idempotency", "mail"),
)
# Tables with columns that a new row has by default, and no change of the gateway's sets.
INSERTED_COLUMNS = {
    "customer": (
        *("id", "number", "first_name", "surname", "street_address", "postal_code", "postal_town"),
        *("country_code", "phone", "email", "unsubscribe_token", "created_at", "last_active_at"),
    ),
    "credential": ("customer_id", "email", "password_hash", "created_at"),
}
DELETED = ("idempotency", "mail")
UPDATED = {
    "customer": (
        *("first_name", "surname", "street_address", "postal_code", "postal_town", "country_code"),
        *("phone", "email", "last_active_at", "version"),
    ),
    "orders": ("status", "payment_status", "internal_note", "version"),
    "delivery": (
        *("carrier_id", "service_code", "status", "tracking_code", "parcel_count", "weight_grams"),
        *("recipient_name", "recipient_phone", "recipient_email"),
        *("street_address", "postal_code", "postal_town", "country_code"),
        *("pickup_point", "instructions", "promised_at", "handed_over_at", "delivered_at"),
        *("returned_at", "lost_at", "signed_by", "version"),
    ),
    "returns": ("status", "inspection_note", "refund_amount", "refunded_at", "refund_iban", "version"),
    "carrier": ("name", "contact_email", "active", "version"),
    "mail": ("attempts", "next_attempt_at", "failed_at"),
}


def upgrade() -> None:
    create_product()
    create_change()
    create_idempotency()
    create_mail()
    extend_credential()
    op.add_column("consent_event", *optional(TEXT, "evidence"))
    for table, column in AMOUNTS.items():
        op.create_check_constraint(f"{column}_is_not_negative", table, f"{column} >= 0")
    for sequence, (letter, table) in NUMBERS.items():
        create_sequence(sequence, letter, table)
    on_login_role(grant)


def downgrade() -> None:
    on_login_role(revoke)
    for sequence in NUMBERS:
        op.execute(f"DROP SEQUENCE public.{sequence}")
    for table, column in AMOUNTS.items():
        op.drop_constraint(f"{column}_is_not_negative", table)
    op.drop_column("consent_event", "evidence")
    op.drop_index("credential_confirmed_once", "credential")
    for column in ("email", "created_at", "confirmed_at"):
        op.drop_column("credential", column)
    for table in reversed(TABLES):
        op.drop_table(table)


def create_product() -> None:
    op.create_table(
        "product",
        key("sku", TEXT),
        *required(TEXT, "name"),
        *required(MONEY, "unit_price"),
        *required(TEXT, "currency"),
        *required(sa.Numeric(5, 2), "vat_rate"),
        *required(sa.Boolean(), "active", default="true"),
        sa.CheckConstraint("unit_price >= 0", name="unit_price_is_not_negative"),
    )


def create_change() -> None:
    op.create_table(
        "change",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "customer_id"),
        *required(TEXT, "entity"),
        *required(sa.Uuid(), "entity_id"),
        *required(TEXT, "field"),
        *required(TIME, "at"),
        *required(TEXT, "source", "actor"),
        one_of("source", *SOURCES),
        points_to("customer", "customer_id"),
    )
    index("change_customer_page", "change", "customer_id", "id")
    index("change_entity", "change", "entity_id")


def create_idempotency() -> None:
    op.create_table(
        "idempotency",
        key("principal", TEXT),
        key("key", sa.Uuid()),
        *required(TEXT, "mutation", "digest", "entity"),
        *required(sa.Uuid(), "entity_id"),
        *required(TIME, "created_at"),
    )
    index("idempotency_created_at", "idempotency", "created_at")


def create_mail() -> None:
    op.create_table(
        "mail",
        key("id", sa.Uuid()),
        *optional(sa.Uuid(), "customer_id"),
        *required(TEXT, "kind", "recipient", "subject", "body"),
        *required(TIME, "created_at"),
        *required(sa.Integer(), "attempts", default="0"),
        *required(TIME, "next_attempt_at"),
        *optional(TIME, "failed_at"),
        points_to("customer", "customer_id"),
    )
    index("mail_due", "mail", "next_attempt_at", where="failed_at IS NULL")
    index("mail_customer", "mail", "customer_id")


def extend_credential() -> None:
    """Nothing has made a credential so far, so that no row lacks the address."""
    for column in (*required(TEXT, "email"), *required(TIME, "created_at"), *optional(TIME, "confirmed_at")):
        op.add_column("credential", column)
    confirmed = "confirmed_at IS NOT NULL"
    index("credential_confirmed_once", "credential", "email", where=confirmed, unique=True)


def create_sequence(sequence: str, letter: str, table: str) -> None:
    """A sequence that goes on after the numbers of its form, such as `C-000017`, that there are."""
    op.execute(f"CREATE SEQUENCE public.{sequence} AS bigint")
    pattern = f"'^{letter}-([0-9]{{1,15}})$'"
    op.execute(
        f"SELECT setval('public.{sequence}', max(substring(number FROM {pattern})::bigint))"  # noqa: S608  # constants
        f" FROM public.{table} HAVING max(substring(number FROM {pattern})::bigint) > 0"
    )


def grant(role: str) -> None:
    op.execute(f"GRANT SELECT ON {', '.join(TABLES)} TO {role}")
    op.execute(f"GRANT INSERT ON {', '.join(INSERTED)} TO {role}")
    for table, columns in INSERTED_COLUMNS.items():
        op.execute(f"GRANT INSERT ({', '.join(columns)}) ON {table} TO {role}")
    op.execute(f"GRANT DELETE ON {', '.join(DELETED)} TO {role}")
    for table, columns in UPDATED.items():
        op.execute(f"GRANT UPDATE ({', '.join(columns)}) ON {table} TO {role}")
    op.execute(f"GRANT USAGE ON SEQUENCE {', '.join(NUMBERS)} TO {role}")


def revoke(role: str) -> None:
    op.execute(f"REVOKE USAGE ON SEQUENCE {', '.join(NUMBERS)} FROM {role}")
    for table, columns in UPDATED.items():
        op.execute(f"REVOKE UPDATE ({', '.join(columns)}) ON {table} FROM {role}")
    op.execute(f"REVOKE DELETE ON {', '.join(DELETED)} FROM {role}")
    for table, columns in INSERTED_COLUMNS.items():
        op.execute(f"REVOKE INSERT ({', '.join(columns)}) ON {table} FROM {role}")
    op.execute(f"REVOKE INSERT ON {', '.join(INSERTED)} FROM {role}")
    op.execute(f"REVOKE SELECT ON {', '.join(TABLES)} FROM {role}")  # noqa: S608  # a quoted identifier
