"""A consent that is taken back by a link: whose the link is, and the one transaction of the withdrawal.

A link's token is drawn at random for each customer and kept in their row (`customer.unsubscribe_token`): no
key makes it, so that none that changes ends it, and it holds nothing of whom it is for. Of an erased customer
its digest is kept.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime

from uuid_utils.compat import uuid7

from schema.scalars import global_id
from schema.states import ChangeSource

from ..database import Database
from ..policy_files.values import Notice
from ..privacy.spent_token import spent

# 256 bits as URL-safe text; what has another form was never given to anybody.
_FORM = re.compile(r"[A-Za-z0-9_-]{43}")
_FIND = """
SELECT id, marketing_consent AND erased_at IS NULL AS consents FROM customer
WHERE unsubscribe_token = ANY (ARRAY[$1, $2])"""
# Of several at once the first changes the row; the others wait for it, and find nothing left to change.
_CHANGE = """
UPDATE customer SET version = version + 1
WHERE id = $1 AND marketing_consent AND erased_at IS NULL RETURNING id"""
# The newest decision counts, and another worker's clock may be ahead of ours.
_WITHDRAW = """
INSERT INTO consent_event (id, customer_id, purpose, state, at, source, notice_version, text_digest, actor)
SELECT $1, $2, 'NEWSLETTER', 'WITHDRAWN', greatest($3, max(at) + interval '1 microsecond'), $4, $5, $6, $7
FROM consent_event WHERE customer_id = $2"""
_NOTE = """
INSERT INTO change (id, customer_id, entity, entity_id, field, at, source, actor)
VALUES ($1, $2, 'Customer', $2, 'marketingConsent', $3, $4, $5)"""
SOURCE = str(ChangeSource.UNSUBSCRIBE_LINK.value)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Whose a link is, and whether there is a consent to take back."""

    key: uuid.UUID
    consents: bool


@dataclass(frozen=True, slots=True)
class Nobody:
    """A link that was given to nobody."""


async def subscriber(database: Database, token: str) -> Subscriber | Nobody:
    """Whose link a token makes; an erased customer's is one still, with nothing to take back."""
    if _FORM.fullmatch(token) is None:
        return Nobody()
    row = await database.fetch(None, _FIND, (token, spent(token)))
    return Nobody() if row is None else Subscriber(row["id"], row["consents"])


async def withdraw(database: Database, one: Subscriber, notice: Notice, now: datetime) -> None:
    """Adds the withdrawal to the history of consents, with its provenance; nothing where there is no consent.

    It is no activity of the customer's: a mail program may have pressed the button for them.
    """
    if not one.consents:
        return
    actor = global_id("Customer", one.key)
    told = (notice.version, notice.digest, actor)
    async with database.transaction(None) as transaction:
        if await transaction.row(_CHANGE, (one.key,)) is None:
            return
        await transaction.row(_WITHDRAW, (uuid7(), one.key, now, SOURCE, *told))
        await transaction.row(_NOTE, (uuid7(), one.key, now, SOURCE, actor))
