"""The naive twin: the expected answer to an operation, row by row, field by field, one check each.

It is slow and meant to be obviously right. `expected` judges the operation (what is refused, what is
withheld) and then fills it in from plain lists of rows. The gateway must give the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.naive_query import (
    LISTS,
    LOOKUPS,
    TO_MANY,
    TO_ONE,
    Field,
    Operation,
    Page,
    Reader,
    global_id,
    read_global_id,
    relation_target,
    snake,
)
from tests.naive_rules import Asker, Register, Rights, Row

Entry = tuple[str, str, str | None]

MONEY = {"total", "unitPrice", "refundAmount"}
MASKS: dict[str, Callable[[str], str]] = {
    "firstName": lambda name: "***",
    "surname": lambda name: "***",
    "recipientName": lambda name: "***",
    "email": lambda email: "***@***",
    "recipientEmail": lambda email: "***@***",
    "phone": lambda phone: "***" + re.sub(r"\D", "", phone)[-2:],
    "recipientPhone": lambda phone: "***" + re.sub(r"\D", "", phone)[-2:],
    "refundIban": lambda iban: "***" + iban[-4:],
}


@dataclass(frozen=True)
class Expected:
    """The answer, the refusals as (code, coordinate, use) and the coordinates withheld.

    Where a filter or a sort key is refused, its root field is null and it does not matter what else is found
    in that root: `perhaps` holds the refusals, `perhaps_withheld` the coordinates that nothing else accounts
    for.
    """

    data: dict[str, Any] | None
    refused: frozenset[Entry]
    withheld: list[str]
    perhaps: frozenset[Entry] = frozenset()
    perhaps_withheld: frozenset[str] = frozenset()


def expected(
    rows: Mapping[str, list[Any]],
    asker: Asker,
    now: datetime,
    document: str,
    variables: Mapping[str, Any] | None,
    operation_name: str | None = None,
) -> Expected:
    """What the gateway must answer to a valid operation without mistakes of the caller's."""
    operation = Operation(document, variables, operation_name)
    register = Register(rows, asker, now)
    answer = Answer(operation, Reader(register))
    data: dict[str, Any] = {}
    refused: set[Entry] = set()
    withheld: set[str] = set()
    sure: set[Entry] = set()
    sure_withheld: set[str] = set()
    for field in operation.fields("Query", [operation.node.selection_set]):
        verdict = Verdict(operation, register.rights)
        verdict.root(field)
        data[field.key] = None if verdict.is_null else answer.root(field)
        refused |= verdict.refused
        withheld |= verdict.withheld
        sure |= verdict.certain
        if not verdict.has_refused_conditions:
            sure_withheld |= verdict.withheld
    return Expected(
        data,
        frozenset(refused),
        sorted(withheld),
        frozenset(refused - sure),
        frozenset(withheld - sure_withheld),
    )


class Verdict:
    """What is refused and withheld of one root field, decided by the grants alone."""

    def __init__(self, operation: Operation, rights: Rights) -> None:
        self.operation = operation
        self.rights = rights
        self.withheld: set[str] = set()
        # Each refusal found, and whether it lies under a connection whose own conditions were refused.
        self.found: list[tuple[Entry, bool]] = []
        self._is_under_refused_conditions = False

    @property
    def refused(self) -> set[Entry]:
        return {entry for entry, _ in self.found}

    @property
    def has_refused_conditions(self) -> bool:
        return any(use is not None for _, _, use in self.refused)

    @property
    def is_null(self) -> bool:
        """Whether the root field as a whole is refused."""
        return self.has_refused_conditions or any(
            coordinate.startswith("Query.") for _, coordinate, _ in self.refused
        )

    @property
    def certain(self) -> set[Entry]:
        """The refusals that must be reported, whatever else is."""
        if not self.has_refused_conditions:
            return self.refused
        return {entry for entry, is_under in self.found if entry[2] is not None and not is_under}

    def root(self, field: Field) -> None:
        """Judges a root field and everything under it."""
        if field.name == "__typename":
            return
        targets = root_types(field)
        if self.rights.role is None:
            self._refuse("FIELD_FORBIDDEN", f"Query.{field.name}")
        for target in targets:
            self._refuse(self._type_refusal(target), f"Query.{field.name}")
        if self.found:
            return
        for target in targets:
            if field.name in LISTS:
                self._connection(target, field)
            elif field.name in LOOKUPS:
                self._where(target, {name: {"eq": value} for name, value in field.arguments.items()})
                self._is_under_refused_conditions = bool(self.found)
                self._entity(target, field)
            else:
                self._entity(target, field)

    def _refuse(self, code: str | None, coordinate: str, use: str | None = None) -> None:
        if code is not None:
            self.found.append(((code, coordinate, use), self._is_under_refused_conditions))

    def _type_refusal(self, type_name: str) -> str | None:
        return self.rights.refusal(lambda rights: rights.may_reach(type_name))

    def read_refusal(self, type_name: str, name: str) -> str | None:
        """The code with which reading a field is refused, or None: its own line first, then its target."""
        code = self.rights.refusal(lambda rights: rights.may_read(f"{type_name}.{name}"))
        target = relation_target(type_name, name)
        return code or (self._type_refusal(target) if target else None)

    def _entity(self, type_name: str, field: Field) -> None:
        for each in self.operation.fields(type_name, field.selections):
            if each.name == "__typename":
                continue
            coordinate = f"{type_name}.{each.name}"
            if code := self.read_refusal(type_name, each.name):
                self._refuse(code, coordinate)
                continue
            if not self.rights.covers_type(type_name, each.name, "RM"):
                self.withheld.add(coordinate)
            if (type_name, each.name) in TO_ONE:
                self._entity(TO_ONE[type_name, each.name][0], each)
            elif (type_name, each.name) in TO_MANY:
                self._connection(TO_MANY[type_name, each.name][0], each)

    def _connection(self, type_name: str, field: Field) -> None:
        was_under, found_before = self._is_under_refused_conditions, len(self.found)
        self._where(type_name, field.arguments.get("where") or {})
        for key in field.arguments.get("orderBy") or []:
            for name in key:
                self._sort_key(type_name, name)
        self._is_under_refused_conditions = was_under or len(self.found) > found_before
        for each in self.operation.fields(f"{type_name}Connection", field.selections):
            if each.name == "nodes":
                self._entity(type_name, each)
            elif each.name == "edges":
                for inner in self.operation.fields(f"{type_name}Edge", each.selections):
                    if inner.name == "node":
                        self._entity(type_name, inner)
        self._is_under_refused_conditions = was_under

    def _sort_key(self, type_name: str, name: str) -> None:
        code = self.rights.refusal(lambda rights: rights.may_sort(type_name, name))
        self._refuse(code, f"{type_name}.{name}", "SORT")

    def _where(self, type_name: str, where: Mapping[str, Any]) -> None:
        for name, value in where.items():
            if value is None:
                continue
            if name in ("and", "or"):
                for each in value:
                    self._where(type_name, each)
            elif name == "not":
                self._where(type_name, value)
            else:
                self._filter_key(type_name, name, value)

    def _filter_key(self, type_name: str, name: str, value: Mapping[str, Any]) -> None:
        coordinate = f"{type_name}.{name}"
        target = relation_target(type_name, name)
        if target is None:
            code = self.rights.refusal(lambda rights: rights.may_filter(type_name, name, set(value)))
            self._refuse(code, coordinate, "FILTER")
        elif code := self.rights.refusal(lambda rights: rights.may_filter_through(type_name, name, target)):
            self._refuse(code, coordinate, "FILTER")
        elif (type_name, name) in TO_ONE:
            self._where(target, value)
        else:
            for each in value.values():
                self._where(target, each or {})


def root_types(field: Field) -> list[str]:
    """The entity types a root field leads to; those of the ids where the field takes ids."""
    match field.name:
        case "node":
            return [read_global_id(field.arguments["id"])[0]]
        case "nodes":
            return list(dict.fromkeys(read_global_id(each)[0] for each in field.arguments["ids"]))
        case name:
            return [(LISTS | LOOKUPS)[name]]


class Answer:
    """Fills in an operation from the rows; it asks only what root fields without refused keys ask."""

    def __init__(self, operation: Operation, reader: Reader) -> None:
        self.operation = operation
        self.reader = reader
        self.register = reader.register
        self._verdict = Verdict(operation, reader.register.rights)

    def root(self, field: Field) -> Any:
        """The value of a root field."""
        match field.name:
            case "__typename":
                return "Query"
            case "node":
                return self._node(field.arguments["id"], field)
            case "nodes":
                return [self._node(each, field) for each in field.arguments["ids"]]
        (target,) = root_types(field)
        if field.name in LISTS:
            return self._connection(target, list(self.register.rows[target].values()), field)
        row = self.reader.look_up(target, field.arguments)
        return None if row is None else self._entity(target, row, field)

    def _node(self, text: str, field: Field) -> dict[str, Any] | None:
        type_name, key = read_global_id(text)
        row = self.register.rows[type_name].get(key)
        if row is None or not self.register.visible(type_name, row):
            return None
        return self._entity(type_name, row, field)

    def _entity(self, type_name: str, row: Row, field: Field) -> dict[str, Any]:
        fields = self.operation.fields(type_name, field.selections)
        return {each.key: self._value(type_name, row, each) for each in fields}

    def _value(self, type_name: str, row: Row, field: Field) -> Any:
        if field.name == "__typename":
            return type_name
        if self._verdict.read_refusal(type_name, field.name):
            return None
        seen = self.register.cell(type_name, field.name, row)
        if seen == "hidden":
            return None
        if (type_name, field.name) in TO_ONE:
            related = self.reader.related(type_name, field.name, row)
            return self._entity(TO_ONE[type_name, field.name][0], related[0], field) if related else None
        if (type_name, field.name) in TO_MANY:
            related = self.reader.related(type_name, field.name, row)
            return self._connection(TO_MANY[type_name, field.name][0], related, field)
        if field.name in MONEY:
            return self._money(type_name, row, field)
        if field.name == "billingAddress":
            return self._address(row, field)
        if field.name == "retained":
            return self._retained(row, field)
        value = self.reader.plain(type_name, field.name, row)
        if seen == "masked" and value is not None:
            return MASKS[field.name](value)
        return written(type_name, value)

    def _money(self, type_name: str, row: Row, field: Field) -> dict[str, Any] | None:
        amount = self.reader.plain(type_name, field.name, row)
        if amount is None:
            return None
        parts = {"__typename": "Money", "amount": f"{amount:.2f}", "currency": row["currency"]}
        return {each.key: parts[each.name] for each in self.operation.fields("Money", field.selections)}

    def _address(self, row: Row, field: Field) -> dict[str, Any] | None:
        names = ("streetAddress", "postalCode", "postalTown", "countryCode")
        parts = {name: row[f"billing_{snake(name)}"] for name in names}
        if all(part is None for part in parts.values()):
            return None
        parts["__typename"] = "Address"
        return {each.key: parts[each.name] for each in self.operation.fields("Address", field.selections)}

    def _retained(self, row: Row, field: Field) -> list[dict[str, Any]]:
        fields = self.operation.fields("Retained", field.selections)
        entries = self.reader.plain("SubjectRequest", "retained", row)
        return [
            {each.key: (entry | {"__typename": "Retained"})[each.name] for each in fields}
            for entry in entries
        ]

    def _connection(self, type_name: str, rows: list[Row], field: Field) -> dict[str, Any]:
        page = self.reader.page(type_name, rows, field.arguments)
        values = {
            "__typename": lambda each: f"{type_name}Connection",
            "nodes": lambda each: [self._entity(type_name, row, each) for row in page.rows],
            "edges": lambda each: [self._edge(type_name, row, each) for row in page.rows],
            "pageInfo": lambda each: self._page_info(type_name, page, each),
            "totalCount": lambda each: page.total_count,
        }
        fields = self.operation.fields(f"{type_name}Connection", field.selections)
        return {each.key: values[each.name](each) for each in fields}

    def _edge(self, type_name: str, row: Row, field: Field) -> dict[str, Any]:
        values = {
            "__typename": lambda each: f"{type_name}Edge",
            "cursor": lambda each: global_id(type_name, row["id"]),
            "node": lambda each: self._entity(type_name, row, each),
        }
        fields = self.operation.fields(f"{type_name}Edge", field.selections)
        return {each.key: values[each.name](each) for each in fields}

    def _page_info(self, type_name: str, page: Page, field: Field) -> dict[str, Any]:
        cursors = [global_id(type_name, row["id"]) for row in page.rows]
        parts = {
            "__typename": "PageInfo",
            "hasNextPage": page.has_next,
            "hasPreviousPage": page.has_previous,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        }
        return {each.key: parts[each.name] for each in self.operation.fields("PageInfo", field.selections)}


def written(type_name: str, value: Any) -> Any:
    """A value as JSON has it."""
    match value:
        case UUID():
            return global_id(type_name, value)
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:.2f}"
        case _:
            return value
