"""What the demo rows are made from, and where they go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.demo.carriers import Carrier
from gateway.demo.draw import Draw
from gateway.demo.people import People, Person
from gateway.demo.rows import Rows

# Nothing but a promise lies later than this many seconds relative to the anchor.
LATEST = -60


@dataclass(slots=True)
class Scene:
    """The source of everything drawn, and the rows that are being collected."""

    draw: Draw
    people: People
    carriers: tuple[Carrier, ...]
    rows: Rows


class Buyer(NamedTuple):
    """A customer as orders see one; of an erased one only billing names and addresses are left."""

    id: str
    person: Person
    is_erased: bool


class Purchase(NamedTuple):
    """An order as its deliveries and its return see it; `full` fills every text."""

    id: str
    number: str
    buyer: Buyer
    full: bool
