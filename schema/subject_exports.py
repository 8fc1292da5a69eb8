"""How a person's copy of their data is asked for (GDPR Articles 15 and 20)."""

from __future__ import annotations

import uuid

import strawberry

from .scalars import DateTime
from .writing import KEY, Declared, Writes, given, input_of


@input_of("SubjectRequest", Writes.CREATE, description="Of whose data a copy is made.")
class RequestExportInput:
    customer: strawberry.ID | None = given("Whose data; left out, the caller's own.")
    idempotency_key: uuid.UUID | None = given(KEY)


MUTATIONS = {
    "request_export": Declared(
        RequestExportInput,
        "Makes a copy of a customer's data, and mails the person a link to it; the link to one before ends.",
        entities={"subject_request": "SubjectRequest", "customer": "Customer"},
        extras={
            "link": (
                str,
                "Where the copy is, for a customer who asks in their account; for others it is mailed alone.",
            ),
            "link_expires_at": (DateTime, "Until when the link holds."),
        },
        alone=True,
    ),
}
