"""A restriction that the store ends holds until its person is told (GDPR Article 18(3))."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.mail.smtp import Answer
from tests.erasing import (
    DAY,
    SERVICE,
    Person,
    Post,
    asked,
    asked_for,
    code_of,
    decided,
    lifts,
    new_person,
    sends,
)
from tests.world import NOW, World
from tests.writing import kept, key_of


@pytest.fixture(autouse=True)
def _nobody_is_restricted(nothing_waits: None, writable: World) -> None:
    lifts(writable)


def restricted(world: World) -> tuple[Person, str]:
    """A person whose data is restricted, and their request."""
    person = new_person(world)
    request = str(asked(world, person.name, "requestRestriction")["subjectRequest"]["id"])
    assert decided(world, request, decision="ACCEPTED")["userErrors"] == []
    sends(world, Post())
    return person, request


def is_restricted(world: World, person: Person) -> bool:
    world.forget()
    (row,) = kept(world, "customer", id=person.key)
    assert (row["restricted_at"] is not None) == (row["status"] == "RESTRICTED")
    return row["restricted_at"] is not None


def kinds(world: World, person: Person) -> list[str]:
    world.forget()
    return [row["kind"] for row in kept(world, "mail", customer_id=person.key)]


def test_a_lifted_restriction_ends_when_the_letter_is_sent_and_not_before(writable: World) -> None:
    person, request = restricted(writable)
    payload = decided(writable, request, decision="LIFTED")
    assert (payload["userErrors"], payload["subjectRequest"]["decision"]) == ([], "LIFTED")
    assert payload["customer"]["status"] == "RESTRICTED"
    assert (lifts(writable, 9 * DAY), is_restricted(writable, person)) == (0, True)
    post = Post()
    sends(writable, post)
    assert "ends with this letter" in post.taken[-1].body
    assert (lifts(writable), is_restricted(writable, person)) == (1, False)
    assert lifts(writable) == 0
    assert code_of(decided(writable, request, decision="LIFTED")) == (
        "INVALID_TRANSITION SubjectRequest.status"
    )


def test_a_letter_that_nobody_takes_ends_no_restriction(writable: World) -> None:
    person, request = restricted(writable)
    decided(writable, request, decision="LIFTED")
    sends(writable, Post(Answer.REFUSED))
    assert kinds(writable, person) == ["restriction-ends"]
    assert (lifts(writable, 9 * DAY), is_restricted(writable, person)) == (0, True)


def test_without_a_mail_server_a_lifted_restriction_ends_a_day_later(writable: World) -> None:
    person, request = restricted(writable)
    decided(writable, request, decision="LIFTED")
    assert lifts(writable, DAY - timedelta(seconds=1), smtp_url=None) == 0
    assert is_restricted(writable, person)
    assert (lifts(writable, DAY, smtp_url=None), is_restricted(writable, person)) == (1, False)


def test_a_restriction_that_began_again_is_not_ended_by_what_was_decided_before(writable: World) -> None:
    person, request = restricted(writable)
    decided(writable, request, decision="LIFTED")
    again = asked(writable, person.name, "requestRestriction")["subjectRequest"]["id"]
    assert again != request
    assert decided(writable, again, decision="ACCEPTED")["userErrors"] == []
    sends(writable, Post())
    assert (lifts(writable, 9 * DAY), is_restricted(writable, person)) == (0, True)


def test_who_takes_their_own_restriction_back_need_not_be_told_first(writable: World) -> None:
    person, request = restricted(writable)
    began = "UPDATE subject_request SET decided_at = $2, executed_at = $2, completed_at = $2 WHERE id = $1"
    writable.execute(began, key_of(request), NOW - 9 * DAY)
    assert asked(writable, person.name, "withdrawSubjectRequest", id=request)["userErrors"] == []
    assert not is_restricted(writable, person)
    (row,) = kept(writable, "subject_request", id=key_of(request))
    assert (row["status"], row["executed_at"], row["completed_at"]) == ("WITHDRAWN", NOW - 9 * DAY, NOW)


def test_support_takes_no_restriction_back_that_is_in_force(writable: World) -> None:
    person, request = restricted(writable)
    refused = asked(writable, "support", "withdrawSubjectRequest", SERVICE, id=request)
    assert code_of(refused) == "NOT_FOUND SubjectRequest.id"
    assert is_restricted(writable, person)


def test_an_erasure_that_support_takes_back_is_told_to_the_person(writable: World) -> None:
    person = new_person(writable)
    request = asked_for(writable, person)["subjectRequest"]["id"]
    sends(writable, Post())
    taken = asked(writable, "support", "withdrawSubjectRequest", SERVICE, id=request)
    assert taken["subjectRequest"]["status"] == "WITHDRAWN"
    assert kinds(writable, person) == ["request-taken-back"]
    own = asked_for(writable, person)["subjectRequest"]["id"]
    sends(writable, Post())
    asked(writable, person.name, "withdrawSubjectRequest", id=own)
    assert kinds(writable, person) == []
