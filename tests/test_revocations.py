"""Designations taken back, and the lists that name who is designated."""

from __future__ import annotations

import uuid
from functools import partial
from time import monotonic, sleep
from typing import Any

import asyncpg
import pytest

from gateway.demo.principals import employee_id
from schema.scalars import global_id, read_global_id
from tests.designating import (
    ADMIN,
    DAY,
    DESIGNATE,
    REVOKE,
    Person,
    codes,
    designated,
    given,
    is_refused,
    revoke,
    role_of,
    time,
    undesignated,
)
from tests.world import NOW, World
from tests.writing import another_gateway, at_once, told_to_nobody, until_listening

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
        until_listening(other)
        found = designated(writable, person)
        assert role_of(other, person) == "support"
        revoke(writable, found["id"])
        begun = monotonic()
        while role_of(other, person) is not None:
            assert monotonic() - begun < 2


def test_of_two_administrators_who_revoke_each_other_at_once_one_remains(
    writable: World, person: Person
) -> None:
    with undesignated(writable) as second:
        two = (person, second)
        for _ in range(5):
            keys = [designated(writable, one, role="register_admin")["id"] for one in two]
            assert [role_of(writable, one) for one in two] == ["register_admin"] * 2
            steps = [
                partial(writable.post, one.name, REVOKE, {"input": {"id": key, "reason": "at once"}})
                for one, key in zip(two, reversed(keys), strict=True)
            ]
            at_once(*steps)
            left = [key for key in keys if row_of(writable, key)["revoked_at"] is None]
            assert len(left) == 1
            revoke(writable, left[0])


def test_who_was_revoked_a_moment_ago_revokes_nobody(writable: World, person: Person) -> None:
    """The other worker, which was not told, still takes the caller for an administrator."""
    with another_gateway(writable) as other, undesignated(writable) as second:
        until_listening(other)
        mine, theirs = (designated(writable, one, role="register_admin") for one in (person, second))
        for _ in range(3):
            # It was told of the two designations, and may hear of them in a moment.
            assert role_of(other, person) == "register_admin"
            sleep(0.1)
        assert role_of(other, person) == "register_admin"
        with told_to_nobody(writable, "designation", "employee_changed"):
            revoke(writable, mine["id"])
            payload = revoke(other, theirs["id"], by=person.name)
        assert codes(payload) == [("NOT_ALLOWED", "RevokeDesignationInput.id")]
        assert role_of(writable, second) == "register_admin"


def row_of(world: World, key: str) -> Any:
    found = read_global_id(key)
    assert found is not None
    return next(row for row in world.table("designation") if row["id"] == found[1])


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

ENDING = """query ($now: DateTime!, $until: DateTime!) { designations(
    where: {validTo: {gt: $now, lt: $until}, revokedAt: {isNull: true}, employee: {active: {eq: true}}},
    orderBy: [{validTo: ASC}], first: 100
) { nodes { id role validTo employee { name workEmail } designatedBy { name } } } }"""


@pytest.mark.parametrize("name", [ADMIN, "privacy-officer"])
def test_the_recertification_list_names_what_ends_within_thirty_days(
    writable: World, person: Person, name: str
) -> None:
    with undesignated(writable) as gone:
        designated(writable, gone, validTo=time(NOW + 4 * DAY))
        writable.execute("UPDATE employee SET active = false WHERE id = $1", gone.key)
        nodes = named_to_recertify(writable, person, name)
    assert nodes[0]["employee"] == {"name": "Test employee", "workEmail": person.address}
    assert nodes[0]["designatedBy"] == {"name": "Demo register-admin"}


def named_to_recertify(writable: World, person: Person, name: str) -> Any:
    """What the list names, which is asserted to be two designations of a person, the sooner one first."""
    later = designated(writable, person, role="finance", validTo=time(NOW + 29 * DAY))
    sooner = designated(writable, person, role="support", validTo=time(NOW + 3 * DAY))
    designated(writable, person, role="analyst", validTo=time(NOW + 31 * DAY))
    ended = designated(writable, person, role="warehouse", validTo=time(NOW + 5 * DAY))
    revoke(writable, ended["id"])
    lapsed = "UPDATE designation SET valid_from = $2, valid_to = $3 WHERE id = $1"
    old = designated(writable, person, role="marketing", validTo=time(NOW + DAY))
    key = read_global_id(old["id"])
    assert key is not None
    writable.execute(lapsed, key[1], NOW - 400 * DAY, NOW - 300 * DAY)
    given = {"now": time(NOW), "until": time(NOW + 30 * DAY)}
    found = writable.data(name, ENDING, given)["designations"]["nodes"]
    assert [node["id"] for node in found] == [sooner["id"], later["id"]]
    return found


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
