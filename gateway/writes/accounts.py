"""A customer's address and password: confirmed, forgotten, changed. What is proved by mail is good once."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from uuid6 import uuid7

from schema import formats
from schema.credentials import LinkKind, SessionEnd
from schema.writing import UserErrorCode

from ..database import DatabaseDuplicate
from ..mail.letters import address_changing, email_confirmation, password_changed, password_reset
from ..principal.opaque_tokens import LINK_PREFIX, is_opaque_token, new_opaque_token, opaque_token_hash
from ..row_rules import Scope
from .mistakes import Mistakes
from .once import is_first
from .passwords import hashed, is_password
from .post import post
from .session_rows import (
    confirm_address,
    find_confirmed,
    find_credential,
    hold_credential_of_link,
    insert_link,
    set_password,
    use_link,
    void_links,
)
from .sessions import SessionKeys, end, refused, spelled, throttled
from .work import Outcome, Work

CONFIRMED_ONCE = "credential_confirmed_once"


async def confirm_email(work: Work) -> Outcome:
    """Confirms the address that a link was mailed to.

    Where another customer has confirmed the address before, nothing is done, and nothing is joined.
    """
    await throttled(work)
    held, email = await _proved(work, LinkKind.CONFIRM_EMAIL)
    customer = held["customer_id"]
    try:
        await work.row(confirm_address(), customer_id=customer, set_email=email)
    except DatabaseDuplicate as duplicate:
        if duplicate.constraint != CONFIRMED_ONCE:
            raise
        raise refused(work) from duplicate
    await work.row(void_links(), customer_id=customer)
    return Outcome(extras={"confirmed": True})


async def request_password_reset(work: Work) -> Outcome:
    """Mails a link to the address, where it is confirmed; at most one in a few minutes.

    # INVARIANT: the same steps are made and the same answer is given whether the address is known or not:
    # a row is kept of what was asked (no value), a token is made, and the same inserts run.
    """
    settings, email = work.tools.settings, spelled(str(work.input["email"]))
    await throttled(work, email)
    known = await work.row(find_confirmed(), email=email)
    customer = uuid7() if known is None else known["customer_id"]
    period = timedelta(minutes=settings.password_reset_again_minutes)
    first = await is_first(work, "Customer", customer, (email,), period)
    wanted = known is not None and first
    lifetime = timedelta(minutes=settings.password_reset_minutes)
    token = await _link(work, customer, LinkKind.RESET_PASSWORD, email, lifetime, wanted=wanted)
    letter = password_reset(settings.public_url, token, settings.password_reset_minutes)
    await post(work, letter, email, customer, wanted=wanted)
    return Outcome(extras={"accepted": True})


async def reset_password(work: Work) -> Outcome:
    """Sets a new password for whoever reads the mail of the confirmed address; every session ends."""
    password = _new_password(work, "password")
    await throttled(work)
    digest = await hashed(password)
    held, email = await _proved(work, LinkKind.RESET_PASSWORD)
    if held["confirmed_at"] is None or held["email"] != email:
        raise refused(work)
    ended = await _set_password(work, held, digest, None)
    return Outcome(extras={"changed": True}, changed_principals=ended)


async def change_password(work: Work) -> Outcome:
    """Sets a new password for whoever knows the present one; every other session ends."""
    caller, password = work.principal, _new_password(work, "newPassword")
    if caller.customer_id is None or caller.scope is not Scope.ACCOUNT:
        raise refused(work)
    await throttled(work, str(caller.customer_id))
    known = await work.look(find_credential(locks=False), customer_id=caller.customer_id)
    kept = None if known is None else known["password_hash"]
    if not await is_password(str(work.input["currentPassword"]), kept):
        raise refused(work)
    digest = await hashed(password)
    held = await work.row(find_credential(locks=True), customer_id=caller.customer_id)
    if held is None or held["password_hash"] != kept:
        raise refused(work)
    ended = await _set_password(work, held, digest, caller.session_id)
    return Outcome(extras={"changed": True}, changed_principals=ended)


async def ask_to_confirm(work: Work, customer: uuid.UUID, email: str) -> None:
    """Mails a link that makes an address the one the customer signs in with."""
    settings = work.tools.settings
    lifetime = timedelta(hours=settings.confirmation_hours)
    token = await _link(work, customer, LinkKind.CONFIRM_EMAIL, email, lifetime)
    letter = email_confirmation(settings.public_url, token, settings.confirmation_hours)
    await post(work, letter, email, customer)


async def address_changed(work: Work, customer: uuid.UUID, email: str) -> None:
    """Asks a customer with credentials to confirm the address they gave; links to others are good no more.

    Until then they sign in with the one before.
    """
    held = await work.row(find_credential(locks=True), customer_id=customer)
    if held is None:
        return
    await work.row(void_links(), customer_id=customer)
    if held["email"] != email or held["confirmed_at"] is None:
        await throttled(work, email)
        await ask_to_confirm(work, customer, email)
    if held["email"] != email and held["confirmed_at"] is not None:
        await post(work, address_changing(), held["email"], customer)


async def _link(
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


async def _proved(work: Work, kind: LinkKind) -> tuple[Any, str]:
    """The credential, locked, of whom a link was mailed to, and the address; the link is used up."""
    token = str(work.input["token"])
    if not is_opaque_token(token, LINK_PREFIX):
        raise refused(work)
    digest = opaque_token_hash(token)
    held = await work.row(hold_credential_of_link(), hash=digest)
    used = None if held is None else await work.row(use_link(), hash=digest, kind=kind.value)
    if used is None:
        raise refused(work)
    return held, str(used["email"])


def _new_password(work: Work, name: str) -> str:
    mistakes = Mistakes()
    found = checked_password(str(work.input[name]), work.write.root.mutation.input.name, name, mistakes)
    mistakes.check()
    return found


def checked_password(password: str, of: str, name: str, mistakes: Mistakes) -> str:
    """A password as it is kept; what is wrong with it is added to the mistakes."""
    try:
        return formats.password(password)
    except formats.Malformed as error:
        mistakes.add(UserErrorCode.MALFORMED, f"{of}.{name}", f"the password {error.reason}", name)
        return ""


async def _set_password(work: Work, held: Any, digest: str, spared: uuid.UUID | None) -> SessionKeys:
    """Gives a locked credential another hash: open links and sessions end, and its owner is told by mail."""
    customer = held["customer_id"]
    await work.row(set_password(), customer_id=customer, set_password_hash=digest)
    await work.row(void_links(), customer_id=customer)
    if held["confirmed_at"] is not None:
        await post(work, password_changed(), held["email"], customer)
    return await end(work, customer, SessionEnd.PASSWORD_CHANGED, spared=spared)
