"""A partner's key in wrong hands: what it reaches, and what ends with it."""

from __future__ import annotations

from typing import Any

from tests.partners import REVOKE, ROTATE, issued, kept, known, payload, token_id, wrong
from tests.world import World

__all__ = ["kept"]


def row(world: World, name: str) -> dict[str, Any]:
    key = world.askers[name].token_id
    world.forget()
    return next(one for one in world.table("partner_token") if one["id"] == key)


def test_a_former_key_neither_rotates_nor_ends_the_one_that_took_its_place(kept: World) -> None:
    former = issued(kept)
    new = known(kept, payload(kept, former, ROTATE, {"id": token_id(kept, former)}))
    given = {"id": token_id(kept, new)}
    assert wrong(kept, former, ROTATE, given | {"overlapHours": 0}) == [("INVALID_TRANSITION", "id")]
    assert wrong(kept, former, REVOKE, given) == [("INVALID_TRANSITION", "id")]
    assert payload(kept, new, REVOKE, {"id": token_id(kept, former)})["userErrors"] == []
    assert row(kept, former)["revoked_at"] is not None
    assert row(kept, new)["revoked_at"] is None


def test_an_administrator_ends_with_a_token_what_was_rotated_from_it(kept: World) -> None:
    leaked = issued(kept)
    taken = known(kept, payload(kept, leaked, ROTATE, {"id": token_id(kept, leaked)}))
    assert payload(kept, "register-admin", REVOKE, {"id": token_id(kept, leaked)})["userErrors"] == []
    for name in (leaked, taken):
        assert row(kept, name)["revoked_at"] is not None
        assert kept.post(name, "{ viewer { role } }").status_code == 401
