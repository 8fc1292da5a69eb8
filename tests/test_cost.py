"""What an operation costs: rows times fields, with the price of filters, sorts, counts and masks."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from gateway.config import Settings
from gateway.errors import Code, RequestError
from gateway.operation import coerce, parse_operation
from gateway.plan import Access, plan
from gateway.plan.cost import (
    CHANGE,
    COMPARED,
    COUNTED,
    LIST,
    LOCAL,
    MASK,
    REGISTER,
    RELATED,
    ROOT,
    ROW,
    RULE,
    SCHEMA,
    SECRET,
    SORTED,
    VALUE,
)
from gateway.policy import Policy, default_folder, load_policy
from gateway.row_rules import Scope
from schema.model import Model, load_model
from tests.world import World

SETTINGS = Settings(database_url="postgresql://nowhere")  # type: ignore[arg-type]
ONE_ROW = 'query { order(number: "x") { id } }'
PLAIN = "{ orders(first: 10) { nodes { id number } } }"


@cache
def model() -> Model:
    return load_model()


@cache
def policy() -> Policy:
    return load_policy(default_folder(), model())


def cost(
    document: str, role: str = "support", purpose: str | None = None, variables: dict[str, Any] | None = None
) -> int:
    """What the plan of a document costs for a role."""
    operation = parse_operation(document, None, model().graphql, SETTINGS)
    given = coerce(operation, variables or {}, model().graphql, SETTINGS)
    access = Access(policy().grants(role, purpose), Scope.ACCOUNT)
    made = plan(operation, given, access, model(), SETTINGS, policy().became(role))
    return made.cost


PRICES: dict[str, tuple[str, int]] = {
    "a row is found, and its values are written": (ONE_ROW, ROOT + ROW + VALUE),
    "a page is rows times fields": (PLAIN, ROOT + 10 * (ROW + 2 * VALUE)),
    "edges cost a cursor each": (
        "{ orders(first: 10) { edges { cursor node { id number } } } }",
        ROOT + 10 * (VALUE + ROW + 2 * VALUE),
    ),
    "without a length a page has the default one": (
        "{ orders { nodes { id number } } }",
        ROOT + 20 * (ROW + 2 * VALUE),
    ),
    "a value object costs its parts": (
        "{ orders(first: 10) { nodes { total { amount currency } } } }",
        ROOT + 10 * (ROW + 2 * VALUE),
    ),
    "a related row is a row more": (
        "{ orders(first: 10) { nodes { customer { id } } } }",
        ROOT + 10 * (ROW + ROW + VALUE),
    ),
    "a list below a row is a search for each": (
        "{ orders(first: 10) { nodes { lines(first: 5) { nodes { sku } } } } }",
        ROOT + 10 * (ROW + LIST + 5 * (ROW + VALUE)),
    ),
    "a mask costs more than the value": (
        "{ customers(first: 10) { nodes { phone } } }",
        ROOT + 10 * (ROW + VALUE + MASK),
    ),
    "a filter looks through the register": (
        "{ orders(first: 10, where: {version: {gt: 1}}) { nodes { id number } } }",
        ROOT + 10 * (ROW + 2 * VALUE) + REGISTER * COMPARED,
    ),
    "each condition counts, in whatever it stands": (
        "{ orders(first: 9, where: {or: [{version: {gt: 1}}, {not: {version: {lt: 9}}}]}) { nodes { id } } }",
        ROOT + 9 * (ROW + VALUE) + REGISTER * 2 * COMPARED,
    ),
    "a condition on a relation looks into another table": (
        "{ orders(first: 10, where: {lines: {some: {quantity: {gt: 1}}}}) { nodes { id } } }",
        ROOT + 10 * (ROW + VALUE) + REGISTER * (RELATED + COMPARED),
    ),
    "each sort key counts": (
        "{ orders(first: 10, orderBy: [{total: ASC}, {placedAt: DESC}]) { nodes { id } } }",
        ROOT + 10 * (ROW + VALUE) + REGISTER * 2 * SORTED,
    ),
    "a count goes over the whole register": ("{ orders { totalCount } }", ROOT + REGISTER * COUNTED),
    "each count goes over it again, with its conditions": (
        "{ orders(where: {version: {gt: 1}}) { a: totalCount b: totalCount } }",
        ROOT + 2 * REGISTER * (COUNTED + COMPARED),
    ),
    "below a row lists are short": (
        "{ orders(first: 10) { nodes { lines(where: {quantity: {gt: 1}}, orderBy: [{sku: ASC}], first: 5)"
        " { totalCount nodes { sku } } } } }",
        ROOT + 10 * (ROW + LIST + 5 * (ROW + VALUE) + COMPARED + SORTED + COUNTED + COMPARED),
    ),
    "what is behind a cursor is searched for": (
        'query { orders(first: 10, after: "x", where: {version: {gt: 1}}) { pageInfo { hasPreviousPage } } }',
        ROOT + VALUE + 2 * REGISTER * COMPARED,
    ),
    "of nodes each id counts": (
        'query { nodes(ids: ["T3JkZXI6MDE5MGEwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAw"]) { id } }',
        ROOT + ROW + VALUE,
    ),
    "of unknown length they are a whole page": (
        "query($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        ROOT + SETTINGS.page_limit * (ROW + VALUE),
    ),
    "roots add up": ("{ a: __typename viewer { role } }", ROOT + VALUE + ROOT + LOCAL),
    "introspection of everything is dear": ("{ __schema { types { name } } }", ROOT + SCHEMA),
}
IDS = {"ids": ["T3JkZXI6MDE5MGEwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAw"]}


@pytest.mark.parametrize("what", PRICES)
def test_a_price(what: str) -> None:
    document, expected = PRICES[what]
    assert cost(document, variables=IDS if "$ids" in document else None) == expected


def test_a_value_with_a_rule_of_its_own_costs_its_case() -> None:
    document = "{ deliveries(first: 10) { nodes { recipientName } } }"
    assert cost(document, "carrier") == ROOT + 10 * (ROW + VALUE + RULE)


def test_a_change_costs_its_statements_and_its_payload() -> None:
    change = "mutation($input: UpdateCustomerInput!) { updateCustomer(input: $input) { customer { id } } }"
    given = {"input": {"id": "Q3VzdG9tZXI6MDE5MGEwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAw"}}
    assert cost(change, "customer", variables=given) == ROOT + CHANGE + ROOT + ROW + VALUE


def test_trying_a_secret_costs_what_argon2_takes() -> None:
    change = 'mutation { signIn(input: {email: "a@store.example", password: "x"}) { __typename } }'
    assert cost(change, "anonymous") == ROOT + SECRET + ROOT + VALUE


@pytest.mark.parametrize("purpose", [None, "customer-service"])
def test_the_same_plan_costs_every_role_the_same(purpose: str | None) -> None:
    """What is refused is not read; what is read has one price."""
    roles = ("customer", "support", "register_admin", "privacy_officer")
    assert len({cost(PLAIN, role, purpose if role != "customer" else None) for role in roles}) == 1


def test_a_refused_field_costs_less_than_one_that_is_read() -> None:
    document = "{ deliveries(first: 10) { nodes { order { lines(first: 100) { nodes { sku } } } } } }"
    assert cost(document, "carrier") < cost(document, "support")


def test_the_cost_is_a_function_of_what_the_plan_looked_at() -> None:
    """Page sizes in variables count; values that are bound do not."""
    document = "query($n: Int, $v: Int) { orders(first: $n, where: {version: {gt: $v}}) { nodes { id } } }"
    ten, hundred = ({"n": number, "v": 1} for number in (10, 100))
    assert cost(document, variables=hundred) - cost(document, variables=ten) == 90 * (ROW + VALUE)
    assert cost(document, variables=ten) == cost(document, variables={"n": 10, "v": 999})


def test_what_costs_too_much_is_refused_with_its_cost() -> None:
    pages = "orders(first: 100) { nodes { lines(first: 100) { nodes { a: sku b: sku c: sku } } } }"
    document = f"{{ {' '.join(f'p{number}: {pages}' for number in range(5))} }}"
    each = ROOT + 100 * (ROW + LIST + 100 * (ROW + 3 * VALUE))
    with pytest.raises(RequestError) as refused:
        cost(document)
    (problem,) = refused.value.problems
    assert problem.code is Code.TOO_COMPLEX
    assert problem.extensions["cost"] == 5 * each


@pytest.mark.parametrize("name", ["customer", "support", "carrier"])
def test_the_whole_of_a_list_is_read_within_the_time_out(world: World, name: str) -> None:
    """Counts, filters and sorts of everything that one may see, in one operation that its cost allows."""
    lists = "deliveries(where: {parcelCount: {gt: 0}}, orderBy: [{reference: ASC}, {status: DESC}])"
    document = f"{{ {lists} {{ totalCount nodes {{ id }} }} all: deliveries {{ totalCount }} }}"
    assert SETTINGS.cost_limit / 10 < cost(document, name) < SETTINGS.cost_limit
    _, body = world.ask(name, document)
    assert body["data"]["all"]["totalCount"] == body["data"]["deliveries"]["totalCount"] > 0
