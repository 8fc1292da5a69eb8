"""Until when a rule of `retention.yaml` keeps a value. Pure; what a hold keeps, `holds` says.

A rule gives the last day on which a value is kept: from the next day on it may go. `kept_until` says it of a
moment; `latest_over` says which moments a day is late enough for, so that one comparison in SQL finds their
rows, and no statement counts months. Days are those of UTC; but which fiscal year a moment lies in, the
store's own calendar says, as its accounts do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from ..config import Settings
from ..policy_files.values import Moment, RetentionRule
from .dates import fiscal_year_end


@dataclass(frozen=True, slots=True)
class FiscalYears:
    """The fiscal years of a store, which end on `MM-DD` in its time zone."""

    ends: str
    zone: tzinfo


def fiscal_years(settings: Settings) -> FiscalYears:
    """The fiscal years as the settings have them."""
    return FiscalYears(settings.fiscal_year_end, ZoneInfo(settings.time_zone))


def kept_until(rule: RetentionRule, moment: date | datetime, years: FiscalYears) -> date:
    """The last day on which the rule keeps what its moment is of."""
    day = day_of(moment, _zone_of(rule, years))
    if rule.after is Moment.FISCAL_YEAR:
        day = date(fiscal_year_end(day, years.ends).year, 12, 31)
    return rule.period.after(day)


def latest_over(rule: RetentionRule, day: date, years: FiscalYears) -> date:
    """The latest day of a moment that the rule keeps no longer on this day."""
    latest = rule.period.latest_before(day)
    if rule.after is not Moment.FISCAL_YEAR:
        return latest
    year = latest.year if (latest.month, latest.day) == (12, 31) else latest.year - 1
    return fiscal_year_end(date(year, 1, 1), years.ends)


def over_before(rule: RetentionRule, day: date, years: FiscalYears) -> datetime:
    """The first moment that the rule still keeps on this day: those before it are over."""
    return end_of(latest_over(rule, day, years), _zone_of(rule, years))


def end_of(day: date, zone: tzinfo = UTC) -> datetime:
    """When a day of the zone is over, in UTC."""
    return datetime.combine(day + timedelta(days=1), time.min, zone).astimezone(UTC)


def day_of(moment: date | datetime, zone: tzinfo = UTC) -> date:
    """The day of a moment in the zone."""
    return moment.astimezone(zone).date() if isinstance(moment, datetime) else moment


def _zone_of(rule: RetentionRule, years: FiscalYears) -> tzinfo:
    return years.zone if rule.after is Moment.FISCAL_YEAR else UTC
