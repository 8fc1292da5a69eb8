"""Designations: given and taken back by an administrator, never their own, with a reason, for a time."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from gateway.demo.principals import employee_id
from gateway.periods import months_after
from schema.scalars import global_id
from tests.designating import (
    ADMIN,
    DAY,
    DESIGNATE,
    REVOKE,
    SECOND,
    Person,
    codes,
    designate,
    designated,
    given,
    is_refused,
    revoke,
    role_of,
    time,
)
from tests.world import NOW, World

# ---------------------------------------------------------------- designating


def test_an_administrator_designates_another_who_acts_in_the_role_at_once(
    writable: World, person: Person
) -> None:
    assert role_of(writable, person) is None
    found = designated(writable, person)
    assert role_of(writable, person) == "support"
    assert found == {
        "id": found["id"],
        "role": "support",
        "reason": "stands in for a colleague",
        "validFrom": "2026-06-15T12:00:00.000000Z",
        "validTo": "2026-12-15T12:00:00.000000Z",
        "revokedAt": None,
        "employee": {"id": person.id, "workEmail": person.address},
        "designatedBy": {"id": global_id("Employee", employee_id(ADMIN))},
    }


def test_an_employee_is_found_by_work_address_too(writable: World, person: Person) -> None:
    found = designated(writable, person, employeeId=None, workEmail=person.address.upper())
    assert found["employee"]["id"] == person.id


@pytest.mark.parametrize("name", ["workEmail", "employeeId"])
def test_nobody_designates_themselves(writable: World, person: Person, name: str) -> None:
    own = {"employeeId": global_id("Employee", employee_id(ADMIN)), "workEmail": f"{ADMIN}@store.example"}
    only = {"employeeId": None, "workEmail": None, name: own[name]}
    for role in ("privacy_officer", "register_admin"):
        payload = designate(writable, person, role=role, **only)
        assert codes(payload) == [("NOT_ALLOWED", f"DesignateEmployeeInput.{name}")]


def test_postgresql_too_refuses_a_designation_of_oneself(writable: World, person: Person) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="nobody_designates_themselves"):
        writable.execute(
            "INSERT INTO designation (id, employee_id, designated_by, role, reason, valid_from, valid_to)"
            " VALUES ($1, $2, $2, 'support', 'test', $3, $4)",
            *(uuid.uuid4(), person.key, NOW, NOW + DAY),
        )


@pytest.mark.parametrize(
    ("changed", "mistake"),
    [
        ({"reason": ""}, ("REQUIRED", "DesignateEmployeeInput.reason")),
        ({"reason": " \n\t "}, ("REQUIRED", "DesignateEmployeeInput.reason")),
        ({"reason": "\u200b"}, ("MALFORMED", "DesignateEmployeeInput.reason")),
        ({"reason": "x" * 501}, ("MALFORMED", "DesignateEmployeeInput.reason")),
        ({"employeeId": None}, ("REQUIRED", "DesignateEmployeeInput.employeeId")),
        ({"workEmail": "a@b.example"}, ("REQUIRED", "DesignateEmployeeInput.employeeId")),
        ({"employeeId": global_id("Employee", uuid.UUID(int=0))}, ("NOT_FOUND", "Employee.id")),
        ({"employeeId": None, "workEmail": "no.one@store.example"}, ("NOT_FOUND", "Employee.id")),
        ({"employeeId": None, "workEmail": "no address"}, ("MALFORMED", "Employee.workEmail")),
        ({"validTo": time(NOW)}, ("OUT_OF_RANGE", "Designation.validTo")),
        ({"validTo": time(NOW - DAY)}, ("OUT_OF_RANGE", "Designation.validTo")),
        ({"validTo": "2027-06-15T12:00:01Z"}, ("OUT_OF_RANGE", "Designation.validTo")),
        ({"validTo": "2999-12-31T23:59:59Z"}, ("OUT_OF_RANGE", "Designation.validTo")),
        ({"validFrom": time(NOW - timedelta(minutes=6))}, ("OUT_OF_RANGE", "Designation.validFrom")),
        ({"validFrom": time(NOW + 30 * DAY + SECOND)}, ("OUT_OF_RANGE", "Designation.validFrom")),
        ({"validFrom": "2999-12-31T23:59:59Z"}, ("OUT_OF_RANGE", "Designation.validFrom")),
    ],
)
def test_what_is_wrong_with_a_designation_is_said_and_nothing_is_made(
    writable: World, person: Person, changed: dict[str, Any], mistake: tuple[str, str]
) -> None:
    before = writable.table("designation")
    assert codes(designate(writable, person, **changed)) == [mistake]
    assert writable.table("designation") == before


def test_every_mistake_is_named_at_once(writable: World, person: Person) -> None:
    payload = designate(writable, person, reason="", validTo=time(NOW), employeeId=None)
    assert [code for code, _ in codes(payload)] == ["REQUIRED", "OUT_OF_RANGE", "REQUIRED"]


@pytest.mark.parametrize("missing", ["reason", "role"])
def test_a_designation_without_a_reason_or_a_role_is_no_valid_operation(
    writable: World, person: Person, missing: str
) -> None:
    for value in ({}, {missing: None}):
        body = {"input": {**given(person, **{missing: None}), **value}}
        status, found = writable.ask(ADMIN, DESIGNATE, body)
        assert found["errors"][0]["extensions"]["code"] == "BAD_VARIABLE", (status, found)


@pytest.mark.parametrize("role", ["customer", "carrier", "anonymous", "superuser", "SUPPORT"])
def test_a_role_that_no_employee_holds_is_refused(writable: World, person: Person, role: str) -> None:
    _, body = writable.ask(ADMIN, DESIGNATE, {"input": given(person, role=role)})
    assert body["errors"][0]["extensions"]["code"] == "BAD_VARIABLE"


def test_a_designation_lasts_twelve_months_to_the_day_and_no_longer(writable: World, person: Person) -> None:
    found = designated(writable, person, validTo="2027-06-15T12:00:00Z")
    assert found["validTo"] == "2027-06-15T12:00:00.000000Z"
    with writable.at(NOW + 365 * DAY - SECOND):
        assert role_of(writable, person) == "support"
    with writable.at(NOW + 365 * DAY):
        assert role_of(writable, person) is None


def test_an_employee_who_left_is_not_designated(writable: World, person: Person) -> None:
    writable.execute("UPDATE employee SET active = false WHERE id = $1", person.key)
    assert codes(designate(writable, person)) == [("INVALID_TRANSITION", "Employee.active")]


def test_a_role_is_held_once_at_a_time(writable: World, person: Person) -> None:
    end = NOW + 20 * DAY
    first = designated(writable, person, validTo=time(end))
    assert codes(designate(writable, person)) == [("CONFLICT", "Designation.role")]
    earlier = time(end - SECOND)
    assert codes(designate(writable, person, validFrom=earlier)) == [("CONFLICT", "Designation.role")]
    designated(writable, person, role="finance")
    # What comes next begins when the present one ends.
    following = designated(writable, person, validFrom=time(end))
    revoke(writable, following["id"])
    revoke(writable, first["id"])
    designated(writable, person)


def test_of_concurrent_designations_to_one_role_one_is_made(writable: World, person: Person) -> None:
    with ThreadPoolExecutor(6) as pool:
        payloads = list(pool.map(lambda _: designate(writable, person), range(6)))
    made = [payload for payload in payloads if payload["designation"] is not None]
    assert len(made) == 1
    assert {code for payload in payloads for code in map(str, codes_of(payload))} == {"CONFLICT"}


def codes_of(payload: Any) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def test_the_same_key_designates_once(writable: World, person: Person) -> None:
    key = str(uuid.uuid4())
    first, second = (designated(writable, person, idempotencyKey=key) for _ in range(2))
    assert first == second
    assert codes(designate(writable, person, idempotencyKey=key, role="finance")) == [
        ("CONFLICT", "DesignateEmployeeInput.idempotencyKey")
    ]


def test_a_designation_that_was_refused_may_be_tried_again_under_its_key(
    writable: World, person: Person
) -> None:
    key = str(uuid.uuid4())
    assert codes(designate(writable, person, idempotencyKey=key, reason="")) != []
    designated(writable, person, idempotencyKey=key)


@pytest.mark.parametrize(
    "name", ["support", "privacy-officer", "warehouse", "undesignated", "customer", "carrier", "anonymous"]
)
def test_only_administrators_designate_and_revoke(writable: World, person: Person, name: str) -> None:
    found = designated(writable, person)
    operations = (
        (DESIGNATE, given(person, role="finance")),
        (REVOKE, {"id": found["id"], "reason": "no reason"}),
    )
    for document, values in operations:
        is_refused(writable.post(name, document, {"input": values}))
    assert role_of(writable, person) == "support"


def test_an_administrator_who_acts_in_another_role_does_not_designate(
    writable: World, person: Person
) -> None:
    designated(writable, person, role="register_admin")
    designated(writable, person, role="finance")
    values = {"input": given(person, role="support")}
    is_refused(writable.post(person.name, DESIGNATE, values, headers={"Act-As": "finance"}))


# ---------------------------------------------------------------- months


@pytest.mark.parametrize(
    ("begins", "months", "ends"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2027-08-31", 6, "2028-02-29"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-12-31", 2, "2027-02-28"),
        ("2026-06-30", 6, "2026-12-30"),
        ("2026-12-15", 12, "2027-12-15"),
    ],
)
def test_months_are_counted_as_postgresql_counts_them(
    writable: World, begins: str, months: int, ends: str
) -> None:
    moment = datetime.fromisoformat(f"{begins}T10:00:00+00:00")
    found = months_after(moment, months)
    assert found == datetime.fromisoformat(f"{ends}T10:00:00+00:00")
    query = f"SELECT $1::timestamptz AT TIME ZONE 'UTC' + interval '{months} months'"
    counted = writable.run(lambda connection: connection.fetchval(query, moment))
    assert counted == found.replace(tzinfo=None)
