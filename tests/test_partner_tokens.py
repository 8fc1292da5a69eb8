"""Partners' tokens are shown once, end when they end, change keys with an overlap, are revoked at once."""

from __future__ import annotations

import logging
import re
import uuid
import zlib
from datetime import timedelta
from typing import Any

import pytest

from gateway.chores import keep_last_uses
from gateway.database import Connections, Transaction
from gateway.principal import LastUses, partner_token_hash
from schema.scalars import global_id, read_global_id
from tests.logged import Collected
from tests.partners import (
    ISSUE,
    NARROW,
    REVOKE,
    ROTATE,
    SECOND,
    carrier_id,
    in_days,
    issued,
    kept,
    known,
    narrowed,
    payload,
    reason,
    token_id,
    token_of,
    wrong,
)
from tests.world import NOW, World
from tests.writing import another_gateway, at_once

__all__ = ["kept"]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIST = "{ partnerTokens(first: 100) { nodes { id prefix revokedAt } } }"


def carriers(world: World, **changed: Any) -> dict[str, Any]:
    return {"kind": "CARRIER", "carrier": carrier_id(world), "expiresAt": in_days(world, 30)} | changed


def row(world: World, name: str) -> dict[str, Any]:
    key = world.askers[name].token_id
    world.forget()
    return next(one for one in world.table("partner_token") if one["id"] == key)


# ---------------------------------------------------------------- issuing


@pytest.mark.parametrize(
    ("changed", "mistakes"),
    [
        ({"expiresAt": "2026-06-15T12:00:00Z"}, [("OUT_OF_RANGE", "expiresAt")]),
        ({"expiresAt": "2026-06-14T12:00:00Z"}, [("OUT_OF_RANGE", "expiresAt")]),
        ({"expiresAt": "2026-09-13T12:00:00.000001Z"}, [("OUT_OF_RANGE", "expiresAt")]),
        ({"carrier": None}, [("REQUIRED", "carrier")]),
        ({"carrier": global_id("Carrier", uuid.UUID(int=1))}, [("NOT_FOUND", "carrier")]),
        ({"kind": "NEWSLETTER"}, [("OUT_OF_RANGE", "carrier")]),
        ({"operations": []}, [("OUT_OF_RANGE", "operations")]),
        ({"operations": ["Query.deliveries", "Query.customers"]}, [("MALFORMED", "operations/1")]),
        ({"operations": ["Mutation.issuePartnerToken"]}, [("MALFORMED", "operations/0")]),
        (
            {"operations": ["Delivery.reference", "*", ""]},
            [("MALFORMED", f"operations/{at}") for at in range(3)],
        ),
        ({"networks": []}, [("OUT_OF_RANGE", "networks")]),
        ({"networks": ["192.0.2.1/24", "all"]}, [("MALFORMED", f"networks/{at}") for at in range(2)]),
        ({"documents": []}, [("OUT_OF_RANGE", "documents")]),
        ({"documents": ["0" * 63, "g" * 64]}, [("MALFORMED", f"documents/{at}") for at in range(2)]),
        ({"deliveries": []}, [("OUT_OF_RANGE", "deliveries")]),
        ({"deliveries": [global_id("Delivery", uuid.UUID(int=1))]}, [("NOT_FOUND", "deliveries/0")]),
        (
            {"kind": "NEWSLETTER", "carrier": None, "deliveries": [global_id("Delivery", uuid.UUID(int=1))]},
            [("OUT_OF_RANGE", "deliveries/0")],
        ),
    ],
)
def test_a_token_is_not_issued_by_mistake(kept: World, changed: Any, mistakes: Any) -> None:
    assert wrong(kept, "register-admin", ISSUE, carriers(kept, **changed)) == mistakes


def test_all_that_is_wrong_is_named_at_once(kept: World) -> None:
    given = {"kind": "CARRIER", "expiresAt": in_days(kept, 91), "networks": ["x"], "operations": ["y"]}
    found = wrong(kept, "register-admin", ISSUE, given)
    assert {path for _, path in found} == {"carrier", "expiresAt", "networks/0", "operations/0"}


def test_no_delivery_of_another_carrier_is_named(kept: World) -> None:
    other = kept.askers["carrier-2"].carrier_id
    theirs = next(one["id"] for one in kept.table("delivery") if one["carrier_id"] == other)
    given = carriers(kept, deliveries=[global_id("Delivery", theirs)])
    assert wrong(kept, "register-admin", ISSUE, given) == [("NOT_FOUND", "deliveries/0")]


def test_no_token_is_issued_to_a_carrier_that_is_not_active(kept: World) -> None:
    key = kept.askers["carrier"].carrier_id
    kept.execute("UPDATE carrier SET active = false WHERE id = $1", key)
    try:
        found = wrong(kept, "register-admin", ISSUE, carriers(kept))
    finally:
        kept.execute("UPDATE carrier SET active = true WHERE id = $1", key)
    assert found == [("INVALID_TRANSITION", "carrier")]


def test_an_issued_token_is_the_partners_with_a_prefix_and_a_checksum(kept: World) -> None:
    made = payload(kept, "register-admin", ISSUE, carriers(kept, networks=["192.0.2.7"]))
    token, shown = made["token"], made["partnerToken"]
    assert re.fullmatch(r"crp_[0-9a-f]{72}", token)
    assert f"{zlib.crc32(token[4:-8].encode()):08x}" == token[-8:]
    assert shown["prefix"] == token[:12]
    assert (shown["kind"], shown["operations"], shown["networks"]) == ("CARRIER", [], ["192.0.2.7/32"])
    assert (shown["lastUsedAt"], shown["revokedAt"]) == (None, None)
    assert read_global_id(shown["issuedBy"])[0] == "Employee"
    carrier = next(
        one for one in kept.table("carrier") if global_id("Carrier", one["id"]) == carrier_id(kept)
    )
    assert shown["partner"] == carrier["name"]


def test_a_newsletter_token_acts_as_the_newsletter_provider(kept: World) -> None:
    name = issued(kept, kind="NEWSLETTER")
    found = kept.data(name, "{ viewer { role } customers { totalCount } partnerTokens { totalCount } }")
    assert found["viewer"] == {"role": "newsletter"}
    assert found["customers"]["totalCount"] > 0
    assert found["partnerTokens"]["totalCount"] == 1


def test_a_token_holds_to_before_its_last_moment(kept: World) -> None:
    name = issued(kept, expiresAt=in_days(kept, 90))
    assert reason(kept, name, NOW + 90 * DAY - SECOND) is None
    assert reason(kept, name, NOW + 90 * DAY) == "expired"


@pytest.mark.parametrize("document", [ISSUE, NARROW, ROTATE])
def test_the_same_key_shows_the_token_no_second_time(kept: World, document: str) -> None:
    name = "register-admin" if document == ISSUE else issued(kept)
    given = {
        ISSUE: carriers(kept),
        NARROW: {"expiresAt": in_days(kept, 1)},
        ROTATE: {"id": token_id(kept, name) if document == ROTATE else ""},
    }[document]
    given["idempotencyKey"] = str(uuid.uuid4())
    first, second = (payload(kept, name, document, given) for _ in range(2))
    assert first["token"]
    assert second == first | {"token": None}
    changed = payload(kept, name, document, given | {"expiresAt": in_days(kept, 0.5)})
    assert [one["code"] for one in changed["userErrors"]] == ["CONFLICT"]
    assert changed["token"] is None


# ---------------------------------------------------------------- where a token is written


def recorded_values(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement with the values it binds, as they are sent; they still run."""
    sent: list[str] = []
    for owner, name in ((Transaction, "_row"), (Transaction, "rows"), (Connections, "row")):
        run = getattr(owner, name)

        async def recording(self: Any, sql: str, values: Any, run: Any = run) -> Any:
            sent.append(repr((sql, values)))
            return await run(self, sql, values)

        monkeypatch.setattr(owner, name, recording)
    return sent


def test_a_token_stands_in_no_table_no_statement_and_no_log(
    kept: World, caplog: pytest.LogCaptureFixture, logged: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = recorded_values(monkeypatch)
    caplog.set_level(logging.DEBUG)
    name = issued(kept)
    child = narrowed(kept, name)
    key = {"id": token_id(kept, name), "idempotencyKey": str(uuid.uuid4())}
    new = known(kept, payload(kept, name, ROTATE, key))
    secrets = [token_of(kept, one) for one in (name, child, new)]
    for one in (name, child, new):
        assert reason(kept, one) is None
    kept.forget()
    tables = repr(kept.rows())
    for secret in secrets:
        assert partner_token_hash(secret) in tables
        for trace in (secret, secret[4:-8], secret[13:45]):
            assert trace not in tables
            assert trace not in caplog.text + logged.text
            assert not any(trace in one for one in sent)
    assert any("INSERT INTO partner_token" in one for one in sent)


# ---------------------------------------------------------------- rotating


def test_a_former_key_holds_beside_the_new_one_until_the_overlap_ends(kept: World) -> None:
    old = issued(kept)
    new = known(kept, payload(kept, old, ROTATE, {"id": token_id(kept, old)}))
    for moment in (NOW, NOW + DAY - SECOND):
        assert (reason(kept, old, moment), reason(kept, new, moment)) == (None, None)
    assert (reason(kept, old, NOW + DAY), reason(kept, new, NOW + DAY)) == ("expired", None)
    assert reason(kept, new, NOW + 30 * DAY - SECOND) is None
    assert reason(kept, new, NOW + 30 * DAY) == "expired"


@pytest.mark.parametrize(("hours", "end"), [(0, timedelta()), (1, HOUR), (168, 7 * DAY)])
def test_the_overlap_is_as_asked_for(kept: World, hours: int, end: timedelta) -> None:
    old = issued(kept)
    known(kept, payload(kept, old, ROTATE, {"id": token_id(kept, old), "overlapHours": hours}))
    assert reason(kept, old, NOW + end) == "expired"
    assert not hours or reason(kept, old, NOW + end - SECOND) is None


@pytest.mark.parametrize("hours", [-1, 169])
def test_no_overlap_is_longer_than_a_week(kept: World, hours: int) -> None:
    old = issued(kept)
    found = wrong(kept, old, ROTATE, {"id": token_id(kept, old), "overlapHours": hours})
    assert found == [("OUT_OF_RANGE", "overlapHours")]


def test_an_overlap_does_not_prolong_a_key(kept: World) -> None:
    old = issued(kept, expiresAt=in_days(kept, 0.5))
    known(kept, payload(kept, old, ROTATE, {"id": token_id(kept, old)}))
    assert reason(kept, old, NOW + 0.5 * DAY) == "expired"


def test_of_a_rotation_two_keys_hold_at_most(kept: World) -> None:
    first = issued(kept)
    second = known(kept, payload(kept, first, ROTATE, {"id": token_id(kept, first)}))
    for name in (first, second):
        found = wrong(kept, second, ROTATE, {"id": token_id(kept, name)})
        assert found == [("INVALID_TRANSITION", "id")]
    third = known(kept, payload(kept, second, ROTATE, {"id": token_id(kept, second), "overlapHours": 0}))
    assert [reason(kept, name) for name in (first, second, third)] == [None, "expired", None]
    with kept.at(NOW + DAY):  # the first has ended, and makes room
        known(kept, payload(kept, third, ROTATE, {"id": token_id(kept, third)}))


def test_of_concurrent_rotations_one_is_made(kept: World) -> None:
    old = issued(kept)
    given = {"input": {"id": token_id(kept, old)}}
    found = at_once(*[lambda: kept.post(old, ROTATE, given).json() for _ in range(4)])
    made = [one["data"]["rotatePartnerToken"]["token"] for one in found]
    assert sum(token is not None for token in made) == 1


def test_a_new_key_is_limited_like_the_former(kept: World) -> None:
    limits = {"operations": ["Query.deliveries", "Query.partnerTokens", "Mutation.rotatePartnerToken"]}
    old = issued(kept, **limits, networks=["192.0.2.0/24"], documents=["0" * 64])
    made = payload(kept, "register-admin", ROTATE, {"id": token_id(kept, old)})
    new = row(kept, known(kept, made))
    former = row(kept, old)
    same = ("partner", "kind", "carrier_id", "operations", "networks", "documents", "deliveries", "parent_id")
    assert {name: new[name] for name in same} == {name: former[name] for name in same}


def test_a_partner_changes_its_key_and_not_its_end(kept: World) -> None:
    old = issued(kept, expiresAt=in_days(kept, 10))
    later = {"id": token_id(kept, old), "expiresAt": in_days(kept, 10.001)}
    assert wrong(kept, old, ROTATE, later) == [("OUT_OF_RANGE", "expiresAt")]
    new = known(kept, payload(kept, old, ROTATE, later | {"expiresAt": in_days(kept, 5)}))
    assert row(kept, new)["expires_at"] == NOW + 5 * DAY


def test_an_administrator_gives_a_new_end_within_ninety_days(kept: World) -> None:
    old = issued(kept, expiresAt=in_days(kept, 10))
    later = {"id": token_id(kept, old), "expiresAt": in_days(kept, 91)}
    assert wrong(kept, "register-admin", ROTATE, later) == [("OUT_OF_RANGE", "expiresAt")]
    with kept.at(NOW + 5 * DAY):
        new = known(kept, payload(kept, "register-admin", ROTATE, {"id": token_id(kept, old)}))
    assert row(kept, new)["expires_at"] == NOW + 15 * DAY


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_what_has_ended_is_not_rotated(kept: World, ended: str) -> None:
    old = issued(kept, expiresAt=in_days(kept, 1))
    if ended == "revoked":
        payload(kept, "register-admin", REVOKE, {"id": token_id(kept, old)})
    with kept.at(NOW + (DAY if ended == "expired" else timedelta())):
        found = wrong(kept, "register-admin", ROTATE, {"id": token_id(kept, old)})
    assert found == [("INVALID_TRANSITION", "id")]


# ---------------------------------------------------------------- revoking


def test_a_revoked_token_is_refused_from_the_next_request_on(kept: World) -> None:
    name = issued(kept)
    with another_gateway(kept) as other:
        assert reason(kept, name) is None
        assert reason(other, name) is None
        made = payload(kept, "register-admin", REVOKE, {"id": token_id(kept, name)})
        assert made["partnerToken"]["revokedAt"] is not None
        assert reason(kept, name) == "revoked"
        with other.at(NOW + SECOND):
            assert reason(other, name) == "revoked"


def test_a_partner_revokes_the_token_it_asks_with(kept: World) -> None:
    name = issued(kept)
    made = payload(kept, name, REVOKE, {"id": token_id(kept, name)})
    assert made["partnerToken"]["revokedAt"] is not None
    assert reason(kept, name) == "revoked"


def test_revoking_twice_keeps_the_first_moment(kept: World) -> None:
    name = issued(kept)
    first = payload(kept, "register-admin", REVOKE, {"id": token_id(kept, name)})
    with kept.at(NOW + HOUR):
        assert payload(kept, "register-admin", REVOKE, {"id": token_id(kept, name)}) == first


def test_a_partner_neither_sees_nor_changes_tokens_that_are_not_its_own(kept: World) -> None:
    """The carrier's other token and another carrier's are as absent as one there never was."""
    mine, other, theirs = issued(kept), issued(kept), issued(kept, carrier=carrier_id(kept, "carrier-2"))
    strange = [token_id(kept, other), token_id(kept, theirs), global_id("PartnerToken", uuid.UUID(int=1))]
    shown = kept.data(mine, LIST)["partnerTokens"]["nodes"]
    assert [one["id"] for one in shown] == [token_id(kept, mine)]
    for document in (ROTATE, REVOKE):
        answers = {str(kept.post(mine, document, {"input": {"id": one}}).content) for one in strange}
        assert len(answers) == 1
        assert "NOT_FOUND" in answers.pop()
    nodes = kept.data(mine, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": strange})
    assert nodes == {"nodes": [None, None, None]}
    assert (reason(kept, other), reason(kept, theirs)) == (None, None)


def test_a_partner_sees_both_keys_of_a_rotation_and_ends_the_former(kept: World) -> None:
    old = issued(kept)
    new = known(kept, payload(kept, old, ROTATE, {"id": token_id(kept, old)}))
    for name in (old, new):
        shown = {one["id"] for one in kept.data(name, LIST)["partnerTokens"]["nodes"]}
        assert shown == {token_id(kept, old), token_id(kept, new)}
    payload(kept, new, REVOKE, {"id": token_id(kept, old)})
    assert (reason(kept, old), reason(kept, new)) == ("revoked", None)


def test_who_issues_and_who_looks_on_see_every_token(kept: World) -> None:
    name = issued(kept)
    for reader in ("register-admin", "privacy-officer"):
        shown = {one["id"] for one in kept.data(reader, LIST)["partnerTokens"]["nodes"]}
        assert shown == {global_id("PartnerToken", one["id"]) for one in kept.table("partner_token")}
        assert token_id(kept, name) in shown


# ---------------------------------------------------------------- last use


def test_the_last_use_is_written_down_later_and_never_put_back(kept: World) -> None:
    name = issued(kept)
    gateway = kept.gateway

    def keep() -> None:
        portal = kept.client.portal
        assert portal is not None
        portal.call(keep_last_uses, gateway.database, gateway.principals.last_uses)

    with kept.recorded() as statements:
        for seconds in (3, 4, 5):
            assert reason(kept, name, NOW + seconds * SECOND) is None
    assert not any("UPDATE" in one for one in statements)
    assert row(kept, name)["last_used_at"] is None
    keep()
    assert row(kept, name)["last_used_at"] == NOW + 5 * SECOND
    assert reason(kept, name, NOW + 4 * SECOND) is None  # another worker's, which is behind
    keep()
    assert row(kept, name)["last_used_at"] == NOW + 5 * SECOND
    with kept.recorded() as statements:
        keep()
    assert statements == []


def test_the_last_use_is_written_down_when_the_worker_stops(kept: World) -> None:
    name = issued(kept)
    with another_gateway(kept) as other:
        assert reason(other, name, NOW + 7 * SECOND) is None
    assert row(kept, name)["last_used_at"] == NOW + 7 * SECOND


def test_a_use_that_was_refused_is_none(kept: World) -> None:
    name = issued(kept, networks=["192.0.2.0/24"])
    kept.gateway.principals.last_uses.take()
    assert reason(kept, name) == "network"
    assert kept.gateway.principals.last_uses.take() == {}


def test_what_could_not_be_written_down_is_not_forgotten() -> None:
    uses, first, second = LastUses(), uuid.uuid4(), uuid.uuid4()
    uses.note(first, NOW)
    taken = uses.take()
    uses.note(first, NOW + SECOND)
    uses.note(second, NOW)
    uses.put_back({**taken, uuid.UUID(int=1): NOW})
    assert uses.take() == {first: NOW + SECOND, second: NOW, uuid.UUID(int=1): NOW}
