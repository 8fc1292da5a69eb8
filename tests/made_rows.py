"""The rows of the demo data as they go to the database, for the tests that need no database."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from gateway.demo.carriers import add_carriers
from gateway.demo.customers import Register
from gateway.demo.draw import Draw
from gateway.demo.people import People
from gateway.demo.rows import NULL, Rows
from gateway.demo.scene import Scene

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
