"""Holes of systems of this kind, tried on changes: none of them changes anything, nor tells what there is."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from schema.scalars import global_id
from tests.test_matrix_writes import NOBODY
from tests.world import World

SERVICE = "customer-service"
GRAPHQL_RESPONSE = {"accept": "application/graphql-response+json"}
UPDATE = """mutation($input: UpdateCustomerInput!) {
  updateCustomer(input: $input) {
    customer { id version } userErrors { code coordinate message path currentVersion }
  }
}"""
ORDER = """mutation($input: PlaceOrderInput!) {
  placeOrder(input: $input) { order { id } accessToken userErrors { code } }
}"""


def own_id(world: World, name: str = "customer") -> str:
    return global_id("Customer", world.askers[name].customer_id)


@contextmanager
def unchanged(world: World) -> Iterator[None]:
    """Nothing in any table is different afterwards."""
    world.forget()
    before = world.register()
    yield
    world.forget()
    assert world.register() == before


def refused(body: Any) -> list[tuple[str, str]]:
    assert "data" not in body
    return sorted((each["extensions"]["code"], each["extensions"]["coordinate"]) for each in body["errors"])


def codes(body: Any) -> list[str]:
    assert "data" not in body
    return [each["extensions"]["code"] for each in body["errors"]]


# ---------------------------------------------------------------- input fields

GUEST = {"firstName": "Aino", "surname": "Demo", "email": "aino@example.com"}
BUY = {
    "lines": [{"sku": "x", "quantity": 1}],
    "paymentMethod": "CARD",
    "delivery": {"serviceCode": "x"},
}


def test_a_nested_create_writes_no_child_field_its_parent_may_not(writable: World) -> None:
    """A customer who buys makes no second customer beside the order."""
    given = {"input": {**BUY, "customer": {**GUEST, "marketingConsent": True, "phone": None}}}
    with unchanged(writable):
        _, body = writable.ask("customer", ORDER, given)
    fields = ("email", "firstName", "marketingConsent", "phone", "surname")
    assert refused(body) == [("FIELD_FORBIDDEN", f"Customer.{name}") for name in fields]


@pytest.mark.parametrize(
    "given",
    [
        {"refundIban": None},
        {"refundIban": "FI2112345600000785"},
        {"inspectionNote": None, "refundIban": None},
        {"refundAmount": None, "refundIban": ""},
    ],
)
def test_an_explicit_null_is_a_change_and_refused_like_one(writable: World, given: dict[str, Any]) -> None:
    document = """mutation($input: UpdateReturnInput!) {
      updateReturn(input: $input) { userErrors { code } }
    }"""
    with unchanged(writable):
        _, body = writable.ask("support", document, {"input": {"id": NOBODY, **given}}, SERVICE)
    assert refused(body) == [("FIELD_FORBIDDEN", f"Return.{name}") for name in sorted(given)]


HIDDEN_BY_NAME = [
    "mutation($v: String) {{ phone: {call} {{ email: __typename }} }}",
    "mutation($v: String) {{ __typename {call} {{ __typename }} }}",
    "mutation($v: String) {{ ...A }} fragment A on Mutation {{ {call} {{ __typename }} }}",
    "mutation($v: String) {{ ... {{ ... on Mutation {{ {call} {{ __typename }} }} }} }}",
    "mutation($v: String) {{ {call} {{ ...B }} }} fragment B on AddOrderNotePayload {{ __typename }}",
    "mutation($v: String) {{ {call} @skip(if: false) {{ __typename }} {call} {{ userErrors {{ code }} }} }}",
    "query Q {{ viewer {{ role }} }} mutation M($v: String) {{ {call} {{ __typename }} }}",
]


@pytest.mark.parametrize("document", HIDDEN_BY_NAME)
@pytest.mark.parametrize("value", ['"x"', "$v"])
def test_no_alias_fragment_or_typename_beside_it_switches_the_gate_off(
    writable: World, document: str, value: str
) -> None:
    call = f'addOrderNote(input: {{id: "{NOBODY}", internalNote: {value}}})'
    text = document.format(call=call)
    text = text.replace("$v: String", "$v: String!") if value == "$v" else text.replace("($v: String)", "")
    name = "M" if "query Q" in document else None
    with unchanged(writable):
        for who, wanted in (
            ("customer", [("FIELD_FORBIDDEN", "Mutation.addOrderNote")]),
            ("support", [("PURPOSE_REQUIRED", "Mutation.addOrderNote")]),
        ):
            _, body = writable.ask(who, text, {"v": "x"} if value == "$v" else None, None, name)
            assert refused(body) == wanted


def test_a_variable_that_is_not_given_sets_nothing_and_one_with_a_default_does(writable: World) -> None:
    call = "updateReturn(input: {id: $id, refundIban: $iban}) { userErrors { code } }"
    given = {"id": global_id("Return", NOBODY)}
    _, body = writable.ask("finance", f"mutation($id: ID!, $iban: String) {{ {call} }}", given, "returns")
    assert refusals_of(body) == []
    with unchanged(writable):
        document = f'mutation($id: ID!, $iban: String = "x") {{ {call} }}'
        _, body = writable.ask("finance", document, given, "returns")
        assert refused(body) == [("FIELD_FORBIDDEN", "Return.refundIban")]
        document = f"mutation($id: ID!, $iban: String = null) {{ {call} }}"
        _, body = writable.ask("finance", document, given, "returns")
        assert refused(body) == [("FIELD_FORBIDDEN", "Return.refundIban")]


def refusals_of(body: Any) -> list[str]:
    return [error["extensions"]["coordinate"] for error in body.get("errors", []) if _names_one(error)]


def _names_one(error: Any) -> bool:
    return "coordinate" in error["extensions"]


@pytest.mark.parametrize(
    ("declared", "call", "given"),
    [
        ("$a: UpdateCustomerInput = {id: " + f'"{NOBODY}"' + "}", "updateCustomer(input: $a)", {"a": None}),
        (f'$a: ID = "{NOBODY}"', "updateCustomer(input: {id: $a})", {"a": None}),
        ("$a: Boolean = true", f'setMarketingConsent(input: {{id: "{NOBODY}", marketingConsent: $a}})', None),
    ],
)
def test_a_null_where_none_may_stand_is_the_callers_mistake(
    writable: World, declared: str, call: str, given: Any
) -> None:
    document = f"mutation({declared}) {{ {call} {{ userErrors {{ code }} }} }}"
    with unchanged(writable):
        _, body = writable.ask("customer", document, given or {"a": None})
    assert codes(body) == ["BAD_VARIABLE"]


# ---------------------------------------------------------------- several at once


def test_one_refused_change_leaves_the_others_undone(writable: World) -> None:
    document = """mutation($id: ID!) {
      first: updateCustomer(input: {id: $id, firstName: "Marked"}) { customer { firstName } }
      second: addOrderNote(input: {id: $id, internalNote: "x"}) { userErrors { code } }
      third: updateReturn(input: {id: $id, refundIban: null}) { userErrors { code } }
    }"""
    with unchanged(writable), writable.recorded() as statements:
        _, body = writable.ask("customer", document, {"id": own_id(writable)})
        assert refused(body) == [
            ("FIELD_FORBIDDEN", "Mutation.addOrderNote"),
            ("FIELD_FORBIDDEN", "Mutation.updateReturn"),
        ]
    assert statements == []


def test_a_bad_id_in_the_last_change_undoes_the_first(writable: World) -> None:
    document = """mutation($id: ID!) {
      updateCustomer(input: {id: $id, firstName: "Marked"}) { customer { firstName } }
      other: updateCustomer(input: {id: "T3JkZXI6MQ==", firstName: "Marked"}) { userErrors { code } }
    }"""
    with unchanged(writable):
        _, body = writable.ask("customer", document, {"id": own_id(writable)})
    assert codes(body) == ["BAD_ID"]


def test_a_mistake_in_one_change_leaves_the_others_as_they_are(writable: World) -> None:
    document = """mutation($id: ID!, $none: ID!) {
      a: updateCustomer(input: {id: $none, firstName: "Marked"}) { userErrors { code } }
      b: updateCustomer(input: {id: $id, surname: "Marked"}) { customer { surname } userErrors { code } }
    }"""
    given = {"id": own_id(writable), "none": global_id("Customer", NOBODY)}
    data = writable.data("customer", document, given)
    assert data["a"] == {"userErrors": [{"code": "NOT_FOUND"}]}
    assert data["b"] == {"customer": {"surname": "Marked"}, "userErrors": []}


def test_more_changes_than_the_limit_are_refused_whatever_they_are_called(writable: World) -> None:
    limit = writable.gateway.settings.mutation_limit
    key = own_id(writable)
    change = f'updateCustomer(input: {{id: "{key}", firstName: "Marked"}}) {{ userErrors {{ code }} }}'
    apart = " ".join(f"a{number}: {change}" for number in range(limit + 1))
    spread = " ".join(f"...F{number}" for number in range(limit + 1))
    fragments = " ".join(
        f"fragment F{number} on Mutation {{ b{number}: {change} }}" for number in range(limit + 1)
    )
    with unchanged(writable):
        for document in (f"mutation {{ {apart} }}", f"mutation {{ {spread} }} {fragments}"):
            _, body = writable.ask("customer", document)
            assert codes(body) == ["TOO_COMPLEX"]
            assert body["errors"][0]["extensions"]["cost"] == limit + 1


def test_a_change_that_is_skipped_is_not_made_and_one_included_is(writable: World) -> None:
    document = """mutation($id: ID!, $yes: Boolean!) {
      updateCustomer(input: {id: $id, surname: "Skipped"}) @include(if: $yes) { customer { surname } }
      addOrderNote(input: {id: $id, internalNote: "x"}) @skip(if: true) { userErrors { code } }
    }"""
    given = {"id": own_id(writable), "yes": False}
    with unchanged(writable):
        assert writable.data("customer", document, given) == {}
    given["yes"] = True
    data = writable.data("customer", document, given)
    assert data == {"updateCustomer": {"customer": {"surname": "Skipped"}}}
    _, body = writable.ask("customer", document.replace("@skip(if: true)", "@skip(if: false)"), given)
    assert refused(body) == [("FIELD_FORBIDDEN", "Mutation.addOrderNote")]


def test_inputs_of_other_shapes_share_a_plan_and_are_judged_apart(writable: World) -> None:
    document = """mutation Shapes($input: UpdateReturnInput!) {
      updateReturn(input: $input) { userErrors { code } }
    }"""
    least = {"id": global_id("Return", NOBODY)}
    _, body = writable.ask("finance", document, {"input": {**least, "status": "RECEIVED"}}, "returns")
    assert refused(body) == [("FIELD_FORBIDDEN", "Return.status")]
    misses = writable.gateway.plans.misses
    for name in ("refundIban", "inspectionNote", "status"):
        for value in (None, "RECEIVED"):
            _, body = writable.ask("finance", document, {"input": {**least, name: value}}, "returns")
            assert refused(body) == [("FIELD_FORBIDDEN", f"Return.{name}")]
    _, body = writable.ask("finance", document, {"input": {**least, "refundedAt": None}}, "returns")
    assert refusals_of(body) == []
    assert writable.gateway.plans.misses == misses


# ---------------------------------------------------------------- transport


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_change_by_get_is_refused_and_says_which_method_does(writable: World, method: str) -> None:
    change = f'updateCustomer(input: {{id: "{own_id(writable)}", firstName: "Marked"}})'
    headers = dict(writable.askers["customer"].headers)
    for document in (f"mutation {{ {change} {{ userErrors {{ code }} }} }}", "mutation { __typename }"):
        for extra in ({}, {"on-forbidden": "reject"}, GRAPHQL_RESPONSE):
            with unchanged(writable), writable.recorded() as statements:
                given = {"query": document}
                response = writable.client.request(
                    method, "/graphql", params=given, headers={**headers, **extra}
                )
            assert (response.status_code, response.headers["allow"]) == (405, "POST")
            assert statements == []


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/graphql",
        "",
    ],
)
def test_no_page_of_another_site_can_have_a_browser_send_a_change(writable: World, kind: str) -> None:
    body = {"query": UPDATE, "variables": {"input": {"id": own_id(writable), "firstName": "Marked"}}}
    headers = {**writable.askers["customer"].headers, "content-type": kind, "origin": "https://evil.example"}
    with unchanged(writable):
        for content in (json.dumps(body).encode(), b"query=" + UPDATE.encode()):
            response = writable.client.post("/graphql", content=content, headers=headers)
            assert response.status_code == 415
            assert "access-control-allow-origin" not in response.headers


# ---------------------------------------------------------------- what there is


@pytest.mark.parametrize("name", ["customer", "support", "register-admin", "one-order"])
def test_a_row_that_is_hidden_and_one_that_is_not_there_are_the_same_bytes_by_the_same_statements(
    writable: World, name: str
) -> None:
    """Whatever the input: a wrong one is told before any look-up, on both alike."""
    rows = writable.table("customer")
    restricted = next(row["id"] for row in rows if row["restricted_at"] is not None)
    others = {
        "customer": writable.askers["customer-2"].customer_id,
        "one-order": writable.askers["one-order"].customer_id,
    }
    taken = next(row["email"] for row in rows if row["email"])
    for given in (
        {"firstName": "Aino"},
        {"email": taken},
        {"email": "no address"},
        {"phone": "+358401234567", "postalCode": "00100"},
        {"postalCode": "no code", "ifVersion": 1},
        {"firstName": None},
        {"ifVersion": 1},
        {},
    ):
        answers = set()
        with unchanged(writable):
            for key in (others.get(name, restricted), uuid.UUID(NOBODY), uuid.uuid4()):
                sent = {"input": {"id": global_id("Customer", key), **given}}
                writable.ask(name, "{ __typename }")
                with writable.recorded() as statements:
                    response = writable.post(name, UPDATE, sent, None if name[0] == "o" else SERVICE)
                answers.add((response.status_code, response.content, tuple(statements)))
        assert len(answers) == 1, given
        assert b'"customer":null' in answers.pop()[1]


def test_a_token_for_one_order_changes_no_profile(writable: World) -> None:
    for name, call in (
        ("updateCustomer", "firstName: null"),
        ("updateCustomer", 'surname: "Marked"'),
        ("setMarketingConsent", "marketingConsent: true"),
        ("setMarketingConsent", "marketingConsent: false"),
    ):
        document = f"""mutation($id: ID!) {{
          {name}(input: {{id: $id, {call}}}) {{ customer {{ id email }} userErrors {{ code }} }}
        }}"""
        with unchanged(writable):
            found = writable.data("one-order", document, {"id": own_id(writable, "one-order")})[name]
        assert found["customer"] is None
        assert found["userErrors"][0]["code"] in ("NOT_FOUND", "REQUIRED")


def test_an_address_that_is_known_is_registered_like_any_other(writable: World) -> None:
    """No unique violation, no other answer, no other statement tells that somebody is a customer."""
    document = """mutation($input: RegisterCustomerInput!) {
      registerCustomer(input: $input) { customer { email status } userErrors { code } }
    }"""
    known = next(row["email"] for row in writable.table("customer") if row["email"])
    found = []
    for email in (known, known, "nobody.yet@example.com"):
        given = {**GUEST, "email": email, "password": "correct horse battery"}
        with writable.recorded() as statements:
            data = writable.data("anonymous", document, {"input": given})["registerCustomer"]
        assert data["customer"].pop("email") == email
        found.append((json.dumps(data), tuple(statements)))
    assert len(set(found)) == 1


def test_an_id_of_another_type_is_a_mistake_and_no_look_up(writable: World) -> None:
    order = writable.table("orders")[0]["id"]
    coded = base64.b64encode(f"customer:{uuid.uuid4()}".encode()).decode()
    for text in (global_id("Order", order), coded, str(order), "", "Q3VzdG9tZXI6", "é", "' OR 1=1 --"):
        with unchanged(writable):
            _, body = writable.ask("customer", UPDATE, {"input": {"id": text, "firstName": "Aino"}})
        assert codes(body) == ["BAD_ID"]


# ---------------------------------------------------------------- who


@pytest.mark.parametrize("name", ["support", "register-admin"])
def test_staff_change_nothing_without_a_purpose_or_for_another(writable: World, name: str) -> None:
    given = {"input": {"id": own_id(writable), "firstName": "Marked"}}
    for purpose in (None, "security", "account", "newsletter"):
        with unchanged(writable):
            _, body = writable.ask(name, UPDATE, given, purpose)
        assert refused(body) == [("PURPOSE_REQUIRED", "Mutation.updateCustomer")]
        assert body["errors"][0]["extensions"]["purposes"] == [SERVICE]
    with unchanged(writable):
        status, body = writable.ask(name, UPDATE, given, "curiosity")
    assert (status, codes(body)) == (400, ["UNKNOWN_PURPOSE"])


@pytest.mark.parametrize("name", ["undesignated", "anonymous", "carrier", "newsletter", "privacy-officer"])
def test_those_without_the_right_change_no_customer(writable: World, name: str) -> None:
    given = {"input": {"id": own_id(writable), "firstName": "Marked"}}
    for purpose in (None, SERVICE, "account"):
        with unchanged(writable):
            _, body = writable.ask(name, UPDATE, given, purpose)
        assert refused(body) == [("FIELD_FORBIDDEN", "Mutation.updateCustomer")]


def test_a_wrong_token_is_refused_before_the_change_is_read(writable: World) -> None:
    given = {"input": {"id": own_id(writable), "firstName": "Marked"}}
    for token in ("x", "Bearer x", "Bearer ", "Basic eDp5"):
        with unchanged(writable):
            response = writable.post("anonymous", UPDATE, given, headers={"authorization": token})
        assert response.status_code == 401
