"""What must hold of the register whatever is done to it, read straight from its tables.

A change is judged by the rows before it, the rows after it, what was asked and what was answered; nothing of
how the gateway does it is used but the names of the schema and its lists of legal steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlmodel import SQLModel

from schema.lifecycles import DELIVERY, ORDER, ORDER_DERIVED, PAYMENT, RETURN, Steps
from schema.model import load_model
from schema.scalars import read_global_id
from schema.tags import Personal
from tests.world import RECORDS, World

Row = dict[str, Any]
Rows = Mapping[str, Mapping[tuple[Any, ...], Row]]

MODEL = load_model()
KEYS = {
    name: [column.name for column in table.primary_key] for name, table in SQLModel.metadata.tables.items()
}
# What a life fills and leaves behind; everything else is the seed's.
LIVED = (
    *("legal_hold", "erasure_notice", "erasure", "export_document", "subject_request"),
    *("return_line", "returns", "delivery_event", "delivery", "order_line", "orders"),
    *("change", "mail", "idempotency"),
)
VERSIONED = ("customer", "orders", "delivery", "returns", "carrier")
STATUSES: Mapping[tuple[str, str], Steps] = {
    ("orders", "status"): ORDER,
    ("orders", "payment_status"): PAYMENT,
    ("delivery", "status"): DELIVERY,
    ("returns", "status"): RETURN,
}
FIRST = {
    ("orders", "status"): "PLACED",
    ("orders", "payment_status"): "PENDING",
    ("delivery", "status"): "PLANNED",
    ("returns", "status"): "REQUESTED",
}
ADDRESS = {
    *("recipient_name", "recipient_phone", "recipient_email", "street_address", "postal_code"),
    *("postal_town", "country_code", "pickup_point", "instructions"),
}
SENDING = {
    *("status", "carrier_id", "service_code", "tracking_code", "parcel_count", "weight_grams"),
    *("promised_at", "pickup_point"),
}
MOMENTS = {"DELIVERED": "delivered_at", "RETURNED": "returned_at", "LOST": "lost_at"}
# The columns a change may touch, by table, beside `version`; rows are only ever of the orders it names.
MAY_CHANGE: Mapping[str, Mapping[str, set[str]]] = {
    "placeOrder": {"customer": {"last_active_at"}},
    "cancelOrder": {"orders": {"status"}, "delivery": {"status"}},
    "updateOrder": {"orders": {"status", "payment_status"}},
    "addOrderNote": {"orders": {"internal_note"}},
    "createDelivery": {},
    "updateDelivery": {"delivery": SENDING, "orders": {"status"}},
    "updateDeliveryAddress": {"delivery": ADDRESS},
    "reportDeliveryEvent": {
        "delivery": {"status", "handed_over_at", "signed_by", *MOMENTS.values()},
        "orders": {"status"},
    },
    "requestReturn": {},
    "updateReturn": {"returns": {"status", "inspection_note", "refund_amount", "refunded_at", "refund_iban"}},
}
MAY_ADD: Mapping[str, set[str]] = {
    "placeOrder": {
        *("customer", "consent_event", "orders", "order_line", "delivery", "idempotency", "session"),
    },
    "createDelivery": {"delivery", "idempotency"},
    "reportDeliveryEvent": {"delivery_event"},
    "requestReturn": {"returns", "return_line", "idempotency", "mail"},  # a withdrawal is acknowledged
}
SOURCES = {
    "customer": {"CUSTOMER", "CHECKOUT"},
    "anonymous": {"CHECKOUT"},
    "support": {"STAFF_ON_BEHALF"},
    "register_admin": {"STAFF_ON_BEHALF"},
    "carrier": {"CARRIER_EVENT"},
    "warehouse": {"STAFF"},
    "finance": {"STAFF"},
}


@dataclass(frozen=True)
class Move:
    """One change that somebody asks for."""

    asker: str
    mutation: str
    given: Mapping[str, Any]
    purpose: str | None = None


@dataclass(frozen=True)
class Said:
    """What was answered: `REFUSED` as a whole, the codes of `userErrors`, or nothing to mend."""

    codes: frozenset[str]
    payload: Mapping[str, Any]

    @property
    def is_done(self) -> bool:
        return not self.codes

    @property
    def outcomes(self) -> list[str]:
        return [one["outcome"] for one in self.payload.get("results") or []]


class Ledger:
    """The register's tables, read by their owner over one connection."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(url))

    def rows(self) -> Rows:
        return self._runner.run(self._rows(KEYS))

    async def _rows(self, tables: Iterable[str]) -> Rows:
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            return {
                name: {
                    tuple(row[column] for column in KEYS[name]): dict(row)
                    for row in await self._connection.fetch(f'SELECT * FROM "{name}"')
                }
                for name in tables
            }

    def register(self) -> Rows:
        """The rows without those that say who looked at the others."""
        return self._runner.run(self._rows([name for name in KEYS if name not in RECORDS]))

    def execute(self, statement: str, *values: Any) -> None:
        self._runner.run(self._connection.execute(statement, *values))

    def values(self, query: str, *given: Any) -> list[tuple[Any, ...]]:
        """The rows of a query, without names."""
        return [tuple(row) for row in self._runner.run(self._connection.fetch(query, *given))]

    def others(self) -> int:
        """How many connections to the database there are beside this one."""
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(self._runner.run(self._connection.fetchval(query)))

    def empty(self, seeded: list[UUID]) -> None:
        """Takes away everything that lived, and every customer but those of the seed."""
        for table in LIVED:
            self.execute(f"DELETE FROM {table}")
        for table, column in (
            ("session", "customer_id"),
            ("consent_event", "customer_id"),
            ("credential", "customer_id"),
            ("customer", "id"),
        ):
            self.execute(f"DELETE FROM {table} WHERE {column} <> ALL ($1)", seeded)

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


def listed(rows: Rows) -> dict[str, list[Row]]:
    """The rows as the naive twin takes them."""
    return {name: list(found.values()) for name, found in rows.items()} | {name: [] for name in RECORDS}


# ---------------------------------------------------------------- one step


def check_step(before: Rows, after: Rows, move: Move, said: Said, world: World) -> None:
    """Raises where a change did what it may not, or not what it says."""
    if not said.is_done or (said.outcomes and "RECORDED" not in said.outcomes):
        assert after == before, f"{move} was not made, and yet something changed"
        return
    _check_no_row_is_lost(before, after)
    named = _orders_named(after, move, said)
    for table, old, new in _changed(before, after):
        columns = {name for name in new if old[name] != new[name]}
        assert columns - {"version"} <= MAY_CHANGE[move.mutation].get(table, set()), (move, table, columns)
        assert _order_of(table, new) in named, f"{move} changed a row of another order"
        _check_version(table, old, new, move)
        _check_statuses(table, old, new, after, move)
        _check_is_noted(table, new, columns, before, after)
    for table, row in _added(before, after):
        allowed = MAY_ADD.get(move.mutation, set()) | {"change"}
        assert table in allowed, f"{move} added a row to {table}"
        for (of, column), status in FIRST.items():
            assert of != table or row[column] == status, (table, row[column])
        if table == "change":
            _check_provenance(row, after, move, world)
    _check_target(before, after, move)


def _check_no_row_is_lost(before: Rows, after: Rows) -> None:
    for table, found in before.items():
        if table == "idempotency":  # a used up key may be used anew
            continue
        lost = found.keys() - after[table].keys()
        assert not lost, f"rows of {table} are gone"
        if table not in VERSIONED:
            kept = {key: after[table][key] for key in found}
            assert kept == found, f"rows of {table} were changed"


def _changed(before: Rows, after: Rows) -> Iterator[tuple[str, Row, Row]]:
    for table in VERSIONED:
        for key, old in before[table].items():
            if after[table][key] != old:
                yield table, old, after[table][key]


def _added(before: Rows, after: Rows) -> Iterator[tuple[str, Row]]:
    for table, found in after.items():
        yield from ((table, found[key]) for key in found.keys() - before[table].keys())


def _order_of(table: str, row: Row) -> Any:
    return row["id"] if table in ("orders", "customer") else row["order_id"]


def _orders_named(after: Rows, move: Move, said: Said) -> set[UUID]:
    """The orders a change speaks of; for a new order, who placed it."""
    given = move.given
    if move.mutation == "placeOrder":
        order = after["orders"][(key_of(said.payload["order"]["id"]),)]
        return {order["customer_id"]}
    ids = [given[name] for name in ("id", "orderId") if name in given]
    ids += [one["deliveryId"] for one in given.get("events", [])]
    return {found for found in (_order_by_id(shown, after) for shown in ids) if found is not None}


def _order_by_id(shown: str, after: Rows) -> UUID | None:
    kind, key = read_global_id(shown) or ("", None)
    if kind == "Order":
        return key
    row = after["delivery" if kind == "Delivery" else "returns"].get((key,))
    return row["order_id"] if row else None


def _check_version(table: str, old: Row, new: Row, move: Move) -> None:
    """One number a step; an order that deliveries take on may take two at once."""
    raised = new["version"] - old["version"]
    is_sent = old["status"] in ("PLACED", "PAID", "PICKING") if table == "orders" else False
    if is_sent and new["status"] == "DELIVERED":
        assert raised == 2, (move, table)
    else:
        assert raised == 1, f"{move} raised the version of {table} by {raised}"


def _check_statuses(table: str, old: Row, new: Row, after: Rows, move: Move) -> None:
    for (of, column), steps in STATUSES.items():
        if of != table or old[column] == new[column]:
            continue
        between = set(steps)
        if table == "delivery":
            between = {one["status"] for one in events_of(new["id"], after)}
        elif table == "orders" and column == "status":
            between = {"SHIPPED"}
            if move.mutation in ("reportDeliveryEvent", "updateDelivery"):  # nobody sets it; it follows
                steps = ORDER_DERIVED
                on_invoice = old["payment_method"] == "INVOICE"
                assert old["status"] != "PLACED" or on_invoice, "sent before it was paid"
        assert _leads(steps, old[column], new[column], between), (table, column, old[column], new[column])


def _leads(steps: Steps, start: str, end: str, between: set[str]) -> bool:
    """Whether legal steps lead from one status to another, over these alone."""
    seen, waiting = {start}, [start]
    while waiting:
        for one in steps.get(waiting.pop(), ()):
            if one == end:
                return True
            if one in between and one not in seen:
                seen.add(one)
                waiting.append(one)
    return False


def _check_is_noted(table: str, new: Row, columns: set[str], before: Rows, after: Rows) -> None:
    """Every personal field that changed is noted once, whether it was set or followed; nothing else is."""
    entity, of = next((name, one) for name, one in MODEL.entities.items() if one.table.name == table)
    is_personal = {column.name: isinstance(column.info["tag"], Personal) for column in of.table.columns}
    wanted = {name for column, name in of.shown_by.items() if column in columns and is_personal[column]}
    added = after["change"].keys() - before["change"].keys()
    rows = [after["change"][key] for key in added]
    noted = sorted(row["field"] for row in rows if (row["entity"], row["entity_id"]) == (entity, new["id"]))
    # An order that deliveries take on may take two steps at once.
    twice = ["status"] if table == "orders" and noted.count("status") == 2 else []
    assert noted == sorted([*(wanted - {"lastActiveAt"}), *twice]), (table, noted, wanted)


def _check_provenance(row: Row, after: Rows, move: Move, world: World) -> None:
    entity = MODEL.entities[row["entity"]]
    assert row["field"] in MODEL.graphql.type_map[row["entity"]].fields  # type: ignore[union-attr]
    of = after[entity.table.name][(row["entity_id"],)]
    owner = of["id"] if entity.table.name == "customer" else of["customer_id"]
    assert row["customer_id"] == owner
    asker = world.askers[move.asker]
    assert row["source"] in SOURCES[asker.role or ""], (move, row["source"])
    assert row["at"] == world.now
    # The holder of one order's token is told apart by the order.
    for part in row["actor"].split(" "):
        actor = read_global_id(part)
        assert actor is not None
        known = {"Customer": asker.customer_id or owner, "Carrier": asker.carrier_id}
        known["Order"] = asker.order_id
        assert actor[1] == (known.get(actor[0]) or actor[1])


def _check_target(before: Rows, after: Rows, move: Move) -> None:
    """The row a change names has the next version, and what was asked for stands in it."""
    found = read_global_id(move.given["id"]) if "id" in move.given else None
    if found is None:
        return
    table = MODEL.entities[found[0]].table.name
    old, new = before[table][(found[1],)], after[table][(found[1],)]
    assert new["version"] > old["version"], f"{move} was acknowledged and left no trace"
    columns = MODEL.entities[found[0]].columns
    for name, value in move.given.items():
        if name in columns and name not in ("id", "internalNote"):
            kept = new[columns[name]]
            assert kept == _as_stored(value, kept), f"{move} did not set `{name}`"


def _as_stored(value: Any, kept: Any) -> Any:
    """The value of an input as its column holds it."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(kept, UUID):
        return key_of(value)
    return type(kept).fromisoformat(value) if isinstance(kept, datetime) else type(kept)(value)


def events_of(delivery: UUID, rows: Rows) -> list[Row]:
    return [one for one in rows["delivery_event"].values() if one["delivery_id"] == delivery]


def key_of(shown: str) -> UUID:
    """The key in a global id."""
    found = read_global_id(shown)
    assert found is not None
    return found[1]
