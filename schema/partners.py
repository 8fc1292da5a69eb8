"""Partners the store works with."""

from __future__ import annotations

import strawberry

from . import tables
from .fields import Node, column, entity
from .writing import IF_VERSION, Declared, Writes, given, input_of, sets


@entity(tables.Carrier, description="A company that carries deliveries.")
class Carrier(Node):
    name: str | None = column("The carrier's name.")
    contact_email: str | None = column("Where the carrier is reached.")
    active: bool | None = column("Whether new deliveries may be given to it.")


@input_of("Carrier", Writes.UPDATE, description="What changes of a carrier.")
class UpdateCarrierInput:
    id: strawberry.ID = given("The carrier.")
    if_version: int | None = given(IF_VERSION)
    name: str | None = sets("The carrier's name.")
    contact_email: str | None = sets("Where the carrier is reached.")
    active: bool | None = sets("Whether new deliveries may be given to it.")


MUTATIONS = {
    "update_carrier": Declared(UpdateCarrierInput, "Changes a carrier.", entities={"carrier": "Carrier"})
}
