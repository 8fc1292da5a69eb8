"""Clients that others wrote work unchanged: `@apollo/client`, `urql` and `graphql-ws`, each as it is used.

The programs are in `tests/clients`: they do the work, and the tests judge what they saw.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from schema.scalars import global_id
from tests.clients.given import given_by
from tests.clients.npm import Doing, project, run_in, run_program
from tests.live import Served
from tests.signing_in import confirmed, signed_in
from tests.test_live import of_customer

pytestmark = pytest.mark.slow

SIGN_OUT = "mutation { signOut(input: {everywhere: false}) { ended } }"
WRONG = [
    {"code": "MALFORMED", "coordinate": "Customer.postalCode", "path": ["postalCode"]},
    {"code": "MALFORMED", "coordinate": "Customer.email", "path": ["email"]},
]
STALE = {"code": "CONFLICT", "coordinate": "Customer.version", "path": ["ifVersion"]}
ENDED = 4403


def numbers(live: Served) -> list[str]:
    """The numbers of the first customer's orders, newest first."""
    rows = live.world.table("orders")
    mine = [row for row in rows if row["customer_id"] == live.world.askers["customer"].customer_id]
    return [row["number"] for row in sorted(mine, key=lambda row: row["placed_at"], reverse=True)]


def second_customer(live: Served) -> dict[str, Any]:
    key = live.world.askers["customer-2"].customer_id
    return next(row for row in live.world.table("customer") if row["id"] == key)


def sign_out(live: Served, headers: dict[str, str]) -> None:
    """Ends the session of a token."""
    answer = httpx.post(live.url, json={"query": SIGN_OUT}, headers=headers)
    assert answer.json()["data"]["signOut"]["ended"]


def plain(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "__typename"} for one in found]


@pytest.fixture
def session(live: Served) -> dict[str, str]:
    """The tokens of a customer's session, of which the access token has expired."""
    account = confirmed(live.world)
    tokens = signed_in(live.world, account)
    expired = live.world.customer_token(account.key, timedelta(minutes=-1))
    return {"accessToken": expired, "refreshToken": tokens["refreshToken"]}


def test_apollo_client_works_unchanged(
    live: Served, npm: Path, session: dict[str, str], tmp_path: Path
) -> None:
    """Its cache is normalised by global ids, its pages join, and what is refused stands beside the data."""
    given = {**given_by(live), "session": session}
    seen = run_in(project(npm, "apollo", tmp_path), "client.mjs", given)
    assert seen["orders"] == {"total": len(numbers(live)), "numbers": numbers(live)}
    assert seen["pages"] == (len(numbers(live)) + 1) // 2 > 1
    assert seen["key"]["found"] == seen["key"]["expected"]
    assert seen["cached"]["number"] == numbers(live)[0]
    assert plain(seen["wrong"]) == WRONG
    assert (seen["changed"], plain(seen["stale"])) == ([], [STALE])
    assert seen["after"] == {"firstName": "Kerttu", "versions": 1}
    (parcel,) = seen["refused"].pop("data")["deliveries"]["nodes"]
    assert (parcel["order"], parcel["reference"][:2]) == (None, "D-")
    assert seen["refused"] == {"codes": ["FIELD_FORBIDDEN"], "coordinates": ["Delivery.order"]}
    assert seen["strict"] == ["FIELD_FORBIDDEN"]
    assert seen["rejected"] == {"data": None, "codes": ["FIELD_FORBIDDEN"]}
    assert (seen["masked"], seen["plain"]) == ("***@***", second_customer(live)["email"])
    assert seen["unknown"] == ["UNKNOWN_PURPOSE"]
    assert (seen["renewals"], seen["who"]) == (1, "customer")


def test_urql_works_unchanged(live: Served, npm: Path) -> None:
    """Its graph cache takes each caller's introspection for its schema, and joins pages by it."""
    seen = run_program(npm, "urql.mjs", given_by(live))
    assert seen["orders"] == {"total": len(numbers(live)), "numbers": numbers(live)}
    assert seen["pages"] == (len(numbers(live)) + 1) // 2 > 1
    assert seen["same"]
    assert (plain(seen["wrong"]), seen["changed"]) == (WRONG, [])
    assert seen["after"] == {"firstName": "Kaarina", "versions": 1}
    row = second_customer(live)
    nothing = {"status": 200, "codes": [], "purposes": [], "withheld": [], "number": None, "address": None}
    needed = {"codes": ["PURPOSE_REQUIRED"], "purposes": ["customer-service"]}
    assert seen["refused"] == {**nothing, **needed, "number": row["number"]}
    assert seen["rejected"] == {**nothing, **needed, "status": 403}
    assert seen["declared"] == {**nothing, "number": row["number"], "address": row["street_address"]}
    assert seen["unknown"] == {**nothing, "status": 400, "codes": ["UNKNOWN_PURPOSE"]}
    assert seen["got"]


def test_graphql_ws_asks_changes_and_is_refused_as_over_http(live: Served, npm: Path) -> None:
    """Over a socket too, refusals stand beside the data, and those of a whole operation end it alone."""
    delivery = of_customer(live)
    seen = run_program(
        npm, "sockets.mjs", {**given_by(live), "order": global_id("Order", delivery["order_id"])}
    )
    assert seen["pages"] == [numbers(live)[:2], numbers(live)[2:4]]
    assert seen["wrong"] == WRONG
    assert seen["refused"] == {"codes": ["FIELD_FORBIDDEN"], "order": None, "reference": True}
    assert seen["whole"] == [["FIELD_FORBIDDEN", "Delivery.order"]]
    assert (seen["masked"], seen["plain"]) == ("***@***", second_customer(live)["email"])
    assert seen["after"] == "carrier"
    assert seen["strange"] == ENDED


# ---------------------------------------------------------------- subscriptions


def watching(live: Served, delivery: dict[str, Any]) -> Doing:
    """What a program that watches a delivery of the first customer wants done."""
    customer = live.world.askers["customer"].customer_id
    assert customer is not None

    def token() -> str:
        # Asked for with each connection: the one before is over.
        live.until_watched(0)
        return live.world.customer_token(customer, now=live.clock())

    def change() -> None:
        live.until_watched(1)
        raised = "UPDATE delivery SET parcel_count = parcel_count + 1 WHERE id = $1"
        live.world.execute(raised, delivery["id"])

    def end(authorization: str) -> None:
        sign_out(live, {"Authorization": authorization})

    return {"token": token, "change": change, "end": end, "watched": lambda: live.until_watched(0)}


@pytest.mark.parametrize("client", ["graphql-ws", "apollo", "urql"])
def test_a_watched_delivery_is_told_of_beyond_the_end_of_a_token(
    live: Served, npm: Path, client: str
) -> None:
    """The socket closes with the token's session; the client opens it anew with the next, and goes on."""
    delivery = of_customer(live)
    given = {**given_by(live), "client": client, "renews": True}
    given["delivery"] = global_id("Delivery", delivery["id"])
    seen = run_program(npm, "subscriptions.mjs", given, watching(live, delivery))
    count = delivery["parcel_count"]
    assert (seen["before"], seen["told"], seen["cached"]) == (count, [count + 1, count + 2], count + 2)
    assert (seen["closed"], seen["tokens"], seen["reference"]) == ([ENDED], 2, 1)


def test_urql_watches_a_delivery_by_an_event_stream(live: Served, npm: Path) -> None:
    """With `fetchSubscriptions` it takes server-sent events, and its cache the delivery they tell of."""
    delivery = of_customer(live)
    doing = watching(live, delivery)
    given = {**given_by(live), "client": "urql, as an event stream", "renews": False}
    given |= {
        "delivery": global_id("Delivery", delivery["id"]),
        "authorization": f"Bearer {doing['token']()}",
    }
    seen = run_program(npm, "subscriptions.mjs", given, doing)
    count = delivery["parcel_count"]
    assert (seen["before"], seen["told"], seen["cached"]) == (count, [count + 1], count + 1)
