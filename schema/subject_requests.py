"""What people ask about their data, and what is held of it, as it is shown."""

from __future__ import annotations

import uuid

import strawberry
from sqlalchemy import ColumnElement, FromClause, LargeBinary, Text, cast, func, literal_column

from . import tables
from .fields import Node, column, computed, entity, listed
from .scalars import Date, DateTime
from .states import RequestChannel, RequestDecision, SubjectRequestKind, SubjectRequestStatus
from .writing import KEY, Declared, Writes, given, input_of, sets


def _target(hold: FromClause) -> ColumnElement[str]:
    """The global id of what is held."""
    plain = hold.c.target_entity.concat(literal_column("':'", Text())).concat(cast(hold.c.target_id, Text()))
    return func.encode(cast(plain, LargeBinary()), literal_column("'base64'"), type_=Text())


@strawberry.type(description="A field that an erasure leaves for a while, until when and on which basis.")
class Retained:
    coordinate: str = strawberry.field(description="The coordinate, such as `Order.billingName`.")
    until: Date | None = strawberry.field(
        description="The last day it stays; null where that is not a day but an event, which `basis` says."
    )
    basis: str = strawberry.field(description="Why: a law, a hold, or what is still to be done.")


@entity(tables.SubjectRequest, description="What a person asked for about their data (GDPR Article 12).")
class SubjectRequest(Node):
    kind: SubjectRequestKind | None = column("What was asked for.")
    received_at: DateTime | None = column("When.")
    due_at: DateTime | None = column("When it must be answered: one calendar month later.")
    extended_to: DateTime | None = column("Until when that was put off, at most by two months.")
    status: SubjectRequestStatus | None = column("How far it has come.")
    decision: RequestDecision | None = column("What was decided.")
    retained: list[Retained] | None = listed(
        Retained, "What an erasure leaves, until when and why.", column="retained"
    )
    channel: RequestChannel | None = column("The way it came.")
    handled_by: str | None = column(
        "Who decided: the global id of an employee, `clock` where nothing stood against it, or `command`."
    )
    notified: list[str] | None = computed(
        "Which recipients were told of the erasure (GDPR Article 19).", lambda request: request.c.notified
    )


@entity(tables.LegalHold, description="What keeps fields of a person's data although a rule or request ends.")
class LegalHold(Node):
    basis: str | None = column("On which basis: a law, a claim.")
    until: Date | None = column("The last day it holds.")
    target: str | None = computed(
        "What is held: the global id of a customer, order, delivery or return.", _target
    )
    fields: list[str] | None = computed("Which coordinates are held.", lambda hold: hold.c.fields)
    placed_by: str | None = column("By whom: the global id of an employee.")
    released_at: DateTime | None = column("When it was released before its end.")


@input_of("SubjectRequest", Writes.CREATE, description="Whose data is to be erased.")
class RequestErasureInput:
    customer: strawberry.ID | None = given("Whose data; left out, the caller's own.")
    idempotency_key: uuid.UUID | None = given(KEY)


@input_of("SubjectRequest", Writes.CREATE, description="Whose data is not to be used for a while.")
class RequestRestrictionInput:
    customer: strawberry.ID | None = given("Whose data; left out, the caller's own.")
    idempotency_key: uuid.UUID | None = given(KEY)


@input_of("SubjectRequest", Writes.UPDATE, description="What is decided about a request, or until when not.")
class DecideSubjectRequestInput:
    id: strawberry.ID = given("The request.")
    decision: RequestDecision | None = sets("What is decided.")
    extended_to: DateTime | None = sets("Until when the answer is put off, told within the first month.")
    reason: str | None = given(
        "Why it is refused or put off: told to the person, with a refusal or extension, and kept nowhere."
    )


@input_of("SubjectRequest", Writes.UPDATE, description="Which request is taken back.")
class WithdrawSubjectRequestInput:
    id: strawberry.ID = given("The request.")


_REQUEST = {"subject_request": "SubjectRequest", "customer": "Customer"}
MUTATIONS = {
    "request_erasure": Declared(
        RequestErasureInput,
        "Asks for the erasure of a customer's data, which can be taken back for some days; the same request"
        " while one is under way.",
        entities=_REQUEST,
        extras={"erased": (list[str], "What would go: coordinates. What would stay, `retained` says.")},
    ),
    "request_restriction": Declared(
        RequestRestrictionInput,
        "Asks that a customer's data is not used for a while; the same request while one is under way.",
        entities=_REQUEST,
    ),
    "decide_subject_request": Declared(
        DecideSubjectRequestInput,
        "Decides a request about somebody's data, or puts its answer off.",
        entities=_REQUEST,
    ),
    "withdraw_subject_request": Declared(
        WithdrawSubjectRequestInput,
        "Takes a request back that is not done yet, or a restriction that is in force.",
        entities=_REQUEST,
    ),
}
