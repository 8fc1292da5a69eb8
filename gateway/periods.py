"""Periods of the calendar: so many days, months or years after a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

When = TypeVar("When", date, datetime)


class Unit(StrEnum):
    """What a period is counted in; months and years are those of the calendar."""

    DAYS = "days"
    MONTHS = "months"
    YEARS = "years"


@dataclass(frozen=True, slots=True)
class Period:
    """A number of days, months or years, at least one."""

    count: int
    unit: Unit

    def __str__(self) -> str:
        return f"{self.count} {self.unit.removesuffix('s') if self.count == 1 else self.unit}"

    def after(self, moment: When) -> When:
        """When the period is over that begins at the moment; of a day, its last day."""
        match self.unit:
            case Unit.DAYS:
                return moment + timedelta(days=self.count)
            case Unit.MONTHS:
                return months_after(moment, self.count)
            case Unit.YEARS:
                return months_after(moment, 12 * self.count)

    def latest_before(self, day: date) -> date:
        """The latest day after which the period is over before this one: what `after` is turned round."""
        match self.unit:
            case Unit.DAYS:
                return day - timedelta(days=self.count + 1)
            case Unit.MONTHS:
                found = months_after(day, -self.count)
            case Unit.YEARS:
                found = months_after(day, -12 * self.count)
        # The last days of months lie apart by up to three days more or less than the period.
        found += timedelta(days=4)
        while self.after(found) >= day:
            found -= timedelta(days=1)
        return found


def months_after(moment: When, months: int) -> When:
    """The same day so many months later, or that month's last day, as PostgreSQL counts."""
    year, month = divmod(moment.month - 1 + months, 12)
    first = moment.replace(year=moment.year + year, month=month + 1, day=1)
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(moment.day, last.day))
