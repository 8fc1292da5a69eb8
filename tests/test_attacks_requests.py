"""Requests that are attacks in themselves: bodies that are none, wrong headers, NUL, names of the SQL's."""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import timedelta
from typing import Any

import pytest

from schema.scalars import global_id
from tests.test_attacks_tokens import jwt_claims, of_register
from tests.world import World

JSON = {"content-type": "application/json"}
DIGITS = "9" * 50_000


def nested(count: int, opening: str, inside: str, closing: str) -> str:
    """A text inside itself."""
    return opening * count + inside + closing * count


# ---------------------------------------------------------------- bodies


def body_of(**parts: Any) -> bytes:
    """A body as a client writes it."""
    return json.dumps({"query": "{ __typename }", **parts}).encode()


def with_variables(text: str) -> bytes:
    """A body whose variables are this text."""
    return b'{"query": "{ __typename }", "variables": ' + text.encode() + b"}"


DEEP = nested(50_000, "[", "", "]")
BODIES: dict[str, bytes] = {
    **{
        f"JSON but no object: {text}": text.encode()
        for text in ("null", "1", '"x"', "[]", "true", "1e400", "{}")
    },
    "a batch": b"[" + body_of() + b"," + body_of() + b"]",
    "empty": b"",
    "not JSON": b"query { __typename }",
    "bad UTF-8": b'{"query": "{ __typename } # \xff"}',
    "overlong UTF-8": b'{"query": "{ __typename } # \xc0\xaf"}',
    "surrogates in UTF-8": b'{"query": "{ __typename } # \xed\xa0\x80"}',
    "UTF-16": body_of().decode().encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + body_of(),
    "a lone surrogate in the query": b'{"query": "{ __typename } # \\ud800"}',
    "a lone surrogate in the name": b'{"query": "{ __typename }", "operationName": "\\udfff"}',
    "a lone surrogate in a variable": with_variables('{"a": "\\ud800"}'),
    "a lone surrogate in a key": with_variables('{"\\ud800": 1}'),
    "50,000 levels": DEEP.encode(),
    "50,000 levels of objects": nested(50_000, '{"a":', "1", "}").encode(),
    "50,000 levels in variables": with_variables(f'{{"a": {DEEP}}}'),
    "50,000 levels never closed": with_variables("[" * 50_000),
    "50,000 digits": with_variables(f'{{"a": {DIGITS}}}'),
    "50,000 digits of a fraction": with_variables(f'{{"a": 0.{DIGITS}e-{DIGITS}}}'),
    "no number": with_variables('{"a": NaN}'),
    "infinity": with_variables('{"a": -Infinity}'),
    "trailing text": body_of() + b"x",
    "too large": body_of(extensions={"a": "x" * 300_000}),
    "a query that is no text": body_of(query=["{ __typename }"]),
    "an empty query": body_of(query=""),
    "variables as a list": body_of(variables=[1]),
    "variables as a text": body_of(variables='{"a": 1}'),
    "extensions as a text": body_of(extensions="x"),
    "a name that is no text": body_of(operationName=1),
    "gzip without saying so": gzip.compress(body_of()),
}


def assert_refused(response: Any, *statuses: int) -> None:
    """The request is refused at the edge, as JSON, with one of these statuses."""
    assert response.status_code in statuses, response.text
    assert set(response.json()) == {"errors"}
    assert {error["extensions"]["code"] for error in response.json()["errors"]} == {"BAD_REQUEST"}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_request_is_refused(world: World, name: str) -> None:
    """A body that is no JSON object with a query is 400 or 413, whatever it is instead."""
    if name == "50,000 digits of a fraction":
        assert world.client.post("/graphql", content=BODIES[name], headers=JSON).status_code < 500
        return
    assert_refused(world.client.post("/graphql", content=BODIES[name], headers=JSON), 400, 413)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "text/plain"},
        {"content-type": "text/plain; application/json"},
        {"content-type": "application/graphql"},
        {"content-type": "application/jsonp"},
        {"content-type": ""},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json; charset=iso-8859-1"},
        {**JSON, "content-encoding": "gzip"},
        {**JSON, "content-encoding": "deflate"},
        {**JSON, "content-encoding": "gzip, gzip"},
    ],
)
def test_a_body_that_a_form_could_send_or_that_is_packed_is_refused(
    world: World, headers: dict[str, str]
) -> None:
    """Only plain JSON in UTF-8 is read: no form, no multipart, no text, no gzip bomb is unpacked."""
    bomb = gzip.compress(b"\0" * 50_000_000) if "content-encoding" in headers else body_of()
    assert_refused(world.client.post("/graphql", content=bomb, headers=headers), 415)


# ---------------------------------------------------------------- headers


def post(world: World, name: str, document: str, *headers: tuple[str, str]) -> Any:
    """The response to an operation with more headers, of which one may stand twice."""
    given = [*world.askers[name].headers.items(), *headers]
    return world.client.post("/graphql", json={"query": document}, headers=given)


@pytest.mark.parametrize(
    "value", ["", " ", "Subject-Rights", "subject-rights, accounting", "any", "null", "*"]
)
def test_a_purpose_that_is_none_of_the_list_is_refused(world: World, value: str) -> None:
    """An unknown, empty, joined or wildcard purpose is 400 UNKNOWN_PURPOSE for everyone."""
    for name in ("anonymous", "privacy-officer", "carrier"):
        response = post(world, name, "{ viewer { role } }", ("Processing-Purpose", value))
        assert response.status_code == 400
        assert response.json()["errors"][0]["extensions"] == {"code": "UNKNOWN_PURPOSE"}


def test_a_purpose_of_another_role_opens_nothing(world: World) -> None:
    """A known purpose that means nothing to the role gives the grants without a purpose, not another's."""
    document = "{ customers { nodes { email phone streetAddress } } }"
    for purpose in ("delivery", "subject-rights", "accounting"):
        _, body = world.ask("support", document, purpose=purpose)
        assert {node["email"] for node in body["data"]["customers"]["nodes"]} <= {"***@***", None}
        assert body["errors"][0]["extensions"]["coordinate"] == "Customer.streetAddress"


@pytest.mark.parametrize("value", ["", "Reject", "reject, null", "true"])
def test_on_forbidden_takes_two_words(world: World, value: str) -> None:
    """Anything but `null` and `reject` is 400, and never read as the lenient one."""
    response = post(world, "customer", "{ viewer { role } }", ("On-Forbidden", value))
    assert response.status_code == 400
    assert "data" not in response.json()


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("Processing-Purpose", "authority-request", "subject-rights"),
        ("On-Forbidden", "null", "reject"),
        ("Act-As", "privacy_officer", "support"),
        ("Authorization", "Bearer x", "Bearer y"),
    ],
)
def test_a_header_given_twice_is_refused(world: World, name: str, first: str, second: str) -> None:
    """Of two values of a deciding header none is chosen: a proxy might choose the other."""
    response = post(world, "privacy-officer", "{ viewer { role } }", (name, first), (name, second))
    assert 400 <= response.status_code < 500
    assert "data" not in response.json()


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *(("anonymous", role) for role in ("customer", "support", "privacy_officer", "", "Anonymous")),
        *(("customer", role) for role in ("support", "anonymous", "")),
        *(("support", role) for role in ("privacy_officer", "customer", "Support", "support, finance", "")),
        *(("undesignated", role) for role in ("support", "anonymous", "")),
        *(("carrier", role) for role in ("newsletter", "warehouse")),
    ],
)
def test_nobody_acts_in_a_role_they_do_not_hold(world: World, name: str, role: str) -> None:
    """`Act-As` with a role the caller was not designated to is 403, and nothing is read."""
    with world.recorded() as statements:
        response = post(world, name, "{ carriers { totalCount } }", ("Act-As", role))
    assert response.status_code == 403
    assert response.json()["errors"][0]["extensions"] == {"code": "ACT_AS_FORBIDDEN"}
    assert of_register(statements) == []


def test_grants_of_two_designations_are_never_merged(world: World) -> None:
    """Somebody with two roles names one per request, and has the grants of that one alone."""
    employee = jwt_claims(world, "support")["sub"].partition(":")[2]
    designation, later = uuid.uuid4(), world.now + timedelta(minutes=5)
    world.execute(
        "INSERT INTO designation (id, employee_id, role, reason, designated_by, valid_from, valid_to)"
        " VALUES ($1, $2, 'finance', 'test', NULL, $3, $4)",
        *(designation, uuid.UUID(employee), world.now, world.now + timedelta(days=1)),
    )
    document = "{ orders(first: 1) { nodes { deliveries { totalCount } billingName } } }"
    try:
        with world.at(later):
            refused = post(world, "support", document)
            assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (
                400,
                "ACT_AS_REQUIRED",
            )
            for role, coordinates in (
                ("support", ["Order.billingName"]),
                ("finance", ["Order.deliveries", "Order.billingName"]),
            ):
                body = post(world, "support", document, ("Act-As", role)).json()
                assert [error["extensions"]["coordinate"] for error in body["errors"]] == coordinates
    finally:
        world.execute("DELETE FROM designation WHERE id = $1", designation)
    with world.at(later + timedelta(minutes=5)):
        assert post(world, "support", document, ("Act-As", "finance")).status_code == 403


# ---------------------------------------------------------------- NUL


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ('{ customer(email: "\\u0000") { id } }', None),
        ('{ order(number: "a\\u{0}b") { id } }', None),
        ('{ orders(where: {number: {in: ["a", "\\u0000"]}}) { totalCount } }', None),
        ('{ orders(where: {not: {number: {startsWith: "\\u0000"}}}) { totalCount } }', None),
        ('{ orders(after: "\\u0000") { totalCount } }', None),
        ('{ node(id: "\\u0000") { id } }', None),
        ('{ __type(name: "\\u0000") { name } }', None),
        ('query($v: String = "\\u0000") { order(number: $v) { id } }', None),
        ('{ orders @skip(if: true) { totalCount } order(number: "\\u0000") @skip(if: true) { id } }', None),
        ('{ order(number: "\0") { id } }', None),
        ('{ order(number: """\0""") { id } }', None),
        ("query($v: String) { order(number: $v) { id } }", {"v": "\0"}),
        ("query($v: String) { orders(before: $v) { totalCount } }", {"v": "\0"}),
        ("query($v: [ID!]!) { nodes(ids: $v) { id } }", {"v": ["\0"]}),
        ("query($v: String!) { __type(name: $v) { name } }", {"v": "\0"}),
        (
            "query($v: OrderWhere) { orders(where: $v) { totalCount } }",
            {"v": {"number": {"in": ["a", "\0"]}}},
        ),
        ("query($v: OrderWhere) { orders(where: $v) { totalCount } }", {"v": {"number\0": {"eq": "a"}}}),
    ],
)
def test_nul_is_a_mistake_wherever_it_stands(world: World, document: str, variables: Any) -> None:
    """A NUL in the document or in a variable is refused before any SQL."""
    with world.recorded() as statements:
        status, body = world.ask("customer", document, variables)
    assert status == 200
    assert set(body) == {"errors"}
    assert {error["extensions"]["code"] for error in body["errors"]} <= {
        "BAD_VARIABLE",
        "SYNTAX_ERROR",
        "BAD_ID",
    }
    assert of_register(statements) == []


def test_nul_where_nothing_reads_it_is_no_fault(world: World) -> None:
    """A NUL in an operation name, a comment or a variable that is not declared is no 500."""
    document = "query A { __typename } query B { __typename }"
    response = world.post("customer", document, {"v": "\0"}, operation_name="A\0")
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}
    assert world.ask("customer", "{ __typename } # \0", {"v": "\0", "\0": {}})[1] == {
        "data": {"__typename": "Query"}
    }


# ---------------------------------------------------------------- keys that must work

PLACES = {
    "the root": ("{", "__typename", "KEY: viewer { role } }"),
    "a look-up": ("{ order(number: $number) {", "number", "KEY: status } }"),
    "a node": ("{ node(id: $id) {", "id", "KEY: __typename } }"),
    "nodes": ("{ nodes(ids: [$id, $id]) {", "id", "... on Order { KEY: number } } }"),
    "a list": ("{ orders(first: 2) { nodes {", "number", "KEY: placedAt } } }"),
    "edges": ("{ orders(first: 2) { edges { cursor node {", "number", "KEY: version } } } }"),
    "an edge": ("{ orders(first: 2) { edges {", "cursor", "KEY: __typename } } }"),
    "a connection": ("{ orders(first: 2) {", "__typename", "KEY: totalCount } }"),
    "two lists": ("{ orders(first: 2) {", "nodes { number }", "KEY: edges { cursor } } }"),
    "page info": ("{ orders(first: 2) { pageInfo {", "hasNextPage", "KEY: endCursor } } }"),
    "money": ("{ orders(first: 2) { nodes { total {", "amount", "KEY: currency } } } }"),
    "an address": ("{ orders(first: 2) { nodes { billingAddress {", "postalTown", "KEY: __typename } } } }"),
    "a relation": ("{ orders(first: 2) { nodes {", "customer { id }", "KEY: lines { totalCount } } } }"),
    "below a relation": ("{ orders(first: 2) { nodes { customer {", "number", "KEY: email } } } }"),
    "a nested list": ("{ orders(first: 2) { nodes { lines { nodes {", "sku", "KEY: quantity } } } } }"),
    "the viewer": ("{ viewer {", "role", "KEY: grants { coordinate } } }"),
    "introspection": ("{", "__schema { queryType { name } }", "KEY: __typename }"),
    "only type names": ("{ orders(first: 2) { nodes {", "__typename", "KEY: __typename } } }"),
}
LONG = "a" * 70
TAKEN = [
    "object",
    "body",
    "anon_1",
    "anon_2",
    "anon_3",
    "anon_4",
    "orders_1",
    "given_0",
    "local_x",
    "key",
    "ctid",
]
TAKEN += ["select", "null", "row_to_json", "_"]
# One place for each way in which an object is written.
WRITTEN = ("the root", "nodes", "a list", "edges", "an edge", "money", "two lists")


def asked(world: World, place: str, keys: list[str], key: str) -> Any:
    """The data of a place where its first field stands under all of these keys and its second under one."""
    before, field, after = PLACES[place]
    fields = " ".join(f"{each}: {field}" for each in keys)
    document = f"{before} {fields} {after.replace('KEY', key)}"
    owner = world.askers["customer"].customer_id
    order = next(row for row in world.rows()["orders"] if row["customer_id"] == owner)
    kinds = {name: kind for name, kind in (("id", "ID!"), ("number", "String")) if f"${name}" in document}
    if kinds:
        document = f"query({', '.join(f'${name}: {kind}' for name, kind in kinds.items())}) {document}"
    return world.data(
        "customer", document, {"id": global_id("Order", order["id"]), "number": order["number"]}
    )


def renamed(value: Any, names: dict[str, list[str]]) -> Any:
    """A JSON value whose objects have the parts of some keys under other keys."""
    if isinstance(value, list):
        return [renamed(part, names) for part in value]
    if not isinstance(value, dict):
        return value
    return {key: renamed(part, names) for old, part in value.items() for key in names.get(old, [old])}


@pytest.mark.parametrize("place", PLACES)
def test_keys_longer_than_a_name_of_postgresql_are_told_apart(world: World, place: str) -> None:
    """Keys that differ only after 63 bytes are different keys, wherever they stand."""
    short = asked(world, place, ["first"], "second")
    long = asked(world, place, [f"{LONG}1", f"{LONG}2"], f"{LONG}3")
    assert long == renamed(short, {"first": [f"{LONG}1", f"{LONG}2"], "second": [f"{LONG}3"]})


@pytest.mark.parametrize("place", PLACES)
def test_keys_that_are_names_of_the_statement_are_keys(world: World, place: str) -> None:
    """A response key that is also an alias, a parameter or a word of the SQL changes nothing."""
    short = asked(world, place, ["first"], "second")
    for key in TAKEN:
        assert asked(world, place, [key], "second") == renamed(short, {"first": [key]}), key


@pytest.mark.parametrize("place", WRITTEN)
def test_more_fields_than_postgresql_has_columns_are_given(world: World, place: str) -> None:
    """1,700 fields in one selection are answered, wherever it stands; 100 of lists, of roots what may be."""
    most = world.gateway.settings.root_field_limit - 1 if place == "the root" else 1700
    keys = [f"k{number}" for number in range(100 if "{" in PLACES[place][1] else most)]
    short = asked(world, place, ["first"], "second")
    assert asked(world, place, keys, "second") == renamed(short, {"first": keys})
