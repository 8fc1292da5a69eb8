"""A customer's address and password: confirmed, forgotten, changed. What is proved by mail is good once."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from uuid_utils.compat import uuid7

from schema import formats
from schema.credentials import LinkKind, SessionEnd
from schema.writing import UserErrorCode

from ..database import DatabaseDuplicate
from ..mail.letters import address_changing, password_changed, password_reset
from ..principal.opaque_tokens import LINK_PREFIX, is_opaque_token, opaque_token_hash
from ..row_rules import Scope
from .links import ask_to_confirm, new_link
from .mistakes import Mistakes
from .once import is_first
from .passwords import hashed, is_password
from .post import post
from .session_rows import (
    confirm_address,
    find_confirmed,
    find_credential,
    hold_credential_of_link,
    set_password,
    use_link,
    void_links,
    void_links_elsewhere,
)
from .sessions import SessionKeys, end, refused, spelled, throttled, tried
from .work import Outcome, Work

CONFIRMED_ONCE = "credential_confirmed_once"
CURRENT = "currentPassword"


async def confirm_email(work: Work) -> Outcome:
    """Confirms the address that a link was mailed to; where it is another than before, other sessions end.

    Where another customer has confirmed the address before, nothing is done, and nothing is joined.

    # INVARIANT: an address that is not, or no longer, the one in the register is confirmed by no link.
    """
    await throttled(work)
    held, email = await _proved(work, LinkKind.CONFIRM_EMAIL)
    if held["registered_email"] != email:
        raise refused(work)
    customer = held["customer_id"]
    try:
        await work.row(confirm_address(), customer_id=customer, set_email=email)
    except DatabaseDuplicate as duplicate:
        if duplicate.constraint != CONFIRMED_ONCE:
            raise
        raise refused(work) from duplicate
    await work.row(void_links(), customer_id=customer)
    ended: SessionKeys = ()
    if held["email"] != email:
        ended = await end(work, customer, SessionEnd.ADDRESS_CHANGED, spared=work.principal.session_id)
    return Outcome(extras={"confirmed": True}, changed_principals=ended)


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
    token = await new_link(work, customer, LinkKind.RESET_PASSWORD, email, lifetime, wanted=wanted)
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
    kept = await _present_hash(work, caller.customer_id)
    await _check_present(work, caller.customer_id, kept)
    digest = await hashed(password)
    held = await work.row(find_credential(locks=True), customer_id=caller.customer_id)
    if held is None or held["password_hash"] != kept:
        raise refused(work)
    ended = await _set_password(work, held, digest, caller.session_id)
    return Outcome(extras={"changed": True}, changed_principals=ended)


async def password_proved(work: Work, customer: uuid.UUID, mistakes: Mistakes) -> str | None:
    """The hash of the present password, which the input proves; None of a customer without credentials.

    A proof that is missing is added to the mistakes; one that does not hold raises.
    """
    kept = await _present_hash(work, customer)
    if kept is None:
        return None
    if work.input.get(CURRENT) is None:
        coordinate = f"{work.write.root.mutation.input.name}.{CURRENT}"
        message = "the present password is needed to change the e-mail address"
        mistakes.add(UserErrorCode.REQUIRED, coordinate, message, CURRENT)
    else:
        await _check_present(work, customer, kept)
    return kept


async def _present_hash(work: Work, customer: uuid.UUID) -> str | None:
    known = await work.look(find_credential(locks=False), customer_id=customer)
    return None if known is None else str(known["password_hash"])


async def _check_present(work: Work, customer: uuid.UUID, kept: str | None) -> None:
    """Raises where the input does not give the present password; all failures at a customer add up."""
    async with tried(work, str(customer), CURRENT):
        if not await is_password(str(work.input[CURRENT]), kept):
            raise refused(work)


async def address_changed(work: Work, customer: uuid.UUID, email: str, proved: str | None) -> None:
    """Asks a customer with credentials to confirm the address they gave; links to others are good no more.

    Until then they sign in with the one before. What was `proved` is the hash of their present password;
    where that has become another since, nothing is changed.
    """
    held = await work.row(find_credential(locks=True), customer_id=customer)
    if (None if held is None else held["password_hash"]) != proved:
        raise refused(work)
    if held is None:
        return
    await work.row(void_links(), customer_id=customer)
    if held["email"] != email or held["confirmed_at"] is None:
        await throttled(work, email)
        await ask_to_confirm(work, customer, email)
    if held["email"] != email and held["confirmed_at"] is not None:
        await post(work, address_changing(), held["email"], customer)


async def address_corrected(work: Work, customer: uuid.UUID, email: object) -> None:
    """Makes links mailed elsewhere good for nothing, where others than the customer gave an address.

    The customer's row is locked before: a link that is used at the same time is used before the change, or
    waits for the credential and is good no more.
    """
    if await work.row(find_credential(locks=True), customer_id=customer) is not None:
        await work.row(void_links_elsewhere(), customer_id=customer, email=email)


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
