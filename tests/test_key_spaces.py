"""Whose idempotency keys are one space, and that of what is mailed it does not matter who asks."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest

from schema.scalars import global_id
from tests.partners import NARROW, ROTATE, in_days, issued, kept, known, narrowed, payload, token_id
from tests.signing_in import call, confirmed, letters, registered, sent, signed_in
from tests.world import World
from tests.writing import PLACE, at_once, basket
from tests.writing import kept as rows_kept

__all__ = ["kept"]
Given = dict[str, str]


def narrowing(world: World) -> Given:
    return {"expiresAt": in_days(world, 0.5), "idempotencyKey": str(uuid.uuid4())}


def spaces(world: World, given: Given) -> set[str]:
    """Whose a key is, by those who have used it."""
    return {
        row["principal"] for row in rows_kept(world, "idempotency", key=uuid.UUID(given["idempotencyKey"]))
    }


def test_a_carriers_tokens_do_not_share_their_keys(kept: World) -> None:
    names, given = [issued(kept) for _ in range(2)], narrowing(kept)
    made = [payload(kept, name, NARROW, given) for name in names]
    assert all(one["token"] for one in made)
    assert made[0]["partnerToken"]["id"] != made[1]["partnerToken"]["id"]
    assert spaces(kept, given) == {token_id(kept, name) for name in names}


def test_a_key_of_a_carriers_other_token_is_no_conflict(kept: World) -> None:
    one, other, given = issued(kept), issued(kept), narrowing(kept)
    known(kept, payload(kept, one, NARROW, given))
    known(kept, payload(kept, other, NARROW, given | {"expiresAt": in_days(kept, 0.25)}))


def test_a_narrowed_token_is_not_shown_what_its_parent_made_with_a_key(kept: World) -> None:
    parent, given = issued(kept), narrowing(kept)
    child = narrowed(kept, parent)
    first = payload(kept, parent, NARROW, given)
    second = payload(kept, child, NARROW, given)
    assert second["token"]
    assert second["partnerToken"]["id"] != first["partnerToken"]["id"]
    third = payload(kept, parent, NARROW, given)
    assert (third["token"], third["partnerToken"]) == (None, first["partnerToken"])


@pytest.mark.parametrize("kind", ["CARRIER", "NEWSLETTER"])
def test_the_next_key_of_a_rotation_repeats_what_the_one_before_sent(kept: World, kind: str) -> None:
    name, given = issued(kept, kind=kind), narrowing(kept)
    first = payload(kept, name, NARROW, given)
    assert first["token"]
    role = kept.askers[name].role or ""
    next_name = known(kept, payload(kept, name, ROTATE, {"id": token_id(kept, name)}), role)
    again = payload(kept, next_name, NARROW, given)
    assert again == first | {"token": None}
    changed = payload(kept, next_name, NARROW, given | {"expiresAt": in_days(kept, 0.25)})
    assert [one["code"] for one in changed["userErrors"]] == ["CONFLICT"]


def test_the_sessions_of_a_customer_share_their_keys(writable: World) -> None:
    account = confirmed(writable)
    home = {"streetAddress": "Koekatu 1", "postalCode": "00100", "postalTown": "Helsinki"}
    given = basket(
        billingAddress=home,
        delivery={"serviceCode": "PICKUP", "recipientPhone": "040 123 4567", **home},
        idempotencyKey=str(uuid.uuid4()),
    )
    orders = []
    for _ in range(2):
        headers = {"Authorization": f"Bearer {signed_in(writable, account)['accessToken']}"}
        found = writable.post("anonymous", PLACE, {"input": given}, headers=headers).json()
        assert found["data"]["placeOrder"]["userErrors"] == []
        orders.append(found["data"]["placeOrder"]["order"]["id"])
    assert orders[0] == orders[1]


# ---------------------------------------------------------------- who asks does not matter


def test_an_account_is_mailed_one_link_in_five_minutes_whoever_asks(writable: World) -> None:
    account, other = confirmed(writable), confirmed(writable)
    tokens = [None, *(signed_in(writable, one)["accessToken"] for one in (account, other))]
    asks: list[Callable[[], bytes]] = [
        lambda token=token: sent(writable, "requestPasswordReset", token, email=account.email).content  # type: ignore[misc]
        for token in tokens * 2
    ]
    assert len(set(at_once(*asks))) == 1
    assert len(letters(writable, account, "password-reset")) == 1
    with writable.at(writable.now + timedelta(minutes=5)):
        call(writable, "requestPasswordReset", tokens[2], email=account.email)
    assert len(letters(writable, account, "password-reset")) == 2


def test_who_asked_for_a_link_is_not_kept(writable: World) -> None:
    account = registered(writable)
    call(writable, "requestPasswordReset", account.access_token, email=account.email)
    rows = rows_kept(writable, "idempotency", mutation="requestPasswordReset")
    assert {row["principal"] for row in rows} == {"anyone"}
    assert global_id("Customer", account.key) not in str(rows)
