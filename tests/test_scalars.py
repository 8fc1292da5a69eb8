"""How a value of a scalar is read."""

from __future__ import annotations

from typing import Any

import pytest

from schema.scalars import parse_time, write_time
from tests.world import World

OUTSIDE = (
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0000-01-01T00:00:00Z", "1899-12-31T23:59:59Z"),
    *("1900-01-01T00:00:00+14:00", "3000-01-01T00:00:00Z", "2999-12-31T23:59:59-01:00"),
    *("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-14:00"),
)


@pytest.mark.parametrize("typed", ["1900-01-01T00:00:00Z", "2999-12-31T23:59:59.999999Z"])
def test_a_moment_lies_in_the_years_1900_to_2999(typed: str) -> None:
    assert write_time(parse_time(typed))[:19] == typed[:19]


@pytest.mark.parametrize("typed", OUTSIDE)
def test_a_moment_of_another_year_is_refused_without_its_value(typed: str) -> None:
    with pytest.raises(ValueError, match=r"\Aa `DateTime` lies in the years 1900 to 2999\Z"):
        parse_time(typed)


@pytest.mark.parametrize("typed", OUTSIDE)
def test_no_filter_and_no_input_takes_a_moment_near_the_ends_of_the_calendar(
    world: World, typed: str
) -> None:
    literal = f'{{ orders(where: {{ placedAt: {{ lt: "{typed}" }} }}) {{ totalCount }} }}'
    variable = "query ($at: DateTime) { orders(where: { placedAt: { lt: $at } }) { totalCount } }"
    asked: list[tuple[str, dict[str, Any]]] = [(literal, {}), (variable, {"at": typed})]
    found = [world.ask("customer", document, given)[1] for document, given in asked]
    wanted = ["VALIDATION_FAILED", "BAD_VARIABLE"]
    assert [body["errors"][0]["extensions"]["code"] for body in found] == wanted
    assert "totalCount" not in str([body.get("data") for body in found])
