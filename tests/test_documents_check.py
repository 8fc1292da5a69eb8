"""`gateway documents check`: what a manifest would be refused, and what a change of policy would break."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from gateway.cli import cli
from gateway.config import Settings
from gateway.policy import default_folder
from schema.scalars import global_id
from tests.trusting import FOLDER, IDS, knowing
from tests.world import World

CUSTOMER, DELIVERY, ORDER = (global_id(kind, uuid.UUID(int=7)) for kind in ("Customer", "Delivery", "Order"))


@pytest.fixture(autouse=True)
def _no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command needs neither a database nor the name of one."""
    monkeypatch.delenv("GATEWAY_DATABASE_URL", raising=False)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A copy of the policy that a test may change."""
    return Path(shutil.copytree(default_folder(), tmp_path / "policies"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["documents", "check", *map(str, arguments)])


def report(*arguments: object, status: int = 0) -> dict[str, Any]:
    """The report as JSON."""
    found = run(*arguments, "--json")
    assert found.exit_code == status, found.output
    read: dict[str, Any] = json.loads(found.output)
    return read


def judged(tmp_path: Path, document: str, role: str, *more: object, status: int = 0) -> dict[str, Any]:
    """What is said of one document."""
    path = tmp_path / "one.json"
    path.write_text(json.dumps({hashlib.sha256(document.encode()).hexdigest(): document}))
    (found,) = report(path, "--as", role, *more, status=status)["documents"]
    return dict(found)


def problems(found: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(one["code"], one.get("coordinate"), one.get("use")) for one in found["problems"]]


def drop(policies: Path, role: str, coordinate: str, use: str = "read") -> None:
    """Takes a role's grant out of the policy."""
    path = policies / f"{role}.csv"
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(f"p, {role}, {coordinate}, {use},")]
    assert len(kept) < len(lines)
    path.write_text("".join(kept))


# ---------------------------------------------------------------- a folder, and a change of the policy


def test_the_documents_of_a_folder_are_checked_for_the_roles_that_send_them() -> None:
    found = report("--folder", FOLDER)
    assert found["refused"] == 0
    sent = {(one["name"], one["role"], one["recipient"]) for one in found["documents"]}
    assert {name for name, role, _ in sent if role == "anonymous"} == {"SignIn", "WhoAmI"}
    assert {name for name, role, _ in sent if role == "customer"} == set(IDS)
    assert {who for _, role, who in sent if role == "carrier"} == {"Posti"}
    withheld = [one["withheld"] for one in found["documents"] if one["name"] == "DeliveriesQuery"]
    assert withheld == [["Delivery.recipientName"]]


def test_a_change_of_the_policy_that_breaks_a_client_is_found_before_it_is_deployed(policies: Path) -> None:
    assert report("--folder", FOLDER, "--policy", policies)["refused"] == 0
    drop(policies, "customer", "Order.placedAt")
    found = report("--folder", FOLDER, "--policy", policies, status=1)
    (broken,) = (one for one in found["documents"] if one["problems"])
    assert (broken["application"], broken["name"], broken["id"], broken["role"]) == (
        *("storefront", "MyOrders", IDS["MyOrders"], "customer"),
    )
    (problem,) = broken["problems"]
    assert problem == {
        "code": "FIELD_FORBIDDEN",
        "message": "field `Order.placedAt` is not granted",
        "coordinate": "Order.placedAt",
        "fieldPath": ["customers", "nodes", "orders", "nodes", "placedAt"],
        "location": {"line": 26, "column": 3},
        "new": True,
    }
    assert found["policy"] != found["before"]
    printed = run("--folder", FOLDER, "--policy", policies)
    assert printed.exit_code == 1
    said = "as customer: NEW FIELD_FORBIDDEN: field `Order.placedAt` is not granted (line 26)"
    assert f"storefront.json: `MyOrders` ({IDS['MyOrders']}) {said}" in printed.output


def test_what_is_refused_already_is_not_called_new(policies: Path, tmp_path: Path) -> None:
    document = "query A { customers { nodes { firstName unsubscribeUrl } } }"
    drop(policies, "customer", "Customer.firstName")
    found = judged(tmp_path, document, "customer", "--policy", policies, status=1)
    assert {one["coordinate"]: one["new"] for one in found["problems"]} == {
        "Customer.firstName": True,
        "Customer.unsubscribeUrl": False,
    }


def test_a_changed_list_of_recipients_breaks_a_partner(policies: Path) -> None:
    path = policies / "recipients.yaml"
    recipients = yaml.safe_load(path.read_text())
    posti = recipients[0]
    posti["fields"] = [field for field in posti["fields"] if field != "Delivery.recipientName"]
    path.write_text(yaml.safe_dump(recipients))
    found = report("--folder", FOLDER, "--policy", policies, status=1)
    broken = {one["name"]: problems(one) for one in found["documents"] if one["problems"]}
    refused = [("FIELD_FORBIDDEN", "Delivery.recipientName", None)]
    assert broken == {"DeliveriesQuery": refused, "DeliveryRefetchQuery": refused}


def test_a_mutation_loses_its_grant(policies: Path) -> None:
    drop(policies, "customer", "Mutation.updateCustomer", "execute")
    found = report("--folder", FOLDER, "--policy", policies, status=1)
    broken = [(one["name"], problems(one)) for one in found["documents"] if one["problems"]]
    assert broken == [("ChangeProfile", [("FIELD_FORBIDDEN", "Mutation.updateCustomer", None)])]


def test_a_policy_that_is_none_is_not_tried(policies: Path) -> None:
    (policies / "customer.csv").write_text("")
    found = run("--folder", FOLDER, "--policy", policies)
    assert found.exit_code == 1
    assert "customer.csv" in str(found.exception)


# ---------------------------------------------------------------- what is judged

JUDGED: dict[str, tuple[str, str, str | None, list[tuple[str, str | None, str | None]]]] = {
    "a field": (
        "query A { customers { nodes { email unsubscribeUrl } } }",
        *("customer", None, [("FIELD_FORBIDDEN", "Customer.unsubscribeUrl", None)]),
    ),
    "a field for another purpose": (
        "query A { customers { nodes { streetAddress } } }",
        *("support", None, [("PURPOSE_REQUIRED", "Customer.streetAddress", None)]),
    ),
    "a field for its purpose": (
        "query A { customers { nodes { streetAddress } } }",
        *("support", "customer-service", []),
    ),
    "a condition": (
        'query A { customers(where: {surname: {eq: "x"}}) { nodes { id } } }',
        *("support", None, [("PURPOSE_REQUIRED", "Customer.surname", "FILTER")]),
    ),
    "an order": (
        "query A { customers(orderBy: [{surname: ASC}]) { nodes { id } } }",
        *("support", None, [("PURPOSE_REQUIRED", "Customer.surname", "SORT")]),
    ),
    "a field on a condition": (
        "query A($a: Boolean = false) { customers { nodes { id unsubscribeUrl @include(if: $a) } } }",
        *("customer", None, [("FIELD_FORBIDDEN", "Customer.unsubscribeUrl", None)]),
    ),
    "a field but on a condition": (
        "query A($a: Boolean!) { customers { nodes { id unsubscribeUrl @skip(if: $a) } } }",
        *("customer", None, [("FIELD_FORBIDDEN", "Customer.unsubscribeUrl", None)]),
    ),
    "a field on two conditions": (
        "query A($a: Boolean!, $b: Boolean!)"
        " { customers { nodes { id unsubscribeUrl @include(if: $a) @skip(if: $b) } } }",
        *("customer", None, [("FIELD_FORBIDDEN", "Customer.unsubscribeUrl", None)]),
    ),
    "a field on one of many conditions": (
        "query A($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean!, $e: Boolean!, $f: Boolean!,"
        " $g: Boolean!) { customers { nodes { id number @skip(if: $a) surname @skip(if: $b)"
        " phone @skip(if: $c) email @skip(if: $d) postalTown @skip(if: $e) status @skip(if: $f)"
        " unsubscribeUrl @include(if: $g) @skip(if: $a) } } }",
        *("customer", None, [("FIELD_FORBIDDEN", "Customer.unsubscribeUrl", None)]),
    ),
    "either argument of a look-up": (
        "query A($id: ID, $email: String) { customer(id: $id, email: $email) { id } }",
        *("support", None, [("PURPOSE_REQUIRED", "Customer.email", "FILTER")]),
    ),
    "the type that a node is of": (
        "query A($id: ID!) { node(id: $id) { ...F } } fragment F on Customer { id }",
        *("carrier", None, [("FIELD_FORBIDDEN", "Query.node", None)]),
    ),
    "a node of a granted type": (
        "query A($ids: [ID!]!) { nodes(ids: $ids) { ... on Delivery { reference } } }",
        *("carrier", None, []),
    ),
    "a long list": (
        "query A { orders(first: 100) { nodes { billingName } } }",
        *("finance", "accounting", [("PURPOSE_REQUIRED", "Order.billingName", None)]),
    ),
    "a subscription": (
        "subscription A($id: ID!) { deliveryUpdated(orderId: $id) { reference } }",
        *("carrier", None, [("FIELD_FORBIDDEN", "Delivery.order", "FILTER")]),
    ),
    "a payload": (
        "mutation A($i: UpdateCustomerInput!) { updateCustomer(input: $i) { customer { unsubscribeUrl } } }",
        *("customer", None, [("FIELD_FORBIDDEN", "Customer.unsubscribeUrl", None)]),
    ),
    "an input in the document": (
        'mutation A($id: ID!) { updateDelivery(input: {id: $id, trackingCode: "x", parcelCount: 2})'
        " { userErrors { code } } }",
        *("carrier", None, [("FIELD_FORBIDDEN", "Delivery.parcelCount", "UPDATE")]),
    ),
    "what costs too much": (
        "query A { customers(first: 100) { nodes { orders(first: 100) { nodes { deliveries(first: 100) {"
        " nodes { id } } } } } } }",
        *("customer", None, [("TOO_COMPLEX", None, None)]),
    ),
    "a page that nobody may have": (
        "query A { orders(first: 101) { nodes { id } } }",
        *("customer", None, [("BAD_PAGE", None, None)]),
    ),
    "what does not fit the schema": (
        "query A { nothing }",
        *("customer", None, [("VALIDATION_FAILED", None, None)]),
    ),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_document_that_would_be_refused_is_found(tmp_path: Path, name: str) -> None:
    document, role, purpose, expected = JUDGED[name]
    more = () if purpose is None else ("--purpose", purpose)
    recipient = ("--recipient", "Posti") if role == "carrier" else ()
    found = judged(tmp_path, document, role, *more, *recipient, status=1 if expected else 0)
    assert problems(found) == expected


@pytest.fixture(scope="module")
def short(world: World) -> Iterator[World]:
    """The register behind a gateway with the usual limit of lists."""
    with knowing(world, list_limit=Settings.model_fields["list_limit"].default) as one:
        yield one


# The variables by which a request meets what the check found.
MET: dict[str, dict[str, Any]] = {
    "a field on a condition": {"a": True},
    "a field but on a condition": {"a": False},
    "a field on two conditions": {"a": True, "b": False},
    "a field on one of many conditions": dict.fromkeys("abcdef", False) | {"g": True},
    "either argument of a look-up": {"email": "nobody@example.com"},
    "the type that a node is of": {"id": CUSTOMER},
    "a node of a granted type": {"ids": [DELIVERY]},
    "a subscription": {"id": ORDER},
    "a payload": {"i": {"id": CUSTOMER}},
    "an input in the document": {"id": DELIVERY},
}


@pytest.mark.parametrize("name", JUDGED)
def test_what_is_found_is_what_a_request_is_refused(short: World, name: str) -> None:
    """The check foretells the codes and coordinates of the answer to the same document."""
    document, role, purpose, expected = JUDGED[name]
    headers = {"Accept": "text/event-stream"} if document.startswith("subscription") else {}
    found = short.post(role, document, MET.get(name), purpose, headers=headers)
    events = [line[6:] for line in found.text.splitlines() if line.startswith("data: {")]
    body = json.loads(events[0]) if headers else found.json()
    errors = [one["extensions"] for one in body.get("errors", [])]
    assert [(one["code"], one.get("coordinate"), one.get("use")) for one in errors] == expected


def test_what_depends_on_variables_is_said(tmp_path: Path) -> None:
    lists = "query A($n: Int, $w: OrderWhere) { orders(first: $n, where: $w) { nodes { billingName } } }"
    notes = judged(tmp_path, lists, "finance", "--purpose", "accounting")["notes"]
    assert any(
        one.startswith("with pages of 100: PURPOSE_REQUIRED: field `Order.billingName`") for one in notes
    )
    assert any(one.startswith("`$w` decides what is compared") for one in notes)
    change = "mutation A($i: UpdateDeliveryInput!) { updateDelivery(input: $i) { userErrors { code } } }"
    (note,) = judged(tmp_path, change, "carrier", "--recipient", "Posti")["notes"]
    assert note.startswith("may not be set by `Mutation.updateDelivery`: ")
    assert "UpdateDeliveryInput.parcelCount" in note


def test_without_a_recipient_a_document_is_judged_for_each(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"a": "query A { deliveries { nodes { recipientName } } }"}))
    recipients = {one["recipient"] for one in report(path, "--as", "carrier")["documents"]}
    assert {"Posti", "Matkahuolto"} <= recipients


# ---------------------------------------------------------------- how it is called


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give manifests, `--folder` or GATEWAY_DOCUMENTS_FOLDER"),
        (("--folder", FOLDER, "--as", "customer"), "a folder says its own"),
        ((FOLDER / "storefront.json",), "`--as` takes one of"),
        ((FOLDER / "storefront.json", "--as", "nobody"), "`--as` takes one of"),
        ((FOLDER / "storefront.json", "--as", "support", "--purpose", "fun"), "unknown purpose `fun`"),
        ((FOLDER / "storefront.json", "--as", "support", "--recipient", "Posti"), "is no partner"),
        ((FOLDER / "other.json", "--as", "customer"), "other.json: the file is missing"),
    ],
)
def test_what_cannot_be_checked_is_said(arguments: tuple[object, ...], said: str) -> None:
    found = run(*arguments)
    assert found.exit_code == 1
    assert said in str(found.exception)


def test_the_folder_of_the_settings_is_checked_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DOCUMENTS_FOLDER", str(FOLDER))
    assert report()["refused"] == 0
