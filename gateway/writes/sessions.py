"""Signing in, staying signed in, and signing out."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from uuid_utils.compat import uuid7

from schema import formats
from schema.credentials import SessionEnd
from schema.writing import UserErrorCode

from ..principal.opaque_tokens import REFRESH_PREFIX, is_opaque_token, new_opaque_token, opaque_token_hash
from ..throttle import Counted
from .links import ask_again_to_confirm
from .mistakes import Mistake, Rejected
from .passwords import hashed, is_outdated, is_password
from .session_rows import (
    end_sessions,
    find_credential,
    find_to_sign_in,
    hold_session_of_token,
    note_refresh,
    set_password,
    use_refresh_token,
    was_active,
)
from .work import Outcome, Work

SessionKeys = tuple[tuple[str, uuid.UUID], ...]


async def sign_in(work: Work) -> Outcome:
    """Begins a session for the confirmed credential of an address.

    Whoever knows the password of one that is not confirmed is mailed the link for it again.

    # INVARIANT: an unknown address, one that is not confirmed and a wrong password take the same statements
    # and the same hashing, and are answered alike.
    """
    email, password = spelled(str(work.input["email"])), str(work.input["password"])
    counted = await throttled(work, email)
    outcome = await _begun(work, email, password)
    if (
        not outcome.mistakes
    ):  # who is refused is counted, even where a link was mailed: no 429 tells the two apart
        await work.tools.throttle.give_back(counted)
    return outcome


async def _begun(work: Work, email: str, password: str) -> Outcome:
    known = await work.look(find_to_sign_in(), email=email)
    kept = None if known is None else str(known["password_hash"])
    if not await is_password(password, kept) or kept is None:
        raise refused(work)
    customer: uuid.UUID = known["customer_id"]
    fresh = await hashed(formats.password(password)) if is_outdated(kept) else kept
    if known["confirmed_at"] is not None:
        await work.row(was_active(), customer_id=customer)
    # INVARIANT: a password that was changed since it was compared opens no session.
    held = await work.row(find_credential(locks=True), customer_id=customer)
    if held is None or held["password_hash"] != kept or held["email"] != email:
        raise refused(work)
    if held["confirmed_at"] is None:
        await ask_again_to_confirm(work, customer, email)
        return Outcome(mistakes=refused(work).mistakes)
    if fresh != kept:
        await work.row(set_password(), customer_id=customer, set_password_hash=fresh)
    session, expires = uuid7(), work.now + timedelta(days=work.tools.settings.session_days)
    await add_session(work, customer, session, expires)
    return Outcome(secrets=await _tokens(work, customer, session, expires))


async def refresh_session(work: Work) -> Outcome:
    """The next pair of tokens of a session.

    A refresh token is good once (RFC 9700, section 4.14.2): who sends a used one is a thief or robbed, so
    that the session ends, and is answered as if the token had never been.
    """
    token = str(work.input["refreshToken"])
    if not is_opaque_token(token, REFRESH_PREFIX):
        raise refused(work)
    digest = opaque_token_hash(token)
    session = await work.row(hold_session_of_token(), hash=digest)
    if session is None or session["ended_at"] is not None or work.now >= session["expires_at"]:
        raise refused(work)
    customer, key = session["customer_id"], session["id"]
    used = await work.row(use_refresh_token(), hash=digest)
    if used is None:
        ended = await end(work, customer, SessionEnd.TOKEN_REUSED, only=key)
        return Outcome(mistakes=refused(work).mistakes, changed_principals=ended)
    if work.now >= used["expires_at"]:
        raise refused(work)
    await work.row(note_refresh(), id=key)
    return Outcome(secrets=await _tokens(work, customer, key, session["expires_at"]))


async def sign_out(work: Work) -> Outcome:
    """Ends the session of the caller's token, or every one; with a token of one order those of the order.

    Who comes with a token of another issuer has no session of their own to end.
    """
    caller, everywhere = work.principal, work.input.get("everywhere") is True
    if caller.customer_id is None or (caller.session_id is None and not everywhere):
        return Outcome(extras={"ended": 0})
    only = None if everywhere else caller.session_id
    ended = await end(work, caller.customer_id, SessionEnd.SIGNED_OUT, only=only, order=caller.order_id)
    return Outcome(extras={"ended": len(ended)}, changed_principals=ended)


# ------------------------------------------------------------ what others need


def refused(work: Work) -> Rejected:
    """The one answer to every proof that does not hold."""
    coordinate = f"Mutation.{work.write.root.mutation.name}"
    message = "what was given as proof is not accepted"
    return Rejected(Mistake(UserErrorCode.INVALID_CREDENTIALS, coordinate, message))


def spelled(email: str) -> str:
    """An address in the stored form; what is none stays as it is, and is nobody's."""
    try:
        return formats.email(email)
    except formats.Malformed:
        return email


async def throttled(work: Work, account: str | None = None, kind: str | None = None) -> Counted:
    """Counts an attempt of a kind, or of the mutation's, whatever becomes of it; raises `TooMany`."""
    action, client = kind or work.write.root.mutation.name, work.client_address
    return await work.tools.throttle.count(action, account=account, client=client, now=work.now)


@asynccontextmanager
async def tried(work: Work, account: str, kind: str | None = None) -> AsyncIterator[None]:
    """Counts a try of the account's secret, which is no failure where the block ends without an exception."""
    counted = await throttled(work, account, kind)
    yield
    await work.tools.throttle.give_back(counted)


async def add_session(work: Work, customer: uuid.UUID, session: uuid.UUID, expires: datetime) -> None:
    """Begins a session."""
    moments = {"created_at": work.now, "last_refreshed_at": work.now, "expires_at": expires}
    await work.insert("session", {"id": session, "customer_id": customer, **moments})


def access_token(work: Work, customer: uuid.UUID, session: uuid.UUID, expires: datetime) -> str:
    """A signed token of a session, which it never outlives."""
    settings = work.tools.settings
    lifetime = min(timedelta(minutes=settings.access_token_minutes), expires - work.now)
    return work.tools.key.sign(
        "customer", customer, settings, now=work.now, lifetime=lifetime, session_id=session
    )


async def end(
    work: Work,
    customer: uuid.UUID,
    why: SessionEnd,
    *,
    only: uuid.UUID | None = None,
    spared: uuid.UUID | None = None,
    order: uuid.UUID | None = None,
) -> SessionKeys:
    """Ends sessions of a customer, those of single orders among them, and says which."""
    which = {"only": only, "spared": spared, "order": order}
    rows = await work.rows(end_sessions(), customer_id=customer, why=why.value, **which)
    return tuple(("session", row["id"]) for row in rows)


async def _tokens(
    work: Work, customer: uuid.UUID, session: uuid.UUID, expires: datetime
) -> Mapping[str, str]:
    """A pair of tokens of a session; of the refresh token a hash is kept."""
    token = new_opaque_token(REFRESH_PREFIX)
    lifetime = timedelta(days=work.tools.settings.refresh_token_days)
    await work.insert(
        "refresh_token",
        {
            "hash": opaque_token_hash(token),
            "session_id": session,
            "customer_id": customer,
            "issued_at": work.now,
            "expires_at": min(work.now + lifetime, expires),
        },
    )
    return {"accessToken": access_token(work, customer, session, expires), "refreshToken": token}
