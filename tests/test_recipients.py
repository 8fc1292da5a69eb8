"""Who receives an order that is placed, and where: a place and a person count as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world import World
from tests.writing import GUEST, PLACE, basket, kept, mistakes, placed

ELSEWHERE = {"streetAddress": "Toinen katu 2", "postalCode": "33100", "postalTown": "Tampere"}
SWEDE = {**GUEST, "countryCode": "SE", "postalCode": "114 55", "postalTown": "Stockholm"}


def delivered(world: World, name: str = "customer", customer: Any = None, **given: Any) -> Any:
    """The delivery of an order that was placed with these fields."""
    guest = {} if customer is None else {"customer": customer}
    order = placed(world, name, delivery={"serviceCode": "HOME", **given}, **guest)["order"]
    return order["deliveries"]["nodes"][0]


@pytest.mark.parametrize("left_out", ELSEWHERE)
def test_a_place_that_is_given_in_part_is_not_completed_from_the_profile(
    writable: World, left_out: str
) -> None:
    place = {name: value for name, value in ELSEWHERE.items() if name != left_out}
    wanted = basket(delivery={"serviceCode": "HOME", **place})
    assert mistakes(writable, "customer", PLACE, wanted) == [
        ("REQUIRED", f"Delivery.{left_out}", f"delivery/{left_out}")
    ]


def test_a_country_alone_is_a_place_in_part(writable: World) -> None:
    wanted = basket(delivery={"serviceCode": "HOME", "countryCode": "FI"})
    assert [path for _, _, path in mistakes(writable, "customer", PLACE, wanted)] == [
        f"delivery/{name}" for name in ELSEWHERE
    ]


def test_a_place_without_a_country_is_the_stores_where_the_buyer_lives_there_too(writable: World) -> None:
    assert delivered(writable, **ELSEWHERE)["countryCode"] == "FI"
    delivery = {"serviceCode": "HOME", **ELSEWHERE, "postalCode": "114 56"}
    wanted = basket(customer=SWEDE, delivery=delivery)
    needed = ("REQUIRED", "Delivery.countryCode", "delivery/countryCode")
    assert mistakes(writable, "anonymous", PLACE, wanted) == [needed]
    found = delivered(writable, "anonymous", SWEDE, **{**delivery, "countryCode": "SE"})
    assert (found["countryCode"], found["postalCode"]) == ("SE", "114 56")


def test_a_recipient_of_another_name_does_not_get_the_buyers_phone_and_mail(writable: World) -> None:
    found = delivered(writable, recipientName="Naapuri Testi")
    assert (found["recipientPhone"], found["recipientEmail"]) == (None, None)
    found = delivered(writable, recipientName="Naapuri Testi", recipientPhone="040 7654321")
    assert (found["recipientPhone"], found["recipientEmail"]) == ("+358407654321", None)


def test_a_recipient_of_the_buyers_name_is_the_buyer(writable: World) -> None:
    (buyer,) = kept(writable, "customer", id=writable.askers["customer"].customer_id)
    found = delivered(writable, recipientName=f" {buyer['first_name'].upper()}  {buyer['surname']} ")
    assert (found["recipientPhone"], found["recipientEmail"]) == (buyer["phone"], buyer["email"])
