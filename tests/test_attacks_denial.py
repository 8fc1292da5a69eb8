"""Operations made to exhaust: each is answered at once, with a mistake or small data, never a 500.

They go to a gateway in a process of its own, so that one that hangs can be ended, and a slow machine is not
taken for it: what is measured is the processor time that the gateway spends.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from schema.scalars import global_id
from tests.world import World

# These share one server process and keep it busy; it is started anew after a hang.
pytestmark = [pytest.mark.slow, pytest.mark.alone]

PROCESSOR_SECONDS = 2.5
PATIENCE_SECONDS = 12.0
MOST_BYTES = 2_000_000
JSON = {"content-type": "application/json"}
MISTAKES = {"SYNTAX_ERROR", "VALIDATION_FAILED", "BAD_VARIABLE", "BAD_ID", "BAD_PAGE", "TOO_COMPLEX"}


class Served:
    """A gateway in a process of its own, on a socket that accepts before it has started."""

    def __init__(self, world: World, folder: Path) -> None:
        customer = world.askers["customer"].customer_id
        assert customer is not None
        settings = world.gateway.settings
        token = world.customer_token(customer, now=datetime.now(UTC))
        self.headers = {"authorization": f"Bearer {token}", **JSON}
        self._log = folder / "served.log"
        self._environment = {
            **os.environ,
            "GATEWAY_DATABASE_URL": world.url,
            "GATEWAY_SIGNING_KEY_FILE": str(settings.signing_key_file),
            "GATEWAY_EMPLOYEE_TOKEN_MINUTES": str(settings.employee_token_minutes),
        }
        self.start()

    def start(self) -> None:
        """Starts the process."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = listener.getsockname()
        command = [sys.executable, "-m", "uvicorn", "gateway.app:from_environment", "--factory"]
        command += ["--fd", str(listener.fileno()), "--log-level", "warning", "--no-access-log"]
        with listener, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                cwd=Path(__file__).parent.parent,
                pass_fds=[listener.fileno()],
                stdout=log,
                stderr=log,
            )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.address[1]}", timeout=60)
        assert self.client.get("/readyz").status_code == 200
        self.client.timeout = httpx.Timeout(PATIENCE_SECONDS)

    def stop(self) -> None:
        """Ends the process, whatever it is doing."""
        self.client.close()
        self._process.kill()
        self._process.wait()

    def processor_seconds(self) -> float:
        """How long the process has been computing since it started."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, document: str, variables: Any = None) -> httpx.Response:
        """The response to an operation; a gateway that gives none in time is started anew."""
        body = json.dumps({"query": document, "variables": variables})
        try:
            return self.client.post("/graphql", content=body, headers=self.headers)
        except httpx.TimeoutException:
            self.stop()
            self.start()
            pytest.fail(f"no answer within {PATIENCE_SECONDS} s to an operation of {len(body)} bytes")


@pytest.fixture(scope="module")
def served(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway over the world's register in a process of its own."""
    found = Served(world, tmp_path_factory.mktemp("served"))
    yield found
    found.stop()


def many(count: int, text: str) -> str:
    """The text `count` times, `#` being the number."""
    return " ".join(text.replace("#", str(number)) for number in range(count))


def nested(count: int, opening: str, inside: str, closing: str) -> str:
    """A text inside itself."""
    return opening * count + inside + closing * count


def nested_where(depth: int, *keys: str) -> dict[str, Any]:
    """A condition inside itself under these keys, the innermost first; `and` takes a list."""
    where: Any = {}
    for key in keys * depth:
        where = {key: [where] if key == "and" else where}
    found: dict[str, Any] = where
    return found


def alternatives(condition: str) -> str:
    """The same condition 900 times."""
    return f"{{or: [{many(900, condition)}]}}"


def multiplying(width: int, height: int) -> str:
    """Fragments of which each level asks `width` times for the next: `width ** (2 * height)` fields."""
    levels = [
        f"fragment F{level} on Order {{ {many(width, f'a#: customer {{ ...G{level} }}')} }} "
        f"fragment G{level} on Customer {{ {many(width, f'b#: orders(first: 1) {{ ...H{level} }}')} }} "
        f"fragment H{level} on OrderConnection {{ nodes {{ ...F{level + 1} }} }}"
        for level in range(height)
    ]
    return f'{{ order(number: "x") {{ ...F0 }} }} {" ".join(levels)} fragment F{height} on Order {{ id }}'


def doubling(count: int) -> str:
    """Fragments of which each spreads the next twice, once in an inline fragment."""
    spreads = "fragment f{0} on Query {{ ...f{1} ... {{ ...f{1} }} }}"
    levels = " ".join(spreads.format(number, number + 1) for number in range(count))
    return f"{{ ...f0 }} {levels} fragment f{count} on Query {{ __typename }}"


def chain(count: int, last: str) -> str:
    """Fragments of which each spreads the next, the first spread first."""
    return "{ ...f0 } " + " ".join(
        f"fragment f{number} on Query {{ ...{f'f{number + 1}' if number + 1 < count else last} }}"
        for number in range(count)
    )


DIGITS = "9" * 50_000
WHERE = "query($w: OrderWhere!) { orders(where: $w) { totalCount } }"
PAGE = "orders(first: 100) { nodes { p#: lines(first: 100) { nodes { q#: id } } } }"
SHOWN = "fragment F on __Schema { types { name fields { name type { name fields { name } } } } }"

REFUSED: dict[str, tuple[str, str]] = {
    "depth": (
        "TOO_COMPLEX",
        "{ orders { nodes " + nested(9, "{ customer { orders { nodes ", "{ id }", "} } }") + "} }",
    ),
    "depth of fragments": ("TOO_COMPLEX", multiplying(1, 8)),
    "repeated fields": ("TOO_COMPLEX", "{ " + many(5000, "__typename") + " }"),
    "repeated fields in fragments": (
        "TOO_COMPLEX",
        "{ " + many(500, "...F#") + " } " + many(500, "fragment F# on Query { viewer { role } }"),
    ),
    "repeated aliases": ("TOO_COMPLEX", "{ " + many(1500, "a: viewer { role }") + " }"),
    "tokens": ("TOO_COMPLEX", "{ " + many(4000, "a#: __typename") + " }"),
    "directives": ("TOO_COMPLEX", "{ __typename " + many(1200, "@skip(if: false)") + " }"),
    "unknown directives": ("TOO_COMPLEX", "{ __typename " + many(4000, "@a#") + " }"),
    "root fields": ("TOO_COMPLEX", "{ " + many(60, "a#: viewer { role }") + " }"),
    "counts of the register": (
        "TOO_COMPLEX",
        "{ orders { " + many(60, "a#: totalCount") + " } }",
    ),
    "sorts of the register": (
        "TOO_COMPLEX",
        "{ " + many(30, "a#: orders(orderBy: [{total: ASC}]) { nodes { id } }") + " }",
    ),
    "a document as long as it can be": ("TOO_COMPLEX", "{ __typename } #" + "x" * 150_000),
    "fragments that double 150 times": ("TOO_COMPLEX", doubling(150)),
    "pairs of fragments": (
        "TOO_COMPLEX",
        "{ " + many(400, "...f#") + " } " + many(400, "fragment f# on Query { __typename }"),
    ),
    "pairs of fragments there are none": ("TOO_COMPLEX", "{ " + many(400, "...f#") + " }"),
    "pairs of fragments of fragments": (
        "TOO_COMPLEX",
        "{ ...f0 ...f1 } " + many(400, "fragment f# on Query { ...f#1 ...f#2 }"),
    ),
    "a fragment in itself": ("VALIDATION_FAILED", "{ ...A } fragment A on Query { ...A viewer { role } }"),
    "a circle of fragments": ("VALIDATION_FAILED", chain(18, "f0")),
    "nested full pages": (
        "TOO_COMPLEX",
        "{ " + PAGE.replace("q#: id", many(30, "q#: sku")).replace("p#", "p") + " }",
    ),
    "many full pages": ("TOO_COMPLEX", "{ " + many(30, f"o#: {PAGE}") + " }"),
    "a large page": ("BAD_PAGE", "{ orders(first: 2147483647) { nodes { id } } }"),
    "deep introspection": (
        "VALIDATION_FAILED",
        "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }",
    ),
    "nested inline fragments": ("SYNTAX_ERROR", nested(3000, "{ ... ", "{ __typename }", "}")),
    "nested literal": (
        "SYNTAX_ERROR",
        f"{{ orders(where: {nested(3000, '{not: ', '{}', '}')}) {{ totalCount }} }}",
    ),
    "nested literal list": (
        "SYNTAX_ERROR",
        f"{{ orders(where: {{or: {nested(4000, '[', '', ']')}}}) {{ totalCount }} }}",
    ),
    "digits as Int": ("VALIDATION_FAILED", f"{{ orders(first: {DIGITS}) {{ totalCount }} }}"),
    "digits as Int to compare": (
        "VALIDATION_FAILED",
        f"{{ orders(where: {{version: {{eq: -{DIGITS}}}}}) {{ totalCount }} }}",
    ),
    "digits as Decimal": (
        "VALIDATION_FAILED",
        f"{{ orders(where: {{total: {{eq: {DIGITS}}}}}) {{ totalCount }} }}",
    ),
    "digits as a text": (
        "VALIDATION_FAILED",
        f'{{ orders(where: {{total: {{eq: "{DIGITS}"}}}}) {{ totalCount }} }}',
    ),
    "digits as Float": (
        "VALIDATION_FAILED",
        f"{{ orders(where: {{total: {{eq: {DIGITS}e9}}}}) {{ totalCount }} }}",
    ),
    "digits as ID": ("BAD_ID", f"{{ node(id: {DIGITS}) {{ id }} }}"),
    "many operations": ("VALIDATION_FAILED", many(1200, "query Q { a#: __typename }")),
}

HEAVY: dict[str, tuple[str, Any]] = {
    "1.8 KB of fragments, each twice in the one before": (doubling(35), None),
    "fragments that multiply, 2 wide": (multiplying(2, 4), None),
    "fragments that multiply, 6 wide": (multiplying(6, 3), None),
    "fragments that multiply, 20 wide": (multiplying(20, 4), None),
    "a large circle of fragments": (chain(600, "f0"), None),
    "a chain of fragments": (chain(600, "f600") + " fragment f600 on Query { __typename }", None),
    "fragments side by side": (
        "{ " + many(700, "...f#") + " } " + many(700, "fragment f# on Query { a#: __typename }"),
        None,
    ),
    "aliases": ("{ " + many(3000, "a#: __typename") + " }", None),
    "aliased lists": ("{ " + many(300, "a#: orders { b#: totalCount nodes { c#: id } }") + " }", None),
    "aliased counts": ("{ orders { " + many(3000, "a#: totalCount") + " } }", None),
    "aliased introspection": ("{ " + many(300, "a#: __schema { ...F }") + " } " + SHOWN, None),
    "aliased grants": (
        "{ viewer { "
        + many(300, "a#: grants { ...F }")
        + " } } fragment F on Grant { "
        + many(300, "b#: coordinate")
        + " }",
        None,
    ),
    "repeated lists": ("{ " + many(150, "a: orders { nodes { id } }") + " }", None),
    "nested inline fragments": (nested(150, "{ ... ", "{ __typename }", "}"), None),
    "nested inline fragments, fewer": (nested(90, "{ ... @include(if: true) ", "{ __typename }", "}"), None),
    **{
        f"a literal {depth} deep": (
            f"{{ orders(where: {nested(depth, '{not: ', '{}', '}')}) {{ totalCount }} }}",
            None,
        )
        for depth in range(40, 240, 20)
    },
    **{
        f"a variable {depth} deep": (WHERE, {"w": nested_where(depth, "not")}) for depth in range(40, 440, 40)
    },
    "nested variable of lists": (WHERE, {"w": nested_where(120, "and")}),
    "nested variable of relations": (WHERE, {"w": nested_where(40, "some", "orders", "customer")}),
    "many conditions": (WHERE, {"w": {"or": [{"number": {"eq": "x"}}] * 9000}}),
    "many relations": (WHERE, {"w": {"or": [{"lines": {"some": {}}}] * 5000}}),
    "one variable many times": (
        f"query($w: OrderWhere!) {{ orders(where: {{and: [{many(500, '$w')}]}}) {{ totalCount }} }}",
        {"w": {"or": [{"number": {"eq": "x"}}] * 1000}},
    ),
    "one long list many times": (
        f"query($v: [String!]) {{ orders(where: {alternatives('{number: {in: $v}}')}) {{ totalCount }} }}",
        {"v": ["x"] * 40_000},
    ),
    "one long list of ids many times": (
        f"query($v: [ID!]) {{ orders(where: {alternatives('{id: {in: $v}}')}) {{ totalCount }} }}",
        {"v": [global_id("Order", UUID(int=number)) for number in range(4000)]},
    ),
    "one long text many times": (
        f"query($v: String) {{ orders(where: {alternatives('{number: {eq: $v}}')}) {{ totalCount }} }}",
        {"v": "x" * 200_000},
    ),
    "a long list to look in": (WHERE, {"w": {"number": {"in": ["x"] * 40_000}}}),
    "a long text": (WHERE, {"w": {"number": {"eq": "x" * 200_000}}}),
    "a long text as an id": ("query($id: ID!) { node(id: $id) { id } }", {"id": "A" * 200_000}),
    "variables nobody asked for": ("{ __typename }", {f"v{number}": [number] * 10 for number in range(3000)}),
    "many sort keys": (
        "query($o: [OrderOrderBy!], $c: String) { orders(orderBy: $o, after: $c) { nodes { id } } }",
        {"o": [{"number": "ASC"}, {"id": "DESC"}] * 100},
    ),
    "many variables": (
        f"query({many(2000, '$v#: Int')}) {{ __typename }}",
        {f"v{n}": "x" for n in range(2000)},
    ),
}


def answered_at_once(served: Served, document: str, variables: Any = None) -> dict[str, Any]:
    """The body of an answer that cost little and is no fault of the gateway's, which still answers others."""
    before = served.processor_seconds()
    response = served.ask(document, variables)
    assert response.status_code < 500, response.text[:200]
    assert len(response.content) < MOST_BYTES
    assert served.processor_seconds() - before < PROCESSOR_SECONDS
    assert served.ask("{ __typename }").json() == {"data": {"__typename": "Query"}}
    body: dict[str, Any] = response.json()
    assert {error["extensions"]["code"] for error in body.get("errors", ())} <= MISTAKES
    return body


@pytest.mark.parametrize("name", REFUSED)
def test_an_operation_over_a_limit_is_refused(served: Served, name: str) -> None:
    """Depth, repetition, tokens, circles, pages and digits beyond the limits are mistakes with a code."""
    code, document = REFUSED[name]
    body = answered_at_once(served, document)
    assert "data" not in body
    assert {error["extensions"]["code"] for error in body["errors"]} == {code}
    assert len(body["errors"]) <= 21


@pytest.mark.parametrize("name", HEAVY)
def test_an_operation_made_to_exhaust_costs_little(served: Served, name: str, world: World) -> None:
    """What is small on the wire and large to plan, to write or to run is refused, or answered cheaply."""
    document, variables = HEAVY[name]
    if "$c" in document:
        row = next(
            row
            for row in world.rows()["orders"]
            if row["customer_id"] == world.askers["customer"].customer_id
        )
        variables = {**variables, "c": global_id("Order", row["id"])}
    answered_at_once(served, document, variables)


def test_stalled_bodies_keep_nobody_waiting(served: Served) -> None:
    """While bodies that never end hang on other connections, requests are answered."""
    head = (
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    )
    stalled = [socket.create_connection(served.address) for _ in range(50)]
    try:
        for connection in stalled:
            connection.sendall(head)
        assert served.ask("{ __typename }").status_code == 200
    finally:
        for connection in stalled:
            connection.close()


@pytest.mark.parametrize("size", [5_000, 50_000, 200_000])
def test_a_long_token_is_refused(served: Served, size: int) -> None:
    """A token longer than any we sign is a 4xx before it is read."""
    headers = {**JSON, "authorization": "Bearer " + "a." * (size // 2)}
    response = served.client.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)
    assert 400 <= response.status_code < 500
    assert served.ask("{ __typename }").status_code == 200
