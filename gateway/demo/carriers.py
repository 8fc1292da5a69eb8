"""The carriers of the demonstration, with invented services and contacts."""

from __future__ import annotations

from typing import NamedTuple

from gateway.demo.draw import DAY, Draw
from gateway.demo.rows import Rows

FOUNDED = -1_100 * DAY


class Service(NamedTuple):
    """A service, and which of the recipient's contacts it needs."""

    code: str
    needs_phone: bool
    needs_email: bool


BOTH, PHONE, EMAIL, NEITHER = (True, True), (True, False), (False, True), (False, False)
# Each carrier has a service that needs both contacts and one that does not.
CARRIERS = (
    ("Posti", (Service("PICKUP", *BOTH), Service("HOME", *PHONE), Service("LETTER", *NEITHER))),
    ("Matkahuolto", (Service("NEAR", *BOTH), Service("XXS", *EMAIL))),
    ("DHL", (Service("SERVICE-POINT", *BOTH), Service("PARCEL", *EMAIL), Service("FREIGHT", *PHONE))),
    ("PostNord", (Service("MYPACK", *BOTH), Service("ECONOMY", *NEITHER))),
)


class Carrier(NamedTuple):
    """A carrier, for the deliveries that name it."""

    id: str
    code: str
    services: tuple[str, ...]


def add_carriers(draw: Draw, rows: Rows) -> tuple[Carrier, ...]:
    """The carriers, whose rows and services are added."""
    return tuple(_add_carrier(draw, rows, turn) for turn in range(len(CARRIERS)))


def _add_carrier(draw: Draw, rows: Rows, turn: int) -> Carrier:
    name, services = CARRIERS[turn]
    domain = f"{name.lower()}.example"  # reserved by RFC 2606
    carrier = Carrier(
        draw.id(FOUNDED, turn), name[:2].upper() + str(turn), tuple(service.code for service in services)
    )
    rows.add("carrier", {"id": carrier.id, "name": name, "contact_email": f"privacy@{domain}"})
    for service in services:
        row = {
            "carrier_id": carrier.id,
            "code": service.code,
            "needs_phone": str(service.needs_phone),
            "needs_email": str(service.needs_email),
            "tracking_url": f"https://track.{domain}/{{code}}",
        }
        rows.add("carrier_service", row)
    return carrier
