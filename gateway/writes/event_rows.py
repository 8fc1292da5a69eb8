"""The statements of carriers' reports, each for many rows at once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, Uuid, bindparam, func, insert, literal_column, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import SQLModel

from schema.columns import TIME

from ..row_rules import row_of
from ..statements.bound import compiled
from .rows import Sql

EVENT = {
    "id": Uuid(),
    "delivery_id": Uuid(),
    "customer_id": Uuid(),
    "status": Text(),
    "occurred_at": TIME,
    "place": Text(),
    "note": Text(),
    "idempotency_key": Uuid(),
}
NOTED = {"id": Uuid(), "customer_id": Uuid(), "entity_id": Uuid(), "field": Text()}


@lru_cache(maxsize=1)
def events_known() -> Sql:
    """The events of the deliveries `keys` that are kept under one of `event_keys`."""
    event = row_of("delivery_event", 1)
    shown = ("id", "delivery_id", "idempotency_key", "status", "occurred_at", "place", "note")
    query = select(*(event.c[name] for name in shown)).where(
        event.c.delivery_id == _any("keys"), event.c.idempotency_key == _any("event_keys")
    )
    return Sql(*compiled(query))


@lru_cache(maxsize=1)
def newest_events() -> Sql:
    """The event of each of the deliveries `keys` that speaks of the latest moment."""
    event = row_of("delivery_event", 1)
    query = (
        select(event.c.delivery_id, event.c.status, event.c.occurred_at)
        .ext(distinct_on(event.c.delivery_id))
        .where(event.c.delivery_id == _any("keys"))
        .order_by(event.c.delivery_id, event.c.occurred_at.desc(), event.c.id.desc())
    )
    return Sql(*compiled(query))


@lru_cache(maxsize=1)
def add_events() -> Sql:
    """Adds events; binds a list for each column."""
    table = SQLModel.metadata.tables["delivery_event"]
    rows = _rows(EVENT)
    return Sql(*compiled(insert(table).from_select(list(EVENT), select(*rows.c))))


@lru_cache(maxsize=1)
def note_events() -> Sql:
    """Notes the fields of new events, without their values; binds a list for each column but how."""
    table = SQLModel.metadata.tables["change"]
    rows = _rows(NOTED)
    how = {
        "entity": literal_column("'DeliveryEvent'"),
        "at": bindparam("now", type_=TIME),
        "source": bindparam("source", type_=Text()),
        "actor": bindparam("actor", type_=Text()),
    }
    return Sql(*compiled(insert(table).from_select([*NOTED, *how], select(*rows.c, *how.values()))))


def _rows(columns: Any) -> Any:
    lists = [bindparam(name, type_=ARRAY(kind)) for name, kind in columns.items()]
    return func.unnest(*lists).table_valued(*columns).render_derived(name="given")


def _any(name: str) -> ColumnElement[Any]:
    return func.any(bindparam(name, type_=ARRAY(Uuid())))
