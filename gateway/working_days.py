"""Where the store's days begin, and which of them are public holidays; the one home of both libraries."""

from __future__ import annotations

from collections.abc import Container
from datetime import date
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from holidays import country_holidays
from holidays.registry import EntityLoader
from pydantic import AfterValidator

UNKNOWN = "no public holidays are known of this country"


@lru_cache(maxsize=4)
def public_holidays(country: str) -> Container[date]:
    """The public holidays of a country, by its two letters; raises `ValueError` where none are known."""
    try:
        return country_holidays(country)
    except NotImplementedError:
        raise ValueError(UNKNOWN) from None


def _checked_zone(name: str) -> str:
    """The name of a time zone; raises `ValueError` where it is none."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("it is no time zone") from None
    return name


def _checked_country(country: str) -> str:
    """The two letters of a country whose public holidays are known; raises `ValueError` for another.

    # PERF: the days themselves are made when first asked for: 0.1 s, as the library loads every country.
    """
    if country not in EntityLoader.get_country_codes(include_aliases=False):
        raise ValueError(UNKNOWN)
    return country


# Names as settings give them.
TimeZone = Annotated[str, AfterValidator(_checked_zone)]
Country = Annotated[str, AfterValidator(_checked_country)]
