"""The naive twin against cases worked out by hand: what is found, in which order and form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.naive import expected
from tests.naive_rows import (
    AINO,
    NEWSLETTER,
    NOW,
    OFFICER,
    POSTI,
    ROWS,
    SERVING,
    SUPPORT,
    VILLE,
    an_id,
    ask,
    delivery,
    first_root,
    numbers,
)


def test_a_look_up_is_a_filter_and_finds_the_newest_visible_row() -> None:
    assert first_root(SERVING, '{ customer(email: "c4@store.example") { number } }') == {"number": "C4"}
    assert first_root(SERVING, '{ customer(email: "c2@store.example") { number } }') is None
    assert ask(SUPPORT, '{ customer(email: "c4@store.example") { number } }').refused == {
        ("PURPOSE_REQUIRED", "Customer.email", "FILTER")
    }
    rows = ROWS | {"delivery": [delivery(n, AINO, 11, POSTI, "READY", tracking_code="T") for n in (31, 32)]}
    document = '{ delivery(trackingCode: "T") { reference trackingUrl } }'
    assert expected(rows, SUPPORT, NOW, document, {}).data == {
        "delivery": {"reference": "D32", "trackingUrl": "https://track.example/T"}
    }


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("{}", [36, 35, 34, 33, 32, 31]),
        ("{and: []}", [36, 35, 34, 33, 32, 31]),
        ("{or: []}", []),
        ("{id: {in: []}}", []),
        ("{weightGrams: {lt: 400}}", [35]),
        ("{not: {weightGrams: {lt: 400}}}", [36, 34, 33, 32, 31]),
        ("{weightGrams: {isNull: true}}", [36, 34, 33, 32]),
        ("{weightGrams: {gte: 200, lte: 500}}", [35, 31]),
        ("{weightGrams: {gt: 200}}", [31]),
        ("{weightGrams: {in: 500}}", [31]),
        ("{status: {in: [PLANNED, EXCEPTION]}}", [36, 34]),
        ('{reference: {startsWith: "D3"}, trackingCode: {eq: "T34"}}', [34]),
        ('{reference: {startsWith: "d"}}', []),
        ('{deliveredAt: {eq: "2026-05-31T14:00:00+02:00"}}', [35]),
        ('{carrier: {name: {eq: "DHL"}}}', [35]),
        ("{carrier: {}}", [35, 34, 33, 32, 31]),
        ("{events: {some: {}}}", [35, 33, 31]),
        ('{events: {none: {place: {eq: "Vantaa"}}}}', [36, 34, 32]),
        ("{order: {returns: {some: {status: {eq: CLOSED}}}}}", [35, 32]),
        ("{or: [{carrier: {}}, {order: {total: {lt: 8}}}], status: {eq: DELIVERED}}", [35, 32]),
    ],
)
def test_filters_are_two_valued(where: str, found: list[int]) -> None:
    assert numbers(replace(OFFICER, purpose="subject-rights"), "deliveries", f"(where: {where})") == found


def test_a_filter_through_a_relation_sees_only_visible_rows() -> None:
    rows = ROWS | {
        "delivery": [delivery(31, AINO, 11, POSTI, "READY"), delivery(33, VILLE, 13, POSTI, "READY")]
    }
    document = "{ carriers(where: {}) { totalCount } deliveries(where: {order: {}}) { totalCount } }"
    assert expected(rows, OFFICER, NOW, document, {}).data["deliveries"] == {"totalCount": 2}
    assert expected(rows, SUPPORT, NOW, document, {}).data["deliveries"] == {"totalCount": 1}


@pytest.mark.parametrize(
    ("order_by", "found"),
    [
        ("", [36, 35, 34, 33, 32, 31]),
        ("(orderBy: [])", [36, 35, 34, 33, 32, 31]),
        ("(orderBy: {weightGrams: ASC})", [35, 31, 36, 34, 33, 32]),
        ("(orderBy: {weightGrams: DESC})", [36, 34, 33, 32, 31, 35]),
        ("(orderBy: [{status: ASC}, {weightGrams: DESC}])", [32, 35, 36, 33, 31, 34]),
        ("(orderBy: [{status: DESC}, {id: ASC}])", [34, 31, 33, 36, 32, 35]),
    ],
)
def test_lists_are_sorted_with_nulls_last_upwards_and_ties_newest_first(
    order_by: str, found: list[int]
) -> None:
    assert numbers(OFFICER, "deliveries", order_by) == found


@pytest.mark.parametrize(
    ("arguments", "found", "has_next", "has_previous"),
    [
        ("(first: 2)", [36, 35], True, False),
        ("(first: 6)", [36, 35, 34, 33, 32, 31], False, False),
        ("(first: 2, after: $c)", [33, 32], True, True),
        ("(first: 3, after: $c)", [33, 32, 31], False, True),
        ("(last: 2)", [32, 31], False, True),
        ("(last: 2, before: $c)", [36, 35], True, False),
        ("(last: 1, before: $c)", [35], True, True),
        ("(first: $absent, after: $c)", [33, 32, 31], False, True),
    ],
)
def test_pages_are_cut_by_position(
    arguments: str, found: list[int], has_next: bool, has_previous: bool
) -> None:
    document = f"""query ($c: String, $absent: Int) {{ deliveries{arguments} {{
      nodes {{ id }} edges {{ cursor }} totalCount
      pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }}
      unused: carriers(first: $absent, after: $c) @include(if: false) {{ totalCount }} }}"""
    page = first_root(OFFICER, document, c=an_id("Delivery", 34))
    ids = [an_id("Delivery", number) for number in found]
    assert [node["id"] for node in page["nodes"]] == ids
    assert [edge["cursor"] for edge in page["edges"]] == ids
    assert page["totalCount"] == 6
    assert page["pageInfo"] == {
        "hasNextPage": has_next,
        "hasPreviousPage": has_previous,
        "startCursor": ids[0],
        "endCursor": ids[-1],
    }


def test_values_are_written_as_the_scalars_say() -> None:
    document = """{
      order(number: "O11") { placedAt total { amount currency } billingAddress { postalTown countryCode } }
      empty: order(number: "O16") { billingAddress { postalTown } }
      delivery(reference: "D36") { carrier { name } trackingUrl order { number } }
      return(number: "R51") { refundAmount { amount } lines { nodes { orderLine { vatRate } } } }
    }"""
    assert ask(replace(OFFICER, purpose="subject-rights"), document).data == {
        "order": {
            "placedAt": "2026-05-23T12:00:00.000000Z",
            "total": {"amount": "12.50", "currency": "EUR"},
            "billingAddress": {"postalTown": "Helsinki", "countryCode": None},
        },
        "empty": {"billingAddress": None},
        "delivery": {"carrier": None, "trackingUrl": None, "order": {"number": "O15"}},
        "return": {"refundAmount": None, "lines": {"nodes": [{"orderLine": {"vatRate": "25.50"}}]}},
    }
    url = first_root(NEWSLETTER, "{ customers { nodes { unsubscribeUrl } } }")
    assert url == {"nodes": [{"unsubscribeUrl": "https://store.example/u/token1"}]}
