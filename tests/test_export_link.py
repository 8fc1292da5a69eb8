"""The link to a copy of somebody's data: good for a week, for nobody else, and gone with whom it is about."""

from __future__ import annotations

import asyncio
import re
import tracemalloc
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest

from gateway.chores import tidy
from gateway.privacy.download import PIECE_BYTES
from gateway.privacy.links import Forged, Links
from tests.exporting import REQUEST, customer_of, fetched, path_of, requested
from tests.logged import Collected
from tests.test_throttle import throttled
from tests.world import World
from tests.writing import another_gateway, kept

ORDERS = 2000
BIG = "customer-2"
DAY = timedelta(days=1)


def path(world: World, name: str = "customer") -> str:
    return path_of(requested(world, name)["link"])


def told(response: Any) -> tuple[int, bytes, dict[str, str]]:
    """An answer without what is made anew for each."""
    headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
    return response.status_code, response.content, headers


def nowhere(world: World) -> tuple[int, bytes, dict[str, str]]:
    return told(world.client.get("/nowhere"))


# ---------------------------------------------------------------- what is answered


def test_a_copy_comes_as_a_file_that_nobody_keeps(writable: World) -> None:
    response = writable.client.get(path(writable))
    headers = response.headers
    assert (response.status_code, headers["content-type"]) == (200, "application/json")
    assert headers["content-disposition"] == 'attachment; filename="personal-data.json"'
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert headers["referrer-policy"] == "no-referrer"
    assert int(headers["content-length"]) == len(response.content)


def test_head_answers_like_get_and_notes_nothing(writable: World) -> None:
    where, customer = path(writable), customer_of(writable)
    head = writable.client.head(where)
    (row,) = kept(writable, "export_document", customer_id=customer)
    assert (head.status_code, head.content, row["last_fetched_at"]) == (200, b"", None)
    got = writable.client.get(where)
    assert {**head.headers, "x-request-id": ""} == {**got.headers, "x-request-id": ""}
    (row,) = kept(writable, "export_document", customer_id=customer)
    assert row["last_fetched_at"] == writable.now
    assert writable.client.get(where).content == got.content


def test_nothing_but_get_and_head_is_taken(writable: World) -> None:
    where = path(writable)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert writable.client.request(method, where).status_code == 405
    fetched(writable, where)


def forged(where: str) -> list[str]:
    """Links like this one that were never given: another digest, another copy, too short, too long, none."""
    base, token = where.rsplit("/", 1)
    digest, copy = ("B" if token[place] == "A" else "A" for place in (-1, 20))
    texts = (token[:-1] + digest, token[:20] + copy + token[21:], token[:-1], f"{token}A", token.swapcase())
    return [f"{base}/{text}" for text in (*texts, uuid.uuid4(), "x" * 64, "%00")]


def test_a_forged_link_is_a_path_that_leads_nowhere_and_asks_no_table(writable: World) -> None:
    where, wanted = path(writable), nowhere(writable)
    with writable.recorded() as statements:
        assert [one for one in forged(where) if told(writable.client.get(one)) != wanted] == []
        assert writable.client.head(forged(where)[0]).status_code == 404
    assert [one for one in statements if "export_document" in one] == []
    fetched(writable, where)


ENDS = {
    "erased": "UPDATE customer SET erased_at = now() WHERE id = $1",
    "withdrawn": "UPDATE subject_request SET status = 'WITHDRAWN' WHERE customer_id = $1 AND kind = 'EXPORT'",
    "deleted": "DELETE FROM export_document WHERE customer_id = $1",
}
UNDONE = "UPDATE customer SET erased_at = NULL WHERE id = $1"


@pytest.mark.parametrize("end", ENDS)
def test_a_link_ends_at_once_with_its_copy_its_request_or_whom_it_is_about(writable: World, end: str) -> None:
    where, customer = path(writable), customer_of(writable)
    fetched(writable, where)
    writable.execute(ENDS[end], customer)
    try:
        assert told(writable.client.get(where)) == nowhere(writable)
        assert writable.client.head(where).status_code == 404
    finally:
        writable.execute(UNDONE, customer)


def test_a_link_holds_seven_days_and_the_copy_goes_with_it(writable: World) -> None:
    where, now = path(writable), writable.now
    with writable.at(now + 7 * DAY - timedelta(seconds=1)):
        fetched(writable, where)
        assert kept(writable, "export_document", customer_id=customer_of(writable))
    with writable.at(now + 7 * DAY):
        assert told(writable.client.get(where)) == nowhere(writable)
    portal = writable.client.portal
    assert portal is not None
    for moment, count in ((now + 7 * DAY - timedelta(seconds=1), 1), (now + 7 * DAY, 0)):
        portal.call(tidy, writable.gateway.settings, writable.gateway.database, moment)
        assert len(kept(writable, "export_document", customer_id=customer_of(writable))) == count


def test_how_long_it_holds_is_a_setting(writable: World) -> None:
    with another_gateway(writable, export_days=2) as shorter:
        where = path(shorter)
    with writable.at(writable.now + 2 * DAY):
        assert writable.client.get(where).status_code == 404


def test_the_link_and_the_copy_are_in_no_log(writable: World, logged: Collected) -> None:
    where = path(writable)
    response = writable.client.get(where)
    writable.client.get(forged(where)[0])
    assert where.rsplit("/", 1)[1] not in logged.text
    (email,) = {row["email"] for row in response.json()["parts"]["profile"]["rows"]}
    assert email not in logged.text
    paths = [line["path"] for line in logged.events("request")]
    assert paths.count("/export/{token}") == 2


def test_a_link_says_nothing_of_whom_it_is_for(writable: World) -> None:
    where, customer = path(writable), customer_of(writable)
    token = urlsafe_b64decode(where.rsplit("/", 1)[1])
    (row,) = kept(writable, "export_document", customer_id=customer)
    assert token[:16] == row["id"].bytes
    assert customer.bytes not in token


def test_a_link_outlasts_its_signing_key_while_the_key_is_listed() -> None:
    copy, links = uuid.uuid4(), Links((b"old",))
    token = links.sign(copy)
    assert Links((b"new", b"old")).verify(token) == copy
    assert Links((b"new",)).verify(token) == Forged()


def test_links_are_throttled_like_other_secrets_and_good_ones_cost_nothing(writable: World) -> None:
    where = path(writable)
    with throttled(writable, throttle_client_limit=3) as strict:
        assert [strict.client.get(where).status_code for _ in range(5)] == [200] * 5
        answers = [strict.client.get(forged(where)[0]) for _ in range(4)]
        assert [one.status_code for one in answers] == [404, 404, 404, 429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert answers[-1].json()["errors"][0]["extensions"] == {"code": "TOO_MANY_ATTEMPTS"}
        assert strict.client.head(where).status_code == 429


def test_copies_of_one_person_are_made_so_often_and_no_more(writable: World) -> None:
    """Whoever asks, and from wherever; a repeated key makes none."""
    key = str(uuid.uuid4())
    with throttled(writable, throttle_account_limit=2) as strict:
        for _ in range(3):
            requested(strict, idempotencyKey=key)
        requested(strict)
        assert strict.post("customer", REQUEST, {"input": {}}).status_code == 429
        requested(strict, BIG)


# ---------------------------------------------------------------- large copies


FILL = (
    "INSERT INTO orders (id, number, customer_id, placed_at, status, currency, total, payment_method,"
    " payment_status, internal_note)"
    " SELECT gen_random_uuid(), 'BIG-' || n, $1, now(), 'COMPLETED', 'EUR', 10, 'CARD', 'PAID',"
    " repeat('x', 200) FROM generate_series(1, $2::int) n",
    "INSERT INTO order_line (id, order_id, customer_id, sku, name, quantity, unit_price, currency, vat_rate)"
    " SELECT gen_random_uuid(), id, $1, 'S', 'A product', 1, 5, 'EUR', 24 FROM orders, generate_series(1, 2)"
    " WHERE customer_id = $1 AND number LIKE 'BIG-%' AND $2::int > 0",
    "INSERT INTO delivery (id, reference, order_id, customer_id, service_code, status, parcel_count,"
    " created_at, recipient_name)"
    " SELECT gen_random_uuid(), 'D-' || number, id, $1, 'HOME', 'DELIVERED', 1, now(), 'A name' FROM orders"
    " WHERE customer_id = $1 AND number LIKE 'BIG-%' AND $2::int > 0",
    "INSERT INTO delivery_event (id, delivery_id, customer_id, status, occurred_at, place, idempotency_key)"
    " SELECT gen_random_uuid(), id, $1, 'IN_TRANSIT', now(), 'A place', gen_random_uuid()"
    " FROM delivery, generate_series(1, 5)"
    " WHERE customer_id = $1 AND reference LIKE 'D-BIG-%' AND $2::int > 0",
)
EMPTY = (
    "DELETE FROM delivery_event WHERE customer_id = $1 AND place = 'A place'",
    "DELETE FROM delivery WHERE customer_id = $1 AND reference LIKE 'D-BIG-%'",
    "DELETE FROM order_line WHERE customer_id = $1 AND sku = 'S'",
    "DELETE FROM orders WHERE customer_id = $1 AND number LIKE 'BIG-%'",
)


@pytest.fixture
def big(writable: World) -> Any:
    """A customer with 2,000 orders more, while the test runs."""
    customer = customer_of(writable, BIG)
    for statement in FILL:
        writable.execute(statement, customer, ORDERS)
    yield writable
    for statement in EMPTY:
        writable.execute(statement, customer)


def received(world: World, where: str, each: Callable[[bytes], Any], stays: int = 1000) -> list[Any]:
    """The messages of an answer as the server gets them, their bodies handed over and not kept.

    The client goes after so many.
    """
    found: list[Any] = []

    async def run() -> None:
        left = asyncio.Event()

        async def send(message: Any) -> None:
            body = message.pop("body", b"")
            found.append(message | {"size": len(body)})
            each(body)
            if len(found) == stays:
                left.set()
            await asyncio.sleep(0)  # what waits for the client's end hears of it

        async def receive() -> Any:
            await left.wait()
            return {"type": "http.disconnect"}

        scope = {
            "type": "http",
            "method": "GET",
            "path": where,
            "raw_path": where.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [],
            "scheme": "http",
            "http_version": "1.1",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "asgi": {"version": "3.0"},
        }
        await world.client.app(scope, receive, send)  # type: ignore[arg-type, misc]

    portal = world.client.portal
    assert portal is not None
    portal.call(run)
    return found


def test_a_customer_with_many_orders_gets_them_all_in_the_memory_of_a_few_pieces(big: World) -> None:
    """The worker neither makes the copy nor holds it."""
    requested(big, BIG)  # whatever is made once is there
    tracemalloc.start()
    try:
        where = path(big, BIG)
        making = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        messages = received(big, where, lambda _: None)
        sending = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    size = sum(one["size"] for one in messages)
    assert size > 10 * PIECE_BYTES
    assert max(one["size"] for one in messages) < 2 * PIECE_BYTES
    assert messages[-1]["more_body"] is False
    assert max(making, sending) < 8 * PIECE_BYTES < size
    found = fetched(big, where)["parts"]
    assert len([one for one in found["orders"]["rows"] if re.match("BIG-", one["number"])]) == ORDERS
    assert len([one for one in found["deliveryEvents"]["rows"] if one["place"] == "A place"]) == 5 * ORDERS


def test_an_erasure_cuts_off_a_copy_that_is_being_fetched(big: World) -> None:
    where, customer = path(big, BIG), customer_of(big, BIG)
    pieces: list[int] = []

    def each(body: bytes) -> None:
        pieces.append(len(body))
        if len(pieces) == 2:  # the head has no body
            erasing = Thread(target=lambda: big.execute(ENDS["deleted"], customer))
            erasing.start()  # the gateway's own thread runs an event loop already
            erasing.join()

    messages = received(big, where, each)
    assert len(messages) == 2
    assert messages[-1]["more_body"] is True


def test_nothing_more_is_read_for_a_client_that_has_gone(big: World) -> None:
    where = path(big, BIG)
    with big.recorded() as statements:
        messages = received(big, where, lambda _: None, stays=3)
    assert len(messages) <= 4
    assert len([one for one in statements if "string_agg(piece" in one]) <= 3
