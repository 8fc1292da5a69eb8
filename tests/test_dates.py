"""The dates that the law counts, to the day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.config import Settings
from gateway.privacy.dates import due_at, last_day, latest_extension
from gateway.working_days import public_holidays


@pytest.mark.parametrize(
    ("received", "due", "extended"),
    [
        ("2025-01-31", "2025-02-28", "2025-04-30"),
        ("2024-01-31", "2024-02-29", "2024-04-30"),
        ("2025-11-30", "2025-12-30", "2026-02-28"),
        ("2026-06-15", "2026-07-15", "2026-09-15"),
        ("2026-12-31", "2027-01-31", "2027-03-31"),
    ],
)
def test_a_request_is_due_one_calendar_month_later_and_is_put_off_by_two_more(
    received: str, due: str, extended: str
) -> None:
    at = datetime.fromisoformat(f"{received}T23:59:59+00:00").astimezone(UTC)
    assert (due_at(at).date(), latest_extension(at).date()) == (
        date.fromisoformat(due),
        date.fromisoformat(extended),
    )
    assert due_at(at).time() == at.time()


ZONES = st.sampled_from([ZoneInfo(name) for name in ("Europe/Helsinki", "UTC", "America/St_Johns")])
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
FREE = st.frozensets(st.integers(0, 40), max_size=12)


@given(MOMENTS, st.integers(14, 30), ZONES, FREE)
def test_a_period_ends_on_the_first_working_day_that_is_not_before_its_last_day(
    moment: datetime, days: int, zone: ZoneInfo, free: frozenset[int]
) -> None:
    day = moment.astimezone(zone).date()
    holidays = {day + timedelta(days=offset) for offset in free}
    whole = day + timedelta(days=days)
    later = [whole + timedelta(days=more) for more in range(60)]
    working = [one for one in later if one.isoweekday() not in (6, 7) and one not in holidays]
    assert last_day(moment, days, zone, holidays) == working[0]


@given(MOMENTS, MOMENTS, ZONES)
def test_a_later_delivery_never_ends_the_period_earlier(one: datetime, two: datetime, zone: ZoneInfo) -> None:
    free = public_holidays("FI")
    earlier, later = sorted((one, two))
    assert last_day(earlier, 14, zone, free) <= last_day(later, 14, zone, free)


@pytest.mark.parametrize(
    ("delivered", "last"),
    [
        ("2026-06-01T12:00", "2026-06-15"),
        ("2026-06-01T22:30", "2026-06-16"),
        ("2026-03-20T12:00", "2026-04-07"),  # Good Friday, Easter and its Monday
        ("2026-04-17T12:00", "2026-05-04"),  # May Day is a Friday
        ("2027-12-10T12:00", "2027-12-27"),  # Christmas Eve is a Friday
        ("2026-12-18T12:00", "2027-01-04"),
    ],
)
def test_the_holidays_of_finland_put_the_end_off(delivered: str, last: str) -> None:
    at = datetime.fromisoformat(f"{delivered}+00:00")
    found = last_day(at, 14, ZoneInfo("Europe/Helsinki"), public_holidays("FI"))
    assert found == date.fromisoformat(last)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("time_zone", "Europe/Nowhere", "no time zone"),
        ("time_zone", "../x", "no time zone"),
        ("holidays", "XX", "no public holidays"),
        ("holidays", "", "no public holidays"),
    ],
)
def test_a_zone_or_country_that_is_none_stops_the_start(name: str, value: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Settings(database_url="postgresql://x@127.0.0.1/x", **{name: value})
