"""The login role may do what requests need, as listed here by table and column, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

import schema.tables  # noqa: F401  # fills SQLModel.metadata
from gateway.migrate import migrate, migration_config, on_database
from tests.conftest import login_role, new_database

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
INSERTED = {
    *("consent_event", "orders", "order_line", "delivery", "delivery_event"),
    *("returns", "return_line", "change", "idempotency", "mail", "partner_token", "attempt"),
    *("seal", "daily_subject", "daily_reading"),
    *("subject_request", "legal_hold", "erasure", "erasure_notice", "erasure_notice_attempt"),
    *("consent_proof", "export_document", "export_piece"),
}
# What the keeper alone reads, or of which the login role reads these columns alone.
UNREAD = {"retention_run": "", "retention_warning": "customer_id"}
DELETED = {
    *("idempotency", "mail", "session", "one_time_link", "attempt", "daily_subject", "daily_reading"),
    *("credential", "export_document", "retention_warning"),
}
INSERTED_COLUMNS = {
    "customer": "id number first_name surname street_address postal_code postal_town country_code phone email"
    " unsubscribe_token created_at last_active_at",
    "credential": "customer_id email password_hash created_at",
    "designation": "id employee_id role reason designated_by valid_from valid_to",
    # Without the number, which the sequence draws.
    "access_record": "id at principal_id role designation_id purpose case_reference operation_name"
    " operation_hash fields subject_ids policy_version notice_version request_id decision",
    "disclosure": "id customer_id recipient purpose at fields fields_digest ref_id statute requester"
    " case_number visible_to_subject notice_status policy_version notice_version request_id",
    "session": "id customer_id order_id created_at last_refreshed_at expires_at",
    "refresh_token": "hash session_id customer_id issued_at expires_at",
    "one_time_link": "hash customer_id kind email created_at expires_at",
}
UPDATED = {
    "customer": "first_name surname street_address postal_code postal_town country_code phone email"
    " last_active_at version number subject status restricted_at erased_at unsubscribe_token",
    "consent_event": "evidence",
    "orders": "status payment_status internal_note version customer_message",
    "delivery_event": "place note",
    "delivery": "carrier_id service_code status tracking_code parcel_count weight_grams recipient_name"
    " recipient_phone recipient_email street_address postal_code postal_town country_code pickup_point"
    " instructions promised_at handed_over_at delivered_at returned_at lost_at signed_by version",
    "returns": "status inspection_note refund_amount refunded_at refund_iban version reason_text",
    "carrier": "name contact_email active version",
    "designation": "revoked_at revoked_by revoked_reason",
    "mail": "attempts next_attempt_at failed_at body",
    "credential": "email password_hash confirmed_at",
    "session": "last_refreshed_at ended_at ended_why",
    "refresh_token": "used_at",
    "one_time_link": "used_at",
    "attempt": "level at",
    "partner_token": "last_used_at revoked_at expires_at",
    "daily_reading": "subjects quota",
    "subject_request": "extended_to extension_told_at status decision decided_at handled_by executed_at"
    " completed_at retained notified",
    "legal_hold": "released_at released_by",
    "erasure": "told_at",
    "erasure_notice": "attempts next_attempt_at sent_at failed_at",
    "export_document": "last_fetched_at",
}
KEEPER_READS = {
    *("access_record", "disclosure", "seal", "consent_event", "orders", "order_line", "delivery"),
    *(
        "delivery_event",
        "returns",
        "return_line",
        "subject_request",
        "legal_hold",
        "erasure",
        "erasure_notice",
    ),
    *("erasure_notice_attempt", "designation", "employee", "carrier", "consent_proof", "retention_run"),
    "retention_warning",
}
KEEPER_ADDS = {"change", "mail", "consent_event", "consent_proof", "retention_run", "retention_warning"}
KEEPER_ADDS_COLUMNS = {"customer": "id number unsubscribe_token status created_at last_active_at erased_at"}
KEEPER_DELETES = {
    *("access_record", "disclosure", "change", "consent_event", "consent_proof", "credential", "session"),
    *("one_time_link", "mail", "export_document", "retention_warning", "designation", "legal_hold"),
    *("subject_request", "erasure_notice", "erasure_notice_attempt"),
}
KEEPER_CHANGES = {
    "seal": "leaves dropped_at",
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
    # For the locks on rows that go.
    "designation": "revoked_reason",
    "erasure_notice": "failed_at",
    "retention_run": "policy_version finished_at after_id rows",
    "retention_warning": "warned_at",
}
NUMBERS = {"customer_number", "order_number", "return_number", "access_record_number", "disclosure_number"}
Rights = dict[str, set[str]]


class RollBack(Exception):
    """Takes the role away again: roles belong to the whole server."""


def with_login_role(url: str, look: Callable[[Connection, str], None]) -> None:
    """Calls `look` with a connection to a database that a new login role, whose name it gets, may use."""
    role = f'gateway "{uuid.uuid4()}"'

    def run(connection: Connection) -> None:
        may_create = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
        if not connection.execute(text(may_create)).scalar():
            pytest.skip("the owner of the test database may not create roles")
        connection.execute(text(f"CREATE ROLE {quoted(connection, role)}"))
        command.upgrade(migration_config(connection, role), "head")
        look(connection, role)
        raise RollBack

    with pytest.raises(RollBack):
        on_database(url, run)


def quoted(connection: Connection, role: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(role)


def whole_tables(connection: Connection, role: str) -> Rights:
    """The tables on which the role holds a right, by right."""
    held = text(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        " AND has_table_privilege(:role, oid, :right)"
    )
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    return {
        right: set(connection.execute(held, {"role": role, "right": right}).scalars()) for right in rights
    }


def single_columns(connection: Connection, role: str, right: str) -> set[str]:
    """The columns on which the role holds a right, as `table.column`."""
    held = text(
        "SELECT relname || '.' || attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0"
        " AND NOT attisdropped AND has_column_privilege(:role, pg_class.oid, attnum, :right)"
    )
    return set(connection.execute(held, {"role": role, "right": right}).scalars())


def sequences(connection: Connection, role: str, right: str) -> set[str]:
    held = text(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND CASE WHEN relkind = 'S' THEN has_sequence_privilege(:role, oid, :right) ELSE false END"
    )
    return set(connection.execute(held, {"role": role, "right": right}).scalars())


def columns_of(*tables: str) -> set[str]:
    return {f"{name}.{column.name}" for name in tables for column in SQLModel.metadata.tables[name].columns}


def test_the_login_role_holds_the_listed_rights_and_no_other(fresh_database: str) -> None:
    def look(connection: Connection, role: str) -> None:
        readable = set(SQLModel.metadata.tables) - UNREAD.keys()
        assert whole_tables(connection, role) == {
            "SELECT": readable | {"alembic_version"},
            "INSERT": INSERTED,
            "DELETE": DELETED,
            **{right: set() for right in ("UPDATE", "TRUNCATE", "REFERENCES", "TRIGGER")},
        }
        assert single_columns(connection, role, "SELECT") == columns_of(*readable) | {
            "alembic_version.version_num",
            *listed({table: columns for table, columns in UNREAD.items() if columns}),
        }
        assert single_columns(connection, role, "INSERT") == columns_of(*INSERTED) | {
            f"{table}.{column}" for table, columns in INSERTED_COLUMNS.items() for column in columns.split()
        }
        assert single_columns(connection, role, "UPDATE") == {
            f"{table}.{column}" for table, columns in UPDATED.items() for column in columns.split()
        }
        assert single_columns(connection, role, "REFERENCES") == set()
        assert sequences(connection, role, "USAGE") == NUMBERS
        assert sequences(connection, role, "SELECT") == {"access_record_number", "disclosure_number"}
        assert sequences(connection, role, "UPDATE") == set()  # none may be set back

    with_login_role(fresh_database, look)


def test_the_keeper_drops_records_clears_what_is_over_and_nothing_else(fresh_database: str) -> None:
    def look(connection: Connection, role: str) -> None:
        keeper = f'keeper "{uuid.uuid4()}"'
        command.downgrade(migration_config(connection, role), "base")
        connection.execute(text(f"CREATE ROLE {quoted(connection, keeper)}"))
        command.upgrade(migration_config(connection, role, keeper), "head")
        held = {right: tables for right, tables in whole_tables(connection, keeper).items() if tables}
        assert held == {"SELECT": KEEPER_READS, "INSERT": KEEPER_ADDS, "DELETE": KEEPER_DELETES}
        assert single_columns(connection, keeper, "UPDATE") == listed(KEEPER_CHANGES)
        whole = {name for table in KEEPER_ADDS for name in listed({table: every_column(table)})}
        assert single_columns(connection, keeper, "INSERT") - whole == listed(KEEPER_ADDS_COLUMNS)
        read = single_columns(connection, keeper, "SELECT")
        assert not {one for one in read if one.endswith((".password_hash", ".hash", ".body", ".document"))}
        assert sequences(connection, keeper, "USAGE") | sequences(connection, keeper, "UPDATE") == set()
        command.downgrade(migration_config(connection, role, keeper), "base")
        connection.execute(text(f"DROP ROLE {quoted(connection, keeper)}"))  # refused if it held a right

    with_login_role(fresh_database, look)


def listed(columns: dict[str, str]) -> set[str]:
    return {f"{table}.{name}" for table, names in columns.items() for name in names.split()}


def every_column(table: str) -> str:
    return " ".join(column.name for column in SQLModel.metadata.tables[table].columns)


def test_a_keeper_who_is_made_later_gets_its_rights_at_the_next_call(server_url: str) -> None:
    with login_role(server_url) as role, login_role(server_url) as keeper, new_database(server_url) as url:
        migrate(url, role=role, keeper="nobody yet")
        for _ in range(2):
            migrate(url, role=role, keeper=keeper)

        def look(connection: Connection) -> None:
            assert whole_tables(connection, keeper)["DELETE"] == KEEPER_DELETES
            assert single_columns(connection, keeper, "UPDATE") == listed(KEEPER_CHANGES)

        on_database(url, look)


def test_a_downgrade_takes_the_rights_to_write_away_and_then_all(fresh_database: str) -> None:
    def look(connection: Connection, role: str) -> None:
        command.downgrade(migration_config(connection, role), "0001")
        rights = whole_tables(connection, role)
        assert "customer" in rights.pop("SELECT")
        assert {right for right, tables in rights.items() if tables} == set()
        assert single_columns(connection, role, "UPDATE") == set()
        command.downgrade(migration_config(connection, role), "base")
        connection.execute(text(f"DROP ROLE {quoted(connection, role)}"))  # refused if it held a right

    with_login_role(fresh_database, look)


ADD_CUSTOMER = (
    "INSERT INTO customer (id, number, unsubscribe_token, created_at, last_active_at)"
    " VALUES (:customer, 'C-' || nextval('customer_number'), 'token', :now, :now)"
)
ADD_CONSENT = (
    "INSERT INTO consent_event"
    " (id, customer_id, purpose, state, at, source, notice_version, text_digest, actor)"
    " VALUES (:event, :customer, 'NEWSLETTER', :state, clock_timestamp(), 'CUSTOMER', '1', '', 'customer')"
)


def test_a_consent_that_the_login_role_inserts_decides_whether_the_customer_consents(
    fresh_database: str,
) -> None:
    seen = []

    def look(connection: Connection, role: str) -> None:
        connection.execute(text(f"SET LOCAL ROLE {quoted(connection, role)}"))
        customer = uuid.uuid4()
        connection.execute(text(ADD_CUSTOMER), {"customer": customer, "now": NOW})
        for state in ("REFUSED", "GIVEN", "WITHDRAWN"):
            values = {"event": uuid.uuid4(), "customer": customer, "state": state}
            connection.execute(text(ADD_CONSENT), values)
            seen.append(connection.execute(text("SELECT marketing_consent FROM customer")).scalar())

    with_login_role(fresh_database, look)
    assert seen == [False, True, False]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE customer SET marketing_consent = true",
        "INSERT INTO credential (confirmed_at) VALUES (now())",
        "INSERT INTO customer (marketing_consent) VALUES (true)",
        "UPDATE consent_event SET state = 'GIVEN'",
        "UPDATE consent_event SET actor = ''",
        "UPDATE orders SET billing_name = NULL",
        "UPDATE returns SET reason_code = NULL",
        "UPDATE subject_request SET cooling_off_until = now()",
        "INSERT INTO retention_run (rule) VALUES ('all')",
        "UPDATE retention_run SET finished_at = NULL",
        "SELECT FROM retention_run",
        "INSERT INTO retention_warning (warned_at) VALUES (now())",
        "UPDATE retention_warning SET warned_at = now()",
        "SELECT warned_at FROM retention_warning",
        "DELETE FROM change",
        "UPDATE product SET unit_price = 0",
        "UPDATE designation SET valid_to = now()",
        "INSERT INTO designation (revoked_by) VALUES (NULL)",
        "INSERT INTO employee (active) VALUES (true)",
        "UPDATE employee SET active = true",
        "UPDATE employee SET subject = 'x'",
        "DELETE FROM designation",
        "UPDATE credential SET customer_id = customer_id",
        "UPDATE session SET expires_at = now()",
        "UPDATE one_time_link SET expires_at = now()",
        "DELETE FROM refresh_token",
        "SELECT setval('order_number', 1)",
        "TRUNCATE mail",
        "INSERT INTO access_record (number) VALUES (1)",
        "INSERT INTO disclosure (number) VALUES (1)",
        "UPDATE access_record SET decision = 'REFUSED'",
        "DELETE FROM disclosure",
        "TRUNCATE access_record",
        "UPDATE seal SET leaves = NULL",
        "DELETE FROM seal",
        "SELECT setval('access_record_number', 1)",
    ],
)
def test_postgresql_refuses_the_login_role_what_is_not_listed(fresh_database: str, statement: str) -> None:
    def look(connection: Connection, role: str) -> None:
        connection.execute(text(f"SET LOCAL ROLE {quoted(connection, role)}"))
        with pytest.raises(DBAPIError, match="permission denied"), connection.begin_nested():
            connection.execute(text(statement))

    with_login_role(fresh_database, look)
