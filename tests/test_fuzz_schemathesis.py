"""schemathesis, which reads the schema that each asker is shown, finds no fault in what it makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from graphql import GraphQLSchema, get_named_type, is_scalar_type
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.graphql import nodes

from tests.fuzzing import LONGEST_SECONDS, Answered, Fuzzed, fuzz, fuzzed

# They keep a server of their own busy.
pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(LONGEST_SECONDS)]

ASKERS = {"anonymous": None, "customer": None, "support": "customer-service", "carrier": None}
EXAMPLES = 6
# What schemathesis holds an answer to. Its own check for faults takes a refused field for one, as it knows
# the codes of other servers alone; `Fuzzed.judge` knows ours.
CHECKS = ["response_schema_conformance", "content_type_conformance", "negative_data_rejection"]
SCALARS = {
    "Decimal": st.decimals(0, 10**6, places=2).map(str).map(nodes.String),
    "CurrencyCode": st.sampled_from(["EUR", "SEK"]).map(nodes.String),
}


@pytest.fixture(scope="module")
def server(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    for name, strategy in SCALARS.items():
        schemathesis.graphql.scalar(name, strategy)
    with fuzzed(server_url, tmp_path_factory.mktemp("schemathesis")) as one:
        yield one


def shown(server: Fuzzed, name: str) -> Any:
    """The schema that introspection shows an asker, as schemathesis loads it."""
    headers = server.headers(name, ASKERS[name])
    return schemathesis.graphql.from_url(server.url, config=SchemathesisConfig(), headers=headers)


def test_each_asker_is_shown_a_schema_of_their_own(server: Fuzzed) -> None:
    """What introspection shows is what `/schema.graphql` prints, and no scalar is one that is never made."""
    roots = {}
    for name in ASKERS:
        schema: GraphQLSchema = shown(server, name).client_schema
        sdl = server.client.get("/schema.graphql", headers=server.headers(name)).text
        printed = schemathesis.graphql.from_file(sdl, config=SchemathesisConfig()).client_schema
        assert set(schema.type_map) == set(printed.type_map)
        roots[name] = frozenset(schema.query_type.fields) if schema.query_type else frozenset()
        scalars = {one.name for one in map(get_named_type, schema.type_map.values()) if is_scalar_type(one)}
        assert scalars <= {"Boolean", "Int", "Float", "String", "ID", "Date", "DateTime", "UUID", *SCALARS}
    assert len(set(roots.values())) == len(roots)


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", ASKERS)
def test_every_operation_is_fuzzed_without_a_fault(server: Fuzzed, name: str, mode: GenerationMode) -> None:
    headers, seen = server.headers(name, ASKERS[name]), set[int]()

    def ask(case: Any) -> None:
        response = case.call(headers=headers, timeout=20)
        server.judge(Answered(response.status_code, one_each(response.headers), response.content))
        case.validate_response(response, checks=checks)
        seen.add(response.status_code)
        if response.status_code == 401:
            server.world.resume_sessions()

    schemathesis.checks.load_all_checks()
    checks = schemathesis.checks.CHECKS.get_by_names(CHECKS)
    operations = [one.ok() for one in shown(server, name).get_all_operations()]
    for operation in operations:
        label = f"{name} {operation.label}"
        fuzz(server, label, operation.as_strategy(generation_mode=mode), EXAMPLES, ask)
    assert 200 in seen
    server.world.resume_sessions()


def one_each(headers: Any) -> dict[str, str]:
    """The headers, each of which schemathesis gives as a list."""
    return {name: value[0] if isinstance(value, list) else value for name, value in headers.items()}
