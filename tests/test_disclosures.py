"""What goes to an authority: exactly the fields that were named, of one customer, never without record."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import policies
from gateway.database import Transaction
from gateway.writes.disclosures import RECIPIENT
from schema.scalars import global_id
from tests.world import World
from tests.writing import USER_ERRORS, another_gateway, at_once, kept, key_of, recorded

OFFICER, PURPOSE = "privacy-officer", "authority-request"
DISCLOSE = f"""mutation ($input: DiscloseToAuthorityInput!) {{ discloseToAuthority(input: $input) {{
    export disclosure {{ id recipient purpose at fields statute requester caseNumber noticeStatus
    visibleToSubject }} {USER_ERRORS} }} }}"""
# Under this purpose, of every kind of row that is about a customer: text, money, address, time, number.
FIELDS = [
    *("Customer.email", "Customer.phone", "Order.number", "Order.total", "Order.billingAddress"),
    *("OrderLine.name", "Delivery.reference", "Delivery.deliveredAt", "Delivery.parcelCount"),
    *("Delivery.recipientName", "Return.number", "Return.refundAmount"),
]


def demand(world: World, **changed: Any) -> dict[str, Any]:
    """The input of a disclosure about the first printed customer."""
    given = {
        "customer": global_id("Customer", customer_of(world)),
        "statute": "Test Act 2:1",
        "requester": "Test authority",
        "caseNumber": "T/1",
        "fields": ["Customer.email"],
    }
    return given | changed


def customer_of(world: World, name: str = "customer") -> uuid.UUID:
    found = world.askers[name].customer_id
    assert found is not None
    return found


def marked(world: World, column: str) -> uuid.UUID:
    """A customer who is restricted or erased."""
    found: uuid.UUID = next(row["id"] for row in world.table("customer") if row[column] is not None)
    return found


def disclosed(world: World, **changed: Any) -> Any:
    """The payload of a disclosure that was made."""
    payload = world.data(OFFICER, DISCLOSE, {"input": demand(world, **changed)}, PURPOSE)
    assert payload["discloseToAuthority"]["userErrors"] == []
    return payload["discloseToAuthority"]


def refused(world: World, given: Mapping[str, Any], purpose: str = PURPOSE, name: str = OFFICER) -> Any:
    """What a disclosure was refused for, as code, coordinate and where it stands; nothing is asked for it."""
    with recorded() as statements:
        response = world.post(
            name, DISCLOSE, {"input": given}, purpose, headers={"Accept": "application/graphql-response+json"}
        )
    assert response.status_code == 403, response.text
    assert "data" not in response.json()
    assert statements == []
    found = [error["extensions"] for error in response.json()["errors"]]
    return [(one["code"], one["coordinate"], "/".join(one["fieldPath"])) for one in found]


def wrong(world: World, **changed: Any) -> list[tuple[str, str, str]]:
    """The `userErrors` of a disclosure that was not made."""
    before = len(kept(world, "disclosure"))
    (payload,) = world.data(OFFICER, DISCLOSE, {"input": demand(world, **changed)}, PURPOSE).values()
    assert (payload["disclosure"], payload["export"]) == (None, None)
    assert len(kept(world, "disclosure")) == before
    return [(one["code"], one["coordinate"], "/".join(one["path"])) for one in payload["userErrors"]]


# ---------------------------------------------------------------- the export


ASKED = """query ($id: ID!, $after: String) { customer(id: $id) { email phone
    orders(first: 100, after: $after, orderBy: [{id: ASC}]) { pageInfo { hasNextPage endCursor } nodes {
    number total { amount currency } billingAddress { streetAddress postalCode postalTown countryCode }
    lines(first: 100, orderBy: [{id: ASC}]) { nodes { id name } }
    deliveries(first: 100) { nodes { id reference deliveredAt parcelCount recipientName } }
    returns(first: 100) { nodes { id number refundAmount { amount currency } } } } } } }"""


def asked_of(world: World, customer: str) -> tuple[Any, list[Any]]:
    """The customer and all their orders, as answers to the officer; other tests may have placed many."""
    orders: list[Any] = []
    page = {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        given = {"id": customer, "after": page["endCursor"]}
        found = world.data(OFFICER, ASKED, given, PURPOSE)["customer"]
        orders += found["orders"]["nodes"]
        page = found["orders"]["pageInfo"]
    return found, orders


def test_an_export_has_exactly_the_named_fields_of_one_customer_written_as_answers_are(
    writable: World,
) -> None:
    found = disclosed(writable, fields=FIELDS)
    export = json.loads(found["export"])
    customer = global_id("Customer", customer_of(writable))
    asked, orders = asked_of(writable, customer)
    below = {
        name: sorted(
            (one for order in orders for one in order[relation]["nodes"]), key=lambda one: key_of(one["id"])
        )
        for name, relation in (("OrderLine", "lines"), ("Delivery", "deliveries"), ("Return", "returns"))
    }
    assert len(orders) >= 9
    assert all(below.values())
    assert export.pop("entities") == {
        "Customer": [{"email": asked["email"], "phone": asked["phone"]}],
        "Order": [{name: one[name] for name in ("billingAddress", "number", "total")} for one in orders],
        **{
            name: [{key: one[key] for key in one if key != "id"} for one in rows]
            for name, rows in below.items()
        },
    }
    assert export == {
        "format": "customer-export/1",
        "disclosure": found["disclosure"]["id"],
        "subject": customer,
        "madeAt": found["disclosure"]["at"],
        "fields": sorted(FIELDS),
    }


def test_a_disclosure_is_recorded_with_what_it_was_and_no_value(writable: World) -> None:
    response = writable.post(
        OFFICER,
        DISCLOSE,
        {"input": demand(writable, fields=["Customer.phone", "Customer.email", "Customer.phone"])},
        PURPOSE,
    )
    shown = response.json()["data"]["discloseToAuthority"]["disclosure"]
    fields = ["Customer.email", "Customer.phone"]
    (row,) = kept(writable, "disclosure", id=key_of(shown["id"]))
    assert row.pop("number") > 0
    assert row == {
        "id": key_of(shown["id"]),
        "customer_id": customer_of(writable),
        "recipient": "Authorities",
        "purpose": PURPOSE,
        "at": writable.now,
        "fields": fields,
        "fields_digest": hashlib.sha256(",".join(fields).encode()).digest(),
        "ref_id": key_of(shown["id"]),
        "statute": "Test Act 2:1",
        "requester": "Test authority",
        "case_number": "T/1",
        "visible_to_subject": False,
        "notice_status": "NOT_DUE",
        "policy_version": writable.gateway.policy.version,
        "notice_version": writable.gateway.policy.notice.version,
        "request_id": response.headers["x-request-id"],
    }


def test_authorities_are_on_the_list_of_recipients_for_this_purpose() -> None:
    folder = Path(policies.__path__[0])
    listed = {one["name"]: one for one in yaml.safe_load((folder / "recipients.yaml").read_text())}
    assert listed[RECIPIENT]["purposes"] == [PURPOSE]


def test_the_customer_is_shown_it_where_the_privacy_officer_says_so_and_nowhere_else(writable: World) -> None:
    shown = disclosed(writable, visibleToSubject=True)["disclosure"]["id"]
    hidden = disclosed(writable, visibleToSubject=False)["disclosure"]["id"]
    by_default = disclosed(writable)["disclosure"]["id"]
    listed = writable.data("customer", "{ disclosures(first: 100) { nodes { id } } }")["disclosures"]["nodes"]
    seen = {one["id"] for one in listed}
    assert shown in seen
    assert not {hidden, by_default} & seen


def test_what_is_left_of_the_restricted_and_the_erased_is_given_too(writable: World) -> None:
    """Restriction does not end what the law demands, and erasure leaves the vouchers."""
    fields = ["Customer.email", "Order.billingName"]
    restricted = marked(writable, "restricted_at")
    export = json.loads(
        disclosed(writable, customer=global_id("Customer", restricted), fields=fields)["export"]
    )
    (row,) = kept(writable, "customer", id=restricted)
    assert export["entities"]["Customer"] == [{"email": row["email"]}]
    erased = marked(writable, "erased_at")
    export = json.loads(disclosed(writable, customer=global_id("Customer", erased), fields=fields)["export"])
    assert export["entities"]["Customer"] == [{"email": None}]
    assert all(one["billingName"] for one in export["entities"]["Order"])


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "field", ["Customer.marketingConsent", "Order.internalNote", "ConsentEvent.at", "Return.refundIban"]
)
def test_a_field_that_is_not_granted_for_this_purpose_refuses_the_whole_and_is_named(
    writable: World, field: str
) -> None:
    given = demand(writable, fields=["Customer.email", field])
    ((code, coordinate, path),) = refused(writable, given)
    assert (coordinate, path) == (field, "discloseToAuthority/input/fields/1")
    assert code in ("FIELD_FORBIDDEN", "PURPOSE_REQUIRED")


@pytest.mark.parametrize("text", ["Customer.shoeSize", "matti@store.example", "", "Nobody.name", "String.x"])
def test_what_is_no_coordinate_is_refused_by_its_place_and_not_repeated(writable: World, text: str) -> None:
    found = refused(writable, demand(writable, fields=["Customer.email", text]))
    assert found == [
        ("FIELD_FORBIDDEN", "DiscloseToAuthorityInput.fields", "discloseToAuthority/input/fields/1")
    ]


@pytest.mark.parametrize("field", ["Customer.orders", "Carrier.name", "Order.customer", "Employee.name"])
def test_what_is_no_value_of_one_customer_cannot_be_named(writable: World, field: str) -> None:
    wanted = ("OUT_OF_RANGE", "DiscloseToAuthorityInput.fields", "fields/0")
    assert wrong(writable, fields=[field]) == [wanted]


def test_only_the_privacy_officer_discloses_and_only_for_this_purpose(writable: World) -> None:
    given, mutation = demand(writable), "Mutation.discloseToAuthority"
    assert refused(writable, given, "subject-rights")[0][:2] == ("PURPOSE_REQUIRED", mutation)
    for name in ("customer", "support", "register-admin", "finance", "carrier", "anonymous"):
        assert refused(writable, given, name=name)[0][:2] == ("FIELD_FORBIDDEN", mutation)


@pytest.mark.parametrize("name", ["statute", "requester", "caseNumber"])
@pytest.mark.parametrize("text", ["", " \t ", "a\u0007", "two\nlines", "x" * 201, "\u202eabc"])
def test_statute_requester_and_case_are_short_texts_on_one_line(
    writable: World, name: str, text: str
) -> None:
    assert wrong(writable, **{name: text}) == [("MALFORMED", f"Disclosure.{name}", name)]


def test_they_are_kept_without_the_white_space_around_them(writable: World) -> None:
    shown = disclosed(writable, statute="  Test Act 3:4 ", caseNumber="\tT/2")["disclosure"]
    assert (shown["statute"], shown["caseNumber"]) == ("Test Act 3:4", "T/2")


def test_every_mistake_is_told_at_once_and_a_customer_who_is_not_there_is_not_found(writable: World) -> None:
    assert wrong(writable, fields=[], statute="") == [
        ("MALFORMED", "Disclosure.statute", "statute"),
        ("REQUIRED", "DiscloseToAuthorityInput.fields", "fields"),
    ]
    nobody = global_id("Customer", uuid.uuid4())
    assert wrong(writable, customer=nobody) == [("NOT_FOUND", "Customer.id", "customer")]
    _, body = writable.ask(
        OFFICER, DISCLOSE, {"input": demand(writable, customer=global_id("Order", uuid.uuid4()))}, PURPOSE
    )
    assert body["errors"][0]["extensions"]["code"] == "BAD_ID"


# ---------------------------------------------------------------- once


def test_the_same_request_again_is_the_same_disclosure_and_another_is_a_conflict(writable: World) -> None:
    key = str(uuid.uuid4())
    first = disclosed(writable, idempotencyKey=key)
    with another_gateway(writable) as other:
        assert disclosed(other, idempotencyKey=key) == first
    found = wrong(writable, idempotencyKey=key, fields=["Customer.phone"])
    assert found == [("CONFLICT", "DiscloseToAuthorityInput.idempotencyKey", "idempotencyKey")]


def test_of_concurrent_requests_with_one_key_one_is_recorded(writable: World) -> None:
    key, case = str(uuid.uuid4()), str(uuid.uuid4())
    given = demand(writable, idempotencyKey=key, caseNumber=case)
    found = at_once(
        *[lambda: writable.ask(OFFICER, DISCLOSE, {"input": given}, PURPOSE)[1] for _ in range(4)]
    )
    assert len({json.dumps(one) for one in found}) == 1
    assert found[0]["data"]["discloseToAuthority"]["userErrors"] == []
    assert len(kept(writable, "disclosure", case_number=case)) == 1


def test_an_export_that_cannot_be_made_leaves_no_disclosure(writable: World) -> None:
    """The export is made after the row was written: both are of one transaction."""
    case = str(uuid.uuid4())
    given = demand(writable, caseNumber=case, fields=["ReturnLine.quantity"])
    writable.execute("ALTER TABLE return_line RENAME TO out_of_reach")
    try:
        status, body = writable.ask(OFFICER, DISCLOSE, {"input": given}, PURPOSE)
    finally:
        writable.execute("ALTER TABLE out_of_reach RENAME TO return_line")
    assert (status, body["errors"][0]["extensions"]["code"]) == (500, "INTERNAL")
    assert "data" not in body
    assert kept(writable, "disclosure", case_number=case) == []
    assert disclosed(writable, caseNumber=case, fields=["ReturnLine.quantity"])["export"]


def test_no_value_of_the_export_is_bound_or_written_into_a_statement(
    writable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = kept(writable, "customer", id=customer_of(writable))
    sent: list[str] = []
    send = Transaction.row

    async def sending(self: Transaction, sql: str, values: Any) -> Any:
        sent.append(f"{sql} {values}")
        return await send(self, sql, values)

    monkeypatch.setattr(Transaction, "row", sending)
    export = disclosed(writable, fields=["Customer.email"], caseNumber="T/17")["export"]
    assert row["email"] in export
    assert any("T/17" in one for one in sent)
    assert not any(row["email"] in one for one in sent)
