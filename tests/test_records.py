"""No record, no data: each use of personal data by employees and partners is on the record."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from schema.scalars import global_id, read_global_id
from tests.world import World
from tests.writing import another_gateway

CUSTOMERS = "query Found($n: Int) { customers(first: $n) { nodes { id email firstName } } }"
DELIVERIES = (
    "{ deliveries(first: 50) { nodes { id reference recipientName recipientPhone recipientEmail } } }"
)
SERVICE = "customer-service"
NOBODY = global_id("Delivery", uuid.UUID(int=7))


@contextmanager
def recorded(world: World, table: str = "access_record") -> Iterator[list[dict[str, Any]]]:
    """The rows that a table of records gets while the block runs, in the order they were written."""
    world.forget()
    before = {row["id"] for row in world.table(table)}
    found: list[dict[str, Any]] = []
    yield found
    world.forget()
    fresh = [row for row in world.table(table) if row["id"] not in before]
    found += sorted(fresh, key=lambda row: row["number"])


def keys(nodes: list[dict[str, Any]]) -> set[uuid.UUID]:
    return {key[1] for node in nodes if (key := read_global_id(node["id"])) is not None}


def owners(world: World, nodes: list[dict[str, Any]], table: str) -> set[uuid.UUID]:
    shown = keys(nodes)
    return {row["customer_id"] for row in world.table(table) if row["id"] in shown}


# ---------------------------------------------------------------- what a record says


def test_a_read_says_who_as_what_what_for_which_fields_of_whom_when_and_under_what(writable: World) -> None:
    with recorded(writable) as records:
        headers = {"Case-Reference": "CASE-2026/17"}
        response = writable.post("support", CUSTOMERS, {"n": 5}, SERVICE, headers=headers)
    nodes = response.json()["data"]["customers"]["nodes"]
    (record,) = records
    designation = next(row for row in writable.table("designation") if row["id"] == record["designation_id"])
    assert len(nodes) == 5
    assert record["principal_id"] == global_id("Employee", designation["employee_id"])
    assert (record["role"], designation["role"], record["purpose"]) == ("support", "support", SERVICE)
    assert record["fields"] == ["Customer.email", "Customer.firstName"]
    assert set(record["subject_ids"]) == keys(nodes)
    assert record["case_reference"] == "CASE-2026/17"
    assert (record["at"], record["decision"]) == (writable.now, "ALLOWED")
    assert record["operation_name"] == "Found"
    assert record["request_id"] == response.headers["x-request-id"]
    assert record["policy_version"] == writable.gateway.policy.version
    assert record["notice_version"] == writable.gateway.policy.notice.version


def test_a_record_holds_no_value_that_was_shown(writable: World) -> None:
    with recorded(writable) as records:
        nodes = writable.data("support", CUSTOMERS, {"n": 20}, SERVICE)["customers"]["nodes"]
    told = repr(records)
    shown = [node["email"] for node in nodes if node["email"]]
    assert shown
    assert not [email for email in shown if email in told]


@pytest.mark.parametrize(
    ("name", "document"),
    [
        (
            "customer",
            "{ customers { nodes { email } } orders { nodes { number deliveries { nodes { status } } } } }",
        ),
        ("anonymous", "{ carriers { nodes { name } } privacyNotice { version } }"),
        ("register-admin", "{ employees { nodes { name workEmail } } carriers { nodes { contactEmail } } }"),
        ("support", "{ customers { nodes { id version } totalCount } viewer { role } }"),
        ("carrier", "{ deliveries { nodes { id version } } viewer { role } }"),
    ],
)
def test_ones_own_data_and_what_is_about_no_customer_is_not_recorded(
    writable: World, name: str, document: str
) -> None:
    with recorded(writable) as records:
        writable.data(name, document)
    assert records == []


def test_each_root_field_has_a_record_of_its_own_fields_and_its_own_people(writable: World) -> None:
    document = "{ a: customers(first: 2) { nodes { id email } } b: orders(first: 3) { nodes { id number } } }"
    with recorded(writable) as records:
        data = writable.data("support", document, None, SERVICE)
    first, second = sorted(records, key=lambda record: record["fields"])
    assert (first["fields"], set(first["subject_ids"])) == (["Customer.email"], keys(data["a"]["nodes"]))
    assert second["fields"] == ["Order.number"]
    assert set(second["subject_ids"]) == owners(writable, data["b"]["nodes"], "orders")


def test_what_is_shown_below_is_recorded_with_what_it_stands_under(writable: World) -> None:
    document = """{ orders(first: 3) { nodes { id customer { firstName }
        deliveries(where: {recipientName: {isNull: false}}) {
            edges { node { status events { nodes { place } } } } }
        returns { nodes { lines { nodes { quantity } } } } } } }"""
    with recorded(writable) as records:
        writable.data("support", document, None, SERVICE)
    (record,) = records
    assert record["fields"] == [
        *("Customer.firstName", "Delivery.recipientName", "Delivery.status"),
        *("DeliveryEvent.place", "Order.customer", "ReturnLine.quantity"),
    ]


ROWS = "{ customers(first: 50) { nodes { id number email } } }"


@pytest.mark.parametrize(
    "document",
    [
        '{ customer(email: "%(email)s") { id firstName } }',
        '{ customer(id: "%(id)s") { id firstName } }',
        '{ node(id: "%(id)s") { id ... on Customer { firstName } } }',
        '{ customers(where: {email: {eq: "%(email)s"}}) { edges { node { id firstName } } } }',
        '{ customers(where: {email: {eq: "%(email)s"}}) { nodes { id firstName } totalCount } }',
        '{ customers(last: 1, where: {email: {eq: "%(email)s"}}) { nodes { id firstName } } }',
        '{ nodes(ids: ["%(id)s"]) { id ... on Customer { firstName } } }',
    ],
)
def test_the_subject_is_recorded_however_a_row_is_found(writable: World, document: str) -> None:
    nodes = writable.data("support", ROWS, None, SERVICE)["customers"]["nodes"]
    addresses = [row["email"] for row in writable.table("customer")]
    node = next(node for node in nodes if addresses.count(node["email"]) == 1)
    with recorded(writable) as records:
        answer = writable.data("support", document % node, None, SERVICE)
    assert node["id"] in repr(answer)
    (record,) = records
    assert set(record["subject_ids"]) == keys([node])
    assert "Customer.firstName" in record["fields"]


def test_a_page_records_whom_it_shows_and_not_the_one_beyond_it(writable: World) -> None:
    document = "{ customers(first: 3) { edges { cursor node { id email } } pageInfo { hasNextPage } } }"
    with recorded(writable) as records:
        found = writable.data("support", document, None, SERVICE)["customers"]
    assert found["pageInfo"]["hasNextPage"]
    assert set(records[0]["subject_ids"]) == keys([edge["node"] for edge in found["edges"]])


@pytest.mark.parametrize(
    "document",
    [
        '{ customers(where: {email: {eq: "nobody@store.example"}}) { totalCount } }',
        '{ customer(email: "nobody@store.example") { id } }',
        "{ customers(orderBy: [{email: ASC}]) { nodes { id } } }",
    ],
)
def test_a_field_that_is_only_looked_for_or_sorted_by_is_recorded(writable: World, document: str) -> None:
    with recorded(writable) as records:
        answer = writable.data("support", document, None, SERVICE)
    (record,) = records
    assert record["fields"] == ["Customer.email"]
    shown = (answer.get("customers") or {}).get("nodes", [])
    assert set(record["subject_ids"]) == keys(shown)


PROBES = [
    '{ customers(where: {id: {eq: "%(id)s"}, phone: {startsWith: "%(phone)s"}}) { totalCount } }',
    '{ customers(where: {and: [{number: {in: ["%(number)s"]}}, {phone: {isNull: true}}]}) { totalCount } }',
    '{ customers(where: {phone: {eq: "%(phone)s"}}) { totalCount } }',
    '{ customers(where: {email: {eq: "%(email)s"}, phone: {eq: "0"}}) { nodes { id } } }',
]


@pytest.mark.parametrize("document", PROBES)
def test_whoever_is_found_out_about_by_counting_is_recorded(writable: World, document: str) -> None:
    # The oldest are of the demo data, each with a number of their own.
    probed = "{ customers(last: 5) { nodes { id number email phone } } }"
    nodes = writable.data("support", probed, None, SERVICE)["customers"]["nodes"]
    node = next(node for node in nodes if node["phone"])
    with recorded(writable) as records:
        writable.data("support", document % node, None, SERVICE)
    (record,) = records
    assert keys([node]) <= set(record["subject_ids"])


def test_a_count_of_many_is_recorded_with_nobody(writable: World) -> None:
    with recorded(writable) as records:
        found = writable.data("support", "{ orders(where: {not: {status: {eq: CANCELLED}}}) { totalCount } }")
    assert found["orders"]["totalCount"] > 20
    assert (records[0]["fields"], records[0]["subject_ids"]) == (["Order.status"], [])


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ("{ orders(first: 2) { nodes { lines { nodes { sku } } } } }", ["OrderLine.sku"]),
        ("{ customers(first: 2) { nodes { orders { totalCount } } } }", ["Customer.orders"]),
        ("{ orders(first: 2) { nodes { customer { id } } } }", ["Order.customer"]),
    ],
)
def test_what_somebody_bought_and_whose_it_is_is_recorded(
    writable: World, document: str, fields: list[str]
) -> None:
    with recorded(writable) as records:
        writable.data("support", document, None, SERVICE)
    (record,) = records
    assert record["fields"] == fields
    assert record["subject_ids"]


def test_a_masked_value_is_recorded(writable: World) -> None:
    with recorded(writable) as records:
        writable.data("support", "{ customers(first: 1) { nodes { phone } } }")
    assert (records[0]["fields"], len(records[0]["subject_ids"])) == (["Customer.phone"], 1)


def test_a_long_response_key_and_hundreds_of_keys_are_recorded_all_the_same(writable: World) -> None:
    many = " ".join(f"k{number}: email" for number in range(300))
    document = f"{{ customers(first: 2) {{ nodes {{ {'long' * 20}: email {many} }} }} }}"
    with recorded(writable) as records:
        writable.data("support", document, None, SERVICE)
    assert (records[0]["fields"], len(records[0]["subject_ids"])) == (["Customer.email"], 2)


# ---------------------------------------------------------------- refusals


def test_what_is_refused_is_recorded_without_anybodys_name(writable: World) -> None:
    with recorded(writable) as records:
        status, body = writable.ask("warehouse", "{ orders(first: 2) { nodes { number total { amount } } } }")
    assert (status, body["errors"][0]["extensions"]["coordinate"]) == (200, "Order.total")
    refused, allowed = records
    assert (refused["decision"], refused["fields"], refused["subject_ids"]) == (
        "REFUSED",
        ["Order.total"],
        [],
    )
    assert (allowed["decision"], allowed["fields"]) == ("ALLOWED", ["Order.number"])
    assert len({record["request_id"] for record in records}) == 1


@pytest.mark.parametrize(
    ("name", "document", "coordinate"),
    [
        ("support", "{ customers(first: 1) { nodes { streetAddress } } }", "Customer.streetAddress"),
        ("carrier", "{ orders { nodes { id } } }", "Query.orders"),
        (
            "carrier",
            '{ deliveries(where: {recipientEmail: {eq: "a@b.c"}}) { nodes { id } } }',
            "Delivery.recipientEmail",
        ),
        ("undesignated", "{ customers { nodes { id } } }", "Query.customers"),
        (
            "marketing",
            'mutation { addOrderNote(input: {id: "T3JkZXI6", internalNote: "x"}) { userErrors { code } } }',
            "Mutation.addOrderNote",
        ),
        (
            "carrier",
            f'mutation {{ updateDelivery(input: {{id: "{NOBODY}", parcelCount: 2}}) {{ __typename }} }}',
            "Delivery.parcelCount",
        ),
    ],
)
def test_every_kind_of_refusal_to_employees_and_partners_is_recorded(
    writable: World, name: str, document: str, coordinate: str
) -> None:
    with recorded(writable) as records:
        writable.ask(name, document)
    assert [(record["decision"], record["fields"]) for record in records] == [("REFUSED", [coordinate])]


def test_refusals_to_customers_and_to_nobody_are_not_recorded(writable: World) -> None:
    with recorded(writable) as records:
        for name in ("customer", "anonymous"):
            assert "errors" in writable.ask(name, "{ employees { nodes { id } } }")[1]
    assert records == []


def test_refusals_are_recorded_so_many_a_minute_and_answered_as_before(writable: World) -> None:
    document = "{ customers { nodes { id } } }"
    with another_gateway(writable, refusal_records_per_minute=5) as bounded:
        with recorded(bounded) as records:
            answers = {bounded.post("carrier-2", document).content for _ in range(9)}
        assert (len(answers), len(records)) == (1, 5)
        with bounded.at(bounded.now + timedelta(minutes=1)), recorded(bounded) as records:
            bounded.post("carrier-2", document)
        assert len(records) == 1


def test_a_case_reference_that_could_hold_more_is_refused(writable: World) -> None:
    for text in ("Maija Meikäläinen 1", "maija@store.example", "+358401234567", "CASE", "", "x" * 70 + "1"):
        response = writable.client.post(
            "/graphql",
            json={"query": "{ viewer { role } }"},
            headers={**writable.askers["support"].headers, "Case-Reference": text.encode()},
        )
        body = response.json()
        assert (response.status_code, body["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST"), text


# ---------------------------------------------------------------- no record, no data


def test_without_the_record_there_is_no_answer(writable: World) -> None:
    writable.execute("ALTER TABLE access_record ADD CONSTRAINT broken CHECK (false) NOT VALID")
    try:
        statuses = {
            name: writable.post(name, document, None, purpose).status_code
            for name, document, purpose in (
                ("support", CUSTOMERS, SERVICE),
                ("carrier", DELIVERIES, None),
                ("newsletter", "{ customers { nodes { email } } }", None),
                ("customer", "{ customers { nodes { email } } }", None),
            )
        }
    finally:
        writable.execute("ALTER TABLE access_record DROP CONSTRAINT broken")
    assert statuses == {"support": 500, "carrier": 500, "newsletter": 500, "customer": 200}


def test_without_the_disclosure_there_is_no_answer_to_a_partner(writable: World) -> None:
    writable.execute("TRUNCATE disclosure")
    writable.gateway.noted.clear()
    writable.execute("ALTER TABLE disclosure ADD CONSTRAINT broken CHECK (false) NOT VALID")
    try:
        with recorded(writable) as records:
            assert writable.post("carrier", DELIVERIES).status_code == 500
    finally:
        writable.execute("ALTER TABLE disclosure DROP CONSTRAINT broken")
    assert records == []
