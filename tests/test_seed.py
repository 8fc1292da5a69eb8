"""The demo data reaches the database whole or not at all, and the same seed makes the same database."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection, text

from gateway.demo.products import PRODUCTS, add_price_list
from gateway.demo.seed import TABLES, seed
from gateway.errors import StartError
from gateway.migrate import migrate, migration_config, on_database
from tests.made_rows import NOW, made, value


def fill(url: str, *, customers: int = 30, number: int = 1) -> list[tuple[int, int]]:
    """Seeds the database and returns what `progress` was called with."""
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    asyncio.run(seed(url, customers=customers, seed=number, now=NOW, progress=progress))
    return calls


def digests(connection: Connection) -> dict[str, str]:
    """A digest of every row of each table."""
    query = "SELECT md5(coalesce(string_agg(row::text, ';' ORDER BY row::text), '')) FROM {} AS row"
    return {table: connection.execute(text(query.format(table))).scalar_one() for table in TABLES}


def empty(url: str) -> None:
    on_database(url, lambda connection: command.downgrade(migration_config(connection), "base"))


def test_the_same_seed_gives_the_same_database_and_another_seed_another(fresh_database: str) -> None:
    migrate(fresh_database)
    fill(fresh_database)
    first = on_database(fresh_database, digests)
    empty(fresh_database)
    migrate(fresh_database)
    fill(fresh_database)
    assert on_database(fresh_database, digests) == first
    empty(fresh_database)
    migrate(fresh_database)
    fill(fresh_database, number=2)
    other = on_database(fresh_database, digests)
    assert all(other[table] != first[table] for table in TABLES)


FOREIGN_KEYS = """
SELECT conrelid::regclass::text, confrelid::regclass::text,
       (SELECT array_agg(attname::text ORDER BY turn) FROM unnest(conkey) WITH ORDINALITY AS k (number, turn)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number),
       (SELECT array_agg(attname::text ORDER BY turn) FROM unnest(confkey) WITH ORDINALITY AS k (number, turn)
        JOIN pg_attribute ON attrelid = confrelid AND attnum = number)
FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace
"""


def look(connection: Connection) -> tuple[list[str], set[str], dict[str, int]]:
    """Rows whose parent is missing, the definitions of all indexes, and the number of rows by table."""
    orphans = []
    for child, parent, columns, keys in connection.execute(text(FOREIGN_KEYS)):
        pairs = zip(columns, keys, strict=True)
        match = " AND ".join(f"child.{column} = parent.{key}" for column, key in pairs)
        found = f"SELECT count(*) FROM {child} AS child WHERE child.{columns[0]} IS NOT NULL"
        query = f"{found} AND NOT EXISTS (SELECT FROM {parent} AS parent WHERE {match})"
        orphans += [f"{child} {parent}"] * connection.execute(text(query)).scalar_one()
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
    counts = {
        table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in TABLES
    }
    return orphans, set(connection.execute(text(indexes)).scalars()), counts


def test_the_database_holds_what_was_made_with_its_keys_and_indexes(fresh_database: str) -> None:
    migrate(fresh_database)
    _, indexes, _ = on_database(fresh_database, look)
    fill(fresh_database)
    orphans, indexes_after, counts = on_database(fresh_database, look)
    assert orphans == []
    assert indexes_after == indexes
    assert counts == {"setting": 4, **{table: len(rows) for table, rows in made(30).items()}}


def test_the_price_list_offers_what_was_ordered_at_the_price_it_was_ordered_for(fresh_database: str) -> None:
    def prices(connection: Connection, query: str) -> set[tuple[object, ...]]:
        return {tuple(row) for row in connection.execute(text(query))}

    columns = "sku, name, unit_price, currency, vat_rate"
    migrate(fresh_database)
    fill(fresh_database)
    offered = on_database(
        fresh_database, lambda connection: prices(connection, f"SELECT {columns} FROM product WHERE active")
    )
    ordered = on_database(
        fresh_database, lambda connection: prices(connection, f"SELECT {columns} FROM order_line")
    )
    assert len(offered) == len(PRODUCTS)
    assert ordered
    assert ordered <= offered


def test_the_price_list_of_earlier_data_is_completed_and_keeps_its_prices(fresh_database: str) -> None:
    async def offer_twice() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(fresh_database)
        try:
            await add_price_list(connection)
            await connection.execute("DELETE FROM product WHERE sku = $1", PRODUCTS[1][0])
            await connection.execute("UPDATE product SET unit_price = 1 WHERE sku = $1", PRODUCTS[0][0])
            await add_price_list(connection)
            rows = await connection.fetch("SELECT sku, unit_price * 100 AS cents FROM product")
            return [(row["sku"], int(row["cents"])) for row in rows]
        finally:
            await connection.close()

    migrate(fresh_database)
    expected = [(sku, cents) for sku, _, cents, _ in PRODUCTS]
    assert sorted(asyncio.run(offer_twice())) == sorted([(PRODUCTS[0][0], 100), *expected[1:]])


def test_the_next_customer_gets_the_number_after_the_last_of_the_demo(fresh_database: str) -> None:
    def next_number(connection: Connection) -> tuple[object, object]:
        last = connection.execute(text("SELECT max(number) FROM customer WHERE number LIKE 'C-%'")).scalar()
        return last, connection.execute(text("SELECT nextval('customer_number')")).scalar()

    migrate(fresh_database)
    fill(fresh_database)
    assert on_database(fresh_database, next_number) == ("C-000030", 31)


def test_the_settings_name_the_printed_customers(fresh_database: str) -> None:
    def settings(connection: Connection) -> dict[str, str]:
        return {row.name: row.value for row in connection.execute(text("SELECT name, value FROM setting"))}

    migrate(fresh_database)
    calls = fill(fresh_database)
    first, second = (str(uuid.UUID(value(row, "id"))) for row in made(30)["customer"][:2])
    assert on_database(fresh_database, settings) == {
        "demo.seed": "1",
        "demo.customers": "30",
        "demo.customer": first,
        "demo.customer-2": second,
    }
    assert calls == sorted(calls)
    assert (calls[0], calls[-1]) == ((0, 30), (30, 30))


def test_an_owner_without_superuser_rights_gets_the_same_data(fresh_database: str) -> None:
    """Here PostgreSQL itself checks every foreign key, and the trigger decides on every consent."""
    role = f"seed_owner_{uuid.uuid4().hex}"
    ordinary = f"{fresh_database}{'&' if '?' in fresh_database else '?'}role={role}"

    def run(*statements: str) -> None:
        def execute(connection: Connection) -> None:
            for statement in statements:
                connection.execute(text(statement))

        on_database(fresh_database, execute)

    def is_superuser(connection: Connection) -> bool:
        query = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        return bool(connection.execute(text(query)).scalar())

    if not on_database(fresh_database, is_superuser):
        pytest.skip("only a superuser can compare")
    migrate(fresh_database)
    fill(fresh_database)
    expected = on_database(fresh_database, digests)
    empty(fresh_database)
    run("DROP TABLE alembic_version", f"CREATE ROLE {role}", f"GRANT CREATE ON SCHEMA public TO {role}")
    try:
        migrate(ordinary)
        fill(ordinary)
        assert on_database(ordinary, digests) == expected
    finally:
        run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_crash_leaves_the_database_as_it_was(fresh_database: str) -> None:
    def occupy(connection: Connection) -> None:
        connection.execute(text("INSERT INTO setting (name, value) VALUES ('demo.seed', '0')"))

    migrate(fresh_database)
    on_database(fresh_database, occupy)
    _, indexes, counts = on_database(fresh_database, look)
    with pytest.raises(asyncpg.UniqueViolationError):
        fill(fresh_database)
    assert on_database(fresh_database, look) == ([], indexes, counts)
    assert counts["customer"] == 0


def test_a_database_with_customers_is_refused(fresh_database: str) -> None:
    migrate(fresh_database)
    fill(fresh_database)
    before = on_database(fresh_database, digests)
    with pytest.raises(StartError, match="needs an empty database"):
        fill(fresh_database)
    assert on_database(fresh_database, digests) == before


def test_too_few_customers_are_refused() -> None:
    with pytest.raises(StartError, match="at least 30 customers"):
        fill("postgresql://nobody@127.0.0.1:1/nothing", customers=29)
