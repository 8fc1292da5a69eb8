"""What people ask about their data: asked for, decided, taken back. What was asked is carried out elsewhere.

Privacy officers decide; what nothing stands against is decided by the clock (`gateway.privacy.erasures`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from schema.model import text_of
from schema.states import RequestDecision, SubjectRequestKind, SubjectRequestStatus
from schema.writing import UserErrorCode

from ..mail.letters import (
    Letter,
    erasure_asked,
    request_put_off,
    request_refused,
    request_taken_back,
    restriction_begins,
    restriction_ends,
)
from ..privacy.address import ADDRESS
from ..privacy.dates import due_at, latest_extension
from ..privacy.retained import erased, facts_of, retained
from .checks import Rule, checked, text
from .mistakes import Mistake, Mistakes, Rejected
from .once import Known, New, once
from .post import post
from .rows import Sql
from .sessions import throttled
from .subjects import channel_of, order_of, subject_of
from .work import Outcome, Work

ERASURE, RESTRICTION = (
    str(kind.value) for kind in (SubjectRequestKind.ERASURE, SubjectRequestKind.RESTRICTION)
)
ACCEPTED, REFUSED, LIFTED = (
    str(one.value) for one in (RequestDecision.ACCEPTED, RequestDecision.REFUSED, RequestDecision.LIFTED)
)
RECEIVED, EXECUTED, COMPLETED, WITHDRAWN = (
    str(one.value)
    for one in (
        SubjectRequestStatus.RECEIVED,
        SubjectRequestStatus.EXECUTED,
        SubjectRequestStatus.COMPLETED,
        SubjectRequestStatus.WITHDRAWN,
    )
)
# What is not done yet, and may be decided or taken back.
WAITING = (RECEIVED, ACCEPTED)
COLUMNS = ("kind", "status", "decision", "received_at", "due_at", "extended_to", "customer_id")
REASON: Mapping[str, Rule] = {"reason": text("reason", 2000, required=True, lines=True)}

_PENDING = Sql(
    """
SELECT id FROM subject_request WHERE customer_id = $1 AND kind = $2
AND (status IN ('RECEIVED', 'ACCEPTED') OR kind = 'ERASURE' AND status IN ('EXECUTED', 'COMPLETED')
     OR kind = 'RESTRICTION' AND status = 'COMPLETED' AND decision = 'ACCEPTED')
ORDER BY id DESC LIMIT 1""",
    ("customer", "kind"),
)
_DECIDED = Sql(
    """
UPDATE subject_request SET status = $2, decision = $3, decided_at = $4, handled_by = $5,
       executed_at = CASE WHEN $6 THEN $4 ELSE executed_at END,
       completed_at = CASE WHEN $6 THEN $4 ELSE completed_at END
WHERE id = $1""",
    ("key", "status", "decision", "now", "by", "is_done"),
)
_PUT_OFF = Sql(
    """
UPDATE subject_request SET extended_to = $2, extension_told_at = $3, handled_by = $4 WHERE id = $1""",
    ("key", "extended_to", "now", "by"),
)
# Of a restriction that was in force this is its end, as far as the request says.
_TAKEN_BACK = Sql(
    """
UPDATE subject_request SET status = 'WITHDRAWN',
       completed_at = CASE WHEN executed_at IS NOT NULL THEN $2 ELSE completed_at END
WHERE id = $1""",
    ("key", "now"),
)
_RESTRICT = Sql(
    """
UPDATE customer SET restricted_at = $2, status = $3, version = version + 1
WHERE id = $1 AND erased_at IS NULL RETURNING email""",
    ("customer", "restricted_at", "status"),
)
_STILL_THERE = Sql(
    "SELECT id FROM customer WHERE id = $1 AND erased_at IS NULL FOR NO KEY UPDATE", ("customer",)
)
_ADDRESS = Sql(ADDRESS, ("customer",))


async def request_erasure(work: Work) -> Outcome:
    """A new request with what would stay, and a letter to the person; or the one that is there already."""
    customer = await subject_of(work)
    now, office = work.now, work.tools.office
    facts = await facts_of(work.transaction.rows, customer, now, office)
    kept = retained(facts, office)
    ends = now + office.cooling_off
    given = {"cooling_off_until": ends, "retained": orjson.dumps(kept).decode()}
    key = await _request(work, customer, ERASURE, given, erasure_asked(ends))
    made = {"subjectRequest": key, "customer": customer}
    return Outcome(made, {"erased": erased(facts, kept)})


async def request_restriction(work: Work) -> Outcome:
    """A new request, or the one that is there already: one that is in force is ended once, and by all."""
    customer = await subject_of(work)
    key = await _request(work, customer, RESTRICTION, {}, None)
    return Outcome({"subjectRequest": key, "customer": customer})


async def _request(
    work: Work, customer: uuid.UUID, kind: str, given: Mapping[str, object], letter: Letter | None
) -> uuid.UUID:
    """The request of this kind that is under way, else a new one; the customer's row is locked."""
    work.used.update(("SubjectRequest.kind", "SubjectRequest.receivedAt"))
    # INVARIANT: the row is locked before it is looked, so that of two requests at once one is made.
    if (pending := await work.row(_PENDING, customer=customer, kind=kind)) is not None:
        return uuid.UUID(str(pending["id"]))
    match await once(work, "SubjectRequest"):
        case Known(key):
            return key
        case New(key):
            values: dict[str, object] = {"id": key, "customer_id": customer, "kind": kind, **given}
            values |= {"order_id": await order_of(work, customer), "channel": channel_of(work)}
            values |= {"received_at": work.now, "due_at": due_at(work.now)}
            await work.insert("subject_request", values)
    if letter is not None:
        await _tell(work, customer, letter)
    return key


# ---------------------------------------------------------------- deciding


async def decide_subject_request(work: Work) -> Outcome:
    """What the privacy officer decides, or until when the answer is put off; the person is told why."""
    key = work.key("id", "SubjectRequest")
    row = await work.find("SubjectRequest", key, COLUMNS, tuple(work.write.guards))
    decision, until = work.input.get("decision"), work.input.get("extendedTo")
    if (decision is None) == (until is None):
        name = work.write.root.mutation.input.name
        message = "give a decision, or until when the answer is put off"
        raise Rejected(Mistake(UserErrorCode.REQUIRED, name, message, ()))
    if decision is None:
        await _put_off(work, key, row)
    else:
        await _decide(work, key, row, str(text_of(decision)))
    return Outcome({"subjectRequest": key, "customer": row["customer_id"]})


async def _put_off(work: Work, key: uuid.UUID, row: Any) -> None:
    """Within the first month, to at most two further ones (GDPR Article 12(3))."""
    until, mistakes = work.input["extendedTo"], Mistakes()
    reason = _reason(work, mistakes)
    if not row["due_at"] < until <= latest_extension(row["received_at"]):
        message = "an answer is put off by at most two further months"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, "SubjectRequest.extendedTo", message, "extendedTo")
    mistakes.check()
    if row["status"] not in WAITING or row["extended_to"] is not None or work.now > row["due_at"]:
        raise _illegal(key, row, "an answer is put off once, and within the first month", "extendedTo")
    await work.row(_PUT_OFF, key=key, extended_to=until, by=work.actor)
    await _tell(work, row["customer_id"], request_put_off(until, reason))


async def _decide(work: Work, key: uuid.UUID, row: Any, decision: str) -> None:
    is_restriction, customer = row["kind"] == RESTRICTION, row["customer_id"]
    is_in_force = is_restriction and (row["status"], row["decision"]) == (COMPLETED, ACCEPTED)
    if not (is_in_force if decision == LIFTED else row["status"] in WAITING and row["decision"] != decision):
        raise _illegal(key, row, "the present status does not allow this decision", "decision")
    reason = ""
    if decision == REFUSED:
        mistakes = Mistakes()
        reason = _reason(work, mistakes)
        mistakes.check()
    # A restriction is done by being decided; what else is accepted is done by its own clock.
    is_done = is_restriction and decision == ACCEPTED
    status = {REFUSED: REFUSED, LIFTED: COMPLETED}.get(decision, COMPLETED if is_done else ACCEPTED)
    await work.row(_DECIDED, key=key, status=status, decision=decision, by=work.actor, is_done=is_done)
    if decision == REFUSED:
        await _tell(work, customer, request_refused(reason))
    elif decision == LIFTED:
        await _tell_end(work, customer)
    elif is_restriction:
        await _restrict(work, customer, begins=True)


async def _restrict(work: Work, customer: uuid.UUID, *, begins: bool) -> None:
    """From the commit on, the person and the privacy officer alone see their data, or everybody again."""
    status, at = ("RESTRICTED", work.now) if begins else ("ACTIVE", None)
    row = await work.row(_RESTRICT, customer=customer, restricted_at=at, status=status)
    if row is None:
        raise _erased()
    await work.note("Customer", customer, customer, ["restrictedAt"], work.source)
    await _tell(work, customer, restriction_begins() if begins else restriction_ends())


async def _tell_end(work: Work, customer: uuid.UUID) -> None:
    """A restriction that somebody else ends holds until the person is told (`privacy.restrictions`)."""
    if await work.row(_STILL_THERE, customer=customer) is None:
        raise _erased()
    await work.note("Customer", customer, customer, ["restrictedAt"], work.source)
    await _tell(work, customer, restriction_ends())


def _erased() -> Rejected:
    message = "the customer is erased"
    return Rejected(Mistake(UserErrorCode.INVALID_TRANSITION, "Customer.status", message, ("id",)))


def _reason(work: Work, mistakes: Mistakes) -> str:
    name = work.write.root.mutation.input.name
    found = checked({"reason": work.input.get("reason")}, REASON, name, "", mistakes)
    return str(found.get("reason", ""))


async def _tell(work: Work, customer: uuid.UUID, letter: Letter) -> None:
    row = await work.row(_ADDRESS, customer=customer)
    if row["email"] is not None:
        if work.principal.role == "customer":
            # The address may be somebody else's: who gave it is not to have them mailed again and again.
            await throttled(work, row["email"])
        await post(work, letter, row["email"], customer)


# ---------------------------------------------------------------- taking back


async def withdraw_subject_request(work: Work) -> Outcome:
    """Takes a request back that waits, or a restriction that is in force; what is erased stays erased.

    Where somebody else does it for them, the person is told, of a restriction before it ends.
    """
    key = work.key("id", "SubjectRequest")
    row = await work.find("SubjectRequest", key, COLUMNS)
    customer = row["customer_id"]
    work.used.add("SubjectRequest.status")
    is_in_force = (row["kind"], row["status"], row["decision"]) == (RESTRICTION, COMPLETED, ACCEPTED)
    if row["status"] not in WAITING and not is_in_force:
        raise _illegal(key, row, "the request is done, refused or taken back already", "id")
    await work.row(_TAKEN_BACK, key=key)
    is_own = work.principal.role == "customer"
    if is_in_force and is_own:
        await _restrict(work, customer, begins=False)
    elif is_in_force:
        await _tell_end(work, customer)
    elif not is_own:
        await _tell(work, customer, request_taken_back())
    return Outcome({"subjectRequest": key, "customer": customer})


def _illegal(key: uuid.UUID, row: Any, message: str, *path: str) -> Rejected:
    mistake = Mistake(UserErrorCode.INVALID_TRANSITION, "SubjectRequest.status", message, path)
    return Rejected(mistake, shown={"subjectRequest": key, "customer": row["customer_id"]})
