"""The parts that revisions after the first are made of; what a part makes may not change any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import context, op

TEXT = sa.Text(collation="C")
TIME = sa.DateTime(timezone=True)
MONEY = sa.Numeric(12, 2)


def key(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True)


def required(kind: Any, *names: str, default: str | None = None) -> tuple[sa.Column[Any], ...]:
    value = None if default is None else sa.text(default)
    return tuple(sa.Column(name, kind, nullable=False, server_default=value) for name in names)


def optional(kind: Any, *names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, kind, nullable=True) for name in names)


def one_of(name: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{name} IN ({listed})", name=f"{name}_is_known")


def points_to(parent: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"])


def index(name: str, table: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    options: dict[str, Any] = {} if where is None else {"postgresql_where": sa.text(where)}
    op.create_index(name, table, list(columns), unique=unique, **options)


def on_login_role(change: Callable[[str], None]) -> None:
    """Calls `change` with the quoted login role, unless it does not exist or owns the tables."""
    _on_role("role", change)


def on_keeper_role(change: Callable[[str], None]) -> None:
    """Calls `change` with the quoted role that drops what has been kept long enough, as `on_login_role`."""
    _on_role("keeper", change)


def keeper_grants(role: str) -> tuple[str, ...]:
    """The statements that give the quoted role what `gateway audit drop` needs; once more changes nothing."""
    return (
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT ON access_record, disclosure, seal TO {role}",
        f"GRANT DELETE ON access_record, disclosure TO {role}",
        f"GRANT UPDATE (leaves, dropped_at) ON seal TO {role}",
    )


# What `gateway retention run` does as the keeper, by table: whole rows it reads, adds and deletes, and single
# columns it reads and changes.
RETENTION_READS = (
    *("consent_event", "orders", "order_line", "delivery", "delivery_event", "returns", "return_line"),
    *("subject_request", "legal_hold", "erasure", "erasure_notice", "erasure_notice_attempt", "designation"),
    *("employee", "carrier", "consent_proof", "retention_run", "retention_warning"),
)
RETENTION_READS_COLUMNS = {
    "customer": "id number first_name surname street_address postal_code postal_town country_code phone email"
    " marketing_consent unsubscribe_token subject last_active_at restricted_at erased_at version",
    "credential": "customer_id",
    # `ended_at` is read by the trigger that tells of an erased customer, `parent_id` by that of tokens.
    "session": "id customer_id order_id ended_at",
    "one_time_link": "customer_id",
    "mail": "id customer_id kind attempts created_at failed_at",
    "export_document": "id customer_id request_id",
    "change": "customer_id entity_id source",
    "partner_token": "id carrier_id parent_id issued_by expires_at revoked_at",
}
RETENTION_ADDS = ("change", "mail", "consent_event", "consent_proof", "retention_run", "retention_warning")
RETENTION_ADDS_COLUMNS = {
    "customer": "id number unsubscribe_token status created_at last_active_at erased_at",
}
RETENTION_DELETES = (
    *("change", "consent_event", "consent_proof", "credential", "session", "one_time_link", "mail"),
    *("export_document", "retention_warning", "designation", "legal_hold", "subject_request"),
    *("erasure_notice", "erasure_notice_attempt"),
)
RETENTION_CHANGES = {
    "customer": "number first_name surname street_address postal_code postal_town country_code phone email"
    " unsubscribe_token subject status erased_at version",
    "consent_event": "evidence",
    "orders": "customer_id customer_message internal_note billing_name billing_street_address"
    " billing_postal_code billing_postal_town billing_country_code version",
    "delivery": "tracking_code recipient_name recipient_phone recipient_email street_address postal_code"
    " postal_town country_code pickup_point instructions signed_by version",
    "delivery_event": "place note",
    "returns": "reason_text inspection_note refund_iban version",
    "legal_hold": "placed_by released_by",
    "subject_request": "order_id handled_by retained notified",
    "partner_token": "issued_by",
    "carrier": "contact_email version",
    "employee": "name work_email subject",
    # Who locks rows that go must be allowed to change something of them.
    "designation": "revoked_reason",
    "erasure_notice": "failed_at",
    "retention_run": "policy_version finished_at after_id rows",
    "retention_warning": "warned_at",
}


def retention_grants(role: str) -> tuple[str, ...]:
    """The statements that give the quoted keeper what `gateway retention run` needs."""
    return (
        f"GRANT SELECT ON {', '.join(RETENTION_READS)} TO {role}",
        f"GRANT INSERT ON {', '.join(RETENTION_ADDS)} TO {role}",
        f"GRANT DELETE ON {', '.join(RETENTION_DELETES)} TO {role}",
        *_of_columns("GRANT SELECT", RETENTION_READS_COLUMNS, f"TO {role}"),
        *_of_columns("GRANT INSERT", RETENTION_ADDS_COLUMNS, f"TO {role}"),
        *_of_columns("GRANT UPDATE", RETENTION_CHANGES, f"TO {role}"),
    )


def retention_revokes(role: str) -> tuple[str, ...]:
    """The statements that take it back."""
    tables = {*RETENTION_READS, *RETENTION_READS_COLUMNS, *RETENTION_ADDS, *RETENTION_DELETES}
    return tuple(f"REVOKE ALL ON {table} FROM {role}" for table in sorted(tables | set(RETENTION_CHANGES)))


def _of_columns(right: str, columns: Mapping[str, str], whom: str) -> Iterator[str]:
    for table, names in columns.items():
        yield f"{right} ({', '.join(names.split())}) ON {table} {whom}"


def _on_role(attribute: str, change: Callable[[str], None]) -> None:
    role = context.config.attributes[attribute]
    found = sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role AND rolname <> current_user")
    bind = op.get_bind()
    if bind.execute(found, {"role": role}).scalar() is not None:
        change(bind.dialect.identifier_preparer.quote_identifier(role))
