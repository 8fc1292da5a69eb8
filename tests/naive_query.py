"""The naive twin's reading of a GraphQL operation, and its filters, sorting and paging over plain lists."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    build_schema,
    parse,
    type_from_ast,
    value_from_ast_untyped,
)

from tests.naive_rules import TABLES, Register, Row

SCHEMA = build_schema((Path(__file__).parent.parent / "schema" / "schema.graphql").read_text())

LISTS = {
    "customers": "Customer",
    "orders": "Order",
    "deliveries": "Delivery",
    "returns": "Return",
    "carriers": "Carrier",
    "employees": "Employee",
    "designations": "Designation",
    "partnerTokens": "PartnerToken",
    "accessRecords": "AccessRecord",
    "disclosures": "Disclosure",
    "subjectRequests": "SubjectRequest",
    "legalHolds": "LegalHold",
}
LOOKUPS = {"customer": "Customer", "order": "Order", "delivery": "Delivery", "return": "Return"}

# The type a relation leads to, and the column that holds the key: of this row, or of the other rows.
TO_ONE = {
    ("Order", "customer"): ("Customer", "customer_id"),
    ("Delivery", "carrier"): ("Carrier", "carrier_id"),
    ("Delivery", "order"): ("Order", "order_id"),
    ("Return", "order"): ("Order", "order_id"),
    ("Designation", "employee"): ("Employee", "employee_id"),
    ("Designation", "designatedBy"): ("Employee", "designated_by"),
    ("ReturnLine", "orderLine"): ("OrderLine", "order_line_id"),
    ("AccessRecord", "designation"): ("Designation", "designation_id"),
}
TO_MANY = {
    ("Customer", "consents"): ("ConsentEvent", "customer_id"),
    ("Customer", "orders"): ("Order", "customer_id"),
    ("Order", "lines"): ("OrderLine", "order_id"),
    ("Order", "deliveries"): ("Delivery", "order_id"),
    ("Order", "returns"): ("Return", "order_id"),
    ("Delivery", "events"): ("DeliveryEvent", "delivery_id"),
    ("Return", "lines"): ("ReturnLine", "return_id"),
}


@dataclass
class Field:
    """One response key: what it asks for, and every selection set that was merged into it."""

    key: str
    name: str
    arguments: dict[str, Any]
    selections: list[SelectionSetNode] = field(default_factory=list)


class Operation:
    """The operation of a valid document that is to be executed, with its variables."""

    def __init__(self, document: str, variables: Mapping[str, Any] | None, name: str | None = None) -> None:
        definitions = parse(document).definitions
        self.fragments = {
            each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)
        }
        operations = [each for each in definitions if isinstance(each, OperationDefinitionNode)]
        if name is not None:
            operations = [each for each in operations if each.name and each.name.value == name]
        (self.node,) = operations
        self.variables = self._variables(variables or {})

    def _variables(self, given: Mapping[str, Any]) -> dict[str, Any]:
        values = {}
        for definition in self.node.variable_definitions or ():
            name = definition.variable.name.value
            wanted = type_from_ast(SCHEMA, definition.type)
            if name in given:
                values[name] = with_lists(given[name], wanted)
            elif definition.default_value is not None:
                values[name] = with_lists(self._literal(definition.default_value), wanted)
        return values

    def _literal(self, node: ValueNode) -> Any:
        """A literal as plain values; what stands for an absent variable is left out."""
        match node:
            case VariableNode():
                return self.variables[node.name.value]
            case ObjectValueNode():
                return {
                    each.name.value: self._literal(each.value)
                    for each in node.fields
                    if not self._is_absent(each.value)
                }
            case ListValueNode():
                return [self._literal(each) for each in node.values]
            case NullValueNode():
                return None
            case _:
                return value_from_ast_untyped(node)

    def _is_absent(self, node: ValueNode) -> bool:
        return isinstance(node, VariableNode) and node.name.value not in self.variables

    def _arguments(self, type_name: str, node: FieldNode) -> dict[str, Any]:
        if not node.arguments:
            return {}
        wanted = SCHEMA.type_map[type_name].fields[node.name.value].args
        return {
            each.name.value: with_lists(self._literal(each.value), wanted[each.name.value].type)
            for each in node.arguments
            if not self._is_absent(each.value)
        }

    def _is_included(self, node: Any) -> bool:
        """What `@skip` and `@include` say (specification, 3.13.1 and 3.13.2)."""
        for directive in node.directives or ():
            if directive.name.value in ("skip", "include"):
                (argument,) = directive.arguments
                if self._literal(argument.value) is (directive.name.value == "skip"):
                    return False
        return True

    def fields(self, type_name: str, selections: list[SelectionSetNode]) -> list[Field]:
        """The fields to answer for an object of the type (specification, 6.3.2, CollectFields)."""
        found: dict[str, Field] = {}
        visited: set[str] = set()
        for selection in selections:
            self._collect(type_name, selection, found, visited)
        return list(found.values())

    def _collect(
        self, type_name: str, selections: SelectionSetNode, found: dict[str, Field], visited: set[str]
    ) -> None:
        for node in selections.selections:
            if not self._is_included(node):
                continue
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                if key not in found:
                    found[key] = Field(key, node.name.value, self._arguments(type_name, node))
                if node.selection_set is not None:
                    found[key].selections.append(node.selection_set)
                continue
            fragment = node
            if isinstance(node, FragmentSpreadNode):
                if node.name.value in visited:
                    continue
                visited.add(node.name.value)
                fragment = self.fragments[node.name.value]
            condition = fragment.type_condition.name.value if fragment.type_condition else type_name
            if condition == type_name or (condition == "Node" and type_name in TABLES):
                self._collect(type_name, fragment.selection_set, found, visited)


def with_lists(value: Any, wanted: Any) -> Any:
    """A coerced input value: one value where a list is wanted becomes a list (specification, 3.11)."""
    if isinstance(wanted, GraphQLNonNull):
        return with_lists(value, wanted.of_type)
    if value is None:
        return None
    if isinstance(wanted, GraphQLList):
        return [with_lists(each, wanted.of_type) for each in (value if isinstance(value, list) else [value])]
    if isinstance(wanted, GraphQLInputObjectType):
        return {name: with_lists(each, wanted.fields[name].type) for name, each in value.items()}
    return value


def global_id(type_name: str, key: UUID) -> str:
    return base64.b64encode(f"{type_name}:{key}".encode()).decode()


def read_global_id(text: str) -> tuple[str, UUID]:
    type_name, _, key = base64.b64decode(text).decode().partition(":")
    return type_name, UUID(key)


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def relation_target(type_name: str, name: str) -> str | None:
    """The type a field leads to, or None where it holds a value."""
    return (TO_ONE | TO_MANY).get((type_name, name), (None,))[0]


@dataclass(frozen=True)
class Page:
    """A page of a list, and what its `pageInfo` and `totalCount` say."""

    rows: list[Row]
    has_next: bool
    has_previous: bool
    total_count: int


class Reader:
    """Reads the register's values, and filters, sorts and pages its rows for one asker."""

    def __init__(self, register: Register) -> None:
        self.register = register

    def plain(self, type_name: str, name: str, row: Row) -> Any:
        """The value of a field as Python has it; a `Money` is its amount."""
        match type_name, name:
            case "Customer", "marketingConsent":
                return self.register.consents(row)
            case "Customer", "unsubscribeUrl":
                return f"https://store.example/u/{row['unsubscribe_token']}"
            case "Delivery", "trackingUrl":
                service = self.register.services.get((row["carrier_id"], row["service_code"]))
                if service is None or row["tracking_code"] is None:
                    return None
                return service["tracking_url"].replace("{code}", row["tracking_code"])
            case "AccessRecord", "operation":
                digest = f"sha256:{row['operation_hash']}"
                return f"{row['operation_name']} {digest}" if row["operation_name"] else digest
            case "Disclosure", "noticeStatus":
                return self._notice_status(row)
            case "LegalHold", "target":
                return global_id(row["target_entity"], row["target_id"])
            case "SubjectRequest", "retained":
                return json.loads(row["retained"])
            case "AccessRecord", "subjectIds":
                return [global_id("Customer", key) for key in row["subject_ids"]]
            case _:
                return row[snake(name)]

    def _notice_status(self, disclosure: Row) -> str:
        for notice in self.register.notices:
            is_of_it = all(notice[name] == disclosure[name] for name in ("customer_id", "recipient"))
            if is_of_it and notice["created_at"] >= disclosure["at"]:
                return "SENT" if notice["sent_at"] else "FAILED" if notice["failed_at"] else "DUE"
        return "NOT_DUE"

    def related(self, type_name: str, name: str, row: Row) -> list[Row]:
        """The visible rows a relation leads to."""
        if (type_name, name) in TO_ONE:
            target, column = TO_ONE[type_name, name]
            # A record keeps the id of a designation that a test took away again.
            found = self.register.rows[target].get(row[column])
            rows = [] if found is None else [found]
        else:
            target, column = TO_MANY[type_name, name]
            rows = self.register.children(target, column, row["id"])
        return [each for each in rows if self.register.visible(target, each)]

    def meets(self, type_name: str, row: Row, where: Mapping[str, Any]) -> bool:
        """Whether the row meets all of the conditions."""
        return all(
            self._meets_key(type_name, row, name, value) for name, value in where.items() if value is not None
        )

    def _meets_key(self, type_name: str, row: Row, name: str, value: Any) -> bool:
        match name:
            case "and":
                return all(self.meets(type_name, row, each) for each in value)
            case "or":
                return any(self.meets(type_name, row, each) for each in value)
            case "not":
                return not self.meets(type_name, row, value)
        if (type_name, name) in TO_ONE:
            target, _ = TO_ONE[type_name, name]
            return any(self.meets(target, each, value) for each in self.related(type_name, name, row))
        if (type_name, name) in TO_MANY:
            target, _ = TO_MANY[type_name, name]
            rows = self.related(type_name, name, row)
            some, none = value.get("some"), value.get("none")
            return (some is None or any(self.meets(target, each, some) for each in rows)) and (
                none is None or not any(self.meets(target, each, none) for each in rows)
            )
        found = self.plain(type_name, name, row)
        return all(compares(found, operator, operand) for operator, operand in value.items())

    def ordered(self, type_name: str, rows: list[Row], order_by: list[Mapping[str, str]]) -> list[Row]:
        """The rows in the wanted order, newest first where it does not decide."""
        rows = sorted(rows, key=lambda row: row["id"], reverse=True)
        for (name, direction), *_ in reversed([list(key.items()) for key in order_by]):

            def place(row: Row, name: str = name) -> tuple[Any, ...]:
                value = self.plain(type_name, name, row)
                return (True,) if value is None else (False, value)

            rows = sorted(
                rows, key=place, reverse=direction == "DESC"
            )  # `reverse` leaves equal rows in order
        return rows

    def look_up(self, type_name: str, arguments: Mapping[str, Any]) -> Row | None:
        """The newest visible row with the value that the one argument names."""
        ((name, value),) = arguments.items()
        rows = self.register.visible_rows(type_name)
        found = [row for row in rows if self.meets(type_name, row, {name: {"eq": value}})]
        return max(found, key=lambda row: row["id"], default=None)

    def listed(self, type_name: str, rows: Iterable[Row], arguments: Mapping[str, Any]) -> list[Row]:
        """The whole list that a connection pages: visible, filtered and sorted."""
        where = arguments.get("where") or {}
        kept = [
            row for row in rows if self.register.visible(type_name, row) and self.meets(type_name, row, where)
        ]
        return self.ordered(type_name, kept, arguments.get("orderBy") or [])

    def page(self, type_name: str, rows: Iterable[Row], arguments: Mapping[str, Any]) -> Page:
        """The page that the arguments cut from the list."""
        given = {name: value for name, value in arguments.items() if value is not None}
        rows = self.listed(type_name, rows, given)
        keys = [global_id(type_name, row["id"]) for row in rows]
        start = keys.index(given["after"]) + 1 if "after" in given else 0
        end = keys.index(given["before"]) if "before" in given else len(rows)
        between = rows[start:end]
        if "last" in given:
            size = given["last"]
            return Page(between[-size:], "before" in given, len(between) > size, len(rows))
        size = given.get("first", 20)
        return Page(between[:size], len(between) > size, "after" in given, len(rows))


def compares(found: Any, operator: str, operand: Any) -> bool:
    """Whether one condition on a value holds; a comparison with null never does."""
    if operator == "isNull":
        return (found is None) is operand
    if found is None or operand is None:
        return False
    if operator in ("in", "contains"):
        value, listed = (found, operand) if operator == "in" else (operand, found)
        return any(value == read_operand(value, each) for each in listed)
    operand = read_operand(found, operand)
    match operator:
        case "eq":
            return found == operand
        case "startsWith":
            return found.startswith(operand)
        case "lt":
            return found < operand
        case "lte":
            return found <= operand
        case "gt":
            return found > operand
        case "gte":
            return found >= operand
        case _:
            raise ValueError(operator)


def read_operand(found: Any, operand: Any) -> Any:
    """An input value as the kind of value it is compared with."""
    match found:
        case datetime():
            return datetime.fromisoformat(operand).astimezone(UTC)
        case date():
            return date.fromisoformat(operand)
        case Decimal():
            return Decimal(operand)
        case UUID():
            return read_global_id(operand)[1]
        case _:
            return operand
