"""What a principal may spend in a minute: counted, refused with when to come back, told where it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from starlette.testclient import TestClient

from gateway.answer import Gateway
from gateway.app import app_of, create_gateway
from gateway.budget.beside import CHARACTER, GIVEN, READING, planning_cost, reading_cost
from gateway.budget.spending import Budget
from gateway.plan.cost import LOCAL, ROOT, ROW, VALUE
from schema.scalars import global_id
from tests.live import Served, served
from tests.world import Clock, World

PAGE = "{ orders(first: 100) { nodes { id } } }"
PRICE = ROOT + 100 * (ROW + VALUE)
READ = reading_cost(len(PAGE)) + planning_cost(len(PAGE))
COST = {"cost": True}


@dataclass(frozen=True)
class Till:
    """A gateway whose callers may spend little."""

    world: World
    client: TestClient
    clock: Clock
    gateway: Gateway

    def ask(self, name: str, document: str = PAGE, **parts: Any) -> Any:
        body = {"query": document, **parts}
        return self.client.post("/graphql", json=body, headers=self.world.askers[name].headers)


OPEN: dict[str, Till] = {}
OPENED: list[ExitStack] = []


@pytest.fixture(scope="module", autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    with ExitStack() as stack:
        OPENED.append(stack)
        yield
    OPENED.clear()
    OPEN.clear()


@contextmanager
def till(world: World, budget: int) -> Iterator[Till]:
    """The module's gateway on the world's database, which knows no text and nobody, with this budget."""
    if world.url not in OPEN:
        OPEN[world.url] = OPENED[-1].enter_context(opened(world, budget))
    one = OPEN[world.url]
    gateway = one.gateway
    settings = gateway.settings.model_copy(update={"budget_per_minute": budget})
    made = Budget(settings, b"secret", lambda: one.clock().timestamp())
    object.__setattr__(gateway, "budget", made)
    gateway.operations.clear()
    yield one


@contextmanager
def opened(world: World, budget: int, **changed: Any) -> Iterator[Till]:
    """A gateway of its own with this budget on the world's database, and a clock."""
    clock = Clock(world.now)
    settings = world.gateway.settings.model_copy(update={"budget_per_minute": budget, **changed})
    gateway = create_gateway(settings, clock)
    with TestClient(app_of(gateway)) as client:
        yield Till(world, client, clock, gateway)


def spent(response: Any) -> dict[str, Any]:
    """The error of a request that was refused for its caller's budget."""
    assert response.status_code == 429, response.text
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "BUDGET_SPENT"
    assert int(response.headers["retry-after"]) == error["extensions"]["retryAfterSeconds"] >= 1
    found: dict[str, Any] = error["extensions"]
    return found


# ---------------------------------------------------------------- over HTTP


def test_a_budget_is_spent_and_comes_back(world: World) -> None:
    with till(world, READ + 3 * PRICE) as one:
        for _ in range(3):
            assert one.ask("customer").status_code == 200
        refused = spent(one.ask("customer"))
        assert refused["cost"] == PRICE
        one.clock.now += timedelta(seconds=refused["retryAfterSeconds"])
        assert one.ask("customer").status_code == 200


def test_a_request_before_its_time_is_refused_still(world: World) -> None:
    with till(world, READ + 3 * PRICE) as one:
        for _ in range(3):
            one.ask("customer")
        seconds = spent(one.ask("customer"))["retryAfterSeconds"]
        one.clock.now += timedelta(seconds=seconds - 2)
        assert spent(one.ask("customer"))["retryAfterSeconds"] <= 2


def test_budgets_are_each_principals_own(world: World) -> None:
    """Who spends theirs takes nothing from others; under one network strangers share one."""
    with till(world, READ + PRICE) as one:
        one.ask("customer")
        spent(one.ask("customer"))
        for name in ("customer-2", "support", "carrier"):
            assert one.ask(name).status_code == 200, name
        # What is refused of a page costs little: it takes many.
        found = [one.ask("anonymous").status_code for _ in range(30)]
        assert (found[0], found[-1]) == (200, 429)


def test_nothing_of_the_register_is_read_for_whom_it_is_spent(world: World) -> None:
    with till(world, READ + PRICE) as one:
        one.ask("customer")
        body = one.ask("customer").json()
        assert set(body) == {"errors"}


def test_a_refusal_of_an_employee_is_on_record(writable: World) -> None:
    """With the coordinates it would have used, and nobody; a customer's is not."""
    document = "query Spent { customers(first: 100) { nodes { surname } } }"
    with till(writable, 2 * (1000 + CHARACTER * len(document)) + 700) as one:
        for name in ("support", "customer"):
            found = [one.ask(name, document).status_code for _ in range(6)]
            assert (found[0], found[-1]) == (200, 429)
    writable.forget()
    found = [row for row in writable.table("access_record") if row["operation_name"] == "Spent"]
    refused = [row for row in found if row["decision"] == "REFUSED"]
    assert {row["role"] for row in refused} == {"support"}
    assert list(refused[0]["fields"]) == ["Customer.surname"]
    assert refused[0]["subject_ids"] == []


def test_an_employees_look_at_the_schema_that_is_refused_is_on_record(writable: World) -> None:
    """With no coordinate, as nothing is planned; a customer's is not."""
    ids = {}
    with till(writable, LOCAL) as one:
        for name in ("support", "carrier", "customer"):
            headers = writable.askers[name].headers
            assert one.client.get("/schema.graphql", headers=headers).status_code == 200
            refused = one.client.get("/schema.graphql", headers=headers)
            spent(refused)
            ids[refused.headers["x-request-id"]] = name
    writable.forget()
    found = [row for row in writable.table("access_record") if row["request_id"] in ids]
    assert {(ids[row["request_id"]], row["role"]) for row in found} == {
        ("support", "support"),
        ("carrier", "carrier"),
    }
    assert {(row["decision"], *row["fields"], *row["subject_ids"]) for row in found} == {("REFUSED",)}


def test_mistakes_are_paid_for_and_end_at_the_door(world: World) -> None:
    """Each new text costs its reading; once that is spent, nothing more is read for a while."""
    with till(world, 10 * READING) as one:
        codes = []
        for number in range(12):
            body = one.ask("anonymous", f"{{ nothing{number} }}").json()
            codes.append(body["errors"][0]["extensions"]["code"])
        assert codes[0] == "VALIDATION_FAILED"
        assert codes[-1] == "BUDGET_SPENT"
        # A text that is known, and cheap, is refused as well: the door is shut.
        seconds = spent(one.ask("anonymous", "{ __typename }"))["retryAfterSeconds"]
        one.clock.now += timedelta(seconds=seconds)
        assert one.ask("customer", "{ __typename }").status_code == 200


def test_variables_that_do_not_fit_are_paid_for(world: World) -> None:
    document = "query($n: Int) { orders(first: $n) { nodes { id } } }"
    with till(world, 5 * READING) as one:
        found = [one.ask("customer", document, variables={"n": "x"}).json() for _ in range(8)]
    codes = [body["errors"][0]["extensions"]["code"] for body in found]
    assert (codes[0], codes[-1]) == ("BAD_VARIABLE", "BUDGET_SPENT")


MANY = "query($w: OrderWhere) { orders(where: $w) { totalCount } }"


def empty(number: int) -> dict[str, Any]:
    """Variables of so many conditions, with nothing in them."""
    return {"w": {"and": [{}] * number}}


def test_variables_are_paid_for_by_their_number_before_they_are_coerced(world: World) -> None:
    """Also those that fit, with a document that is known, where nothing of the register is granted."""
    with till(world, 10_000_000) as one:
        left = [
            one.ask("anonymous", MANY, variables=empty(number), extensions=COST).json()["extensions"]["cost"]
            for number in (1, 998, 998)
        ]
    spent_of = [before["remaining"] - after["remaining"] for before, after in pairwise(left)]
    planning = planning_cost(len(MANY))
    assert spent_of == [planning + 1000 * GIVEN + ROOT + VALUE, 1000 * GIVEN + ROOT + VALUE]


def test_many_variables_end_at_the_door_where_the_rest_does_not_reach(world: World) -> None:
    with till(world, 3000 + 20_000 * GIVEN) as one:
        codes = [refusal(one.ask("anonymous", MANY, variables=empty(19_990))) for _ in range(2)]
        assert codes == ["FIELD_FORBIDDEN", "BUDGET_SPENT"]
        spent(one.ask("anonymous", "{ __typename }"))


def test_a_plan_that_is_not_kept_is_paid_for_before_it_is_made(world: World) -> None:
    """New shapes, each dearer than what is left, are not planned one after the other for nothing."""
    document = "query($n: Int) { orders(first: $n) { nodes { id } } }"
    with till(world, 2 * reading_cost(len(document)) + 2500) as one:
        codes = [refusal(one.ask("customer", document, variables={"n": 90 + number})) for number in range(5)]
        misses = one.gateway.plans.misses
        one.ask("customer", document, variables={"n": 99})
    assert codes[-1] == "BUDGET_SPENT"
    assert one.gateway.plans.misses == misses


def refusal(response: Any) -> str | None:
    """The code of an answer's first error, if it has one."""
    errors = response.json().get("errors")
    return str(errors[0]["extensions"]["code"]) if errors else None


# ---------------------------------------------------------------- what is told


def test_the_cost_is_told_where_it_is_asked_for(world: World) -> None:
    with till(world, 100_000) as one:
        body = one.ask("customer", extensions=COST).json()
        left = 100_000 - READ - PRICE
        assert body["extensions"] == {
            "cost": {"requested": PRICE, "limit": 100_000, "remaining": left, "resetSeconds": 120}
        }
        assert one.ask("customer", extensions=COST).json()["extensions"]["cost"]["remaining"] == left - PRICE


@pytest.mark.parametrize(
    "extensions", [None, {}, {"cost": False}, {"cost": 1}, {"cost": "true"}, {"costs": True}]
)
def test_where_nobody_asks_the_answer_is_a_function_of_operation_grants_and_data(
    world: World, extensions: Mapping[str, Any] | None
) -> None:
    with till(world, 100_000) as one:
        first = one.ask("customer").content
        one.clock.now += timedelta(seconds=3)
        assert one.ask("customer", extensions=extensions).content == first
        assert b"extensions" not in first


def test_the_cost_stands_beside_what_is_withheld(world: World) -> None:
    document = "{ deliveries(first: 2) { nodes { recipientName } } }"
    plain = world.post("carrier", document).json()
    told = world.client.post(
        "/graphql", json={"query": document, "extensions": COST}, headers=world.askers["carrier"].headers
    ).json()
    cost = told["extensions"].pop("cost")
    assert told == plain
    assert plain["extensions"]["withheld"]
    assert cost["requested"] > 0


def test_the_cost_is_told_of_what_is_refused_as_a_whole(world: World) -> None:
    document = "{ deliveries(first: 1) { nodes { order { id } } } }"
    headers = {**world.askers["carrier"].headers, "on-forbidden": "reject"}
    body = {"query": document, "extensions": COST}
    response = world.client.post("/graphql", json=body, headers=headers)
    assert response.status_code == 403
    assert set(response.json()) == {"errors", "extensions"}


def test_the_cost_is_told_by_url_and_of_a_change(world: World, writable: World) -> None:
    headers = world.askers["customer"].headers
    asked = {"query": PAGE, "extensions": '{"cost": true}'}
    assert world.client.get("/graphql", params=asked, headers=headers).json()["extensions"]["cost"]
    change = (
        'mutation { requestPasswordReset(input: {email: "nobody@store.example"}) { userErrors { code } } }'
    )
    body = {"query": change, "extensions": COST}
    found = writable.client.post("/graphql", json=body).json()
    assert found["extensions"]["cost"]["requested"] > 50_000


# ---------------------------------------------------------------- sockets and event streams


def test_operations_on_a_socket_are_paid_for(live: Served) -> None:
    with served(live.world, budget_per_minute=READ + 2 * PRICE) as one, one.as_("customer") as talk:
        kinds = []
        for number in range(3):
            talk.say({"id": f"{number}", "type": "subscribe", "payload": {"query": PAGE, "extensions": COST}})
            message = talk.hear()
            kinds.append(message["type"])
            if message["type"] == "next":
                assert message["payload"]["extensions"]["cost"]["requested"] == PRICE
                assert talk.hear()["type"] == "complete"
        assert kinds == ["next", "next", "error"]
        extensions = message["payload"][0]["extensions"]
        assert extensions["code"] == "BUDGET_SPENT"
        assert extensions["retryAfterSeconds"] >= 1


def test_each_event_is_paid_for_and_the_last_says_why_it_is(live: Served) -> None:
    """On a socket and as an event stream: after so many events the subscription ends with the code."""
    customer = live.world.askers["customer"].customer_id
    delivery = live.deliveries(customer_id=customer)[0]["id"]
    document = "subscription($id: ID!) { deliveryUpdated(deliveryId: $id) { reference } }"
    price = ROOT + 5 + ROW + VALUE
    budget = 2 * (READING + CHARACTER * len(document)) + 3 * price
    with served(live.world, budget_per_minute=budget) as one, one.as_("customer") as talk:
        talk.subscribe("1", document, {"id": global_id("Delivery", delivery)})
        one.until_watched()
        for _ in range(2):
            one.touch(delivery)
            assert talk.hear()["type"] == "next"
        one.touch(delivery)
        message = talk.hear()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "BUDGET_SPENT"


def test_an_event_stream_is_refused_with_a_status_where_nothing_is_left(world: World) -> None:
    with till(world, READ + PRICE) as one:
        one.ask("customer")
        headers = {**world.askers["customer"].headers, "accept": "text/event-stream"}
        response = one.client.post("/graphql", json={"query": PAGE}, headers=headers)
        spent(response)
