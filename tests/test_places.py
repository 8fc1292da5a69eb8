"""A postal code fits its country whichever of the two is changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shipments import change, codes, row, send
from tests.world import World

ERROR = dict[str, Any]
FOREIGN = [("MALFORMED", "countryCode")]
MISSING = [("REQUIRED", "postalCode")]
HOME = {"countryCode": "FI", "postalCode": "00100"}


def delivery(world: World, given: ERROR, **stored: Any) -> tuple[list[tuple[str, str]], ERROR]:
    """What is wrong with a change of a delivery's address, and the row after it."""
    sent = send(world, "READY", **stored)
    payload = change(
        world, "customer", "updateDeliveryAddress", {"id": sent.delivery_id, **given}, "__typename"
    )
    return shortened(payload, "Delivery"), row(world, "delivery", sent.delivery)


def customer(world: World, given: ERROR, **stored: Any) -> tuple[list[tuple[str, str]], ERROR]:
    """What is wrong with a change of a profile, and the row after it."""
    person = {"firstName": "Aada", "surname": "Esimerkki", "email": "aada@store.example"}
    new = {**person, "password": "correct horse battery", **stored}
    made = change(world, "anonymous", "registerCustomer", new, "customer { id number }")
    shown, number = made["customer"]["id"], made["customer"]["number"]
    changed = {"id": shown, **given}
    payload = change(world, "support", "updateCustomer", changed, "__typename", "customer-service")
    query = "SELECT * FROM customer WHERE number = $1"
    found = world.run(lambda connection: connection.fetchrow(query, number))
    return shortened(payload, "Customer"), dict(found)


def shortened(payload: Any, entity: str) -> list[tuple[str, str]]:
    return [(code, coordinate.removeprefix(f"{entity}.")) for code, coordinate in codes(payload)]


@pytest.mark.parametrize(
    ("given", "wanted", "after"),
    [
        ({"countryCode": "SE"}, FOREIGN, ("FI", "00100")),
        ({"countryCode": "HK"}, FOREIGN, ("FI", "00100")),
        ({"countryCode": "EE"}, [], ("EE", "00100")),
        ({"countryCode": "fi"}, [], ("FI", "00100")),
        ({"countryCode": "SE", "postalCode": "11455"}, [], ("SE", "114 55")),
        ({"countryCode": "SE", "postalCode": "1"}, [("MALFORMED", "postalCode")], ("FI", "00100")),
        ({"countryCode": "HK", "postalCode": None}, [], ("HK", None)),
        ({"postalCode": None}, MISSING, ("FI", "00100")),
        ({"countryCode": "SE", "postalCode": None}, MISSING, ("FI", "00100")),
        ({"countryCode": "XX"}, [("MALFORMED", "countryCode")], ("FI", "00100")),
        ({"countryCode": None}, [("REQUIRED", "countryCode")], ("FI", "00100")),
    ],
)
@pytest.mark.parametrize("kind", [delivery, customer])
def test_the_pair_that_comes_about_is_checked(
    writable: World, kind: Any, given: ERROR, wanted: Any, after: tuple[str, str | None]
) -> None:
    place = {"streetAddress": "Testikatu 1", "postalTown": "Helsinki", **HOME} if kind is customer else {}
    found, stored = kind(writable, given, **place)
    assert found == wanted
    assert (stored["country_code"], stored["postal_code"]) == after


def test_a_profile_may_do_without_an_address_and_give_one_up(writable: World) -> None:
    assert customer(writable, {"countryCode": "SE"})[0] == []
    place = {"streetAddress": "Testikatu 1", "postalTown": "Helsinki", **HOME}
    nothing = dict.fromkeys(("streetAddress", "postalCode", "postalTown"))
    assert customer(writable, nothing, **place)[0] == []
    assert customer(writable, {"postalCode": None, "postalTown": None}, **place)[0] == MISSING
