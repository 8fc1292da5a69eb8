"""Changes of customers: registration, profile, consent to the newsletter."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from datetime import timedelta

from uuid6 import uuid7

from schema import formats
from schema.scalars import global_id
from schema.states import ChangeSource, ConsentPurpose, ConsentState
from schema.writing import UserErrorCode

from ..principal import Principal
from .checks import PROFILE, checked, text
from .mistakes import Mistakes
from .once import Known, New, once
from .passwords import hashed
from .places import COUNTRY, changed_place
from .work import Outcome, Work

EVIDENCE = text("evidence", 1000, lines=True)
TOKEN_MINUTES = 15


async def register_customer(work: Work) -> Outcome:
    """A new customer with credentials that count once the address is confirmed.

    The answer is the same whether the address is known or not: nothing is looked up by it.
    """
    mistakes = Mistakes()
    given = {"countryCode": COUNTRY} | without_nulls(work.input)
    profile = checked(given, PROFILE, "Customer", str(given["countryCode"]), mistakes)
    password = _checked_password(str(work.input["password"]), mistakes)
    mistakes.check()
    digest = await hashed(password)
    match await once(work, "Customer", without=("password",)):
        case New(key):
            await add_customer(work, key, profile, work.input, ChangeSource.REGISTRATION)
            await _add_credential(work, key, str(profile["email"]), digest)
        case Known(key):
            pass
    became = Principal("customer", global_id("Customer", key), customer_id=key)
    return Outcome({"customer": key}, {"accessToken": _token(work, key)}, became)


def without_nulls(given: Mapping[str, object]) -> dict[str, object]:
    """What is given and not null."""
    return {name: value for name, value in given.items() if value is not None}


def _checked_password(password: str, mistakes: Mistakes) -> str:
    try:
        return formats.password(password)
    except formats.Malformed as error:
        message, coordinate = f"the password {error.reason}", "RegisterCustomerInput.password"
        mistakes.add(UserErrorCode.MALFORMED, coordinate, message, "password")
        return ""


async def _add_credential(work: Work, key: uuid.UUID, email: str, digest: str) -> None:
    values = {"customer_id": key, "email": email, "password_hash": digest, "created_at": work.now}
    await work.insert("credential", values)


def _token(work: Work, key: uuid.UUID) -> str:
    lifetime = timedelta(minutes=TOKEN_MINUTES)
    return work.tools.key.sign("customer", key, work.tools.settings, now=work.now, lifetime=lifetime)


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
) -> None:
    """Adds to the history of consents what was decided, under which notice (GDPR Article 7(1))."""
    await work.insert(
        "consent_event",
        {
            "id": uuid7(),
            "customer_id": key,
            "purpose": str(ConsentPurpose.NEWSLETTER.value),
            "state": str(state.value),
            "at": work.now,
            "source": source.value,
            "notice_version": work.tools.notice.version,
            "text_digest": work.tools.notice.digest,
            "actor": actor,
            "evidence": evidence,
        },
    )


async def update_customer(work: Work) -> Outcome:
    """Changes a profile; a customer's own change counts as activity."""
    key = work.key("id", "Customer")
    values = await changed_place(work, "Customer", key, PROFILE, "phone")
    return await work.change_alone("Customer", key, values | work.activity())


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
    await add_consent(work, key, state, work.source, work.actor, evidence)
    await work.note("Customer", key, key, ["marketingConsent"], work.source)
    return Outcome({"customer": key})


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
