"""What the plan cache holds: keys of a bounded size, and nothing that weighs without being weighed."""

from __future__ import annotations

import gc
from base64 import b64encode
from functools import cache
from typing import Any
from uuid import UUID

import pytest

from gateway.config import Settings
from gateway.operation import Operation, coerce, parse_operation
from gateway.prepared import FEW_VALUES, seen_key
from schema.model import Model, load_model
from schema.scalars import global_id
from tests.world import World

SETTINGS = Settings(database_url="postgresql://nowhere")  # type: ignore[arg-type]
KEY = UUID(int=7)
ORDERS = "query($w: OrderWhere) { orders(where: $w) { totalCount } }"


@cache
def model() -> Model:
    return load_model()


@cache
def operation() -> Operation:
    return parse_operation(ORDERS, None, model().graphql, SETTINGS)


def key(*operators: str) -> object:
    """What stands in the key of a plan for as many conditions."""
    conditions = [{"number": {name: ["x"] if name == "in" else "x"}} for name in operators]
    given: dict[str, Any] = {"w": {"or": conditions}}
    count = 2 + sum(3 if name == "in" else 2 for name in operators) + len(operators)
    return seen_key(operation(), coerce(operation(), given, model().graphql, SETTINGS), count)


@pytest.mark.parametrize("number", [10, 1000, 4000])
def test_a_key_is_small_whatever_the_variables_are(number: int) -> None:
    assert len(repr(key(*["eq", "in"] * (number // 2)))) <= 70


@pytest.mark.parametrize("number", [1, 3, 30, 300])
def test_what_a_plan_looks_at_has_a_key_of_its_own(number: int) -> None:
    """Few values or many: each shape its own, and equal ones the same."""
    shapes = [("eq",) * number, ("in",) * number, ("eq",) * (number + 1), ("eq",) * (number - 1) + ("in",)]
    keys = {key(*shape) for shape in shapes}
    assert len(keys) == len(set(shapes))
    assert keys == {key(*shape) for shape in shapes}


def test_of_few_values_there_is_no_digest() -> None:
    given = coerce(operation(), {"w": {"number": {"eq": "x"}}}, model().graphql, SETTINGS)
    assert seen_key(operation(), given, FEW_VALUES) == operation().seen(given)


def test_of_what_is_no_type_in_a_global_id_a_key_holds_nothing() -> None:
    """However long the text before the colon is, and whether the field is skipped."""
    document = "query($id: ID!) { node(id: $id) @skip(if: true) { id } __typename }"
    asked = parse_operation(document, None, model().graphql, SETTINGS)
    keys = set()
    for kind in ("x" * 100_000, "Nothing", "y"):
        given = coerce(asked, {"id": b64encode(f"{kind}:{KEY}".encode()).decode()}, model().graphql, SETTINGS)
        keys.add(seen_key(asked, given, 0))
    assert len(keys) == 1
    assert len(repr(keys)) < 200
    known = coerce(asked, {"id": global_id("Order", KEY)}, model().graphql, SETTINGS)
    assert seen_key(asked, known, 0) not in keys


OTHERS = {
    "a page size": "query Other($x: Int) { orders(first: $x) { totalCount } }",
    "an id": "query Other($x: ID!) { node(id: $x) { id } }",
    "a list of ids": "query Other($x: [ID!]!) { nodes(ids: $x) { id } }",
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("comes_first", [True, False], ids=["before", "after"])
def test_another_operation_of_the_document_says_nothing_of_a_plan(
    world: World, other: str, *, comes_first: bool
) -> None:
    """Variables are an operation's own: the same name in another one makes no key coarser."""
    asked = "query Asked($x: OrderWhere) { orders(where: $x, first: 1) { totalCount } }"
    document = f"{other} {asked}" if comes_first else f"{asked} {other}"
    number = world.data("customer", "{ orders(first: 1) { nodes { number } } }")["orders"]["nodes"][0][
        "number"
    ]
    counts = []
    for where in ({}, {"number": {"eq": number}}, {"number": {"in": [number]}}, {}):
        status, body = world.ask("customer", document, {"x": where}, operation_name="Asked")
        assert status == 200, body
        counts.append(body["data"]["orders"]["totalCount"])
    assert counts[1:3] == [1, 1]
    assert counts[0] == counts[3] > 1


def test_a_variable_that_several_places_look_at_is_seen_by_all_of_them() -> None:
    document = "query($x: [ID!]) { nodes(ids: $x) { id } orders(where: {id: {in: $x}}) { totalCount } }"
    document = document.replace("$x: [ID!])", "$x: [ID!] = [])")
    asked = parse_operation(document, None, model().graphql, SETTINGS)
    seen = [asked.seen({"x": value}) for value in (None, [], [global_id("Order", KEY)])]
    assert len(set(seen)) == 3


def test_a_plan_does_not_keep_the_document_it_was_made_of(world: World) -> None:
    """Once the cache of operations has dropped it, its parsed document is gone."""
    world.ask("customer", "query Forgotten { orders(first: 3) { nodes { id number } } }")
    entries = len(world.gateway.plans)
    assert "Forgotten" in parsed()
    world.gateway.operations.clear()
    assert len(world.gateway.plans) == entries
    assert "Forgotten" not in parsed()


def parsed() -> set[str | None]:
    """The names of all operations in this process's memory."""
    gc.collect()
    return {found.name for found in gc.get_objects() if type(found) is Operation}


def test_what_is_held_of_a_document_is_weighed(world: World) -> None:
    """A plan of what no SQL answers holds its parsed document, and weighs as much."""
    plans = world.gateway.plans
    for document, least in (("{ viewer { role } }", 30), ("{ orders(first: 1) { totalCount } }", 5)):
        weights = []
        for size in (0, 3000):
            plans.clear()
            world.ask("customer", f"{document} #{'x' * size}")
            weights.append(plans.weight)
        assert weights[1] - weights[0] >= 3000 * least
