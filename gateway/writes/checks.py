"""What is typed in, checked and normalised field by field, so that the caller hears of every mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schema import formats
from schema.writing import UserErrorCode

from .mistakes import Mistakes

Check = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a field is checked; `check` takes the text and the country it is read by."""

    column: str
    check: Check
    required: bool = False


def text(column: str, longest: int, *, required: bool = False, lines: bool = False) -> Rule:
    """A plain text."""
    return Rule(column, lambda value, _: formats.text(value, longest, lines=lines), required)


def _email(value: str, _: str) -> str:
    return formats.email(value)


def _country(value: str, _: str) -> str:
    return formats.country(value)


PROFILE: Mapping[str, Rule] = {
    "firstName": text("first_name", 100, required=True),
    "surname": text("surname", 100, required=True),
    "streetAddress": text("street_address", 200),
    "postalCode": Rule("postal_code", formats.postal_code),
    "postalTown": text("postal_town", 100),
    "countryCode": Rule("country_code", _country, required=True),
    "phone": Rule("phone", formats.phone),
    "email": Rule("email", _email, required=True),
}
RECIPIENT: Mapping[str, Rule] = {
    "recipientName": text("recipient_name", 200, required=True),
    "streetAddress": text("street_address", 200, required=True),
    "postalCode": Rule("postal_code", formats.postal_code, required=True),
    "postalTown": text("postal_town", 100, required=True),
    "countryCode": Rule("country_code", _country, required=True),
    "recipientPhone": Rule("recipient_phone", formats.phone),
    "recipientEmail": Rule("recipient_email", _email),
    "pickupPoint": text("pickup_point", 200),
    "instructions": text("instructions", 500, lines=True),
}


def checked(
    given: Mapping[str, object],
    rules: Mapping[str, Rule],
    entity: str,
    country: str,
    mistakes: Mistakes,
    *path: str,
) -> dict[str, object]:
    """The given fields that have a rule, normalised, by column; what is wrong is added to the mistakes."""
    found: dict[str, object] = {}
    if isinstance(spelled := given.get("countryCode"), str):
        country = spelled.strip().upper()
    for name, value in given.items():
        if (rule := rules.get(name)) is None:
            continue
        coordinate = f"{entity}.{name}"
        if value is None:
            if rule.required:
                mistakes.add(UserErrorCode.REQUIRED, coordinate, "a value is needed", *path, name)
            found[rule.column] = None
            continue
        try:
            found[rule.column] = rule.check(str(value), country)
        except formats.Malformed as error:
            mistakes.add(UserErrorCode.MALFORMED, coordinate, f"the value {error.reason}", *path, name)
    return found
