"""Periods end as the calendar says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.periods import Period, Unit
from gateway.policy import default_folder
from gateway.policy_files import load_periods


def test_the_periods_are_those_of_the_policy() -> None:
    periods = load_periods(default_folder())
    assert periods["R-ACCESS"] == Period(24, Unit.MONTHS)
    assert periods["R-DISCLOSURE"] == Period(3, Unit.YEARS)
    assert periods["R-CONTACT"] == Period(90, Unit.DAYS)


@pytest.mark.parametrize(
    ("period", "ends"),
    [
        (Period(90, Unit.DAYS), datetime(2028, 5, 29, 12, tzinfo=UTC)),
        (Period(1, Unit.DAYS), datetime(2028, 3, 1, 12, tzinfo=UTC)),
        (Period(1, Unit.MONTHS), datetime(2028, 3, 29, 12, tzinfo=UTC)),
        (Period(12, Unit.MONTHS), datetime(2029, 2, 28, 12, tzinfo=UTC)),
        (Period(4, Unit.YEARS), datetime(2032, 2, 29, 12, tzinfo=UTC)),
    ],
)
def test_a_period_ends_as_the_calendar_says(period: Period, ends: datetime) -> None:
    assert period.after(datetime(2028, 2, 29, 12, tzinfo=UTC)) == ends
