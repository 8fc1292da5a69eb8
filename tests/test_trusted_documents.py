"""Trusted documents over HTTP and sockets: asked for by id, and nothing else where a role is limited."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.budget.beside import READING
from schema.scalars import global_id
from tests.live import Served, served
from tests.partners import issued, kept
from tests.test_live import of_customer
from tests.test_records import recorded
from tests.trusting import FOLDER, IDS, ONLY, STRANGE, TEXTS, WAYS, apollo, codes, knowing, relay, send
from tests.world import World

__all__ = ["kept"]
GRAPHQL_RESPONSE = "application/graphql-response+json"
UNKNOWN = hashlib.sha256(b"{ __typename }").hexdigest()


@pytest.fixture(scope="module")
def only(writable: World) -> Iterator[World]:
    """A gateway that takes of three roles nothing but the documents of their applications."""
    with knowing(writable, **ONLY) as world:
        yield world


@pytest.fixture(scope="module")
def free(writable: World) -> Iterator[World]:
    """A gateway that knows the same documents, and takes any other too."""
    with knowing(writable, documents_folder=FOLDER) as world:
        yield world


# ---------------------------------------------------------------- by id


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("way", WAYS)
def test_a_document_is_asked_for_by_its_id_in_each_way_clients_do(only: World, way: str, method: str) -> None:
    by_id = send(only, "customer", {**WAYS[way](IDS["MyOrders"]), "variables": {"first": 3}}, method)
    by_text = send(only, "customer", {"query": TEXTS["MyOrders"], "variables": {"first": 3}}, method)
    assert by_id.status_code == by_text.status_code == 200
    assert by_id.content == by_text.content
    assert by_id.json()["data"]["customers"]["nodes"][0]["orders"]["nodes"]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_carriers_document_has_the_id_that_relay_gave_it(only: World, method: str) -> None:
    id, text = relay("DeliveriesQuery")
    digest = hashlib.sha256(text.encode()).hexdigest()
    wanted = send(only, "carrier", {"query": text, "variables": {"count": 2}})
    assert wanted.json()["data"]["deliveries"]["edges"]
    for way in ({"doc_id": id}, {"documentId": id}, {"documentId": f"sha256:{digest}"}, apollo(digest)):
        found = send(only, "carrier", {**way, "variables": {"count": 2}}, method)
        assert found.content == wanted.content


def test_a_change_by_id_is_made_by_post_alone(only: World) -> None:
    customer = only.askers["customer"].customer_id
    assert customer is not None
    change = {"id": global_id("Customer", customer), "ifVersion": 1}
    given = {**apollo(IDS["ChangeProfile"]), "variables": {"input": change}}
    assert send(only, "customer", given).json()["data"]["updateCustomer"]["userErrors"]
    refused = send(only, "customer", given, "GET")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_the_name_of_an_operation_may_go_with_its_id_and_has_to_be_its_own(only: World) -> None:
    for name, expected in (("WhoAmI", None), ("", None), ("Other", "BAD_REQUEST")):
        found = send(only, "customer", {"documentId": IDS["WhoAmI"], "operationName": name})
        assert (
            found.json().get("errors", [{"extensions": {"code": None}}])[0]["extensions"]["code"] == expected
        )


MALFORMED: dict[str, Any] = {
    "a text with an id": {"query": STRANGE, "documentId": IDS["WhoAmI"]},
    "a text with Relay's id": {"query": STRANGE, "doc_id": IDS["WhoAmI"]},
    "a text with the hash of another": {"query": STRANGE, **apollo(IDS["WhoAmI"])},
    "two ids": {"documentId": IDS["WhoAmI"], **apollo(IDS["MyOrders"])},
    "an id that is no text": {"documentId": 7},
    "an id in a list": {"documentId": [IDS["WhoAmI"]]},
    "an empty id": {"documentId": ""},
    "an id without end": {"documentId": "a" * 257},
    "no id": {"documentId": None},
    "another version": {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": IDS["WhoAmI"]}}},
    "a version that is none": {"extensions": {"persistedQuery": {"version": True, "sha256Hash": UNKNOWN}}},
    "no version": {"extensions": {"persistedQuery": {"sha256Hash": IDS["WhoAmI"]}}},
    "no hash": {"extensions": {"persistedQuery": {"version": 1}}},
    "a hash that is no text": {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": {}}}},
    "no extension": {"extensions": {"persistedQuery": "x"}},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_names_no_document_is_no_request(only: World, name: str) -> None:
    found = send(only, "customer", MALFORMED[name])
    assert (found.status_code, codes(found)) == (400, ["BAD_REQUEST"])


def test_an_id_is_one_of_the_callers_role(only: World) -> None:
    """The storefront's documents are none of a carrier's, nor those for customers anybody's."""
    assert codes(send(only, "carrier", apollo(IDS["WhoAmI"]))) == ["PERSISTED_QUERY_NOT_IN_LIST"]
    assert codes(send(only, "anonymous", apollo(IDS["MyOrders"]))) == ["PERSISTED_QUERY_NOT_IN_LIST"]
    assert send(only, "anonymous", apollo(IDS["WhoAmI"])).json() == {
        "data": {"viewer": {"role": "anonymous"}}
    }


# ---------------------------------------------------------------- nothing else


STRANGERS = ("{", STRANGE, "{ __schema { types { name } } }", f"{TEXTS['WhoAmI']} ", f"#\n{TEXTS['WhoAmI']}")


@pytest.mark.parametrize("document", STRANGERS)
@pytest.mark.parametrize("name", ["anonymous", "customer", "one-order", "carrier"])
def test_another_text_is_refused_before_it_is_parsed(only: World, name: str, document: str) -> None:
    for method in ("POST", "GET"):
        with only.recorded() as statements:
            found = send(only, name, {"query": document}, method)
        assert (found.status_code, codes(found)) == (403, ["DOCUMENT_FORBIDDEN"])
        assert statements == []


def test_every_text_of_the_list_is_taken(only: World) -> None:
    for name, text in TEXTS.items():
        found = send(only, "customer", {"query": text, "variables": {"id": None, "input": {}}})
        given = [one["extensions"]["code"] for one in found.json().get("errors", [])]
        assert not {"DOCUMENT_FORBIDDEN", "VALIDATION_FAILED", "FIELD_FORBIDDEN"} & set(given), name


@pytest.mark.parametrize("way", WAYS)
def test_an_unknown_id_is_refused_and_none_is_ever_learnt(only: World, way: str) -> None:
    """A client that answers the refusal by sending the text with its hash teaches the gateway nothing."""
    for _ in range(2):
        refused = send(only, "customer", WAYS[way](UNKNOWN))
        assert (refused.status_code, codes(refused)) == (200, ["PERSISTED_QUERY_NOT_IN_LIST"])
        taught = send(only, "customer", {"query": "{ __typename }", **apollo(UNKNOWN)})
        assert (taught.status_code, codes(taught)) == (403, ["DOCUMENT_FORBIDDEN"])
    refused = send(only, "customer", WAYS[way](UNKNOWN), Accept=GRAPHQL_RESPONSE)
    assert (refused.status_code, codes(refused)) == (400, ["PERSISTED_QUERY_NOT_IN_LIST"])


def test_other_roles_send_what_they_like(only: World) -> None:
    for name in ("support", "warehouse", "newsletter", "undesignated"):
        assert send(only, name, {"query": STRANGE}).status_code == 200
        assert codes(send(only, name, apollo(UNKNOWN))) == ["PERSISTED_QUERY_NOT_SUPPORTED"]


def test_an_id_tells_nobody_what_it_was(only: World) -> None:
    """An id is the client's text: it is repeated in no answer, and on record it is the hash of nothing."""
    secret = "maija.meikalainen-at-example"
    with recorded(only) as records:
        found = send(only, "carrier", {"documentId": secret})
    assert secret not in found.text
    (record,) = records
    assert record["operation_hash"] == hashlib.sha256(b"").hexdigest()
    assert (record["decision"], record["fields"]) == ("REFUSED", [])


def test_a_refused_text_of_a_partner_is_recorded_and_a_customers_is_not(only: World) -> None:
    with recorded(only) as records:
        send(only, "carrier", {"query": STRANGE})
        send(only, "customer", {"query": STRANGE})
    assert [(one["role"], one["decision"]) for one in records] == [("carrier", "REFUSED")]


# ---------------------------------------------------------------- any text, and ids


def test_where_any_text_is_taken_a_client_is_told_to_send_it(free: World) -> None:
    """Apollo's code, and the message by which other clients know it, have a client send the text."""
    first = send(free, "customer", apollo(UNKNOWN))
    assert first.status_code == 200
    assert codes(first) == ["PERSISTED_QUERY_NOT_FOUND"]
    assert first.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    second = send(free, "customer", {"query": "{ __typename }", **apollo(UNKNOWN)})
    assert second.json() == {"data": {"__typename": "Query"}}
    assert codes(send(free, "customer", apollo(UNKNOWN))) == ["PERSISTED_QUERY_NOT_FOUND"]


def test_where_there_is_no_list_a_client_is_told_to_send_no_more_ids(world: World) -> None:
    found = send(world, "customer", apollo(UNKNOWN))
    assert codes(found) == ["PERSISTED_QUERY_NOT_SUPPORTED"]
    assert found.json()["errors"][0]["message"] == "PersistedQueryNotSupported"


# ---------------------------------------------------------------- a token's own documents


def test_a_tokens_documents_and_its_roles_have_both_to_allow_a_document(kept: World) -> None:
    id, text = relay("DeliveriesQuery")
    other, _ = relay("DeliveryRefetchQuery")
    digest, strange = (hashlib.sha256(one.encode()).hexdigest() for one in (text, STRANGE))
    name = issued(kept, documents=[digest, strange])
    variables = {"count": 1}
    with knowing(kept, **ONLY) as only, knowing(kept, documents_folder=FOLDER) as free:
        for world in (only, free):
            for given in ({"query": text}, {"doc_id": id}, apollo(digest)):
                assert "data" in send(world, name, {**given, "variables": variables}).json()
            assert codes(send(world, name, {"doc_id": other})) == ["DOCUMENT_FORBIDDEN"]
            assert codes(send(world, name, {"doc_id": UNKNOWN})) == ["PERSISTED_QUERY_NOT_IN_LIST"]
        assert codes(send(only, name, {"query": STRANGE})) == ["DOCUMENT_FORBIDDEN"]
        assert "data" in send(free, name, {"query": STRANGE}).json()


# ---------------------------------------------------------------- sockets and streams


@pytest.fixture(scope="module")
def limited(live: Served) -> Iterator[Served]:
    """The register of `live` behind a server that takes listed documents alone."""
    with served(live.world, **ONLY) as one:
        yield one


def test_a_socket_takes_ids_and_listed_texts_and_nothing_else(limited: Served) -> None:
    with limited.as_("customer") as talk:
        for number, given in enumerate((apollo(IDS["WhoAmI"]), {"query": TEXTS["WhoAmI"]})):
            talk.say({"id": str(number), "type": "subscribe", "payload": given})
            assert talk.hear()["payload"] == {"data": {"viewer": {"role": "customer"}}}
            assert talk.hear()["type"] == "complete"
        for number, (given, code) in enumerate(
            (
                ({"query": STRANGE}, "DOCUMENT_FORBIDDEN"),
                ({"query": "subscription {"}, "DOCUMENT_FORBIDDEN"),
                ({"documentId": UNKNOWN}, "PERSISTED_QUERY_NOT_IN_LIST"),
            )
        ):
            talk.say({"id": f"r{number}", "type": "subscribe", "payload": given})
            answer = talk.hear()
            assert answer["type"] == "error"
            assert [one["extensions"]["code"] for one in answer["payload"]] == [code]


@pytest.mark.parametrize("name", [name for name in MALFORMED if "hash of another" not in name])
def test_a_message_that_names_no_document_ends_the_socket(limited: Served, name: str) -> None:
    with limited.as_("customer") as talk:
        talk.say({"id": "1", "type": "subscribe", "payload": MALFORMED[name]})
        assert talk.ended()[0] == 4400


def test_a_listed_subscription_is_told_of_changes_by_socket_and_by_stream(limited: Served) -> None:
    delivery = of_customer(limited)
    variables = {"id": global_id("Delivery", delivery["id"])}
    given = {**apollo(IDS["WatchDelivery"]), "variables": variables}
    with limited.as_("customer") as talk:
        talk.say({"id": "1", "type": "subscribe", "payload": given})
        limited.until_watched()
        limited.touch(delivery["id"])
        assert talk.hear()["payload"]["data"]["deliveryUpdated"]["reference"] == delivery["reference"]
    limited.until_watched(0)
    headers = {**limited.world.askers["customer"].headers, "Accept": "text/event-stream"}
    with httpx.stream("POST", limited.url, json=given, headers=headers, timeout=5) as response:
        limited.until_watched()
        limited.touch(delivery["id"])
        assert any(delivery["reference"] in line for line in response.iter_lines() if line[:5] == "data:")
    limited.until_watched(0)


def test_a_stream_takes_listed_documents_alone(limited: Served) -> None:
    headers = {**limited.world.askers["customer"].headers, "Accept": "text/event-stream"}
    refused = httpx.post(limited.url, json={"query": STRANGE}, headers=headers)
    assert (refused.status_code, codes(refused)) == (403, ["DOCUMENT_FORBIDDEN"])
    unknown = httpx.post(limited.url, json={"documentId": UNKNOWN}, headers=headers)
    assert "PERSISTED_QUERY_NOT_IN_LIST" in unknown.text.splitlines()[1]


def test_what_is_too_long_to_be_read_is_not_looked_for_and_what_is_not_taken_costs(only: World) -> None:
    longest = only.gateway.settings.document_limit_bytes
    found = send(only, "anonymous", {"query": "#" * (longest + 1)})
    assert codes(found) == ["TOO_COMPLEX"]
    with knowing(only, **ONLY, cost_limit=1, budget_per_minute=5 * READING) as poor:
        answers = [codes(send(poor, "anonymous", {"query": STRANGE})) for _ in range(6)]
    assert answers == [["DOCUMENT_FORBIDDEN"]] * 5 + [["BUDGET_SPENT"]]
