"""Changes of customers: registration, profile, consent to the newsletter."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import Uuid, bindparam, func, select
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from schema.scalars import global_id
from schema.states import ChangeSource, ConsentPurpose, ConsentState
from schema.writing import UserErrorCode

from ..principal import Principal
from ..row_rules import Scope
from ..statements.bound import compiled
from .accounts import address_changed, address_corrected, checked_password, password_proved
from .checks import PROFILE, checked, text
from .links import ask_to_confirm
from .mistakes import Mistake, Mistakes, Rejected
from .once import Known, New, once
from .passwords import digested, hashed
from .places import COUNTRY, changed_place
from .rows import Sql
from .session_rows import find_credential
from .sessions import access_token, add_session, throttled
from .work import Outcome, Work

EVIDENCE = text("evidence", 1000, lines=True)


async def register_customer(work: Work) -> Outcome:
    """A new customer with credentials that count once the address is confirmed.

    The answer is the same whether the address is known or not: nothing is looked up by it.
    """
    mistakes = Mistakes()
    given = {"countryCode": COUNTRY} | without_nulls(work.input)
    profile = checked(given, PROFILE, "Customer", str(given["countryCode"]), mistakes)
    given_password = str(work.input["password"])
    password = checked_password(given_password, "RegisterCustomerInput", "password", mistakes)
    mistakes.check()
    await throttled(work, str(profile["email"]))
    digest = await hashed(password)
    used = work.input.get("idempotencyKey")
    # A fast digest of a password, even a keyed one, would be worth guessing at.
    instead = b"" if used is None else await digested(password, used.bytes)
    match await once(work, "Customer", ("password",), instead):
        case New(key):
            await add_customer(work, key, profile, work.input, ChangeSource.REGISTRATION)
            await _add_credential(work, key, str(profile["email"]), digest)
            await ask_to_confirm(work, key, str(profile["email"]))
        case Known(key):
            await _check_is_fresh(work, key)
    became = Principal("customer", global_id("Customer", key), customer_id=key)
    return Outcome({"customer": key}, became=became, secrets={"accessToken": await _token(work, key)})


async def _check_is_fresh(work: Work, key: uuid.UUID) -> None:
    """Raises CONFLICT where a confirmed address has made an account of it: that is entered by signing in."""
    held = await work.row(find_credential(locks=False), customer_id=key)
    if held is None or held["confirmed_at"] is not None:
        coordinate, path = "RegisterCustomerInput.idempotencyKey", ("idempotencyKey",)
        message = "the registration of this key is confirmed: sign in"
        raise Rejected(Mistake(UserErrorCode.CONFLICT, coordinate, message, path))


def without_nulls(given: Mapping[str, object]) -> dict[str, object]:
    """What is given and not null."""
    return {name: value for name, value in given.items() if value is not None}


async def _add_credential(work: Work, key: uuid.UUID, email: str, digest: str) -> None:
    values = {"customer_id": key, "email": email, "password_hash": digest, "created_at": work.now}
    await work.insert("credential", values)


async def _token(work: Work, key: uuid.UUID) -> str:
    """A token of a session that cannot go on: who wants to stay confirms the address and signs in."""
    session = uuid7()
    expires = work.now + timedelta(minutes=work.tools.settings.access_token_minutes)
    await add_session(work, key, session, expires)
    return access_token(work, key, session, expires)


async def add_customer(
    work: Work,
    key: uuid.UUID,
    profile: Mapping[str, object],
    given: Mapping[str, object],
    source: ChangeSource,
) -> None:
    """Inserts a customer with their first consent event and the provenance of what was given."""
    number = await work.number("customer_number")
    await work.insert(
        "customer",
        {
            "id": key,
            "number": f"C-{number:06}",
            "unsubscribe_token": secrets.token_urlsafe(32),
            "created_at": work.now,
            "last_active_at": work.now,
            **profile,
        },
    )
    actor = global_id("Customer", key)
    # Marketing is opt-in: what is not said is refused (GDPR Article 4(11), recital 32).
    state = ConsentState.GIVEN if given.get("marketingConsent") is True else ConsentState.REFUSED
    await add_consent(work, key, state, source, actor)
    fields = [name for name, rule in PROFILE.items() if profile.get(rule.column) is not None]
    await work.note("Customer", key, key, [*fields, "marketingConsent"], source, actor)


async def add_consent(
    work: Work,
    key: uuid.UUID,
    state: ConsentState,
    source: ChangeSource,
    actor: str,
    evidence: str | None = None,
    at: datetime | None = None,
) -> None:
    """Adds to the history of consents what was decided, under which notice (GDPR Article 7(1))."""
    await work.insert(
        "consent_event",
        {
            "id": uuid7(),
            "customer_id": key,
            "purpose": str(ConsentPurpose.NEWSLETTER.value),
            "state": str(state.value),
            "at": at or work.now,
            "source": source.value,
            "notice_version": work.tools.notice.version,
            "text_digest": work.tools.notice.digest,
            "actor": actor,
            "evidence": evidence,
        },
    )


async def update_customer(work: Work) -> Outcome:
    """Changes a profile; a customer's own change counts as activity.

    Who changes the address they sign in with proves the password: a session that was stolen takes no account.
    """
    key, mistakes = work.key("id", "Customer"), Mistakes()
    caller = work.principal
    is_own = caller.role == "customer" and caller.scope is Scope.ACCOUNT and caller.customer_id == key
    if not is_own or "email" not in work.input:
        values = await changed_place(work, "Customer", key, PROFILE, "phone", mistakes)
        if "email" not in work.input:
            return await work.change_alone("Customer", key, values | work.activity())
        await work.change("Customer", key, values | work.activity())
        await address_corrected(work, key, values["email"])
        return Outcome({"customer": key})
    proved = await password_proved(work, key, mistakes)
    values = await changed_place(work, "Customer", key, PROFILE, "phone", mistakes)
    await work.change("Customer", key, values | work.activity())
    await address_changed(work, key, str(values["email"]), proved)
    return Outcome({"customer": key})


async def set_marketing_consent(work: Work) -> Outcome:
    """Adds a decision to the history; an employee who records consent says how it was given."""
    key, wanted = work.key("id", "Customer"), bool(work.input["marketingConsent"])
    evidence = _evidence(work, wanted)
    await work.change("Customer", key, work.activity())
    row = await work.find("Customer", key, ("marketing_consent",))
    if wanted:
        state = ConsentState.GIVEN
    else:
        state = ConsentState.WITHDRAWN if row["marketing_consent"] else ConsentState.REFUSED
    # The newest decision counts, and another worker's clock may be ahead of ours.
    newest = (await work.row(_newest_consent(), key=key))["at"]
    at = work.now if newest is None else max(work.now, newest + timedelta(microseconds=1))
    await add_consent(work, key, state, work.source, work.actor, evidence, at)
    await work.note("Customer", key, key, ["marketingConsent"], work.source)
    return Outcome({"customer": key})


@lru_cache(maxsize=1)
def _newest_consent() -> Sql:
    """When the newest decision of a customer, whose row is locked, was made."""
    event = SQLModel.metadata.tables["consent_event"]
    newest = select(func.max(event.c.at).label("at"))
    return Sql(*compiled(newest.where(event.c.customer_id == bindparam("key", type_=Uuid()))))


def _evidence(work: Work, wanted: bool) -> str | None:
    """What an employee says of how consent was given; a customer proves it by doing it."""
    if work.principal.role == "customer":
        return None
    mistakes, given = Mistakes(), work.input.get("evidence")
    coordinate = "SetMarketingConsentInput.evidence"
    found = checked({"evidence": given}, {"evidence": EVIDENCE}, "SetMarketingConsentInput", "", mistakes)
    if wanted and given is None:
        message = "an employee who records consent says how it was given"
        mistakes.add(UserErrorCode.REQUIRED, coordinate, message, "evidence")
    mistakes.check()
    return None if found["evidence"] is None else str(found["evidence"])
