"""Reading what is hidden: each way that was open in another product is closed here, for every personal field.

Who may see what is read off the access matrix (`tests.naive_rules`), not asked of the gateway.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, get_named_type
from sqlalchemy import Column
from sqlalchemy.sql.visitors import iterate

from schema.fields import Keys, Listed, Mask, Scalar, ToMany, ToOne, ValueObject
from schema.model import Entity, Field, load_model
from schema.scalars import global_id
from schema.tags import Personal
from tests.naive_rules import MATRIX, PURPOSES, Rights
from tests.test_attacks_tokens import of_register
from tests.world import World

MODEL = load_model()
LIST_OF = {entity: root for root, entity in MODEL.lists.items()}
# The columns that row rules look at stand in statements whatever is asked.
OF_RULES = {
    *("id", "customer_id", "order_id", "carrier_id", "delivery_id", "return_id", "service_code"),
    *("status", "restricted_at", "erased_at", "marketing_consent"),
    *("handed_over_at", "delivered_at", "returned_at", "lost_at", "created_at"),
    *("subject_ids", "decision", "visible_to_subject"),
}
LITERALS = {"ID": '"x"', "Int": "1", "Boolean": "true", "Decimal": '"1.00"', "String": '"x"'}
LITERALS |= {"DateTime": '"2026-01-01T00:00:00Z"', "Date": '"2026-01-01"'}
UNREACHED = ("AccessRecord", "Disclosure", "SubjectRequest", "LegalHold")  # by no payload of a registration


def columns_of(entity: Entity, field: Field) -> set[Column[Any]]:
    """The columns that a field shows."""
    match field.source:
        case Scalar(expression=expression):
            shown = [expression(entity.table)]
        case ValueObject(parts=parts):
            shown = [expression(entity.table) for _, expression in parts.values()]
        case _:
            shown = []
    return {part for each in shown for part in iterate(each) if isinstance(part, Column)}


PERSONAL = [
    pytest.param(entity, field, id=field.coordinate)
    for entity in MODEL.entities.values()
    for field in entity.fields.values()
    if any(isinstance(column.info.get("tag"), Personal) for column in columns_of(entity, field))
]
ENTITIES = [pytest.param(entity, id=name) for name, entity in MODEL.entities.items()]


@cache
def opening(role: str | None) -> tuple[str | None, ...]:
    """No purpose, and each that opens something to a role."""
    named = {grant.purpose for (held, _), cell in MATRIX.items() for grant in cell if held == role}
    return (None, *sorted(named & set(PURPOSES)))


def everybody(world: World) -> Iterator[tuple[str, str | None, Rights]]:
    """Everybody who may ask, for no purpose and for each that opens something to them."""
    for name, asker in world.askers.items():
        for purpose in opening(asker.role):
            yield name, purpose, Rights(asker.role, purpose)


def every_role(world: World) -> Iterator[tuple[str, str | None, Rights]]:
    """One of those who may ask for each role and purpose: what is refused depends on nothing else."""
    found: dict[tuple[str | None, str | None], tuple[str, str | None, Rights]] = {}
    for name, purpose, rights in everybody(world):
        found.setdefault((rights.role, purpose), (name, purpose, rights))
    yield from found.values()


def ids_of(world: World, entity: Entity, count: int = 60) -> list[str]:
    """The global ids of some rows of an entity, whoever may see them."""
    return [global_id(entity.name, row["id"]) for row in world.rows()[entity.table.name][-count:]]


def selected(field: Field) -> str:
    """The field with what must stand under it."""
    match field.source:
        case ValueObject(parts=parts) | Listed(parts=parts):
            return f"{field.name} {{ {' '.join(parts)} }}"
        case ToOne():
            return f"{field.name} {{ id }}"
        case ToMany():
            return f"{field.name} {{ totalCount }}"
        case _:
            return field.name


def related(entity: Entity) -> Iterator[tuple[Entity, Field]]:
    """The relations of entities with a list of their own that lead to this entity."""
    for parent in (MODEL.entities[name] for name in LIST_OF):
        for field in parent.fields.values():
            if isinstance(field.source, ToOne | ToMany) and field.source.target == entity.name:
                yield parent, field


def ways_to(entity: Entity, selection: str) -> list[str]:
    """Root fields that lead to rows of an entity, with a selection on them."""
    ways = [f"nodes(ids: $ids) {{ ... on Node {{ ... on {entity.name} {{ {selection} }} }} }}"]
    if entity.name in LIST_OF:
        ways.append(f"{LIST_OF[entity.name]}(first: 100) {{ nodes {{ {selection} }} }}")
        ways.append(f"{LIST_OF[entity.name]}(last: 5) {{ edges {{ node {{ {selection} }} }} }}")
    for parent, field in related(entity):
        below = f"nodes {{ {selection} }}" if isinstance(field.source, ToMany) else selection
        ways.append(f"{LIST_OF[parent.name]}(first: 9) {{ nodes {{ {field.name} {{ {below} }} }} }}")
    return [f"w{number}: {way}" for number, way in enumerate(ways)]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a JSON value."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(part)


# ---------------------------------------------------------------- seeing


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_hidden_field_stays_hidden_under_another_name(world: World, entity: Entity) -> None:
    """A refused field under another field's name, beside `__schema` and `__typename`, is null everywhere.

    No statement reads its column, whichever way leads to its rows.
    """
    ids, names = ids_of(world, entity), [*entity.fields]
    for name, purpose, rights in every_role(world):
        fields = [field for field in entity.fields.values() if not rights.may_read(field.coordinate)]
        if not fields:
            continue
        aliases = names[1 : len(fields) + 1] if len(fields) < len(names) else [f"{key}_" for key in names]
        hidden = " ".join(f"{key}: {selected(field)}" for key, field in zip(aliases, fields, strict=True))
        ways = " ".join(ways_to(entity, f"__typename {hidden}"))
        document = f"query($ids: [ID!]!) {{ __schema {{ queryType {{ name }} }} __typename {ways} }}"
        with world.recorded() as statements:
            status, body = world.ask(name, document, {"ids": ids}, purpose)
        assert (status, body["data"]["__typename"]) == (200, "Query")
        rows = [row for row in objects(body["data"]) if row.get("__typename") == entity.name]
        assert all(row[key] is None for row in rows for key in aliases)
        refused = {error["extensions"]["coordinate"] for error in body["errors"]}
        if rows:
            assert {field.coordinate for field in fields} <= refused
        else:
            assert "Query.nodes" in refused or rights.may_reach(entity.name)
        for column in {column.name for field in fields for column in columns_of(entity, field)} - OF_RULES:
            assert not any(re.search(rf"{entity.table.name}_\d+\.{column}\b", sql) for sql in statements)


@pytest.mark.parametrize("entity", ENTITIES)
def test_node_and_nodes_pass_the_gate_of_the_type(world: World, entity: Entity) -> None:
    """A type that is not granted is reached by neither `node` nor `nodes`, with no fragment on Node."""
    ids = ids_of(world, entity, 3)
    selections = ("id", "__typename", "... on Node { id }", f"... on {entity.name} {{ id }}", "...F")
    fragment = f"fragment F on Node {{ ... on {entity.name} {{ id ... on Node {{ id }} }} }}"
    for name, purpose, rights in every_role(world):
        if rights.may_reach(entity.name):
            continue
        roots = [f"a{n}: node(id: $id) {{ {selection} }}" for n, selection in enumerate(selections)]
        roots += [f"b{n}: nodes(ids: $ids) {{ {selection} }}" for n, selection in enumerate(selections)]
        document = f"query($id: ID!, $ids: [ID!]!) {{ {' '.join(roots)} }} {fragment}"
        with world.recorded() as statements:
            _, body = world.ask(name, document, {"id": ids[0], "ids": ids}, purpose)
        assert set(body["data"].values()) == {None}
        refused = {error["extensions"]["coordinate"] for error in body["errors"]}
        assert refused == {"Query.node", "Query.nodes"}
        assert of_register(statements) == []


def test_a_refused_type_among_the_ids_gives_none_of_them(world: World) -> None:
    """`nodes` of a granted and a refused type is null as a whole, and reads nothing."""
    ids = [*ids_of(world, MODEL.entities["Carrier"], 1), *ids_of(world, MODEL.entities["Customer"], 1)]
    with world.recorded() as statements:
        _, body = world.ask("carrier", "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ids})
    assert body["data"] == {"nodes": None}
    assert of_register(statements) == []


def masked_as(mask: Mask, value: str | None) -> str | None:
    """What a mask leaves of a value."""
    match mask:
        case _ if value is None:
            return None
        case Mask.EMAIL:
            return "***@***"
        case Mask.NAME:
            return "***"
        case Mask.PHONE:
            return "***" + re.sub(r"\D", "", value)[-2:]
        case Mask.IBAN:
            return "***" + value[-4:]


@pytest.mark.parametrize(("entity", "field"), PERSONAL)
def test_a_mask_keeps_neither_length_nor_first_letter(world: World, entity: Entity, field: Field) -> None:
    """Whoever holds only the mask of a field sees the same width whatever the value, and null for null."""
    mask = getattr(field.source, "mask", None)
    root = LIST_OF.get(entity.name)
    rows = {global_id(entity.name, row["id"]): row for row in world.rows()[entity.table.name]}
    (column,) = {column.name for column in columns_of(entity, field)} if mask else {"id"}
    for name, purpose, rights in everybody(world):
        if not rights.rules(field.coordinate, "M") or rights.rules(field.coordinate, "R"):
            continue
        nodes = world.data(name, f"{{ {root}(first: 100) {{ nodes {{ id {field.name} }} }} }}", None, purpose)
        found = {node["id"]: node[field.name] for node in nodes[root]["nodes"]}
        assert found == {key: masked_as(mask, rows[key][column]) for key in found}
        assert len({len(value) for value in found.values() if value is not None}) <= 1


@pytest.mark.parametrize(
    ("declared", "value", "where"),
    [
        ("$v: CustomerWhere", {}, "customers(where: $v)"),
        ("$v: [CustomerOrderBy!]", [], "customers(orderBy: $v)"),
        ("$v: OrderStatus", "PAID", "orders(where: {status: {eq: $v}})"),
        ("$v: DateTime", "2026-01-01T00:00:00Z", "orders(where: {placedAt: {lt: $v}})"),
        ("$v: Decimal", "1.00", "orders(where: {total: {lt: $v}})"),
        ("$v: Boolean!", True, "orders(first: 1) @include(if: $v)"),
    ],
)
def test_introspection_beside_other_fields_gives_what_it_gives_alone(
    world: World, declared: str, value: Any, where: str
) -> None:
    """`__schema` and `__type` beside a field with variables, granted or not, answer as they do alone."""
    fragment = f"fragment F on Query {{ {where} {{ totalCount }} }}"
    document = (
        f"query({declared}, $n: String!) {{ ...F __type(name: $n) {{ name fields {{ name }} }} }} {fragment}"
    )
    alone = "query($n: String!) { __type(name: $n) { name fields { name } } }"
    for name, purpose, _ in every_role(world):
        for type_name in ("Order", "CustomerWhere"):
            status, body = world.ask(name, document, {"v": value, "n": type_name}, purpose)
            assert status == 200
            assert body["data"]["__type"] == world.data(name, alone, {"n": type_name})["__type"]


def test_introspection_shows_what_some_purpose_opens_and_nothing_else(world: World) -> None:
    """Fields of entities, and keys of their conditions and orders, are shown as the matrix grants them."""
    document = "{ __schema { types { name fields { name } inputFields { name } } } }"
    for name, asker in world.askers.items():
        types = world.data(name, document)["__schema"]["types"]
        shown = {
            (each["name"], field["name"])
            for each in types
            for field in (each["fields"] or each["inputFields"] or ())
        }
        held = [Rights(asker.role, purpose) for purpose in (None, *PURPOSES)]
        if asker.role == "anonymous":  # what they just made is answered as the customer they became
            held.append(Rights("customer", None))
        for entity in MODEL.entities.values():
            for field in entity.fields.values():
                coordinate = field.coordinate
                seen = any(rights.may_read(coordinate) and rights.may_reach(entity.name) for rights in held)
                assert ((entity.name, field.name) in shown) == seen, (name, coordinate)
                if not comparisons(entity, field):
                    continue
                filtered = any(rights.may_filter(entity.name, field.name, {"eq"}) for rights in held)
                ordered = any(rights.may_sort(entity.name, field.name) for rights in held)
                ordered = ordered and not isinstance(field.source, Keys)
                if asker.role == "anonymous" and entity.name in UNREACHED:
                    filtered = ordered = False
                assert ((f"{entity.name}Where", field.name) in shown) == filtered, (name, coordinate)
                if (asker.role, entity.name) == ("anonymous", "Customer"):
                    ordered = False  # one customer, and no list of them
                assert ((f"{entity.name}OrderBy", field.name) in shown) == ordered, (name, coordinate)


# ---------------------------------------------------------------- looking for, sorting by, counting


def literal_of(kind: Any) -> str:
    """A literal of an input type."""
    if isinstance(kind, GraphQLList):
        return f"[{literal_of(kind.of_type)}]"
    named: Any = get_named_type(kind)
    return next(iter(named.values)) if isinstance(named, GraphQLEnumType) else LITERALS[named.name]


def comparisons(entity: Entity, field: Field) -> list[str]:
    """A condition on a field for each operator; none where it cannot be compared."""
    where: Any = MODEL.graphql.type_map[f"{entity.name}Where"]
    if field.name not in where.fields or isinstance(field.source, ToOne | ToMany):
        return []
    operators: GraphQLInputObjectType = where.fields[field.name].type
    return [f"{{{field.name}: {{{key}: {literal_of(of.type)}}}}}" for key, of in operators.fields.items()]


def conditions_with(entity: Entity, conditions: list[str]) -> Iterator[tuple[str, str]]:
    """Lists with a `where` that asks for the conditions: each directly, one nested and by each relation."""
    condition = conditions[-1]
    if entity.name in LIST_OF:
        for where in (*conditions, f"{{and: [{{or: [{{}}, {condition}]}}]}}", f"{{not: {condition}}}"):
            yield LIST_OF[entity.name], where
    for parent, field in related(entity):
        asked = [
            f"{{{field.name}: {condition}}}",
            f"{{or: [{{not: {{{field.name}: {{not: {condition}}}}}}}]}}",
        ]
        if isinstance(field.source, ToMany):
            asked = [f"{{{field.name}: {{{key}: {{and: [{condition}]}}}}}}" for key in ("some", "none")]
        for where in asked:
            yield LIST_OF[parent.name], where


def nested_lists(entity: Entity, arguments: str) -> list[str]:
    """Lists of an entity inside lists of others."""
    return [
        f"{LIST_OF[parent.name]} {{ nodes {{ {field.name}({arguments}) {{ leak: totalCount }} }} }}"
        for parent, field in related(entity)
        if isinstance(field.source, ToMany)
    ]


def assert_nothing_told(
    world: World, who: tuple[str, str | None], roots: list[str], coordinate: tuple[str, str] | None
) -> None:
    """Each root is null or leads to a null, no statement is sent for a null root, and the key is named."""
    document = "{" + " ".join(f"r{number}: {root}" for number, root in enumerate(roots)) + "}"
    with world.recorded() as statements:
        status, body = world.ask(who[0], document, None, who[1])
    assert status == 200
    assert not any("leak" in found for found in objects(body["data"])), (who, body)
    refused = {
        (error["extensions"]["coordinate"], error["extensions"].get("use")) for error in body["errors"]
    }
    assert coordinate is None or coordinate in refused
    assert not of_register(statements) or any(body["data"].values())


@pytest.mark.parametrize(("entity", "field"), PERSONAL)
def test_what_is_not_seen_whole_cannot_be_filtered_by(world: World, entity: Entity, field: Field) -> None:
    """A field that is hidden, masked or withheld stands in no `where`, with no operator, by no relation."""
    wanted = comparisons(entity, field)
    if not wanted:
        assert field.name not in MODEL.graphql.type_map[f"{entity.name}OrderBy"].fields
        return
    roots = [
        f"{root}(where: {where}) {{ leak: totalCount }}" for root, where in conditions_with(entity, wanted)
    ]
    inner = nested_lists(entity, f"where: {wanted[-1]}")
    for name, purpose, rights in every_role(world):
        if rights.may_filter(entity.name, field.name, {"eq"}):
            continue
        reached = rights.may_reach(entity.name) and entity.name in LIST_OF
        assert_nothing_told(world, (name, purpose), roots, (field.coordinate, "FILTER") if reached else None)
        if inner:
            assert_nothing_told(world, (name, purpose), inner, None)


@pytest.mark.parametrize(("entity", "field"), PERSONAL)
def test_what_is_not_seen_whole_cannot_be_sorted_by(world: World, entity: Entity, field: Field) -> None:
    """A field that is hidden, masked or withheld stands in no `orderBy`, as first or later key."""
    if not comparisons(entity, field):
        return
    keys = [f"orderBy: {{{field.name}: ASC}}", f"orderBy: [{{id: ASC}}, {{{field.name}: DESC}}]"]
    roots = [
        f"{LIST_OF[entity.name]}({key}) {{ leak: totalCount }}" for key in keys if entity.name in LIST_OF
    ]
    inner = [root for key in keys for root in nested_lists(entity, key)]
    for name, purpose, rights in every_role(world):
        if rights.may_sort(entity.name, field.name):
            continue
        reached = rights.may_reach(entity.name)
        for asked in filter(None, (roots, inner)):
            expected = (field.coordinate, "SORT") if reached and asked is roots else None
            assert_nothing_told(world, (name, purpose), asked, expected)


@pytest.mark.parametrize("root", MODEL.lists)
def test_an_empty_list_matches_nothing(world: World, root: str) -> None:
    """`or: []`, and `in: []` on any field, match no row, and their negation every row."""
    entity = MODEL.entities[MODEL.lists[root]]
    named = [
        field.name for field in entity.fields.values() if any("{in:" in c for c in comparisons(entity, field))
    ]
    empty: list[Any] = [{"or": []}, {"and": [{"or": []}]}, *({name: {"in": []}} for name in named)]
    document = f"query($w: {entity.name}Where) {{ found: {root}(where: $w) {{ totalCount }} }}"
    everything = world.data("privacy-officer", f"{{ found: {root} {{ totalCount }} }}")
    for where in empty:
        text = re.sub(r'"(\w+)":', r"\1:", json.dumps(where))
        literal = f"{{ found: {root}(where: {text}) {{ totalCount }} }}"
        for asked, variables, wanted in (
            (document, {"w": where}, {"found": {"totalCount": 0}}),
            (literal, None, {"found": {"totalCount": 0}}),
            (document, {"w": {"not": where}}, everything),
        ):
            found = world.data("privacy-officer", asked, variables, "subject-rights")
            assert found == wanted or (root == "accessRecords" and wanted is everything)  # it grows
