"""One-time links in mails: made, kept as hashes, and sent to whom they are to prove something."""

from __future__ import annotations

import uuid
from datetime import timedelta

from schema.credentials import LinkKind

from ..mail.letters import email_confirmation
from ..principal.opaque_tokens import LINK_PREFIX, new_opaque_token, opaque_token_hash
from .once import is_first
from .post import post
from .session_rows import insert_link
from .work import Work


async def new_link(
    work: Work,
    customer: uuid.UUID,
    kind: LinkKind,
    email: str,
    lifetime: timedelta,
    *,
    wanted: bool = True,
) -> str:
    """The token of a new link; its hash is kept where it is `wanted`."""
    token = new_opaque_token(LINK_PREFIX)
    await work.row(
        insert_link(),
        wanted=wanted,
        hash=opaque_token_hash(token),
        customer_id=customer,
        kind=kind.value,
        email=email,
        created_at=work.now,
        expires_at=work.now + lifetime,
    )
    return token


async def ask_to_confirm(work: Work, customer: uuid.UUID, email: str) -> None:
    """Mails a link that makes an address the one the customer signs in with."""
    settings = work.tools.settings
    lifetime = timedelta(hours=settings.confirmation_hours)
    token = await new_link(work, customer, LinkKind.CONFIRM_EMAIL, email, lifetime)
    letter = email_confirmation(settings.public_url, token, settings.confirmation_hours)
    await post(work, letter, email, customer)


async def ask_again_to_confirm(work: Work, customer: uuid.UUID, email: str) -> None:
    """Mails such a link once more, at most one in a few minutes, to whoever has proved to have registered.

    Earlier links stay good: whichever is used first makes the others good for nothing.
    """
    period = timedelta(minutes=work.tools.settings.password_reset_again_minutes)
    if await is_first(work, "Customer", customer, ("confirm", str(customer), email), period):
        await ask_to_confirm(work, customer, email)
