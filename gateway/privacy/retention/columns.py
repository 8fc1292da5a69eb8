"""The steps that empty single columns: of customers' rows by the rule of their tag, and of staff's.

What is left of an erased person, because a hold or an open order needed it, goes with the next run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import array
from sqlmodel import SQLModel

from schema.model import load_model
from schema.states import RETURN_FINAL

from ...row_rules import Scope
from ...row_rules.deliveries import delivery_end
from ...row_rules.orders import is_in_open
from ...row_rules.parts import constants, days
from ..holds import is_held
from .handling import STAFF, cleared
from .requests import REQUEST_OVER
from .steps import Batch, Step, found_by, locked, note, sql

Moment = ColumnElement[Any]
NEVER: Moment = cast(null(), SQLModel.metadata.tables["orders"].c.placed_at.type)


def _table(name: str) -> Any:
    return SQLModel.metadata.tables[name]


# ---------------------------------------------------------------- moments


def _last_end(order: ColumnElement[Any], placed: Moment, row: FromClause) -> Moment:
    """When an order's last delivery ended; where none was made, as if one had been when it was placed."""
    delivery = _table("delivery").alias("of_order")
    last = select(func.max(delivery_end(delivery))).where(delivery.c.order_id == order).correlate(row)
    return func.coalesce(last.scalar_subquery(), placed + days("created"))


def _of_delivery(row: FromClause) -> Moment:
    return delivery_end(row)


def _of_event(row: FromClause) -> Moment:
    delivery = _table("delivery").alias("of_event")
    end = select(delivery_end(delivery)).where(delivery.c.id == row.c.delivery_id).correlate(row)
    return end.scalar_subquery()


def _of_order(row: FromClause) -> Moment:
    return _last_end(row.c.id, row.c.placed_at, row)


def _of_return(row: FromClause) -> Moment:
    """A return that was asked for after the delivery's end counts from then."""
    return func.greatest(row.c.requested_at, _last_end(row.c.order_id, row.c.requested_at, row))


def _of_refund(row: FromClause) -> Moment:
    """Where nothing was refunded in the end, when it would have been due."""
    is_final = row.c.status.in_(constants(RETURN_FINAL))
    return func.coalesce(row.c.refunded_at, case((is_final, row.c.refund_due_at)))


def _placed(row: FromClause) -> Moment:
    return row.c.placed_at


def _never(_: FromClause) -> Moment:
    return NEVER


# By rule and table: what the period runs from, and whether the erasure of the person ends it.
MOMENTS: Mapping[tuple[str, str], tuple[Any, bool]] = {
    ("R-CONTACT", "delivery"): (_of_delivery, True),
    ("R-DELIVERY", "delivery"): (_of_delivery, True),
    ("R-DELIVERY", "delivery_event"): (_of_event, True),
    ("R-DELIVERY", "orders"): (_of_order, True),
    ("R-DELIVERY", "returns"): (_of_return, True),
    ("R-IBAN", "returns"): (_of_refund, True),
    ("R-VOUCHER", "orders"): (_placed, False),
    ("R-CONSENT", "consent_event"): (_never, True),
}


def customer_steps() -> list[Step]:
    """One step for each rule and table."""
    return [_of_customers(rule, table, *of) for (rule, table), of in MOMENTS.items()]


# ---------------------------------------------------------------- customers' rows


def _of_customers(rule: str, name: str, moment: Any, ends_with_erasure: bool) -> Step:
    row, customer = _table(name).alias("r"), _table("customer").alias("c")
    names = cleared(name, rule)
    is_over = moment(row) < bindparam("before", type_=NEVER.type)
    if ends_with_erasure:
        is_erased = customer.c.erased_at.is_not(None)
        is_open = is_in_open(row, name, Scope.ACCOUNT) if name != "consent_event" else []
        is_over = or_(is_over, and_(is_erased, *(not_(one) for one in is_open)))
    if rule == "R-IBAN":
        # A return that nobody ever closed: of its order nothing can be claimed any more.
        is_over = or_(is_over, _of_return(row) < bindparam("claim_before", type_=NEVER.type))
    fields, due = due_fields(row, name, dict.fromkeys(names, "NULL"))
    query = (
        select(row.c.id, row.c.customer_id, fields.label("fields"))
        .join(customer, customer.c.id == row.c.customer_id)
        .where(due, customer.c.restricted_at.is_(None), is_over)
    )
    emptied = emptying(name, dict.fromkeys(names, "NULL"))

    async def apply(batch: Batch) -> None:
        await empty(batch, name, emptied)

    find, again = found_by(query, row.c.id)
    return Step(rule, f"{rule} {name}", name, find, locked(name, with_customers=True), again, apply)


def due_fields(row: FromClause, name: str, empties: Mapping[str, str]) -> tuple[Any, ColumnElement[bool]]:
    """The names of the columns that are filled and not held, and whether there is one."""
    entity = next((one for one in load_model().entities.values() if one.table.name == name), None)
    due = {}
    for column, nothing in empties.items():
        shown = None if entity is None else entity.shown_by.get(column)
        coordinate = None if entity is None or shown is None else f"{entity.name}.{shown}"
        due[column] = row.c[column].is_distinct_from(literal_column(nothing))
        if "customer_id" in row.c or name == "customer":
            due[column] = and_(due[column], not_(is_held(row, name, coordinate)))
    names: Any = [case((is_due, literal_column(f"'{column}'", Text()))) for column, is_due in due.items()]
    return func.array_remove(array(names, type_=Text()), cast(null(), Text())), or_(*due.values())


def emptying(name: str, empties: Mapping[str, str], more: str = "") -> tuple[str, tuple[str, ...]]:
    """The statement that empties the named `fields` of the rows with these `ids`."""
    values = [
        f"{column} = CASE WHEN '{column}' = ANY (string_to_array(due.fields, ',')) "
        f"THEN {nothing} ELSE r.{column} END"
        for column, nothing in empties.items()
    ]
    if "version" in _table(name).c:
        values.append("version = r.version + 1")
    return sql(f"""
UPDATE {name} r SET {", ".join(values)}{more}
FROM unnest(CAST(:ids AS uuid[]), CAST(:fields AS text[])) AS due(id, fields) WHERE r.id = due.id""")


async def empty(batch: Batch, name: str, statement: tuple[str, tuple[str, ...]]) -> None:
    """Empties what is due of a batch, and notes it of rows about a customer."""
    await batch.do(statement, fields=[",".join(row["fields"]) for row in batch.rows])
    await note_emptied(batch, name)


async def note_emptied(batch: Batch, name: str) -> None:
    """Notes each field that showed an emptied column; none where no field shows it."""
    entity = next((one for one in load_model().entities.values() if one.table.name == name), None)
    if entity is None or entity.subject is None:
        return
    changed = {
        (row[entity.subject], row["id"], shown)
        for row in batch.rows
        for column in row["fields"]
        if (shown := entity.shown_by.get(column)) is not None
    }
    await note(batch, entity.name, sorted(changed))


# ---------------------------------------------------------------- staff

# An employee's token, or a partner's, as the records name who looked.
_PRINCIPAL = "encode(convert_to('{entity}:' || r.id::text, 'UTF8'), 'base64')"
_NO_RECORD = f"NOT EXISTS (SELECT FROM access_record a WHERE a.principal_id = {_PRINCIPAL})"
# When what a row says of an employee or a partner was needed last, and what else must hold.
_STAFF: Mapping[str, str] = {
    "legal_hold": "coalesce((r.released_at AT TIME ZONE 'UTC')::date, r.until) <= :latest",
    "subject_request": REQUEST_OVER,
    "partner_token": "least(r.expires_at, r.revoked_at) < :before AND "
    + _NO_RECORD.format(entity="PartnerToken"),
    "carrier": "NOT r.active AND NOT EXISTS (SELECT FROM partner_token t WHERE t.carrier_id = r.id"
    " AND least(t.expires_at, t.revoked_at) >= :before)"
    " AND NOT EXISTS (SELECT FROM delivery d WHERE d.carrier_id = r.id AND d.created_at >= :before)",
    "employee": "NOT r.active AND NOT EXISTS (SELECT FROM designation d WHERE d.employee_id = r.id"
    " AND least(d.valid_to, d.revoked_at) >= :before) AND " + _NO_RECORD.format(entity="Employee"),
}


def staff_steps() -> list[Step]:
    """What says who of the staff did something goes when the records do."""
    return [_of_staff(name, empties) for name, empties in STAFF.items()]


def _of_staff(name: str, empties: Mapping[str, str]) -> Step:
    row = _table(name).alias("r")
    fields, due = due_fields(row, "", empties)
    owner = [row.c.customer_id] if "customer_id" in row.c else []
    query = select(row.c.id, *owner, fields.label("fields")).where(due, text(_STAFF[name]))
    emptied = emptying(name, empties)

    async def apply(batch: Batch) -> None:
        await empty(batch, name, emptied)

    find, again = found_by(query, row.c.id)
    return Step("R-ACCESS", f"staff {name}", name, find, locked(name), again, apply)
