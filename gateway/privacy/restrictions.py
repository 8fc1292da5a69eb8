"""The clock of restrictions: one that was lifted ends when its person is told (GDPR Article 18(3)).

The decision leaves a letter in the table `mail`. As long as that is there, unsent or refused, the restriction
holds. Where no mail server is set nobody sends it: then it holds a day from the letter on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ..database import Database
from .office import Office

UNSENT = timedelta(days=1)
# The request that began the restriction in force has ended, no other holds, and the letter is gone; $1 is the
# moment from which on a letter counts.
_IS_LIFTED = """
r.kind = 'RESTRICTION' AND r.customer_id = c.id AND r.executed_at >= c.restricted_at
AND (r.decision = 'LIFTED' OR r.status = 'WITHDRAWN')
AND NOT EXISTS (SELECT FROM subject_request f WHERE f.customer_id = c.id AND f.kind = 'RESTRICTION'
                AND f.status = 'COMPLETED' AND f.decision = 'ACCEPTED')
AND NOT EXISTS (SELECT FROM mail m WHERE m.customer_id = c.id AND m.kind = 'restriction-ends'
                AND ($1::timestamptz IS NULL OR m.created_at > $1))"""
_FOUND = f"""
SELECT DISTINCT c.id FROM subject_request r JOIN customer c ON c.id = r.customer_id
WHERE {_IS_LIFTED} ORDER BY c.id"""  # noqa: S608  # text of ours
_HOLD = """
SELECT id FROM customer WHERE id = $1 FOR NO KEY UPDATE"""
_LIFT = f"""
UPDATE customer c SET restricted_at = NULL, status = 'ACTIVE', version = version + 1
WHERE c.id = $2 AND c.erased_at IS NULL AND EXISTS (SELECT FROM subject_request r WHERE {_IS_LIFTED})
RETURNING c.id"""  # noqa: S608  # text of ours


@dataclass(frozen=True, slots=True)
class Restrictions:
    """The restrictions of a database."""

    database: Database
    office: Office

    async def lift(self, now: datetime) -> int:
        """Ends those whose person is told, each in a transaction of its own, and counts them."""
        since = now - UNSENT if self.office.settings.smtp_url is None else None
        async with self.database.transaction(None) as transaction:
            found = await transaction.rows(_FOUND, (since,))
        lifted = 0
        for row in found:
            lifted += await self._lift(row["id"], since)
        return lifted

    async def _lift(self, subject: UUID, since: datetime | None) -> bool:
        async with self.database.transaction(None) as transaction:
            # INVARIANT: what is decided at the same moment is seen, as the row is held before it is looked.
            await transaction.row(_HOLD, (subject,))
            return await transaction.row(_LIFT, (since, subject)) is not None
