"""What a socket must not be talked into: each known hole of subscriptions, closed."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from gateway.live.broker import Changed, Closed, Feed, Missed
from schema.scalars import global_id
from tests.live import PROTOCOL, WATCH, Served, Talk, served
from tests.logged import Collected
from tests.test_live import SHOWN, assigned, of_customer

AT_ONCE = 2.0
# Seconds a token holds that is to end while it is used: long enough to be used on a busy machine.
SHORT = 3


def test_nothing_is_asked_before_the_connection_is_initialised(live: Served) -> None:
    for message in ("subscribe", "complete"):
        with live.socket(headers=live.world.askers["customer"].headers) as talk:
            talk.say({"id": "a", "type": message, "payload": {"query": "{ viewer { role } }"}})
            assert talk.ended() == (4401, "Unauthorized")


def test_a_socket_that_is_not_initialised_is_closed(live: Served) -> None:
    with served(live.world, live_init_timeout_seconds=0.3) as quick, quick.socket() as talk:
        for _ in range(3):  # what keeps a connection alive does not keep it waiting
            talk.say({"type": "ping"})
            talk.hear()
        assert talk.ended() == (4408, "Connection initialisation timeout")


def test_a_socket_is_initialised_once(live: Served) -> None:
    with live.as_("customer") as talk:
        talk.say({"type": "connection_init"})
        assert talk.ended() == (4429, "Too many initialisation requests")


def test_an_id_in_use_is_not_used_again_and_one_that_is_done_is(live: Served) -> None:
    id = {"id": global_id("Delivery", UUID(int=1))}
    with live.as_("customer") as talk:
        for _ in range(3):
            talk.subscribe("q", "{ viewer { role } }")
            assert [talk.hear()["type"], talk.hear()["type"]] == ["next", "complete"]
        for _ in range(3):
            talk.subscribe("s", WATCH, id)
            talk.say({"id": "s", "type": "complete"})
        talk.subscribe("s", WATCH, id)
        talk.subscribe("s", WATCH, id)
        assert talk.ended() == (4409, "Subscriber for s already exists")
    live.until_watched(0)


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[]",
        "null",
        '"connection_init"',
        "{}",
        '{"type": 1}',
        '{"type": "start"}',
        '{"type": "connection_init", "payload": []}',
        '{"type": "connection_init", "payload": {"Authorization": 1}}',
        '{"type": "connection_init", "payload": {"Authorization": "a", "authorization": "b"}}',
        '{"type": "connection_init", "payload": {"On-Forbidden": "maybe"}}',
        '{"type": "subscribe", "payload": {"query": "{ viewer { role } }"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ viewer { role } }"}}',
        '{"type": "subscribe", "id": "%s", "payload": {"query": "{ viewer { role } }"}}' % ("i" * 257),
        '{"type": "subscribe", "id": 1, "payload": {"query": "{ viewer { role } }"}}',
        '{"type": "subscribe", "id": "a"}',
        '{"type": "subscribe", "id": "a", "payload": {}}',
        '{"type": "subscribe", "id": "a", "payload": {"query": ""}}',
        '{"type": "subscribe", "id": "a", "payload": {"query": "{ a }", "variables": []}}',
        '{"type": "subscribe", "id": "a", "payload": {"query": "{ a }", "operationName": 1}}',
        '{"type": "subscribe", "id": "a", "payload": {"query": "{ a }", "extensions": 1}}',
        '{"type": "complete"}',
        "[" * 100_000,
        '{"type": "ping", "payload": "\\ud800"}',
    ],
)
def test_what_is_no_message_of_the_protocol_ends_the_socket(live: Served, message: str) -> None:
    with live.socket() as talk:
        if "connection_init" not in message:
            talk.init()
        talk.say(message)
        code, reason = talk.ended()
        assert code == 4400
        assert reason.startswith("Invalid message: ")


def test_a_frame_that_is_no_text_ends_the_socket(live: Served) -> None:
    with live.socket() as talk:
        talk.connection.send(b'{"type": "connection_init"}')
        assert talk.ended()[0] == 4400


def test_a_message_that_is_too_long_ends_the_socket(live: Served) -> None:
    limit = live.world.gateway.settings.body_limit_bytes
    with live.as_("customer") as talk:
        talk.say({"type": "ping", "payload": {"long": "x" * (limit - 100)}})
        assert talk.hear() == {"type": "pong"}
        talk.say({"type": "ping", "payload": {"long": "x" * limit}})
        assert talk.ended()[0] == 1009


@pytest.mark.parametrize("protocol", [None, "graphql-ws", "soap"])
def test_another_subprotocol_is_not_spoken(live: Served, protocol: str | None) -> None:
    with live.socket(protocol) as talk:
        assert talk.connection.subprotocol is None
        assert talk.ended() == (4406, "Subprotocol not acceptable")


def test_a_page_of_another_host_opens_no_socket(live: Served) -> None:
    """The upgrade is refused with 403 unless the page's origin is this host's, or is allowed."""
    host = f"127.0.0.1:{live.port}"
    for origin in (
        "https://evil.example",
        "null",
        f"http://{host}.evil.example",
        "http://127.0.0.1",
        "http://[",
    ):
        with pytest.raises(InvalidStatus) as caught, live.socket(headers={"Origin": origin}):
            pass
        assert caught.value.response.status_code == 403
    with live.socket(headers={"Origin": f"http://{host}"}) as talk:
        talk.init()
    with served(live.world, allowed_origins=("https://desk.example",)) as other:
        with other.socket(headers={"Origin": "https://desk.example"}) as talk:
            talk.init()
        with pytest.raises(InvalidStatus), other.socket(headers={"Origin": "https://desk.example.evil"}):
            pass


def test_a_header_that_decides_something_is_given_once(live: Served) -> None:
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    headers = [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]
    url = live.url.replace("http", "ws")
    with (
        pytest.raises(InvalidStatus) as caught,
        connect(url, subprotocols=[Subprotocol(PROTOCOL)], additional_headers=headers),
    ):
        pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"Authorization": "Bearer nonsense"}, "Forbidden: malformed"),
        ({"Authorization": "nonsense"}, "Forbidden: malformed"),
        ({"Act-As": "support"}, "Forbidden: ACT_AS_FORBIDDEN"),
    ],
)
def test_who_is_not_known_is_not_let_in(live: Served, payload: dict[str, str], reason: str) -> None:
    with live.socket() as talk:
        talk.say({"type": "connection_init", "payload": payload})
        assert talk.ended() == (4403, reason)


def test_a_token_in_the_url_is_no_token(live: Served) -> None:
    token = live.world.askers["customer"].headers["Authorization"].removeprefix("Bearer ")
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    url = f"{live.url.replace('http', 'ws')}?access_token={token}&Authorization=Bearer%20{token}"
    with connect(url, subprotocols=[Subprotocol(PROTOCOL)]) as connection:
        talk = Talk(connection)
        talk.init()
        talk.subscribe("q", "{ viewer { role } }")
        assert talk.hear()["payload"]["data"]["viewer"] == {"role": "anonymous"}


# ---------------------------------------------------------------- a socket outlives neither token nor role


def seconds_until_ended(talk: Talk) -> tuple[float, int | None, str]:
    begun = time.monotonic()
    code, reason = talk.ended()
    return time.monotonic() - begun, code, reason


def subscribed(live: Served, talk: Talk, delivery: dict[str, Any]) -> None:
    talk.subscribe("a", WATCH, {"id": global_id("Delivery", delivery["id"])})
    live.until_watched()
    live.touch(delivery["id"])
    assert talk.hear()["type"] == "next"


def test_a_revoked_designation_ends_the_socket_within_two_seconds(live: Served) -> None:
    employee = live.world.data("support", "{ viewer { principalId } }")["viewer"]["principalId"]
    key = UUID(_key(employee))
    with live.as_("support") as talk:
        subscribed(live, talk, of_customer(live))
        live.world.execute("UPDATE designation SET revoked_at = valid_from WHERE employee_id = $1", key)
        try:
            taken, code, reason = seconds_until_ended(talk)
        finally:
            live.world.execute("UPDATE designation SET revoked_at = NULL WHERE employee_id = $1", key)
        assert (code, reason) == (4403, "Forbidden: the role is no longer the caller's")
        assert taken < AT_ONCE


def _key(global_id: str) -> str:
    import base64

    return base64.b64decode(global_id).decode().partition(":")[2]


def test_a_revoked_partner_token_ends_the_socket_within_two_seconds(live: Served) -> None:
    carrier = live.world.askers["carrier"].carrier_id
    with live.as_("carrier") as talk:
        subscribed(live, talk, assigned(live))
        live.world.execute("UPDATE partner_token SET revoked_at = created_at WHERE carrier_id = $1", carrier)
        try:
            taken, code, reason = seconds_until_ended(talk)
        finally:
            live.world.execute("UPDATE partner_token SET revoked_at = NULL WHERE carrier_id = $1", carrier)
        assert (code, reason) == (4403, "Forbidden: revoked")
        assert taken < AT_ONCE


def short_token(live: Served, seconds: int) -> str:
    """A customer's token that ends after so many seconds."""
    customer = live.world.askers["customer"].customer_id
    assert customer is not None
    return live.world.customer_token(customer, timedelta(seconds=seconds), now=live.clock())


def test_an_expired_token_ends_the_socket_within_two_seconds(live: Served) -> None:
    with live.socket() as talk:
        talk.init({"Authorization": f"Bearer {short_token(live, SHORT)}"})
        taken, code, reason = seconds_until_ended(talk)
        assert (code, reason) == (4403, "Forbidden: expired")
        assert taken < SHORT + AT_ONCE


def test_an_event_is_not_sent_to_a_caller_whose_token_has_just_expired(live: Served) -> None:
    """Every event identifies its caller anew: none slips through until the next look after the socket."""
    delivery = of_customer(live)
    with live.socket() as talk:
        talk.init({"Authorization": f"Bearer {short_token(live, SHORT)}"})
        talk.subscribe("a", WATCH, {"id": global_id("Delivery", delivery["id"])})
        live.until_watched()
        live.clock.begun -= 3600  # the token has expired by the time of the event
        try:
            live.touch(delivery["id"])
            message_or_end = talk.ended()
        finally:
            live.clock.begun += 3600
        assert message_or_end == (4403, "Forbidden: expired")


# ---------------------------------------------------------------- caps


def test_operations_under_way_are_limited_per_socket(live: Served) -> None:
    id = {"id": global_id("Delivery", UUID(int=1))}
    with served(live.world, live_operations_per_socket=3) as tight, tight.as_("customer") as talk:
        for number in range(4):
            talk.subscribe(str(number), WATCH, id)
        message = talk.hear()
        assert (message["id"], message["type"]) == ("3", "error")
        assert message["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"
        tight.until_watched(3)
        talk.say({"id": "0", "type": "complete"})
        tight.until_watched(2)
        talk.subscribe("3", WATCH, id)
        tight.until_watched(3)


def test_sockets_are_limited_per_principal_and_a_closed_one_makes_room(live: Served) -> None:
    with served(live.world, live_connections_per_principal=2) as tight:
        with tight.as_("customer"), tight.as_("customer"), tight.socket() as third:
            third.say({"type": "connection_init", "payload": live.world.askers["customer"].headers})
            assert third.ended() == (4429, "Too many connections")
            with tight.as_("customer-2"), tight.as_("carrier"):
                pass
        tight.until(lambda: tight.live.seats.taken == 0)
        with tight.as_("customer"), tight.as_("customer"):
            pass
        tight.until(lambda: not tight.live.seats.by_principal)


def test_sockets_are_limited_per_worker_before_they_are_initialised(live: Served) -> None:
    with served(live.world, live_connection_limit=1) as tight, tight.socket(), tight.socket() as second:
        assert second.ended() == (1013, "too many connections")


def test_a_feed_keeps_each_row_once_and_never_more_than_its_limit() -> None:
    async def taken() -> list[object]:
        feed = Feed(3)
        for row in (1, 2, 1, 1, 3):
            feed.add(UUID(int=row))
        found: list[object] = [await feed.take() for _ in range(3)]
        for row in range(1000):
            feed.add(UUID(int=row))
            assert len(feed) <= 3
        found.append(await feed.take())
        feed.close()
        return [*found, await feed.take(), await feed.take()]

    rows = [Changed(UUID(int=row)) for row in (1, 2, 3)]
    assert asyncio.run(taken()) == [*rows, Missed(), Closed(), Closed()]


WIDE = " ".join(f"a{number}: signedBy b{number}: instructions" for number in range(990))


def test_a_slow_consumer_gets_the_newest_state_and_no_queue(live: Served) -> None:
    """While nothing is taken, changes of one row become one; the last event sent shows the last state."""
    delivery = of_customer(live)
    live.world.execute("UPDATE delivery SET instructions = $1 WHERE id = $2", "x" * 900, delivery["id"])
    query = f"subscription($id: ID!) {{ deliveryUpdated(deliveryId: $id) {{ version {WIDE} }} }}"
    changes = 60
    with live.socket(compression=None, max_size=None, max_queue=1) as talk:
        talk.init(dict(live.world.askers["customer"].headers))
        talk.subscribe("a", query, {"id": global_id("Delivery", delivery["id"])})
        live.until_watched()

        async def change(connection: Any) -> int:
            for _ in range(changes):
                await connection.execute(
                    "UPDATE delivery SET version = version + 1 WHERE id = $1", delivery["id"]
                )
            newest: int = await connection.fetchval(
                "SELECT version FROM delivery WHERE id = $1", delivery["id"]
            )
            return newest

        newest = live.world.run(change)
        told = []
        while not told or told[-1] < newest:
            told.append(talk.hear()["payload"]["data"]["deliveryUpdated"]["version"])
        assert told == sorted(told)
        assert len(told) < changes


def test_a_consumer_that_takes_nothing_is_cut_off(live: Served) -> None:
    delivery = of_customer(live)
    live.world.execute("UPDATE delivery SET instructions = $1 WHERE id = $2", "x" * 900, delivery["id"])
    query = f"subscription($id: ID!) {{ deliveryUpdated(deliveryId: $id) {{ version {WIDE} }} }}"
    with (
        served(live.world, live_send_timeout_seconds=0.3) as quick,
        quick.socket(compression=None, max_size=None, max_queue=1) as talk,
    ):
        talk.init(dict(live.world.askers["customer"].headers))
        talk.subscribe("a", query, {"id": global_id("Delivery", delivery["id"])})
        quick.until_watched()
        deadline = time.monotonic() + 20
        while quick.live.seats.taken and time.monotonic() < deadline:
            quick.touch(delivery["id"])
        assert quick.live.seats.taken == 0
        assert quick.live.broker.count() == 0
        _abort(talk.connection)


def _abort(connection: ClientConnection) -> None:
    connection.socket.close()


def test_no_value_of_a_delivery_or_token_is_logged(
    live: Served, caplog: pytest.LogCaptureFixture, logged: Collected
) -> None:
    delivery = assigned(live)
    token = live.world.askers["carrier"].headers["Authorization"].removeprefix("Bearer ")
    query = f"subscription($id: ID!) {{ deliveryUpdated(deliveryId: $id) {{ {SHOWN} }} }}"
    with caplog.at_level(logging.DEBUG):
        with live.as_("carrier") as talk:
            talk.subscribe("a", query, {"id": global_id("Delivery", delivery["id"])})
            live.until_watched()
            live.touch(delivery["id"])
            assert talk.hear()["type"] == "next"
            live.live.broker.tell(delivery["recipient_name"])
        live.until_watched(0)
    records = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    text = "\n".join(record.getMessage() for record in records if "websockets" not in record.name)
    assert logged.events("notice_not_read")
    text += logged.text
    for hidden in (delivery["recipient_name"], delivery["street_address"], token, str(delivery["id"])):
        assert hidden not in text
