"""The tokens of one order: each is of a session of its own, so that it ends like any other."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from .session_rows import find_session, insert_order_session
from .work import Work


async def new_order_token(
    work: Work, customer: uuid.UUID, order: uuid.UUID, session: uuid.UUID, *, wanted: bool = True
) -> str:
    """A token that acts as the customer for this order alone, of a new session with this id.

    Where it is not `wanted`, the same is done, no session is kept, and the token is good for nothing.
    """
    expires = work.now + timedelta(days=work.tools.settings.order_token_days)
    await work.row(
        insert_order_session(),
        wanted=wanted,
        id=session,
        customer_id=customer,
        order_id=order,
        created_at=work.now,
        last_refreshed_at=work.now,
        expires_at=expires,
    )
    return _signed(work, customer, order, session, expires)


async def order_token_again(
    work: Work, customer: uuid.UUID, order: uuid.UUID, session: uuid.UUID
) -> str | None:
    """Another token of the session of an order, ending with it; None where it has ended."""
    row = await work.row(find_session(), id=session)
    return None if row is None else _signed(work, customer, order, session, row["expires_at"])


def _signed(work: Work, customer: uuid.UUID, order: uuid.UUID, session: uuid.UUID, expires: datetime) -> str:
    settings, lifetime = work.tools.settings, expires - work.now
    ids = {"order_id": order, "session_id": session}
    return work.tools.key.sign("customer", customer, settings, now=work.now, lifetime=lifetime, **ids)
