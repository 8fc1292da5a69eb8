"""Sixty-four clients at once, what each was answered, and whether every answer stands on the record."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from schema.scalars import global_id, read_global_id
from tests.invariants import Ledger, Row, Rows
from tests.shipments import Sent, document
from tests.world import World
from tests.writing import key_of

CLIENTS = 64
KINDS = 8
SERVICE = "customer-service"
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.02

PEOPLE = "query People($n: Int!) { customers(first: $n, orderBy: [{surname: %s}]) { nodes { id email } } }"
ORDERS = """{ orders(last: 6) { nodes { id number customer { id firstName }
    deliveries { nodes { id recipientName } } } } }"""
PERSON = "query Person($id: ID!) { customer(id: $id) { id firstName surname email } }"
PARCELS = "query Parcels($n: Int!) { deliveries(%s: $n) { nodes { id reference recipientName } } }"
PARCEL = "query Parcel($id: ID!) { delivery(id: $id) { id reference recipientPhone } }"
LETTERS = "query Letters($n: Int!) { customers(first: $n) { nodes { id email firstName } } }"
BILLS = "{ orders(first: 15) { nodes { id number billingName } } }"
CONSENTS = "{ customers(first: 15) { nodes { id marketingConsent } } }"
LABELS = "{ deliveries(first: 15) { nodes { id recipientName } } }"
OWN = "{ customers { nodes { id email } } orders { nodes { id number } } }"
NOTED = document("addOrderNote", "order { id number }")
MOVED = document("updateCustomer", "customer { id postalTown }")
REPORTED = document("reportDeliveryEvent", "results { outcome } deliveries { id recipientName }")


@dataclass(frozen=True)
class Change:
    """What a change writes of whom: a text that ends with a number, or a report under its key."""

    coordinate: str
    table: str
    key: uuid.UUID
    subject: uuid.UUID
    column: str | None = None
    number: int = 0

    def is_there(self, rows: Rows) -> bool:
        """Whether it, or what the same client wrote after it, is in the table."""
        if self.column is None:
            return any(row["idempotency_key"] == self.key for row in rows[self.table].values())
        return int(str(rows[self.table][(self.key,)][self.column]).split()[-1]) >= self.number


@dataclass(frozen=True)
class Ask:
    """What one client asks as whom."""

    name: str
    document: str
    variables: Mapping[str, Any] | None = None
    purpose: str | None = None
    change: Change | None = None

    def is_recorded(self) -> bool:
        """Whether it asks for others' data."""
        return self.name != "customer"


@dataclass(frozen=True)
class Given:
    """An answer as it came: `body` is None where the connection broke before its end."""

    ask: Ask
    status: int
    request_id: str
    body: Any

    @property
    def has_data(self) -> bool:
        return self.status == 200


def is_changeable(row: Row) -> bool:
    """Whether support may change this customer: other tests may have ended or restricted an account."""
    return row["status"] == "ACTIVE" and row["erased_at"] is None and row["restricted_at"] is None


@dataclass(frozen=True)
class Scene:
    """Whom and what the clients change: each client has rows of its own."""

    world: World
    people: list[uuid.UUID]
    orders: list[Row]
    parcels: list[Sent]

    @classmethod
    def of(cls, world: World, ledger: Ledger, send: Callable[..., Sent]) -> Scene:
        """What there is to be read and changed of a register."""
        rows = ledger.rows()
        people = [row["id"] for row in rows["customer"].values() if is_changeable(row)]
        orders = [row for row in rows["orders"].values() if row["customer_id"] in people]
        each = CLIENTS // KINDS
        parcels = [send(world, "IN_TRANSIT", order={"status": "SHIPPED"}) for _ in range(each)]
        return cls(world, people[:each], orders[:each], parcels)

    def asks(self, client: int, seed: int) -> Iterator[Ask]:
        """What a client asks, one after the other, without end."""
        kinds = (self._service, self._notes, self._moves, self._carrier)
        kinds += (self._reports, self._letters, self._staff, self._service)
        return kinds[client % KINDS](client // KINDS, Random(seed * CLIENTS + client))

    def _service(self, place: int, random: Random) -> Iterator[Ask]:
        while True:
            many = {"n": random.randint(1, 20)}
            person = {"id": global_id("Customer", random.choice(self.people))}
            yield Ask("support", PEOPLE % random.choice(("ASC", "DESC")), many, SERVICE)
            yield Ask("support", ORDERS, None, SERVICE)
            yield Ask("support", PERSON, person, SERVICE)

    def _carrier(self, place: int, random: Random) -> Iterator[Ask]:
        name = "carrier" if place % 2 else "carrier-2"
        while True:
            many = {"n": random.randint(1, 50)}
            yield Ask(name, PARCELS % random.choice(("first", "last")), many)
            yield Ask("carrier", PARCEL, {"id": random.choice(self.parcels).delivery_id})

    def _letters(self, place: int, random: Random) -> Iterator[Ask]:
        while True:
            yield Ask("newsletter", LETTERS, {"n": random.randint(1, 30)})
            yield Ask("customer", OWN)

    def _staff(self, place: int, random: Random) -> Iterator[Ask]:
        while True:
            yield Ask("finance", BILLS, None, "accounting")
            yield Ask("warehouse", LABELS)
            yield Ask("marketing", CONSENTS)

    def _notes(self, place: int, random: Random) -> Iterator[Ask]:
        order = self.orders[place]
        for number in itertools.count(1):
            key = ("orders", order["id"], order["customer_id"])
            change = Change("Order.internalNote", *key, "internal_note", number)
            given = {"id": global_id("Order", order["id"]), "internalNote": f"asked {number}"}
            yield Ask("support", NOTED, {"input": given}, SERVICE, change)

    def _moves(self, place: int, random: Random) -> Iterator[Ask]:
        person = self.people[place]
        for number in itertools.count(1):
            change = Change("Customer.streetAddress", "customer", person, person, "street_address", number)
            given = {"id": global_id("Customer", person), "streetAddress": f"Koekatu {number}"}
            yield Ask("support", MOVED, {"input": given}, SERVICE, change)

    def _reports(self, place: int, random: Random) -> Iterator[Ask]:
        sent = self.parcels[place]
        while True:
            key = uuid.uuid4()
            change = Change("DeliveryEvent.status", "delivery_event", key, sent.customer)
            event = {"deliveryId": sent.delivery_id, "status": "IN_TRANSIT", "idempotencyKey": str(key)}
            event["occurredAt"] = self.world.now.isoformat()
            yield Ask("carrier", REPORTED, {"input": {"events": [event]}}, None, change)


# ---------------------------------------------------------------- the clients


@dataclass
class Crowd:
    """The clients at work: each asks on until it is told to stop or its server is gone."""

    scene: Scene
    seed: int = 0
    given: list[Given] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    stops: bool = False

    @property
    def shown(self) -> int:
        """How many answers had data."""
        return sum(one.has_data for one in self.given)

    @property
    def failed(self) -> int:
        """How many requests were given nothing."""
        return len(self.given) - self.shown + self.unanswered

    @property
    def unanswered(self) -> int:
        """How many requests had no answer at all, as their connection broke."""
        return len(self.broken)

    def meet(self, url: str, fault: Callable[[Crowd], Coroutine[Any, Any, None]]) -> None:
        """Has all clients ask the server until the fault has run its course."""
        asyncio.run(self._meet(url, fault))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until something holds of the answers."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():  # noqa: ASYNC110  # of a server elsewhere, too
                await asyncio.sleep(PAUSE_SECONDS)

    async def _meet(self, url: str, fault: Callable[[Crowd], Coroutine[Any, Any, None]]) -> None:
        # Connections end here before the server ends them: it does after five seconds.
        limits = httpx.Limits(max_connections=CLIENTS, keepalive_expiry=2.0)
        patience = {"timeout": PATIENCE_SECONDS, "limits": limits}
        async with (
            httpx.AsyncClient(base_url=url, trust_env=False, **patience) as http,  # type: ignore[arg-type]
            asyncio.TaskGroup() as group,
        ):
            for client in range(CLIENTS):
                group.create_task(self._ask_on(http, self.scene.asks(client, self.seed)))
            try:
                await fault(self)
            finally:
                self.stops = True

    async def _ask_on(self, http: httpx.AsyncClient, asks: Iterable[Ask]) -> None:
        for ask in asks:
            if self.stops:
                return
            try:
                given = await self._ask(http, ask)
            except httpx.TransportError as error:
                self.broken.append(type(error).__name__)
                return
            self.given.append(given)
            if not given.has_data:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(self, http: httpx.AsyncClient, ask: Ask) -> Given:
        headers = dict(self.scene.world.askers[ask.name].headers)
        headers |= {"Processing-Purpose": ask.purpose} if ask.purpose else {}
        body = {"query": ask.document, "variables": ask.variables}
        async with http.stream("POST", "/graphql", json=body, headers=headers) as response:
            begun = (ask, response.status_code, response.headers["x-request-id"])
            try:
                await response.aread()
            except httpx.TransportError:
                return Given(*begun, None)
            return Given(*begun, response.json())


def asked(world: World, ask: Ask) -> Given:
    """What a single client is given."""
    response = world.post(ask.name, ask.document, ask.variables, ask.purpose)
    return Given(ask, response.status_code, response.headers["x-request-id"], response.json())


# ---------------------------------------------------------------- what they were given


def check(given: Iterable[Given], rows: Rows, world: World) -> None:
    """Raises where an answer has data without its record, or a change was acknowledged and is not there."""
    records = allowed(rows)
    disclosed = {(row["ref_id"], row["recipient"]) for row in rows["disclosure"].values()}
    for one in given:
        if not one.has_data:
            assert "data" not in (one.body or {}), one.ask
            continue
        assert one.body is None or "errors" not in one.body, (one.ask, one.body)
        found = records.get(one.request_id, [])
        if not one.ask.is_recorded():
            assert found == []
            continue
        assert found, f"{one.ask} was answered, and there is no record of it"
        assert {record["role"] for record in found} == {world.askers[one.ask.name].role}
        on_record = {subject for record in found for subject in record["subject_ids"]}
        assert whom(one.body, rows) <= on_record, one.ask
        recipient = recipient_of(one.ask.name, rows, world)
        if recipient is not None:
            assert {(key, recipient) for _, key in shown_ids(one.body)} <= disclosed, one.ask
        if one.ask.change is not None and one.body is not None:
            _check_change(one, one.ask.change, found, rows)


def _check_change(given: Given, change: Change, found: list[Row], rows: Rows) -> None:
    (payload,) = given.body["data"].values()
    assert payload["userErrors"] == [], given.ask
    assert [result["outcome"] for result in payload.get("results", [])] in ([], ["RECORDED"])
    assert change.is_there(rows), f"{given.ask} was acknowledged and is not there"
    assert any(
        change.coordinate in record["fields"] and change.subject in record["subject_ids"] for record in found
    ), given.ask


def allowed(rows: Rows) -> dict[str, list[Row]]:
    """The records of what was given, by request."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows["access_record"].values():
        if row["decision"] == "ALLOWED":
            found[row["request_id"]].append(row)
    return found


def shown_ids(body: Any) -> Iterator[tuple[str, uuid.UUID]]:
    """The type and key of everything an answer shows."""
    match body:
        case dict():
            if isinstance(body.get("id"), str):
                kind, _ = read_global_id(body["id"]) or ("", None)
                yield kind, key_of(body["id"])
            for value in body.values():
                yield from shown_ids(value)
        case list():
            for value in body:
                yield from shown_ids(value)


def whom(body: Any, rows: Rows) -> set[uuid.UUID]:
    """The customers whose rows an answer shows, by the tables."""
    tables = {"Order": "orders", "Delivery": "delivery"}
    return {
        key if kind == "Customer" else rows[tables[kind]][(key,)]["customer_id"]
        for kind, key in shown_ids(body)
    }


def recipient_of(name: str, rows: Rows, world: World) -> str | None:
    """To whom an asker's reads disclose; None for employees."""
    asker = world.askers[name]
    if asker.carrier_id is not None:
        return str(rows["carrier"][(asker.carrier_id,)]["name"])
    return "Newsletter provider" if name == "newsletter" else None
