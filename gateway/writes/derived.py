"""Steps that follow from another change: a status set on rows the caller may not set it on, and noted.

Nobody is granted these steps, so that the statements hold no rules of the caller's. What is noted carries
the source and the actor of the change that caused them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Text,
    Uuid,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from schema.columns import TIME

from ..statements.bound import compiled
from ..statements.json_values import text_literal
from .rows import Sql
from .work import Work

NOTED = ("id", "customer_id", "entity", "entity_id", "field", "at", "source", "actor")


def derived_step(entity: str, table_name: str, status: str, *conditions: ColumnElement[bool]) -> Sql:
    """Sets the status of the rows for which the conditions hold, raises their version, and notes it.

    Gives the `id` of each. Binds `change_ids`, at least as many as there are rows, `source` and `actor`,
    beside what the conditions bind.
    """
    table = SQLModel.metadata.tables[table_name]
    moved = (
        update(table)
        .where(*conditions)
        .values(status=text_literal(status), version=table.c.version + literal_column("1"))
        .returning(table.c.id, table.c.customer_id)
        .cte("moved")
    )
    query = select(moved.c.id)
    return Sql(*compiled(query.add_cte(_noted(entity, moved))))


def noted(work: Work, most: int) -> dict[str, object]:
    """What `derived_step` binds to note at most so many rows: ids, source and actor."""
    ids = [uuid7() for _ in range(most)]
    return {"change_ids": ids, "source": work.source.value, "actor": work.actor}


def _noted(entity: str, moved: Any) -> Any:
    change = SQLModel.metadata.tables["change"]
    ids = (
        func.unnest(bindparam("change_ids", type_=ARRAY(Uuid())))
        .table_valued("id", with_ordinality="place")
        .render_derived(name="change_ids")
    )
    rows: Any = select(moved, func.row_number().over(order_by=moved.c.id).label("place")).subquery("placed")
    noted = select(
        ids.c.id,
        rows.c.customer_id,
        text_literal(entity),
        rows.c.id.label("entity_id"),
        text_literal("status"),
        bindparam("now", type_=TIME),
        bindparam("source", type_=Text()),
        bindparam("actor", type_=Text()),
    ).select_from(rows.join(ids, ids.c.place == rows.c.place))
    return insert(change).from_select(NOTED, noted).cte("noted")
