"""Designations: given and taken back by an administrator, never their own, with a reason, for a time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import asyncpg
import pytest

from gateway.demo.principals import employee_id
from gateway.writes.designations import months_after
from schema.scalars import global_id, read_global_id
from tests.world import NOW, Asker, World
from tests.writing import another_gateway

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
ERRORS = "userErrors { code coordinate path }"
SHOWN = "id role reason validFrom validTo revokedAt employee { id workEmail } designatedBy { id }"
DESIGNATE = f"""mutation ($input: DesignateEmployeeInput!) {{ designateEmployee(input: $input) {{
    designation {{ {SHOWN} }} {ERRORS} }} }}"""
REVOKE = f"""mutation ($input: RevokeDesignationInput!) {{ revokeDesignation(input: $input) {{
    designation {{ id revokedAt }} {ERRORS} }} }}"""
VIEWER = "{ viewer { role } }"
ADMIN = "register-admin"


@dataclass(frozen=True)
class Person:
    """An employee of a test, who asks by their name."""

    name: str
    key: uuid.UUID

    @property
    def id(self) -> str:
        return global_id("Employee", self.key)

    @property
    def address(self) -> str:
        return f"{self.key}@store.example"


@pytest.fixture
def person(writable: World) -> Iterator[Person]:
    """An employee without a designation."""
    key = uuid.uuid4()
    found = Person(f"employee {key}", key)
    writable.execute(
        "INSERT INTO employee (id, name, work_email) VALUES ($1, 'Test employee', $2)", key, found.address
    )
    settings = writable.gateway.settings
    token = writable.key.sign("employee", key, settings, now=NOW, lifetime=900 * DAY)
    writable.askers[found.name] = Asker(
        found.name, None, {"Authorization": f"Bearer {token}"}, employee_id=key
    )
    yield found
    del writable.askers[found.name]
    writable.execute("DELETE FROM designation WHERE employee_id = $1 OR designated_by = $1", key)
    writable.execute("DELETE FROM employee WHERE id = $1", key)
    writable.execute("DELETE FROM idempotency WHERE mutation = 'designateEmployee'")


def given(person: Person, **changed: Any) -> dict[str, Any]:
    values = {"employeeId": person.id, "role": "support", "reason": "stands in for a colleague", **changed}
    return {name: value for name, value in values.items() if value is not None}


def time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def designate(world: World, person: Person, by: str = ADMIN, **changed: Any) -> Any:
    return world.data(by, DESIGNATE, {"input": given(person, **changed)})["designateEmployee"]


def designated(world: World, person: Person, **changed: Any) -> Any:
    payload = designate(world, person, **changed)
    assert payload["userErrors"] == []
    return payload["designation"]


def revoke(world: World, key: str, by: str = ADMIN, reason: str = "the work is done") -> Any:
    return world.data(by, REVOKE, {"input": {"id": key, "reason": reason}})["revokeDesignation"]


def codes(payload: Any) -> list[tuple[str, str]]:
    assert payload["designation"] is None
    return [(error["code"], error["coordinate"]) for error in payload["userErrors"]]


def is_refused(response: Any) -> None:
    """The whole operation is refused, by the mutation's name."""
    body = response.json()
    assert set(body) == {"errors"}
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "FIELD_FORBIDDEN"
    assert error["extensions"]["coordinate"].startswith("Mutation.")


def role_of(world: World, person: Person, **headers: str) -> Any:
    body = world.post(person.name, VIEWER, headers=headers).json()
    return body["data"]["viewer"]["role"] if "data" in body else body["errors"][0]["extensions"]["code"]


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
    before = writable.rows()["designation"]
    assert codes(designate(writable, person, **changed)) == [mistake]
    assert writable.rows()["designation"] == before


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


# ---------------------------------------------------------------- revoking


def test_a_revocation_holds_on_the_next_request(writable: World, person: Person) -> None:
    found = designated(writable, person)
    assert role_of(writable, person) == "support"
    payload = revoke(writable, found["id"])
    assert payload["designation"] == {"id": found["id"], "revokedAt": "2026-06-15T12:00:00.000000Z"}
    assert role_of(writable, person) is None
    row = row_of(writable, found["id"])
    assert (row["revoked_by"], row["revoked_reason"]) == (employee_id(ADMIN), "the work is done")


def test_a_revocation_holds_in_another_worker_within_two_seconds(writable: World, person: Person) -> None:
    """The clock stands still: the other worker forgets because it is told, not because time has passed."""
    with another_gateway(writable) as other:
        found = designated(writable, person)
        assert role_of(other, person) == "support"
        revoke(writable, found["id"])
        begun = monotonic()
        while role_of(other, person) is not None:
            assert monotonic() - begun < 2


def row_of(world: World, key: str) -> Any:
    found = read_global_id(key)
    assert found is not None
    return next(row for row in world.rows()["designation"] if row["id"] == found[1])


def test_a_revoked_administrator_designates_nobody_in_the_very_next_request(
    writable: World, person: Person
) -> None:
    found = designated(writable, person, role="register_admin")
    assert role_of(writable, person) == "register_admin"
    revoke(writable, found["id"])
    is_refused(writable.post(person.name, DESIGNATE, {"input": given(person)}))


def test_nobody_revokes_their_own_designation(writable: World, person: Person) -> None:
    found = designated(writable, person, role="register_admin")
    payload = revoke(writable, found["id"], by=person.name)
    assert codes(payload) == [("NOT_ALLOWED", "RevokeDesignationInput.id")]
    assert role_of(writable, person) == "register_admin"
    with pytest.raises(asyncpg.CheckViolationError, match="nobody_revokes_their_own"):
        writable.execute("UPDATE designation SET revoked_by = $1 WHERE employee_id = $1", person.key)


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_revocation_says_why(writable: World, person: Person, reason: str) -> None:
    found = designated(writable, person)
    payload = revoke(writable, found["id"], reason=reason)
    assert codes(payload) == [("REQUIRED", "RevokeDesignationInput.reason")]
    assert role_of(writable, person) == "support"


def test_what_has_ended_is_not_revoked_again(writable: World, person: Person) -> None:
    found = designated(writable, person, validTo=time(NOW + DAY))
    with writable.at(NOW + DAY):
        payload = revoke(writable, found["id"])
        assert codes(payload) == [("INVALID_TRANSITION", "Designation.revokedAt")]
    revoke(writable, found["id"])
    before = row_of(writable, found["id"])
    payload = revoke(writable, found["id"], reason="again")
    assert codes(payload) == [("INVALID_TRANSITION", "Designation.revokedAt")]
    assert row_of(writable, found["id"]) == before


def test_a_designation_that_does_not_exist_is_not_found(writable: World) -> None:
    nobody = global_id("Designation", uuid.UUID(int=0))
    assert codes(revoke(writable, nobody)) == [("NOT_FOUND", "Designation.id")]


def test_of_several_designations_act_as_chooses_and_revoking_one_leaves_the_other(
    writable: World, person: Person
) -> None:
    first = designated(writable, person, role="warehouse")
    designated(writable, person, role="finance")
    assert role_of(writable, person) == "ACT_AS_REQUIRED"
    assert role_of(writable, person, **{"Act-As": "finance"}) == "finance"
    assert role_of(writable, person, **{"Act-As": "warehouse"}) == "warehouse"
    assert role_of(writable, person, **{"Act-As": "support"}) == "ACT_AS_FORBIDDEN"
    revoke(writable, first["id"])
    assert role_of(writable, person) == "finance"
    assert role_of(writable, person, **{"Act-As": "warehouse"}) == "ACT_AS_FORBIDDEN"


# ---------------------------------------------------------------- lists

ENDING = """query ($until: DateTime!) { designations(
    where: {validTo: {lt: $until}, revokedAt: {isNull: true}}, orderBy: [{validTo: ASC}], first: 100
) { nodes { id role validTo employee { name workEmail } designatedBy { name } } } }"""


@pytest.mark.parametrize("name", [ADMIN, "privacy-officer"])
def test_the_recertification_list_names_what_ends_within_thirty_days(
    writable: World, person: Person, name: str
) -> None:
    later = designated(writable, person, role="finance", validTo=time(NOW + 29 * DAY))
    sooner = designated(writable, person, role="support", validTo=time(NOW + 3 * DAY))
    designated(writable, person, role="analyst", validTo=time(NOW + 31 * DAY))
    ended = designated(writable, person, role="warehouse", validTo=time(NOW + 5 * DAY))
    revoke(writable, ended["id"])
    found = writable.data(name, ENDING, {"until": time(NOW + 30 * DAY)})["designations"]["nodes"]
    assert [node["id"] for node in found] == [sooner["id"], later["id"]]
    assert found[0]["employee"] == {"name": "Test employee", "workEmail": person.address}
    assert found[0]["designatedBy"] == {"name": "Demo register-admin"}


def test_administrators_list_who_is_designated_since_when_by_whom(writable: World, person: Person) -> None:
    made = designated(writable, person)
    document = """query ($who: String!) { designations(where: {employee: {workEmail: {eq: $who}}}) {
        nodes { id role validFrom designatedBy { workEmail } } } }"""
    for name in (ADMIN, "privacy-officer"):
        (found,) = writable.data(name, document, {"who": person.address})["designations"]["nodes"]
        assert found["id"] == made["id"]
        assert found["designatedBy"] == {"workEmail": f"{ADMIN}@store.example"}


def test_an_employee_sees_their_own_designations_and_not_who_designated_them(
    writable: World, person: Person
) -> None:
    made = designated(writable, person)
    document = """{ employees { totalCount nodes { workEmail } } designations { totalCount nodes {
        id reason employee { id } designatedBy { name } } } }"""
    found = writable.data(person.name, document)
    assert found["employees"] == {"totalCount": 1, "nodes": [{"workEmail": person.address}]}
    (node,) = found["designations"]["nodes"]
    assert (node["id"], node["employee"]["id"]) == (made["id"], person.id)
    # Whoever designated them is another employee, whose row is not theirs to see.
    assert node["designatedBy"] is None


def test_a_designation_of_another_is_like_one_that_is_not_there(writable: World, person: Person) -> None:
    made = designated(writable, person)
    document = "query ($id: ID!) { node(id: $id) { id } }"
    nobody = global_id("Designation", uuid.UUID(int=0))
    seen, unseen = (writable.post("support", document, {"id": key}) for key in (made["id"], nobody))
    assert seen.content == unseen.content


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
