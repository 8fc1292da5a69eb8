"""What is sent back of a change is gated like any read, and values of an input come back in no message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schema.scalars import global_id
from tests.test_attacks_texts import CANARY, assert_not_repeated
from tests.test_attacks_writes import GUEST, SERVICE, UPDATE, codes, own_id, refused, unchanged
from tests.world import World

# ---------------------------------------------------------------- payloads

PAYLOAD = """mutation($input: UpdateCustomerInput!) {
  updateCustomer(input: $input) {
    customer { id firstName email internal: unsubscribeUrl orders { nodes { internalNote } } }
    userErrors { code }
  }
}"""


def test_a_payload_shows_no_more_than_a_read(writable: World) -> None:
    given = {"input": {"id": own_id(writable), "firstName": "Aino"}}
    _, body = writable.ask("customer", PAYLOAD, given)
    customer = body["data"]["updateCustomer"]["customer"]
    assert (customer["firstName"], customer["internal"]) == ("Aino", None)
    assert {node["internalNote"] for node in customer["orders"]["nodes"]} == {None}
    found = {
        (error["extensions"]["code"], error["extensions"]["coordinate"], tuple(error["path"]))
        for error in body["errors"]
    }
    below = ("updateCustomer", "customer")
    assert found == {
        ("FIELD_FORBIDDEN", "Customer.unsubscribeUrl", (*below, "internal")),
        ("FIELD_FORBIDDEN", "Order.internalNote", (*below, "orders")),
    }


def test_a_payload_is_masked_and_withheld_like_a_read(writable: World) -> None:
    """Who may set an account to pay to does not see it unmasked in the answer."""
    order = next(row for row in writable.table("orders") if row["billing_name"])
    key = global_id("Customer", order["customer_id"])
    fields = "customer { orders { nodes { id billingName returns { nodes { refundIban } } } } }"
    given = 'id: $id, surname: "Esimerkki"'
    document = f"mutation($id: ID!) {{ updateCustomer(input: {{{given}}}) {{ {fields} }} }}"
    _, changed = writable.ask("support", document, {"id": key}, SERVICE)
    read = f"query($id: ID!) {{ {fields.replace('customer', 'customer(id: $id)', 1)} }}"
    _, plain = writable.ask("support", read, {"id": key}, SERVICE)
    assert changed["data"]["updateCustomer"] == plain["data"]
    assert changed["extensions"] == plain["extensions"] == {"withheld": ["Order.billingName"]}
    assert [error["extensions"]["coordinate"] for error in changed["errors"]] == ["Return.refundIban"]


@pytest.mark.parametrize("name", ["customer", "support"])
def test_a_caller_who_wants_all_or_nothing_has_nothing_written(writable: World, name: str) -> None:
    given = {"input": {"id": own_id(writable), "firstName": "Marked"}}
    with unchanged(writable), writable.recorded() as statements:
        response = writable.post(name, PAYLOAD, given, SERVICE, headers={"on-forbidden": "reject"})
        assert response.status_code == 403
        assert ("FIELD_FORBIDDEN", "Customer.unsubscribeUrl") in refused(response.json())
    assert not any("UPDATE" in statement for statement in statements)


def test_a_rejection_names_what_is_refused_of_input_and_payload(writable: World) -> None:
    document = """mutation($id: ID!) {
      updateReturn(input: {id: $id, refundIban: null}) { return { refundIban order { internalNote } } }
    }"""
    given = {"id": global_id("Return", writable.table("returns")[0]["id"])}
    headers = {"on-forbidden": "reject"}
    with unchanged(writable):
        response = writable.post("finance", document, given, "returns", headers=headers)
    assert response.status_code == 403
    found = {
        (error["extensions"]["coordinate"], error["extensions"].get("use"))
        for error in response.json()["errors"]
    }
    assert found == {("Order.internalNote", None), ("Return.refundIban", "UPDATE")}


def test_a_cursor_of_somebody_elses_row_tells_nothing_in_a_payload(writable: World) -> None:
    """Its place in the order would be told; the change is undone with it."""
    _, body = writable.ask("customer-2", "{ orders(first: 1) { edges { cursor } } }")
    cursor = body["data"]["orders"]["edges"][0]["cursor"]
    document = """mutation($id: ID!, $after: String) {
      updateCustomer(input: {id: $id, firstName: "Marked"}) {
        customer { orders(after: $after, orderBy: [{total: ASC}]) { nodes { id } } }
      }
    }"""
    with unchanged(writable):
        _, body = writable.ask("customer", document, {"id": own_id(writable), "after": cursor})
    assert codes(body) == ["BAD_CURSOR"]


def test_a_payloads_conditions_list_no_more_than_a_reads(writable: World) -> None:
    document = """mutation($id: ID!, $versions: [Int!]) {
      updateCustomer(input: {id: $id, firstName: "Marked"}) {
        customer { orders(where: {version: {in: $versions}}) { totalCount } }
      }
    }"""
    versions = [1] * (writable.gateway.settings.listed_limit + 1)
    with unchanged(writable):
        _, body = writable.ask("customer", document, {"id": own_id(writable), "versions": versions})
    assert codes(body) == ["TOO_COMPLEX"]


def test_what_somebody_unknown_made_is_theirs_and_nothing_else_is(writable: World) -> None:
    document = """mutation($input: RegisterCustomerInput!) {
      registerCustomer(input: $input) {
        customer { email unsubscribeUrl orders { totalCount } consents { nodes { state } } }
        accessToken
      }
    }"""
    given = {"input": {**GUEST, "email": "own.payload@example.com", "password": "correct horse battery"}}
    _, body = writable.ask("anonymous", document, given)
    customer = body["data"]["registerCustomer"]["customer"]
    assert customer["email"] == "own.payload@example.com"
    assert customer["consents"] == {"nodes": [{"state": "REFUSED"}]}
    assert (customer["orders"], customer["unsubscribeUrl"]) == ({"totalCount": 0}, None)
    assert [error["extensions"]["coordinate"] for error in body["errors"]] == ["Customer.unsubscribeUrl"]
    _, body = writable.ask("anonymous", "{ customers { totalCount } }")
    assert body["data"] == {"customers": None}


# ---------------------------------------------------------------- values


WRONG: dict[str, Any] = {
    "a number": 1,
    "a list": [CANARY],
    "an object": {CANARY: CANARY},
    "true": True,
    "NUL": f"{CANARY}\0",
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("field", ["firstName", "phone", "email", "countryCode", "id"])
def test_a_value_of_another_type_changes_nothing_and_is_repeated_nowhere(
    writable: World, caplog: pytest.LogCaptureFixture, kind: str, field: str
) -> None:
    caplog.set_level("DEBUG")
    given = {"id": own_id(writable), field: WRONG[kind]}
    if (kind, field) == ("a number", "id"):
        given["id"] = 1.5
    with unchanged(writable):
        response = writable.post("customer", UPDATE, {"input": given})
    assert codes(response.json()) == ["BAD_VARIABLE"]
    assert_not_repeated(response, caplog)


def test_nul_and_lone_surrogates_reach_no_statement(writable: World) -> None:
    key = own_id(writable)
    with unchanged(writable):
        for text in ('"\\u0000"', '"""\0"""', '"\\ud800"', '"\\u{d800}"', '"\\udfff\\ud800"'):
            document = (
                f'mutation {{ updateCustomer(input: {{id: "{key}", firstName: {text}}}) {{ __typename }} }}'
            )
            _, body = writable.ask("customer", document)
            assert codes(body)[0] in ("BAD_VARIABLE", "SYNTAX_ERROR")
        body = json.dumps({"query": UPDATE, "variables": {"input": {"id": key, "firstName": "X"}}})
        content = body.replace('"X"', '"\\ud800"').encode()
        headers = {**writable.askers["customer"].headers, "content-type": "application/json"}
        assert writable.client.post("/graphql", content=content, headers=headers).status_code == 400


HUGE = ("firstName", "surname", "streetAddress", "postalCode", "postalTown", "countryCode", "phone", "email")


@pytest.mark.parametrize("field", HUGE)
def test_a_huge_text_is_told_without_its_value_and_changes_nothing(
    writable: World, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    caplog.set_level("DEBUG")
    for text in (
        CANARY * 20_000,
        f"{CANARY}\n{CANARY}",
        f"{CANARY}\u202e{CANARY}",
        " " * 100_000,
        "😀" * 30_000,
    ):
        with unchanged(writable):
            response = writable.post("customer", UPDATE, {"input": {"id": own_id(writable), field: text}})
        mistakes = response.json()["data"]["updateCustomer"]["userErrors"]
        assert {mistake["coordinate"] for mistake in mistakes} == {f"Customer.{field}"}
        assert_not_repeated(response, caplog)
        assert len(response.content) < 1000


def test_a_password_is_bounded_and_repeated_nowhere(
    writable: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What costs memory and time is not done for a text without bounds."""
    caplog.set_level("DEBUG")
    document = """mutation($input: RegisterCustomerInput!) {
      registerCustomer(input: $input) { customer { id } accessToken userErrors { code path message } }
    }"""
    for password in (f"{CANARY}" * 20_000, CANARY[:3]):
        with unchanged(writable):
            given = {"input": {**GUEST, "password": password}}
            response = writable.post("anonymous", document, given)
        found = response.json()["data"]["registerCustomer"]
        assert [mistake["path"] for mistake in found["userErrors"]] == [["password"]]
        assert (found["customer"], found["accessToken"]) == (None, None)
        assert_not_repeated(response, caplog, password)


def test_a_change_that_is_made_is_logged_without_its_values(
    writable: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    document = "mutation($input: UpdateCustomerInput!) { updateCustomer(input: $input) { __typename } }"
    given = {"input": {"id": own_id(writable), "surname": CANARY, "email": f"{CANARY}@example.com"}}
    response = writable.post("customer", document, given)
    assert response.json() == {"data": {"updateCustomer": {"__typename": "UpdateCustomerPayload"}}}
    assert_not_repeated(response, caplog)
    writable.forget()
    assert not any(CANARY in str(row) for row in writable.table("change"))
