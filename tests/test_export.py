"""A copy of a person's data: everything that is tagged as theirs, nothing of others', and to them alone."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint

import gateway.privacy
from gateway.privacy.export_schema import export_schema
from gateway.privacy.parts import LEFT_OUT, PARENTS, PARTS, SUBJECTS, Part
from schema.inputs import camel
from schema.model import load_model
from schema.personal import PersonalColumn, personal_columns
from schema.scalars import global_id
from tests.exporting import (
    OFFICER,
    SCHEMA,
    SUPPORT,
    asked,
    customer_of,
    fetched,
    give_a_row_of_each_kind,
    mailed,
    on_behalf,
    path_of,
    requested,
)
from tests.signing_in import confirmed, registered
from tests.test_disclosures import disclosed
from tests.world import World
from tests.writing import GUEST, at_once, holder, kept, key_of, placed, recorded

ENDED = "INVALID_TRANSITION", "Customer.status", "customer"


def copy_of(world: World, name: str = "customer") -> Any:
    return fetched(world, path_of(requested(world, name)["link"]))


def rows_of(world: World, part: Part, customer: uuid.UUID) -> list[dict[str, Any]]:
    """The rows of a part's table that the customer may see, found the slow way."""
    rows = world.rows()[part.table_name]
    match part.table_name:
        case "customer":
            found = [row for row in rows if row["id"] == customer]
        case "access_record":
            told = [row for row in rows if row["decision"] == "ALLOWED"]
            told = [row for row in told if row["purpose"] != "authority-request"]
            found = [row for row in told if customer in row["subject_ids"]]
        case "disclosure":
            found = [row for row in rows if row["customer_id"] == customer and row["visible_to_subject"]]
        case _:
            found = [row for row in rows if row["customer_id"] == customer]
    keys = [key.name for key in part.table.primary_key]
    return sorted(found, key=lambda row: [str(row[key]) for key in keys])


def written(value: Any) -> Any:
    """A value as the copy writes it."""
    match value:
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case date():
            return value.isoformat()
        case Decimal() | uuid.UUID():
            return str(value)
        case _:
            return value


# ---------------------------------------------------------------- what is in it


def unexplained(columns: tuple[PersonalColumn, ...], copy: Mapping[str, Any]) -> list[str]:
    """The columns about customers that are in no row of a copy, and have no reason to be left out."""
    keys = {
        f"{part.table_name}.{key}"
        for part in PARTS
        for row in copy["parts"][part.name]["rows"]
        for key in row
    }
    about = [one for one in columns if not SUBJECTS.isdisjoint(one.tag.subjects)]
    names = [(one.name, *one.name.split(".")) for one in about if not LEFT_OUT.get(one.name)]
    return [name for name, table, column in names if f"{table}.{camel(column)}" not in keys]


def test_every_column_tagged_as_about_a_customer_is_in_the_copy_or_has_a_reason_not_to(
    writable: World,
) -> None:
    give_a_row_of_each_kind(writable, customer_of(writable))
    found, columns = copy_of(writable), personal_columns(load_model())
    assert unexplained(columns, found) == []
    new = PersonalColumn("customer.shoe_size", columns[0].tag, ())
    assert unexplained((new,), found) == ["customer.shoe_size"]


def test_what_is_left_out_is_a_column_about_customers_with_a_reason() -> None:
    about = {one.name for one in personal_columns(load_model()) if not SUBJECTS.isdisjoint(one.tag.subjects)}
    assert set(LEFT_OUT) <= about
    assert [name for name, reason in LEFT_OUT.items() if len(reason.split()) < 3] == []


def test_every_value_of_every_row_of_the_person_is_in_the_copy_as_it_is_kept(writable: World) -> None:
    customer = customer_of(writable)
    give_a_row_of_each_kind(writable, customer)
    found = copy_of(writable)
    writable.forget()
    for part in PARTS:
        rows, shown = rows_of(writable, part, customer), found["parts"][part.name]["rows"]
        if part.table_name == "mail":  # the letter with the link is written after the copy
            rows, shown = ([row for row in of if row["kind"] == "test"] for of in (rows, shown))
        columns = [column.name for column in part.columns if column.name not in ("actor", "retained")]
        assert rows
        wanted = [{camel(name): written(row[name]) for name in columns} for row in rows]
        names = [camel(name) for name in columns]
        assert [{name: row[name] for name in names} for row in shown] == wanted, part.name


def test_parts_have_headings_and_say_why_and_how_long_their_data_is_kept(writable: World) -> None:
    found = copy_of(writable)
    for part in found["parts"].values():
        assert part["heading"]
        assert part["purposes"]
        assert part["legalBases"]
        assert set(part["retention"]) <= set(found["retention"])
    assert found["controller"]["contact"] == writable.gateway.policy.controller.contact
    assert set(found["recipients"]) == set(writable.gateway.policy.recipients)


def test_a_copy_holds_no_secret_nobody_else_and_no_employee(writable: World) -> None:
    customer = customer_of(writable)
    give_a_row_of_each_kind(writable, customer)
    writable.data(
        *SUPPORT[:1], f'{{ customer(id: "{global_id("Customer", customer)}") {{ email }} }}', None, SUPPORT[1]
    )
    text = json.dumps(copy_of(writable), ensure_ascii=False)
    assert "kept-secret" not in text
    writable.forget()
    rows = writable.rows()
    secrets = {row["unsubscribe_token"] for row in rows["customer"]} | {
        row["hash"] for row in rows["partner_token"]
    }
    others = {row["email"] for row in rows["customer"] if row["id"] != customer} - {None}
    employees = {row[name] for row in rows["employee"] for name in ("name", "work_email")}
    ids = {global_id("Employee", row["id"]) for row in rows["employee"]}
    assert [one for one in secrets | others | employees | ids if one in text] == []
    assert '"role": "support", "purpose": "customer-service"' in text


def test_what_the_person_must_not_hear_of_is_in_no_copy(writable: World) -> None:
    """A disclosure to an authority that is hidden, and the look-ups for it."""
    disclosed(writable)
    shown = disclosed(writable, visibleToSubject=True, caseNumber="T/2", statute="Shown Act 1:1")
    found = copy_of(writable)["parts"]
    authorities = [one for one in found["disclosures"]["rows"] if one["recipient"] == "Authorities"]
    ids = {one["id"] for one in authorities}
    hidden = {
        global_id("Disclosure", row["id"]) for row in kept(writable, "disclosure", visible_to_subject=False)
    }
    assert shown["disclosure"]["id"] in ids
    assert hidden
    assert ids.isdisjoint(hidden)
    assert "Shown Act 1:1" in {one["statute"] for one in authorities}
    assert "authority-request" not in {one["purpose"] for one in found["lookUps"]["rows"]}


def test_who_did_something_is_told_by_kind_alone(writable: World) -> None:
    customer = customer_of(writable)
    actors = (
        global_id("Employee", uuid.uuid4()),
        global_id("PartnerToken", uuid.uuid4()),
        "clock",
        global_id("Customer", customer),
        "anonymous",
    )
    for actor in actors:
        writable.execute(
            "INSERT INTO change (id, customer_id, entity, entity_id, field, at, source, actor)"
            " VALUES (gen_random_uuid(), $1, 'Customer', $1, 'surname', now(), 'STAFF', $2)",
            customer,
            actor,
        )
    shown = {
        one["actor"] for one in copy_of(writable)["parts"]["changes"]["rows"] if one["field"] == "surname"
    }
    assert shown == {"EMPLOYEE", "PARTNER", "SYSTEM", "CUSTOMER", "ANONYMOUS"}


def test_the_schema_that_ships_is_made_of_the_parts() -> None:
    """`gateway subject schema > gateway/privacy/export.schema.json` writes it anew."""
    assert export_schema() == SCHEMA
    text = (Path(gateway.privacy.__file__).parent / "export.schema.json").read_text()
    assert text == json.dumps(export_schema(), indent=2) + "\n"


def test_the_rows_of_every_part_are_found_by_an_index() -> None:
    """Its first column says whose a row is, or what it belongs to."""
    for part in PARTS:
        wanted = PARENTS.get(part.table_name, ("", "customer_id"))[1]
        constraints = (UniqueConstraint, PrimaryKeyConstraint)
        keys = [*part.table.indexes, *(one for one in part.table.constraints if isinstance(one, constraints))]
        firsts = {next(iter(one.columns)).name for one in keys if len(one.columns)}
        assert firsts & {wanted, "subject_ids"} or part.table_name == "customer", part.name


def test_a_copy_is_of_one_snapshot_as_one_statement_makes_it(writable: World) -> None:
    with recorded() as statements:
        requested(writable)
    made = [one for one in statements if one.startswith("INSERT INTO export_piece")]
    assert len(made) == 1
    assert all(f" {part.table_name} AS " in made[0] for part in PARTS)


# ---------------------------------------------------------------- who asks, and who gets it


def test_a_customer_is_given_the_link_and_mailed_it(writable: World) -> None:
    customer = customer_of(writable, "customer-2")
    payload = requested(writable, "customer-2")
    request = payload["subjectRequest"]
    assert (request["kind"], request["status"], request["decision"]) == ("EXPORT", "COMPLETED", "ACCEPTED")
    (row,) = kept(writable, "customer", id=customer)
    assert mailed(writable, customer)[-1] == (row["email"], path_of(payload["link"]))
    (asked_for,) = kept(writable, "subject_request", id=key_of(request["id"]))
    assert (asked_for["channel"], asked_for["handled_by"]) == ("ACCOUNT", "clock")
    found = fetched(writable, path_of(payload["link"]))
    assert request["id"] in [one["id"] for one in found["parts"]["requests"]["rows"]]
    assert found["request"] == request["id"]


@pytest.mark.parametrize("by", [SUPPORT, OFFICER])
def test_what_an_employee_asks_for_goes_to_the_person_and_is_on_record(
    writable: World, by: tuple[str, str]
) -> None:
    customer = customer_of(writable, "customer-2")
    before = len(mailed(writable, customer))
    payload = on_behalf(writable, customer, by)
    assert (payload["link"], payload["userErrors"]) == (None, [])
    ((to, path),) = mailed(writable, customer)[before:]
    (row,) = kept(writable, "customer", id=customer)
    assert to == row["email"]
    fetched(writable, path)
    (asked_for,) = kept(writable, "subject_request", id=key_of(payload["subjectRequest"]["id"]))
    who = global_id("Employee", writable.askers[by[0]].employee_id or uuid.uuid4())
    assert (asked_for["channel"], asked_for["handled_by"]) == ("EMPLOYEE", who)
    records = [
        row
        for row in kept(writable, "access_record", principal_id=who, decision="ALLOWED")
        if "SubjectRequest.kind" in row["fields"] and customer in row["subject_ids"]
    ]
    assert {row["purpose"] for row in records} == {by[1]}


def marked(world: World, column: str) -> uuid.UUID:
    found: uuid.UUID = next(row["id"] for row in world.table("customer") if row[column] is not None)
    return found


def test_a_restricted_customers_copy_is_for_the_privacy_officer_to_ask_for(writable: World) -> None:
    customer = marked(writable, "restricted_at")
    errors = on_behalf(writable, customer)["userErrors"]
    assert [(one["code"], one["coordinate"]) for one in errors] == [("NOT_FOUND", "Customer.id")]
    assert on_behalf(writable, customer, OFFICER)["userErrors"] == []


def test_of_an_erased_customer_there_is_no_copy(writable: World) -> None:
    errors = on_behalf(writable, marked(writable, "erased_at"), OFFICER)["userErrors"]
    assert [(one["code"], one["coordinate"], "/".join(one["path"])) for one in errors] == [ENDED]


def test_an_employee_who_does_not_say_whose_is_told(writable: World) -> None:
    errors = asked(writable, *SUPPORT)["userErrors"]
    assert [(one["code"], one["coordinate"]) for one in errors] == [
        ("REQUIRED", "RequestExportInput.customer")
    ]


def test_a_customer_asks_for_nobody_else(writable: World) -> None:
    other = global_id("Customer", customer_of(writable, "customer-2"))
    errors = asked(writable, "customer", customer=other)["userErrors"]
    assert [(one["code"], one["coordinate"]) for one in errors] == [("NOT_FOUND", "Customer.id")]


def test_a_guest_asks_with_the_link_to_an_order_and_gets_the_copy_by_mail_alone(writable: World) -> None:
    made = placed(writable, "anonymous", customer=GUEST)
    (order,) = kept(writable, "orders", id=key_of(made["order"]["id"]))
    payload = requested(writable, holder(writable, made["accessToken"]))
    assert payload["link"] is None
    ((_, path),) = mailed(writable, order["customer_id"])
    assert [one["id"] for one in fetched(writable, path)["parts"]["orders"]["rows"]] == [made["order"]["id"]]
    (request,) = kept(writable, "subject_request", customer_id=order["customer_id"])
    assert (request["channel"], request["order_id"]) == ("ORDER_LINK", order["id"])


def test_a_guest_sees_with_their_link_the_copy_that_support_asked_for_on_their_behalf(
    writable: World,
) -> None:
    made = placed(writable, "anonymous", customer=GUEST)
    (order,) = kept(writable, "orders", id=key_of(made["order"]["id"]))
    request = on_behalf(writable, order["customer_id"])["subjectRequest"]["id"]
    (row,) = kept(writable, "subject_request", customer_id=order["customer_id"])
    assert (row["channel"], row["order_id"]) == ("EMPLOYEE", order["id"])
    name = holder(writable, made["accessToken"])
    shown = writable.data(name, "{ subjectRequests { nodes { id kind } } }")["subjectRequests"]["nodes"]
    assert shown == [{"id": request, "kind": "EXPORT"}]
    # Whoever holds a link to one order of an account finds nothing of the account's by it.
    account = confirmed(writable)
    on_behalf(writable, account.key)
    (row,) = kept(writable, "subject_request", customer_id=account.key)
    assert (row["channel"], row["order_id"]) == ("EMPLOYEE", None)


def test_the_link_to_an_order_of_an_account_gets_no_copy_of_it(writable: World) -> None:
    account = confirmed(writable)
    writable.askers["buyer"] = type(writable.askers["customer"])(
        "buyer", "customer", {"Authorization": f"Bearer {account.access_token}"}, customer_id=account.key
    )
    writable.execute(
        "UPDATE customer SET street_address = 'Koekatu 1', postal_code = '00100', postal_town = 'Helsinki',"
        " country_code = 'FI', phone = '+358401234567' WHERE id = $1",
        account.key,
    )
    order = key_of(placed(writable, "buyer")["order"]["id"])
    name = holder(writable, writable.customer_token(account.key, order=order))
    errors = asked(writable, name)["userErrors"]
    assert [(one["code"], one["coordinate"]) for one in errors] == [("NOT_ALLOWED", "Customer.id")]
    assert mailed(writable, account.key) == []


def test_nothing_is_mailed_to_an_address_of_an_account_that_was_not_confirmed(writable: World) -> None:
    """Whoever reads the mail of a mistyped address gets nobody's data."""
    account = registered(writable)
    headers = {"Authorization": f"Bearer {account.access_token}"}
    writable.askers["newcomer"] = type(writable.askers["customer"])("newcomer", "customer", headers)
    payload = requested(writable, "newcomer")
    fetched(writable, path_of(payload["link"]))
    assert mailed(writable, account.key) == []
    errors = on_behalf(writable, account.key)["userErrors"]
    assert [(one["code"], one["coordinate"]) for one in errors] == [("REQUIRED", "Customer.email")]


def test_an_account_is_mailed_to_the_address_that_was_confirmed(writable: World) -> None:
    account = confirmed(writable)
    writable.execute("UPDATE customer SET email = 'elsewhere@store.example' WHERE id = $1", account.key)
    assert on_behalf(writable, account.key)["userErrors"] == []
    assert [to for to, _ in mailed(writable, account.key)] == [account.email]


# ---------------------------------------------------------------- once


def test_the_same_key_gives_the_same_request_and_link_also_at_once(writable: World) -> None:
    customer, key = customer_of(writable, "customer-2"), str(uuid.uuid4())
    before = len(mailed(writable, customer))
    payloads = at_once(*[lambda: requested(writable, "customer-2", idempotencyKey=key)] * 4)
    payloads.append(requested(writable, "customer-2", idempotencyKey=key))
    assert len({(one["link"], one["subjectRequest"]["id"]) for one in payloads}) == 1
    assert len(mailed(writable, customer)) == before + 1
    assert len(kept(writable, "export_document", customer_id=customer)) == 1


def test_a_new_copy_takes_the_place_of_the_one_before(writable: World) -> None:
    first, second = (path_of(requested(writable, "customer-2")["link"]) for _ in range(2))
    assert writable.client.get(first).status_code == 404
    fetched(writable, second)
    assert len(kept(writable, "export_document", customer_id=customer_of(writable, "customer-2"))) == 1
