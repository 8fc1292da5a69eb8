"""A change's input that is written as variables alone is read as graphql-core reads it."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLInputField, GraphQLInputObjectType, GraphQLString, parse_value, value_from_ast
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.plan.mutations import variables_of
from gateway.writes.gate import input_of
from schema.model import load_model
from tests.test_matrix_writes import inputs

SCHEMA = load_model().graphql
NAMES = sorted(of.name for of in inputs())


def kind_of(name: str) -> GraphQLInputObjectType:
    found = SCHEMA.type_map[name]
    assert isinstance(found, GraphQLInputObjectType)
    return found


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_it_is_what_the_library_gives(name: str, data: st.DataObject) -> None:
    """A field that must be there has its variable, which may be null; of another it may be missing."""
    kind = kind_of(name)
    required = {field for field, of in kind.fields.items() if str(of.type).endswith("!")}
    some = st.lists(st.sampled_from(sorted(kind.fields)), unique=True)
    written = data.draw(st.permutations(sorted(required | set(data.draw(some)))))
    text = ", ".join(f"{field}: $the_{field}" for field in written)
    variables: dict[str, Any] = {}
    for field in written:
        values = st.sampled_from([None, "", "x", 0, False, [], {}])
        if field in required or data.draw(st.booleans()):
            variables[f"the_{field}"] = data.draw(values)
    value = parse_value("{" + text + "}")
    found = input_of(variables_of(value, kind), variables)
    if found is None:
        assert None in variables.values()
    else:
        wanted = value_from_ast(value, kind, variables)
        assert (found, list(found)) == (wanted, list(wanted))


@pytest.mark.parametrize("text", ["$input", "null", '{id: $id, phone: "x"}', "{id: $id, phone: null}"])
def test_what_is_no_variable_is_left_to_the_library(text: str) -> None:
    assert variables_of(parse_value(text), kind_of("UpdateCustomerInput")) is None


def test_an_input_with_defaults_is_left_to_the_library() -> None:
    fields = {"a": GraphQLInputField(GraphQLString, default_value="x"), "b": GraphQLInputField(GraphQLString)}
    assert variables_of(parse_value("{b: $b}"), GraphQLInputObjectType("Some", fields)) is None
