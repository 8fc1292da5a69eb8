"""The access matrix on writing, over HTTP: every mutation, input field, role and purpose, and on which rows.

A refused coordinate refuses the operation before any SQL, whatever its value and however it is written down.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_nullable_type,
)

from schema.model import load_model
from schema.mutation import Input, Mutation
from schema.scalars import global_id
from schema.writing import Writes
from tests.naive_rules import MATRIX, Rights
from tests.world import World

MODEL = load_model()
MUTATIONS = MODEL.mutations
ROLES = (
    *("anonymous", "customer", "support", "undesignated", "register-admin", "warehouse", "finance"),
    *("marketing", "analyst", "privacy-officer", "carrier", "newsletter"),
)
NOBODY = "00000000-0000-7000-8000-000000000000"
# What an id of an input names, where its name does not say so.
NAMED = {"orderId": "Order", "deliveryId": "Delivery", "carrier": "Carrier", "orderLine": "OrderLine"}
NAMED |= {"employeeId": "Employee", "deliveries": "Delivery", "customer": "Customer", "target": "Order"}
SCALARS: Mapping[str, Any] = {
    "String": "x",
    "Int": 1,
    "Boolean": True,
    "DateTime": "2026-06-15T12:00:00Z",
    "Decimal": "1.00",
    "UUID": NOBODY,
    "Date": "2030-12-31",
}


class Literal(str):
    """An enum's value, written into a document without quotes."""

    __slots__ = ()


def purposes_of(role: str | None) -> list[str | None]:
    """No purpose, those that make a difference to what the role may do, and one that makes none."""
    named = {grant.purpose for (holder, _), cell in MATRIX.items() for grant in cell if holder == role}
    return [None, *sorted(named - {None}), "security"]


# ---------------------------------------------------------------- inputs


def minimal(of: Input, entity: str) -> dict[str, Any]:
    """An input with its required fields alone."""
    fields = kind_of(of).fields
    return {
        name: sample(of, name, entity) for name in of.fields if isinstance(fields[name].type, GraphQLNonNull)
    }


def kind_of(of: Input) -> GraphQLInputObjectType:
    found = MODEL.graphql.type_map[of.name]
    assert isinstance(found, GraphQLInputObjectType)
    return found


def sample(of: Input, name: str, entity: str) -> Any:
    """A value of an input field's type; ids are of nothing there is."""
    kind: Any = get_nullable_type(kind_of(of).fields[name].type)
    nested = of.fields[name].nested
    if isinstance(kind, GraphQLList):
        kind = get_nullable_type(kind.of_type)
        if nested is not None:
            return [minimal(nested, entity)]
        if of.fields[name].reads_fields:
            return ["Order.billingName"]
        return [global_id(NAMED[name], NOBODY) if kind.name == "ID" else SCALARS[kind.name]]
    if nested is not None:
        return minimal(nested, entity)
    if isinstance(kind, GraphQLInputObjectType):
        return {}
    if isinstance(kind, GraphQLEnumType):
        return Literal(next(iter(kind.values)))
    if kind.name == "ID":
        return global_id(NAMED.get(name, entity), NOBODY)
    return SCALARS[kind.name]


def entity_of(root: Mutation) -> str:
    return next(iter({**root.entities, **root.lists}.values()), "Order")


def variants(root: Mutation) -> Iterator[dict[str, Any]]:
    """The least input, and for each field, nested ones too, the least one with that field and with null."""
    yield minimal(root.input, entity_of(root))
    yield from _with_each(root.input, entity_of(root))


def _with_each(of: Input, entity: str) -> Iterator[dict[str, Any]]:
    for name, field in of.fields.items():
        kind = kind_of(of).fields[name].type
        least = minimal(of, entity)
        yield {**least, name: sample(of, name, entity)}
        if not isinstance(kind, GraphQLNonNull):
            yield {**least, name: None}
        if field.nested is None:
            continue
        for below in _with_each(field.nested, entity):
            # In a list the field stands in a later entry: the first has only what it must have.
            listed = isinstance(get_nullable_type(kind), GraphQLList)
            yield {**least, name: [minimal(field.nested, entity), below] if listed else below}


def written(of: Input, given: Any) -> set[tuple[str, str]]:
    """Every coordinate an input sets, with the matrix's letter for how, null or not."""
    found: set[tuple[str, str]] = set()
    for entry in given if isinstance(given, list) else [given]:
        for name, value in (entry or {}).items():
            field = of.fields[name]
            if field.coordinate is not None:
                found.add((field.coordinate, "C" if of.writes is Writes.CREATE else "U"))
            if field.nested is not None:
                found |= written(field.nested, value)
    return found


# ---------------------------------------------------------------- ways to write it down


def literal(value: Any) -> str:
    """A value as a document writes it."""
    match value:
        case Literal():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{name}: {literal(below)}" for name, below in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(literal, value)) + "]"
        case _:
            return json.dumps(value)


@dataclass(frozen=True)
class Way:
    """A document and its variables for one change."""

    document: str
    variables: Mapping[str, Any]
    key: str


def ways(root: Mutation, given: dict[str, Any]) -> list[Way]:
    """The same change by one variable, by a literal, by a variable each, by alias and fragments."""
    name, fields = root.name, kind_of(root.input).fields
    one = f"mutation($input: {root.input.name}!) {{ {name}(input: $input) {{ __typename }} }}"
    whole = f"mutation {{ {name}(input: {literal(given)}) {{ __typename }} }}"
    declared = ", ".join(f"$v_{key}: {fields[key].type}" for key in given)
    declared = f"({declared})" if given else ""
    used = ", ".join(f"{key}: $v_{key}" for key in given)
    apart = f"{name}(input: {{{used}}}) {{ userErrors {{ code }} }}"
    each = {f"v_{key}": value for key, value in given.items()}
    return [
        Way(one, {"input": given}, name),
        Way(whole, {}, name),
        Way(f"mutation{declared} {{ {apart} }}", each, name),
        Way(
            f"mutation{declared} {{ ...A @include(if: true) }} "
            f"fragment A on Mutation {{ ... on Mutation {{ ok: {apart} }} }}",
            each,
            "ok",
        ),
    ]


# ---------------------------------------------------------------- what is refused

Refusal = tuple[str, str, str | None, tuple[str, ...]]


def wanted_refusals(rights: Rights, root: Mutation, given: dict[str, Any]) -> set[Refusal]:
    """What the matrix refuses of a change: code, coordinate, use, and the purposes that would do."""
    mutation = f"Mutation.{root.name}"
    if not rights.rules(mutation, "X"):
        return {refusal_of(rights, mutation, "X")}
    return {
        refusal_of(rights, coordinate, use)
        for coordinate, use in written(root.input, given)
        if not rights.may_set(coordinate, use)
    }


def refusal_of(rights: Rights, coordinate: str, use: str) -> Refusal:
    purposes = {
        grant.purpose
        for grant in MATRIX.get((rights.role or "", coordinate), [])
        if grant.use == use and grant.purpose
    }
    code = "PURPOSE_REQUIRED" if purposes else "FIELD_FORBIDDEN"
    named = {"C": "CREATE", "U": "UPDATE", "X": None}[use]
    return code, coordinate, named, tuple(sorted(purposes))


def found_refusals(body: Mapping[str, Any]) -> list[Refusal]:
    return [
        (
            error["extensions"]["code"],
            error["extensions"]["coordinate"],
            error["extensions"].get("use"),
            tuple(error["extensions"].get("purposes", ())),
        )
        for error in body.get("errors", [])
    ]


def check_refused(world: World, name: str, purpose: str | None, way: Way, wanted: set[Refusal]) -> None:
    """The answer names exactly these coordinates, each once, gives no data, and no SQL was sent."""
    with world.recorded() as statements:
        headers = {"accept": "application/graphql-response+json"}
        response = world.post(name, way.document, way.variables, purpose, headers=headers)
    status, body = response.status_code, response.json()
    found = found_refusals(body)
    assert (status, sorted(found, key=str)) == (403, sorted(wanted, key=str)), (name, purpose, way)
    assert "data" not in body
    assert statements == []
    for error in body["errors"]:
        assert error["extensions"]["fieldPath"][0] == way.key
        assert error["locations"]


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_change_is_refused_by_exactly_the_coordinates_the_matrix_refuses(
    writable: World, mutation: str
) -> None:
    root = MUTATIONS[mutation]
    before, refused = writable.register(), 0
    for name in ROLES:
        role = writable.askers[name].role
        writable.ask(name, "{ __typename }")  # who they are is known from here on
        for purpose in purposes_of(role):
            rights = Rights(role, purpose)
            granted = bool(rights.rules(f"Mutation.{mutation}", "X"))
            for given in variants(root) if granted else [minimal(root.input, entity_of(root))]:
                if wanted := wanted_refusals(rights, root, given):
                    for way in ways(root, given):
                        check_refused(writable, name, purpose, way, wanted)
                        refused += 1
    writable.forget()
    assert writable.register() == before
    assert refused


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_every_field_at_once_names_every_refused_coordinate(writable: World, mutation: str) -> None:
    root = MUTATIONS[mutation]
    given = filled(root.input, entity_of(root))
    for name in ROLES:
        role = writable.askers[name].role
        writable.ask(name, "{ __typename }")
        for purpose in purposes_of(role):
            if wanted := wanted_refusals(Rights(role, purpose), root, given):
                for way in ways(root, given):
                    check_refused(writable, name, purpose, way, wanted)


def filled(of: Input, entity: str) -> dict[str, Any]:
    """An input with every field, nested ones too."""
    found: dict[str, Any] = {}
    for name, field in of.fields.items():
        found[name] = sample(of, name, entity)
        if field.nested is not None:
            below = filled(field.nested, entity)
            found[name] = [below] if isinstance(found[name], list) else below
    return found


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_change_that_the_matrix_grants_passes_the_gate(writable: World, mutation: str) -> None:
    """What is granted is not refused: of nothing there is, it finds nothing."""
    root = MUTATIONS[mutation]
    passed = 0
    for name in ROLES:
        role = writable.askers[name].role
        for purpose in purposes_of(role):
            rights = Rights(role, purpose)
            for given in variants(root):
                if not wanted_refusals(rights, root, given):
                    status, body = writable.ask(name, *_plain(root, given), purpose)
                    assert (status, body.get("errors")) == (200, None), (name, purpose, given)
                    passed += 1
                    if mutation == "signOut":
                        writable.resume_sessions()
    assert passed


def _plain(root: Mutation, given: dict[str, Any]) -> tuple[str, Mapping[str, Any]]:
    way = ways(root, given)[0]
    return way.document.replace("__typename", "userErrors { code }"), way.variables


def inputs() -> list[Input]:
    return list({of.name: of for root in MUTATIONS.values() for of in root.inputs()}.values())
