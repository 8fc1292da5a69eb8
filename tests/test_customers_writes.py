"""Customers register, change their profile and decide about the newsletter; staff do it on their behalf."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from gateway.writes import once
from gateway.writes.rows import change_row
from schema.scalars import global_id, read_global_id
from tests.world import World

REGISTER = """mutation R($input: RegisterCustomerInput!) { registerCustomer(input: $input) {
  accessToken customer { id number firstName email phone marketingConsent version }
  userErrors { code coordinate message path } } }"""
UPDATE = """mutation U($input: UpdateCustomerInput!) { updateCustomer(input: $input) {
  customer { id firstName surname postalCode phone email version }
  userErrors { code coordinate message path currentVersion } } }"""
UPDATE_AND_READ = UPDATE.replace("version }", "version orders(first: 1) { totalCount } }")
CONSENT = """mutation C($input: SetMarketingConsentInput!) { setMarketingConsent(input: $input) {
  customer { marketingConsent version } userErrors { code coordinate message path } } }"""
AUDIENCE = "query A($id: ID!) { node(id: $id) { id ... on Customer { email } } }"
SERVICE = "customer-service"
PERSON = {
    "firstName": " Aada ",
    "surname": "Esimerkki",
    "streetAddress": "Esimerkkikatu 1",
    "postalCode": "00100",
    "postalTown": "Helsinki",
    "phone": "040 123 4567",
    "email": "Aada.Esimerkki@store.example",
    "password": "a long enough password",
}


def register(world: World, **changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.data("anonymous", REGISTER, {"input": {**PERSON, **changed}})
    return found["registerCustomer"]


def key_of(payload: dict[str, Any]) -> uuid.UUID:
    found = read_global_id(payload["customer"]["id"])
    assert found is not None
    return found[1]


def changes(world: World, key: uuid.UUID) -> set[tuple[str, str, str]]:
    rows = [row for row in world.table("change") if row["customer_id"] == key]
    return {(f"{row['entity']}.{row['field']}", row["source"], row["actor"]) for row in rows}


def own_id(world: World, name: str = "customer") -> str:
    key = world.askers[name].customer_id
    assert key is not None
    return global_id("Customer", key)


# ---------------------------------------------------------------- registration


def test_a_registered_customer_is_answered_as_themselves_and_may_act_with_the_token(writable: World) -> None:
    payload = register(writable)
    assert payload["userErrors"] == []
    assert payload["customer"]["firstName"] == "Aada"
    assert payload["customer"]["phone"] == "+358401234567"
    assert payload["customer"]["email"] == "aada.esimerkki@store.example"
    assert payload["customer"]["marketingConsent"] is False
    headers = {"Authorization": f"Bearer {payload['accessToken']}"}
    seen = writable.post("anonymous", "{ customers { nodes { id surname } } }", headers=headers).json()
    nodes = [{"id": payload["customer"]["id"], "surname": "Esimerkki"}]
    assert seen == {"data": {"customers": {"nodes": nodes}}}


def test_a_password_is_kept_as_an_argon2id_hash_with_owasp_parameters(writable: World) -> None:
    key = key_of(register(writable))
    kept = next(row for row in writable.table("credential") if row["customer_id"] == key)
    assert kept["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    PasswordHasher().verify(kept["password_hash"], PERSON["password"])
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(kept["password_hash"], "another password")
    assert kept["confirmed_at"] is None


def test_registering_a_known_address_is_answered_like_an_unknown_one_and_joins_nothing(
    writable: World,
) -> None:
    first, second = register(writable), register(writable)
    assert first["customer"].keys() == second["customer"].keys()
    assert first["userErrors"] == second["userErrors"] == []
    assert key_of(first) != key_of(second)


def test_what_is_not_said_about_the_newsletter_is_refused(writable: World) -> None:
    notice = writable.gateway.policy.notice
    for given, state in (
        ({}, "REFUSED"),
        ({"marketingConsent": None}, "REFUSED"),
        ({"marketingConsent": False}, "REFUSED"),
        ({"marketingConsent": True}, "GIVEN"),
    ):
        key = key_of(register(writable, **given))
        (event,) = [row for row in writable.table("consent_event") if row["customer_id"] == key]
        assert event["state"] == state
        assert event["source"] == "REGISTRATION"
        assert (event["notice_version"], event["text_digest"]) == (notice.version, notice.digest)
        customer = next(row for row in writable.table("customer") if row["id"] == key)
        assert customer["marketing_consent"] is (state == "GIVEN")


def test_registration_notes_each_field_given_with_its_source_and_no_value(writable: World) -> None:
    payload = register(writable, phone=None)
    actor = payload["customer"]["id"]
    fields = {
        "firstName",
        "surname",
        "streetAddress",
        "postalCode",
        "postalTown",
        "countryCode",
        "email",
        "marketingConsent",
    }
    expected = {(f"Customer.{field}", "REGISTRATION", actor) for field in fields}
    assert changes(writable, key_of(payload)) == expected


def test_every_mistake_of_a_registration_is_named_at_once_and_nothing_is_made(writable: World) -> None:
    before = len(writable.table("customer"))
    payload = register(writable, email="nobody", postalCode="1", firstName=" ", phone="12", password="short")
    found = {(error["code"], error["coordinate"]) for error in payload["userErrors"]}
    assert found == {
        ("MALFORMED", "Customer.email"),
        ("MALFORMED", "Customer.postalCode"),
        ("MALFORMED", "Customer.firstName"),
        ("MALFORMED", "Customer.phone"),
        ("MALFORMED", "RegisterCustomerInput.password"),
    }
    assert payload["customer"] is None
    assert payload["accessToken"] is None
    assert len(writable.table("customer")) == before


def test_the_same_key_registers_once_and_another_input_under_it_is_a_conflict(writable: World) -> None:
    key = str(uuid.uuid4())
    first = register(writable, idempotencyKey=key)
    again = register(writable, idempotencyKey=key)
    assert again["customer"] == first["customer"]
    for changed in ({"surname": "Toinen"}, {"password": "another password, still"}):
        other = register(writable, idempotencyKey=key, **changed)
        assert [error["code"] for error in other["userErrors"]] == ["CONFLICT"]
        assert other["customer"] is None
        assert other["accessToken"] is None
    kept = next(row for row in writable.table("idempotency") if str(row["key"]) == key)
    written = " ".join(map(str, kept.values())).lower()
    assert not any(str(value).strip().lower() in written for value in PERSON.values())


def test_a_key_is_forgotten_after_24_hours(writable: World) -> None:
    key = str(uuid.uuid4())
    first = register(writable, idempotencyKey=key)
    with writable.at(writable.now + timedelta(hours=24)):
        later = register(writable, idempotencyKey=key)
    assert later["customer"]["id"] != first["customer"]["id"]


# ---------------------------------------------------------------- profile


def test_a_change_is_normalised_counted_and_noted_where_the_value_differs(writable: World) -> None:
    payload = register(writable)
    headers = {"Authorization": f"Bearer {payload['accessToken']}"}
    given = {"id": payload["customer"]["id"], "surname": "Esimerkki", "phone": "050 1234567", "ifVersion": 1}
    found = writable.post("anonymous", UPDATE, {"input": given}, headers=headers).json()
    customer = found["data"]["updateCustomer"]["customer"]
    assert (customer["phone"], customer["version"]) == ("+358501234567", 2)
    noted = changes(writable, key_of(payload))
    assert ("Customer.phone", "CUSTOMER", payload["customer"]["id"]) in noted
    assert not any(field == "Customer.surname" and source == "CUSTOMER" for field, source, _ in noted)


@pytest.mark.parametrize("document", [UPDATE, UPDATE_AND_READ], ids=["one statement", "two statements"])
def test_staff_change_a_profile_on_the_customers_behalf(writable: World, document: str) -> None:
    payload = register(writable)
    given = {"id": payload["customer"]["id"], "firstName": f"Uusi {len(document)}"}
    found = writable.data("support", document, {"input": given}, SERVICE)["updateCustomer"]
    assert found["customer"]["firstName"] == given["firstName"]
    employee = writable.data("support", "{ viewer { principalId } }")["viewer"]["principalId"]
    assert ("Customer.firstName", "STAFF_ON_BEHALF", employee) in changes(writable, key_of(payload))


@pytest.mark.parametrize("document", [UPDATE, UPDATE_AND_READ], ids=["one statement", "two statements"])
def test_an_old_version_is_a_conflict_that_tells_the_present_one(writable: World, document: str) -> None:
    payload = register(writable)
    given = {"id": payload["customer"]["id"], "firstName": "Toinen", "ifVersion": 7}
    found = writable.data("support", document, {"input": given}, SERVICE)["updateCustomer"]
    (error,) = found["userErrors"]
    assert (error["code"], error["currentVersion"]) == ("CONFLICT", 1)
    assert (found["customer"]["firstName"], found["customer"]["version"]) == ("Aada", 1)


def test_a_name_cannot_be_taken_away_and_a_telephone_number_can(writable: World) -> None:
    key = register(writable)["customer"]["id"]
    given = {"id": key, "firstName": None, "email": None}
    found = writable.data("support", UPDATE, {"input": given}, SERVICE)["updateCustomer"]
    errors = {(error["code"], error["coordinate"]) for error in found["userErrors"]}
    assert errors == {("REQUIRED", "Customer.firstName"), ("REQUIRED", "Customer.email")}
    found = writable.data("support", UPDATE, {"input": {"id": key, "phone": None}}, SERVICE)["updateCustomer"]
    assert found["customer"]["phone"] is None


def test_a_customer_of_someone_else_and_one_that_is_not_there_are_answered_alike(writable: World) -> None:
    other = register(writable)["customer"]["id"]
    nobody = global_id("Customer", uuid.uuid4())
    answers = [
        writable.post("customer", UPDATE, {"input": {"id": key, "surname": "Muu"}}).content
        for key in (other, nobody)
    ]
    assert answers[0] == answers[1]
    assert b"NOT_FOUND" in answers[0]


def test_an_erased_customers_last_token_changes_nothing(writable: World) -> None:
    """It proves nothing any more, and is refused before what is left of them could be changed."""
    payload = register(writable)
    headers = {"Authorization": f"Bearer {payload['accessToken']}"}
    key = key_of(payload)
    writable.execute("UPDATE customer SET status = 'ERASED', erased_at = now() WHERE id = $1", key)
    given = {"id": payload["customer"]["id"], "surname": "Muu"}
    found = writable.post("anonymous", UPDATE, {"input": given}, headers=headers)
    assert found.status_code == 401
    row = next(row for row in writable.table("customer") if row["id"] == key)
    assert row["surname"] == "Esimerkki"


def test_a_postal_code_is_read_by_the_country_of_the_row_where_none_is_given(writable: World) -> None:
    key = register(writable, countryCode="SE", postalCode="114 55", phone=None)["customer"]["id"]
    found = writable.data("support", UPDATE, {"input": {"id": key, "postalCode": "21120"}}, SERVICE)
    assert found["updateCustomer"]["customer"]["postalCode"] == "211 20"


# ---------------------------------------------------------------- consent


def test_the_newsletters_audience_follows_a_decision_at_once(writable: World) -> None:
    key = own_id(writable)
    for wanted in (True, False, True):
        found = writable.data("customer", CONSENT, {"input": {"id": key, "marketingConsent": wanted}})
        assert found["setMarketingConsent"]["customer"]["marketingConsent"] is wanted
        seen = writable.data("newsletter", AUDIENCE, {"id": key})["node"]
        assert (seen is not None) is wanted


def test_a_decision_is_added_to_the_history_and_no_event_is_changed(writable: World) -> None:
    key = writable.askers["customer-2"].customer_id

    def history() -> list[dict[str, Any]]:
        rows = [row for row in writable.table("consent_event") if row["customer_id"] == key]
        return sorted(rows, key=lambda row: (row["at"], row["id"]))

    before = history()
    given = {"id": own_id(writable, "customer-2"), "marketingConsent": False}
    writable.data("customer-2", CONSENT, {"input": given})
    after = history()
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1
    assert after[-1]["state"] in ("REFUSED", "WITHDRAWN")


def test_an_employee_records_consent_only_with_a_statement_of_evidence(writable: World) -> None:
    payload = register(writable)
    given = {"id": payload["customer"]["id"], "marketingConsent": True}
    found = writable.data("support", CONSENT, {"input": given}, SERVICE)["setMarketingConsent"]
    assert [(error["code"], error["path"]) for error in found["userErrors"]] == [("REQUIRED", ["evidence"])]
    given["evidence"] = "said so on the telephone, call 4711"
    found = writable.data("support", CONSENT, {"input": given}, SERVICE)["setMarketingConsent"]
    assert found["customer"]["marketingConsent"] is True
    rows = writable.table("consent_event")
    newest = max((row for row in rows if row["customer_id"] == key_of(payload)), key=lambda row: row["id"])
    assert (newest["source"], newest["evidence"]) == ("STAFF_ON_BEHALF", given["evidence"])


def test_an_employee_may_record_a_withdrawal_without_evidence(writable: World) -> None:
    payload = register(writable, marketingConsent=True)
    given = {"id": payload["customer"]["id"], "marketingConsent": False}
    found = writable.data("support", CONSENT, {"input": given}, SERVICE)["setMarketingConsent"]
    assert found["customer"]["marketingConsent"] is False
    assert [
        row["state"] for row in writable.table("consent_event") if row["customer_id"] == key_of(payload)
    ] == ["GIVEN", "WITHDRAWN"]


def test_a_decision_counts_though_another_workers_clock_was_ahead(writable: World) -> None:
    payload = register(writable)
    given = {"id": payload["customer"]["id"], "marketingConsent": True, "evidence": "said so"}
    with writable.at(writable.now + timedelta(minutes=3)):
        writable.data("support", CONSENT, {"input": given}, SERVICE)
    withdrawn = {"id": payload["customer"]["id"], "marketingConsent": False}
    found = writable.data("support", CONSENT, {"input": withdrawn}, SERVICE)["setMarketingConsent"]
    assert found["customer"]["marketingConsent"] is False


@pytest.mark.parametrize(
    "arguments",
    ['where: {internalNote: {startsWith: "a"}}', "orderBy: [{internalNote: ASC}]"],
    ids=["condition", "order"],
)
def test_a_refused_condition_in_a_payload_refuses_the_change(writable: World, arguments: str) -> None:
    document = UPDATE.replace("version }", f"orders({arguments}) {{ totalCount }} }}", 1)
    given = {"id": own_id(writable), "surname": "Muutettu"}
    _, body = writable.ask("customer", document, {"input": given})
    assert "data" not in body
    (error,) = body["errors"]
    assert error["extensions"]["coordinate"] == "Order.internalNote"
    assert error["extensions"]["use"] in ("FILTER", "SORT")
    key = writable.askers["customer"].customer_id
    assert all(row["surname"] != "Muutettu" for row in writable.table("customer") if row["id"] == key)


def test_statements_that_show_a_payload_are_kept_with_its_plan_alone(writable: World) -> None:
    given = {"id": own_id(writable), "phone": "+358401234567"}
    writable.data("customer", UPDATE, {"input": given})
    before = change_row.cache_info().currsize
    for number in range(5):
        document = UPDATE.replace("surname", f"other{number}: surname", 1)
        writable.data("customer", document, {"input": given})
    assert change_row.cache_info().currsize == before


def test_a_used_up_key_that_another_has_claimed_since_stays_theirs(writable: World) -> None:
    """Between finding a key used up and forgetting it, another worker may claim it."""
    key = uuid.uuid4()

    async def forgotten(connection: Any) -> list[Any]:
        row = ["anonymous", key, "registerCustomer", "digest", "Customer", uuid.uuid4()]
        insert = "INSERT INTO idempotency VALUES ($1, $2, $3, $4, $5, $6, $7)"
        await connection.execute(insert, *row, writable.now)
        sql = once._forget()
        values = {"principal": "anonymous", "key": key, "created_at": writable.now - timedelta(hours=25)}
        await connection.execute(sql.text, *(values[name] for name in sql.names))
        return list(await connection.fetch("SELECT key FROM idempotency WHERE key = $1", key))

    assert len(writable.run(forgotten)) == 1
