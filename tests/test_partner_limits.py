"""A partner's token is good from its networks, for its root fields, documents and deliveries, and no more."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from graphql import get_introspection_query

from schema.scalars import global_id
from tests.partners import NARROW, behind, from_address, in_days, issued, kept, mine, narrowed, reason
from tests.world import World

__all__ = ["kept"]
INSIDE, OUTSIDE = "192.0.2.77", "198.51.100.1"
NETWORKS = ["192.0.2.0/24", "2001:db8:7::/48"]


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize("address", [OUTSIDE, "192.0.3.0", "2001:db8:8::1", "::1", "testclient", ""])
def test_a_token_is_not_taken_from_another_network(kept: World, address: str) -> None:
    name = issued(kept, networks=NETWORKS)
    assert reason(from_address(kept, address), name) == "network"
    response = from_address(kept, address).client.get("/schema.graphql", headers=kept.askers[name].headers)
    assert response.status_code == 401


@pytest.mark.parametrize("address", [INSIDE, "::ffff:192.0.2.77", "2001:db8:7::1", "2001:DB8:7:0::0:1"])
def test_a_token_is_taken_from_its_networks(kept: World, address: str) -> None:
    assert reason(from_address(kept, address), issued(kept, networks=NETWORKS)) is None


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP"])
def test_nobody_says_of_themselves_from_where_they_come(kept: World, header: str) -> None:
    name = issued(kept, networks=NETWORKS)
    value = f"for={INSIDE}" if header == "Forwarded" else INSIDE
    with behind(kept, "10.0.0.0/8", address=OUTSIDE) as other:
        for world in (from_address(kept, OUTSIDE), other):
            assert world.post(name, "{ viewer { role } }", headers={header: value}).status_code == 401


def test_a_trusted_proxy_says_from_where_a_request_comes(kept: World) -> None:
    name = issued(kept, networks=NETWORKS)
    statuses = {INSIDE: 200, OUTSIDE: 401, f"{INSIDE}, {OUTSIDE}": 401, f"{OUTSIDE}, {INSIDE}": 200}
    with behind(kept, "10.0.0.0/8", address="10.0.0.1") as world:
        for given, status in statuses.items():
            asked = world.post(name, "{ viewer { role } }", headers={"X-Forwarded-For": given})
            assert asked.status_code == status, given
        assert reason(world, name) == "network"  # the proxy's own address


# ---------------------------------------------------------------- root fields

ASKED = {
    "Query.deliveries": "{ deliveries { totalCount } }",
    "Query.carriers": "{ carriers { totalCount } }",
    "Query.delivery": '{ delivery(reference: "none") { id } }',
    "Query.partnerTokens": "{ partnerTokens { totalCount } }",
    "Query.node": '{ node(id: "RGVsaXZlcnk6MDAwMDAwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAw") { id } }',
    "Query.nodes": "{ nodes(ids: []) { id } }",
}


def refused(body: Any) -> list[tuple[str, str]]:
    return [(one["extensions"]["code"], one["extensions"]["coordinate"]) for one in body.get("errors", [])]


@pytest.mark.parametrize("allowed", ASKED)
def test_a_token_asks_its_root_fields_and_no_other(kept: World, allowed: str) -> None:
    name = issued(kept, operations=[allowed])
    for root, document in ASKED.items():
        with kept.recorded() as statements:
            status, body = kept.ask(name, document)
        assert status == 200
        if root == allowed:
            assert "errors" not in body
        else:
            assert refused(body) == [("FIELD_FORBIDDEN", root)]
            assert list(body["data"].values()) == [None]
            # Who asks is looked up; nothing is read.
            asked = [one for one in statements if "partner_token t" not in one]
            assert not any("delivery" in one or "carrier " in one for one in asked)


def test_other_names_for_a_root_field_do_not_open_it(kept: World) -> None:
    name = issued(kept, operations=["Query.carriers"])
    document = """{ carriers: deliveries { totalCount } ...A ... on Query { d: deliveries { totalCount } } }
        fragment A on Query { carriers: deliveries { totalCount } }"""
    _, body = kept.ask(name, document)
    assert body["data"] == {"carriers": None, "d": None}
    assert refused(body) == [("FIELD_FORBIDDEN", "Query.deliveries")]


def test_a_change_that_is_not_among_them_is_refused_whole(kept: World) -> None:
    name = issued(kept, operations=["Query.partnerTokens", "Mutation.revokePartnerToken"])
    before = kept.table("partner_token")
    response = kept.post(name, NARROW, {"input": {"expiresAt": in_days(kept, 1)}})
    assert "data" not in response.json()
    assert refused(response.json()) == [("FIELD_FORBIDDEN", "Mutation.narrowPartnerToken")]
    kept.forget()
    assert kept.table("partner_token") == before


def test_who_one_is_and_how_data_is_handled_may_always_be_asked(kept: World) -> None:
    name = issued(kept, operations=["Query.carriers"])
    found = kept.data(name, "{ __typename viewer { role grants { coordinate } } privacyNotice { version } }")
    roots = {one["coordinate"] for one in found["viewer"]["grants"] if one["coordinate"].startswith("Query.")}
    roots |= {one["coordinate"] for one in found["viewer"]["grants"] if one["coordinate"].startswith("Mut")}
    assert roots == {"Query.viewer", "Query.privacyNotice"}


def test_introspection_shows_a_token_its_root_fields_alone(kept: World) -> None:
    name = issued(kept, operations=["Query.deliveries"])
    shown = kept.data(name, get_introspection_query())["__schema"]
    types = {one["name"]: one for one in shown["types"]}
    assert {one["name"] for one in types["Query"]["fields"]} == {"viewer", "privacyNotice", "deliveries"}
    assert shown["mutationType"] is shown["subscriptionType"] is None
    printed = kept.client.get("/schema.graphql", headers=kept.askers[name].headers).text
    assert "Mutation" not in printed
    full = kept.client.get("/schema.graphql", headers=kept.askers["carrier"].headers).text
    assert "type Mutation" in full


def test_tokens_with_different_root_fields_share_no_plan(kept: World) -> None:
    document = "{ deliveries(first: 1) { totalCount } carriers(first: 1) { totalCount } }"
    names = [
        issued(kept),
        issued(kept, operations=["Query.carriers"]),
        issued(kept, operations=["Query.deliveries"]),
    ]
    for name in (*names, *reversed(names)):
        _, body = kept.ask(name, document)
        null = [root for root, value in body["data"].items() if value is None]
        assert null == [[], ["deliveries"], ["carriers"]][names.index(name)]


# ---------------------------------------------------------------- documents


def test_a_token_sends_its_documents_and_no_other(kept: World) -> None:
    trusted = "{ carriers { totalCount } }"
    name = issued(kept, documents=[hashlib.sha256(trusted.encode()).hexdigest().upper()])
    assert kept.data(name, trusted)["carriers"]["totalCount"] > 0
    for other in (
        f"{trusted} ",
        "{ viewer { role } }",
        "{ __typename }",
        "{",
        f"{trusted}{trusted}",
        "\ud800",
    ):
        with kept.recorded() as statements:
            body = {"query": other} if other != "\ud800" else None
            sent = {"json": body} if body else {"content": b'{"query": "\\ud800"}'}
            headers = {**kept.askers[name].headers, "content-type": "application/json"}
            response = kept.client.post("/graphql", headers=headers, **sent)  # type: ignore[arg-type]
        if other == "\ud800" and response.status_code == 400:
            continue
        assert response.status_code == 403
        assert response.json()["errors"][0]["extensions"]["code"] == "DOCUMENT_FORBIDDEN"
        # Who asks may be looked up again, where the second for which it is believed is over.
        assert [one for one in statements if "FROM partner_token" not in one] == []


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json, text/event-stream;q=0.1"])
def test_a_stream_is_of_a_trusted_document_alone(kept: World, accept: str) -> None:
    name = issued(kept, documents=["0" * 64])
    for document in ("subscription { deliveryUpdated(deliveryId: 1) { id } }", "{ __typename }", "{"):
        response = kept.post(name, document, headers={"Accept": accept})
        assert response.status_code == 403
        assert response.json()["errors"][0]["extensions"]["code"] == "DOCUMENT_FORBIDDEN"


# ---------------------------------------------------------------- deliveries

SEEN = """query($ids: [ID!]!, $id: ID!) {
    deliveries(first: 100) { totalCount nodes { id recipientName recipientPhone events { nodes { id } } } }
    nodes(ids: $ids) { id } delivery(id: $id) { id } }"""


def test_a_token_for_named_deliveries_sees_them_and_their_events_alone(kept: World) -> None:
    keys = mine(kept)
    named, other = [global_id("Delivery", key) for key in keys[:2]], global_id("Delivery", keys[2])
    name = issued(kept, deliveries=named)
    found = kept.data(name, SEEN, {"ids": [*named, other], "id": other})
    assert found["deliveries"]["totalCount"] == 2
    assert {one["id"] for one in found["deliveries"]["nodes"]} == set(named)
    assert [one and one["id"] for one in found["nodes"]] == [*named, None]
    assert found["delivery"] is None
    all_of_carrier = kept.data("carrier", SEEN, {"ids": [*named, other], "id": other})
    for node in found["deliveries"]["nodes"]:
        assert node in all_of_carrier["deliveries"]["nodes"]
    events = [one["id"] for node in all_of_carrier["deliveries"]["nodes"] for one in node["events"]["nodes"]]
    seen = kept.data(name, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": events[:100]})["nodes"]
    assert {one["id"] for one in seen if one} == {
        one["id"] for node in found["deliveries"]["nodes"] for one in node["events"]["nodes"]
    } & set(events[:100])


REPORT = """mutation($input: ReportDeliveryEventInput!) { reportDeliveryEvent(input: $input) {
    results { outcome userErrors { code } } } }"""
CHANGE = "mutation($input: UpdateDeliveryInput!) { updateDelivery(input: $input) { userErrors { code } } }"


def test_a_token_for_named_deliveries_changes_no_other(kept: World) -> None:
    keys = mine(kept)
    name = issued(kept, deliveries=[global_id("Delivery", keys[0])])
    other = global_id("Delivery", keys[1])
    event = {
        "deliveryId": other,
        "status": "EXCEPTION",
        "occurredAt": in_days(kept, -0.1),
        "idempotencyKey": "00000000-0000-7000-8000-000000000001",
    }
    result = kept.data(name, REPORT, {"input": {"events": [event]}})["reportDeliveryEvent"]["results"][0]
    assert result == {"outcome": "REFUSED", "userErrors": [{"code": "NOT_FOUND"}]}
    given = {"id": other, "trackingCode": "X", "ifVersion": 2_000_000_000}
    for asker, code in ((name, "NOT_FOUND"), ("carrier", "CONFLICT")):
        status, body = kept.ask(asker, CHANGE, {"input": given})
        if "errors" in body:
            assert asker == "carrier"  # it sees the delivery, whose end is past
            continue
        assert body["data"]["updateDelivery"]["userErrors"] == [{"code": code}]
        assert status == 200


def test_a_named_delivery_that_goes_to_another_carrier_is_seen_no_more(kept: World) -> None:
    key = mine(kept)[0]
    name = narrowed(kept, issued(kept), deliveries=[global_id("Delivery", key)])
    other, own = kept.askers["carrier-2"].carrier_id, kept.askers["carrier"].carrier_id
    assert kept.data(name, "{ deliveries { totalCount } }")["deliveries"]["totalCount"] == 1
    service = next(row["service_code"] for row in kept.table("delivery") if row["id"] == key)
    theirs = next(row["code"] for row in kept.table("carrier_service") if row["carrier_id"] == other)
    move = "UPDATE delivery SET carrier_id = $2, service_code = $3 WHERE id = $1"
    kept.execute(move, key, other, theirs)
    try:
        assert kept.data(name, "{ deliveries { totalCount } }")["deliveries"]["totalCount"] == 0
    finally:
        kept.execute(move, key, own, service)
