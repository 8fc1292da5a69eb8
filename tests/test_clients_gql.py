"""`gql` works unchanged, over HTTP and over a socket, with the schema that it fetches as whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession, ReconnectingAsyncClientSession
from gql.dsl import DSLQuery, DSLSchema, dsl_gql
from gql.transport.async_transport import AsyncTransport
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport
from gql.utilities import update_schema_scalar
from graphql import GraphQLError, GraphQLScalarType

from schema.scalars import global_id
from tests.clients.given import given_by
from tests.live import WATCH, Served
from tests.test_clients import WRONG, numbers, second_customer, sign_out
from tests.test_live import of_customer

pytestmark = pytest.mark.slow

SECONDS = 20
SERVICE = {"Processing-Purpose": "customer-service"}
ORDERS = """query Orders($first: Int!, $after: String, $where: OrderWhere) {
  orders(first: $first, after: $after, where: $where, orderBy: [{placedAt: DESC}]) {
    nodes { number total { amount } } pageInfo { hasNextPage endCursor } } }"""
CHANGE = """mutation Change($input: UpdateCustomerInput!) { updateCustomer(input: $input) {
  customer { id } userErrors { code coordinate path } } }"""
EMAIL = "query Email($id: ID!) { node(id: $id) { ... on Customer { email } } }"
PARCELS = "query Parcels { deliveries(first: 1) { nodes { reference order { number } } } }"


def by_http(live: Served, headers: dict[str, str]) -> AsyncTransport:
    return HTTPXAsyncTransport(live.url, headers=headers)


def by_socket(live: Served, headers: dict[str, str]) -> AsyncTransport:
    return WebsocketsTransport(live.url.replace("http", "ws"), init_payload=headers)


Way = Callable[[Served, dict[str, str]], AsyncTransport]
WAYS = pytest.mark.parametrize("way", [by_http, by_socket], ids=["http", "socket"])


Asking = Callable[[Client, AsyncClientSession], Coroutine[Any, Any, None]]


def asked(live: Served, way: Way, name: str, ask: Asking, **said: str) -> None:
    """Asks in a session whose schema was fetched over its own transport."""
    headers = {**live.world.askers[name].headers, **said}

    async def run() -> None:
        client = Client(transport=way(live, headers), fetch_schema_from_transport=True, parse_results=True)
        async with asyncio.timeout(SECONDS), client as session:
            await ask(client, session)

    asyncio.run(run())


@WAYS
def test_pages_are_asked_for_with_variables_and_parsed_by_the_schema(live: Served, way: Way) -> None:
    """Each page by the cursor of the one before, with amounts as `Decimal`, which the schema tells apart."""
    rows = {row["number"]: row for row in live.world.table("orders")}
    shown = [rows[number] for number in numbers(live) if rows[number]["status"] != "CANCELLED"]

    async def ask(client: Client, session: AsyncClientSession) -> None:
        assert client.schema is not None
        decimal = GraphQLScalarType("Decimal", parse_value=Decimal)
        update_schema_scalar(client.schema, "Decimal", decimal)
        found: list[dict[str, Any]] = []
        page = {"hasNextPage": True, "endCursor": None}
        while page["hasNextPage"]:
            where = {"not": {"status": {"in": ["CANCELLED"]}}}
            variables = {"first": 4, "after": page["endCursor"], "where": where}
            answer = await session.execute(GraphQLRequest(ORDERS, variable_values=variables))
            page = answer["orders"]["pageInfo"]
            found += answer["orders"]["nodes"]
        assert found == [{"number": row["number"], "total": {"amount": row["total"]}} for row in shown]
        assert len(found) > 4

    asked(live, way, "customer", ask)


@WAYS
def test_what_is_refused_comes_beside_the_data(live: Served, way: Way) -> None:
    """Without a schema to check by the client sends it, and is told; with one it never leaves the client."""

    async def strictly(client: Client, session: AsyncClientSession) -> None:
        with pytest.raises(GraphQLError, match="Cannot query field 'order' on type 'Delivery'"):
            await session.execute(GraphQLRequest(PARCELS))
        client.schema = None
        with pytest.raises(TransportQueryError) as caught:
            await session.execute(GraphQLRequest(PARCELS), parse_result=False)
        assert caught.value.errors is not None
        assert caught.value.data is not None
        (error,) = caught.value.errors
        assert error["extensions"]["code"] == "FIELD_FORBIDDEN"
        assert error["extensions"]["coordinate"] == "Delivery.order"
        (parcel,) = caught.value.data["deliveries"]["nodes"]
        assert (parcel["order"], parcel["reference"][:2]) == (None, "D-")

    asked(live, way, "carrier", strictly)


@WAYS
def test_a_change_that_is_not_made_says_why(live: Served, way: Way) -> None:
    """What the caller can mend is data, with its code, coordinate and path."""

    async def ask(client: Client, session: AsyncClientSession) -> None:
        given = {"id": given_by(live)["id"], "postalCode": "no code", "email": "no address"}
        answer = await session.execute(GraphQLRequest(CHANGE, variable_values={"input": given}))
        assert answer["updateCustomer"] == {"customer": None, "userErrors": WRONG}

    asked(live, way, "customer", ask)


@WAYS
def test_a_purpose_is_declared_with_the_connection(live: Served, way: Way) -> None:
    """In the headers of HTTP or the payload of the socket: with one there are values, without one masks."""
    variables = {"id": given_by(live)["other"]}
    seen: list[str] = []

    async def ask(client: Client, session: AsyncClientSession) -> None:
        assert client.schema is not None
        schema = DSLSchema(client.schema)
        query = dsl_gql(DSLQuery(schema.Query.viewer.select(schema.Viewer.role)))
        assert await session.execute(query) == {"viewer": {"role": "support"}}
        answer = await session.execute(GraphQLRequest(EMAIL, variable_values=variables))
        seen.append(answer["node"]["email"])

    asked(live, way, "support", ask)
    asked(live, way, "support", ask, **SERVICE)
    assert seen == ["***@***", second_customer(live)["email"]]


def test_a_session_that_reconnects_goes_on_with_the_next_token(live: Served) -> None:
    """The socket closes with the token's session; the client is told, connects anew, and watches on."""
    customer, delivery = live.world.askers["customer"].customer_id, of_customer(live)
    assert customer is not None

    def bearer() -> dict[str, str]:
        return {"Authorization": f"Bearer {live.world.customer_token(customer, now=live.clock())}"}

    async def told(session: ReconnectingAsyncClientSession) -> Any:
        events = session.subscribe(
            GraphQLRequest(WATCH, variable_values={"id": global_id("Delivery", delivery["id"])})
        )
        try:
            event = asyncio.ensure_future(anext(events))
            await asyncio.to_thread(live.until_watched)
            await asyncio.to_thread(live.touch, delivery["id"])
            assert (await event)["deliveryUpdated"]["reference"] == delivery["reference"]
            return asyncio.ensure_future(anext(events))
        except BaseException:
            await events.aclose()
            raise

    async def run() -> None:
        token = await asyncio.to_thread(bearer)
        transport = WebsocketsTransport(live.url.replace("http", "ws"), init_payload=token)
        client = Client(transport=transport, fetch_schema_from_transport=True)
        async with asyncio.timeout(SECONDS):
            session = await client.connect_async(reconnecting=True)
            waiting = await told(session)
            transport.init_payload = await asyncio.to_thread(bearer)
            await asyncio.to_thread(sign_out, live, token)
            with pytest.raises(TransportError):
                await waiting
            await asyncio.to_thread(live.until_watched, 0)
            # What is asked meanwhile waits for the new connection.
            assert await session.execute(GraphQLRequest("{ viewer { role } }")) == {
                "viewer": {"role": "customer"}
            }
            (await told(session)).cancel()
            await client.close_async()
        await asyncio.to_thread(live.until_watched, 0)

    asyncio.run(run())
