"""No sequence of narrowing widens a token, and what was narrowed from a token ends with it."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    theirs = next(row["id"] for row in kept.rows()["delivery"] if row["carrier_id"] == other)
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
    rows = [row for row in kept.rows()["partner_token"] if row["id"] in ids]
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


# ---------------------------------------------------------------- any sequence

VERSION = 2_000_000_000
CHANGE = (
    f"mutation($id: ID!) {{ updateDelivery(input: {{id: $id, ifVersion: {VERSION}, trackingCode: null}})"
    " { userErrors { code } } }"
)
READ = "{ deliveries(first: 100) { nodes { id trackingCode events { nodes { id } } } } }"
NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
OTHERS = "{ carriers { nodes { id contactEmail } } }"
DOCUMENTS = {"Query.deliveries": READ, "Query.nodes": NODES, "Query.carriers": OTHERS}
OPERATIONS = sorted({*DOCUMENTS, "Mutation.updateDelivery"})
NETWORKS = [
    *("192.0.2.0/24", "192.0.2.128/25", "192.0.2.200/32", "::ffff:192.0.2.0/121", "0.0.0.0/0"),
    *("2001:db8::/32", "2001:db8:1::/48", "::/0"),
]
ADDRESSES = ("192.0.2.1", "::ffff:192.0.2.200", "198.51.100.1", "2001:db8:1::1")
DAYS = (0.5, 1.0, 30.0)
EXAMPLES = {"default": 30, "thorough": 300}


def subset(values: Any) -> Any:
    return st.none() | st.sets(st.sampled_from(values), min_size=1).map(sorted)


LIMITS = st.fixed_dictionaries(
    {
        "days": st.sampled_from(DAYS),
        "operations": subset(OPERATIONS),
        "networks": subset(NETWORKS),
        "documents": subset(sorted([*DOCUMENTS.values(), CHANGE])),
        "deliveries": subset(range(4)),
    }
)
Wanted = Mapping[str, Any]


def given_of(world: World, wanted: Wanted, keys: list[uuid.UUID]) -> dict[str, Any]:
    """The input for limits; what the test itself needs is always among them."""
    found: dict[str, Any] = {"expiresAt": in_days(world, wanted["days"]), "networks": wanted["networks"]}
    if wanted["operations"] is not None:
        found["operations"] = [*wanted["operations"], NARROWING]
    if wanted["documents"] is not None:
        found["documents"] = [digest(one) for one in (*wanted["documents"], NARROW)]
    if wanted["deliveries"] is not None:
        found["deliveries"] = [global_id("Delivery", keys[place]) for place in wanted["deliveries"]]
    return {name: value for name, value in found.items() if value is not None}


def plain(address: str) -> Any:
    found = ip_address(address)
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def admits(networks: list[str] | None, address: str) -> bool:
    """Whether an address is in one of the networks, looked up bit by bit."""
    return networks is None or any(plain(address) in v4(network) for network in networks)


def v4(network: str) -> Any:
    found = ip_network(network)
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    return ip_network(f"{mapped}/{found.prefixlen - 96}") if mapped else found


def fits(child: Wanted, parent: Wanted) -> bool:
    """Whether everything that is asked for lies within what the parent is limited to."""
    for name in ("operations", "documents", "deliveries"):
        if child[name] is not None and parent[name] is not None and not {*child[name]} <= {*parent[name]}:
            return False
    if child["networks"] is not None and parent["networks"] is not None:
        for inner in map(v4, child["networks"]):
            outers = [one for one in map(v4, parent["networks"]) if one.version == inner.version]
            if not any(inner.subnet_of(one) for one in outers):
                return False
    return bool(child["days"] <= parent["days"])


def merged(child: Wanted, parent: Wanted) -> Wanted:
    return {name: parent[name] if value is None else value for name, value in child.items()}


def reach(world: World, name: str, keys: list[uuid.UUID]) -> set[tuple[str, ...]]:
    """All that a token gets to: from each address and at each moment, each row it reads or may change."""
    ids = [global_id("Delivery", key) for key in keys]
    found: set[tuple[str, ...]] = set()
    for address in ADDRESSES:
        asked = from_address(world, address)
        for document, variables in ((READ, None), (NODES, {"ids": ids}), (OTHERS, None)):
            shown = json.dumps(asked.post(name, document, variables).json().get("data"))
            found |= {(address, document, part) for part in shown.split('"') if len(part) > 30}
        for one in ids:
            if '"CONFLICT"' in asked.post(name, CHANGE, {"id": one}).text:
                found.add((address, CHANGE, one))
    for days in DAYS:
        with world.at(NOW + timedelta(days=days) - SECOND):
            found |= {("at", str(days), a) for a in ADDRESSES if is_known(from_address(world, a), name)}
    return found


def is_known(world: World, name: str) -> bool:
    return bool(world.post(name, "{ viewer { role } }").status_code != 401)


def test_no_sequence_of_narrowing_widens_a_token(kept: World) -> None:
    keys = [key for key in mine(kept) if is_under_way(kept, key)][:4]
    documents = {found[1] for found in reach(kept, issued(kept), keys)}
    assert {READ, NODES, OTHERS, CHANGE} <= documents  # else nothing would be compared

    @settings(max_examples=EXAMPLES[os.environ.get("HYPOTHESIS_PROFILE", "default")], deadline=None)
    @given(st.lists(LIMITS, min_size=2, max_size=3))
    def check(steps: list[Wanted]) -> None:
        check_narrowing(kept, keys, steps)

    check()


def check_narrowing(world: World, keys: list[uuid.UUID], steps: list[Wanted]) -> None:
    """Each child reaches a part of what its parent reaches; whatever fits is made, and nothing else is."""
    holder, effective = issued(world, **given_of(world, steps[0], keys)), steps[0]
    reached = reach(world, holder, keys)
    for step in steps[1:]:
        address = next((one for one in ADDRESSES if admits(effective["networks"], one)), None)
        if address is None:
            return
        made = payload(from_address(world, address), holder, NARROW, given_of(world, step, keys))
        assert (made["userErrors"] == []) == fits(step, effective)
        if made["userErrors"]:
            continue
        holder, effective = known(world, made), merged(step, effective)
        before, reached = reached, reach(world, holder, keys)
        assert reached <= before
        known_from = {found[2] for found in reached if found[0] == "at"}
        assert known_from == {one for one in ADDRESSES if admits(effective["networks"], one)}


def is_under_way(world: World, key: uuid.UUID) -> bool:
    row = next(row for row in world.rows()["delivery"] if row["id"] == key)
    return row["status"] not in {"DELIVERED", "RETURNED", "LOST"}
