"""A postal code and its country, which change together or fit each other as they are."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from schema import formats
from schema.writing import UserErrorCode

from .checks import Rule, checked
from .mistakes import Mistakes
from .work import Work

COUNTRY = "FI"
PAIR = frozenset({"countryCode", "postalCode"})
PLACE = ("street_address", "postal_code", "postal_town", "country_code")


async def changed_place(
    work: Work, entity: str, key: uuid.UUID, rules: Mapping[str, Rule], phone: str, mistakes: Mistakes
) -> dict[str, object]:
    """The fields of an input that changes a place, by column; raises every mistake in them, or found before.

    The pair of country and code that the row will have is what is checked: what is given, else what the row
    holds, which is locked then. `phone` names the field of a telephone number, which the country reads.
    """
    given, has_pair = work.input, not PAIR.isdisjoint(work.input)
    # Nothing is looked up where the input says all that is asked of it.
    row = await _row(work, entity, key) if has_pair or _is_national(given.get(phone)) else {}
    country = str(given.get("countryCode") or row.get("country_code") or COUNTRY).strip().upper()
    plain = {name: value for name, value in given.items() if (name, value) != ("postalCode", None)}
    values = checked(plain, rules, entity, country, mistakes)
    if "postalCode" in given and given["postalCode"] is None:
        values["postal_code"] = None
    is_readable = not any(one.path[:1] in (("countryCode",), ("postalCode",)) for one in mistakes.found)
    if has_pair and is_readable:
        _check_pair(row | values, entity, country, rules, mistakes)
    mistakes.check()
    return values


def _is_national(number: object) -> bool:
    """Whether it is a telephone number without the code of its country."""
    return not str(number or "+").lstrip().startswith("+")


async def _row(work: Work, entity: str, key: uuid.UUID) -> dict[str, Any]:
    """What the row, which is locked, holds of its place."""
    return dict(await work.find(entity, key, PLACE, tuple(work.write.guards)))


def _check_pair(
    place: Mapping[str, Any],
    entity: str,
    country: str,
    rules: Mapping[str, Rule],
    mistakes: Mistakes,
) -> None:
    """Adds a mistake where the place that comes about has no code, or one of another country."""
    code = place["postal_code"]
    is_somewhere = rules["streetAddress"].required or place["street_address"] or place["postal_town"]
    if code is None and not is_somewhere:
        return  # a profile may do without an address
    try:
        fits = formats.postal_code(code, country) == code
    except formats.Malformed:
        fits = False
    if fits:
        return
    if code is None:
        message = "a value is needed in this country"
        mistakes.add(UserErrorCode.REQUIRED, f"{entity}.postalCode", message, "postalCode")
    else:
        message = "the stored postal code is none of this country"
        mistakes.add(UserErrorCode.MALFORMED, f"{entity}.countryCode", message, "countryCode")
