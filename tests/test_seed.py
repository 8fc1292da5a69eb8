"""The demo data is the same for the same seed, covers every state and both sides of every window, and holds."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import schema.tables  # noqa: F401  # fills SQLModel.metadata
from gateway.demo.carriers import add_carriers
from gateway.demo.customers import Register
from gateway.demo.draw import FIXED_ANCHOR_MS, Draw
from gateway.demo.people import People
from gateway.demo.rows import NULL, Rows
from gateway.demo.scene import Scene
from gateway.demo.seed import TABLES, seed
from gateway.errors import StartError
from gateway.migrate import migrate, migration_config, on_database
from schema import states

NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
ANCHOR = datetime(2026, 11, 22, tzinfo=UTC)

Record = dict[str, str | None]
Table = list[Record]
Data = dict[str, Table]


def made(customers: int, *, number: int = 1, now: datetime = NOW) -> Data:
    """The rows of a register by table, as the text that goes to the database."""
    rows, draw = Rows(), Draw(number, now)
    scene = Scene(draw, People(draw, number), add_carriers(draw, rows), rows)
    register = Register(scene, customers)
    for turn in range(1, customers + 1):
        register.add_customer(turn)
    return {
        table: [
            {
                column: None if value == NULL else value
                for column, value in zip(columns, line.split("\t"), strict=True)
            }
            for line in rows.text(table).decode().splitlines()
        ]
        for table, columns in rows.columns.items()
    }


@pytest.fixture(scope="module")
def smallest() -> Data:
    return made(30)


@pytest.fixture(scope="module")
def larger() -> Data:
    return made(1_000)


@pytest.fixture(params=["smallest", "larger"])
def data(request: pytest.FixtureRequest) -> Data:
    found: Data = request.getfixturevalue(request.param)
    return found


def value(row: Record, column: str) -> str:
    found = row[column]
    assert found is not None, f"{column} is empty"
    return found


def moment(row: Record, column: str) -> datetime:
    return datetime.fromisoformat(value(row, column))


def by(table: Table, column: str) -> dict[str, Table]:
    """The rows of a table by the value of a column."""
    groups = defaultdict(list)
    for row in table:
        groups[value(row, column)].append(row)
    return groups


def is_within(delivery: Record, days: int, now: datetime = NOW) -> bool:
    """Whether the moment lies before the delivery's end and so many days (the row rules `assigned…`)."""
    for column in ("returned_at", "delivered_at", "lost_at"):
        if delivery[column]:
            return now < moment(delivery, column) + timedelta(days=days)
    if delivery["handed_over_at"]:
        return now < moment(delivery, "handed_over_at") + timedelta(days=60 + days)
    return now < moment(delivery, "created_at") + timedelta(days=120 + days)


def basis(delivery: Record) -> str:
    """The column that the end of a delivery counts from."""
    columns = ("returned_at", "delivered_at", "lost_at", "handed_over_at")
    return next((column for column in columns if delivery[column]), "created_at")


def fill(url: str, *, customers: int = 30, number: int = 1) -> list[tuple[int, int]]:
    """Seeds the database and returns what `progress` was called with."""
    calls: list[tuple[int, int]] = []
    arguments = {"customers": customers, "seed": number, "now": NOW}
    asyncio.run(seed(url, **arguments, progress=lambda done, total: calls.append((done, total))))
    return calls


def digests(connection: Connection) -> dict[str, str]:
    """A digest of every row of each table."""
    query = "SELECT md5(coalesce(string_agg(row::text, ';' ORDER BY row::text), '')) FROM {} AS row"
    return {table: connection.execute(text(query.format(table))).scalar_one() for table in TABLES}


def migrate_again(url: str) -> None:
    on_database(url, lambda connection: command.downgrade(migration_config(connection), "base"))
    migrate(url)


def test_the_same_seed_gives_the_same_database_and_another_seed_another(fresh_database: str) -> None:
    migrate(fresh_database)
    fill(fresh_database)
    first = on_database(fresh_database, digests)
    migrate_again(fresh_database)
    fill(fresh_database)
    assert on_database(fresh_database, digests) == first
    migrate_again(fresh_database)
    fill(fresh_database, number=2)
    other = on_database(fresh_database, digests)
    assert all(other[table] != first[table] for table in TABLES)


def test_ids_do_not_depend_on_the_day(smallest: Data) -> None:
    later = made(30, now=NOW + timedelta(days=40))
    for table, rows in smallest.items():
        if "id" in rows[0]:
            assert [row["id"] for row in rows] == [row["id"] for row in later[table]]
    assert smallest["orders"] != later["orders"]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("customer", "created_at"),
        ("consent_event", "at"),
        ("orders", "placed_at"),
        ("delivery", "created_at"),
        ("delivery_event", "occurred_at"),
        ("returns", "requested_at"),
    ],
)
def test_ids_rise_with_the_time_of_their_row(smallest: Data, table: str, column: str) -> None:
    for row in smallest[table]:
        key = uuid.UUID(value(row, "id"))
        assert (key.version, key.variant) == (7, uuid.RFC_4122)
        after = (moment(row, column) - ANCHOR).total_seconds()
        assert key.int >> 80 == FIXED_ANCHOR_MS + after * 1_000


@pytest.mark.parametrize(
    ("table", "column", "known"),
    [
        ("customer", "status", states.CustomerStatus),
        ("consent_event", "state", states.ConsentState),
        ("orders", "status", states.OrderStatus),
        ("orders", "payment_method", states.PaymentMethod),
        ("orders", "payment_status", states.PaymentStatus),
        ("delivery", "status", states.DeliveryStatus),
        ("returns", "kind", states.ReturnKind),
        ("returns", "status", states.ReturnStatus),
    ],
)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_state_occurs_among_thirty_customers(
    number: int, table: str, column: str, known: type[Enum]
) -> None:
    assert {row[column] for row in made(30, number=number)[table]} == {state.value for state in known}


def test_every_reason_and_none_occur_among_thirty_customers(smallest: Data) -> None:
    reasons = {row["reason_code"] for row in smallest["returns"]}
    assert reasons == {None, *(reason.value for reason in states.ReturnReason)}


def test_services_differ_in_the_contacts_they_need(smallest: Data) -> None:
    needs = {(row["needs_phone"], row["needs_email"]) for row in smallest["carrier_service"]}
    assert len(needs) == 4
    services = by(smallest["carrier_service"], "carrier_id")
    for carrier in smallest["carrier"]:
        assert value(carrier, "contact_email").endswith(".example")
        offered = {row["code"] for row in services[value(carrier, "id")]}
        used = {row["service_code"] for row in smallest["delivery"] if row["carrier_id"] == carrier["id"]}
        assert used == offered
        assert 2 <= len(offered) <= 3


@pytest.mark.parametrize("hour", [0, 23])
@pytest.mark.parametrize("days", [3, 30, 90])
def test_each_carrier_has_deliveries_on_both_sides_of_each_window(
    smallest: Data, days: int, hour: int
) -> None:
    """Whatever the hour: the data stands still from midnight, the clock does not."""
    now = ANCHOR + timedelta(hours=hour, minutes=59)
    known = {"delivered_at", "handed_over_at", "created_at"}
    assigned = [row for row in smallest["delivery"] if row["status"] not in ("PLANNED", "CANCELLED")]
    for carrier in smallest["carrier"]:
        own = [row for row in assigned if row["carrier_id"] == carrier["id"]]
        assert known <= {basis(row) for row in own if is_within(row, days, now)}
        assert known <= {basis(row) for row in own if not is_within(row, days, now)}
    for side in (True, False):
        known = {basis(row) for row in assigned if is_within(row, days, now) is side}
        assert {"returned_at", "lost_at"} <= known


def test_each_service_has_deliveries_on_both_sides_of_the_contact_window(smallest: Data) -> None:
    sides = defaultdict(set)
    for row in smallest["delivery"]:
        if row["delivered_at"]:
            sides[row["carrier_id"], row["service_code"]].add((is_within(row, 3), is_within(row, 30)))
    for service in smallest["carrier_service"]:
        assert sides[service["carrier_id"], service["code"]] >= {(True, True), (False, True)}


def test_totals_and_refunds_add_up(data: Data) -> None:
    lines, returned = by(data["order_line"], "order_id"), by(data["return_line"], "return_id")
    for order in data["orders"]:
        own = lines[value(order, "id")]
        total = sum(Decimal(value(row, "unit_price")) * int(value(row, "quantity")) for row in own)
        assert Decimal(value(order, "total")) == total
        assert 1 <= len(own) <= 4
        assert len({row["sku"] for row in own}) == len(own)
    line_by_id = {row["id"]: row for row in data["order_line"]}
    for back in data["returns"]:
        worth = Decimal(0)
        for row in returned[value(back, "id")]:
            line = line_by_id[row["order_line_id"]]
            assert line["order_id"] == back["order_id"]
            assert int(value(row, "quantity")) <= int(value(line, "quantity"))
            worth += int(value(row, "quantity")) * Decimal(value(line, "unit_price"))
        assert worth > 0
        assert (back["refund_amount"] is not None) == (back["status"] in ("INSPECTED", "REFUNDED", "CLOSED"))
        assert Decimal(back["refund_amount"] or 0) <= worth
        assert (back["refunded_at"] is not None) == (back["status"] in ("REFUNDED", "CLOSED"))
    rates = {row["vat_rate"] for row in data["order_line"]}
    assert rates == {"25.50", "14.00", "10.00"}


def test_orders_and_their_deliveries_agree(data: Data) -> None:
    known = {
        "PLACED": {"PLANNED"},
        "PAID": {"PLANNED"},
        "PICKING": {"PLANNED", "READY", "PRE_ADVISED"},
        "SHIPPED": {*("PICKED_UP", "IN_TRANSIT", "AT_PICKUP_POINT", "OUT_FOR_DELIVERY", "EXCEPTION")}
        | {"ATTEMPT_FAILED", "RETURNING", "RETURNED", "LOST"},
        "DELIVERED": {"DELIVERED"},
        "COMPLETED": {"DELIVERED", "RETURNED", "LOST"},
        "CANCELLED": {"CANCELLED"},
    }
    deliveries = by(data["delivery"], "order_id")
    for order in data["orders"]:
        own = deliveries.get(value(order, "id"), [])
        assert {row["status"] for row in own} <= known[value(order, "status")]
        assert own or order["status"] in ("PLACED", "PAID", "CANCELLED")
        assert all(moment(row, "created_at") > moment(order, "placed_at") for row in own)
    placed = {order["id"]: order["placed_at"] for order in data["orders"]}
    for back in data["returns"]:
        assert value(back, "requested_at") > value(placed, value(back, "order_id"))


def test_deliveries_and_their_events_agree(data: Data) -> None:
    stamps = {
        "PICKED_UP": "handed_over_at",
        "DELIVERED": "delivered_at",
        "RETURNED": "returned_at",
        "LOST": "lost_at",
    }
    events = by(data["delivery_event"], "delivery_id")
    for delivery in data["delivery"]:
        own = sorted(events.get(value(delivery, "id"), []), key=lambda row: value(row, "id"))
        assert own == sorted(own, key=lambda row: value(row, "occurred_at"))
        if delivery["status"] in ("PLANNED", "READY", "CANCELLED"):
            assert own == []
        else:
            assert 2 <= len(own) <= 5
            assert own[-1]["status"] == delivery["status"]
        reported = {row["status"]: row["occurred_at"] for row in own}
        assert {column: delivery[column] for column in stamps.values()} == {
            column: reported.get(status) for status, column in stamps.items()
        }


def test_the_past_is_over_and_no_order_is_older_than_its_customer(data: Data) -> None:
    may_lie_ahead = {"promised_at", "refund_due_at"}
    for rows in data.values():
        times = {name for name in rows[0] if name == "at" or name.endswith("_at")} - may_lie_ahead
        for row in rows:
            assert all(moment(row, name) < ANCHOR for name in times if row[name])
    known_since = {row["id"]: row["created_at"] for row in data["customer"]}
    for order in data["orders"]:
        assert value(known_since, value(order, "customer_id")) <= value(order, "placed_at")


def test_marketing_consent_is_the_newest_event(data: Data) -> None:
    events = by(data["consent_event"], "customer_id")
    sources = {"REGISTRATION", "CUSTOMER", "UNSUBSCRIBE_LINK"}
    for customer in data["customer"]:
        own = events.get(value(customer, "id"), [])
        newest = max(own, key=lambda row: (value(row, "at"), value(row, "id")), default={"state": None})
        assert (customer["marketing_consent"] == "True") == (newest["state"] == "GIVEN")
        assert {row["source"] for row in own} <= sources
        assert [row["source"] for row in own][:1] in (["REGISTRATION"], [])


def test_shares_are_those_of_a_shop(larger: Data) -> None:
    assert len(larger["orders"]) == 3_000
    assert 0.44 <= sum(row["marketing_consent"] == "True" for row in larger["customer"]) / 1_000 <= 0.46
    statuses = Counter(row["status"] for row in larger["customer"])
    assert 4 <= statuses["RESTRICTED"] <= 6
    assert 4 <= statuses["ERASED"] <= 6
    guests = 1_000 - len({row["customer_id"] for row in larger["consent_event"]})
    assert 45 <= guests <= 55
    assert 1.9 <= len(larger["order_line"]) / 3_000 <= 2.1
    is_open = [row["status"] not in states.ORDER_FINAL for row in larger["orders"]]
    assert 0.02 <= sum(is_open) / 3_000 <= 0.10
    assert 0.07 <= len(larger["returns"]) / 3_000 <= 0.13


def test_thirty_customers_have_ninety_orders(smallest: Data) -> None:
    assert len(smallest["orders"]) == 90


def test_numbers_are_unique_and_e_mail_addresses_lead_nowhere(data: Data) -> None:
    for table, column in [("orders", "number"), ("delivery", "reference"), ("returns", "number")]:
        names = [row[column] for row in data[table]]
        assert len(set(names)) == len(names)
    tokens = {value(row, "unsubscribe_token") for row in data["customer"]}
    assert len(tokens) == len(data["customer"])
    assert all(re.fullmatch(r"[\w-]{43}", token) for token in tokens)
    shown = [row["email"] for row in data["customer"]] + [row["recipient_email"] for row in data["delivery"]]
    reserved = re.compile(r"[a-z]+\.[a-z]+\.\d+@example\.(com|net|org)")
    assert all(email is None or reserved.fullmatch(email) for email in shown)
    phones = {row["phone"] for row in data["customer"] if row["phone"]}
    assert all(re.fullmatch(r"\+358(40|50)\d{7}", phone) for phone in phones)
    ibans = {row["refund_iban"] for row in data["returns"] if row["refund_iban"]}
    assert all(re.fullmatch(r"FI\d{16}", iban) for iban in ibans)
    assert all(int(iban[4:] + "1518" + iban[2:4]) % 97 == 1 for iban in ibans)


def test_no_free_text_holds_an_e_mail_address_or_a_telephone_number(data: Data) -> None:
    texts = ("customer_message", "internal_note", "instructions", "note", "reason_text", "inspection_note")
    for rows in data.values():
        for row in rows:
            assert not any(re.search(r"@|\d{5}", row.get(name) or "") for name in texts)


def test_the_restricted_and_the_erased_have_nothing_open(data: Data) -> None:
    marked = {row["id"]: row for row in data["customer"] if row["status"] != "ACTIVE"}
    assert {row["status"] for row in marked.values()} == {"RESTRICTED", "ERASED"}
    assert {row["customer_id"] for row in data["orders"]} >= set(marked)
    final = {
        "orders": states.ORDER_FINAL,
        "delivery": states.DELIVERY_FINAL,
        "returns": states.RETURN_FINAL,
    }
    long_ago = ANCHOR - timedelta(days=120)
    for table in ("consent_event", "orders", "delivery", "delivery_event", "returns"):
        for row in data[table]:
            if row["customer_id"] in marked:
                assert row["status" if table in final else "customer_id"] in final.get(table, marked)
                times = [name for name in row if name == "at" or name.endswith("_at")]
                assert all(moment(row, name) < long_ago for name in times if row[name])
    for row in data["customer"]:
        assert (row["restricted_at"] is not None) == (row["status"] == "RESTRICTED")
        assert (row["erased_at"] is not None) == (row["status"] == "ERASED")


def test_nothing_leads_back_to_the_erased_but_the_vouchers(data: Data) -> None:
    erased = {row["id"] for row in data["customer"] if row["status"] == "ERASED"}
    gone = {
        "customer": "first_name surname street_address postal_code postal_town country_code phone email",
        "orders": "customer_message internal_note",
        "delivery": "recipient_name recipient_phone recipient_email street_address postal_code postal_town"
        " country_code pickup_point instructions signed_by tracking_code",
        "delivery_event": "place note",
        "returns": "reason_text inspection_note refund_iban",
    }
    for table, columns in gone.items():
        for row in data[table]:
            if row["id" if table == "customer" else "customer_id"] in erased:
                assert [row[column] for column in columns.split()] == [None] * len(columns.split())
    for order in data["orders"]:
        assert order["billing_name"]
        assert order["billing_postal_code"]


def test_the_printed_customer_has_something_in_every_column(data: Data) -> None:
    customer = data["customer"][0]
    never = {"customer": {"restricted_at", "erased_at"}}
    for table in ("customer", "consent_event", "orders", "order_line", "delivery", "delivery_event"):
        own = [row for row in data[table] if row.get("customer_id", row["id"]) == customer["id"]]
        filled = {column for row in own for column in row if row[column] is not None}
        assert filled == set(own[0]) - never.get(table, set()), table
    assert (customer["status"], customer["marketing_consent"]) == ("ACTIVE", "True")


def test_the_printed_customer_has_nine_orders_and_every_state(data: Data) -> None:
    customer = data["customer"][0]
    own = {table: [row for row in data[table] if row.get("customer_id") == customer["id"]] for table in data}
    assert {row["status"] for row in own["orders"]} == {state.value for state in states.OrderStatus}
    assert len(own["orders"]) == 9
    assert len(own["consent_event"]) == 3
    assert all(row["signed_by"] for row in own["delivery"] if row["status"] == "DELIVERED")
    refunded = [row for row in own["returns"] if row["status"] == "REFUNDED"]
    assert len(own["returns"]) >= 3
    assert any(all(row.values()) for row in refunded)
    assert any(row["customer_message"] and row["internal_note"] for row in own["orders"])


def test_the_second_customer_is_ordinary(data: Data) -> None:
    first, second = data["customer"][:2]
    assert second["status"] == "ACTIVE"
    assert {first["phone"], first["email"]}.isdisjoint({second["phone"], second["email"], None})
    assert sum(row["customer_id"] == second["id"] for row in data["orders"]) == 3


FOREIGN_KEYS = """
SELECT conrelid::regclass::text, confrelid::regclass::text,
       (SELECT array_agg(attname::text ORDER BY turn) FROM unnest(conkey) WITH ORDINALITY AS k (number, turn)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number),
       (SELECT array_agg(attname::text ORDER BY turn) FROM unnest(confkey) WITH ORDINALITY AS k (number, turn)
        JOIN pg_attribute ON attrelid = confrelid AND attnum = number)
FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace
"""


def test_the_database_holds_what_was_made_with_its_keys_and_indexes(
    fresh_database: str, smallest: Data
) -> None:
    def look(connection: Connection) -> tuple[list[str], set[str], dict[str, int]]:
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

    migrate(fresh_database)
    _, indexes, _ = on_database(fresh_database, look)
    fill(fresh_database)
    orphans, indexes_after, counts = on_database(fresh_database, look)
    assert orphans == []
    assert indexes_after == indexes
    assert counts == {table: len(smallest[table]) if table in smallest else 4 for table in TABLES}


def test_the_settings_name_the_printed_customers(fresh_database: str, smallest: Data) -> None:
    def settings(connection: Connection) -> dict[str, str]:
        return {name: found for name, found in connection.execute(text("SELECT name, value FROM setting"))}

    migrate(fresh_database)
    calls = fill(fresh_database)
    first, second = (str(uuid.UUID(value(row, "id"))) for row in smallest["customer"][:2])
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
    on_database(fresh_database, lambda connection: command.downgrade(migration_config(connection), "base"))
    run("DROP TABLE alembic_version", f"CREATE ROLE {role}", f"GRANT CREATE ON SCHEMA public TO {role}")
    try:
        migrate(ordinary)
        fill(ordinary)
        assert on_database(ordinary, digests) == expected
    finally:
        run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_crash_leaves_the_database_empty_and_a_second_seed_is_refused(fresh_database: str) -> None:
    def count(connection: Connection) -> int:
        return int(connection.execute(text("SELECT count(*) FROM customer")).scalar_one())

    def crash(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    migrate(fresh_database)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(seed(fresh_database, customers=30, seed=1, now=NOW, progress=crash))
    assert on_database(fresh_database, count) == 0
    fill(fresh_database)
    with pytest.raises(StartError, match="needs an empty database"):
        fill(fresh_database)
    assert on_database(fresh_database, count) == 30


def test_too_few_customers_are_refused() -> None:
    with pytest.raises(StartError, match="at least 30 customers"):
        fill("postgresql://nobody@127.0.0.1:1/nothing", customers=29)
