"""The short way of coercing a change's input gives what graphql-core gives, or leaves it to graphql-core."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    get_variable_values,
    parse,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.flat_input import FlatInput, flat_input, input_variable
from schema.model import load_model
from schema.scalars import global_id
from tests.fuzz_values import TEXTS
from tests.test_matrix_writes import inputs

NAMES = sorted(of.name for of in inputs())
SOME_ID = global_id("Customer", "00000000-0000-4000-8000-000000000000")  # type: ignore[arg-type]
PLAIN: list[Any] = [SOME_ID, "x", "12.50", "2026-06-15", "2026-06-15T12:00:00Z", "EUR", 1, True, *TEXTS]
STRANGE: list[Any] = [None, 1.5, 2**40, float("nan"), [], ["x"], {}, {"x": 1}]


@cache
def schema() -> GraphQLSchema:
    return load_model().graphql


def of_type(name: str, within: GraphQLSchema) -> tuple[Any, FlatInput | None]:
    """The definition of the one variable of this type, and the short way for it."""
    definition: Any = parse(f"mutation($input: {name}!) {{ __typename }}").definitions[0]
    return definition.variable_definitions, input_variable(definition, within)


@cache
def input_of(name: str) -> tuple[Any, FlatInput]:
    definitions, found = of_type(name, schema())
    assert found is not None
    return definitions, found


@st.composite
def values(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """An input as somebody may send it: mostly with what has to be there, in any order, right or wrong."""
    _, flat = input_of(name)
    kind: Any = schema().type_map[name]
    some = st.lists(st.sampled_from(sorted(kind.fields)), unique=True, max_size=6)
    names = [*draw(some), *(flat.required if draw(st.integers(0, 9)) else ())]
    if not draw(st.integers(0, 19)):
        names.append("nothing")
    found: dict[str, Any] = {}
    for each in draw(st.permutations(names)):
        leaf = flat.leaves.get(each)
        if isinstance(leaf, GraphQLEnumType) and draw(st.integers(0, 9)):
            found[each] = draw(st.sampled_from(sorted(leaf.values)))
        else:
            found[each] = draw(st.sampled_from(PLAIN if draw(st.integers(0, 9)) else STRANGE))
    return found


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_it_is_the_same_as_the_long_way_or_nothing(name: str, data: st.DataObject) -> None:
    sent = {"input": data.draw(values(name))}
    definitions, flat = input_of(name)
    short = flat_input(flat, sent)
    if short is None:
        return
    long: Any = get_variable_values(schema(), definitions, sent)
    assert not isinstance(long, list)
    # `repr` also tells a `Decimal` from an equal one, and one order of the fields from another.
    assert repr(short) == repr(long.coerced)


def test_plain_and_right_values_go_the_short_way() -> None:
    _, flat = input_of("UpdateCustomerInput")
    sent = {"input": {"phone": "+358401234567", "id": SOME_ID}}
    assert flat_input(flat, sent) == sent


@pytest.mark.parametrize("more", [{"other": 1}, {"other": ["x"] * 20_001}])
def test_variables_that_nobody_asks_for_are_left_to_be_counted(more: dict[str, Any]) -> None:
    _, flat = input_of("UpdateCustomerInput")
    assert flat_input(flat, {"input": {"id": SOME_ID}, **more}) is None


@pytest.mark.parametrize(("out_type", "is_short"), [(None, True), (tuple, False)])
def test_a_type_that_becomes_something_of_its_own_goes_the_long_way(out_type: Any, is_short: bool) -> None:
    of = GraphQLInputObjectType("Of", {"x": GraphQLInputField(GraphQLString)}, out_type=out_type)
    field = GraphQLField(GraphQLString, args={"input": GraphQLArgument(of)})
    _, found = of_type("Of", GraphQLSchema(GraphQLObjectType("Query", {"of": field})))
    assert (found is not None) == is_short
