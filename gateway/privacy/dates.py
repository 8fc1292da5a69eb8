"""The dates that the law counts: until when one answers and may withdraw, and ends of fiscal years. Pure."""

from __future__ import annotations

import calendar
from collections.abc import Container
from datetime import date, datetime, timedelta, tzinfo

from ..periods import months_after

ANSWER_MONTHS, EXTENSION_MONTHS = 1, 2
SATURDAY = 5


def due_at(received_at: datetime) -> datetime:
    """When a request must be answered: one month later, of a shorter month its last day (Article 12(3))."""
    return months_after(received_at, ANSWER_MONTHS)


def latest_extension(received_at: datetime) -> datetime:
    """Until when an answer may be put off at most: two further months (GDPR Article 12(3))."""
    return months_after(received_at, ANSWER_MONTHS + EXTENSION_MONTHS)


def last_day(moment: datetime, days: int, zone: tzinfo, holidays: Container[date]) -> date:
    """The last day of a period of so many days from a moment, as the zone's days are.

    The moment's own day is not counted, and a period that would end on a Saturday, a Sunday or a public
    holiday ends with the next working day (Regulation 1182/71, Article 3(1) and (4)).
    """
    day = moment.astimezone(zone).date() + timedelta(days=days)
    while day.weekday() >= SATURDAY or day in holidays:
        day += timedelta(days=1)
    return day


def fiscal_year_end(day: date, month_and_day: str) -> date:
    """The last day of the fiscal year that the day lies in; fiscal years end on `MM-DD`."""
    month, last = (int(part) for part in month_and_day.split("-"))
    ends = _day(day.year, month, last)
    return ends if day <= ends else _day(day.year + 1, month, last)


def _day(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))
