"""Holds on fields of a person's data: placed on a row the caller sees, and released; nothing is deleted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Text, bindparam, update
from sqlmodel import SQLModel

from schema import formats
from schema.scalars import read_global_id
from schema.writing import UserErrorCode

from ..errors import Code, fault
from ..grants import Shown
from ..operation import location_of
from ..privacy.export import field_of
from ..statements.bound import compiled
from .mistakes import Mistake, Mistakes, Rejected, RowRefused
from .once import Known, New, once
from .rows import Sql
from .work import Outcome, Work

BASIS_LONGEST = 200
_OF_ORDER = frozenset({"Order", "OrderLine", "Delivery", "DeliveryEvent", "Return", "ReturnLine"})
# What a hold can be on, and the entities whose fields it then holds: of the row and of what belongs to it.
HELD_BY: Mapping[str, frozenset[str]] = {
    "Customer": _OF_ORDER | {"Customer", "ConsentEvent"},
    "Order": _OF_ORDER,
    "Delivery": frozenset({"Delivery", "DeliveryEvent"}),
    "Return": frozenset({"Return", "ReturnLine"}),
}
NOTED = ("basis", "fields", "target", "until")
_CUSTOMER = Sql("SELECT id FROM customer WHERE id = $1 FOR NO KEY UPDATE", ("customer",))


async def place_legal_hold(work: Work) -> Outcome:
    """A new hold on a row that is there for the caller."""
    entity, target = _target(work)
    mistakes = Mistakes()
    fields = _fields(work, entity, mistakes)
    basis = _basis(work, mistakes)
    if work.input["until"] < work.now.date():
        message = "a hold ends today (UTC) or later"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, "LegalHold.until", message, "until")
    mistakes.check()
    order = {"Order": "id", "Customer": None}.get(entity, "order_id")
    row = await _hold_target(work, entity, target, () if order in (None, "id") else (order,))
    match await once(work, "LegalHold"):
        case New(key):
            values = {
                "id": key,
                "customer_id": row["subject"],
                "order_id": None if order is None else row[order],
                "target_entity": entity,
                "target_id": target,
                "fields": fields,
                "basis": basis,
                "until": work.input["until"],
                "placed_at": work.now,
                "placed_by": work.actor,
            }
            await work.insert("legal_hold", values)
            await work.note("LegalHold", key, row["subject"], NOTED, work.source)
            work.used.update(f"LegalHold.{name}" for name in NOTED)
            return Outcome({"legalHold": key})
        case Known(key):
            return Outcome({"legalHold": key})


async def release_legal_hold(work: Work) -> Outcome:
    """Ends a hold now, which whoever could place it may do; it stays on the record."""
    key = work.key("id", "LegalHold")
    row = await work.find("LegalHold", key, ("customer_id", "fields", "until", "released_at"))
    if unseen := tuple(one for one in row["fields"] if not isinstance(work.grants.cell(one), Shown)):
        raise RowRefused(unseen, "UPDATE")
    if row["released_at"] is not None or row["until"] < work.now.date():
        message = "the hold has ended already"
        mistake = Mistake(UserErrorCode.INVALID_TRANSITION, "LegalHold.releasedAt", message, ("id",))
        raise Rejected(mistake, shown={"legalHold": key})
    await work.row(_release(), key=key, by=work.actor)
    await work.note("LegalHold", key, row["customer_id"], ("releasedAt",), work.source)
    work.used.add("LegalHold.releasedAt")
    return Outcome({"legalHold": key})


def _target(work: Work) -> tuple[str, uuid.UUID]:
    """What the hold is on; raises BAD_ID where it is nothing that can be held."""
    found = read_global_id(str(work.input["target"]))
    if found is None or found[0] not in HELD_BY:
        message = f"the value is no global id of {', '.join(f'`{name}`' for name in HELD_BY)}"
        raise fault(Code.BAD_ID, message, location_of(work.write.root.nodes[0]))
    return found


async def _hold_target(work: Work, entity: str, target: uuid.UUID, columns: Sequence[str]) -> Any:
    """The row that is to be held, locked.

    # INVARIANT: its customer's row is locked first, as an erasure does: a hold is there before the erasure
    # looks, or finds what it has left. The target is looked at again under that lock.
    """
    row = await work.find(entity, target, columns, locks=False, path=("target",))
    await work.row(_CUSTOMER, customer=row["subject"])
    return await work.find(entity, target, columns, path=("target",))


def _fields(work: Work, entity: str, mistakes: Mistakes) -> list[str]:
    """The coordinates, sorted, each once; the gate has judged that the caller may read them."""
    coordinate, given = "LegalHold.fields", work.input["fields"]
    if not given:
        mistakes.add(UserErrorCode.REQUIRED, coordinate, "name at least one field", "fields")
    for place, one in enumerate(given):
        if one.partition(".")[0] not in HELD_BY[entity] or field_of(work.tools.model, one) is None:
            message = f"`{one}` is no value of a `{entity}`, nor of what belongs to one"
            mistakes.add(UserErrorCode.OUT_OF_RANGE, coordinate, message, "fields", str(place))
    return sorted(set(given))


def _basis(work: Work, mistakes: Mistakes) -> str | None:
    """Why, in one line; it is shown to the customer, so that it tells of nobody else."""
    try:
        return formats.remark(str(work.input["basis"]), BASIS_LONGEST)
    except formats.Malformed as error:
        mistakes.add(UserErrorCode.MALFORMED, "LegalHold.basis", f"the value {error.reason}", "basis")
        return None


@lru_cache(maxsize=1)
def _release() -> Sql:
    table: Any = SQLModel.metadata.tables["legal_hold"]
    query = update(table).where(table.c.id == bindparam("key", type_=table.c.id.type))
    now = bindparam("now", type_=table.c.released_at.type)
    changed = query.values(released_at=now, released_by=bindparam("by", type_=Text()))
    return Sql(*compiled(changed.returning(table.c.id)))
