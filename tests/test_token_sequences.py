"""No sequence of narrowing, rotation and revocation widens a token, and each step does what is foretold."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schema.scalars import global_id
from tests.partners import (
    NARROW,
    REVOKE,
    ROTATE,
    from_address,
    in_days,
    issued,
    kept,
    known,
    mine,
    payload,
    token_id,
)
from tests.world import NOW, World

__all__ = ["kept"]
SECOND = timedelta(seconds=1)


def digest(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


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
# What a token of the test keeps whatever it is limited to, so that the next step can be tried.
OWN = ("Mutation.narrowPartnerToken", "Mutation.rotatePartnerToken", "Mutation.revokePartnerToken")
DEEPEST, MOST_KEYS = 2, 2
EXAMPLES = {"default": 20, "thorough": 200}


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
        found["operations"] = [*wanted["operations"], *OWN]
    if wanted["documents"] is not None:
        found["documents"] = [digest(one) for one in (*wanted["documents"], NARROW, ROTATE, REVOKE)]
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


# ---------------------------------------------------------------- what is foretold


@dataclass(eq=False)
class Key:
    """A token as plain Python knows it; ends are days from now, none after the one it is narrowed from."""

    name: str
    limits: Wanted
    expires: float
    parent: Key | None = None
    rotation: list[Key] = field(default_factory=list)
    revoked: bool = False
    reached: set[tuple[str, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rotation.append(self)

    @property
    def ends(self) -> float:
        own = 0.0 if self.revoked else self.expires
        return own if self.parent is None else min(own, self.parent.ends)

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else 1 + self.parent.depth


@dataclass
class Tokens:
    """The tokens of one sequence of steps, against a world."""

    world: World
    deliveries: list[uuid.UUID]
    keys: list[Key] = field(default_factory=list)

    def asked_as(self, key: Key) -> World | None:
        """The world from an address that a token is good from; None where there is none."""
        address = next((one for one in ADDRESSES if admits(key.limits["networks"], one)), None)
        return None if address is None else from_address(self.world, address)

    def add(self, key: Key) -> None:
        key.reached = reach(self.world, key.name, self.deliveries)
        self.keys.append(key)

    def narrow(self, key: Key, step: Wanted) -> None:
        """A narrowed token reaches a part of what it was narrowed from; what does not fit is not made."""
        if (world := self.asked_as(key)) is None:
            return
        made = payload(world, key.name, NARROW, given_of(self.world, step, self.deliveries))
        is_within = step["days"] <= key.ends and key.depth < DEEPEST
        assert (made["userErrors"] == []) == (is_within and fits(step, key.limits))
        if not made["userErrors"]:
            self.add(Key(known(self.world, made), merged(step, key.limits), step["days"], key))
            assert self.keys[-1].reached <= key.reached

    def rotate(self, key: Key, step: Wanted) -> None:
        """A rotated key reaches no more than the one it takes the place of."""
        asker = key.parent if step["by_parent"] and key.parent is not None else key
        if (world := self.asked_as(asker)) is None:
            return
        given = {"id": token_id(self.world, key.name), "overlapHours": step["overlap"]}
        if step["days"] is not None:
            given["expiresAt"] = in_days(self.world, step["days"])
        made = payload(world, asker.name, ROTATE, given)
        former = min(key.expires, step["overlap"] / 24)
        live = sum(one.expires > 0 and not one.revoked for one in key.rotation if one is not key)
        is_within = step["days"] is None or step["days"] <= key.ends
        assert (made["userErrors"] == []) == (is_within and live + (former > 0) < MOST_KEYS)
        if not made["userErrors"]:
            end = key.ends if step["days"] is None else step["days"]
            key.expires = former
            self.add(Key(known(self.world, made), key.limits, end, key.parent, key.rotation))
            assert self.keys[-1].reached <= key.reached

    def revoke(self, key: Key, step: Wanted) -> None:
        asker = key.parent if step["by_parent"] and key.parent is not None else key
        if (world := self.asked_as(asker)) is None:
            return
        made = payload(world, asker.name, REVOKE, {"id": token_id(self.world, key.name)})
        assert made["userErrors"] == []
        key.revoked = True

    def check(self) -> None:
        """No step has widened any token, and each is good from where and for as long as is foretold."""
        for key in self.keys:
            now = reach(self.world, key.name, self.deliveries)
            assert now <= key.reached
            held = {(found[1], found[2]) for found in now if found[0] == "at"}
            addresses = [one for one in ADDRESSES if admits(key.limits["networks"], one)]
            assert held == {(str(days), one) for days in DAYS if days <= key.ends for one in addresses}
            assert key.ends > 0 or not now


# ---------------------------------------------------------------- any sequence

WHICH = st.integers(0, 5)
WHO = {"by_parent": st.booleans()}
ROTATION = st.fixed_dictionaries(
    {"overlap": st.sampled_from((0, 12, 24, 168)), "days": st.sampled_from((None, *DAYS)), **WHO}
)
NARROWINGS = st.tuples(st.just("narrow"), WHICH, LIMITS)
STEPS = st.one_of(
    NARROWINGS,
    st.tuples(st.just("rotate"), WHICH, ROTATION),
    st.tuples(st.just("revoke"), WHICH, st.fixed_dictionaries(WHO)),
)
Step = tuple[str, int, Wanted]


def test_no_sequence_of_narrowing_rotation_and_revocation_widens_a_token(kept: World) -> None:
    keys = [key for key in mine(kept) if is_under_way(kept, key)][:4]
    documents = {found[1] for found in reach(kept, issued(kept), keys)}
    assert {READ, NODES, OTHERS, CHANGE} <= documents  # else nothing would be compared
    done: dict[str, int] = {"narrow": 0, "rotate": 0, "revoke": 0}

    @settings(max_examples=EXAMPLES[os.environ.get("HYPOTHESIS_PROFILE", "default")], deadline=None)
    @given(LIMITS, NARROWINGS, st.lists(STEPS, min_size=1, max_size=4))
    def check(first: Wanted, second: Step, steps: list[Step]) -> None:
        tokens = Tokens(kept, keys)
        tokens.add(Key(issued(kept, **given_of(kept, first, keys)), first, first["days"]))
        for name, which, step in (second, *steps):
            live = [key for key in tokens.keys if key.ends > 0]
            if not live:
                break
            before = len(tokens.keys)
            getattr(tokens, name)(live[which % len(live)], step)
            done[name] += name == "revoke" or len(tokens.keys) > before
        tokens.check()

    check()
    assert all(done.values()), done


def test_a_sequence_of_each_step_goes_as_foretold(kept: World) -> None:
    """One that is sure to make every kind of token, whatever is drawn elsewhere."""
    keys = [key for key in mine(kept) if is_under_way(kept, key)][:4]
    free: Wanted = {"operations": None, "networks": None, "documents": None, "deliveries": None}
    tokens = Tokens(kept, keys)
    tokens.add(Key(issued(kept), free | {"days": 30.0}, 30.0))
    tokens.narrow(tokens.keys[0], free | {"days": 1.0, "deliveries": [0]})
    child = tokens.keys[1]
    tokens.narrow(child, free | {"days": 1.0, "networks": [NETWORKS[0]]})
    rotation: Wanted = {"overlap": 12, "days": None, "by_parent": False}
    tokens.rotate(child, rotation)
    tokens.rotate(child, rotation)  # two keys hold already
    tokens.rotate(tokens.keys[0], rotation | {"days": 0.5})
    assert len(tokens.keys) == 5
    tokens.check()
    tokens.revoke(child, {"by_parent": True})
    tokens.check()
    assert [key.ends for key in tokens.keys] == [0.5, 0.0, 0.0, 0.5, 0.5]


def is_under_way(world: World, key: uuid.UUID) -> bool:
    row = next(row for row in world.table("delivery") if row["id"] == key)
    return row["status"] not in {"DELIVERED", "RETURNED", "LOST"}
