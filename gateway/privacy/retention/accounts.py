"""The steps about whole accounts: the warning before the end, the end, and the end of consents.

An account is over so long after its last activity, and never without a warning before. One whose orders are
open, that is restricted, or whose person asked something that is not done yet, is left alone. A letter that
has not left warns nobody, and is written anew; but no mail server's refusals keep an account for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    text,
)
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from ...mail.letters import account_ending
from ...mail.outbox import ACCOUNT_ENDING, OWED
from ...row_rules.orders import open_order_of
from ..erasure import tombstone_number
from ..holds import is_held
from ..kept_until import kept_until
from ..spent_token import SPENT
from .columns import due_fields, emptying, note_emptied
from .handling import cleared
from .steps import ACTOR, SOURCE, Batch, Step, found, found_by, going, locked, note, sql

# The rows of a customer `c`, seen from a statement about them.
OPEN_REQUEST = """EXISTS (SELECT FROM subject_request s WHERE s.customer_id = c.id
    AND s.status IN ('RECEIVED', 'ACCEPTED', 'EXECUTED'))"""
_AT_REST = f"c.restricted_at IS NULL AND NOT {OPEN_REQUEST} AND NOT {open_order_of('c.id')}"
# A letter `m` that was tried, in vain, and whose account has been over for so long that it waits no more.
_IN_VAIN = "(m.attempts > 0 AND c.last_active_at < :waits_before)"
# A warning that was followed by an activity is void; whose mailbox refused the letter has left no address.
_WARNED = f"""(EXISTS (SELECT FROM retention_warning w WHERE w.customer_id = c.id
        AND w.warned_at >= c.last_active_at AND w.warned_at < :warned_before)
    AND NOT EXISTS (SELECT FROM mail m WHERE m.customer_id = c.id AND {OWED} AND NOT {_IN_VAIN}))"""
ACCOUNT_OVER = f"""(c.erased_at IS NULL AND c.last_active_at < :account_before
    AND (NOT CAST(:warns AS boolean) OR {_WARNED}) AND {_AT_REST})"""
_ERASED_AT_REST = f"(c.erased_at IS NOT NULL AND {_AT_REST})"

# ---------------------------------------------------------------- the warning

# The day that it tells is no longer so long from now as the person is to have.
_LATE = f"""EXISTS (SELECT FROM mail m WHERE m.customer_id = c.id AND {OWED} AND NOT {_IN_VAIN}
    AND (m.failed_at IS NOT NULL OR m.created_at < CAST(:now AS timestamptz) - interval '1 day'))"""
_SOON = f"""
SELECT c.id, c.email, c.last_active_at, ARRAY['warned_at'] AS fields FROM customer c
WHERE CAST(:warns AS boolean) AND c.erased_at IS NULL
  AND c.last_active_at < :warn_before AND {_AT_REST}
  AND (NOT EXISTS (SELECT FROM retention_warning w WHERE w.customer_id = c.id
                   AND w.warned_at >= c.last_active_at) OR {_LATE})"""
_LETTERS = f"mail WHERE customer_id = ANY (:ids) AND kind = '{ACCOUNT_ENDING}'"
_REPLACED = sql(f"DELETE FROM {_LETTERS}")
_WARN = sql("""
INSERT INTO retention_warning (customer_id, warned_at) SELECT unnest(CAST(:ids AS uuid[])), :now
ON CONFLICT (customer_id) DO UPDATE SET warned_at = excluded.warned_at""")
_MAIL = sql("""
INSERT INTO mail (id, customer_id, kind, recipient, subject, body, created_at, next_attempt_at)
SELECT m.id, m.customer, CAST(:kind AS text), m.recipient, CAST(:subject AS text), m.body, :now, :now
FROM unnest(CAST(:mails AS uuid[]), CAST(:customers AS uuid[]), CAST(:recipients AS text[]),
            CAST(:bodies AS text[])) AS m(id, customer, recipient, body)""")


def warning_step(public_url: str) -> Step:
    """Tells a customer when their data goes; who left no address has the same time.

    Whom the letter did not leave for within a day, or for whom it was given up, is warned anew, and has the
    whole time from then; no more once it was tried and the account has been over for `WAITS`.
    """

    async def apply(batch: Batch) -> None:
        await batch.do(_WARN)
        await batch.do(_REPLACED)
        letters = [(row, _letter(batch, row, public_url)) for row in batch.rows if row["email"] is not None]
        if letters:
            await batch.do(
                _MAIL,
                kind=letters[0][1].kind,
                subject=letters[0][1].subject,
                mails=[uuid7() for _ in letters],
                customers=[row["id"] for row, _ in letters],
                recipients=[row["email"] for row, _ in letters],
                bodies=[letter.body for _, letter in letters],
            )

    find, again = found(_SOON, "c")
    also = (("mail", going(_LETTERS)),)
    return Step(
        "R-ACCOUNT", "warnings", "retention_warning", find, locked("customer"), again, apply, also=also
    )


def _letter(batch: Batch, row: Any, public_url: str) -> Any:
    day = batch.day
    rule = day.rules["R-ACCOUNT"]
    last = kept_until(rule, row["last_active_at"], day.years)
    if rule.warned is not None:
        last = max(last, rule.warned.after(day.day))
    return account_ending(public_url, last)


# ---------------------------------------------------------------- the end

_GOES = ("session", "mail", "export_document")
# Rows whose key is made of a secret are told by their customer.
_KEYLESS = ("credential", "one_time_link", "retention_warning")
_GONE = tuple(sql(f"DELETE FROM {name} WHERE customer_id = ANY (:ids)") for name in (*_GOES, *_KEYLESS))
_CHANGES = sql(f"DELETE FROM change WHERE customer_id = ANY (:ids) AND source <> '{SOURCE}'")
_ALSO = (
    *((name, going(f"{name} WHERE customer_id = ANY (:ids)")) for name in _GOES),
    *((name, going(f"{name} WHERE customer_id = ANY (:ids)", "customer_id")) for name in _KEYLESS),
)
_PROVE = sql("""
INSERT INTO consent_proof (customer_id, address_digest, made_at)
SELECT p.id, p.digest, :now FROM unnest(CAST(:provers AS uuid[]), CAST(:digests AS bytea[])) AS p(id, digest)
WHERE EXISTS (SELECT FROM consent_event e WHERE e.customer_id = p.id)
ON CONFLICT DO NOTHING""")
# Whoever goes gets no more letters; the trigger keeps `marketing_consent`.
_WITHDRAW = sql(f"""
INSERT INTO consent_event (id, customer_id, purpose, state, at, source, notice_version, text_digest, actor)
SELECT gen_random_uuid(), c.id, 'NEWSLETTER', 'WITHDRAWN', greatest(:now, e.at + interval '1 microsecond'),
       '{SOURCE}', e.notice_version, e.text_digest, '{ACTOR}'
FROM customer c CROSS JOIN LATERAL (
    SELECT * FROM consent_event e WHERE e.customer_id = c.id AND e.purpose = 'NEWSLETTER'
    ORDER BY e.at DESC, e.id DESC LIMIT 1) e
WHERE c.id = ANY (:ids) AND c.marketing_consent""")


def account_step() -> Step:
    """Empties accounts that are over, and what holds or open orders had left of those that were erased."""
    columns = cleared("customer", "R-ACCOUNT")
    row: Any = SQLModel.metadata.tables["customer"].alias("c")
    fields, due = due_fields(row, "customer", dict.fromkeys(columns, "NULL"))
    over, erased, replaced = text(ACCOUNT_OVER), text(_ERASED_AT_REST), _replaced(row)
    fields = _with_the_rest(fields, replaced)
    query = select(row.c.id, row.c.email, row.c.erased_at, fields.label("fields")).where(
        or_(over, and_(erased, or_(due, replaced["number"])))
    )
    find, again = found_by(query, row.c.id)
    emptied = emptying("customer", dict.fromkeys(columns, "NULL"), _END)

    async def apply(batch: Batch) -> None:
        await _prove(batch)
        await batch.do(_WITHDRAW)
        await batch.do(emptied, fields=[",".join(one["fields"]) for one in batch.rows])
        for statement in (*_GONE, _CHANGES):
            await batch.do(statement)
        await note_emptied(batch, "customer")

    return Step("R-ACCOUNT", "accounts", "customer", find, locked("customer"), again, apply, also=_ALSO)


# Of one that was erased before, number and token mean nothing already.
_END = f""", number = CASE WHEN 'number' = ANY (string_to_array(due.fields, ','))
        THEN 'E-' || r.id::text ELSE r.number END,
    unsubscribe_token = CASE WHEN r.erased_at IS NOT NULL THEN r.unsubscribe_token
        ELSE {SPENT.format(row="r")} END,
    status = 'ERASED', erased_at = coalesce(r.erased_at, :now)"""


def _replaced(row: FromClause) -> dict[str, ColumnElement[bool]]:
    """Which columns are replaced: where the account ends now, and the number as soon as no hold keeps it."""
    ends = row.c.erased_at.is_(None)
    is_held_number = is_held(row, "customer", "Customer.number")
    return {
        "number": and_(row.c.number != tombstone_number(row), ~is_held_number),
        "marketing_consent": and_(ends, row.c.marketing_consent),
        **dict.fromkeys(("unsubscribe_token", "status", "erased_at"), ends),
    }


def _with_the_rest(fields: Any, replaced: Mapping[str, ColumnElement[bool]]) -> Any:
    """The columns that are emptied, and those that are replaced."""
    for column, changes in replaced.items():
        name = literal_column(f"'{column}'", Text())
        fields = case((changes, func.array_append(fields, name)), else_=fields)
    return fields


async def _prove(batch: Batch) -> None:
    """Keeps whose consents they were as a keyed digest of the address."""
    proof_of = batch.day.proof_of
    assert proof_of is not None  # noqa: S101  # a run has the key
    known = [row for row in batch.rows if row["email"] is not None]
    provers: list[UUID] = [row["id"] for row in known]
    await batch.do(_PROVE, provers=provers, digests=[proof_of(row["email"]) for row in known])


# ---------------------------------------------------------------- consents

_HELD = """EXISTS (SELECT FROM legal_hold h WHERE h.customer_id = c.id AND h.released_at IS NULL
    AND h.until >= :today AND EXISTS (SELECT FROM unnest(h.fields) f WHERE f LIKE 'ConsentEvent.%'
        OR f IN ('Customer.consents', 'Customer.marketingConsent')))"""
_CONSENTS = f"""
SELECT c.id, ARRAY[]::text[] AS fields FROM customer c CROSS JOIN LATERAL (
    SELECT e.state, e.at FROM consent_event e WHERE e.customer_id = c.id AND e.purpose = 'NEWSLETTER'
    ORDER BY e.at DESC, e.id DESC LIMIT 1) newest
WHERE CASE WHEN newest.state = 'GIVEN' THEN c.erased_at ELSE newest.at END < :before
  AND c.restricted_at IS NULL AND NOT {_HELD}"""


def consent_step() -> Step:
    """Deletes a history so long after the consent ended, and the proof of whose it was."""
    gone = [
        sql(f"DELETE FROM {name} WHERE customer_id = ANY (:ids)")
        for name in ("consent_event", "consent_proof")
    ]
    also = (
        ("consent_event", going("consent_event WHERE customer_id = ANY (:ids)")),
        ("consent_proof", going("consent_proof WHERE customer_id = ANY (:ids)", "customer_id")),
    )

    async def apply(batch: Batch) -> None:
        for statement in gone:
            await batch.do(statement)
        await note(batch, "Customer", [(key, key, "consents") for key in batch.ids])

    find, again = found(_CONSENTS, "c")
    return Step("R-CONSENT", "consents", "customer", find, locked("customer"), again, apply, also=also)
