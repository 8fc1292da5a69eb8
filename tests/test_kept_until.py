"""Until when a rule keeps, to the day: for every calendar, every period and every end of a fiscal year."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.periods import Period, Unit
from gateway.policy import default_folder, load_policy
from gateway.policy_files.values import Moment, RetentionRule
from gateway.privacy.dates import fiscal_year_end
from gateway.privacy.kept_until import FiscalYears, end_of, kept_until, latest_over, over_before
from schema.model import load_model

RULES = load_policy(default_folder(), load_model()).retention
DAYS = st.dates(date(1990, 1, 1), date(2110, 12, 31))
# Ends of months, and the days beside them, are what goes wrong.
EDGES = st.builds(
    lambda year, month, off: date(year, month, 1) + timedelta(days=off),
    st.integers(1996, 2104),
    st.integers(1, 12),
    st.integers(-4, 2),
)
WHEN = DAYS | EDGES
PERIODS = st.builds(Period, st.integers(1, 400), st.sampled_from(Unit)).filter(
    lambda period: period.unit is not Unit.YEARS or period.count <= 60
)
YEAR_ENDS = st.dates(date(2024, 1, 1), date(2024, 12, 31)).map(lambda day: f"{day:%m-%d}")
# One before UTC and one behind it, with summer times, and one that began them at midnight, which it skipped.
ZONES = ("Europe/Helsinki", "America/New_York", "UTC", "America/Sao_Paulo")
YEARS = st.builds(FiscalYears, YEAR_ENDS, st.sampled_from([ZoneInfo(name) for name in ZONES]))
AFTER = st.sampled_from([Moment.REFUND, Moment.FISCAL_YEAR])
CALENDAR = FiscalYears("12-31", UTC)


def rule(period: Period, after: Moment = Moment.REFUND) -> RetentionRule:
    return RetentionRule("R-TEST", after, period, None, None)


@pytest.mark.parametrize(
    ("name", "moment", "last"),
    [
        ("R-ACCOUNT", "2024-02-29", "2026-02-28"),
        ("R-ACCOUNT", "2022-02-28", "2024-02-28"),
        ("R-CONTACT", "2024-12-31", "2025-03-31"),
        ("R-DELIVERY", "2025-08-31", "2026-02-27"),
        ("R-CLAIM", "2024-02-29", "2027-02-28"),
        ("R-VOUCHER", "2024-03-31", "2030-12-31"),
        ("R-VOUCHER", "2024-04-01", "2031-12-31"),
        ("R-IBAN", "2024-01-31", "2024-03-01"),
        ("R-CONSENT", "2025-01-31", "2028-01-31"),
    ],
)
def test_each_rule_of_the_policy_keeps_until_this_day(name: str, moment: str, last: str) -> None:
    assert kept_until(
        RULES[name], date.fromisoformat(moment), FiscalYears("03-31", UTC)
    ) == date.fromisoformat(last)


@pytest.mark.parametrize(
    ("day", "ends", "year_end", "until"),
    [
        ("2024-03-31", "03-31", "2024-03-31", "2030-12-31"),
        ("2024-04-01", "03-31", "2025-03-31", "2031-12-31"),
        ("2023-12-31", "12-31", "2023-12-31", "2029-12-31"),
        ("2024-01-01", "12-31", "2024-12-31", "2030-12-31"),
        ("2024-02-29", "02-29", "2024-02-29", "2030-12-31"),
        ("2025-03-01", "02-29", "2026-02-28", "2032-12-31"),
    ],
)
def test_a_voucher_is_kept_six_years_from_the_end_of_the_year_its_fiscal_year_ended_in(
    day: str, ends: str, year_end: str, until: str
) -> None:
    of = date.fromisoformat(day)
    assert fiscal_year_end(of, ends) == date.fromisoformat(year_end)
    assert kept_until(RULES["R-VOUCHER"], of, FiscalYears(ends, UTC)) == date.fromisoformat(until)


@pytest.mark.parametrize(
    ("placed", "ends", "zone", "until"),
    [
        ("2024-12-31T21:59:59", "12-31", "Europe/Helsinki", "2030-12-31"),
        ("2024-12-31T22:30:00", "12-31", "Europe/Helsinki", "2031-12-31"),
        ("2024-12-31T22:30:00", "12-31", "UTC", "2030-12-31"),
        ("2025-01-01T03:29:59", "12-31", "America/St_Johns", "2030-12-31"),
        ("2024-03-31T20:59:59", "03-31", "Europe/Helsinki", "2030-12-31"),  # summer time began this day
        ("2024-03-31T21:00:00", "03-31", "Europe/Helsinki", "2031-12-31"),
    ],
)
def test_an_order_is_of_the_fiscal_year_in_which_the_store_s_own_day_lies(
    placed: str, ends: str, zone: str, until: str
) -> None:
    at, years = datetime.fromisoformat(f"{placed}+00:00"), FiscalYears(ends, ZoneInfo(zone))
    assert kept_until(RULES["R-VOUCHER"], at, years) == date.fromisoformat(until)


@given(WHEN, PERIODS, AFTER, YEARS)
def test_the_latest_moment_that_is_over_is_over_and_the_next_day_is_not(
    day: date, period: Period, after: Moment, years: FiscalYears
) -> None:
    latest = latest_over(rule(period, after), day, years)
    assert kept_until(rule(period, after), latest, years) < day
    assert kept_until(rule(period, after), latest + timedelta(days=1), years) >= day


@given(WHEN, WHEN, PERIODS, AFTER, YEARS)
def test_a_moment_is_over_where_it_is_not_after_the_latest(
    moment: date, day: date, period: Period, after: Moment, years: FiscalYears
) -> None:
    one = rule(period, after)
    assert (kept_until(one, moment, years) < day) == (moment <= latest_over(one, day, years))


@given(WHEN, PERIODS, AFTER, YEARS, st.timedeltas(-timedelta(days=2), timedelta(days=2)))
def test_the_last_instant_that_is_over_is_the_last_of_a_day_of_the_zone_that_counts(
    day: date, period: Period, after: Moment, years: FiscalYears, off: timedelta
) -> None:
    one = rule(period, after)
    before = over_before(one, day, years)
    assert kept_until(one, before - timedelta(microseconds=1), years) < day <= kept_until(one, before, years)
    assert (kept_until(one, before + off, years) < day) == (before + off < before)
    zone = years.zone if after is Moment.FISCAL_YEAR else UTC
    first, last = (at.astimezone(zone).date() for at in (before, before - timedelta(microseconds=1)))
    assert first == last + timedelta(days=1)


@given(WHEN, WHEN, PERIODS, YEARS)
def test_what_came_later_is_kept_at_least_as_long(
    one: date, other: date, period: Period, years: FiscalYears
) -> None:
    for after in (Moment.REFUND, Moment.FISCAL_YEAR):
        first, second = sorted((one, other))
        kept = [kept_until(rule(period, after), day, years) for day in (first, second)]
        assert kept == sorted(kept)


@given(WHEN, st.integers(1, 60))
def test_months_end_on_the_same_day_or_the_last_of_a_shorter_month(moment: date, months: int) -> None:
    last = kept_until(rule(Period(months, Unit.MONTHS)), moment, CALENDAR)
    assert (last.year * 12 + last.month) - (moment.year * 12 + moment.month) == months
    assert last.day == moment.day or (last.day < moment.day and (last + timedelta(days=1)).day == 1)


@given(WHEN, YEARS)
def test_a_voucher_is_kept_to_the_end_of_a_year_and_for_six_to_eight_years(
    moment: date, years: FiscalYears
) -> None:
    last = kept_until(RULES["R-VOUCHER"], moment, years)
    assert (last.month, last.day) == (12, 31)
    assert last.year - moment.year in (6, 7)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), PERIODS, YEARS)
def test_a_moment_counts_as_its_day_in_utc_where_no_fiscal_year_is_asked_for(
    moment: datetime, period: Period, years: FiscalYears
) -> None:
    at = moment.replace(tzinfo=UTC)
    assert kept_until(rule(period), at, years) == kept_until(rule(period), moment.date(), years)
    assert end_of(moment.date()) - at <= timedelta(days=1)
