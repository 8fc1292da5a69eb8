"""What ends in one worker ends in another that is told of it: the clocks stand still, so no time ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest

from tests.partners import (
    NARROW,
    REVOKE,
    ROTATE,
    carrier_id,
    in_days,
    issued,
    kept,
    narrowed,
    payload,
    reason,
    token_id,
    wrong,
)
from tests.shipments import change
from tests.signing_in import REVOKED_WITHIN_SECONDS
from tests.world import World
from tests.writing import another_gateway, told_to_nobody, until_listening

__all__ = ["kept"]
LISTENERS = """SELECT array_agg(pid) FROM pg_stat_activity
    WHERE application_name = 'gateway listener' AND datname = current_database()"""


@contextmanager
def elsewhere(world: World) -> Iterator[World]:
    """Another worker, which hears of changes."""
    with another_gateway(world) as found:
        until_listening(found)
        yield found


def is_refused_soon(world: World, name: str) -> bool:
    """Whether a worker that took a token takes it no more within the time that was promised."""
    deadline = monotonic() + REVOKED_WITHIN_SECONDS
    while (found := reason(world, name)) is None and monotonic() < deadline:
        pass
    return found == "revoked"


def activated(world: World, carrier: str, active: bool) -> None:
    made = change(
        world, "register-admin", "updateCarrier", {"id": carrier, "active": active}, "carrier { id }"
    )
    assert made["userErrors"] == []


@pytest.fixture
def stopped(kept: World) -> Iterator[World]:
    """The world; its second carrier is active again afterwards."""
    yield kept
    activated(kept, carrier_id(kept, "carrier-2"), True)


def test_a_revoked_partner_token_is_refused_in_another_worker(kept: World) -> None:
    name = issued(kept)
    with elsewhere(kept) as other:
        assert reason(other, name) is None
        payload(kept, "register-admin", REVOKE, {"id": token_id(kept, name)})
        assert is_refused_soon(other, name)


def test_what_was_narrowed_from_a_revoked_token_is_refused_in_another_worker(kept: World) -> None:
    parent = issued(kept)
    child = narrowed(kept, parent)
    with elsewhere(kept) as other:
        assert reason(other, child) is None
        payload(kept, "register-admin", REVOKE, {"id": token_id(kept, parent)})
        assert is_refused_soon(other, child)


def test_a_worker_that_was_told_nothing_goes_on_believing(kept: World) -> None:
    """The tests above show that it is told: without a notice the standing clock ends nothing."""
    name = issued(kept)
    with elsewhere(kept) as other:
        assert reason(other, name) is None
        with told_to_nobody(kept, "partner_token", "partner_token_changed"):
            payload(kept, "register-admin", REVOKE, {"id": token_id(kept, name)})
        assert reason(other, name) is None


def test_after_the_listener_was_cut_a_revocation_holds_on_the_very_next_request(kept: World) -> None:
    name = issued(kept)
    with elsewhere(kept) as other:
        assert reason(other, name) is None
        before = set(listeners(kept))
        kept.execute(f"SELECT pg_terminate_backend(pid) FROM unnest(({LISTENERS})) pid")
        deadline = monotonic() + 10
        while before & (now := set(listeners(kept))) or len(now) < len(before):
            assert monotonic() < deadline
        with told_to_nobody(kept, "partner_token", "partner_token_changed"):
            payload(kept, "register-admin", REVOKE, {"id": token_id(kept, name)})
        assert reason(other, name) == "revoked"


def listeners(world: World) -> Any:
    return world.run(lambda connection: connection.fetchval(LISTENERS)) or []


# ---------------------------------------------------------------- a carrier that is not active


def test_tokens_of_a_carrier_that_is_not_active_are_refused_and_taken_again_when_it_is(
    stopped: World,
) -> None:
    carrier = carrier_id(stopped, "carrier-2")
    parent = issued(stopped, carrier=carrier)
    child = narrowed(stopped, parent)
    with elsewhere(stopped) as other:
        assert [reason(one, name) for one in (stopped, other) for name in (parent, child)] == [None] * 4
        activated(stopped, carrier, False)
        assert [reason(stopped, name) for name in (parent, child)] == ["revoked"] * 2
        assert is_refused_soon(other, parent)
        assert is_refused_soon(other, child)
        activated(stopped, carrier, True)
        assert [reason(stopped, name) for name in (parent, child)] == [None] * 2


def test_a_token_of_a_carrier_that_is_not_active_is_neither_rotated_nor_narrowed(stopped: World) -> None:
    carrier = carrier_id(stopped, "carrier-2")
    name = issued(stopped, carrier=carrier)
    with elsewhere(stopped) as other:
        assert reason(other, name) is None
        with told_to_nobody(stopped, "carrier", "carrier_changed"):
            activated(stopped, carrier, False)
        rotation = {"id": token_id(stopped, name)}
        # The other worker still takes the token, and the change itself looks again.
        assert wrong(other, name, NARROW, {"expiresAt": in_days(stopped, 1)}) == [
            ("INVALID_TRANSITION", "id")
        ]
        assert wrong(other, name, ROTATE, rotation) == [("INVALID_TRANSITION", "id")]
        assert wrong(stopped, "register-admin", ROTATE, rotation) == [("INVALID_TRANSITION", "id")]
