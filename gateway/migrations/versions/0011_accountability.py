"""Accountability: records of access, disclosures, the daily quota of readers, and the seals over them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import (
    TEXT,
    TIME,
    keeper_grants,
    key,
    on_keeper_role,
    on_login_role,
    one_of,
    optional,
    required,
)

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SEQUENCES = ("access_record_number", "disclosure_number")
APPENDED = ("access_record", "disclosure", "seal")
COUNTED = ("daily_subject", "daily_reading")
# All but the number, which is the sequence's to say: whoever chose it could hide a row beyond the others.
INSERTED = {
    "access_record": "id at principal_id role designation_id purpose case_reference operation_name"
    " operation_hash fields subject_ids policy_version notice_version request_id decision",
    "disclosure": "id customer_id recipient purpose at fields fields_digest ref_id statute requester"
    " case_number visible_to_subject notice_status policy_version notice_version request_id",
}


def upgrade() -> None:
    for sequence in SEQUENCES:
        op.execute(sa.schema.CreateSequence(sa.Sequence(sequence, data_type=sa.BigInteger)))
    create_access_record()
    create_disclosure()
    create_quota()
    create_seal()
    on_login_role(grant)
    on_keeper_role(grant_keeper)


def downgrade() -> None:
    on_login_role(revoke)
    on_keeper_role(revoke_keeper)
    for table in (*APPENDED, *COUNTED):
        op.drop_table(table)
    for sequence in SEQUENCES:
        op.execute(sa.schema.DropSequence(sa.Sequence(sequence)))


def number(sequence: str) -> sa.Column[int]:
    # The transaction has its id before it draws the number (see `schema.records`).
    drawn = f"CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('{sequence}'::regclass) END"
    return sa.Column("number", sa.BigInteger(), nullable=False, unique=True, server_default=sa.text(drawn))


def create_access_record() -> None:
    op.create_table(
        "access_record",
        key("id", sa.Uuid()),
        number("access_record_number"),
        *required(TIME, "at"),
        *required(TEXT, "principal_id"),
        *optional(TEXT, "role"),
        *optional(sa.Uuid(), "designation_id"),
        *optional(TEXT, "purpose", "case_reference", "operation_name"),
        *required(TEXT, "operation_hash"),
        *required(sa.ARRAY(TEXT), "fields"),
        *required(sa.ARRAY(sa.Uuid()), "subject_ids"),
        *required(TEXT, "policy_version", "notice_version", "request_id", "decision"),
        one_of("decision", "ALLOWED", "REFUSED"),
        # Subjects and fields are kept in the row, uncompressed: random ids do not become smaller.
        postgresql_with={"toast_tuple_target": 8160},
    )
    op.create_index("access_record_subjects", "access_record", ["subject_ids"], postgresql_using="gin")
    op.create_index("access_record_principal", "access_record", ["principal_id", "id"])


def create_disclosure() -> None:
    op.create_table(
        "disclosure",
        key("id", sa.Uuid()),
        number("disclosure_number"),
        *required(sa.Uuid(), "customer_id"),
        *required(TEXT, "recipient", "purpose"),
        *required(TIME, "at"),
        *required(sa.ARRAY(TEXT), "fields"),
        *required(sa.LargeBinary(), "fields_digest"),
        *required(sa.Uuid(), "ref_id"),
        *optional(TEXT, "statute", "requester", "case_number"),
        *required(sa.Boolean(), "visible_to_subject", default="true"),
        *required(TEXT, "notice_status", default="'NOT_DUE'"),
        *required(TEXT, "policy_version", "notice_version", "request_id"),
        one_of("notice_status", "NOT_DUE"),
        sa.UniqueConstraint("ref_id", "recipient", "purpose", "fields_digest", name="disclosure_once"),
    )
    op.create_index("disclosure_customer_page", "disclosure", ["customer_id", "id"])
    op.create_index("disclosure_recipient", "disclosure", ["recipient", "id"])


def create_quota() -> None:
    op.create_table(
        "daily_subject", key("employee_id", sa.Uuid()), key("day", sa.Date()), key("customer_id", sa.Uuid())
    )
    op.create_index("daily_subject_day", "daily_subject", ["day"])
    op.create_table(
        "daily_reading",
        key("employee_id", sa.Uuid()),
        key("day", sa.Date()),
        *required(sa.Integer(), "subjects", "quota"),
        sa.CheckConstraint("subjects <= quota", name="read_quota"),
    )


def create_seal() -> None:
    op.create_table(
        "seal",
        key("chain", TEXT),
        key("number", sa.BigInteger()),
        *required(sa.BigInteger(), "first_number", "last_number"),
        *required(sa.Integer(), "records", "line_version"),
        *optional(sa.LargeBinary(), "leaves"),
        *required(sa.LargeBinary(), "digest", "previous", "seal"),
        *required(TIME, "sealed_at"),
        *optional(TIME, "dropped_at"),
        sa.UniqueConstraint("chain", "first_number", name="seal_follows"),
    )


def grant(role: str) -> None:
    op.execute(f"GRANT SELECT ON {', '.join(APPENDED)} TO {role}")
    op.execute(f"GRANT INSERT ON seal TO {role}")
    for table, columns in INSERTED.items():
        op.execute(f"GRANT INSERT ({', '.join(columns.split())}) ON {table} TO {role}")
    for table in COUNTED:
        op.execute(f"GRANT SELECT, INSERT, DELETE ON {table} TO {role}")
    op.execute(f"GRANT UPDATE (subjects, quota) ON daily_reading TO {role}")
    for sequence in SEQUENCES:
        # How far the numbers are drawn is what a seal begins with.
        op.execute(f"GRANT USAGE, SELECT ON SEQUENCE {sequence} TO {role}")


def revoke(role: str) -> None:
    for sequence in SEQUENCES:
        op.execute(f"REVOKE ALL ON SEQUENCE {sequence} FROM {role}")
    for table in (*APPENDED, *COUNTED):
        op.execute(f"REVOKE ALL ON {table} FROM {role}")


def grant_keeper(role: str) -> None:
    for statement in keeper_grants(role):
        op.execute(statement)


def revoke_keeper(role: str) -> None:
    op.execute(f"REVOKE ALL ON {', '.join(APPENDED)} FROM {role}")
    op.execute(f"REVOKE ALL ON SCHEMA public FROM {role}")
