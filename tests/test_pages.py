"""A list walked page by page, forward or backward, over ties and deletions, shows each entry once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from schema.scalars import global_id
from tests.world import NOW, World

TIED = 17
ORDERS = ("", "postalTown: ASC", "postalTown: DESC", "phone: ASC", "phone: DESC", "createdAt: ASC")


@pytest.fixture
def tied(world: World) -> Iterator[list[str]]:
    """Customers who share towns, some without a telephone number, all created in one moment."""
    keys = [uuid.UUID(int=0x0190 << 112 | 0x7000 << 64 | 0x8 << 60 | number) for number in range(TIED)]
    world.execute(
        "INSERT INTO customer (id, number, surname, postal_town, phone, unsubscribe_token, created_at,"
        " last_active_at) SELECT key, 'TIED-' || n, 'Tied', 'Town ' || n % 3,"
        " CASE WHEN n % 4 > 0 THEN '+35' || n % 2 END, 'TIED-' || n, $2, $2"
        " FROM unnest($1::uuid[]) WITH ORDINALITY AS one (key, place), LATERAL (SELECT place - 1) AS of (n)",
        *(keys, NOW),
    )
    yield [global_id("Customer", key) for key in keys]
    world.execute("DELETE FROM customer WHERE surname = 'Tied'")


def page(world: World, order: str, arguments: str, cursor: str | None = None) -> dict[str, Any]:
    """A page whose arguments may name the cursor."""
    sort = f"orderBy: [{{{order}}}]" if order else ""
    head = "query ($cursor: String)" if cursor else ""
    document = (
        f'{head} {{ customers(where: {{surname: {{eq: "Tied"}}}} {sort} {arguments}) {{'
        " totalCount edges { cursor node { id } }"
        " pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"
    )
    variables = {"cursor": cursor} if cursor else None
    found: dict[str, Any] = world.data("privacy-officer", document, variables, "subject-rights")["customers"]
    return found


def walk(world: World, order: str, size: int, *, backward: bool = False) -> list[str]:
    """Every id in list order, fetched page by page."""
    found: list[str] = []
    cursor = None
    for _ in range(TIED + 2):
        end = f", {'before' if backward else 'after'}: $cursor" if cursor else ""
        got = page(world, order, f"{'last' if backward else 'first'}: {size}{end}", cursor)
        ids = [edge["node"]["id"] for edge in got["edges"]]
        found = ids + found if backward else found + ids
        info = got["pageInfo"]
        assert info["startCursor"] == (got["edges"][0]["cursor"] if ids else None)
        if not info["hasPreviousPage" if backward else "hasNextPage"]:
            return found
        cursor = info["startCursor" if backward else "endCursor"]
    raise AssertionError("the walk does not end")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 4, 17, 100])
def test_a_walk_in_either_direction_shows_each_entry_once_in_order(
    world: World, tied: list[str], order: str, size: int
) -> None:
    whole = [edge["node"]["id"] for edge in page(world, order, "first: 100")["edges"]]
    assert sorted(whole) == sorted(tied)
    assert walk(world, order, size) == whole
    assert walk(world, order, size, backward=True) == whole


@pytest.mark.parametrize("order", ORDERS)
def test_deleting_entries_between_pages_skips_and_repeats_nothing_else(
    world: World, tied: list[str], order: str
) -> None:
    whole = [edge["node"]["id"] for edge in page(world, order, "first: 100")["edges"]]
    first = page(world, order, "first: 5")
    gone = {whole[1], whole[7]}  # one behind the cursor, one ahead
    for key in gone:
        world.execute("DELETE FROM customer WHERE surname = 'Tied' AND id = $1", _key(key))
    rest = page(world, order, f'first: 100, after: "{first["pageInfo"]["endCursor"]}"')
    assert [edge["node"]["id"] for edge in rest["edges"]] == [key for key in whole[5:] if key not in gone]


def _key(text: str) -> uuid.UUID:
    from schema.scalars import read_global_id

    found = read_global_id(text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("side", ["after", "before"])
def test_a_cursor_whose_row_is_gone_is_a_bad_cursor(world: World, tied: list[str], side: str) -> None:
    document = f'{{ customers(first: 3, {side}: "{tied[3]}") {{ nodes {{ id }} }} }}'
    assert world.ask("privacy-officer", document, None, "subject-rights")[0] == 200
    world.execute("DELETE FROM customer WHERE id = $1", _key(tied[3]))
    status, body = world.ask("privacy-officer", document, None, "subject-rights")
    assert status == 200
    assert "data" not in body
    assert body["errors"][0]["extensions"]["code"] == "BAD_CURSOR"
    assert body["errors"][0]["locations"] == [{"line": 1, "column": document.index(f'"{tied[3]}"') + 1}]


def test_a_cursor_of_a_row_the_caller_does_not_see_is_a_bad_cursor_too(world: World, tied: list[str]) -> None:
    document = f'{{ customers(first: 3, after: "{tied[3]}") {{ nodes {{ id }} }} }}'
    _, body = world.ask("customer", document)
    assert body["errors"][0]["extensions"]["code"] == "BAD_CURSOR"
    absent = document.replace(tied[3], global_id("Customer", uuid.uuid4()))
    assert world.post("customer", document).content == world.post("customer", absent).content


def test_the_pages_around_a_cursor_are_announced(world: World, tied: list[str]) -> None:
    first = page(world, "", "first: 5")["pageInfo"]
    assert (first["hasPreviousPage"], first["hasNextPage"]) == (False, True)
    second = page(world, "", f'first: 5, after: "{first["endCursor"]}"')["pageInfo"]
    assert (second["hasPreviousPage"], second["hasNextPage"]) == (True, True)
    before = page(world, "", f'last: 5, before: "{second["startCursor"]}"')["pageInfo"]
    assert (before["hasPreviousPage"], before["hasNextPage"]) == (False, True)


@pytest.mark.parametrize("order", [order for order in ORDERS if order])
def test_an_entry_lies_on_the_other_side_of_its_own_cursor_also_where_its_sort_value_is_null(
    world: World, tied: list[str], order: str
) -> None:
    for key in tied[:2]:  # the first has no telephone number
        alone = f'customers(where: {{id: {{eq: "{key}"}}}}, orderBy: [{{{order}}}]'
        document = (
            f'{{ before: {alone}, last: 1, before: "{key}") {{ pageInfo {{ hasNextPage }} }}'
            f' after: {alone}, first: 1, after: "{key}") {{ pageInfo {{ hasPreviousPage }} }} }}'
        )
        assert world.data("privacy-officer", document, None, "subject-rights") == {
            "before": {"pageInfo": {"hasNextPage": True}},
            "after": {"pageInfo": {"hasPreviousPage": True}},
        }


def test_a_cursor_holds_a_row_id_and_nothing_else(world: World, tied: list[str]) -> None:
    got = page(world, "phone: ASC", "first: 5")
    assert [edge["cursor"] for edge in got["edges"]] == [edge["node"]["id"] for edge in got["edges"]]
