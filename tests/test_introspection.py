"""Each principal is shown exactly the part of the schema it holds a grant for, as a valid schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_client_schema,
    build_schema,
    get_introspection_query,
    get_named_type,
    specified_scalar_types,
    validate_schema,
)

from schema.fields import Scalar, ToMany, ToOne, ValueObject
from schema.model import load_model
from schema.mutation import Input
from schema.writing import Writes
from tests.naive_rules import PURPOSES, Rights
from tests.test_matrix import ASKERS, LISTS, SUPPLEMENT
from tests.world import World

ENTITIES = load_model().entities
MUTATIONS = load_model().mutations
# No payload of whoever has just become a customer leads to them.
UNREACHED = ("AccessRecord", "Disclosure", "SubjectRequest", "LegalHold")
ALWAYS = {"viewer", "privacyNotice", "node", "nodes"}


def shown(world: World, name: str) -> GraphQLSchema:
    """The schema a client builds from introspection."""
    found: Any = world.data(name, get_introspection_query(descriptions=True))
    return build_client_schema(found)


def rights_of(role: str | None) -> list[Rights]:
    return [Rights(role, purpose) for purpose in (None, *PURPOSES)] if role else []


def answered_rights_of(role: str | None) -> list[Rights]:
    """The rights below the roots: what somebody unknown just made is answered as the customer they became."""
    return rights_of(role) + (rights_of("customer") if role == "anonymous" else [])


def fields_of(schema: GraphQLSchema, name: str) -> set[str]:
    found = schema.type_map.get(name)
    return set(found.fields) if isinstance(found, GraphQLObjectType | GraphQLInputObjectType) else set()


@pytest.mark.parametrize("name", ASKERS)
def test_a_role_is_shown_exactly_the_types_and_fields_it_holds_a_grant_for(world: World, name: str) -> None:
    rights = answered_rights_of(world.askers[name].role)
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
    rights = answered_rights_of(world.askers[name].role)
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
        if name == "anonymous" and type_name in UNREACHED:
            wanted = set()  # no payload of whoever has just become a customer leads to a list of them
        assert found == wanted, (name, type_name)
        sorts = {
            field.name for field in values if any(right.may_sort(type_name, field.name) for right in rights)
        }
        if name == "anonymous" and type_name in ("Customer", *UNREACHED):
            sorts = set()  # whoever has just become a customer is shown one, and no list of them
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


NOT_THEIRS = ("internalNote", "unsubscribeUrl", "inspectionNote", "updateCarrier")
STRANGE = (*NOT_THEIRS, "refundIban", "billingName", "ConsentEvent", "GuestInput", "password")
HIDDEN = {
    "anonymous": (*NOT_THEIRS, "updateCustomer", "RequestReturnInput", "customers"),
    "customer": (*NOT_THEIRS, "GuestInput", "RegisterCustomerInput", "reportDeliveryEvent"),
    "carrier": (*STRANGE, "UpdateDeliveryAddressInput"),
    "marketing": (*STRANGE, "streetAddress", "Mutation", "UserError", "ifVersion"),
    "undesignated": (*STRANGE, "streetAddress", "Mutation", "UserError", "ifVersion"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_names_are_in_no_introspection_and_no_printed_schema(world: World, name: str) -> None:
    answer = world.post(name, get_introspection_query()).text
    printed = world.client.get("/schema.graphql", headers=dict(world.askers[name].headers)).text
    for hidden in HIDDEN[name]:
        assert f'"{hidden}"' not in answer
        assert hidden not in printed


@pytest.mark.parametrize("name", ASKERS)
def test_the_printed_schema_is_the_introspected_one(world: World, name: str) -> None:
    printed = world.client.get("/schema.graphql", headers=dict(world.askers[name].headers)).text
    assert set(build_schema(printed).type_map) == set(shown(world, name).type_map)


@pytest.mark.parametrize("name", ASKERS)
def test_a_role_is_shown_exactly_the_mutations_it_may_call(world: World, name: str) -> None:
    schema = shown(world, name)
    wanted = {mutation for mutation in MUTATIONS if may_call(world, name, mutation)}
    assert fields_of(schema, "Mutation") == wanted
    assert (schema.mutation_type is None) == (not wanted)
    payloads = {type_name for type_name in schema.type_map if type_name.endswith("Payload")}
    assert payloads == {MUTATIONS[mutation].payload for mutation in wanted}


@pytest.mark.parametrize("name", ASKERS)
def test_a_role_is_shown_exactly_the_input_fields_it_may_set(world: World, name: str) -> None:
    schema = shown(world, name)
    reached: dict[str, Input] = {}
    for mutation, root in MUTATIONS.items():
        if may_call(world, name, mutation):
            reached |= {of.name: of for of in shown_inputs(world, name, root.input)}
    written = {of.name for root in MUTATIONS.values() for of in root.inputs()}
    assert written & set(schema.type_map) == set(reached)
    for of in reached.values():
        nested = {field.name for field in of.fields.values() if field.nested and not field.coordinate}
        kept = {each for each in nested if of.fields[each].nested.name in reached}  # type: ignore[union-attr]
        assert fields_of(schema, of.name) == settable(world, name, of) - nested | kept, (name, of.name)


def may_call(world: World, name: str, mutation: str) -> bool:
    return any(right.rules(f"Mutation.{mutation}", "X") for right in rights_of(world.askers[name].role))


def settable(world: World, name: str, of: Input) -> set[str]:
    """The fields of an input that go with the mutation, or that the matrix lets the role set."""
    use = "C" if of.writes is Writes.CREATE else "U"
    rights = rights_of(world.askers[name].role)
    return {
        field.name
        for field in of.fields.values()
        if field.coordinate is None or any(right.rules(field.coordinate, use) for right in rights)
    }


def shown_inputs(world: World, name: str, of: Input) -> Iterator[Input]:
    """An input and those nested in it, without the nested ones of which the role may set nothing."""
    yield of
    for field in of.fields.values():
        if field.nested is not None and field.name in settable(world, name, of):
            gated = {each.name for each in field.nested.fields.values() if each.coordinate}
            if gated & settable(world, name, field.nested):
                yield from shown_inputs(world, name, field.nested)


def test_somebody_unknown_is_shown_the_payloads_of_what_they_become_and_no_root_to_them(world: World) -> None:
    schema = shown(world, "anonymous")
    assert fields_of(schema, "RegisterCustomerPayload") == {"customer", "accessToken", "userErrors"}
    assert fields_of(schema, "PlaceOrderPayload") == {"order", "accessToken", "userErrors"}
    assert fields_of(schema, "Customer") == fields_of(shown(world, "customer"), "Customer")
    assert fields_of(schema, "Query") == {*ALWAYS, "carriers"}


@pytest.mark.parametrize("name", ASKERS)
def test_every_type_shown_is_reached_from_a_root(world: World, name: str) -> None:
    printed = world.client.get("/schema.graphql", headers=dict(world.askers[name].headers)).text
    schema = build_schema(printed)
    assert validate_schema(schema) == []
    roots = [root for root in (schema.query_type, schema.mutation_type, schema.subscription_type) if root]
    reached: set[str] = set()
    waiting: list[Any] = [*roots]
    while waiting:
        kind = get_named_type(waiting.pop())
        if kind.name in reached:
            continue
        reached.add(kind.name)
        waiting += schema.get_possible_types(kind) if isinstance(kind, GraphQLInterfaceType) else []
        waiting += getattr(kind, "interfaces", ())
        for field in getattr(kind, "fields", {}).values():
            waiting += [field.type, *(each.type for each in getattr(field, "args", {}).values())]
    own = {each for each in schema.type_map if not each.startswith("__")}
    assert own - set(specified_scalar_types) <= reached


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
    assert full["Customer.email"] == ["FILTER", "MASK", "READ", "UPDATE"]
    assert set(SUPPLEMENT) <= set(full)


def test_the_committed_schema_is_the_schema(world: World) -> None:
    from pathlib import Path

    import schema

    committed = Path(schema.__file__).with_name("schema.graphql").read_text(encoding="utf-8")
    assert committed == world.gateway.model.sdl(), "run `gateway schema > schema/schema.graphql`"
