"""How each column that holds a datum about a person comes to its end, as its tag says. Pure.

# INVARIANT: every such column has a handling; `handling_of` fails for one that has none, and so does a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Column
from sqlmodel import SQLModel

from schema.tags import Personal

from ..treatment import TELLING


class How(StrEnum):
    """What becomes of a value whose time is over."""

    CLEARED = "set to null or to an empty value"
    DELETED = "its row is deleted"
    UNLINKED = "its order is linked to nobody any more; what stays is bookkeeping about nobody"
    TOMBSTONE = "it stays in an empty row, or is replaced there by what means nothing"
    SEALED = "its row is dropped with its sealed batch by `gateway audit drop`"
    TIDIED = "its row is deleted by the workers as soon as it holds no more, and with its account"


@dataclass(frozen=True, slots=True)
class Handling:
    """How a column is handled, and by which step of the run; None where another part does it."""

    how: How
    step: str | None


# What is left of an account whose time is over.
TOMBSTONE = frozenset(
    {
        *("number", "unsubscribe_token", "marketing_consent", "status"),
        *("created_at", "last_active_at", "restricted_at", "erased_at"),
    }
)
# Numbers that the store gave: about nobody once the order is unlinked.
NUMBERS = frozenset({"orders.number", "delivery.reference", "returns.number"})
OF_ORDERS = frozenset({"orders", "order_line", "delivery", "delivery_event", "returns", "return_line"})
DELETED: Mapping[str, str] = {
    "credential": "accounts",
    "change": "accounts",
    "consent_event": "consents",
    "consent_proof": "consents",
    "designation": "designations",
    "legal_hold": "holds",
    "subject_request": "requests",
    "erasure_notice": "notices",
}
TIDIED = frozenset(
    {
        *("idempotency", "mail", "one_time_link", "session", "refresh_token"),
        *("export_document", "export_piece"),
    }
)
SEALED = frozenset({"access_record", "disclosure"})
# What is emptied of rows that are not a customer's, and of rows that go later than it: by table, the columns
# with what stands for nothing there.
STAFF: Mapping[str, Mapping[str, str]] = {
    "legal_hold": {"placed_by": "''", "released_by": "NULL"},
    "subject_request": {"handled_by": "NULL"},
    "partner_token": {"issued_by": "''"},
    "carrier": {"contact_email": "''"},
    "employee": {
        "name": "''",
        "work_email": "'gone-' || r.id::text",
        "subject": "NULL",
    },
}


def cleared(table: str, rule: str) -> tuple[str, ...]:
    """The columns of a customer's rows in a table that are set to null by a rule."""
    found = SQLModel.metadata.tables[table].columns
    return tuple(
        column.name for column in found if _is_cleared(column) and column.info["tag"].retention == rule
    )


def handling_of(column: Column[object]) -> Handling:
    """How a personal column is handled; raises `LookupError` where nothing handles it."""
    table, name, tag = column.table.name, column.name, column.info["tag"]
    if not isinstance(tag, Personal):
        raise LookupError(f"`{column}` is not about a person")
    if name in STAFF.get(table, ()):
        return Handling(How.CLEARED, f"staff {table}")
    if f"{table}.{name}" == "employee.active":
        return Handling(How.TOMBSTONE, "staff employee")
    if table in SEALED:
        return Handling(How.SEALED, None)
    if table in TIDIED:
        return Handling(How.TIDIED, None)
    if _is_cleared(column):
        return Handling(How.CLEARED, "accounts" if table == "customer" else f"{tag.retention} {table}")
    if table in DELETED:
        return Handling(How.DELETED, DELETED[table])
    if table == "customer" and name in TOMBSTONE:
        return Handling(How.TOMBSTONE, "accounts")
    if table in OF_ORDERS and (f"{table}.{name}" in NUMBERS or not tag.category.startswith(TELLING)):
        return Handling(How.UNLINKED, "orders")
    raise LookupError(f"nothing handles `{column}`")


def _is_cleared(column: Column[object]) -> bool:
    """Whether it says who somebody is, where they are or what was written, in a row that may do without."""
    tag = column.info["tag"]
    of_customers = column.table.name in OF_ORDERS | {"customer", "consent_event"}
    return of_customers and isinstance(tag, Personal) and bool(column.nullable) and _tells(tag)


def _tells(tag: Personal) -> bool:
    return tag.category.startswith(TELLING)
