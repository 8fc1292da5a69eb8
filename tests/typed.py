"""Every kind of typed-in value, and what becomes of a text as one."""

from __future__ import annotations

from collections.abc import Callable

from schema import formats
from schema.formats import Malformed

NORMALISED: dict[str, Callable[[str], str | None]] = {
    "email": formats.email,
    "phone": lambda text: formats.phone(text, "FI"),
    "iban": formats.iban,
    "postal code": lambda text: formats.postal_code(text, "GB"),
    "country": formats.country,
    "text": lambda text: formats.text(text, 60),
    "lines": lambda text: formats.text(text, 60, lines=True),
    "remark": formats.remark,
    "password": formats.password,
}


def outcome(kind: str, typed: str) -> str | Malformed | None:
    """What becomes of a text: its normal form or its refusal."""
    try:
        return NORMALISED[kind](typed)
    except Malformed as refusal:
        return refusal
