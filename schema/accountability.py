"""What makes every access answerable, as it is shown: look-ups and disclosures, and how one is made."""

from __future__ import annotations

import uuid

import strawberry
from sqlalchemy import ColumnElement, FromClause, Text, case, func, literal_column, select
from sqlmodel import SQLModel

from . import tables
from .fields import Node, One, column, computed, entity, keys, one
from .scalars import DateTime
from .states import Decision, NoticeStatus
from .writing import KEY, Declared, Writes, given, input_of, reads_fields


def _operation(record: FromClause) -> ColumnElement[str]:
    digest = literal_column("'sha256:'").concat(record.c.operation_hash)
    return func.concat_ws(literal_column("' '"), record.c.operation_name, digest)


def _notice_status(disclosure: FromClause) -> ColumnElement[str]:
    notice = SQLModel.metadata.tables["erasure_notice"].alias()
    told = select(
        case(
            (notice.c.sent_at.is_not(None), literal_column("'SENT'", Text())),
            (notice.c.failed_at.is_not(None), literal_column("'FAILED'", Text())),
            else_=literal_column("'DUE'", Text()),
        )
    ).where(
        notice.c.customer_id == disclosure.c.customer_id,
        notice.c.recipient == disclosure.c.recipient,
        notice.c.created_at >= disclosure.c.at,
    )
    found = told.correlate(disclosure).scalar_subquery()
    return func.coalesce(found, literal_column("'NOT_DUE'", Text()))


@entity(
    tables.AccessRecord,
    description="One use of personal data by an employee or a partner, or one that was refused; no values.",
)
class AccessRecord(Node):
    at: DateTime | None = column("When.")
    role: str | None = column("In which role.")
    purpose: str | None = column("For which purpose; null where none was said.")
    fields: list[str] | None = computed("Which coordinates.", lambda record: record.c.fields)
    principal_id: str | None = column("By whom: the global id of an employee or of a partner's token.")
    designation: One = one("Designation", "The designation acted under.", key="designation_id")
    case_reference: str | None = column("The case that was named.")
    operation: str | None = computed(
        "The operation's name, if it has one, and the SHA-256 of its document.", _operation
    )
    subject_ids: list[strawberry.ID] | None = keys(
        "Customer", "Of which customers; they keep their ids when erased.", of="subject_ids"
    )
    policy_version: str | None = column("Under which policy.")
    request_id: str | None = column("The request's `X-Request-Id`.")
    decision: Decision | None = column("Whether it was allowed.")


@entity(
    tables.Disclosure,
    description="What of a customer's data went to a recipient (GDPR Articles 15(1)(c) and 19); no values.",
)
class Disclosure(Node):
    recipient: str | None = column("To whom, by the name on the list of recipients.")
    purpose: str | None = column("For which purpose.")
    at: DateTime | None = column("When.")
    fields: list[str] | None = computed("Which coordinates.", lambda disclosure: disclosure.c.fields)
    statute: str | None = column("To an authority: the law that demands it.")
    requester: str | None = column("To an authority: who asked.")
    case_number: str | None = column("To an authority: the number of its case.")
    notice_status: NoticeStatus | None = computed(
        "Whether the recipient was told of an erasure since.", _notice_status
    )
    visible_to_subject: bool | None = column("Whether the customer sees it.")


@input_of("Disclosure", Writes.CREATE, description="What goes to an authority, about whom, and why.")
class DiscloseToAuthorityInput:
    customer: strawberry.ID = given("The one customer it is about.")
    statute: str = given("The law that demands it, with its section.")
    requester: str = given("Which authority asks, and who there.")
    case_number: str = given("The number of the authority's case.")
    fields: list[str] = reads_fields(
        "What goes to it: coordinates of a customer's data, such as `Order.billingName`."
    )
    visible_to_subject: bool | None = given("Whether the customer sees the disclosure; left out means no.")
    idempotency_key: uuid.UUID | None = given(KEY)


MUTATIONS = {
    "disclose_to_authority": Declared(
        DiscloseToAuthorityInput,
        "Gives an authority what the law demands of one customer's data, and records it.",
        entities={"disclosure": "Disclosure"},
        extras={
            "export": (str, "What goes to the authority, as a JSON document; its form is in the README.")
        },
        alone=True,
    ),
}
