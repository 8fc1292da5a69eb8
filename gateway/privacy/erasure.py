"""The erasure of one person: every step in one transaction, so that it is done once and whole or not at all.

Takes a transaction and whose data goes. Does each step again without harm: what is left to do is found in the
rows. What an open order needs stays until `clear` finds the order closed.

# INVARIANT: the customer's row is locked first, then their orders, as in every change of what is theirs: an
# order that is placed at the same moment is there before, and is cleared, or is refused after. Until the end
# that lock is one under which rows may be added (NO KEY), so that nobody who holds an order waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from schema.scalars import global_id

from ..connections import Transaction
from ..mail.letters import erasure_done
from ..row_rules import Scope
from ..row_rules.orders import is_in_open
from ..row_rules.parts import Condition
from ..statements.bound import compiled
from .address import ADDRESS
from .holds import is_held
from .notices import add_due_notices
from .office import Office
from .retained import facts_of, retained
from .spent_token import SPENT
from .treatment import PARENTS, REGISTER, Goes, going

HOLD_CUSTOMER = """
SELECT id, email, erased_at FROM customer WHERE id = $1 FOR NO KEY UPDATE"""
_HOLD_ORDERS = """
SELECT id FROM orders WHERE customer_id = $1 ORDER BY id FOR NO KEY UPDATE"""
_HOLD_REQUEST = """
SELECT status FROM subject_request WHERE id = $1 AND kind = 'ERASURE' FOR UPDATE"""
# A request `r` that the clock may carry out at $1, on the day $2: its cooling-off is over, and it was
# accepted or nothing stands against it. What was put off, or is to be restricted, somebody decides.
IS_DUE = """(r.cooling_off_until <= $1 AND (r.status = 'ACCEPTED' OR (
    r.status = 'RECEIVED' AND r.extended_to IS NULL AND c.restricted_at IS NULL AND NOT EXISTS (
        SELECT FROM legal_hold h
        WHERE h.customer_id = r.customer_id AND h.released_at IS NULL AND h.until >= $2)
    AND NOT EXISTS (
        SELECT FROM subject_request s
        WHERE s.customer_id = r.customer_id AND s.kind = 'RESTRICTION' AND s.status = 'RECEIVED'))))"""
_STILL_DUE = f"""
SELECT r.id FROM subject_request r JOIN customer c ON c.id = r.customer_id
WHERE r.id = $3 AND {IS_DUE}"""  # noqa: S608  # a text of ours
# INVARIANT: it changes a unique column, and so waits for sessions that are being inserted: the notice that
# the customer is erased (migration 0008) names each of them.
_TOMBSTONE = f"""
UPDATE customer c SET unsubscribe_token = {SPENT.format(row="c")}, status = 'ERASED', erased_at = $2,
       restricted_at = NULL
WHERE c.id = $1"""  # noqa: S608  # a text of ours
# There is nothing to restrict any more.
_POINTLESS = """
UPDATE subject_request SET status = 'WITHDRAWN'
WHERE customer_id = $1 AND kind = 'RESTRICTION' AND status IN ('RECEIVED', 'ACCEPTED')"""
_PROOF = """
INSERT INTO consent_proof (customer_id, address_digest, made_at)
SELECT $1, $2, $3 WHERE EXISTS (SELECT FROM consent_event e WHERE e.customer_id = $1)
ON CONFLICT DO NOTHING"""
_WITHDRAWAL = """
INSERT INTO consent_event
    (id, customer_id, purpose, state, at, source, notice_version, text_digest, actor)
SELECT $2, $1, 'NEWSLETTER', 'WITHDRAWN', greatest($3, max(e.at) + interval '1 microsecond'), 'CUSTOMER',
       $4, $5, $6
FROM consent_event e JOIN customer c ON c.id = e.customer_id
WHERE e.customer_id = $1 AND c.marketing_consent HAVING count(*) > 0"""
# Once they are gone nobody signs in any more.
_CREDENTIAL = """
DELETE FROM credential WHERE customer_id = $1"""
_ROWS = (
    "DELETE FROM session WHERE customer_id = $1",
    "DELETE FROM one_time_link WHERE customer_id = $1",
    "DELETE FROM mail WHERE customer_id = $1 AND kind <> 'erasure-done'",
    "DELETE FROM export_document WHERE customer_id = $1",
    "DELETE FROM retention_warning WHERE customer_id = $1",
)
# The holder of one order's token is a principal of its own: `<customer> <order>`.
_KEYS = """
DELETE FROM idempotency WHERE principal = $1 OR (principal >= $1 || ' ' AND principal < $1 || '!')"""
_MAIL = """
INSERT INTO mail (id, customer_id, kind, recipient, subject, body, created_at, next_attempt_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7)"""
_LEDGER = """
INSERT INTO erasure (id, customer_id, request_id, at, replayed) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING id"""
_EXECUTED = """
UPDATE subject_request SET status = 'EXECUTED', executed_at = $2, retained = $3,
       decision = 'ACCEPTED', decided_at = coalesce(decided_at, $2), handled_by = coalesce(handled_by, $4)
WHERE id = $1"""

NUMBER = "Customer.number"
CLOCK = "clock"
WAITING = frozenset({"RECEIVED", "ACCEPTED"})


@dataclass(frozen=True, slots=True)
class Ordered:
    """Which erasure is to be done, and how: `by` decided, where nobody had.

    One that is `replayed` was done before, at `done_at`; where the person and the recipients were told of it
    (`is_told`), they are not told once more.
    """

    request: UUID
    customer: UUID
    by: str = CLOCK
    replayed: bool = False
    done_at: datetime | None = None
    is_told: bool = False


async def erase(transaction: Transaction, ordered: Ordered, now: datetime, office: Office) -> bool:
    """Whether it was done just now: not where it is done already, or was taken back meanwhile."""
    customer = await transaction.row(HOLD_CUSTOMER, (ordered.customer,))
    request = await transaction.row(_HOLD_REQUEST, (ordered.request,))
    if customer is None or request is None or customer["erased_at"] is not None:
        return False
    if not (ordered.replayed or await _may_be_done(transaction, ordered, request["status"], now)):
        return False
    subject = ordered.customer
    await transaction.rows(_HOLD_ORDERS, (subject,))
    facts = await facts_of(transaction.rows, subject, now, office)
    kept = retained(facts, office)
    address = (await transaction.row(ADDRESS, (subject,)))["email"]
    await _prove_consent(transaction, subject, customer["email"], now, office)
    await transaction.row(_CREDENTIAL, (subject,))
    await clear(transaction, subject, now)
    await transaction.row(_TOMBSTONE, (subject, now))
    await transaction.row(_POINTLESS, (subject,))
    # Whoever knows a session has heard of the erasure by the tombstone.
    await delete_rows(transaction, subject)
    await transaction.row(_EXECUTED, (ordered.request, now, orjson.dumps(kept).decode(), ordered.by))
    done_at = ordered.done_at or now
    await transaction.row(_LEDGER, (uuid7(), subject, ordered.request, done_at, ordered.is_told))
    if not ordered.is_told:
        await add_due_notices(transaction, subject, ordered.request, done_at, now)
        if address is not None:
            await _confirm(transaction, subject, str(address), kept, now)
    return True


async def _may_be_done(transaction: Transaction, ordered: Ordered, status: str, now: datetime) -> bool:
    """Whether the request still waits; what the clock decided is looked at again, now that nothing moves."""
    if status not in WAITING or ordered.by != CLOCK:
        return status in WAITING
    return await transaction.row(_STILL_DUE, (now, now.date(), ordered.request)) is not None


async def delete_rows(transaction: Transaction, subject: UUID) -> None:
    """Deletes what goes as whole rows; what was added at the same moment goes when this is done again."""
    for text in _ROWS:
        await transaction.row(text, (subject,))
    await transaction.row(_KEYS, (global_id("Customer", subject),))


async def _prove_consent(
    transaction: Transaction, subject: UUID, email: str | None, now: datetime, office: Office
) -> None:
    """Keeps whose consents they were as a digest; whoever goes has withdrawn the newsletter's too."""
    if email is not None:
        await transaction.row(_PROOF, (subject, office.proof_of(email), now))
    notice, actor = office.notice, global_id("Customer", subject)
    await transaction.row(_WITHDRAWAL, (subject, uuid7(), now, notice.version, notice.digest, actor))


async def _confirm(
    transaction: Transaction, subject: UUID, email: str, kept: list[dict[str, object]], now: datetime
) -> None:
    """The message to the person: the last place where the address stands, until it is sent."""
    letter = erasure_done(kept)
    values = (uuid7(), subject, letter.kind, email, letter.subject, letter.body, now)
    await transaction.row(_MAIL, values)


async def clear(transaction: Transaction, subject: UUID, now: datetime) -> int:
    """Empties what of the person's rows is to go by now, and counts the rows that were changed."""
    changed = 0
    for table in REGISTER:
        if any(one.table == table for one in going()):
            text, names = _emptied(table)
            values = {"subject": subject, "today": now.date()}
            changed += len(await transaction.rows(text, [values[name] for name in names]))
    return changed


@cache
def _emptied(name: str) -> tuple[str, tuple[str, ...]]:
    """Empties the columns of a person's rows in one table, but what is held or an open order needs."""
    table = SQLModel.metadata.tables[name]
    columns = [one for one in going() if one.table == name]
    stays = {one.column: _stays(one) for one in columns}
    values: dict[str, Any] = {
        one.column: case((stays[one.column], table.c[one.column]), else_=null()) for one in columns
    }
    if "version" in table.c:
        values["version"] = table.c.version + literal_column("1")
    filled = [and_(table.c[one.column].is_not(None), stays[one.column].is_not(True)) for one in columns]
    if name == "customer":
        is_held_number, nobodys = is_held(table, name, NUMBER), tombstone_number(table)
        values["number"] = case((is_held_number, table.c.number), else_=nobodys)
        filled.append(and_(table.c.number != nobodys, is_held_number.is_not(True)))
    query = update(table).values(values).where(*_is_of_subject(name), or_(*filled))
    return compiled(query.returning(table.c.id))


def tombstone_number(customer: FromClause) -> ColumnElement[str]:
    """The number of a customer of whom nothing is left: their random id, as a number may not be empty."""
    number: ColumnElement[str] = literal_column("'E-'", Text()) + cast(customer.c.id, Text())
    return number


def _is_of_subject(name: str) -> list[Condition]:
    """Whether a row is about the person; what has no index by customer is found through what it is of."""
    table, subject = SQLModel.metadata.tables[name], bindparam("subject", type_=Uuid())
    if name == "customer":
        return [table.c.id == subject]
    if name not in PARENTS:
        return [table.c.customer_id == subject]
    parent = SQLModel.metadata.tables[PARENTS[name][0]]
    ids = select(parent.c.id).where(parent.c.customer_id == subject).scalar_subquery()
    return [table.c[PARENTS[name][1]] == func.any(func.array(ids)), table.c.customer_id == subject]


def _stays(one: Goes) -> Condition:
    table = SQLModel.metadata.tables[one.table]
    held = is_held(table, one.table, one.coordinate)
    if not one.is_needed:
        return held
    return or_(held, *is_in_open(table, one.table, Scope.ACCOUNT))
