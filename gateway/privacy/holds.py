"""Whether a hold keeps a field of a row, as a condition in SQL: what erasure and retention both ask."""

from __future__ import annotations

from sqlalchemy import Date, FromClause, Text, and_, bindparam, cast, false, literal_column, or_, select
from sqlalchemy.dialects.postgresql import array
from sqlmodel import SQLModel

from ..row_rules.parts import Condition, some

# The column that says which order a row is of, by table; rows of other tables are of none.
_ORDER = {
    "orders": "id",
    "order_line": "order_id",
    "delivery": "order_id",
    "returns": "order_id",
}
_PARENT = {"delivery_event": ("delivery", "delivery_id"), "return_line": ("returns", "return_id")}
_ENTITY = {"orders": "Order", "delivery": "Delivery", "returns": "Return", "customer": "Customer"}


def is_held(row: FromClause, name: str, coordinate: str | None) -> Condition:
    """Whether a hold in force on `today` keeps the field of the row of the table called `name`.

    `coordinate` is the field's; None where no field shows the column, which nothing holds. Binds `today`.
    """
    if coordinate is None:
        return false()
    hold = SQLModel.metadata.tables["legal_hold"].alias("hold")
    return some(
        row,
        hold.c.customer_id == (row.c.id if name == "customer" else row.c.customer_id),
        hold.c.released_at.is_(None),
        hold.c.until >= bindparam("today", type_=Date()),
        hold.c.fields.op("@>", is_comparison=True)(
            cast(array([literal_column(f"'{coordinate}'", Text())]), hold.c.fields.type)
        ),
        _is_on(hold, row, name),
    )


def _is_on(hold: FromClause, row: FromClause, name: str) -> Condition:
    """Whether the hold is on the row, on what it belongs to, or on its customer as a whole."""
    choices = [hold.c.target_entity == literal_column("'Customer'", Text())]
    if name in _ORDER:
        of_order = hold.c.order_id == row.c[_ORDER[name]]
        choices.append(and_(hold.c.target_entity == literal_column("'Order'", Text()), of_order))
    if name in _ENTITY:
        choices.append(hold.c.target_id == row.c.id)
    if name in _PARENT:
        table, key = _PARENT[name]
        parent = SQLModel.metadata.tables[table].alias("held_parent")
        order = select(parent.c.order_id).where(parent.c.id == row.c[key]).correlate(row)
        choices.append(hold.c.target_id == row.c[key])
        is_order = hold.c.target_entity == literal_column("'Order'", Text())
        choices.append(and_(is_order, hold.c.order_id == order.scalar_subquery()))
    return or_(*choices)
