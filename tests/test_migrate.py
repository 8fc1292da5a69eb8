"""The migrations make the tables of `schema/tables.py`, keep the data, and make the consent trigger."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import schema.tables  # noqa: F401  # fills SQLModel.metadata
from gateway.errors import StartError
from gateway.migrate import current_is_head, migrate, migration_config, on_database
from schema.columns import Known

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)

CATALOG = """
SELECT c.relname, 'column', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
       coalesce(l.collname, ''), coalesce(pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = cast(cast(:schema AS text) AS regnamespace) AND c.relkind = 'r' AND a.attnum > 0
AND NOT a.attisdropped
UNION ALL
SELECT c.relname, 'constraint', k.conname, pg_get_constraintdef(k.oid), '', '', ''
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE c.relnamespace = cast(cast(:schema AS text) AS regnamespace)
UNION ALL
SELECT tablename, 'index', indexname, indexdef, '', '', '' FROM pg_indexes
WHERE schemaname = cast(:schema AS text)
UNION ALL
SELECT sequencename, 'sequence', data_type::text, start_value::text, increment_by::text, cycle::text, ''
FROM pg_sequences WHERE schemaname = cast(:schema AS text)
"""

FIRST_ROWS = (
    "INSERT INTO customer (id, number, unsubscribe_token, created_at, last_active_at)"
    " VALUES (:customer, 'C-000017', 'token', :now, :now)",
    "INSERT INTO consent_event"
    " (id, customer_id, purpose, state, at, source, notice_version, text_digest, actor)"
    " VALUES (:customer, :customer, 'NEWSLETTER', 'GIVEN', :now, 'CUSTOMER', '2026-1', '', 'customer')",
    "INSERT INTO orders"
    " (id, number, customer_id, placed_at, status, currency, total, payment_method, payment_status)"
    " VALUES (:order, 'O-2026-031001', :customer, :now, 'PLACED', 'EUR', 12.50, 'CARD', 'PENDING')",
)
A_CHANGE = (
    "INSERT INTO change (id, customer_id, entity, entity_id, field, at, source, actor)"
    " VALUES (:order, :customer, 'Customer', :customer, 'phone', :now, '{}', 'customer')"
)
A_RECORD = (
    "INSERT INTO access_record (id, at, principal_id, operation_hash, fields, subject_ids, policy_version,"
    " notice_version, request_id, decision)"
    " VALUES (:order, :now, 'nobody', '', '{{}}', '{{}}', '', '', '', '{}')"
)
A_RETURN = (
    "INSERT INTO returns"
    " (id, number, order_id, customer_id, kind, status, requested_at, refund_due_at, currency)"
    " VALUES (:order, 'R-2026-031001', :order, :customer, 'DEFECT', 'REQUESTED', :now, :now, 'EUR')"
)


def catalog(connection: Connection, schema_name: str) -> set[tuple[str, ...]]:
    """Every column, constraint, index and sequence of a schema, in PostgreSQL's own words."""
    rows = connection.execute(text(CATALOG), {"schema": schema_name})
    return {
        tuple(re.sub(r"\b(public|twin)\.", "", value) for value in row)
        for row in rows
        if row[0] != "alembic_version"
    }


def test_alembic_finds_no_difference_between_the_migrations_and_the_tables(fresh_database: str) -> None:
    migrate(fresh_database)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), SQLModel.metadata))

    assert on_database(fresh_database, differences) == []


def test_the_migrated_tables_equal_those_that_the_metadata_creates(fresh_database: str) -> None:
    """Alembic compares no checks, collations or expressions, so PostgreSQL's catalogue does."""
    migrate(fresh_database)

    def create_twin(connection: Connection) -> None:
        connection.execute(text("CREATE SCHEMA twin"))
        translated = connection.execution_options(schema_translate_map={None: "twin"})
        SQLModel.metadata.create_all(translated)

    on_database(fresh_database, create_twin)
    migrated = on_database(fresh_database, lambda connection: catalog(connection, "public"))
    created = on_database(fresh_database, lambda connection: catalog(connection, "twin"))
    assert migrated == created != set()


def test_the_domains_hold_the_values_of_their_enums(fresh_database: str) -> None:
    migrate(fresh_database)
    domains = (
        "SELECT typname, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_type t ON t.oid = contypid"
    )
    made = " WHERE t.typnamespace = 'public'::regnamespace"
    found = on_database(fresh_database, lambda connection: list(connection.execute(text(domains + made))))
    kinds = [column.type for table in SQLModel.metadata.tables.values() for column in table.columns]
    wanted = {kind.name: kind.values for kind in kinds if isinstance(kind, Known)}
    assert {name: tuple(re.findall(r"'(\w+)'", check)) for name, check in found} == wanted != {}


def test_rows_with_known_values_stay_as_they_are_and_others_are_refused(fresh_database: str) -> None:
    values = {"customer": uuid.UUID(int=1), "order": uuid.UUID(int=2), "now": NOW}

    def begin(connection: Connection) -> None:
        command.upgrade(migration_config(connection), "0017")
        for statement in (*FIRST_ROWS, A_CHANGE.format("CHECKOUT"), A_RECORD.format("REFUSED")):
            connection.execute(text(statement), values)

    def rows(connection: Connection) -> list[tuple[object, ...]]:
        known = "SELECT c.status, h.source, r.decision FROM customer c, change h, access_record r"
        return [tuple(row) for row in connection.execute(text(known))]

    def execute(statement: str) -> None:
        anew = statement.replace(":order", "gen_random_uuid()")
        on_database(fresh_database, lambda connection: connection.execute(text(anew), values))

    def moved(step: Any, revision: str) -> Callable[[Connection], None]:
        return lambda connection: step(migration_config(connection), revision)

    on_database(fresh_database, begin)
    for step, revision in ((command.upgrade, "0018"), (command.downgrade, "0017"), (command.upgrade, "0018")):
        on_database(fresh_database, moved(step, revision))
        assert on_database(fresh_database, rows) == [("ACTIVE", "CHECKOUT", "REFUSED")]
    for wrong in ("UPDATE customer SET status = 'GONE'", A_CHANGE.format("NOBODY"), A_RECORD.format("LOST")):
        with pytest.raises(StartError, match="is_known"):
            execute(wrong)


def test_an_empty_database_is_not_at_head_and_a_migrated_one_is(fresh_database: str) -> None:
    assert not current_is_head(fresh_database)
    migrate(fresh_database)
    assert current_is_head(fresh_database)
    migrate(fresh_database)
    assert current_is_head(fresh_database)


def test_a_newer_database_is_refused_in_one_line(fresh_database: str) -> None:
    migrate(fresh_database)
    on_database(
        fresh_database,
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = 'f00'")),
    )
    line = "the database has a newer schema (`f00`) than this gateway knows (`0019`): install a newer gateway"
    for command_of_gateway in (current_is_head, migrate):
        with pytest.raises(StartError) as caught:
            command_of_gateway(fresh_database)
        assert str(caught.value) == line


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://gateway_owner:pA55word@127.0.0.1:1/gateway",
        "postgresql://gateway_owner:pA55word@127.0.0.1:pA55word/gateway",
        "postgresql://gateway_owner:pA55word@/gateway?host=/nowhere",
        "mysql://gateway_owner:pA55word@127.0.0.1/gateway",
    ],
)
def test_an_unreachable_database_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(StartError, match=r"^the database cannot be reached: ") as caught:
        current_is_head(url)
    assert "\n" not in str(caught.value)
    assert "pA55word" not in str(caught.value)


def test_who_serves_is_not_who_deletes_records() -> None:
    with pytest.raises(StartError, match="`--role` and `--keeper` are two roles"):
        migrate("postgresql://nobody@127.0.0.1:1/none", role="gateway", keeper="gateway")


def test_a_missing_database_is_one_line(fresh_database: str) -> None:
    missing = re.sub(r"/\w+(\?|$)", r"/no_such_database\1", fresh_database)
    with pytest.raises(StartError, match=r"^the database cannot be reached: .*no_such_database"):
        migrate(missing)


def test_a_database_can_be_downgraded_to_nothing_and_upgraded_again(fresh_database: str) -> None:
    migrate(fresh_database)
    before = on_database(fresh_database, lambda connection: catalog(connection, "public"))
    on_database(fresh_database, lambda connection: command.downgrade(migration_config(connection), "base"))
    assert on_database(fresh_database, lambda connection: catalog(connection, "public")) == set()
    assert not current_is_head(fresh_database)
    migrate(fresh_database)
    assert on_database(fresh_database, lambda connection: catalog(connection, "public")) == before


def test_a_database_of_the_first_revision_keeps_its_data_up_and_down(fresh_database: str) -> None:
    def first(connection: Connection) -> set[tuple[str, ...]]:
        command.upgrade(migration_config(connection), "0001")
        customer, order = uuid.uuid4(), uuid.uuid4()
        for statement in FIRST_ROWS:
            connection.execute(text(statement), {"customer": customer, "order": order, "now": NOW})
        return catalog(connection, "public")

    def rows(connection: Connection) -> list[tuple[object, ...]]:
        found = "SELECT c.number, c.marketing_consent, o.number, o.total, e.state FROM customer c"
        joined = " JOIN orders o ON o.customer_id = c.id JOIN consent_event e ON e.customer_id = c.id"
        return [tuple(row) for row in connection.execute(text(found + joined))]

    def numbers(connection: Connection) -> list[int]:
        names = ("customer_number", "order_number", "return_number")
        return [connection.execute(text(f"SELECT nextval('{name}')")).scalar_one() for name in names]

    before = on_database(fresh_database, first)
    kept = on_database(fresh_database, rows)
    assert len(kept) == 1
    assert not current_is_head(fresh_database)
    migrate(fresh_database)
    assert on_database(fresh_database, rows) == kept
    assert on_database(fresh_database, numbers) == [18, 1, 1]  # there is a C-000017, and no O-1 or R-1
    on_database(fresh_database, lambda connection: command.downgrade(migration_config(connection), "0001"))
    assert on_database(fresh_database, rows) == kept
    assert on_database(fresh_database, lambda connection: catalog(connection, "public")) == before


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO product (sku, name, unit_price, currency, vat_rate) VALUES ('A', 'A', -0.01, 'EUR', 0)",
        "UPDATE orders SET total = -0.01",
        "UPDATE returns SET refund_amount = -0.01",
    ],
)
def test_the_database_takes_no_amount_below_zero(fresh_database: str, statement: str) -> None:
    def rows_and_one_amount(connection: Connection) -> None:
        for each in (*FIRST_ROWS, A_RETURN, statement.replace("-0.01", "0")):
            connection.execute(
                text(each), {"customer": uuid.UUID(int=1), "order": uuid.UUID(int=2), "now": NOW}
            )
        connection.execute(text("DELETE FROM product"))

    migrate(fresh_database)
    on_database(fresh_database, rows_and_one_amount)
    with pytest.raises(StartError, match="is_not_negative"):
        on_database(fresh_database, lambda connection: connection.execute(text(statement)))


def test_only_one_credential_of_an_address_can_be_confirmed(fresh_database: str) -> None:
    def add(connection: Connection, confirmed: datetime | None) -> None:
        customer, email = uuid.uuid4(), "one@customer.example"
        values = {
            "customer": customer,
            "number": str(customer),
            "email": email,
            "now": NOW,
            "done": confirmed,
        }
        for statement in (
            "INSERT INTO customer (id, number, unsubscribe_token, created_at, last_active_at)"
            " VALUES (:customer, :number, :number, :now, :now)",
            "INSERT INTO credential (customer_id, email, password_hash, created_at, confirmed_at)"
            " VALUES (:customer, :email, '', :now, :done)",
        ):
            connection.execute(text(statement), values)

    migrate(fresh_database)
    for confirmed in (None, None, NOW):
        on_database(fresh_database, lambda connection, confirmed=confirmed: add(connection, confirmed))
    with pytest.raises(StartError, match="credential_confirmed_once"):
        on_database(fresh_database, lambda connection: add(connection, NOW))


def test_mail_that_was_given_up_loses_its_text_and_no_session_of_an_order_becomes_one_of_the_account(
    fresh_database: str,
) -> None:
    values = {"customer": uuid.uuid4(), "order": uuid.uuid4(), "now": NOW}
    mail = (
        "INSERT INTO mail (id, kind, recipient, subject, body, created_at, next_attempt_at, failed_at)"
        " VALUES (gen_random_uuid(), 'k', 'a@example.com', 's', 'link', :now, :now, :failed_at)"
    )
    session = (
        "INSERT INTO session (id, customer_id, order_id, created_at, last_refreshed_at, expires_at)"
        " VALUES (gen_random_uuid(), :customer, :of, :now, :now, :now)"
    )

    def up_and_down(connection: Connection) -> list[tuple[object, ...]]:
        command.upgrade(migration_config(connection), "0007")
        for statement in FIRST_ROWS:
            connection.execute(text(statement), values)
        for failed_at in (None, NOW):
            connection.execute(text(mail), values | {"failed_at": failed_at})
        command.upgrade(migration_config(connection), "0008")
        for of in (None, values["order"]):
            connection.execute(text(session), values | {"of": of})
        command.downgrade(migration_config(connection), "0007")
        query = "SELECT array_agg(body ORDER BY body), (SELECT count(*) FROM session) FROM mail"
        return [tuple(row) for row in connection.execute(text(query))]

    assert on_database(fresh_database, up_and_down) == [(["", "link"], 1)]


async def add_customer(connection: asyncpg.Connection) -> uuid.UUID:
    customer = uuid.uuid4()
    await connection.execute(
        "INSERT INTO customer (id, number, unsubscribe_token, created_at, last_active_at)"
        " VALUES ($1, $2, $2, $3, $3)",
        customer,
        str(customer),
        NOW,
    )
    return customer


async def add_event(connection: asyncpg.Connection, customer: uuid.UUID, state: str, day: int) -> None:
    await connection.execute(
        "INSERT INTO consent_event"
        " (id, customer_id, purpose, state, at, source, notice_version, text_digest, actor)"
        " VALUES ($1, $2, 'NEWSLETTER', $3, $4, 'CUSTOMER', '2026-1', '', 'customer')",
        uuid.uuid4(),
        customer,
        state,
        NOW + timedelta(days=day),
    )


async def consents(connection: asyncpg.Connection, customer: uuid.UUID) -> bool:
    return bool(await connection.fetchval("SELECT marketing_consent FROM customer WHERE id = $1", customer))


def test_marketing_consent_is_the_newest_event_whatever_the_order_of_arrival(fresh_database: str) -> None:
    migrate(fresh_database)

    async def run() -> list[bool]:
        connection = await asyncpg.connect(fresh_database)
        customer, other = await add_customer(connection), await add_customer(connection)
        seen = [await consents(connection, customer)]
        for state, day in [("REFUSED", 1), ("GIVEN", 3), ("WITHDRAWN", 2), ("WITHDRAWN", 5), ("GIVEN", 4)]:
            await add_event(connection, customer, state, day)
            seen.append(await consents(connection, customer))
        seen.append(await consents(connection, other))
        await connection.close()
        return seen

    assert asyncio.run(run()) == [False, False, True, True, False, False, False]


def test_of_two_events_at_once_the_newest_counts_though_it_was_committed_first(fresh_database: str) -> None:
    migrate(fresh_database)

    async def run() -> bool:
        first, second = await asyncpg.connect(fresh_database), await asyncpg.connect(fresh_database)
        customer = await add_customer(first)
        transaction = first.transaction()
        await transaction.start()
        await add_event(first, customer, "WITHDRAWN", 2)
        late = asyncio.create_task(add_event(second, customer, "GIVEN", 1))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $1"
        while not await first.fetchval(waiting, second.get_server_pid()):
            assert not late.done()
        await transaction.commit()
        await late
        newest = await consents(first, customer)
        await first.close()
        await second.close()
        return newest

    assert asyncio.run(run()) is False
