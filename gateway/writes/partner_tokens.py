"""Changes of partners' tokens: issue, rotate, narrow, revoke. A token is shown once and kept as a hash."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from schema.model import text_of
from schema.scalars import global_id
from schema.writing import UserErrorCode

from ..principal import new_partner_token, partner_token_hash, token_prefix
from .mistakes import Mistake, Mistakes, Rejected, not_found
from .once import Known, New, once
from .token_limits import Limits, LimitsReader, check_deliveries, check_end
from .token_rows import COPIED, end_token, lock_rotation, revoke_from, revoke_token, token_with_parents
from .work import Outcome, Work

LONGEST = timedelta(days=90)
LONGEST_OVERLAP_HOURS = 168
DEEPEST = 2
ROLES = {"CARRIER": "carrier", "NEWSLETTER": "newsletter"}
NEWSLETTER_PROVIDER = "Newsletter provider"


async def issue_partner_token(work: Work) -> Outcome:
    """A new token of a carrier or of the newsletter provider."""
    kind, mistakes = str(text_of(work.input["kind"])), Mistakes()
    limits = LimitsReader(work, ROLES[kind], Limits(), mistakes).read()
    check_end(work, work.input["expiresAt"], work.now + LONGEST, mistakes)
    _check_carrier(work, kind, mistakes)
    mistakes.check()
    carrier = work.key("carrier", "Carrier") if kind == "CARRIER" else None
    partner = NEWSLETTER_PROVIDER if carrier is None else await _name_of(work, carrier)
    await check_deliveries(work, carrier, limits)
    match await once(work, "PartnerToken"):
        case New(key):
            values = {"partner": partner, "kind": kind, "carrier_id": carrier, "issued_by": work.actor}
            return await _made(work, key, work.input["expiresAt"], values | limits.columns())
        case Known(key):
            return _known(key)


def _check_carrier(work: Work, kind: str, mistakes: Mistakes) -> None:
    has_one = work.input.get("carrier") is not None
    if has_one is not (kind == "CARRIER"):
        code = UserErrorCode.OUT_OF_RANGE if has_one else UserErrorCode.REQUIRED
        message = "only a carrier's token is of a carrier" if has_one else "a value is needed"
        mistakes.add(code, "IssuePartnerTokenInput.carrier", message, "carrier")


async def _name_of(work: Work, carrier: uuid.UUID) -> str:
    row = await work.find("Carrier", carrier, ("name", "active"), locks=False, path=("carrier",))
    if not row["active"]:
        message = "the carrier is not active"
        coordinate = "IssuePartnerTokenInput.carrier"
        raise Rejected(Mistake(UserErrorCode.INVALID_TRANSITION, coordinate, message, ("carrier",)))
    return str(row["name"])


async def narrow_partner_token(work: Work) -> Outcome:
    """A token narrowed from the one asked with: it can do no more, from nowhere else, and no longer."""
    if work.principal.token_id is None:
        raise not_found("PartnerToken.id")
    mine = await work.row(token_with_parents(), key=work.principal.token_id)
    if mine is None or mine["ended_at"] is not None or mine["ends_at"] <= work.now:
        raise _step("the token has ended")
    if mine["depth"] >= DEEPEST:
        raise _step(f"a token is narrowed {DEEPEST} times at most")
    mistakes = Mistakes()
    limits = LimitsReader(work, ROLES[mine["kind"]], Limits.of(mine), mistakes).read()
    check_end(work, work.input["expiresAt"], mine["ends_at"], mistakes)
    mistakes.check()
    await check_deliveries(work, mine["carrier_id"], limits)
    match await once(work, "PartnerToken"):
        case New(key):
            values = {name: mine[name] for name in ("partner", "kind", "carrier_id")} | limits.columns()
            values |= {"parent_id": mine["id"], "issued_by": global_id("PartnerToken", mine["id"])}
            return await _made(work, key, work.input["expiresAt"], values)
        case Known(key):
            return _known(key)


async def rotate_partner_token(work: Work) -> Outcome:
    """A new key with the same limits; the former one ends after the overlap."""
    former, mistakes = work.key("id", "PartnerToken"), Mistakes()
    overlap = _overlap(work, mistakes)
    mistakes.check()
    row = await work.find("PartnerToken", former, ("first_id", "parent_id"), locks=False)
    # A former key may be in wrong hands: it does not reach for the end of the one that took its place.
    if work.principal.token_id not in (None, former, row["parent_id"]):
        raise _step("a partner rotates the key it asks with, and what was narrowed from that")
    first = row["first_id"] or former
    # One order for all: whoever rotates any of these keys waits here. Who had to wait does not see in the
    # same statement what was made meanwhile: the keys are read by the next one.
    await work.rows(lock_rotation(), first=first)
    keys = await work.rows(lock_rotation(), first=first)
    match await once(work, "PartnerToken"):
        case New(key):
            return await _rotated(work, key, first, former, keys, overlap)
        case Known(key):
            return _known(key)


async def _rotated(
    work: Work, key: uuid.UUID, first: uuid.UUID, former: uuid.UUID, keys: Any, overlap: timedelta
) -> Outcome:
    old = await work.row(token_with_parents(), key=former)
    if old["ended_at"] is not None or old["ends_at"] <= work.now:
        raise _step("the token has ended")
    end = min(old["expires_at"], work.now + overlap)
    others = [one for one in keys if one["id"] != former]
    live = sum(one["revoked_at"] is None and one["expires_at"] > work.now for one in others)
    if live + (end > work.now) > 1:
        raise _step("two keys of the token hold already")
    expires_at = _new_end(work, old)
    await work.row(end_token(), key=former, end=end)
    values = {name: old[name] for name in COPIED} | {"first_id": first, "issued_by": _issuer(work)}
    return await _made(work, key, expires_at, values, former)


def _overlap(work: Work, mistakes: Mistakes) -> timedelta:
    given = work.input.get("overlapHours")
    hours = work.tools.settings.rotation_overlap_hours if given is None else int(given)
    if not 0 <= hours <= LONGEST_OVERLAP_HOURS:
        coordinate = "RotatePartnerTokenInput.overlapHours"
        message = f"from 0 to {LONGEST_OVERLAP_HOURS} hours are taken"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, coordinate, message, "overlapHours")
        hours = 0
    return timedelta(hours=hours)


def _new_end(work: Work, old: Any) -> datetime:
    """When the new key ends: a partner's with the former one, an administrator's as long as it was for."""
    latest, usual = old["ends_at"], old["ends_at"]
    if work.principal.token_id is None:
        latest = work.now + LONGEST
        usual = work.now + (old["expires_at"] - old["created_at"])
        if old["parents_end"] is not None:
            latest = min(latest, old["parents_end"])
    given = work.input.get("expiresAt")
    if given is None:
        return min(usual, latest)  # type: ignore[no-any-return]
    mistakes = Mistakes()
    check_end(work, given, latest, mistakes)
    mistakes.check()
    return given  # type: ignore[no-any-return]


async def revoke_partner_token(work: Work) -> Outcome:
    """Ends a token now; one that was revoked before stays as it was.

    An administrator ends with it what was rotated from it: whoever held the token may have done that.
    """
    key, own = work.key("id", "PartnerToken"), work.principal.token_id
    row = await work.find("PartnerToken", key, ("first_id", "created_at"))
    first = row["first_id"] or key
    if own is None:
        await work.rows(lock_rotation(), first=first)
        gone = await work.rows(revoke_from(), first=first, since=row["created_at"])
    else:
        asked = await work.row(token_with_parents(), key=own)
        is_newer = (row["created_at"], key) > (asked["created_at"], own)
        if first == (asked["first_id"] or own) and is_newer:
            raise _step("a former key does not end the one that took its place")
        gone = await work.rows(revoke_token(), key=key)
    ended = tuple(("partner_token", one["id"]) for one in gone) or (("partner_token", key),)
    return Outcome({"partnerToken": key}, changed_principals=ended)


# ---------------------------------------------------------------- what all of them share


async def _made(
    work: Work, key: uuid.UUID, expires_at: datetime, values: Mapping[str, object], *changed: uuid.UUID
) -> Outcome:
    token = new_partner_token()
    made = {
        "id": key,
        "prefix": token_prefix(token),
        "hash": partner_token_hash(token),
        "created_at": work.now,
        "expires_at": expires_at,
    }
    await work.insert("partner_token", {**values, **made})
    principals = tuple(("partner_token", one) for one in (key, *changed))
    return Outcome({"partnerToken": key}, secrets={"token": token}, changed_principals=principals)


def _known(key: uuid.UUID) -> Outcome:
    """The same request has made it: it is shown without its token, which nobody has any more."""
    return Outcome({"partnerToken": key})


def _issuer(work: Work) -> str:
    token = work.principal.token_id
    return work.actor if token is None else global_id("PartnerToken", token)


def _step(message: str) -> Rejected:
    coordinate = "PartnerToken.id"
    return Rejected(Mistake(UserErrorCode.INVALID_TRANSITION, coordinate, message, ("id",)))
