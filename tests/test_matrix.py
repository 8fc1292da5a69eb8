"""The access matrix, asked cell by cell over HTTP: every coordinate, role, use and purpose, on every row.

The expectation is read off `access-matrix.csv` row by row (`naive_rules`); the answers come from the gateway.
"""

from __future__ import annotations

import csv
from functools import cache
from typing import Any
from uuid import UUID

import pytest

from schema.fields import Keys, Kind, Listed, Scalar, ToMany, ToOne, ValueObject
from schema.model import Field, load_model
from schema.scalars import global_id
from tests.naive_rules import MATRIX, MATRIX_FILE, ONLY_PURPOSE, TABLES, Asker, Register, Rights
from tests.test_twin import purposes_of
from tests.world import World

BATCH = 100
ABSENT = UUID("00000000-0000-4000-8000-000000000000")
ENTITIES = load_model().entities
ASKERS = (
    *("anonymous", "customer", "customer-2", "one-order", "support", "undesignated", "register-admin"),
    *("warehouse", "finance", "marketing", "analyst", "privacy-officer", "carrier", "carrier-2"),
    "newsletter",
)
# The one coordinate the matrix leaves out: it leads back along `Order.customer`, and is granted like it.
SUPPLEMENT = {"Customer.orders": "Order.customer"}
LISTS = {"Customer": "customers", "Order": "orders", "Delivery": "deliveries", "Return": "returns"}
LISTS |= {"Carrier": "carriers", "Employee": "employees", "Designation": "designations"}
LISTS |= {"PartnerToken": "partnerTokens", "AccessRecord": "accessRecords"}
LISTS |= {"Disclosure": "disclosures", "SubjectRequest": "subjectRequests", "LegalHold": "legalHolds"}
# How a type without a root list is reached: the list, and the relation that leads to it.
THROUGH = {
    "ConsentEvent": ("customers", "Customer", "consents"),
    "OrderLine": ("orders", "Order", "lines"),
    "DeliveryEvent": ("deliveries", "Delivery", "events"),
    "ReturnLine": ("returns", "Return", "lines"),
}


def asker_of(world: World, name: str, purpose: str | None) -> Asker:
    who = world.askers[name]
    ids = (who.customer_id, who.order_id, who.carrier_id)
    return Asker(who.role, *ids, purpose, who.employee_id, who.token_id)


def selection(field: Field) -> str:
    match field.source:
        case Scalar() | Keys():
            return field.name
        case Listed(parts=parts):
            return f"{field.name} {{ {' '.join(parts)} }}"
        case ValueObject(compared="amount"):
            return f"{field.name} {{ amount currency }}"
        case ValueObject():
            return f"{field.name} {{ streetAddress postalCode }}"
        case ToOne():
            return f"{field.name} {{ id }}"
        case ToMany():
            return f"{field.name}(first: 1) {{ totalCount }}"


def nodes_of(world: World, name: str, type_name: str, purpose: str | None) -> tuple[dict[Any, Any], Any]:
    """Every row of a type through `nodes`, by key, and the refusals."""
    fields = " ".join(selection(field) for field in ENTITIES[type_name].fields.values())
    document = f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {type_name} {{ {fields} }} }} }}"
    keys = [row["id"] for row in world.rows()[TABLES[type_name]]]
    found: dict[Any, Any] = {}
    refused: set[tuple[str, str]] = set()
    for start in range(0, len(keys), BATCH):
        part = keys[start : start + BATCH]
        ids = [global_id(type_name, key) for key in part]
        status, body = world.ask(name, document, {"ids": ids}, purpose)
        assert status == 200, body
        refused |= {
            (error["extensions"]["code"], error["extensions"]["coordinate"])
            for error in body.get("errors", [])
        }
        found |= zip(part, body["data"]["nodes"] or [None] * len(part), strict=True)
    return found, refused


def read_refusals(rights: Rights, type_name: str) -> set[tuple[str | None, str]]:
    """The coordinates of a type that the matrix refuses, with their codes."""
    if not rights.may_reach(type_name):
        return {(rights.refusal(lambda of: of.may_reach(type_name)), "Query.nodes")}
    found = set()
    for field in ENTITIES[type_name].fields.values():
        coordinate = field.coordinate
        if not rights.may_read(coordinate):
            found.add((rights.refusal(lambda of, name=coordinate: of.may_read(name)), coordinate))
        elif isinstance(field.source, ToOne | ToMany) and not rights.may_reach(field.source.target):
            target = field.source.target
            found.add((rights.refusal(lambda of, name=target: of.may_reach(name)), coordinate))
    return found


def check_cell(field: Field, register: Register, row: Any, seen: Any, table: Any) -> None:
    """One value of one row against what the matrix says of it."""
    match register.cell(field.coordinate.partition(".")[0], field.name, row):
        case "hidden":
            assert seen is None, field.coordinate
        case "masked":
            value = row[table[field.name]]
            assert (seen is None) == (value is None), field.coordinate
            assert value is None or (seen != value and seen.startswith("***")), field.coordinate
        case "shown" if field.name in table and isinstance(row[table[field.name]], str):
            assert seen == row[table[field.name]], field.coordinate
        case "shown" if field.name in table:
            assert (seen is None) == (row[table[field.name]] is None), field.coordinate


@cache
def columns(type_name: str) -> dict[str, str]:
    """The columns that scalar fields show as they are, by field."""
    entity = ENTITIES[type_name]
    names = {_camel(column.name): column.name for column in entity.table.columns if column.name != "id"}
    return {name: names[name] for name in entity.fields if name in names and entity.fields[name].kind}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


@pytest.mark.parametrize("name", ASKERS)
def test_each_role_reads_exactly_the_cells_the_matrix_grants_it_on_exactly_its_rows(
    world: World, name: str
) -> None:
    for purpose in purposes_of(world.askers[name].role):
        asker = asker_of(world, name, purpose)
        register = Register(world.rows(), asker, world.now)
        for type_name, entity in ENTITIES.items():
            found, refused = nodes_of(world, name, type_name, purpose)
            if asker.role is None:
                assert refused == {("FIELD_FORBIDDEN", "Query.nodes")}
                continue
            rights = Rights(asker.role, purpose)
            assert refused == read_refusals(rights, type_name), (name, purpose, type_name)
            by_key = {row["id"]: row for row in world.rows()[TABLES[type_name]]}
            visible = {key for key, row in by_key.items() if register.visible(type_name, row)}
            reachable = visible if rights.may_reach(type_name) else set()
            assert {key for key, seen in found.items() if seen is not None} == reachable, (purpose, type_name)
            denied = {coordinate for _, coordinate in refused}
            for key in reachable:
                for field in entity.fields.values():
                    seen = found[key][field.name]
                    if field.coordinate in denied:
                        assert seen is None, field.coordinate
                    else:
                        check_cell(field, register, by_key[key], seen, columns(type_name))


def comparable(type_name: str) -> list[Field]:
    return [field for field in ENTITIES[type_name].fields.values() if field.kind and _is_compared(field)]


def _is_compared(field: Field) -> bool:
    return not isinstance(field.source, Scalar) or field.source.comparable


def argument(field: Field, kind: str) -> str:
    """An argument that uses a field: as an exact condition, as another one, or to sort by."""
    if kind == "sort":
        return f"orderBy: [{{{field.name}: ASC}}]"
    if isinstance(field.source, Keys):
        return f'where: {{{field.name}: {{contains: "{global_id(field.source.target, ABSENT)}"}}}}'
    exact = "eq: true" if field.kind is Kind.BOOLEAN else "in: []"
    return f"where: {{{field.name}: {{{exact if kind == 'exact' else 'isNull: true'}}}}}"


USED = [(name, kind) for name in ENTITIES for kind in ("exact", "other")] + [(name, "sort") for name in LISTS]


@pytest.mark.parametrize(("type_name", "kind"), USED)
def test_each_role_filters_and_sorts_by_exactly_what_the_matrix_lets_it_read_everywhere(
    world: World, type_name: str, kind: str
) -> None:
    fields = [field for field in comparable(type_name) if kind != "other" or field.name != "id"]
    if kind != "other":
        fields = [field for field in fields if not isinstance(field.source, Keys)]
    for name in ASKERS:
        role = world.askers[name].role
        if role is None or name in ("customer-2", "carrier-2", "one-order"):
            continue
        for purpose in purposes_of(role):
            rights = Rights(role, purpose)
            wanted = {field.name: compared_refusal(rights, type_name, field, kind) for field in fields}
            check_comparisons(world, name, purpose, type_name, kind, wanted, fields)


def check_comparisons(
    world: World,
    name: str,
    purpose: str | None,
    type_name: str,
    kind: str,
    wanted: dict[str, set[Any]],
    fields: list[Field],
) -> None:
    """Every field of a type used in the same way at once: which roots are null, and every refusal."""
    roots = [f"{field.name}: {listed(type_name, argument(field, kind))}" for field in fields]
    status, body = world.ask(name, f"{{ {' '.join(roots)} }}", None, purpose)
    assert status == 200, body
    found = {
        (error["extensions"]["code"], error["extensions"]["coordinate"], error["extensions"].get("use"))
        for error in body.get("errors", [])
    }
    assert found == set().union(*wanted.values()), (name, purpose)
    for field in fields:
        assert (body["data"][field.name] is None) == bool(wanted[field.name]), (name, purpose, field.name)


@pytest.mark.parametrize("type_name", THROUGH)
def test_nested_lists_are_sorted_by_the_same_rule(world: World, type_name: str) -> None:
    root, parent, relation = THROUGH[type_name]
    for name in ("customer", "support", "warehouse", "finance", "privacy-officer", "carrier"):
        role = world.askers[name].role
        for purpose in purposes_of(role):
            rights = Rights(role, purpose)
            if not rights.may_reach(parent) or not rights.may_read(f"{parent}.{relation}"):
                continue
            for field in comparable(type_name):
                nested = f"{relation}({argument(field, 'sort')}) {{ totalCount }}"
                _, body = world.ask(name, f"{{ {root}(first: 1) {{ nodes {{ {nested} }} }} }}", None, purpose)
                found = {error["extensions"]["coordinate"] for error in body.get("errors", [])}
                refused = not rights.may_sort(type_name, field.name)
                assert found == ({field.coordinate} if refused else set()), (name, purpose, field.name)
                assert (body["data"][root] is None) == refused


def listed(type_name: str, given: str) -> str:
    if type_name in LISTS:
        return f"{LISTS[type_name]}({given}, first: 1) {{ totalCount }}"
    root, _, relation = THROUGH[type_name]
    inner = given.removeprefix("where: ")
    return f"{root}(where: {{{relation}: {{some: {inner}}}}}, first: 1) {{ totalCount }}"


def compared_refusal(rights: Rights, type_name: str, field: Field, kind: str) -> set[Any]:
    root, parent, relation = THROUGH.get(type_name, (LISTS.get(type_name), type_name, None))
    if not rights.may_reach(parent):
        return {(rights.refusal(lambda of: of.may_reach(parent)), f"Query.{root}", None)}
    if relation and not rights.may_filter_through(parent, relation, type_name):
        code = rights.refusal(lambda of: of.may_filter_through(parent, relation, type_name))
        return {(code, f"{parent}.{relation}", "FILTER")}
    if kind == "sort":
        code = rights.refusal(lambda of: of.may_sort(type_name, field.name))
        return {(code, field.coordinate, "SORT")} if code else set()
    wanted = {"in"} if kind == "exact" else {"isNull"}
    code = rights.refusal(lambda of: of.may_filter(type_name, field.name, wanted))
    return {(code, field.coordinate, "FILTER")} if code else set()


def readers(world: World, coordinate: str) -> set[str]:
    """Who reads a coordinate unmasked on at least one row, for their best purpose: asked of the gateway."""
    type_name, _, field = coordinate.partition(".")
    column = columns(type_name)[field]
    rows = [row for row in world.rows()[TABLES[type_name]] if row[column] is not None]
    plain = {row["id"]: row[column] for row in rows}
    document = f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {type_name} {{ {field} }} }} }}"
    found = set()
    for name in ASKERS:
        for purpose in purposes_of(world.askers[name].role):
            for start in range(0, len(rows), BATCH):
                part = [row["id"] for row in rows[start : start + BATCH]]
                ids = [global_id(type_name, key) for key in part]
                _, body = world.ask(name, document, {"ids": ids}, purpose)
                seen = zip(part, body["data"]["nodes"] or [], strict=False)
                if any(node and node[field] == plain[key] for key, node in seen):
                    found.add(world.askers[name].role)
    return {role for role in found if role is not None}


READERS = {
    "Customer.email": {"customer", "support", "register_admin", "privacy_officer", "newsletter"},
    "Customer.phone": {"customer", "support", "register_admin", "privacy_officer"},
    "Customer.firstName": {"customer", "support", "register_admin", "privacy_officer", "newsletter"},
    "Customer.streetAddress": {"customer", "support", "register_admin", "privacy_officer"},
    "Order.internalNote": {"support", "register_admin", "privacy_officer"},
    "Order.billingName": {"customer", "support", "register_admin", "finance", "privacy_officer"},
    "Delivery.recipientName": {
        *("customer", "support", "register_admin", "warehouse", "privacy_officer", "carrier"),
    },
    "Delivery.recipientPhone": {"customer", "support", "register_admin", "privacy_officer", "carrier"},
    "Delivery.recipientEmail": {"customer", "support", "register_admin", "privacy_officer", "carrier"},
    "Delivery.signedBy": {"customer", "support", "register_admin", "privacy_officer"},
    "Return.refundIban": {"finance", "privacy_officer"},
    "Return.inspectionNote": {"support", "register_admin", "warehouse", "privacy_officer"},
}


@pytest.mark.parametrize("coordinate", READERS)
def test_a_personal_field_is_read_by_exactly_these_roles(world: World, coordinate: str) -> None:
    assert readers(world, coordinate) == READERS[coordinate]


def test_the_policy_grants_exactly_what_the_matrix_grants(world: World) -> None:
    uses = {"R": "read", "M": "mask", "F": "filter", "C": "create", "U": "update", "X": "execute"}
    coordinates = world.gateway.model.coordinates()
    wanted = {
        (role, coordinate, uses[grant.use], grant.rows or "every", grant.purpose or "any")
        for (role, coordinate), cell in MATRIX.items()
        for grant in cell
        if grant.use in uses and coordinate in coordinates
    }
    found = {
        (line.role, line.coordinate, str(line.use), line.rows, line.purpose)
        for line in world.gateway.policy.lines
    }
    assert found == wanted


def test_every_field_of_the_schema_is_in_the_matrix_and_the_other_way_round() -> None:
    with MATRIX_FILE.open(encoding="utf-8") as file:
        listed = {row[0] for row in csv.reader(line for line in file if not line.startswith("#"))}
    for entity in ENTITIES.values():
        fields = {field.coordinate for field in entity.fields.values()} | {entity.name}
        assert fields - set(SUPPLEMENT) == {
            coordinate for coordinate in listed if coordinate.partition(".")[0] == entity.name
        }


def test_the_gateway_knows_the_only_purposes_of_roles(world: World) -> None:
    policy = world.gateway.policy
    assert {
        role: policy.effective_purpose(role, None) for _, role in _columns() if role in ONLY_PURPOSE
    } == ONLY_PURPOSE


def _columns() -> list[tuple[int, str]]:
    with MATRIX_FILE.open(encoding="utf-8") as file:
        header = next(csv.reader(line for line in file if not line.startswith("#")))
    return list(enumerate(header[1:]))
