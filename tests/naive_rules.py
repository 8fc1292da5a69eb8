"""The naive twin's rules: who may see which row and which cell, read off the access matrix line by line.

Nothing here is shared with the gateway: the same contract, written a second time in the plainest way.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

Row = Mapping[str, Any]

MATRIX_FILE = Path(__file__).with_name("access-matrix.csv")

TABLES = {
    "Customer": "customer",
    "ConsentEvent": "consent_event",
    "Order": "orders",
    "OrderLine": "order_line",
    "Delivery": "delivery",
    "DeliveryEvent": "delivery_event",
    "Return": "returns",
    "ReturnLine": "return_line",
    "Carrier": "carrier",
    "Employee": "employee",
    "Designation": "designation",
    "PartnerToken": "partner_token",
    "AccessRecord": "access_record",
    "Disclosure": "disclosure",
    "SubjectRequest": "subject_request",
    "LegalHold": "legal_hold",
}

ONLY_PURPOSE = {
    "customer": "account",
    "carrier": "delivery",
    "newsletter": "newsletter",
    "warehouse": "order-fulfilment",
    "marketing": "newsletter",
    "analyst": "service-improvement",
}

# For each row rule, the other rules that by their definition include all of its rows.
INCLUDED_IN: dict[str, set[str]] = {
    "every": set(),
    "all": {"every"},
    "linked": {"every", "all"},
    "own": {"every"},
    "own_visible": {"every", "own"},
    "open": {"every", "all"},
    "consented": {"every", "all", "linked"},
    "assigned": {"every", "all"},
    "assigned_address": {"every", "all", "assigned"},
    "assigned_phone": {"every", "all", "assigned"},
    "assigned_email": {"every", "all", "assigned"},
    "self": {"every", "all"},
}

ORDER_FINAL = {"COMPLETED", "CANCELLED"}
DELIVERY_FINAL = {"DELIVERED", "RETURNED", "LOST", "CANCELLED"}
RETURN_FINAL = {"CLOSED", "REJECTED"}


@dataclass(frozen=True)
class Asker:
    """Who asks; `role` is a column of the matrix, or None for an employee without designation."""

    role: str | None
    customer_id: UUID | None = None
    order_id: UUID | None = None
    carrier_id: UUID | None = None
    purpose: str | None = None
    employee_id: UUID | None = None
    token_id: UUID | None = None


@dataclass(frozen=True)
class Grant:
    """One grant of a matrix cell: `USE@ROWS!PURPOSE`."""

    use: str
    rows: str
    purpose: str | None


def read_grant(text: str) -> Grant:
    """A grant as the matrix writes it."""
    rest, _, purpose = text.partition("!")
    use, _, rows = rest.partition("@")
    return Grant(use, rows, purpose or None)


def read_matrix() -> dict[tuple[str, str], list[Grant]]:
    """The grants of each role and coordinate, and `Customer.orders`, which goes as `Order.customer` goes."""
    lines = [line for line in MATRIX_FILE.read_text().splitlines() if not line.startswith("#")]
    (_, *roles), *cells = csv.reader(lines)
    matrix = {}
    for coordinate, *grants in cells:
        for role, cell in zip(roles, grants, strict=True):
            matrix[role, coordinate] = [read_grant(text) for text in cell.split() if text != "-"]
    for role in roles:
        matrix[role, "Customer.orders"] = matrix[role, "Order.customer"]
    return matrix


MATRIX = read_matrix()
PURPOSES = sorted({grant.purpose for cell in MATRIX.values() for grant in cell if grant.purpose})


class Rights:
    """The grants that one role holds for one purpose."""

    def __init__(self, role: str | None, purpose: str | None) -> None:
        self.role = role
        self.purpose = purpose or ONLY_PURPOSE.get(role or "")

    def rules(self, coordinate: str, uses: str) -> set[str]:
        """The row rules under which the coordinate is held for one of the uses."""
        return {
            grant.rows
            for grant in MATRIX.get((self.role or "", coordinate), [])
            if grant.use in uses and grant.purpose in (None, self.purpose)
        }

    def may_read(self, coordinate: str) -> bool:
        return bool(self.rules(coordinate, "RM"))

    def may_reach(self, type_name: str) -> bool:
        return bool(self.rules(type_name, "R"))

    def covers_type(self, type_name: str, field: str, uses: str) -> bool:
        """Whether the field is held on every row of the type this role may see, by the rules' names."""
        held = self.rules(f"{type_name}.{field}", uses)
        return all(rule in held or INCLUDED_IN[rule] & held for rule in self.rules(type_name, "R"))

    def may_filter(self, type_name: str, field: str, operators: set[str]) -> bool:
        """Whether the field may stand in `where` with these operators."""
        if not self.may_reach(type_name):
            return False
        exact = operators <= {"eq", "in"} and bool(self.rules(f"{type_name}.{field}", "F"))
        return exact or self.covers_type(type_name, field, "R")

    def may_sort(self, type_name: str, field: str) -> bool:
        return self.may_reach(type_name) and self.covers_type(type_name, field, "R")

    def may_filter_through(self, type_name: str, field: str, target: str) -> bool:
        """Whether `where` may lead through a relation to conditions on another type."""
        return self.may_sort(type_name, field) and self.may_reach(target)

    def may_set(self, coordinate: str, use: str) -> bool:
        """Whether a field may be set on some row: `use` is `C` or `U`."""
        return bool(self.rules(coordinate, use))

    def refusal(self, may: Callable[[Rights], bool]) -> str | None:
        """None where these rights suffice, else the code of the refusal: would another purpose do?"""
        if may(self):
            return None
        elsewhere = [Rights(self.role, purpose) for purpose in PURPOSES if purpose != self.purpose]
        return "PURPOSE_REQUIRED" if any(map(may, elsewhere)) else "FIELD_FORBIDDEN"


class Register:
    """All rows, as one asker may see them at one moment."""

    def __init__(self, rows: Mapping[str, list[Any]], asker: Asker, now: datetime) -> None:
        self.asker = asker
        self.now = now
        self.rights = Rights(asker.role, asker.purpose)
        self.rows = {
            type_name: {row["id"]: row for row in rows[table]} for type_name, table in TABLES.items()
        }
        self.services = {(row["carrier_id"], row["code"]): row for row in rows["carrier_service"]}
        self.notices = rows["erasure_notice"]
        self._children: dict[tuple[str, str], dict[UUID, list[Row]]] = {}
        self._visible: dict[tuple[str, UUID], bool] = {}
        self._visible_rows: dict[str, list[Row]] = {}

    def children(self, type_name: str, column: str, key: UUID) -> list[Row]:
        """The rows of the type in whose column the key stands."""
        if (type_name, column) not in self._children:
            index: dict[UUID, list[Row]] = {}
            for row in self.rows[type_name].values():
                index.setdefault(row[column], []).append(row)
            self._children[type_name, column] = index
        return self._children[type_name, column].get(key, [])

    def visible(self, type_name: str, row: Row) -> bool:
        """Whether the row exists for the asker."""
        key = type_name, row["id"]
        if key not in self._visible:
            rules = self.rights.rules(type_name, "R")
            self._visible[key] = any(self.holds(rule, type_name, row) for rule in rules)
        return self._visible[key]

    def visible_rows(self, type_name: str) -> list[Row]:
        """All rows of the type that exist for the asker."""
        if type_name not in self._visible_rows:
            rows = self.rows[type_name].values()
            self._visible_rows[type_name] = [row for row in rows if self.visible(type_name, row)]
        return self._visible_rows[type_name]

    def cell(self, type_name: str, field: str, row: Row) -> str:
        """What the asker sees of one cell: `shown`, `masked` or `hidden`."""
        for uses, seen in (("R", "shown"), ("M", "masked")):
            rules = self.rights.rules(f"{type_name}.{field}", uses)
            if any(self.holds(rule, type_name, row) for rule in rules):
                return seen
        return "hidden"

    def holds(self, rule: str, type_name: str, row: Row) -> bool:
        """Whether the row rule holds for the row."""
        match rule:
            case "every":
                return True
            case "own" | "own_visible":
                return self._is_own(type_name, row) and (rule == "own" or row["visible_to_subject"])
            case "new" | "undispatched" | "unrefunded":
                return self._may_change(rule, type_name, row)
        if self._is_restricted(type_name, row):
            return False
        match rule:
            case "all":
                return True
            case "linked":
                owner = self._owner(type_name, row)
                return owner is None or owner["erased_at"] is None
            case "open":
                return self._is_open(self.rows["Order"][self._order_id(type_name, row)])
            case "consented":
                return row["erased_at"] is None and self.consents(row)
            case "self":
                return self._is_self(type_name, row)
            case _:
                return self._is_assigned(rule, self._delivery(type_name, row))

    def _is_self(self, type_name: str, row: Row) -> bool:
        """Whether the row is about the asker's own work."""
        match type_name:
            case "Carrier":
                return row["id"] == self.asker.carrier_id
            case "Employee":
                return row["id"] == self.asker.employee_id
            case "Designation":
                return row["employee_id"] == self.asker.employee_id
            case "PartnerToken":
                return self._is_key_of_asker(row)
            case _:
                raise ValueError(type_name)

    def _may_change(self, rule: str, type_name: str, row: Row) -> bool:
        """Whether a rule that speaks of changes alone holds for the row."""
        match rule:
            case "new":
                return True
            case "undispatched":
                return row["status"] in {"PLANNED", "READY"}
            case _:
                return self._is_own(type_name, row) and row["status"] not in RETURN_FINAL | {"REFUNDED"}

    def consents(self, customer: Row) -> bool:
        """Whether the customer's newest newsletter consent is GIVEN."""
        events = self.children("ConsentEvent", "customer_id", customer["id"])
        events = [event for event in events if event["purpose"] == "NEWSLETTER"]
        newest = max(events, key=lambda event: (event["at"], event["id"]), default=None)
        return newest is not None and newest["state"] == "GIVEN"

    def _owner(self, type_name: str, row: Row) -> Row | None:
        match type_name:
            case "Customer":
                return row
            case "Carrier" | "Employee" | "Designation" | "PartnerToken" | "AccessRecord":
                return None
            case _:
                return self.rows["Customer"][row["customer_id"]]

    def _order_id(self, type_name: str, row: Row) -> UUID | None:
        match type_name:
            case "Order":
                return row["id"]
            case "OrderLine" | "Delivery" | "Return" | "SubjectRequest" | "LegalHold":
                return row["order_id"]
            case "DeliveryEvent":
                return self.rows["Delivery"][row["delivery_id"]]["order_id"]
            case "ReturnLine":
                return self.rows["Return"][row["return_id"]]["order_id"]
            case _:
                return None

    def _delivery(self, type_name: str, row: Row) -> Row:
        return row if type_name == "Delivery" else self.rows["Delivery"][row["delivery_id"]]

    def _is_own(self, type_name: str, row: Row) -> bool:
        if self.asker.order_id is not None:
            return self._order_id(type_name, row) == self.asker.order_id
        if type_name == "AccessRecord":
            is_told = row["decision"] == "ALLOWED" and row["purpose"] != "authority-request"
            return is_told and self.asker.customer_id in row["subject_ids"]
        owner = self._owner(type_name, row)
        return owner is not None and owner["id"] == self.asker.customer_id

    def _is_key_of_asker(self, row: Row) -> bool:
        """Whether it is the token asked with, a key of the same rotation, or narrowed from one of those."""
        mine = self.rows["PartnerToken"].get(self.asker.token_id) if self.asker.token_id else None
        step: Row | None = row
        while mine is not None and step is not None:
            if (step["first_id"] or step["id"]) == (mine["first_id"] or mine["id"]):
                return True
            step = self.rows["PartnerToken"].get(step["parent_id"])
        return False

    def _is_restricted(self, type_name: str, row: Row) -> bool:
        owner = self._owner(type_name, row)
        return owner is not None and owner["restricted_at"] is not None

    def _is_open(self, order: Row) -> bool:
        deliveries = self.children("Delivery", "order_id", order["id"])
        returns = self.children("Return", "order_id", order["id"])
        return (
            order["status"] not in ORDER_FINAL
            or any(delivery["status"] not in DELIVERY_FINAL for delivery in deliveries)
            or any(returned["status"] not in RETURN_FINAL for returned in returns)
        )

    def _is_assigned(self, rule: str, delivery: Row) -> bool:
        if delivery["carrier_id"] is None or delivery["carrier_id"] != self.asker.carrier_id:
            return False
        if delivery["status"] in {"PLANNED", "CANCELLED"}:
            return False
        if self.now >= end_of(delivery) + timedelta(days=90):
            return False
        service = self.services.get((delivery["carrier_id"], delivery["service_code"]))
        contact_ends = end_of(delivery) + timedelta(days=3)
        match rule:
            case "assigned":
                return True
            case "assigned_open":
                return delivery["status"] not in {"DELIVERED", "RETURNED", "LOST"}
            case "assigned_address":
                return self.now < end_of(delivery) + timedelta(days=30)
            case "assigned_phone":
                return self.now < contact_ends and service is not None and service["needs_phone"]
            case "assigned_email":
                return self.now < contact_ends and service is not None and service["needs_email"]
            case _:
                raise ValueError(rule)


def end_of(delivery: Row) -> datetime:
    """When a delivery ended, or is taken to have ended."""
    for column in ("returned_at", "delivered_at", "lost_at"):
        if delivery[column] is not None:
            return delivery[column]
    if delivery["handed_over_at"] is not None:
        return delivery["handed_over_at"] + timedelta(days=60)
    return delivery["created_at"] + timedelta(days=120)
