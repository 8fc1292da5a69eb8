"""Whole journeys over HTTP through a client library of others, from the registration to the refund.

The library reads each party's schema by introspection and checks every document against it before it is
sent, so that what a party may not even name never leaves the client.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXTransport
from graphql import GraphQLError, GraphQLObjectType, GraphQLSchema

from schema.scalars import global_id
from tests.live import Served
from tests.test_mail import run_cli
from tests.writing import ACCESS, GUEST, PLACE, basket

pytestmark = pytest.mark.slow

ERRORS = "userErrors { code coordinate path }"
IBAN, MASKED = "FI21 1234 5600 0007 85", "***0785"
OPEN = "query ($id: ID!) { node(id: $id) { ... on Order { status paymentStatus } } }"
PARCEL = """query ($id: ID!) { node(id: $id) { ... on Delivery {
    status recipientName recipientPhone streetAddress trackingCode weightGrams pickupPoint } } }"""
EVENTS = """query ($id: ID!) { node(id: $id) { ... on Delivery { status signedBy deliveredAt
    events(first: 10) { nodes { status place note } } } } }"""
REPORT = """mutation ($input: ReportDeliveryEventInput!) { reportDeliveryEvent(input: $input) {
    deliveries { id status } results { outcome userErrors { code coordinate } } } }"""


class Party:
    """Somebody with a client and the schema that it read as them."""

    def __init__(self, live: Served, headers: Mapping[str, str], purpose: str | None = None) -> None:
        said = {} if purpose is None else {"Processing-Purpose": purpose}
        transport = HTTPXTransport(live.url, headers={**headers, **said})
        self.client = Client(transport=transport, fetch_schema_from_transport=True)

    def ask(self, document: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        request = gql(document)
        request.variable_values = variables
        return self.client.execute(request)

    def change(self, mutation: str, shown: str, **given: Any) -> Any:
        """What a change that is made leaves of the thing it changes."""
        kind = f"{mutation[0].upper()}{mutation[1:]}Input!"
        document = f"mutation ($input: {kind}) {{ {mutation}(input: $input) {{ {shown} {ERRORS} }} }}"
        payload = self.ask(document, input=given)[mutation]
        assert payload.pop("userErrors") == []
        return payload if len(payload) > 1 else next(iter(payload.values()))

    def knows(self, coordinate: str) -> bool:
        """Whether a field stands in the schema that is shown to the party."""
        kind, _, field = coordinate.partition(".")
        of = self.schema.type_map.get(kind)
        return isinstance(of, GraphQLObjectType) and field in of.fields

    @property
    def schema(self) -> GraphQLSchema:
        if self.client.schema is None:
            self.ask("{ viewer { role } }")
        assert self.client.schema is not None
        return self.client.schema


@pytest.fixture(scope="module")
def parties(live: Served) -> dict[str, Party]:
    """Everybody but the customers, for the purpose they act for here."""
    purposes = {"support": "customer-service", "register-admin": "customer-service"}
    found = {
        name: Party(live, asker.headers, purposes.get(name)) for name, asker in live.world.askers.items()
    }
    finance = live.world.askers["finance"].headers
    return found | {name: Party(live, finance, name) for name in ("payment", "returns", "accounting")}


def bearer(live: Served, token: str) -> Party:
    return Party(live, {"Authorization": f"Bearer {token}"})


@contextmanager
def later(live: Served, **time: float) -> Iterator[None]:
    """The gateway's clock so much later."""
    before, live.clock.start = live.clock.start, live.clock.start + timedelta(**time)
    try:
        yield
    finally:
        live.clock.start = before


def report(live: Served, delivery: str, status: str, **given: Any) -> dict[str, Any]:
    minutes = given.pop("minutes_ago", 0)
    found = {"deliveryId": delivery, "status": status, "idempotencyKey": str(uuid.uuid4())}
    return {**found, "occurredAt": (live.clock() - timedelta(minutes=minutes)).isoformat(), **given}


def carrier_id(live: Served, name: str) -> str:
    key = live.world.askers[name].carrier_id
    assert key is not None
    return global_id("Carrier", key)


def sent(live: Served, parties: Mapping[str, Party], order: str, delivery: str) -> None:
    """Takes a paid order to the moment at which its carrier may fetch it."""
    parties["payment"].change("updateOrder", "order { status }", id=order, paymentStatus="PAID")
    parties["warehouse"].change("updateOrder", "order { status }", id=order, status="PICKING")
    carrier = carrier_id(live, "carrier")
    given = {"status": "READY", "carrier": carrier, "serviceCode": "PICKUP"}
    parties["warehouse"].change("updateDelivery", "delivery { status }", id=delivery, **given)


# ---------------------------------------------------------------- the schema


@pytest.mark.parametrize(
    "name",
    [
        *("anonymous", "customer", "one-order", "support", "undesignated", "register-admin", "warehouse"),
        *("finance", "marketing", "analyst", "privacy-officer", "carrier", "newsletter"),
    ],
)
def test_a_client_library_reads_everybody_s_schema_and_finds_it_valid(
    parties: dict[str, Party], name: str
) -> None:
    assert parties[name].schema.query_type is not None
    assert parties[name].knows("Query.viewer")
    # Somebody unknown is answered as the customer they become.
    readers = ("anonymous", "customer", "one-order", "support", "register-admin", "privacy-officer")
    assert parties[name].knows("Delivery.signedBy") == (name in readers)


# ---------------------------------------------------------------- the storefront


def test_a_customer_registers_buys_receives_sends_back_and_is_refunded(
    live: Served, parties: dict[str, Party]
) -> None:
    customer, key = registers(live, parties)
    agrees_to_the_newsletter(customer, key, parties)
    order, delivery = orders(customer, parties)
    customer_pays_and_the_carrier_fetches(live, customer, parties, order, delivery)
    the_carrier_delivers(live, customer, parties, order, delivery)
    back = sends_back(customer, parties, order)
    the_store_refunds(live, customer, parties, order, back)


def registers(live: Served, parties: Mapping[str, Party]) -> tuple[Party, str]:
    given = {**GUEST, "email": "aada.matka@store.example", "password": "a long enough password"}
    shown = "accessToken customer { id firstName marketingConsent }"
    payload = parties["anonymous"].change("registerCustomer", shown, **given)
    assert (payload["customer"]["firstName"], payload["customer"]["marketingConsent"]) == ("Guest", False)
    key = payload["customer"]["id"]
    query = "query ($id: ID!) { node(id: $id) { ... on Customer { email phone } } }"
    seen = {"email": "aada.matka@store.example", "phone": "+358401234567"}
    masked = Party(live, live.world.askers["support"].headers)
    assert parties["support"].ask(query, id=key)["node"] == seen
    assert masked.ask(query, id=key)["node"] == {"email": "***@***", "phone": "***67"}
    assert bearer(live, payload["accessToken"]).ask(query, id=key)["node"] == seen
    assert parties["customer"].ask(query, id=key)["node"] is None
    return bearer(live, payload["accessToken"]), key


def agrees_to_the_newsletter(customer: Party, key: str, parties: Mapping[str, Party]) -> None:
    query = "query ($id: ID!) { node(id: $id) { ... on Customer { email } } }"
    assert parties["newsletter"].ask(query, id=key)["node"] is None
    found = customer.change(
        "setMarketingConsent", "customer { marketingConsent }", id=key, marketingConsent=True
    )
    assert found == {"marketingConsent": True}
    assert parties["newsletter"].ask(query, id=key)["node"] == {"email": "aada.matka@store.example"}
    assert parties["marketing"].ask(query, id=key)["node"] == {"email": "***@***"}


def orders(customer: Party, parties: Mapping[str, Party]) -> tuple[str, str]:
    payload = customer.ask(PLACE, input=basket())["placeOrder"]
    assert payload["userErrors"] == []
    order = payload["order"]
    assert (order["status"], order["paymentStatus"], payload["accessToken"]) == ("PLACED", "PENDING", None)
    assert order["total"] == {"amount": "159.80", "currency": "EUR"}
    assert order["billingName"] == "Guest von Testi"
    (delivery,) = order["deliveries"]["nodes"]
    invoice = "query ($id: ID!) { node(id: $id) { ... on Order { billingName } } }"
    assert parties["accounting"].ask(invoice, id=order["id"])["node"]["billingName"] == "Guest von Testi"
    for nobody in ("warehouse", "carrier", "newsletter", "analyst", "marketing"):
        assert not parties[nobody].knows("Order.total"), nobody
    assert not parties["payment"].knows("Order.deliveries")
    assert parties["carrier"].ask(PARCEL, id=delivery["id"])["node"] is None
    return order["id"], delivery["id"]


def customer_pays_and_the_carrier_fetches(
    live: Served, customer: Party, parties: Mapping[str, Party], order: str, delivery: str
) -> None:
    sent(live, parties, order, delivery)
    assert customer.ask(OPEN, id=order)["node"] == {"status": "PICKING", "paymentStatus": "PAID"}
    extra = parties["warehouse"].change(
        "createDelivery", "delivery { id status parcelCount }", orderId=order, serviceCode="HOME"
    )
    assert (extra["status"], extra["parcelCount"]) == ("PLANNED", 1)
    called_off = {"id": extra["id"], "status": "CANCELLED"}
    parties["warehouse"].change("updateDelivery", "delivery { status }", **called_off)
    seen = parties["carrier"].ask(PARCEL, id=delivery)["node"]
    assert (seen["recipientName"], seen["recipientPhone"]) == ("Guest von Testi", "+358401234567")
    assert parties["carrier-2"].ask(PARCEL, id=delivery)["node"] is None
    fetched = report(live, delivery, "PICKED_UP", minutes_ago=2, place="Vantaa")
    answer = parties["carrier"].ask(REPORT, input={"events": [fetched]})["reportDeliveryEvent"]
    assert answer["deliveries"] == [{"id": delivery, "status": "PICKED_UP"}]
    assert customer.ask(OPEN, id=order)["node"]["status"] == "SHIPPED"


def the_carrier_delivers(
    live: Served, customer: Party, parties: Mapping[str, Party], order: str, delivery: str
) -> None:
    events = [
        report(live, delivery, "IN_TRANSIT", minutes_ago=1, place="Tampere"),
        report(live, delivery, "DELIVERED", signedBy="Guest von Testi"),
    ]
    parties["carrier"].ask(REPORT, input={"events": events})
    seen = customer.ask(EVENTS, id=delivery)["node"]
    statuses = [one["status"] for one in seen["events"]["nodes"]]
    assert sorted(statuses) == ["DELIVERED", "IN_TRANSIT", "PICKED_UP"]
    assert (seen["status"], seen["signedBy"]) == ("DELIVERED", "Guest von Testi")
    assert seen["deliveredAt"] is not None
    assert not parties["carrier"].knows("Delivery.signedBy")
    assert customer.ask(OPEN, id=order)["node"]["status"] == "DELIVERED"


def sends_back(customer: Party, parties: Mapping[str, Party], order: str) -> str:
    lines = "query ($id: ID!) { node(id: $id) { ... on Order { lines { nodes { id quantity } } } } }"
    (line,) = customer.ask(lines, id=order)["node"]["lines"]["nodes"]
    found = customer.change(
        "requestReturn",
        "return { id status refundIban }",
        orderId=order,
        kind="WITHDRAWAL",
        lines=[{"orderLine": line["id"], "quantity": 1}],
        reasonText="too small",
        refundIban=IBAN,
    )
    assert (found["status"], found["refundIban"]) == ("REQUESTED", MASKED)
    query = "query ($id: ID!) { node(id: $id) { ... on Return { refundIban } } }"
    stored = {"refundIban": IBAN.replace(" ", "")}
    assert parties["returns"].ask(query, id=found["id"])["node"] == stored
    for nobody in ("support", "warehouse", "carrier", "register-admin"):
        assert not parties[nobody].knows("Return.refundIban"), nobody
    return str(found["id"])


def the_store_refunds(
    live: Served, customer: Party, parties: Mapping[str, Party], order: str, back: str
) -> None:
    steps = [("support", "AWAITING_GOODS", {}), ("warehouse", "RECEIVED", {})]
    steps.append(("warehouse", "INSPECTED", {"inspectionNote": "as new"}))
    for who, status, given in steps:
        parties[who].change("updateReturn", "return { status }", id=back, status=status, **given)
    paid = {"refundAmount": "79.90", "refundedAt": live.clock().isoformat()}
    refunded = parties["returns"].change("updateReturn", "return { status }", id=back, **paid)
    assert refunded == {"status": "REFUNDED"}
    query = """query ($id: ID!) { node(id: $id) { ... on Order { returns { nodes {
        status refundIban refundAmount { amount } } } } } }"""
    seen = {"status": "REFUNDED", "refundIban": MASKED, "refundAmount": {"amount": "79.90"}}
    assert customer.ask(query, id=order)["node"]["returns"]["nodes"] == [seen]
    assert not customer.knows("Return.inspectionNote")
    assert customer.ask(OPEN, id=order)["node"]["paymentStatus"] == "PAID"


# ---------------------------------------------------------------- the carrier


def test_a_carrier_keeps_its_deliveries_right_reports_on_them_and_loses_sight_of_them(
    live: Served, parties: dict[str, Party]
) -> None:
    carrier = parties["carrier"]
    buyer = bearer(live, registered(parties))
    order = buyer.ask(PLACE, input=basket())["placeOrder"]["order"]
    delivery = order["deliveries"]["nodes"][0]["id"]
    sent(live, parties, order["id"], delivery)
    newest = carrier.ask("{ deliveries(first: 1) { nodes { id status } } }")["deliveries"]["nodes"]
    assert newest == [{"id": delivery, "status": "READY"}]
    right = {"trackingCode": "JJFI1", "weightGrams": 1500, "pickupPoint": "Kauppa 1"}
    carrier.change("updateDelivery", "delivery { trackingCode }", id=delivery, **right)
    seen = buyer.ask(PARCEL, id=delivery)["node"]
    assert {name: seen[name] for name in right} == right
    reports_a_batch(live, carrier, delivery)
    cannot_read_what_it_may_write(live, carrier, delivery)
    is_given_another_s(live, parties, buyer)
    forgets_when_the_delivery_is_over(live, parties, delivery)


def registered(parties: Mapping[str, Party]) -> str:
    given = {**GUEST, "password": "a long enough password"}
    found = parties["anonymous"].change("registerCustomer", "accessToken customer { id }", **given)
    return str(found["accessToken"])


def reports_a_batch(live: Served, carrier: Party, delivery: str) -> None:
    fetched = report(live, delivery, "PICKED_UP", minutes_ago=30)
    events = [
        report(live, delivery, "OUT_FOR_DELIVERY", minutes_ago=5),
        fetched,
        fetched,
        report(live, delivery, "IN_TRANSIT", minutes_ago=20),
        report(live, delivery, "EXCEPTION", minutes_ago=1, note="call +358 40 123 4567"),
        report(live, delivery, "DELIVERED", minutes_ago=0, signedBy="Otto Vastaan"),
    ]
    answer = carrier.ask(REPORT, input={"events": events})["reportDeliveryEvent"]
    found = [(one["outcome"], *(error["code"] for error in one["userErrors"])) for one in answer["results"]]
    recorded = ("RECORDED",)
    assert found == [recorded, recorded, ("DUPLICATE",), recorded, ("REFUSED", "MALFORMED"), recorded]
    assert answer["deliveries"] == [{"id": delivery, "status": "DELIVERED"}]
    late = report(live, delivery, "AT_PICKUP_POINT", minutes_ago=10)
    answer = carrier.ask(REPORT, input={"events": [late, events[0]]})["reportDeliveryEvent"]
    assert [one["outcome"] for one in answer["results"]] == ["RECORDED", "DUPLICATE"]
    assert answer["deliveries"] == [{"id": delivery, "status": "DELIVERED"}]


def cannot_read_what_it_may_write(live: Served, carrier: Party, delivery: str) -> None:
    query = "query ($id: ID!) { node(id: $id) { ... on Delivery { signedBy } } }"
    with pytest.raises(GraphQLError, match="Cannot query field 'signedBy'"):
        carrier.ask(query, id=delivery)
    blind = Client(transport=HTTPXTransport(live.url, headers=live.world.askers["carrier"].headers))
    request = gql(query)
    request.variable_values = {"id": delivery}
    with pytest.raises(TransportQueryError) as refused:
        blind.execute(request)
    assert refused.value.data == {"node": {"signedBy": None}}
    (error,) = refused.value.errors or []
    assert error["extensions"]["coordinate"] == "Delivery.signedBy"


def is_given_another_s(live: Served, parties: Mapping[str, Party], buyer: Party) -> None:
    order = buyer.ask(PLACE, input=basket())["placeOrder"]["order"]
    delivery = order["deliveries"]["nodes"][0]["id"]
    sent(live, parties, order["id"], delivery)
    carriers = parties["carrier"], parties["carrier-2"]
    assert [one.ask(PARCEL, id=delivery)["node"] is None for one in carriers] == [False, True]
    given = {"carrier": carrier_id(live, "carrier-2"), "serviceCode": "NEAR"}
    parties["warehouse"].change("updateDelivery", "delivery { id }", id=delivery, **given)
    assert [one.ask(PARCEL, id=delivery)["node"] is None for one in carriers] == [True, False]
    told = {"events": [report(live, delivery, "PICKED_UP")]}
    outcomes = [one.ask(REPORT, input=told)["reportDeliveryEvent"]["results"][0] for one in carriers]
    missing = {"code": "NOT_FOUND", "coordinate": "Delivery.id"}
    assert outcomes == [
        {"outcome": "REFUSED", "userErrors": [missing]},
        {"outcome": "RECORDED", "userErrors": []},
    ]


def forgets_when_the_delivery_is_over(live: Served, parties: Mapping[str, Party], delivery: str) -> None:
    carrier = parties["carrier"]

    def seen() -> tuple[bool, bool, bool]:
        node = carrier.ask(PARCEL, id=delivery)["node"]
        return tuple(node[name] is not None for name in ("recipientPhone", "streetAddress", "status"))

    assert seen() == (True, True, True)
    with later(live, days=3):
        assert seen() == (False, True, True)
    with later(live, days=30):
        assert seen() == (False, False, True)


# ---------------------------------------------------------------- the guest


def test_a_guest_orders_sees_this_order_alone_and_is_mailed_a_new_link(
    live: Served, parties: dict[str, Party]
) -> None:
    payload = parties["anonymous"].ask(PLACE, input=basket(customer=dict(GUEST)))["placeOrder"]
    order, mine = payload["order"], "{ orders { nodes { id } } deliveries { nodes { order { id } } } }"
    parties["anonymous"].ask(PLACE, input=basket(customer=dict(GUEST)))
    only = {"orders": {"nodes": [{"id": order["id"]}]}}
    only["deliveries"] = {"nodes": [{"order": {"id": order["id"]}}]}
    assert bearer(live, payload["accessToken"]).ask(mine) == only
    given = {"number": order["number"], "name": "Guest von Testi", "email": GUEST["email"]}
    accepted = {"requestOrderAccess": {"accepted": True, "userErrors": []}}
    assert parties["anonymous"].ask(ACCESS, input={**given, "name": "Somebody Else"}) == accepted
    assert parties["anonymous"].ask(ACCESS, input=given) == accepted
    (mail,) = [one for one in json.loads(run_cli(live.world, "--json")) if order["number"] in one["subject"]]
    assert mail["recipient"] == GUEST["email"].lower()
    token = re.search(r"/order#(\S+)", mail["body"])
    assert token is not None
    holder = bearer(live, token[1])
    assert holder.ask(mine) == only
    assert holder.change("cancelOrder", "order { status }", id=order["id"]) == {"status": "CANCELLED"}
