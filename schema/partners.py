"""Partners the store works with."""

from __future__ import annotations

from . import tables
from .fields import Node, column, entity


@entity(tables.Carrier, description="A company that carries deliveries.")
class Carrier(Node):
    name: str | None = column("The carrier's name.")
    contact_email: str | None = column("Where the carrier is reached.")
    active: bool | None = column("Whether new deliveries may be given to it.")
