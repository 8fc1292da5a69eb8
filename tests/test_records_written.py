"""What the record says of changes: what was written and what was refused, counted like what is read."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.config import Settings
from gateway.errors import StartError
from schema import formats
from schema.scalars import global_id
from tests.live import Served, served
from tests.logged import Collected
from tests.partners import from_address, issued, reason
from tests.shipments import change, codes, document, send
from tests.test_delivery_events import ABSENT, event, outcomes, report
from tests.test_disclosures import DISCLOSE, OFFICER, PURPOSE, customer_of, demand, disclosed
from tests.test_records import recorded
from tests.world import World
from tests.writing import another_gateway, kept

Rows = list[dict[str, Any]]


def told(records: Rows) -> list[tuple[str, list[str], set[uuid.UUID]]]:
    return [(one["decision"], one["fields"], set(one["subject_ids"])) for one in records]


# ---------------------------------------------------------------- the same again


def test_a_repeated_request_is_recorded_as_the_read_it_is(writable: World) -> None:
    """The export is given again, so its fields and its customer are on the record; no input is."""
    key = str(uuid.uuid4())
    disclosed(writable, idempotencyKey=key)
    with recorded(writable) as records:
        disclosed(writable, idempotencyKey=key)
    exported = [one for one in records if "Customer.email" in one["fields"]]
    assert told(exported) == [("ALLOWED", ["Customer.email"], {customer_of(writable)})]


def test_a_repeated_request_that_shows_nothing_leaves_no_record(writable: World) -> None:
    sent = send(writable, order={"status": "PAID"})
    given = {"orderId": sent.order_id, "serviceCode": "HOME", "idempotencyKey": str(uuid.uuid4())}
    counts = []
    for _ in range(2):
        with recorded(writable) as records:
            assert codes(change(writable, "warehouse", "createDelivery", given, "__typename")) == []
        counts.append([(one["decision"], set(one["subject_ids"])) for one in records])
    assert counts == [[("ALLOWED", {sent.customer})], []]


# ---------------------------------------------------------------- the quota


@pytest.fixture
def single(writable: World) -> Iterator[World]:
    """A gateway that lets an employee have to do with one customer a day."""
    writable.execute("TRUNCATE daily_subject, daily_reading")
    with another_gateway(writable, read_quota=1) as single:
        yield single
    writable.execute("TRUNCATE daily_subject, daily_reading")


def test_what_goes_to_an_authority_counts_and_beyond_the_quota_nothing_is_done(single: World) -> None:
    disclosed(single)
    disclosed(single, fields=["Customer.phone"])
    other, before = global_id("Customer", customer_of(single, "customer-2")), len(kept(single, "disclosure"))
    with recorded(single) as records:
        status, body = single.ask(OFFICER, DISCLOSE, {"input": demand(single, customer=other)}, PURPOSE)
    assert (status, [one["extensions"]["code"] for one in body["errors"]]) == (429, ["READ_QUOTA"])
    assert "data" not in body
    assert len(kept(single, "disclosure")) == before
    (record,) = records
    assert (record["decision"], "Customer.email" in record["fields"]) == ("REFUSED", True)
    assert [row["subjects"] for row in kept(single, "daily_reading")] == [1]


def test_a_change_that_shows_nothing_counts_too(single: World) -> None:
    text = """mutation($i: UpdateCustomerInput!) { updateCustomer(input: $i) { userErrors { code } } }"""
    statuses = []
    for name in ("customer", "customer-2"):
        given = {"id": global_id("Customer", customer_of(single, name)), "postalTown": "Oulu"}
        statuses.append(single.post("support", text, {"i": given}, "customer-service").status_code)
    assert statuses == [200, 429]
    assert len(kept(single, "daily_subject")) == 1


def test_a_disclosure_goes_alone(writable: World) -> None:
    given = "{ __typename }"
    text = f"""mutation ($input: DiscloseToAuthorityInput!) {{
        a: discloseToAuthority(input: $input) {given} b: discloseToAuthority(input: $input) {given} }}"""
    _, body = writable.ask(OFFICER, text, {"input": demand(writable)}, PURPOSE)
    assert [one["extensions"]["code"] for one in body["errors"]] == ["VALIDATION_FAILED"]


# ---------------------------------------------------------------- reports


def test_a_record_of_reports_is_of_those_that_were_kept(writable: World) -> None:
    """A duplicate is in none; one on a delivery that is not the carrier's is in one of refusals."""
    kept_one, known = send(writable, "IN_TRANSIT"), send(writable, "IN_TRANSIT", asker="customer-2")
    first = event(known.delivery, "AT_PICKUP_POINT")
    report(writable, first)
    strange = event(ABSENT, "DELIVERED", signedBy="Somebody")
    with recorded(writable) as records:
        found = report(writable, first, event(kept_one.delivery, "AT_PICKUP_POINT"), strange)
    assert outcomes(found) == [("DUPLICATE",), ("RECORDED",), ("REFUSED", "NOT_FOUND")]
    written = [one for one in records if "DeliveryEvent.status" in one["fields"]]
    by_decision = {one["decision"]: one for one in written}
    assert set(by_decision) == {"ALLOWED", "REFUSED"}
    assert set(by_decision["ALLOWED"]["subject_ids"]) == {kept_one.customer}
    assert "Delivery.signedBy" not in by_decision["ALLOWED"]["fields"]
    assert "Delivery.signedBy" in by_decision["REFUSED"]["fields"]
    assert by_decision["REFUSED"]["subject_ids"] == []


def test_reports_of_which_none_is_kept_are_no_write(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    first = event(sent.delivery, "AT_PICKUP_POINT")
    report(writable, first)
    text = document("reportDeliveryEvent", "__typename")
    for events, wanted in (([first], []), ([event(ABSENT, "DELIVERED")], ["REFUSED"])):
        with recorded(writable) as records:
            writable.data("carrier", text, {"input": {"events": events}})
        assert [one["decision"] for one in records] == wanted


# ---------------------------------------------------------------- refusals


def test_an_answer_that_tells_of_a_row_is_recorded_as_refused(writable: World) -> None:
    """Whether there is an order, and whether it can be called off, are told to nobody unseen."""
    sent = send(writable, "IN_TRANSIT")
    for order, wanted in ((sent.order_id, "INVALID_TRANSITION"), (global_id("Order", ABSENT), "NOT_FOUND")):
        with recorded(writable) as records:
            found = change(
                writable, "support", "cancelOrder", {"id": order}, "__typename", "customer-service"
            )
        assert [code for code, _ in codes(found)] == [wanted]
        assert [(one["decision"], one["subject_ids"]) for one in records] == [("REFUSED", [])]
        assert records[0]["fields"]


def test_a_customers_own_mistakes_are_not_recorded(writable: World) -> None:
    with recorded(writable) as records:
        change(writable, "customer", "cancelOrder", {"id": global_id("Order", ABSENT)}, "__typename")
    assert records == []


def test_refusals_beyond_the_limit_are_told_once_a_minute_in_the_log(
    writable: World, logged: Collected
) -> None:
    with another_gateway(writable, refusal_records_per_minute=2) as bounded:
        for _ in range(5):
            bounded.post("carrier-2", "{ customers { nodes { id } } }")
    (line,) = logged.events("refusals_not_recorded")
    assert (line["level"], line["role"], line["rows"]) == ("warning", "carrier", 2)
    assert len(line["request_id"]) == 32


def test_refused_changes_are_within_the_same_limit(writable: World) -> None:
    given = {"id": global_id("Order", ABSENT)}
    with another_gateway(writable, refusal_records_per_minute=2) as bounded, recorded(bounded) as records:
        for _ in range(4):
            change(bounded, "support", "cancelOrder", given, "__typename", "customer-service")
    assert len(records) == 2


def test_an_employee_who_acts_as_somebody_else_is_recorded(writable: World) -> None:
    with recorded(writable) as records:
        response = writable.post("support", "{ viewer { role } }", headers={"Act-As": "finance"})
    assert response.status_code == 403
    ((decision, fields, subjects),) = told(records)
    assert (decision, fields, subjects) == ("REFUSED", [], set())
    assert records[0]["principal_id"].startswith("RW1wbG95ZWU6")


def test_who_is_refused_the_schema_as_somebody_else_is_recorded(writable: World) -> None:
    headers = {**writable.askers["support"].headers, "Act-As": "finance"}
    with recorded(writable) as records:
        assert writable.client.get("/schema.graphql", headers=headers).status_code == 403
    assert [(one["decision"], one["role"], one["fields"]) for one in records] == [("REFUSED", "support", [])]


def test_a_partners_token_from_a_strange_network_is_recorded(writable: World) -> None:
    name = issued(writable, networks=["192.0.2.0/24"])
    with recorded(writable) as records:
        assert reason(from_address(writable, "198.51.100.1"), name) == "network"
    assert [(one["decision"], one["role"]) for one in records] == [("REFUSED", "carrier")]


# ---------------------------------------------------------------- names and references


@pytest.fixture
def live(writable: World) -> Iterator[Served]:
    with served(writable) as found:
        yield found


def test_a_wrong_case_reference_ends_the_socket_when_it_is_initialised(live: Served) -> None:
    headers = live.world.askers["support"].headers
    with live.socket() as talk:
        payload = {**headers, "Case-Reference": "somebody@store.example"}
        talk.say({"type": "connection_init", "payload": payload})
        assert talk.ended() == (4400, "Invalid Case-Reference")


def test_a_caller_who_is_refused_a_socket_is_recorded(live: Served) -> None:
    with recorded(live.world) as records, live.socket() as talk:
        payload = {**live.world.askers["support"].headers, "Act-As": "finance"}
        talk.say({"type": "connection_init", "payload": payload})
        assert talk.ended()[0] == 4403
    assert [one["decision"] for one in records] == ["REFUSED"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Card", "Card"),
        ("Top100_2026", "Top100_2026"),
        ("x" * 70, "x" * 64),
        ("Call_040_123_4567", None),
        ("Call0401234567", None),
        ("Of123456", None),
    ],
)
def test_an_operations_name_is_kept_where_it_holds_no_number_of_somebodys(
    writable: World, name: str, wanted: str | None
) -> None:
    with recorded(writable) as records:
        writable.data("support", f"query {name} {{ customers(first: 1) {{ nodes {{ email }} }} }}")
    assert [one["operation_name"] for one in records] == [wanted]


@pytest.mark.parametrize("text", ["CASE-2026/17", "17", "#4711", "INC0012345", "T-1.2", "ABC_12-ab"])
def test_ordinary_numbers_of_cases_are_references(text: str) -> None:
    assert formats.case_reference(text) == text


@pytest.mark.parametrize(
    "text", ["CASE", "1-Maija-Meikalainen", "maija.meikalainen-1", "0401234567", "x1@store.example"]
)
def test_prose_and_addresses_are_no_references(text: str) -> None:
    with pytest.raises(formats.Malformed):
        formats.case_reference(text)


def test_a_store_says_what_its_references_look_like(writable: World) -> None:
    with another_gateway(writable, case_reference="T-[0-9]{1,4}") as other:
        statuses = [
            other.post("support", "{ viewer { role } }", headers={"Case-Reference": text}).status_code
            for text in ("T-17", "CASE-17")
        ]
    assert statuses == [200, 400]


def test_a_pattern_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://store.example/register")
    monkeypatch.setenv("GATEWAY_CASE_REFERENCE", "T-[0-9")
    with pytest.raises(StartError, match="GATEWAY_CASE_REFERENCE"):
        Settings.read()
