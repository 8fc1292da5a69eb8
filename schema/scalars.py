"""The scalars: how a value is written in an answer, and read from a document or a variable."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal as PythonDecimal
from decimal import InvalidOperation
from functools import lru_cache
from typing import NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

DateTime = NewType("DateTime", datetime)
Date = NewType("Date", date)
Decimal = NewType("Decimal", PythonDecimal)
CurrencyCode = NewType("CurrencyCode", str)

FIRST_YEAR, LAST_YEAR = 1900, 2999
# PostgreSQL's base64 of more has a second line.
LONGEST_ID = 76

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DECIMAL = re.compile(r"-?\d{1,12}(\.\d{1,6})?")
_CURRENCY = re.compile(r"[A-Z]{3}")


def parse_time(value: object) -> datetime:
    """An RFC 3339 time with an offset, as an aware UTC value; raises `ValueError` without the value.

    The years are those that every offset and database can hold: near the ends of the calendar a moment
    becomes an infinity, or none at all.
    """
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("a `DateTime` is an RFC 3339 string with an offset")
    if FIRST_YEAR <= int(value[:4]) <= LAST_YEAR:
        moment = datetime.fromisoformat(value).astimezone(UTC)
        if FIRST_YEAR <= moment.year <= LAST_YEAR:
            return moment
    raise ValueError(f"a `DateTime` lies in the years {FIRST_YEAR} to {LAST_YEAR}")


def parse_date(value: object) -> date:
    """A day of the same years as RFC 3339 writes it; raises `ValueError` without the value."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("a `Date` is a string such as `2026-12-31`")
    if not FIRST_YEAR <= int(value[:4]) <= LAST_YEAR:
        raise ValueError(f"a `Date` lies in the years {FIRST_YEAR} to {LAST_YEAR}")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("a `Date` is a day of the calendar") from None


def parse_decimal(value: object) -> PythonDecimal:
    """An exact decimal from a string or an integer, never from a float; raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not _DECIMAL.fullmatch(str(value)):
        raise ValueError("a `Decimal` is a string of digits with a point")
    try:
        return PythonDecimal(value)
    except InvalidOperation as error:
        raise ValueError("a `Decimal` is a string of digits with a point") from error


def parse_currency(value: object) -> str:
    """An ISO 4217 code; raises `ValueError`."""
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise ValueError("a `CurrencyCode` is three capital letters")
    return value


def write_time(value: datetime) -> str:
    """UTC with `Z`, to the microsecond, as the SQL writes it."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


SCALARS: dict[object, ScalarDefinition] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment of the years 1900 to 2999 in RFC 3339; in answers always UTC with `Z`.",
        serialize=write_time,
        parse_value=parse_time,
    ),
    Date: strawberry.scalar(
        name="Date",
        description="A day of the years 1900 to 2999, such as `2026-12-31`.",
        serialize=lambda value: value.isoformat(),
        parse_value=parse_date,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description='An exact decimal number as a string with its scale, such as `"12.50"`.',
        serialize=str,
        parse_value=parse_decimal,
    ),
    CurrencyCode: strawberry.scalar(
        name="CurrencyCode",
        description="A currency as its ISO 4217 code.",
        serialize=str,
        parse_value=parse_currency,
    ),
}


def global_id(type_name: str, key: uuid.UUID) -> str:
    """A Relay global id: standard padded base64 of `Type:uuid` (Relay object identification)."""
    return base64.b64encode(f"{type_name}:{key}".encode()).decode()


def read_global_id(text: str) -> tuple[str, uuid.UUID] | None:
    """The type's name and the key, or None where the text is no canonical global id."""
    return _read(text) if len(text) <= LONGEST_ID else None


# PERF: who is signed in sends the same few ids again and again: 0.1 µs instead of 3 (`timeit`).
@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[str, uuid.UUID] | None:
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
        type_name, _, key = raw.decode().partition(":")
        found = uuid.UUID(key)
    except ValueError:  # which binascii's is, too
        return None
    # One id has one text: that which `global_id` gives.
    is_canonical = str(found) == key and binascii.b2a_base64(raw, newline=False) == text.encode()
    return (type_name, found) if is_canonical else None


@strawberry.type(description="An amount of money, exact.")
class Money:
    amount: Decimal = strawberry.field(description="How much, with two decimals.")
    currency: CurrencyCode = strawberry.field(description="In which currency.")


@strawberry.type(description="A postal address.")
class Address:
    street_address: str | None = strawberry.field(description="Street, house number, flat.")
    postal_code: str | None = strawberry.field(description="Postal code, as its country writes it.")
    postal_town: str | None = strawberry.field(description="Postal town.")
    country_code: str | None = strawberry.field(description="Country, as its ISO 3166-1 code.")
