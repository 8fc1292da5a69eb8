"""A copy of somebody's data: asked for, made at once, and told to the person alone by a link.

A customer who asks in their account is given the link in the answer, too. Whoever asks otherwise, an employee
on their behalf or the holder of the link to one order, is not: the copy goes to the person's mailbox.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from sqlalchemy import Uuid, bindparam, case, select
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from schema.scalars import write_time
from schema.writing import UserErrorCode

from ..mail.letters import data_copy
from ..privacy.copy import Copied
from ..privacy.dates import due_at
from ..row_rules import Scope
from ..statements.bound import compiled
from .mistakes import Mistake, Rejected
from .once import Known, New, once
from .post import post
from .rows import Sql
from .subjects import channel_of, order_of, subject_of
from .work import Outcome, Work

_FORMER = Sql("DELETE FROM export_document WHERE customer_id = $1", ("customer",))
_PRESENT = Sql(
    "SELECT id, expires_at FROM export_document WHERE request_id = $1 AND expires_at > $2", ("request", "now")
)


@dataclass(frozen=True, slots=True)
class Person:
    """Whose copy it is, their mailbox if it is known to be theirs, and whether they ask in their account."""

    key: uuid.UUID
    mailbox: str | None
    asks: bool


async def request_export(work: Work) -> Outcome:
    """A new copy and its request, which is done with it; the same key again gives the same request."""
    person = await _person(work)
    match await once(work, "SubjectRequest"):
        case New(request):
            await _make(work, person, request)
        case Known(request):
            pass
    made = {"subjectRequest": request, "customer": person.key}
    present = await work.row(_PRESENT, request=request)
    if present is None or not person.asks:
        expires = None if present is None else write_time(present["expires_at"])
        return Outcome(made, {"linkExpiresAt": expires})
    link = work.tools.office.links.url(work.tools.settings.public_url, present["id"])
    return Outcome(made, {"linkExpiresAt": write_time(present["expires_at"])}, secrets={"link": link})


async def _make(work: Work, person: Person, request: uuid.UUID) -> None:
    """The request, the copy in the place of any other of the person's, and the letter with the link."""
    if person.mailbox is None and not person.asks:
        message = "there is no address that is known to be the person's, to send the copy to"
        raise Rejected(Mistake(UserErrorCode.REQUIRED, "Customer.email", message, ("customer",)))
    # A copy is large: who asks again and again is told to wait. At one person every network is one.
    await work.tools.throttle.count("requestExport", account=str(person.key), client=None, now=work.now)
    work.used.update(("SubjectRequest.kind", "SubjectRequest.receivedAt"))
    await work.insert("subject_request", await _request(work, person, request))
    await work.row(_FORMER, customer=person.key)
    days = work.tools.settings.export_days
    of = Copied(uuid7(), person.key, request, work.now, work.now + timedelta(days=days))
    await work.tools.office.copies.make(work.transaction, of)
    if person.mailbox is not None:
        link = work.tools.office.links.url(work.tools.settings.public_url, of.key)
        await post(work, data_copy(link, days), person.mailbox, person.key)


async def _request(work: Work, person: Person, request: uuid.UUID) -> dict[str, object]:
    """Done as it is made: nothing stands against it, and nobody has to decide."""
    is_asked_of_us = work.principal.role != "customer"
    return {
        "id": request,
        "customer_id": person.key,
        "order_id": await order_of(work, person.key),
        "kind": "EXPORT",
        "channel": channel_of(work),
        "received_at": work.now,
        "due_at": due_at(work.now),
        "status": "COMPLETED",
        "decision": "ACCEPTED",
        "handled_by": work.actor if is_asked_of_us else "clock",
        **dict.fromkeys(("decided_at", "executed_at", "completed_at"), work.now),
    }


# ---------------------------------------------------------------- whose copy


async def _person(work: Work) -> Person:
    """Whose copy is asked for, their row locked, so that copies of one person are made one by one."""
    key = await subject_of(work)
    row = await work.row(_hold(), key=key)
    assert row is not None  # noqa: S101  # it was locked before
    in_account = work.principal.role == "customer" and work.principal.scope is not Scope.ONE_ORDER
    return Person(key, row["mailbox"], in_account)


@lru_cache(maxsize=1)
def _hold() -> Sql:
    """A customer who is not erased, locked, with the mailbox that is known to be theirs.

    That of an account is the one that was confirmed: whatever else was typed in since may be a stranger's.
    """
    customer, credential = (SQLModel.metadata.tables[name] for name in ("customer", "credential"))
    has_credential = credential.c.customer_id.is_not(None)
    confirmed = case((credential.c.confirmed_at.is_not(None), credential.c.email))
    query = select(case((has_credential, confirmed), else_=customer.c.email).label("mailbox"))
    query = query.select_from(customer).outerjoin(credential, credential.c.customer_id == customer.c.id)
    query = query.where(customer.c.id == bindparam("key", type_=Uuid()), customer.c.erased_at.is_(None))
    return Sql(*compiled(query.with_for_update(of=customer, key_share=True)))
