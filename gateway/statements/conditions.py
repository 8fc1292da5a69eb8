"""Conditions of a plan as SQL. Two-valued: a comparison with null is false, and `not` of it is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Numeric,
    Text,
    Uuid,
    and_,
    any_,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.types import TypeEngine

from schema.fields import Keys, Scalar, ToMany, ToOne, ValueObject
from schema.model import Entity, Field

from ..plan.values import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    IsNull,
    Not,
    Operand,
    Related,
    SortKey,
)
from ..row_rules import AllRows, Scope, Where, holds_key, rows, some

Sql = ColumnElement[bool]


class Binder(Protocol):
    """Turns a caller's value into a bound parameter."""

    def bind(self, operand: Operand, kind: TypeEngine[Any]) -> ColumnElement[Any]:
        """The parameter of this value."""
        ...

    def new_row(self, entity: Entity) -> FromClause:
        """An alias of the entity's table that the statement does not use yet."""
        ...


def compared_value(field: Field, row: FromClause) -> ColumnElement[Any]:
    """What a field is compared and sorted by."""
    match field.source:
        case Scalar(expression=expression):
            return expression(row)
        case ValueObject(parts=parts, compared=str(compared)):
            return parts[compared][1](row)
        case _:
            raise AssertionError(f"{field.coordinate} has no value to compare")


def visible(rules: frozenset[str] | None, entity: Entity, row: FromClause, scope: Scope) -> list[Sql]:
    """The conditions under which a row exists for the caller; none where `rules` already hold."""
    if rules is None:
        return []
    match rows(rules, row, entity.table.name, scope):
        case AllRows():
            return []
        case Where(condition):
            return [condition]


def condition_sql(condition: Condition, row: FromClause, binder: Binder, scope: Scope) -> Sql:
    """A condition on one row."""
    match condition:
        case AllOf(parts):
            return and_(true(), *(condition_sql(part, row, binder, scope) for part in parts))
        case AnyOf(parts):
            return or_(false(), *(condition_sql(part, row, binder, scope) for part in parts))
        case Not(part):
            return condition_sql(part, row, binder, scope).is_not(true())
        case IsNull(field, wanted):
            value = compared_value(field, row)
            return value.is_(None) if wanted else value.is_not(None)
        case Compare(field, _, operand) if isinstance(field.source, Keys):
            return holds_key(row, field.source.column, binder.bind(operand, Uuid()))
        case Compare(field, operator, operand):
            return _comparison(compared_value(field, row), operator, operand, binder)
        case Related():
            return _related(condition, row, binder, scope)


def operand_type(value: ColumnElement[Any]) -> TypeEngine[Any]:
    """What a value is bound as to be compared with a column: without its length, scale or collation."""
    match value.type:
        case Text():
            return Text()
        case Numeric():
            return Numeric()
        case kind:
            return kind


def _comparison(value: ColumnElement[Any], operator: str, operand: Operand, binder: Binder) -> Sql:
    kind = operand_type(value)
    if operator == "in":
        return value == any_(binder.bind(operand, ARRAY(kind)))
    bound = binder.bind(operand, kind)
    match operator:
        case "eq":
            return value == bound
        case "lt":
            return value < bound
        case "lte":
            return value <= bound
        case "gt":
            return value > bound
        case "gte":
            return value >= bound
        case "startsWith":
            return func.starts_with(value, bound)
    raise AssertionError(f"no operator {operator}")


def _related(condition: Related, row: FromClause, binder: Binder, scope: Scope) -> Sql:
    other = binder.new_row(condition.entity)
    match condition.field.source:
        case ToOne(key=key):
            joined: Sql = other.c.id == row.c[key]
        case ToMany(key=key):
            joined = other.c[key] == row.c.id
        case _:
            raise AssertionError(f"{condition.field.coordinate} is no relation")
    return some(
        row,
        joined,
        *visible(condition.rules, condition.entity, other, scope),
        condition_sql(condition.condition, other, binder, scope),
    )


def sort_columns(order: Sequence[SortKey], row: FromClause, *, backward: bool) -> list[ColumnElement[Any]]:
    """`ORDER BY`, ties by id, newest first; nulls are largest, as PostgreSQL has them."""
    keys = [(compared_value(key.field, row), key.descending) for key in order] + [(row.c.id, True)]
    return [value.desc() if descending is not backward else value.asc() for value, descending in keys]


def beyond_cursor(
    order: Sequence[SortKey], row: FromClause, cursor: FromClause, key: ColumnElement[Any], *, after: bool
) -> Sql:
    """Whether a row comes after (or before) the row with the id `key`, read through the alias `cursor`."""
    if not order:
        return row.c.id < key if after else row.c.id > key
    equal: list[Sql] = []
    choices: list[Sql] = []
    for sort in order:
        value, limit = compared_value(sort.field, row), _of_cursor(sort.field, cursor, key)
        later = sort.descending is not after
        choices.append(and_(*equal, _later(value, limit) if later else _earlier(value, limit)))
        equal.append(value.is_not_distinct_from(limit))
    last = row.c.id < key if after else row.c.id > key
    return or_(*choices, and_(*equal, last))


def _of_cursor(field: Field, cursor: FromClause, key: ColumnElement[Any]) -> ColumnElement[Any]:
    return select(compared_value(field, cursor)).where(cursor.c.id == key).scalar_subquery()


def _later(value: ColumnElement[Any], limit: ColumnElement[Any]) -> Sql:
    """Beyond in ascending order, nulls being largest."""
    return or_(value > limit, and_(value.is_(None), limit.is_not(None)))


def _earlier(value: ColumnElement[Any], limit: ColumnElement[Any]) -> Sql:
    return or_(value < limit, and_(value.is_not(None), limit.is_(None)))
