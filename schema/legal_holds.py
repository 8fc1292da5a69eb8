"""How a hold is placed on fields of a person's data, and released."""

from __future__ import annotations

import uuid

import strawberry

from .scalars import Date
from .writing import KEY, Declared, Writes, given, input_of, reads_fields


@input_of("LegalHold", Writes.CREATE, description="What is kept although a rule or a request ends, and why.")
class PlaceLegalHoldInput:
    target: strawberry.ID = given("What is held: a customer, an order, a delivery or a return.")
    fields: list[str] = reads_fields(
        "What of it, and of what belongs to it: coordinates such as `Order.billingName`."
    )
    basis: str = given("On which basis: a law with its section, or a claim by the store's number for it.")
    until: Date = given("The last day it holds.")
    idempotency_key: uuid.UUID | None = given(KEY)


@input_of("LegalHold", Writes.UPDATE, description="Which hold ends now.")
class ReleaseLegalHoldInput:
    id: strawberry.ID = given("The hold.")


MUTATIONS = {
    "place_legal_hold": Declared(
        PlaceLegalHoldInput,
        "Keeps fields of a person's data from every retention rule and from erasure until the end of a day.",
        entities={"legal_hold": "LegalHold"},
    ),
    "release_legal_hold": Declared(
        ReleaseLegalHoldInput,
        "Ends a hold before its last day; what was held stays on the record.",
        entities={"legal_hold": "LegalHold"},
    ),
}
