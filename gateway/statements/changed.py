"""The payload of a change out of the changed row itself, so that change and answer are one statement."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, FromClause
from sqlalchemy.sql import visitors

from schema.fields import Scalar, ValueObject

from ..plan import Plan
from ..plan.values import Constant, LocalRoot, NodeRoot, Value
from ..row_rules import row_of
from .builder import Builder

MOST_ITEMS = 100


def is_of_one_row(plan: Plan) -> bool:
    """Whether a payload shows one entity, and of it nothing but some columns of its row."""
    entities = [root for root in plan.roots if not isinstance(root, Constant | LocalRoot)]
    return (
        len(entities) == 1
        and isinstance(entities[0], NodeRoot)
        and len(entities[0].record.items) <= MOST_ITEMS
        and all(_is_of_the_row(item) for item in entities[0].record.items)
    )


def _is_of_the_row(item: object) -> bool:
    match item:
        case Constant():
            return True
        case Value(field=field):
            source = field.source
            return isinstance(source, ValueObject) or (isinstance(source, Scalar) and source.comparable)
        case _:
            return False


def body_of(plan: Plan, row: FromClause) -> Any:
    """The JSON of a payload, as `bytea`, whose entity is this row."""
    return Builder(plan.scope, row).whole(plan).label("body")


def needed_columns(plan: Plan, table: str) -> list[str]:
    """The columns that a payload and the rules of its row read."""
    probe = row_of(table, 1)
    found = visitors.iterate(body_of(plan, probe))
    return sorted({str(one.key) for one in found if isinstance(one, Column) and one.table is probe})
