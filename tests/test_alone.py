"""What proves who somebody is goes alone: one request tries one secret, however its fields are named."""

from __future__ import annotations

from typing import Any

import pytest

from schema.model import load_model
from tests.live import Served
from tests.signing_in import OTHER_PASSWORD, Account, confirmed, hashings, registered, signed_in
from tests.world import World
from tests.writing import another_gateway

ALONE = {
    *("registerCustomer", "signIn", "refreshSession", "signOut", "confirmEmail"),
    *("requestPasswordReset", "resetPassword", "changePassword"),
}
INPUTS = {
    "registerCustomer": '{firstName: "A", surname: "B", email: "alone@store.example", password: "a b c d e"}',
    "signIn": '{email: "alone@store.example", password: "a wrong password"}',
    "refreshSession": '{refreshToken: "crr_"}',
    "signOut": "{everywhere: true}",
    "confirmEmail": '{token: "crl_"}',
    "requestPasswordReset": '{email: "alone@store.example"}',
    "resetPassword": '{token: "crl_", password: "a long enough password"}',
    "changePassword": '{currentPassword: "a wrong password", newPassword: "a long enough password"}',
}


def field(name: str, alias: str = "") -> str:
    return f"{alias}{name}(input: {INPUTS[name]}) {{ userErrors {{ code }} }}"


def asker(name: str) -> str:
    """Who may make a change."""
    return "customer" if name in ("signOut", "changePassword") else "anonymous"


def refused(world: World, who: str, document: str, variables: Any = None) -> list[tuple[str, str]]:
    """The mistakes of an operation refused before any hashing; at most it is asked whose session it is."""
    with world.recorded() as statements, hashings() as hashes:
        body = world.post(who, document, variables).json()
    assert "data" not in body
    assert [sql for sql in statements if "FROM session s" not in sql] == []
    assert hashes == []
    return [(error["extensions"]["code"], error["message"]) for error in body["errors"]]


def told(name: str) -> list[tuple[str, str]]:
    return [("VALIDATION_FAILED", f"`Mutation.{name}` is the only change of its operation")]


def test_what_begins_ends_or_proves_a_session_goes_alone() -> None:
    others = {"discloseToAuthority", "requestExport"}
    assert {name for name, of in load_model().mutations.items() if of.alone} - others == ALONE


@pytest.mark.parametrize("name", sorted(ALONE))
def test_a_secret_is_tried_once_in_an_operation(writable: World, name: str) -> None:
    for count in (2, 50):
        tries = " ".join(field(name, f"t{number}: ") for number in range(count))
        assert refused(writable, asker(name), f"mutation {{ {tries} }}") == told(name)


@pytest.mark.parametrize(
    "document",
    [
        f"mutation {{ {field('signIn')} ...a }} fragment a on Mutation {{ {field('signIn', 'a: ')} }}",
        f"mutation {{ ...a ...b }} fragment a on Mutation {{ {field('signIn', 'a: ')} }}"
        f" fragment b on Mutation {{ {field('signIn', 'b: ')} }}",
        f"mutation {{ ... {{ {field('signIn', 'a: ')} }} ... on Mutation {{ {field('signIn')} }} }}",
        f"mutation {{ {field('requestPasswordReset')} {field('signIn')} }}",
        f"mutation {{ a: __typename {field('signIn')} {field('signIn', 'b: ')} }}",
        'mutation { requestOrderAccess(input: {number: "O-1", name: "A B", email: "a@store.example"})'
        f" {{ accepted }} {field('signIn')} }}",
    ],
    ids=(
        "a fragment",
        "two fragments",
        "inline fragments",
        "two secrets",
        "with a type name",
        "beside others",
    ),
)
def test_no_spelling_of_an_operation_tries_two_secrets(writable: World, document: str) -> None:
    (found,) = refused(writable, "anonymous", document)
    assert found[0] == "VALIDATION_FAILED"


def test_what_is_left_out_does_not_count(writable: World) -> None:
    document = (
        f"mutation ($b: Boolean!) {{ {field('signIn')} b: signIn(input: {INPUTS['signIn']}) @include(if: $b)"
        " { userErrors { code } } }"
    )
    assert refused(writable, "anonymous", document, {"b": True}) == told("signIn")
    answer = writable.data("anonymous", document, {"b": False})
    assert answer == {"signIn": {"userErrors": [{"code": "INVALID_CREDENTIALS"}]}}


def test_the_same_field_twice_under_one_name_is_one_and_a_type_name_is_no_change(writable: World) -> None:
    answer = writable.data("anonymous", f"mutation {{ __typename {field('signIn')} {field('signIn')} }}")
    assert answer["__typename"] == "Mutation"
    assert answer["signIn"] == {"userErrors": [{"code": "INVALID_CREDENTIALS"}]}


def test_what_is_refused_for_its_company_is_no_attempt(writable: World) -> None:
    account = confirmed(writable)
    given = f'{{email: "{account.email}", password: "{OTHER_PASSWORD}"}}'
    tries = " ".join(f"t{number}: signIn(input: {given}) {{ accessToken }}" for number in range(5))
    with another_gateway(writable, throttle_account_limit=1) as world:
        assert refused(world, "anonymous", f"mutation {{ {tries} }}") == told("signIn")
        signed_in(world, account)


@pytest.mark.parametrize("proof", ['"a wrong password"', "$proof"])
def test_a_change_of_a_profile_that_brings_a_password_goes_alone(writable: World, proof: str) -> None:
    account = registered(writable)
    document = (
        "mutation ($id: ID!, $proof: String) { a: updateCustomer(input: {id: $id, firstName: "
        '"Aino"}) { userErrors { code } } b: updateCustomer(input: {id: $id, email: "a@store.example", '
        f"currentPassword: {proof}}}) {{ userErrors {{ code }} }} }}"
    )
    name = known(writable, account)
    variables = {"id": account.id, "proof": "a wrong password"}
    given = variables if proof == "$proof" else {"id": account.id}
    document = document if proof == "$proof" else document.replace(", $proof: String", "")
    try:
        assert writable.data(name, "{ viewer { role } }")["viewer"] == {"role": "customer"}
        assert refused(writable, name, document, given) == told("updateCustomer")
        if proof == "$proof":
            found = writable.data(name, document, {"id": account.id, "proof": None})
            assert (found["a"]["userErrors"], found["b"]["userErrors"]) == ([], [{"code": "REQUIRED"}])
    finally:
        del writable.askers[name]


def known(world: World, account: Account) -> str:
    """The name of an asker with an account's token."""
    name, example = f"account {account.key}", world.askers["customer"]
    headers = {"Authorization": f"Bearer {account.access_token}"}
    world.askers[name] = type(example)(name, "customer", headers, customer_id=account.key)
    return name


def test_a_socket_and_a_stream_try_one_secret_in_an_operation_too(live: Served) -> None:
    document = f"mutation {{ {field('signIn')} {field('signIn', 'b: ')} }}"
    with live.socket() as talk:
        talk.init()
        talk.subscribe("1", document)
        found = talk.hear()
        assert (found["type"], found["payload"][0]["extensions"]["code"]) == ("error", "VALIDATION_FAILED")
    stream = live.world.client.post(
        "/graphql", json={"query": document}, headers={"Accept": "text/event-stream"}
    )
    assert "VALIDATION_FAILED" in stream.text
    assert "INVALID_CREDENTIALS" not in stream.text
