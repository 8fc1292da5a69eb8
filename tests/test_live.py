"""Subscriptions over `graphql-transport-ws`: the protocol's good path, and what an event shows to whom."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from schema.scalars import global_id
from tests.live import PROTOCOL, WATCH, WATCH_ORDER, Served

SHOWN = "recipientName recipientPhone streetAddress"


def of_customer(live: Served) -> dict[str, Any]:
    """A delivery of the first customer."""
    return live.deliveries(customer_id=live.world.askers["customer"].customer_id)[0]


def of_others(live: Served) -> dict[str, Any]:
    """A delivery of somebody else."""
    mine = live.world.askers["customer"].customer_id
    return next(row for row in live.deliveries() if row["customer_id"] != mine)


def assigned(live: Served) -> dict[str, Any]:
    """A delivery under way of the first carrier, with a telephone number."""
    carrier = live.world.askers["carrier"].carrier_id
    rows = live.deliveries(carrier_id=carrier, status="IN_TRANSIT")
    visible = live.world.data("carrier", "{ deliveries(first: 100) { nodes { reference } } }")
    seen = {node["reference"] for node in visible["deliveries"]["nodes"]}
    return next(row for row in rows if row["reference"] in seen)


def test_a_delivery_is_told_of_after_each_change_of_it(live: Served) -> None:
    delivery = of_customer(live)
    with live.as_("customer") as talk:
        assert talk.connection.subprotocol == PROTOCOL
        talk.subscribe("a", WATCH, {"id": global_id("Delivery", delivery["id"])})
        live.until_watched()
        for count in (delivery["parcel_count"] + 1, delivery["parcel_count"]):
            live.world.execute("UPDATE delivery SET parcel_count = $1 WHERE id = $2", count, delivery["id"])
            shown = {"reference": delivery["reference"], "parcelCount": count}
            assert talk.hear() == {"id": "a", "type": "next", "payload": {"data": {"deliveryUpdated": shown}}}
        talk.say({"id": "a", "type": "complete"})
        live.until_watched(0)


def test_an_event_of_a_delivery_is_told_of(live: Served) -> None:
    delivery = of_customer(live)
    with live.as_("customer") as talk:
        shown = "events(first: 1) { nodes { place } }"
        query = f"subscription($id: ID) {{ deliveryUpdated(deliveryId: $id) {{ {shown} }} }}"
        talk.subscribe("a", query, {"id": global_id("Delivery", delivery["id"])})
        live.until_watched()
        live.world.execute(
            "INSERT INTO delivery_event (id, delivery_id, customer_id, status, occurred_at, place,"
            " idempotency_key) VALUES (gen_random_uuid(), $1, $2, 'IN_TRANSIT', now(), 'Tampere',"
            " gen_random_uuid())",
            delivery["id"],
            delivery["customer_id"],
        )
        nodes = talk.hear()["payload"]["data"]["deliveryUpdated"]["events"]["nodes"]
        assert len(nodes) == 1


def test_an_orders_subscriber_is_told_of_all_its_deliveries_and_of_no_other(live: Served) -> None:
    delivery = of_customer(live)
    others = [row for row in live.deliveries() if row["order_id"] == delivery["order_id"]]
    with live.as_("customer") as talk:
        talk.subscribe("a", WATCH_ORDER, {"id": global_id("Order", delivery["order_id"])})
        live.until_watched()
        live.touch(of_others(live)["id"])
        told = []
        for row in others:
            live.touch(row["id"])
            told.append(talk.hear()["payload"]["data"]["deliveryUpdated"]["reference"])
        assert told == [row["reference"] for row in others]


def test_what_the_caller_does_not_see_never_yields_whether_it_exists_or_not(live: Served) -> None:
    absent, mine = UUID(int=7), of_customer(live)
    foreign = of_others(live)
    with live.as_("customer") as talk:
        for number, (kind, key) in enumerate(
            [
                ("Delivery", foreign["id"]),
                ("Delivery", absent),
                ("Order", foreign["order_id"]),
                ("Order", absent),
            ]
        ):
            query = WATCH if kind == "Delivery" else WATCH_ORDER
            talk.subscribe(str(number), query, {"id": global_id(kind, key)})
        talk.subscribe("mine", WATCH, {"id": global_id("Delivery", mine["id"])})
        live.until_watched(5)
        live.touch(foreign["id"])
        live.touch(mine["id"])
        assert talk.hear()["id"] == "mine"
        assert talk.is_silent()


def test_a_token_of_one_order_is_told_of_that_order_alone(live: Served) -> None:
    asker = live.world.askers["one-order"]
    inside = live.deliveries(order_id=asker.order_id)[0]
    outside = next(
        row for row in live.deliveries(customer_id=asker.customer_id) if row["order_id"] != asker.order_id
    )
    with live.as_("one-order") as talk:
        for row in (outside, inside):
            talk.subscribe(row["reference"], WATCH_ORDER, {"id": global_id("Order", row["order_id"])})
        live.until_watched(2)
        live.touch(outside["id"])
        live.touch(inside["id"])
        assert talk.hear()["id"] == inside["reference"]
        assert talk.is_silent(0.2)


def test_events_are_masked_and_withheld_as_answers_are(live: Served) -> None:
    """The payload of an event is, byte for byte, what the same caller gets by a look-up at that moment."""
    delivery = assigned(live)
    id = global_id("Delivery", delivery["id"])
    for name, purpose in (("support", None), ("support", "customer-service"), ("carrier", None)):
        given = {} if purpose is None else {"Processing-Purpose": purpose}
        with live.as_(name, **given) as talk:
            talk.subscribe(
                "a",
                f"subscription($id: ID!) {{ deliveryUpdated(deliveryId: $id) {{ {SHOWN} signedBy }} }}",
                {"id": id},
            )
            live.until_watched()
            live.touch(delivery["id"])
            told = talk.hear()["payload"]
            _, asked = live.world.ask(
                name, f"query($id: ID!) {{ delivery(id: $id) {{ {SHOWN} signedBy }} }}", {"id": id}, purpose
            )
            assert told["data"]["deliveryUpdated"] == asked["data"]["delivery"] is not None
            assert told.get("extensions") == asked.get("extensions")
            codes = [error["extensions"]["coordinate"] for error in told.get("errors", [])]
            assert codes == [error["extensions"]["coordinate"] for error in asked.get("errors", [])]
        live.until_watched(0)


def test_a_carrier_that_loses_a_delivery_is_told_nothing_more_of_it(live: Served) -> None:
    delivery = assigned(live)
    other = live.world.askers["carrier-2"].carrier_id
    with live.as_("carrier") as old, live.as_("carrier-2") as new:
        for talk in (old, new):
            talk.subscribe("a", WATCH, {"id": global_id("Delivery", delivery["id"])})
        live.until_watched(2)
        live.touch(delivery["id"])
        assert old.hear()["payload"]["data"]["deliveryUpdated"]["reference"] == delivery["reference"]
        assert new.is_silent(0.2)
        live.world.execute("UPDATE delivery SET carrier_id = $1 WHERE id = $2", other, delivery["id"])
        assert new.hear()["payload"]["data"]["deliveryUpdated"]["reference"] == delivery["reference"]
        live.touch(delivery["id"])
        assert new.hear()["type"] == "next"
        assert old.is_silent()
        live.world.execute(
            "UPDATE delivery SET carrier_id = $1 WHERE id = $2", delivery["carrier_id"], delivery["id"]
        )
        assert old.hear()["type"] == "next"


@pytest.mark.parametrize(
    ("name", "query", "refusal"),
    [
        ("carrier", WATCH_ORDER, ("FIELD_FORBIDDEN", "Delivery.order", "FILTER")),
        ("finance", WATCH, ("FIELD_FORBIDDEN", "Subscription.deliveryUpdated", None)),
        ("anonymous", WATCH, ("FIELD_FORBIDDEN", "Subscription.deliveryUpdated", None)),
        ("undesignated", WATCH, ("FIELD_FORBIDDEN", "Subscription.deliveryUpdated", None)),
    ],
)
def test_who_holds_no_grant_is_refused_at_once(live: Served, name: str, query: str, refusal: object) -> None:
    kind = "Order" if query == WATCH_ORDER else "Delivery"
    with live.as_(name) as talk:
        talk.subscribe("a", query, {"id": global_id(kind, UUID(int=1))})
        message = talk.hear()
        assert (message["id"], message["type"]) == ("a", "error")
        found = [error["extensions"] for error in message["payload"]]
        assert [(one["code"], one["coordinate"], one.get("use")) for one in found] == [refusal]


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("subscription { deliveryUpdated { id } }", None, "BAD_LOOKUP"),
        ("subscription { deliveryUpdated(orderId: null, deliveryId: null) { id } }", None, "BAD_LOOKUP"),
        ('subscription { deliveryUpdated(orderId: "a", deliveryId: "b") { id } }', None, "BAD_LOOKUP"),
        (WATCH, {"id": "nonsense"}, "BAD_ID"),
        (WATCH, {"id": global_id("Order", UUID(int=1))}, "BAD_ID"),
        (WATCH, {}, "BAD_VARIABLE"),
        ("subscription { nothing }", None, "VALIDATION_FAILED"),
        ("subscription { deliveryUpdated(", None, "SYNTAX_ERROR"),
        (
            'subscription { a: deliveryUpdated(orderId: "a") { id } b: deliveryUpdated(orderId: "") { id } }',
            None,
            "VALIDATION_FAILED",
        ),
        ('subscription { deliveryUpdated(orderId: "a") @skip(if: true) { id } }', None, "VALIDATION_FAILED"),
        ("subscription { __typename }", None, "VALIDATION_FAILED"),
    ],
)
def test_a_mistake_is_told_as_an_error_of_its_operation(
    live: Served, query: str, variables: object, code: str
) -> None:
    with live.as_("customer") as talk:
        talk.subscribe("a", query, variables)
        message = talk.hear()
        assert (message["id"], message["type"]) == ("a", "error")
        assert {error["extensions"]["code"] for error in message["payload"]} == {code}
        talk.subscribe("a", "{ viewer { role } }")
        assert talk.hear()["type"] == "next"


def test_a_plain_query_is_answered_and_completed(live: Served) -> None:
    with live.as_("customer") as talk:
        talk.subscribe("q", "{ viewer { role } carriers(first: 1) { nodes { contactEmail } } }")
        message = talk.hear()
        assert (message["id"], message["type"]) == ("q", "next")
        assert message["payload"]["data"]["viewer"] == {"role": "customer"}
        assert message["payload"]["errors"][0]["extensions"]["coordinate"] == "Carrier.contactEmail"
        assert talk.hear() == {"id": "q", "type": "complete"}


def test_a_subscription_by_plain_http_is_refused(live: Served) -> None:
    id = global_id("Delivery", UUID(int=1))
    status, body = live.world.ask("customer", WATCH, {"id": id})
    assert status == 400
    assert body["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert "text/event-stream" in body["errors"][0]["message"]


def test_rejection_as_a_whole_holds_for_subscriptions_too(live: Served) -> None:
    """`On-Forbidden: reject` refuses a subscription that asks for anything the caller may not have."""
    query = "subscription($id: ID!) { deliveryUpdated(deliveryId: $id) { reference order { number } } }"
    with live.as_("carrier", **{"On-Forbidden": "reject"}) as talk:
        talk.subscribe("a", query, {"id": global_id("Delivery", assigned(live)["id"])})
        message = talk.hear()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["coordinate"] == "Delivery.order"


def test_a_ping_is_answered_with_a_pong(live: Served) -> None:
    with live.socket() as talk:
        talk.say({"type": "ping"})
        assert talk.hear() == {"type": "pong"}
        talk.init(dict(live.world.askers["customer"].headers))
        talk.say({"type": "pong", "payload": {}})
        talk.say({"type": "ping", "payload": {"any": "thing"}})
        assert talk.hear() == {"type": "pong"}


def test_headers_of_the_upgrade_serve_where_the_payload_gives_none_and_the_payload_wins(live: Served) -> None:
    customer, support = live.world.askers["customer"].headers, live.world.askers["support"].headers
    for payload, role in ((None, "customer"), ({"authorization": support["Authorization"]}, "support")):
        with live.socket(headers=customer) as talk:
            talk.init(payload)
            talk.subscribe("q", "{ viewer { role } }")
            assert talk.hear()["payload"]["data"]["viewer"] == {"role": role}


def test_the_operations_of_a_socket_act_for_the_purpose_it_declares(live: Served) -> None:
    query = "{ viewer { purposes grants { coordinate uses } } }"
    with live.as_("support", **{"processing-purpose": "customer-service"}) as talk:
        talk.subscribe("q", query)
        grants = talk.hear()["payload"]["data"]["viewer"]["grants"]
        assert "READ" in next(one["uses"] for one in grants if one["coordinate"] == "Customer.email")


def test_after_the_listening_connection_was_lost_every_subscription_reads_its_rows_once(live: Served) -> None:
    delivery = of_customer(live)
    rows = [row for row in live.deliveries() if row["order_id"] == delivery["order_id"]]

    async def cut(connection: Any) -> int:
        # In one transaction: what changes while nobody listens is told of to nobody.
        ended: int = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'gateway listener' AND datname = current_database()"
        )
        return ended

    with live.as_("customer") as talk:
        talk.subscribe("one", WATCH, {"id": global_id("Delivery", delivery["id"])})
        talk.subscribe("all", WATCH_ORDER, {"id": global_id("Order", delivery["order_id"])})
        live.until_watched(2)
        assert live.world.run(cut) >= 1
        told = sorted(
            (message["id"], message["type"]) for message in (talk.hear() for _ in range(len(rows) + 1))
        )
        assert told == sorted([("one", "next"), *([("all", "next")] * len(rows))])
        live.until(lambda: live.live.broker.is_listening)
        live.touch(delivery["id"])
        assert {talk.hear()["id"], talk.hear()["id"]} == {"one", "all"}


def test_who_the_database_cannot_vouch_for_is_shown_out_and_others_go_on_once_it_is_back(
    live: Served, server_url: str
) -> None:
    """While no connection can be made whoever has a token is shown out with 1013; who has none stays."""
    delivery = of_customer(live)
    name = urlsplit(live.world.url).path.removeprefix("/")

    async def allow(allowed: bool) -> None:
        connection = await asyncpg.connect(server_url)
        try:
            await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}')
            if not allowed:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
                )
        finally:
            await connection.close()

    with live.as_("customer") as customer, live.as_("support") as support, live.as_("anonymous") as nobody:
        customer.subscribe("a", WATCH, {"id": global_id("Delivery", delivery["id"])})
        live.until_watched()
        asyncio.run(allow(False))
        try:
            for one in (support, customer):
                assert one.ended() == (1013, "the caller cannot be identified now")
            assert not live.live.broker.is_listening
            nobody.say({"type": "ping"})
            assert nobody.hear() == {"type": "pong"}
        finally:
            asyncio.run(allow(True))
        live.until(lambda: live.live.broker.is_listening)
        nobody.subscribe("a", "{ carriers { totalCount } }")
        assert nobody.hear()["payload"]["data"]["carriers"]["totalCount"] > 0
    with live.as_("customer") as again:
        again.subscribe("a", WATCH, {"id": global_id("Delivery", delivery["id"])})
        live.until_watched()
        live.touch(delivery["id"])
        assert again.hear()["payload"]["data"]["deliveryUpdated"]["reference"] == delivery["reference"]


def test_a_change_over_a_socket_is_made_once_and_told_of(live: Served) -> None:
    customer = live.world.data("customer", "{ viewer { principalId } }")["viewer"]["principalId"]
    change = (
        "mutation($input: SetMarketingConsentInput!) { setMarketingConsent(input: $input)"
        " { customer { marketingConsent } userErrors { code } } }"
    )
    with live.as_("customer") as talk:
        for wanted in (True, False):
            talk.subscribe("m", change, {"input": {"id": customer, "marketingConsent": wanted}})
            made = {"customer": {"marketingConsent": wanted}, "userErrors": []}
            payload = {"data": {"setMarketingConsent": made}}
            assert talk.hear() == {"id": "m", "type": "next", "payload": payload}
            assert talk.hear() == {"id": "m", "type": "complete"}
    with live.as_("carrier") as talk:
        talk.subscribe("m", change, {"input": {"id": customer, "marketingConsent": True}})
        message = talk.hear()
        found = message["payload"]["errors"] if message["type"] == "next" else message["payload"]
        assert found[0]["extensions"]["coordinate"] == "Mutation.setMarketingConsent"


def test_a_notice_holds_two_ids_and_nothing_else(live: Served) -> None:
    delivery = of_customer(live)

    async def heard() -> str:
        connection, notices = await asyncpg.connect(live.world.url), asyncio.Queue[str]()
        try:
            await connection.add_listener("delivery_updated", lambda *notice: notices.put_nowait(notice[3]))
            await connection.execute("UPDATE delivery SET version = version WHERE id = $1", delivery["id"])
            return await asyncio.wait_for(notices.get(), 5)
        finally:
            await connection.close()

    assert asyncio.run(heard()) == f"{delivery['id']},{delivery['order_id']}"
