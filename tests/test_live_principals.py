"""Who is asking, over a WebSocket: the same tokens are taken and refused as in a request's header."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.live import Served
from tests.partners import REVOKE, issued, narrowed, payload, token_id
from tests.test_attacks_tokens import TOKENS
from tests.test_live_attacks import AT_ONCE, seconds_until_ended
from tests.world import World

DAY = timedelta(days=1)
WHO = "{ viewer { role principalId } }"
NAMES = (
    *("customer", "one-order", "support", "undesignated", "register-admin", "warehouse", "finance"),
    *("marketing", "analyst", "privacy-officer", "carrier", "newsletter"),
)


def told(live: Served, headers: dict[str, str], document: str = WHO) -> Any:
    """The first answer to an operation over a socket."""
    with live.socket() as talk:
        talk.init(headers)
        talk.subscribe("1", document)
        return talk.hear()


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_that_proves_nothing_opens_no_socket(live: Served, name: str) -> None:
    token = TOKENS[name](live.world)
    with live.socket() as talk:
        talk.say({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
        code, reason = talk.ended()
    assert code == 4403
    assert token not in reason


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic eDp5", "Token x", 7, ["Bearer x"]])
def test_what_is_no_bearer_token_makes_nobody_anonymous(live: Served, authorization: Any) -> None:
    with live.socket() as talk:
        talk.say({"type": "connection_init", "payload": {"Authorization": authorization}})
        code, _ = talk.ended()
    assert code in (4400, 4403)


@pytest.mark.parametrize("name", NAMES)
def test_a_token_is_of_the_same_principal_over_a_socket(live: Served, name: str) -> None:
    headers = dict(live.world.askers[name].headers)
    over_http = live.world.data(name, WHO)
    assert told(live, headers)["payload"] == {"data": over_http}


def test_an_employee_acts_in_no_role_that_is_not_theirs_over_a_socket_either(live: Served) -> None:
    headers = {**live.world.askers["support"].headers, "Act-As": "finance"}
    with live.socket() as talk:
        talk.say({"type": "connection_init", "payload": headers})
        assert talk.ended()[0] == 4403


def expired(world: World, name: str) -> None:
    key, end = world.askers[name].token_id, world.now - timedelta(seconds=1)
    world.execute(
        "UPDATE partner_token SET created_at = $2, expires_at = $3 WHERE id = $1", key, end - DAY, end
    )


def revoked(world: World, name: str) -> None:
    assert payload(world, "register-admin", REVOKE, {"id": token_id(world, name)})["userErrors"] == []


def revoked_with_its_parent(world: World, name: str) -> None:
    key = world.askers[name].token_id
    query = "SELECT parent_id FROM partner_token WHERE id = $1"
    parent = world.run(lambda connection: connection.fetchval(query, key))
    revoked(world, f"partner {parent}")


@pytest.mark.parametrize(
    ("end", "reason"),
    [(expired, "expired"), (revoked, "revoked"), (revoked_with_its_parent, "revoked")],
    ids=lambda given: getattr(given, "__name__", None),
)
@pytest.mark.parametrize("is_open", [False, True], ids=["before", "while open"])
def test_a_partners_token_that_has_ended_opens_no_socket_and_ends_those_it_opened(
    live: Served, end: Callable[[World, str], None], reason: str, is_open: bool
) -> None:
    name = narrowed(live.world, issued(live.world))
    headers = dict(live.world.askers[name].headers)
    with live.socket() as talk:
        if is_open:
            talk.init(headers)
        end(live.world, name)
        if not is_open:
            talk.say({"type": "connection_init", "payload": headers})
        taken, *how = seconds_until_ended(talk)
    assert how == [4403, f"Forbidden: {reason}"]
    assert taken < AT_ONCE


def test_a_token_limited_to_another_network_opens_no_socket(live: Served) -> None:
    headers = dict(token(live.world, networks=["192.0.2.0/24"]))
    with live.socket() as talk:
        talk.say({"type": "connection_init", "payload": headers})
        assert talk.ended() == (4403, "Forbidden: network")
    assert told(live, dict(token(live.world, networks=["127.0.0.0/8"])))["type"] == "next"


def test_a_forwarded_address_is_not_believed_where_nobody_is_trusted(live: Served) -> None:
    headers = dict(token(live.world, networks=["192.0.2.0/24"]))
    with live.socket(headers={"X-Forwarded-For": "192.0.2.1"}) as talk:
        talk.say({"type": "connection_init", "payload": headers})
        assert talk.ended()[0] == 4403


def test_a_token_limited_to_other_documents_asks_nothing_over_a_socket(live: Served) -> None:
    answer = told(live, dict(token(live.world, documents=["0" * 64])), "{ carriers { totalCount } }")
    assert answer["type"] == "error"
    assert answer["payload"][0]["extensions"]["code"] == "DOCUMENT_FORBIDDEN"


def test_a_token_limited_to_other_operations_is_refused_over_a_socket(live: Served) -> None:
    document = "{ carriers { totalCount } }"
    answer = told(live, dict(token(live.world, operations=["Query.deliveries"])), document)
    (error,) = answer["payload"]["errors"]
    assert error["extensions"]["coordinate"] == "Query.carriers"


def token(world: World, **limits: Any) -> dict[str, str]:
    """The headers of a new carrier token with these limits."""
    return dict(world.askers[issued(world, **limits)].headers)
