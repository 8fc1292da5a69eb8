"""How many customers an employee may read of: in a day, and at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.test_records import recorded
from tests.world import World
from tests.writing import another_gateway, at_once

SERVICE = "customer-service"
PAGE = "query Page($n: Int!, $after: String) { customers(first: $n, after: $after) { nodes { id email } } }"
ONE = "query One($id: ID!) { customer(id: $id) { email } }"
QUOTA = 5


@pytest.fixture
def bounded(writable: World) -> Iterator[World]:
    """A gateway that lets an employee read of five customers a day."""
    writable.execute("TRUNCATE daily_subject, daily_reading")
    with another_gateway(writable, read_quota=QUOTA) as bounded:
        yield bounded
    writable.execute("TRUNCATE daily_subject, daily_reading")


def customers(world: World, number: int) -> list[str]:
    data = world.data("support", "{ customers(first: 100) { nodes { id } } }", None, SERVICE)
    return [node["id"] for node in data["customers"]["nodes"]][:number]


def codes(body: Any) -> list[str]:
    return [error["extensions"]["code"] for error in body.get("errors", [])]


def test_reading_the_same_customers_again_and_again_uses_up_nothing(bounded: World) -> None:
    for _ in range(4):
        bounded.data("support", PAGE, {"n": QUOTA}, SERVICE)
    assert [row["subjects"] for row in bounded.table("daily_reading")] == [QUOTA]


def test_one_customer_too_many_is_refused_and_recorded_and_nothing_is_given(bounded: World) -> None:
    bounded.data("support", PAGE, {"n": QUOTA}, SERVICE)
    with recorded(bounded) as records:
        response = bounded.post("support", PAGE, {"n": QUOTA + 1}, SERVICE)
    assert (response.status_code, codes(response.json())) == (429, ["READ_QUOTA"])
    assert 0 < int(response.headers["retry-after"]) <= 24 * 60 * 60
    assert "data" not in response.json()
    assert [(record["decision"], record["fields"]) for record in records] == [("REFUSED", ["Customer.email"])]
    assert bounded.table("daily_reading")[0]["subjects"] == QUOTA


def test_the_quota_holds_over_single_reads_in_every_worker_and_ends_with_the_day(bounded: World) -> None:
    ids = customers(bounded, QUOTA + 1)
    with another_gateway(bounded, read_quota=QUOTA) as other:
        for place, key in enumerate(ids[:QUOTA]):
            (bounded, other)[place % 2].data("support", ONE, {"id": key}, SERVICE)
        for world in (bounded, other):
            assert codes(world.ask("support", ONE, {"id": ids[QUOTA]}, SERVICE)[1]) == ["READ_QUOTA"]
            assert world.data("support", ONE, {"id": ids[0]}, SERVICE)["customer"]
    with bounded.at(bounded.now + timedelta(days=1)):
        assert bounded.data("support", ONE, {"id": ids[QUOTA]}, SERVICE)["customer"]


def test_a_page_known_to_be_counted_counts_again_for_others_tomorrow_and_with_one_more(
    bounded: World,
) -> None:
    def counted() -> list[int]:
        bounded.forget()
        return sorted(row["subjects"] for row in bounded.table("daily_reading"))

    for name, size, expected in (
        ("support", QUOTA - 1, [QUOTA - 1]),
        ("support", QUOTA - 1, [QUOTA - 1]),
        ("support", QUOTA, [QUOTA]),
        ("register-admin", QUOTA - 1, [QUOTA - 1, QUOTA]),
    ):
        bounded.data(name, PAGE, {"n": size}, SERVICE)
        assert counted() == expected
    with bounded.at(bounded.now + timedelta(days=1)):
        bounded.data("support", PAGE, {"n": QUOTA - 1}, SERVICE)
    assert counted() == [QUOTA - 1, QUOTA - 1, QUOTA]


def test_what_was_undone_is_not_known_to_be_counted(bounded: World) -> None:
    for _ in range(3):
        assert codes(bounded.ask("support", PAGE, {"n": QUOTA + 1}, SERVICE)[1]) == ["READ_QUOTA"]
    bounded.forget()
    assert bounded.table("daily_subject") == bounded.table("daily_reading") == []


def test_a_page_of_people_read_before_does_not_look_each_of_them_up(bounded: World) -> None:
    for _ in range(2):
        bounded.data("support", PAGE, {"n": QUOTA}, SERVICE)
    # Rows that nobody deletes within their day: gone, they show that the third read did not ask for them.
    bounded.execute("TRUNCATE daily_subject, daily_reading")
    bounded.data("support", PAGE, {"n": QUOTA}, SERVICE)
    bounded.forget()
    assert bounded.table("daily_subject") == []


def test_many_requests_at_once_do_not_read_of_more(bounded: World) -> None:
    ids = customers(bounded, 20)
    answers = at_once(*[lambda key=key: bounded.ask("support", ONE, {"id": key}, SERVICE)[1] for key in ids])
    assert sum("data" in answer for answer in answers) == QUOTA
    assert len(bounded.table("daily_subject")) == QUOTA


def test_each_employee_has_a_quota_of_their_own(bounded: World) -> None:
    bounded.data("support", PAGE, {"n": QUOTA}, SERVICE)
    assert bounded.data("register-admin", PAGE, {"n": QUOTA}, SERVICE)


def test_a_change_that_shows_one_customer_too_many_is_not_made(bounded: World) -> None:
    bounded.data("support", PAGE, {"n": QUOTA}, SERVICE)
    key = customers(bounded, QUOTA + 1)[-1]
    document = """mutation($i: UpdateCustomerInput!) {
        updateCustomer(input: $i) { customer { email } userErrors { code } } }"""
    before = bounded.table("customer")
    response = bounded.post("support", document, {"i": {"id": key, "postalTown": "Oulu"}}, SERVICE)
    assert (response.status_code, codes(response.json())) == (429, ["READ_QUOTA"])
    bounded.forget()
    assert bounded.table("customer") == before


def test_partners_and_customers_have_no_quota(bounded: World) -> None:
    assert len(bounded.data("newsletter", PAGE, {"n": 50})["customers"]["nodes"]) > QUOTA
    assert bounded.table("daily_reading") == []


# ---------------------------------------------------------------- lists


@pytest.fixture
def few(writable: World) -> Iterator[World]:
    """A gateway with the limit that holds where none is set."""
    with another_gateway(writable, list_limit=20) as few:
        yield few


def test_a_purpose_that_allows_no_lists_shows_one_and_few_and_not_many(few: World) -> None:
    limit = few.gateway.settings.list_limit
    shown = few.data("privacy-officer", PAGE, {"n": limit}, "authority-request")
    assert len(shown["customers"]["nodes"]) == limit
    status, body = few.ask("privacy-officer", PAGE, {"n": limit + 1}, "authority-request")
    (refusal,) = body["errors"]
    assert (status, refusal["extensions"]["coordinate"]) == (200, "Customer.email")
    assert refusal["extensions"]["code"] == "PURPOSE_REQUIRED"
    assert refusal["extensions"]["purposes"] == ["subject-rights"]
    assert {node["email"] for node in body["data"]["customers"]["nodes"]} == {None}
    assert few.data("privacy-officer", PAGE, {"n": limit + 1}, "subject-rights")


def test_a_list_spread_over_aliases_or_ids_is_a_list(few: World) -> None:
    aliases = " ".join(f"a{number}: customers(first: 10) {{ nodes {{ email }} }}" for number in range(3))
    ids = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Customer { email } } }"
    for document, variables in ((f"{{ {aliases} }}", None), (ids, {"ids": customers(few, 2)})):
        body = few.ask("privacy-officer", document, variables, "authority-request")[1]
        assert set(codes(body)) == {"PURPOSE_REQUIRED"}, document


def test_a_list_is_not_filtered_by_what_it_may_not_show(few: World) -> None:
    document = '{ customers(first: 100, where: {surname: {startsWith: "A"}}) { totalCount } }'
    body = few.ask("privacy-officer", document, None, "authority-request")[1]
    assert codes(body) == ["PURPOSE_REQUIRED"]
    assert body["data"] == {"customers": None}


def test_what_any_purpose_shows_is_listed_for_every_purpose(few: World) -> None:
    document = "{ orders(first: 100) { nodes { number } } }"
    for name, purpose in (
        ("warehouse", None),
        ("finance", "accounting"),
        ("support", "returns"),
        ("support", None),
    ):
        assert few.data(name, document, None, purpose)["orders"]["nodes"]


def test_where_no_purpose_with_lists_would_do_the_refusal_says_to_ask_for_fewer(few: World) -> None:
    document = "query($n: Int!) { orders(first: $n) { nodes { billingName } } }"
    shown = few.data("finance", document, {"n": 20}, "accounting")["orders"]["nodes"]
    assert any(node["billingName"] for node in shown)
    (refusal,) = few.ask("finance", document, {"n": 100}, "accounting")[1]["errors"]
    assert (refusal["extensions"]["code"], refusal["extensions"]["purposes"]) == ("PURPOSE_REQUIRED", [])
    assert "fewer" in refusal["message"]
