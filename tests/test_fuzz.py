"""Broken requests without end: none is answered with a fault, none hangs, and the server is as it was.

The same requests in each run; `HYPOTHESIS_PROFILE=thorough` draws others, and thirty times as many.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from tests.fuzz_documents import Values, body, parameters
from tests.fuzz_http import requests
from tests.fuzz_sockets import conversation, conversations, frames
from tests.fuzzing import LONGEST_SECONDS, Fuzzed, fuzz, fuzzed

# They keep a server of their own busy.
pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(LONGEST_SECONDS)]

# Who asks, and for which purpose.
ASKERS = {"anonymous": None, "customer": None, "support": "customer-service", "carrier": None}
# How an answer is wanted.
WAYS: list[dict[str, str]] = [{}, {"on-forbidden": "reject"}, {"accept": "text/event-stream"}]
WAYS += [{"accept": "application/graphql-response+json"}]
CURSORS = "{ %s(first: 3) { edges { cursor node { id } } } }"


@pytest.fixture(scope="module")
def server(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with fuzzed(server_url, tmp_path_factory.mktemp("fuzzed")) as one:
        yield one


@pytest.fixture(scope="module")
def values(server: Fuzzed) -> Values:
    """Ids and cursors of rows that some of the askers see, and what else is drawn."""
    found: list[str] = []
    for name, purpose in ASKERS.items():
        for root in ("customers", "orders", "deliveries", "returns", "carriers"):
            asked = json.dumps({"query": CURSORS % root})
            answer = json.loads(server.post(asked, server.headers(name, purpose)).body)
            edges = ((answer.get("data") or {}).get(root) or {}).get("edges") or []
            found += [text for edge in edges for text in (edge["cursor"], edge["node"]["id"])]
    return Values.of(sorted(set(found)))


def test_broken_http_is_answered_with_a_mistake(server: Fuzzed) -> None:
    server.codes.clear()
    fuzz(server, "http", requests(), 500, lambda drawn: server.say(drawn[1], drawn[0]))
    assert server.codes["BAD_REQUEST"]


@pytest.mark.parametrize("name", ASKERS)
def test_broken_operations_are_answered_with_a_mistake(server: Fuzzed, values: Values, name: str) -> None:
    headers = server.headers(name, ASKERS[name])

    def ask(drawn: tuple[dict[str, str], dict[str, str]]) -> None:
        asked, ways = body(drawn[0]), drawn[1]
        if "subscription" in asked:  # its stream would not end
            ways = {}
        if server.post(asked, {**headers, **ways}).status == 401:
            server.world.resume_sessions()

    server.codes.clear()
    drawn = st.tuples(parameters(values), st.sampled_from(WAYS))
    fuzz(server, f"operations {name}", drawn, 250, ask)
    # Which of the others are drawn follows from the ids of the register, which are another each time.
    assert {"SYNTAX_ERROR", "VALIDATION_FAILED"} <= server.codes.keys()


@pytest.mark.parametrize("name", ASKERS)
def test_broken_conversations_end_with_a_documented_code(server: Fuzzed, values: Values, name: str) -> None:
    headers = server.headers(name, ASKERS[name])
    fuzz(
        server,
        f"sockets {name}",
        conversations(values),
        60,
        lambda drawn: conversation(server, headers, drawn),
    )
    server.world.resume_sessions()


def test_broken_frames_end_their_socket_alone(server: Fuzzed) -> None:
    fuzz(server, "frames", frames(), 150, lambda drawn: server.raw_socket(*drawn))
