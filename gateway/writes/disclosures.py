"""What goes to an authority: of one customer's data what is named, in one transaction with its record."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence

from schema.scalars import global_id, write_time
from schema.writing import UserErrorCode

from ..privacy.export import document, field_of, sections, statement
from .checks import Rule, checked, text
from .mistakes import Mistakes
from .once import Known, New, once
from .rows import Sql
from .work import Outcome, Work

RECIPIENT = "Authorities"
CIRCUMSTANCES: Mapping[str, Rule] = {
    "statute": text("statute", 200, required=True),
    "requester": text("requester", 200, required=True),
    "caseNumber": text("case_number", 100, required=True),
}


async def disclose_to_authority(work: Work) -> Outcome:
    """A disclosure and its export; the same request again gives the same disclosure, and what is there now.

    # INVARIANT: no export without its row: both are of one transaction, and answered once it is committed.
    """
    customer, mistakes = work.key("customer", "Customer"), Mistakes()
    circumstances = checked(work.input, CIRCUMSTANCES, "Disclosure", "", mistakes)
    fields = _fields(work, mistakes)
    mistakes.check()
    await work.find("Customer", customer, locks=False, path=("customer",))
    work.used.update(fields)
    match await once(work, "Disclosure"):
        case New(key):
            await work.insert("disclosure", _row(work, key, customer, fields) | circumstances)
        case Known(key):
            pass
    export = await _export(work, key, customer, fields)
    # The export is in no statement's values: it comes from the database, and goes to the caller alone.
    return Outcome({"disclosure": key}, secrets={"export": export})


def _fields(work: Work, mistakes: Mistakes) -> list[str]:
    """The coordinates, sorted, each once; the gate has judged that the caller may read them."""
    coordinate = f"{work.write.root.mutation.input.name}.fields"
    given = work.input["fields"]
    if not given:
        mistakes.add(UserErrorCode.REQUIRED, coordinate, "name at least one field", "fields")
    for place, one in enumerate(given):
        if field_of(work.tools.model, one) is None:
            message = f"`{one}` is no value of one customer's"
            mistakes.add(UserErrorCode.OUT_OF_RANGE, coordinate, message, "fields", str(place))
    return sorted(set(given))


def _row(work: Work, key: uuid.UUID, customer: uuid.UUID, fields: Sequence[str]) -> dict[str, object]:
    return {
        "id": key,
        "customer_id": customer,
        "recipient": RECIPIENT,
        "purpose": work.grants.purpose,
        "at": work.now,
        "fields": fields,
        "fields_digest": hashlib.sha256(",".join(fields).encode()).digest(),
        "ref_id": key,
        "visible_to_subject": work.input.get("visibleToSubject") is True,
        "policy_version": work.tools.policy_version,
        "notice_version": work.tools.notice.version,
        "request_id": work.request_id,
    }


async def _export(work: Work, key: uuid.UUID, customer: uuid.UUID, fields: Sequence[str]) -> str:
    given = sections(work.tools.model, work.grants, work.principal.scope, fields)
    found = await work.row(Sql(*statement(given)), subject=customer)
    header = {
        "disclosure": global_id("Disclosure", key),
        "subject": global_id("Customer", customer),
        "madeAt": write_time(work.now),
    }
    return document(header, fields, found["entities"])
