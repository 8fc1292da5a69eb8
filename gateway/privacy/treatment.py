"""What an erasure does with each column that holds a datum of a customer, as the columns' tags say. Pure.

A column of the register that may be empty and says who somebody is, where they are reached or what was
written goes, unless the law keeps it (R-VOUCHER); what else is about them stays with the empty tombstone. Of
other tables whole rows go, or stay: `ROWS_GO`, `ROWS_STAY`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sqlmodel import SQLModel

from schema.model import load_model
from schema.tags import Personal

# The tables of which columns go, in the order of the locks on their rows.
REGISTER = (
    *("customer", "consent_event", "orders", "order_line", "delivery", "delivery_event"),
    *("returns", "return_line"),
)
# What the rows without a customer's index are of, and by which column.
PARENTS: Mapping[str, tuple[str, str]] = {
    "order_line": ("orders", "order_id"),
    "delivery_event": ("delivery", "delivery_id"),
    "return_line": ("returns", "return_id"),
}
TELLING = (
    *("user.name", "user.contact", "user.content", "user.location", "user.unique_id"),
    "user.financial.bank_account",
)
VOUCHER = "R-VOUCHER"
# What is replaced, as it may not be empty: by the tombstone's id, and by its own digest.
REPLACED = frozenset({"customer.number", "customer.unsubscribe_token"})
# What an open order needs, and so goes when it is closed.
NEEDED = frozenset({"returns.refund_iban"})
NEEDED_TABLES = frozenset({"delivery"})
ROWS_GO = (
    *("credential", "refresh_token", "session", "one_time_link", "mail", "idempotency"),
    *("export_document", "export_piece", "retention_warning"),
)
ROWS_STAY: Mapping[str, str] = {
    "access_record": "records of who looked hold no value, and go in whole sealed batches",
    "change": "provenance holds no value",
    "consent_proof": "a keyed digest that proves consent",
    "disclosure": "records of what went to whom hold no value, and go in whole sealed batches",
    "erasure_notice": "whom the erasure was told, without values",
    "legal_hold": "why something stays",
    "subject_request": "what was asked and done",
}


@dataclass(frozen=True, slots=True)
class Goes:
    """A column that is emptied: the coordinate that shows it, if any, and whether an open order needs it."""

    table: str
    column: str
    coordinate: str | None
    is_needed: bool


@dataclass(frozen=True, slots=True)
class Stays:
    """A field that stays, and the retention rule that says until when."""

    table: str
    coordinate: str
    rule: str
    basis: str


@lru_cache(maxsize=1)
def going() -> tuple[Goes, ...]:
    """Every column that is emptied, table by table."""
    shown = {entity.table.name: entity for entity in load_model().entities.values()}
    return tuple(
        Goes(table, column, _coordinate(shown.get(table), column), _is_needed(table, column))
        for table, column, tag in _personal(REGISTER)
        if goes(table, column, tag)
    )


def goes(table: str, column: str, tag: Personal) -> bool:
    """Whether a column of the register is emptied."""
    if f"{table}.{column}" in REPLACED or tag.retention == VOUCHER:
        return False
    is_telling = tag.category.startswith(TELLING)
    return is_telling and bool(SQLModel.metadata.tables[table].c[column].nullable)


@lru_cache(maxsize=1)
def staying() -> tuple[Stays, ...]:
    """Every field of the register that stays, in the order of their coordinates."""
    shown = {entity.table.name: entity for entity in load_model().entities.values()}
    found = {
        Stays(table, coordinate, tag.retention, tag.basis)
        for table, column, tag in _personal(REGISTER)
        if not goes(table, column, tag) and f"{table}.{column}" not in REPLACED
        if (coordinate := _coordinate(shown.get(table), column)) is not None
    }
    return tuple(sorted(found, key=lambda one: (one.coordinate, one.rule)))


def _personal(tables: tuple[str, ...]) -> Iterator[tuple[str, str, Personal]]:
    for table in tables:
        for column in SQLModel.metadata.tables[table].columns:
            if isinstance(tag := column.info["tag"], Personal):
                yield table, column.name, tag


def _coordinate(entity: object, column: str) -> str | None:
    shown = getattr(entity, "shown_by", {}).get(column)
    return None if shown is None else f"{entity.name}.{shown}"  # type: ignore[attr-defined]  # an `Entity`


def _is_needed(table: str, column: str) -> bool:
    return table in NEEDED_TABLES or f"{table}.{column}" in NEEDED
