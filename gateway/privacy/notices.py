"""Who is told of an erasure: a queue of notices, one for each recipient, with retries and a log.

Whoever was given something of the person, or carried a delivery of theirs, in the `TOLD_DAYS` before, is told
once: a disclosure is written when something is given for the first time, an access record each time. A
carrier may be given more as long as any order of theirs is open: it is told when the last is closed.
A notice holds ids and no value; its text is made when it is sent. One that could not be sent is tried again
each day, so that it goes once somebody has mended where its recipient is reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from ..connections import Transaction
from ..database import Database
from ..mail.letters import erasure_notice
from ..mail.outbox import FIRST_WAIT_SECONDS, Waiting
from ..policy_files.values import Recipient
from ..row_rules.orders import open_order_of
from .office import TOLD_DAYS

# What each recipient was given of the person: deliveries, the customer themselves, or, as an authority, an
# export, which names its disclosure; also long ago, where it has read of them again since. The moment is that
# of the erasure, from which the days are counted back, also where an order is closed later.
_ADD = f"""
WITH reads AS (
    SELECT DISTINCT coalesce(c.name, t.partner) AS recipient
    FROM access_record a
    JOIN partner_token t
      ON a.principal_id = encode(convert_to('PartnerToken:' || t.id::text, 'UTF8'), 'base64')
    LEFT JOIN carrier c ON c.id = t.carrier_id
    WHERE a.subject_ids @> ARRAY[$1::uuid] AND a.decision = 'ALLOWED'
      AND a.at >= $2::timestamptz - $3::interval
), given AS (
    SELECT d.recipient, CASE d.ref_id WHEN d.customer_id THEN 'Customer:' WHEN d.id THEN 'Disclosure:'
                                      ELSE 'Delivery:' END || d.ref_id::text AS ref, d.ref_id
    FROM disclosure d WHERE d.customer_id = $1
      AND (d.at >= $2::timestamptz - $3::interval OR d.recipient IN (SELECT recipient FROM reads))
    UNION
    SELECT c.name, 'Delivery:' || d.id::text, d.id
    FROM delivery d JOIN carrier c ON c.id = d.carrier_id
    WHERE d.customer_id = $1 AND d.status NOT IN ('PLANNED', 'CANCELLED')
      AND coalesce(d.returned_at, d.delivered_at, d.lost_at, d.handed_over_at, d.created_at)
          >= $2::timestamptz - $3::interval
), carries AS (
    SELECT name AS recipient FROM carrier
    UNION SELECT g.recipient FROM given g JOIN delivery d ON d.id = g.ref_id
)
SELECT recipient, array_agg(DISTINCT encode(convert_to(ref, 'UTF8'), 'base64') ORDER BY
       encode(convert_to(ref, 'UTF8'), 'base64')) AS refs
FROM given
WHERE NOT ({open_order_of("$1")} AND recipient IN (SELECT recipient FROM carries))
  AND recipient NOT IN (SELECT recipient FROM erasure_notice WHERE customer_id = $1)
GROUP BY recipient ORDER BY recipient"""  # noqa: S608  # a text of ours
_INSERT = """
INSERT INTO erasure_notice (id, customer_id, request_id, recipient, refs, created_at, next_attempt_at)
VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING"""
_TAKE = """
UPDATE erasure_notice SET attempts = attempts + 1,
       next_attempt_at = $1::timestamptz + least(power(2, least(attempts, 9)), 512) * $2::interval
WHERE id = (SELECT id FROM erasure_notice
            WHERE sent_at IS NULL AND next_attempt_at <= $1
            ORDER BY next_attempt_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, recipient, refs, created_at, attempts"""
_REFERENCES = """
SELECT 'Delivery ' || reference AS reference FROM delivery
WHERE encode(convert_to('Delivery:' || id::text, 'UTF8'), 'base64') = ANY ($1::text[])
  AND customer_id = (SELECT customer_id FROM erasure_notice WHERE id = $2)
ORDER BY reference"""
# A carrier may have another name than on the list of recipients.
_CARRIER = """
SELECT contact_email FROM carrier WHERE name = $1"""
_LOG = """
INSERT INTO erasure_notice_attempt (id, notice_id, attempt, at, outcome) VALUES ($1, $2, $3, $4, $5)"""
_SENT = """
UPDATE erasure_notice SET sent_at = $2 WHERE id = $1 AND sent_at IS NULL RETURNING request_id, recipient"""
_NOTIFIED = """
UPDATE subject_request SET notified = (
    SELECT array_agg(name ORDER BY name) FROM unnest(notified || $2::text) AS name
) WHERE id = $1"""
_FAILED = """
UPDATE erasure_notice SET failed_at = coalesce(failed_at, $2),
       next_attempt_at = $2::timestamptz + $3::interval
WHERE id = $1"""
AGAIN = timedelta(days=1)


async def add_due_notices(
    transaction: Transaction, subject: UUID, request: UUID, erased_at: datetime, now: datetime
) -> int:
    """Adds a notice for each recipient to be told by now who has none, and counts them."""
    found = await transaction.rows(_ADD, (subject, erased_at, timedelta(days=TOLD_DAYS)))
    for row in found:
        values = (uuid7(), subject, request, row["recipient"], row["refs"], now)
        await transaction.row(_INSERT, values)
    return len(found)


@dataclass(frozen=True, slots=True)
class Notices:
    """The queue, as what sends mail asks it; `recipients` say where each is reached."""

    database: Database
    recipients: Mapping[str, Recipient]

    async def take(self, now: datetime) -> Waiting | None:
        """The notice due longest, which no other worker takes until its next attempt is due."""
        async with self.database.transaction(None) as transaction:
            row = await transaction.row(_TAKE, (now, timedelta(seconds=FIRST_WAIT_SECONDS)))
            if row is None:
                return None
            references = await transaction.rows(_REFERENCES, (row["refs"], row["id"]))
            carrier = await transaction.row(_CARRIER, (row["recipient"],))
        known = self.recipients.get(row["recipient"])
        letter = erasure_notice([one["reference"] for one in references], list(row["refs"]))
        # Who is neither on the list nor a carrier has no address: the notice fails, to be seen to.
        listed = "" if known is None else known.contact
        contact = listed or ("" if carrier is None else carrier["contact_email"])
        return Waiting(row["id"], contact, letter.subject, letter.body, row["created_at"], row["attempts"])

    async def forget(self, waiting: Waiting, now: datetime) -> None:
        """Notes that a notice is sent, and with its request who was told."""
        async with self.database.transaction(None) as transaction:
            told = await transaction.row(_SENT, (waiting.key, now))
            if told is not None:
                await transaction.row(_LOG, _attempt(waiting, now, "SENT"))
                await transaction.row(_NOTIFIED, (told["request_id"], told["recipient"]))

    async def put_off(self, waiting: Waiting, now: datetime) -> None:
        """Notes that a notice was not taken, and is tried again."""
        async with self.database.transaction(None) as transaction:
            await transaction.row(_LOG, _attempt(waiting, now, "LATER"))

    async def give_up(self, waiting: Waiting, now: datetime) -> None:
        """Notes that a notice cannot be sent now; it is tried again a day later."""
        async with self.database.transaction(None) as transaction:
            await transaction.row(_LOG, _attempt(waiting, now, "REFUSED"))
            await transaction.row(_FAILED, (waiting.key, now, AGAIN))


def _attempt(waiting: Waiting, now: datetime, outcome: str) -> tuple[object, ...]:
    return uuid7(), waiting.key, waiting.attempts, now, outcome
