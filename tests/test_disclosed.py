"""To whom data went: once for each recipient, delivery and set of fields; and nobody else is given any."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from schema.scalars import global_id
from tests.shipments import send
from tests.test_records import recorded
from tests.world import World
from tests.writing import at_once, key_of

ALL = "{ deliveries(first: 100) { nodes { id reference recipientName recipientPhone } } }"
ONE = "query One($id: ID!) { delivery(id: $id) { %s } }"
LETTERS = "{ customers(first: 50) { nodes { id email firstName } } }"


@pytest.fixture(autouse=True)
def nothing_disclosed(writable: World) -> None:
    writable.execute("TRUNCATE disclosure")
    writable.gateway.noted.clear()


def disclosures(world: World, **wanted: Any) -> list[dict[str, Any]]:
    world.forget()
    rows = world.table("disclosure")
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def test_the_first_read_of_a_delivery_is_a_disclosure_and_the_second_is_none(writable: World) -> None:
    shown = writable.data("carrier", ALL)["deliveries"]["nodes"]
    first = disclosures(writable)
    writable.data("carrier", ALL)
    assert len(first) == len(shown) > 0
    assert disclosures(writable) == first
    carrier = writable.askers["carrier"].carrier_id
    name = next(row["name"] for row in writable.table("carrier") if row["id"] == carrier)
    owner = {row["id"]: row["customer_id"] for row in writable.table("delivery")}
    for row in first:
        assert (row["recipient"], row["purpose"], row["at"]) == (name, "delivery", writable.now)
        assert row["customer_id"] == owner[row["ref_id"]]
        assert row["id"].version == 7
        assert (row["visible_to_subject"], row["statute"]) == (True, None)


def test_each_set_of_fields_is_a_disclosure_of_its_own(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    for fields in ("reference", "recipientName reference", "a: reference", "reference recipientName", "id"):
        writable.data("carrier", ONE % fields, {"id": sent.delivery_id})
    found = [row["fields"] for row in disclosures(writable, ref_id=sent.delivery)]
    assert sorted(found) == [["Delivery.recipientName", "Delivery.reference"], ["Delivery.reference"]]


def test_what_the_windows_hide_from_a_carrier_is_not_said_to_be_disclosed(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    fields = "reference recipientName recipientPhone"
    seen: list[list[str]] = []
    for day in (0, 10, 40):
        before = disclosures(writable, ref_id=sent.delivery)
        with writable.at(writable.now + timedelta(days=day)):
            data = writable.data("carrier", ONE % fields, {"id": sent.delivery_id})["delivery"]
        fresh = [row for row in disclosures(writable, ref_id=sent.delivery) if row not in before]
        (row,) = fresh
        seen.append(row["fields"])
        shown = {f"Delivery.{name}" for name, value in data.items() if value is not None}
        assert shown <= set(row["fields"])
    assert seen == [
        ["Delivery.recipientName", "Delivery.recipientPhone", "Delivery.reference"],
        ["Delivery.recipientName", "Delivery.reference"],
        ["Delivery.reference"],
    ]


def test_another_delivery_or_other_fields_of_a_page_given_before_are_disclosed(writable: World) -> None:
    document = "query All($n: Int!) { deliveries(first: $n) { nodes { id %s } } }"
    shown = 0
    for fields, number in (("reference", 2), ("reference", 2), ("reference", 3), ("recipientName", 3)):
        nodes = writable.data("carrier", document % fields, {"n": number})["deliveries"]["nodes"]
        given = {row["ref_id"] for row in disclosures(writable, fields=[f"Delivery.{fields}"])}
        assert {key_of(node["id"]) for node in nodes if node.get(fields)} <= given
        shown += len(given)
    assert shown > 0


NAMES = "{ deliveries(first: 100) { nodes { id recipientName } } }"
REPEATED = [("carrier", ALL, None, "disclosure"), ("support", NAMES, "customer-service", "daily_subject")]


@pytest.mark.parametrize(("name", "document", "purpose", "table"), REPEATED)
def test_what_repeats_writes_its_record_alone_until_something_is_new(
    writable: World, name: str, document: str, purpose: str | None, table: str
) -> None:
    """However short the statement is, of each answer there is one record, and what is new is written down."""
    written = []
    for _ in range(4):
        with writable.recorded() as statements, recorded(writable) as records:
            writable.data(name, document, None, purpose)
        (statement,) = (one for one in statements if "INSERT INTO access_record" in one)
        assert len(records) == 1
        written.append(f"INSERT INTO {table}" in statement)
    assert written == [True, True, False, False]
    sent = send(writable, "IN_TRANSIT")
    with recorded(writable) as records:
        data = writable.data(name, document, None, purpose)
    (record,) = records
    assert sent.customer in record["subject_ids"]
    assert global_id("Delivery", sent.delivery) in str(data) or global_id("Customer", sent.customer) in str(
        data
    )
    assert sent.customer in {row["customer_id"] for row in writable.table(table)}


def test_many_at_once_disclose_once(writable: World) -> None:
    shown = writable.data("carrier", "{ deliveries(first: 100) { nodes { id } } }")["deliveries"]["nodes"]
    at_once(*[lambda: writable.data("carrier", ALL)] * 12)
    found = disclosures(writable)
    assert len(found) == len({row["ref_id"] for row in found}) == len(shown)


def test_the_newsletter_s_provider_is_a_recipient_of_each_customer_it_is_given(writable: World) -> None:
    nodes = writable.data("newsletter", LETTERS)["customers"]["nodes"]
    found = disclosures(writable)
    assert len(found) == len(nodes) > 0
    assert {(row["recipient"], row["purpose"]) for row in found} == {("Newsletter provider", "newsletter")}
    assert all(row["ref_id"] == row["customer_id"] for row in found)
    assert {tuple(row["fields"]) for row in found} == {("Customer.email", "Customer.firstName")}


def test_what_employees_and_customers_read_is_no_disclosure(writable: World) -> None:
    writable.data("support", "{ customers { nodes { email } } }", None, "customer-service")
    writable.data("customer", "{ deliveries { nodes { recipientName } } }")
    assert disclosures(writable) == []


def test_what_a_carrier_s_change_shows_it_is_disclosed(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    document = """mutation($i: UpdateDeliveryInput!) {
        updateDelivery(input: $i) { delivery { recipientName } userErrors { code } } }"""
    given = {"id": sent.delivery_id, "weightGrams": 700}
    with recorded(writable) as records:
        writable.data("carrier", document, {"i": given})
    assert [row["fields"] for row in disclosures(writable)] == [["Delivery.recipientName"]]
    assert sorted(record["fields"] for record in records) == [
        ["Delivery.recipientName"],
        ["Delivery.weightGrams"],
    ]
    assert {tuple(record["subject_ids"]) for record in records} == {(sent.customer,)}


def test_a_carrier_that_is_on_no_list_is_given_no_personal_field(writable: World) -> None:
    carrier = writable.askers["carrier-2"].carrier_id
    name = next(row["name"] for row in writable.table("carrier") if row["id"] == carrier)
    writable.execute("UPDATE carrier SET name = 'Nobody of the list' WHERE id = $1", carrier)
    writable.gateway.principals.hear(hears=True)
    try:
        status, body = writable.ask("carrier-2", "{ deliveries { nodes { id recipientName } totalCount } }")
        sorting = "{ deliveries(orderBy: [{reference: ASC}]) { totalCount } }"
        assert "errors" in writable.ask("carrier-2", sorting)[1]
    finally:
        writable.execute("UPDATE carrier SET name = $2 WHERE id = $1", carrier, name)
        writable.gateway.principals.hear(hears=True)
    (refusal,) = body["errors"]
    assert (status, refusal["extensions"]["coordinate"]) == (200, "Delivery.recipientName")
    assert {node["recipientName"] for node in body["data"]["deliveries"]["nodes"]} == {None}
    assert disclosures(writable) == []


def test_a_read_that_fails_discloses_nothing(writable: World) -> None:
    gone = global_id("Delivery", uuid.UUID(int=9))
    names = "nodes { id recipientName events { nodes { status } } }"
    for document in (
        f'{{ deliveries(after: "{gone}") {{ {names} }} }}',
        f'{{ deliveries(before: "{gone}") {{ edges {{ node {{ recipientName }} }} }} }}',
        f'{{ deliveries {{ nodes {{ recipientName events(after: "{gone}") {{ nodes {{ status }} }} }} }} }}',
        f'{{ a: deliveries {{ {names} }} b: deliveries(after: "{gone}") {{ nodes {{ id }} }} }}',
    ):
        with recorded(writable) as records:
            body = writable.ask("carrier", document)[1]
        assert "data" not in body, document
        assert records == []
    writable.data("carrier", f'{{ delivery(reference: "{gone}") {{ recipientName }} }}')
    assert disclosures(writable) == []


def test_what_a_partner_finds_by_a_field_is_disclosed_though_it_is_not_shown(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    document = "query($id: ID!) { deliveries(where: {id: {eq: $id}, status: {eq: IN_TRANSIT}}) { %s } }"
    for shown in ("nodes { id }", "totalCount"):
        writable.execute("TRUNCATE disclosure")
        writable.data("carrier", document % shown, {"id": sent.delivery_id})
        assert [row["fields"] for row in disclosures(writable, ref_id=sent.delivery)] == [["Delivery.status"]]


def test_an_event_is_disclosed_as_a_part_of_its_delivery(writable: World) -> None:
    deliveries = "{ deliveries(first: 50) { nodes { id events { nodes { id } } } } }"
    nodes = writable.data("carrier", deliveries)["deliveries"]["nodes"]
    node = next(node for node in nodes if node["events"]["nodes"])
    event = node["events"]["nodes"][0]["id"]
    writable.data("carrier", f'{{ node(id: "{event}") {{ ... on DeliveryEvent {{ status }} }} }}')
    (row,) = disclosures(writable)
    assert (global_id("Delivery", row["ref_id"]), row["fields"]) == (node["id"], ["DeliveryEvent.status"])
