"""The rights of the person: requests, holds, erasures with their notices, exports, runs of retention."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

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

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INSERTED = (
    *("subject_request", "legal_hold", "erasure", "erasure_notice", "erasure_notice_attempt"),
    *("consent_proof", "export_document"),
)
# In the order of their foreign keys; the last two are the keeper's.
MADE = (*INSERTED, "retention_run", "retention_warning")
DELETED = ("credential", "export_document", "retention_warning")
UPDATED = {
    "subject_request": "extended_to extension_told_at status decision decided_at handled_by executed_at"
    " completed_at retained notified",
    "legal_hold": "released_at released_by",
    "erasure": "told_at",
    "erasure_notice": "attempts next_attempt_at sent_at failed_at",
    "export_document": "last_fetched_at",
    # What an erasure empties.
    "customer": "number subject status restricted_at erased_at unsubscribe_token",
    "consent_event": "evidence",
    "orders": "customer_message",
    "delivery_event": "place note",
    "returns": "reason_text",
}
# By what the rows are chosen that go, where nothing else of them is read.
CHOSEN_BY = "SELECT (customer_id) ON retention_warning"
OF_ORDER = (["order_id", "customer_id"], ["orders.id", "orders.customer_id"])


def upgrade() -> None:
    create_requests()
    create_holds()
    create_erasures()
    create_notices()
    create_exports()
    create_runs()
    on_login_role(grant)


def downgrade() -> None:
    on_login_role(revoke)
    for table in reversed(MADE):
        op.drop_table(table)


def create_requests() -> None:
    op.create_table(
        "subject_request",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "customer_id"),
        *optional(sa.Uuid(), "order_id"),
        *required(TEXT, "kind", "channel"),
        *required(TIME, "received_at", "due_at"),
        *optional(TIME, "extended_to", "extension_told_at", "cooling_off_until"),
        *required(TEXT, "status", default="'RECEIVED'"),
        *optional(TEXT, "decision"),
        *optional(TIME, "decided_at"),
        *optional(TEXT, "handled_by"),
        *optional(TIME, "executed_at", "completed_at"),
        *required(JSONB(), "retained", default="'[]'::jsonb"),
        *required(sa.ARRAY(TEXT), "notified", default="'{}'::text[]"),
        one_of("kind", "EXPORT", "ERASURE", "RESTRICTION"),
        one_of("channel", "ACCOUNT", "ORDER_LINK", "EMPLOYEE"),
        one_of("status", "RECEIVED", "ACCEPTED", "EXECUTED", "COMPLETED", "REFUSED", "WITHDRAWN"),
        one_of("decision", "ACCEPTED", "REFUSED", "LIFTED"),
        points_to("customer", "customer_id"),
        sa.ForeignKeyConstraint(*OF_ORDER),
    )
    index("subject_request_customer_page", "subject_request", "customer_id", "id")
    index("subject_request_due_at", "subject_request", "due_at", "id")
    under_way = "status IN ('RECEIVED', 'ACCEPTED', 'EXECUTED')"
    index("subject_request_under_way", "subject_request", "status", "id", where=under_way)
    one_erasure = "kind = 'ERASURE' AND status NOT IN ('REFUSED', 'WITHDRAWN')"
    index("subject_request_one_erasure", "subject_request", "customer_id", where=one_erasure, unique=True)
    in_force = "status = 'COMPLETED' AND decision = 'ACCEPTED'"
    one_restriction = f"kind = 'RESTRICTION' AND (status IN ('RECEIVED', 'ACCEPTED') OR {in_force})"
    index(
        "subject_request_one_restriction",
        "subject_request",
        "customer_id",
        where=one_restriction,
        unique=True,
    )


def create_holds() -> None:
    op.create_table(
        "legal_hold",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "customer_id"),
        *optional(sa.Uuid(), "order_id"),
        *required(TEXT, "target_entity"),
        *required(sa.Uuid(), "target_id"),
        *required(sa.ARRAY(TEXT), "fields"),
        *required(TEXT, "basis"),
        *required(sa.Date(), "until"),
        *required(TIME, "placed_at"),
        *required(TEXT, "placed_by"),
        *optional(TIME, "released_at"),
        *optional(TEXT, "released_by"),
        one_of("target_entity", "Customer", "Order", "Delivery", "Return"),
        sa.CheckConstraint("cardinality(fields) > 0", name="holds_something"),
        sa.CheckConstraint("btrim(basis) <> ''", name="has_a_basis"),
        points_to("customer", "customer_id"),
        sa.ForeignKeyConstraint(*OF_ORDER),
    )
    index("legal_hold_customer_page", "legal_hold", "customer_id", "id")
    index("legal_hold_target", "legal_hold", "target_id")
    index("legal_hold_in_force", "legal_hold", "until", where="released_at IS NULL")


def create_erasures() -> None:
    op.create_table(
        "erasure",
        key("id", sa.Uuid()),
        sa.Column("customer_id", sa.Uuid(), nullable=False, unique=True),
        sa.Column("request_id", sa.Uuid(), nullable=False, unique=True),
        *required(TIME, "at"),
        *required(sa.Boolean(), "replayed", default="false"),
        *optional(TIME, "told_at"),
        points_to("customer", "customer_id"),
        points_to("subject_request", "request_id"),
    )
    index("erasure_not_told", "erasure", "id", where="told_at IS NULL")
    op.create_table(
        "consent_proof",
        key("customer_id", sa.Uuid()),
        *required(sa.LargeBinary(), "address_digest"),
        *required(TIME, "made_at"),
        points_to("customer", "customer_id"),
    )
    index("consent_proof_digest", "consent_proof", "address_digest")


def create_notices() -> None:
    op.create_table(
        "erasure_notice",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "customer_id", "request_id"),
        *required(TEXT, "recipient"),
        *required(sa.ARRAY(TEXT), "refs"),
        *required(TIME, "created_at"),
        *required(sa.Integer(), "attempts", default="0"),
        *required(TIME, "next_attempt_at"),
        *optional(TIME, "sent_at", "failed_at"),
        sa.UniqueConstraint("customer_id", "recipient", name="erasure_notice_once"),
        points_to("customer", "customer_id"),
        points_to("subject_request", "request_id"),
    )
    index("erasure_notice_due", "erasure_notice", "next_attempt_at", where="sent_at IS NULL")
    index("erasure_notice_request", "erasure_notice", "request_id")
    op.create_table(
        "erasure_notice_attempt",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "notice_id"),
        *required(sa.Integer(), "attempt"),
        *required(TIME, "at"),
        *required(TEXT, "outcome"),
        one_of("outcome", "SENT", "LATER", "REFUSED"),
        points_to("erasure_notice", "notice_id"),
    )
    index("erasure_notice_attempt_notice", "erasure_notice_attempt", "notice_id", "id")


def create_exports() -> None:
    op.create_table(
        "export_document",
        key("id", sa.Uuid()),
        *required(sa.Uuid(), "customer_id", "request_id"),
        *required(sa.LargeBinary(), "document"),
        *required(TIME, "created_at", "expires_at"),
        *optional(TIME, "last_fetched_at"),
        sa.UniqueConstraint("request_id", name="export_document_once"),
        points_to("customer", "customer_id"),
        points_to("subject_request", "request_id"),
    )
    index("export_document_customer", "export_document", "customer_id")
    index("export_document_expires_at", "export_document", "expires_at")


def create_runs() -> None:
    op.create_table(
        "retention_run",
        key("day", sa.Date()),
        key("rule", TEXT),
        *required(TEXT, "policy_version"),
        *required(TIME, "started_at"),
        *optional(TIME, "finished_at"),
        *optional(sa.Uuid(), "after_id"),
        *required(sa.Integer(), "rows", default="0"),
    )
    op.create_table(
        "retention_warning",
        key("customer_id", sa.Uuid()),
        *required(TIME, "warned_at"),
        points_to("customer", "customer_id"),
    )


def grant(role: str) -> None:
    op.execute(f"GRANT SELECT, INSERT ON {', '.join(INSERTED)} TO {role}")
    op.execute(f"GRANT DELETE ON {', '.join(DELETED)} TO {role}")
    op.execute(f"GRANT {CHOSEN_BY} TO {role}")
    for table, columns in UPDATED.items():
        op.execute(f"GRANT UPDATE ({', '.join(columns.split())}) ON {table} TO {role}")


def revoke(role: str) -> None:
    for table, columns in UPDATED.items():
        op.execute(f"REVOKE UPDATE ({', '.join(columns.split())}) ON {table} FROM {role}")
    op.execute(f"REVOKE {CHOSEN_BY} FROM {role}")
    op.execute(f"REVOKE DELETE ON {', '.join(DELETED)} FROM {role}")
    op.execute(f"REVOKE SELECT, INSERT ON {', '.join(INSERTED)} FROM {role}")
