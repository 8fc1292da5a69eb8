"""Each principal is shown exactly the part of the schema it holds a grant for, as a valid schema."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    build_client_schema,
    build_schema,
    get_introspection_query,
    validate_schema,
)

from schema.fields import Scalar, ToMany, ToOne, ValueObject
from schema.model import load_model
from tests.naive_rules import PURPOSES, Rights
from tests.test_matrix import ASKERS, LISTS, SUPPLEMENT
from tests.world import World

ENTITIES = load_model().entities
ALWAYS = {"viewer", "privacyNotice", "node", "nodes"}


def shown(world: World, name: str) -> GraphQLSchema:
    """The schema a client builds from introspection."""
    found: Any = world.data(name, get_introspection_query(descriptions=True))
    return build_client_schema(found)


def rights_of(role: str | None) -> list[Rights]:
    return [Rights(role, purpose) for purpose in (None, *PURPOSES)] if role else []


def fields_of(schema: GraphQLSchema, name: str) -> set[str]:
    found = schema.type_map.get(name)
    return set(found.fields) if isinstance(found, GraphQLObjectType | GraphQLInputObjectType) else set()


@pytest.mark.parametrize("name", ASKERS)
def test_a_role_is_shown_exactly_the_types_and_fields_it_holds_a_grant_for(world: World, name: str) -> None:
    rights = rights_of(world.askers[name].role)
    schema = shown(world, name)
    assert validate_schema(schema) == []
    for type_name, entity in ENTITIES.items():
        reached = any(right.may_reach(type_name) for right in rights)
        wanted = {
            field.name
            for field in entity.fields.values()
            if reached
            and any(right.may_read(field.coordinate) for right in rights)
            and (
                not isinstance(field.source, ToOne | ToMany)
                or any(right.may_reach(field.source.target) for right in rights)
            )
        }
        assert fields_of(schema, type_name) == wanted, (name, type_name)


@pytest.mark.parametrize("name", ASKERS)
def test_a_role_is_shown_exactly_the_conditions_it_may_use(world: World, name: str) -> None:
    rights = rights_of(world.askers[name].role)
    schema = shown(world, name)
    for type_name, entity in ENTITIES.items():
        values = [
            field
            for field in entity.fields.values()
            if isinstance(field.source, Scalar | ValueObject) and field.kind and _is_comparable(field.source)
        ]
        wanted = {
            field.name
            for field in values
            if any(right.may_filter(type_name, field.name, {"eq"}) for right in rights)
        }
        found = {
            key for key in fields_of(schema, f"{type_name}Where") if key in {field.name for field in values}
        }
        assert found == wanted, (name, type_name)
        sorts = {
            field.name for field in values if any(right.may_sort(type_name, field.name) for right in rights)
        }
        assert fields_of(schema, f"{type_name}OrderBy") == sorts, (name, type_name)


def _is_comparable(source: Scalar | ValueObject) -> bool:
    return source.comparable if isinstance(source, Scalar) else source.compared is not None


@pytest.mark.parametrize("name", ASKERS)
def test_the_roots_shown_are_those_whose_type_is_granted(world: World, name: str) -> None:
    rights = rights_of(world.askers[name].role)
    found = fields_of(shown(world, name), "Query")
    if not rights:
        assert found == {"viewer", "privacyNotice"}
        return
    roots = {root for type_name, root in LISTS.items() if any(each.may_reach(type_name) for each in rights)}
    assert {root for root in found if root in LISTS.values()} == roots
    assert found >= ALWAYS


@pytest.mark.parametrize("name", ASKERS)
def test_a_role_is_shown_the_subscription_it_may_call_with_the_keys_it_may_watch_by(
    world: World, name: str
) -> None:
    field = getattr(shown(world, name).subscription_type, "fields", {}).get("deliveryUpdated")
    rights = rights_of(world.askers[name].role)
    called = world.askers[name].role in ("customer", "support", "register_admin", "warehouse", "carrier")
    assert (field is not None) == called
    if field is not None:
        by_order = any(right.may_filter_through("Delivery", "order", "Order") for right in rights)
        assert set(field.args) == ({"orderId", "deliveryId"} if by_order else {"deliveryId"})
        assert by_order == (name not in ("carrier", "carrier-2"))


@pytest.mark.parametrize("name", ["anonymous", "carrier", "marketing", "undesignated"])
def test_hidden_names_are_in_no_introspection_and_no_printed_schema(world: World, name: str) -> None:
    answer = world.post(name, get_introspection_query()).text
    printed = world.client.get("/schema.graphql", headers=dict(world.askers[name].headers)).text
    for hidden in ("internalNote", "refundIban", "billingName", "ConsentEvent", "streetAddress"):
        if name == "carrier" and hidden == "streetAddress":
            continue
        assert f'"{hidden}"' not in answer
        assert hidden not in printed


@pytest.mark.parametrize("name", ASKERS)
def test_the_printed_schema_is_the_introspected_one(world: World, name: str) -> None:
    printed = world.client.get("/schema.graphql", headers=dict(world.askers[name].headers)).text
    assert set(build_schema(printed).type_map) == set(shown(world, name).type_map)


def test_asking_for_the_schema_beside_data_switches_no_check_off(world: World) -> None:
    document = "{ __schema { queryType { name } } __typename carriers { nodes { contactEmail __typename } } }"
    status, body = world.ask("anonymous", document)
    assert status == 200
    assert body["data"]["__schema"] == {"queryType": {"name": "Query"}}
    assert {node["contactEmail"] for node in body["data"]["carriers"]["nodes"]} == {None}
    assert [error["extensions"]["coordinate"] for error in body["errors"]] == ["Carrier.contactEmail"]


def test_a_type_the_caller_does_not_see_is_no_type(world: World) -> None:
    document = "query($name: String!) { __type(name: $name) { name } }"
    assert world.data("carrier", document, {"name": "Customer"}) == {"__type": None}
    assert world.data("carrier", document, {"name": "Delivery"}) == {"__type": {"name": "Delivery"}}


def test_the_viewer_is_told_the_grants_of_its_purpose(world: World) -> None:
    document = "{ viewer { role purposes grants { coordinate uses } } }"
    without = world.data("support", document)["viewer"]
    assert (without["role"], without["purposes"]) == ("support", ["customer-service"])
    masked = {grant["coordinate"]: grant["uses"] for grant in without["grants"]}
    assert masked["Customer.email"] == ["MASK"]
    served = world.data("support", document, None, "customer-service")["viewer"]
    full = {grant["coordinate"]: grant["uses"] for grant in served["grants"]}
    assert full["Customer.email"] == ["FILTER", "MASK", "READ"]
    assert set(SUPPLEMENT) <= set(full)


def test_the_committed_schema_is_the_schema(world: World) -> None:
    from pathlib import Path

    import schema

    committed = Path(schema.__file__).with_name("schema.graphql").read_text(encoding="utf-8")
    assert committed == world.gateway.model.sdl(), "run `gateway schema > schema/schema.graphql`"
