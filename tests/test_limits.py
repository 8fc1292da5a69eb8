"""What a document and its variables may be: at a limit it is answered, over it TOO_COMPLEX, whoever asks."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse

from gateway.config import Settings
from gateway.errors import Code, RequestError
from gateway.limits import CEILING, check_limits
from tests.test_attacks_denial import doubling, many, multiplying
from tests.world import World

SETTINGS = Settings(database_url="postgresql://nowhere")  # type: ignore[arg-type]
ROLES = ["anonymous", "customer", "support", "carrier"]
LISTS = "query($w: OrderWhere) { __typename orders(where: $w) @skip(if: true) { totalCount } }"


EMPTY = "query($w: OrderWhere) { orders(where: $w) { pageInfo { hasNextPage } } }"


def roots(count: int) -> str:
    """Root fields, half of them in a fragment that is spread."""
    first = count // 2
    below = many(count - first, "b#: __typename")
    return f"{{ {many(first, 'a#: __typename')} ...F }} fragment F on Query {{ {below} }}"


def aliases(count: int) -> str:
    """Aliases in a fragment that is spread a hundred times, and the rest beside it."""
    times, rest = divmod(count - 1, 100)
    fragment = f"fragment F on Viewer {{ {many(times, 'a#: role')} }}"
    return f"{{ v: viewer {{ {many(100, '...F')} {many(rest, 'b#: role')} }} }} {fragment}"


def directives(count: int) -> str:
    """Directives on fields, on spreads and in a fragment that is spread twice."""
    fields = many(count - 4, "a#: role @include(if: true)")
    fragment = "fragment F on Viewer { role @skip(if: false) }"
    return f"{{ viewer {{ ...F @skip(if: false) ...F @include(if: true) {fields} }} }} {fragment}"


def padded(size: int, letter: str = "x") -> str:
    """A document of so many bytes."""
    start = "{ __typename } #"
    return (
        start + letter * ((size - len(start)) // len(letter.encode())) + "x" * (size % len(letter.encode()))
    )


def values(count: int) -> dict[str, Any]:
    """Variables of so many values: the object, its keys, the list and what is in it."""
    return {"w": {"number": {"in": ["x"] * (count - 3)}}}


def deep(depth: int) -> dict[str, Any]:
    """Variables so deep, of which nobody asks for one."""
    found: Any = 1
    for _ in range(depth - 1):
        found = [found]
    return {"nobody": found}


# By limit: what is still answered, and what is one too many, with its count.
EDGES: dict[str, tuple[str, str, int]] = {
    "document bytes": (padded(100_000), padded(100_001), 100_001),
    "bytes of other letters": (padded(100_000, "ä"), padded(100_002, "ä"), 100_002),
    "root fields": (roots(50), roots(51), 51),
    "aliases": (aliases(2000), aliases(2001), 2001),
    "directives": (directives(100), directives(101), 101),
    "directives in one place": (
        "{ __typename @skip(if: false) @include(if: true) }",
        "{ __typename @skip(if: false) @include(if: true) @skip(if: false) }",
        3,
    ),
    "repeated fields": (
        f"{{ viewer {{ {many(316, 'role')} }} }}",
        f"{{ viewer {{ {many(317, 'role')} }} }}",
        317 * 317,
    ),
}
VARIABLES: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "values": (values(10_003), values(20_001), 20_001),
    "nesting": (deep(50), deep(51), 51),
}


def only_error(body: dict[str, Any]) -> dict[str, Any]:
    """The error of an answer that has nothing else."""
    assert set(body) == {"errors"}, str(body)[:300]
    (error,) = body["errors"]
    found: dict[str, Any] = error
    return found


@pytest.mark.parametrize("limit", EDGES)
def test_a_document_at_its_limit_is_answered_and_one_over_it_is_not(world: World, limit: str) -> None:
    fine, over, count = EDGES[limit]
    _, body = world.ask("customer", fine)
    assert "errors" not in body, str(body)[:300]
    _, body = world.ask("customer", over)
    extensions = only_error(body)["extensions"]
    assert extensions == {"code": "TOO_COMPLEX", "cost": count}


@pytest.mark.parametrize("limit", VARIABLES)
def test_variables_at_their_limit_are_taken_and_over_it_are_not(world: World, limit: str) -> None:
    fine, over, count = VARIABLES[limit]
    _, body = world.ask("customer", LISTS, fine)
    assert body.get("data") == {"__typename": "Query"}, str(body)[:300]
    _, body = world.ask("customer", LISTS, over)
    assert only_error(body)["extensions"] == {"code": "TOO_COMPLEX", "cost": count}


@pytest.mark.parametrize("limit", EDGES)
def test_a_limit_is_the_same_for_every_role_and_nothing_is_asked_of_the_database(
    world: World, limit: str
) -> None:
    """Byte by byte the same refusal, before any statement."""
    over = EDGES[limit][1]
    for name in ROLES:
        world.ask(name, "{ __typename }")  # the worker knows its callers
    with world.recorded(refusals=True) as statements:
        found = {name: world.post(name, over).content for name in ROLES}
    assert len(set(found.values())) == 1
    assert b"TOO_COMPLEX" in found["support"]
    assert statements == []


@pytest.mark.parametrize("key", ["and", "or"])
def test_conditions_with_nothing_in_them_count_as_well(world: World, key: str) -> None:
    _, body = world.ask("customer", EMPTY, {"w": {key: [{}] * 999}})
    assert "errors" not in body, str(body)[:300]
    _, body = world.ask("customer", EMPTY, {"w": {key: [{}] * 1000}})
    assert only_error(body)["extensions"] == {"code": "TOO_COMPLEX", "cost": 1001}


def test_variables_that_nobody_asks_for_count_as_well(world: World) -> None:
    _, body = world.ask("anonymous", "{ __typename }", {"a": ["x"] * 20_001})
    assert only_error(body)["extensions"]["code"] == "TOO_COMPLEX"


@pytest.mark.parametrize("height", [35, 60, 150, 220])
def test_fragments_that_double_themselves_are_counted_once_each(world: World, height: int) -> None:
    """A pass that counted each spread anew would never end; the count stays a number that JSON can hold."""
    _, body = world.ask("anonymous", doubling(height))
    extensions = only_error(body)["extensions"]
    assert extensions["code"] == "TOO_COMPLEX"
    assert extensions.get("cost", 0) <= CEILING


@pytest.mark.parametrize("document", [multiplying(20, 4), multiplying(6, 6), doubling(100)])
def test_a_count_is_bounded_whatever_the_fragments_multiply_to(document: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_limits(parse(document), SETTINGS)
    (problem,) = refused.value.problems
    assert problem.code is Code.TOO_COMPLEX
    cost = problem.extensions["cost"]
    assert isinstance(cost, int)
    assert SETTINGS.depth_limit < cost <= CEILING


def test_every_limit_is_a_setting(world: World) -> None:
    """What the tests above take for granted."""
    settings = world.gateway.settings
    assert (settings.document_limit_bytes, settings.root_field_limit) == (100_000, 50)
    assert (settings.alias_limit, settings.directive_limit) == (2000, 100)
    assert (settings.variable_limit, settings.variable_depth_limit) == (20_000, 50)
