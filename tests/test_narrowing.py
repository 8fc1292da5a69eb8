"""No sequence of narrowing widens a token, and what was narrowed from a token ends with it."""

from __future__ import annotations

import hashlib
import uuid
from datetime import timedelta
from typing import Any

import pytest

from schema.scalars import global_id
from tests.live import WATCH, Served
from tests.partners import (
    ISSUE,
    NARROW,
    REVOKE,
    ROTATE,
    bearer,
    carrier_id,
    from_address,
    in_days,
    issued,
    kept,
    known,
    mine,
    narrowed,
    payload,
    reason,
    token_id,
    wrong,
)
from tests.test_live_attacks import AT_ONCE, seconds_until_ended
from tests.world import NOW, World

__all__ = ["kept"]
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
NARROWING = "Mutation.narrowPartnerToken"


def digest(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


# ---------------------------------------------------------------- one step


@pytest.mark.parametrize(
    ("limits", "asked", "mistake"),
    [
        ({}, {"expiresAt": 30.0001}, "expiresAt"),
        ({}, {"expiresAt": 0}, "expiresAt"),
        ({"operations": [NARROWING]}, {"operations": ["Query.deliveries"]}, "operations/0"),
        ({}, {"operations": ["Query.customers"]}, "operations/0"),
        ({}, {"operations": []}, "operations"),
        ({"networks": ["192.0.2.0/24"]}, {"networks": ["192.0.2.0/23"]}, "networks/0"),
        ({"networks": ["192.0.2.0/24"]}, {"networks": ["192.0.2.0/25", "0.0.0.0/0"]}, "networks/1"),
        ({"networks": ["192.0.2.0/24"]}, {"networks": ["::/0"]}, "networks/0"),
        ({"networks": ["192.0.2.0/24"]}, {"networks": ["::ffff:192.0.3.0/120"]}, "networks/0"),
        ({"documents": [digest(NARROW)]}, {"documents": ["0" * 64]}, "documents/0"),
        ({}, {"documents": []}, "documents"),
        ({}, {"deliveries": []}, "deliveries"),
    ],
)
def test_a_token_is_not_narrowed_to_more_than_it_is(
    kept: World, limits: dict[str, Any], asked: dict[str, Any], mistake: str
) -> None:
    name = issued(kept, **limits)
    world = from_address(kept, "192.0.2.1")
    wanted = {"expiresAt": in_days(kept, asked.pop("expiresAt", 1)), **asked}
    assert [path for _, path in wrong(world, name, NARROW, wanted)] == [mistake]


def test_a_token_names_no_delivery_that_its_parent_does_not_see(kept: World) -> None:
    keys = [global_id("Delivery", key) for key in mine(kept)]
    other = kept.askers["carrier-2"].carrier_id
    theirs = next(row["id"] for row in kept.table("delivery") if row["carrier_id"] == other)
    name = issued(kept, deliveries=keys[:2])
    asked = [keys[0], keys[2], global_id("Delivery", theirs), global_id("Delivery", uuid.UUID(int=1))]
    found = wrong(kept, name, NARROW, {"expiresAt": in_days(kept, 1), "deliveries": asked})
    assert found == [("NOT_FOUND", f"deliveries/{place}") for place in (1, 2, 3)]


def test_what_is_not_asked_for_is_as_in_the_parent(kept: World) -> None:
    keys = [global_id("Delivery", key) for key in mine(kept)[:2]]
    limits = {"operations": [NARROWING], "networks": ["192.0.2.0/24"], "documents": [digest(NARROW)]}
    name = issued(kept, **limits, deliveries=keys)
    child = narrowed(from_address(kept, "192.0.2.1"), name, documents=None, networks=None)
    ids = {kept.askers[one].token_id for one in (name, child)}
    kept.forget()
    rows = [row for row in kept.table("partner_token") if row["id"] in ids]
    same = ("partner", "kind", "carrier_id", "operations", "networks", "documents", "deliveries")
    assert len(rows) == 2
    assert len({str([row[column] for column in same]) for row in rows}) == 1


def test_a_token_is_narrowed_twice_at_most(kept: World) -> None:
    child = narrowed(kept, narrowed(kept, issued(kept)))
    found = wrong(kept, child, NARROW, {"expiresAt": in_days(kept, 0.5)})
    assert found == [("INVALID_TRANSITION", "id")]


def test_an_administrator_has_no_token_to_narrow(kept: World) -> None:
    response = kept.post("register-admin", NARROW, {"input": {"expiresAt": in_days(kept, 1)}})
    assert response.json()["errors"][0]["extensions"]["coordinate"] == "Mutation.narrowPartnerToken"


# ---------------------------------------------------------------- the end of a parent


@pytest.mark.parametrize("who", ["register-admin", "parent"])
def test_with_its_parent_a_token_is_revoked_at_once(kept: World, who: str) -> None:
    parent = issued(kept)
    child = narrowed(kept, parent)
    grandchild = narrowed(kept, child)
    assert [reason(kept, name) for name in (child, grandchild)] == [None, None]
    asker = parent if who == "parent" else who
    payload(kept, asker, REVOKE, {"id": token_id(kept, parent)})
    assert [reason(kept, name) for name in (parent, child, grandchild)] == ["revoked"] * 3


def test_a_token_ends_with_its_parent_and_not_the_other_way_round(kept: World) -> None:
    parent = issued(kept)
    child, sibling = narrowed(kept, parent), narrowed(kept, parent)
    payload(kept, parent, REVOKE, {"id": token_id(kept, child)})
    assert [reason(kept, name) for name in (parent, child, sibling)] == [None, "revoked", None]
    with kept.at(NOW + SECOND):
        payload(kept, parent, ROTATE, {"id": token_id(kept, parent), "overlapHours": 0})
    assert reason(kept, sibling, NOW + 2 * SECOND) == "expired"


def test_a_subcontractor_neither_sees_nor_ends_what_it_was_narrowed_from(kept: World) -> None:
    parent = issued(kept)
    child, sibling = narrowed(kept, parent), narrowed(kept, parent)
    shown = kept.data(child, "{ partnerTokens { nodes { id } } }")["partnerTokens"]["nodes"]
    assert [one["id"] for one in shown] == [token_id(kept, child)]
    for name in (parent, sibling):
        for document in (ROTATE, REVOKE):
            assert wrong(kept, child, document, {"id": token_id(kept, name)}) == [("NOT_FOUND", "id")]


def test_rotating_does_not_prolong_a_subcontractors_token(kept: World) -> None:
    parent = issued(kept)
    child = narrowed(kept, parent, expiresAt=in_days(kept, 2))
    later = {"id": token_id(kept, child), "expiresAt": in_days(kept, 3)}
    assert wrong(kept, child, ROTATE, later) == [("OUT_OF_RANGE", "expiresAt")]
    new = known(kept, payload(kept, child, ROTATE, {"id": token_id(kept, child)}))
    assert reason(kept, new, NOW + 2 * DAY) == "expired"
    payload(kept, parent, REVOKE, {"id": token_id(kept, parent)})
    assert reason(kept, new) == "revoked"


def test_an_administrator_prolongs_no_subcontractors_token_beyond_its_parents_end(kept: World) -> None:
    child = narrowed(kept, issued(kept))
    later = {"id": token_id(kept, child), "expiresAt": in_days(kept, 30.0001)}
    assert wrong(kept, "register-admin", ROTATE, later) == [("OUT_OF_RANGE", "expiresAt")]


def test_a_carrier_ends_a_subcontractors_token_with_either_key_of_a_rotation(kept: World) -> None:
    old = issued(kept)
    children = [narrowed(kept, old), narrowed(kept, old)]
    new = known(kept, payload(kept, old, ROTATE, {"id": token_id(kept, old)}))
    for name, child in zip((old, new), children, strict=True):
        payload(kept, name, REVOKE, {"id": token_id(kept, child)})
        assert reason(kept, child) == "revoked"


def test_a_subcontractors_socket_ends_with_its_parents_token(live: Served) -> None:
    world = live.world
    given = {"kind": "CARRIER", "carrier": carrier_id(world), "expiresAt": in_days(world, 30)}
    parent = known(world, payload(world, "register-admin", ISSUE, given))
    child = payload(world, parent, NARROW, {"expiresAt": in_days(world, 1)})
    try:
        with live.socket() as talk:
            talk.init(bearer(child["token"]))
            watched = next(row for row in live.deliveries(carrier_id=world.askers["carrier"].carrier_id))
            talk.subscribe("1", WATCH, {"id": global_id("Delivery", watched["id"])})
            live.until_watched()
            payload(world, "register-admin", REVOKE, {"id": token_id(world, parent)})
            taken, code, why = seconds_until_ended(talk)
        assert (code, why) == (4403, "Forbidden: revoked")
        assert taken < AT_ONCE
    finally:
        del world.askers[parent]
        world.execute("DELETE FROM partner_token WHERE parent_id IS NOT NULL")
        world.execute("DELETE FROM partner_token WHERE id = $1", uuid.UUID(parent.removeprefix("partner ")))
