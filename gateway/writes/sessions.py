"""Signing in, staying signed in, and signing out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from uuid6 import uuid7

from schema import formats
from schema.credentials import SessionEnd
from schema.writing import UserErrorCode

from ..principal.opaque_tokens import REFRESH_PREFIX, is_opaque_token, new_opaque_token, opaque_token_hash
from ..row_rules import Scope
from .mistakes import Mistake, Rejected
from .passwords import hashed, is_outdated, is_password
from .session_rows import (
    end_sessions,
    find_confirmed,
    find_credential,
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

    # INVARIANT: an unknown address, one that is not confirmed and a wrong password take the same statements
    # and the same hashing, and are answered alike.
    """
    email, password = spelled(str(work.input["email"])), str(work.input["password"])
    await throttled(work, email)
    known = await work.look(find_confirmed(), email=email)
    kept = None if known is None else str(known["password_hash"])
    if not await is_password(password, kept) or kept is None:
        raise refused(work)
    customer: uuid.UUID = known["customer_id"]
    fresh = await hashed(formats.password(password)) if is_outdated(kept) else kept
    await work.row(was_active(), customer_id=customer)
    # INVARIANT: a password that was changed since it was compared opens no session.
    held = await work.row(find_credential(locks=True), customer_id=customer)
    if held is None or held["password_hash"] != kept or held["email"] != email:
        raise refused(work)
    if fresh != kept:
        await work.row(set_password(), customer_id=customer, set_password_hash=fresh)
    session, expires = uuid7(), work.now + timedelta(days=work.tools.settings.session_days)
    await add_session(work, customer, session, expires)
    return Outcome(extras=await _tokens(work, customer, session, expires))


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
    return Outcome(extras=await _tokens(work, customer, key, session["expires_at"]))


async def sign_out(work: Work) -> Outcome:
    """Ends the session of the caller's token, or every one; a token of one order has none to end."""
    caller, everywhere = work.principal, work.input.get("everywhere") is True
    if caller.customer_id is None or caller.scope is not Scope.ACCOUNT:
        return Outcome(extras={"ended": 0})
    if not everywhere and caller.session_id is None:
        return Outcome(extras={"ended": 0})
    only = None if everywhere else caller.session_id
    ended = await end(work, caller.customer_id, SessionEnd.SIGNED_OUT, only=only)
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


async def throttled(work: Work, account: str | None = None) -> None:
    """Counts an attempt of the caller's at the account; raises `TooMany`."""
    action = work.write.root.mutation.name
    await work.tools.throttle.count(action, account=account, client=work.client_address)


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
) -> SessionKeys:
    """Ends sessions of a customer, and says which."""
    rows = await work.rows(end_sessions(), customer_id=customer, why=why.value, only=only, spared=spared)
    return tuple(("session", row["id"]) for row in rows)


async def _tokens(
    work: Work, customer: uuid.UUID, session: uuid.UUID, expires: datetime
) -> Mapping[str, object]:
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
