"""Texts: messages and logs hold no value of the caller's, no hint and no exception's text."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from gateway.database import DatabaseTimeout
from tests.logged import COLLECTED
from tests.world import World

CANARY = "Wq7Kanarek"
CODED = base64.b64encode(f"Customer:{CANARY}".encode()).decode()
GRAPHQL_RESPONSE = "application/graphql-response+json"


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Everything logged while the test asked, with the arguments; the test's own client set aside."""
    records = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    theirs = (f"{record.getMessage()} {record.args!r} {record.exc_info!r}" for record in records)
    assert '"event":"request"' in COLLECTED.text
    return "\n".join([COLLECTED.text, *theirs])


def assert_not_repeated(response: Any, caplog: pytest.LogCaptureFixture, *texts: str) -> None:
    """Neither the answer, its headers nor the log repeat any of the texts."""
    for text in texts or (CANARY,):
        assert text.lower() not in response.text.lower()
        assert text.lower() not in str(response.headers).lower()
        assert text.lower() not in logged(caplog).lower()


# ---------------------------------------------------------------- values in messages

LITERALS = [
    f'{{ orders(first: "{CANARY}") {{ totalCount }} }}',
    f'{{ orders(where: {{version: {{eq: "{CANARY}"}}}}) {{ totalCount }} }}',
    f'{{ orders(where: {{likes: "{CANARY}"}}) {{ totalCount }} }}',
    f'{{ orders(where: {{number: {{eq: "{CANARY}", likes: 1}}}}) {{ totalCount }} }}',
    f'{{ orders(where: {{number: {{eq: "{CANARY}"}}, nothing: 1}}) {{ totalCount }} }}',
    f"{{ orders(where: {{status: {{eq: {CANARY}}}}}) {{ totalCount }} }}",
    f'{{ orders(where: {{status: {{in: ["{CANARY}"]}}}}) {{ totalCount }} }}',
    f'{{ orders(where: {{placedAt: {{lt: "{CANARY}"}}}}) {{ totalCount }} }}',
    f'{{ orders(where: {{total: {{lt: "{CANARY}"}}}}) {{ totalCount }} }}',
    f'{{ orders(where: {{total: {{lt: {{a: "{CANARY}"}}}}}}) {{ totalCount }} }}',
    f'{{ orders(where: "{CANARY}") {{ totalCount }} }}',
    f'{{ orders(where: {{number: {{in: [["{CANARY}"]]}}}}) {{ totalCount }} }}',
    f'{{ orders(where: {{number: {{eq: "{CANARY}\\u0000"}}}}) {{ totalCount }} }}',
    f"{{ orders(orderBy: {{number: {CANARY}}}) {{ totalCount }} }}",
    f'{{ orders(after: "{CANARY}") {{ totalCount }} }}',
    f'{{ orders(before: "{CODED}") {{ totalCount }} }}',
    f'{{ orders(where: {{id: {{eq: "{CANARY}"}}}}) {{ totalCount }} }}',
    f'{{ node(id: "{CANARY}") {{ id }} }}',
    f'{{ nodes(ids: ["{CODED}"]) {{ id }} }}',
    f'{{ order(id: "{CODED}", number: "{CANARY}") {{ id }} }}',
    f'{{ viewer @skip(if: "{CANARY}") {{ role }} }}',
    f'{{ viewer @include(unless: "{CANARY}") {{ role }} }}',
    f'{{ viewer(as: "{CANARY}") {{ role }} }}',
    f'{{ nothing(of: "{CANARY}") }}',
    f'{{ __type(name: {{a: "{CANARY}"}}) {{ name }} }}',
    f'query($a: Int = "{CANARY}") {{ orders(first: $a) {{ totalCount }} }}',
    f'query($a: OrderWhere = {{number: {{likes: "{CANARY}"}}}}) {{ orders(where: $a) {{ totalCount }} }}',
    f'{{ a: order(number: "{CANARY}") {{ id }} a: order(number: "{CANARY}2") {{ id }} }}',
    f'{{ viewer {{ role }} }} "{CANARY}"',
    f'{{ node(id: "{CANARY}',
    f'{{ node(id: "{CANARY}\\q") {{ id }} }}',
    f'{{ node(id: """{CANARY}',
    f"{{ orders(first: 1{CANARY}) {{ totalCount }} }}",
    f"# {CANARY}",
    f'{{ customer(email: "{CANARY}") {{ id nothing }} }}',
    f"query {CANARY} {{ viewer {{ role }} }} query {CANARY} {{ viewer {{ role }} }}",
    f"query {CANARY} {{ orders(first: $a) {{ totalCount }} }}",
    f"query {CANARY}($a: Int) {{ viewer {{ role }} }}",
    f"mutation {CANARY} {{ viewer {{ role }} }}",
    f"subscription {CANARY} {{ viewer {{ role }} privacyNotice {{ text }} }}",
    f"query Wanted {CANARY} {{ viewer {{ role }} }}",
]


@pytest.mark.parametrize("document", LITERALS)
def test_a_message_repeats_nothing_that_stood_in_the_document(
    world: World, caplog: pytest.LogCaptureFixture, document: str
) -> None:
    """Literals, ids, cursors and operation names of a refused document come back in no message and no log."""
    caplog.set_level(logging.DEBUG)
    response = world.post("customer", document, headers={"accept": GRAPHQL_RESPONSE})
    assert response.status_code == 400
    assert response.json()["errors"]
    assert_not_repeated(response, caplog)


VARIABLES: list[tuple[str, Any]] = [
    ("Int", CANARY),
    ("Int", [CANARY]),
    ("Boolean", CANARY),
    ("[ID!]", [{CANARY: 1}]),
    ("ID", {"a": CANARY}),
    ("String", {"a": CANARY}),
    ("OrderStatus", CANARY),
    ("DateTime", CANARY),
    ("Decimal", f"1{CANARY}"),
    ("CurrencyCode", CANARY),
    ("OrderWhere", CANARY),
    ("OrderWhere", {"number": CANARY}),
    ("OrderWhere", {"number": {"likes": CANARY}}),
    ("OrderWhere", {CANARY: {"eq": 1}}),
    ("OrderWhere", {"number": {"eq": f"{CANARY}\0"}}),
    ("OrderWhere", {"status": {"in": ["PAID", CANARY]}}),
    ("OrderWhere", {"and": [{"placedAt": {"lt": CANARY}}]}),
    ("OrderWhere", {"id": {"eq": CANARY}}),
    ("OrderWhere", {"customer": {"id": {"in": [CODED]}}}),
    ("[OrderOrderBy!]", [{"number": CANARY}]),
    ("[OrderOrderBy!]", [{CANARY: "ASC"}]),
]


@pytest.mark.parametrize(("kind", "value"), VARIABLES)
def test_a_message_repeats_nothing_that_stood_in_a_variable(
    world: World, caplog: pytest.LogCaptureFixture, kind: str, value: Any
) -> None:
    """Values and keys of a variable that is refused come back in no message and no log."""
    caplog.set_level(logging.DEBUG)
    used = {"OrderWhere": "orders(where: $v)", "[OrderOrderBy!]": "orders(orderBy: $v)"}.get(kind)
    plain = {
        "Int": "orders(first: $v)",
        "Boolean": "orders @skip(if: $v)",
        "ID": "orders(where: {id: {eq: $v}})",
    }
    by_filter = {"OrderStatus": "status", "DateTime": "placedAt", "Decimal": "total", "String": "number"}
    field = by_filter.get(kind, "number")
    used = used or plain.get(kind) or f"orders(where: {{{field}: {{eq: $v}}}})"
    declared = "Boolean!" if kind == "Boolean" else "[ID!]!" if kind == "[ID!]" else kind
    document = f"query($v: {declared}) {{ {used} {{ totalCount }} }}"
    if kind == "[ID!]":
        document = "query($v: [ID!]!) { nodes(ids: $v) { id } }"
    response = world.post("customer", document, {"v": value}, headers={"accept": GRAPHQL_RESPONSE})
    assert response.status_code == 400
    assert_not_repeated(response, caplog)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Authorization", 401),
        ("Act-As", 403),
        ("Processing-Purpose", 400),
        ("On-Forbidden", 400),
        ("Accept", 406),
        ("Content-Type", 415),
        ("Content-Encoding", 415),
        ("X-Request-Id", 200),
    ],
)
def test_a_message_repeats_nothing_that_stood_in_a_header(
    world: World, caplog: pytest.LogCaptureFixture, name: str, status: int
) -> None:
    """What a header said comes back in no message, no header and no log."""
    caplog.set_level(logging.DEBUG)
    for value in (CANARY, f"Bearer {CANARY}", f"Bearer {CANARY}.{CANARY}.{CANARY}", f"Bearer crp_{CANARY}"):
        response = world.post("anonymous", "{ viewer { role } }", headers={name: value})
        assert response.status_code == status
        assert_not_repeated(response, caplog)


def test_a_case_reference_is_repeated_by_no_message(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for value, status in (
        (f"{CANARY}1", 400),
        ("CASE-1", 200),
        (f"Bearer {CANARY}", 400),
        (f"{CANARY}@store.example", 400),
    ):
        response = world.post("anonymous", "{ viewer { role } }", headers={"Case-Reference": value})
        assert response.status_code == status
        assert_not_repeated(response, caplog)


@pytest.mark.parametrize(
    "body",
    [
        {"query": "query A { __typename } query B { __typename }", "operationName": CANARY},
        {"query": "{ __typename }", "operationName": {"a": CANARY}},
        {"query": [CANARY]},
        {"query": "{ __typename }", "variables": CANARY},
        {"query": "{ __typename }", "variables": [CANARY]},
        {"query": "{ __typename }", "extensions": CANARY},
        [{"query": CANARY}],
        CANARY,
    ],
)
def test_a_message_repeats_nothing_that_stood_in_a_body(
    world: World, caplog: pytest.LogCaptureFixture, body: Any
) -> None:
    """A body that is refused comes back in no message and no log, sent by POST or by GET."""
    caplog.set_level(logging.DEBUG)
    strict = {"accept": GRAPHQL_RESPONSE}
    assert_not_repeated(world.client.post("/graphql", json=body, headers=strict), caplog)
    torn = json.dumps(body).encode()[:-1]
    headers = {**strict, "content-type": "application/json"}
    assert_not_repeated(world.client.post("/graphql", content=torn, headers=headers), caplog)
    parameters = {"query": "{ __typename }", "variables": json.dumps(body)[:-1]}
    assert_not_repeated(world.client.get("/graphql", params=parameters, headers=strict), caplog)


def test_an_answer_that_refuses_a_field_repeats_no_value(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Refusals name coordinates; the value that was looked for is not among them."""
    caplog.set_level(logging.DEBUG)
    document = (
        "query($v: String) { customer(email: $v) { phone } customers(where: {phone: {eq: $v}}) "
        "{ nodes { streetAddress } } orders { nodes { internalNote } } }"
    )
    for name in ("anonymous", "warehouse", "support"):
        for headers in ({}, {"On-Forbidden": "reject"}):
            response = world.post(name, document, {"v": CANARY}, headers=headers)
            assert response.json()["errors"]
            assert_not_repeated(response, caplog)


# ---------------------------------------------------------------- hints

NEAR: list[tuple[str, str]] = [
    ("{ customers { nodes { emial } } }", "email"),
    ("{ custmers { nodes { id } } }", "customers"),
    ("{ orders { nodes { internalNot } } }", "internalNote"),
    ("{ orders(were: {}) { totalCount } }", "where"),
    ("{ orders(where: {internalNot: {isNull: true}}) { totalCount } }", "internalNote"),
    ("{ orders(where: {status: {eq: PAYD}}) { totalCount } }", "PAID"),
    ("{ orders(orderBy: {internalNot: ASC}) { totalCount } }", "internalNote"),
    ("query($w: CustmerWhere) { customers(where: $w) { totalCount } }", "CustomerWhere"),
    ("{ node(id: 1) { ... on Custmer { id } } }", "Customer"),
    ("{ viewer @skp(if: true) { role } }", "skip"),
    ("{ customers }", "number"),
    ("{ ...Frag } fragment Fragment on Query { viewer { role } }", "did you mean"),
]


@pytest.mark.parametrize(("document", "hint"), NEAR)
def test_a_name_that_is_nearly_right_is_not_completed(world: World, document: str, hint: str) -> None:
    """There is no "Did you mean" for anyone: fields, arguments, types, enum values, directives."""
    for name in ("anonymous", "privacy-officer"):
        response = world.post(name, document)
        assert response.json()["errors"]
        message = json.dumps([error["message"] for error in response.json()["errors"]])
        assert "did you mean" not in message.lower()
        assert hint not in message or hint in document


@pytest.mark.parametrize("where", [{"internalNot": {"eq": "x"}}, {"status": {"eq": "PAYD"}}])
def test_a_variable_that_is_nearly_right_is_not_completed(world: World, where: Any) -> None:
    """Neither is a key or an enum value of a variable completed."""
    document = "query($w: OrderWhere) { orders(where: $w) { totalCount } }"
    message = world.post("anonymous", document, {"w": where}).text
    assert not any(hint in message for hint in ("mean", "internalNote", "PAID"))


# ---------------------------------------------------------------- faults


def failing(error: BaseException) -> Callable[..., Any]:
    """A fetch that raises."""

    async def fetch(*_: object, **__: object) -> Any:
        raise error

    return fetch


FAULTS = [
    RuntimeError(CANARY),
    KeyError(CANARY),
    RecursionError(CANARY),
    UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY),
    asyncpg.PostgresError(CANARY),
    asyncpg.DataError(f"invalid input for query argument $1: '{CANARY}'"),
    asyncpg.InterfaceError(CANARY),
    asyncpg.UniqueViolationError(f"Key (email)=({CANARY}) already exists."),
    OSError(5, CANARY, f"/var/{CANARY}"),
    TimeoutError(CANARY),
    ExceptionGroup(CANARY, [ValueError(CANARY)]),
    DatabaseTimeout(CANARY),
]


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_the_text_of_an_exception_reaches_nobody(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Whatever is raised below, the answer has a code of ours without its text, and the log its type."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(world.gateway.database, "fetch", failing(error))
    response = world.post("customer", '{ order(number: "Wq7Kanarek") { id } }')
    assert response.status_code >= 500
    body = response.json()
    assert set(body) == {"errors"}
    assert {problem["extensions"]["code"] for problem in body["errors"]} <= {"INTERNAL", "TIMEOUT"}
    assert_not_repeated(response, caplog, CANARY, "Traceback", "/gateway/")


@pytest.mark.parametrize("table", ["orders", "employee"])
def test_a_fault_of_the_database_reaches_nobody(
    world: World, caplog: pytest.LogCaptureFixture, table: str
) -> None:
    """With a table gone, answer, schema and log name neither the table nor the value looked for."""
    caplog.set_level(logging.DEBUG)
    document = "query($v: String) { order(number: $v) { id placedAt } }"
    name = {"orders": "customer", "employee": "marketing"}[table]
    world.execute(f"ALTER TABLE {table} RENAME TO gone")
    try:
        with world.at(world.now + timedelta(hours=1)):
            answers = [world.post(name, document, {"v": CANARY})]
            if table == "employee":
                headers = world.askers["marketing"].headers
                answers.append(world.client.get("/schema.graphql", headers=headers))
    finally:
        world.execute(f"ALTER TABLE gone RENAME TO {table}")
    for answer in answers:
        assert answer.status_code == 500
        assert answer.json()["errors"][0]["extensions"] == {"code": "INTERNAL"}
        assert_not_repeated(answer, caplog, CANARY, "relation", "SELECT ")
