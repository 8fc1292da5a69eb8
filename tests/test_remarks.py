"""What a remark may hold; every person's value here is made up.

Telephone numbers are those of `phonenumbers`, 555 numbers or ones of the ranges kept for fiction.
"""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from schema import formats
from schema.formats import Malformed
from tests.typed import outcome


@pytest.mark.parametrize(
    "typed",
    [
        *("Helsinki 00100", "02100 Espoo", "Tampere 33100", "01510 Vantaa, terminal 3", "00100-00200"),
        *("Dock 4, 12:30", "08:00-16:00", "8.00-16.00", "klo 0800-1600", "avoinna 07.30 - 15.00"),
        *("2026-06-15", "2026-06-15T12:30:00Z", "15.6.2026", "06.12.2026", "06.12.2026 12:30", "01/02/2026"),
        *("JJFI65432100012345678", "00370712345678901234", "MX123456789FI", "1Z999AA10123456784"),
        *("6438123456789",),
        *(
            "A12 klo 12:30",
            "ovi_12_kerros_3",
            "FI12345678901234",
            "0401b",
            "klo 8-16.30",
            "040,5 kg",
            "B2-0400",
        ),
        *("D-2026-165003-1", "R-2026-165003", "parcel 123456789", "code 1234", "door 0401", "1/3, 12.5 kg"),
        *("60.1699, 24.9384", "left @ dock 4.30", "@ the gate", "parcel @ gate. ok then", "+15 min"),
        *("-20 °C",),
        *("Jätetty oven taakse", "Noutopiste 90100 Oulu klo 08:00-16:00", "a.b.c", "at home.", "x" * 200),
    ],
)
def test_a_remark_may_hold_codes_dates_and_times(typed: str) -> None:
    assert formats.remark(typed) == typed


@pytest.mark.parametrize(
    "typed",
    [
        *("a0401234567", "0401234567b", "040_123_4567", "0401234567-12:00", "1000-1800401234567"),
        *("ovi0401234567avattu", "0401234567_12", "040:123:4567", "040*123*4567", "12:00-0401234567"),
        *("\ufdfa" * 10 + " 0401234567",),
        *("+358401234567", "040-123 4567", "puh. 0401234567", "puh0401234567", "Puh+358401234567"),
        *("0401234567!",),
        *("+358 (0)40 1234567", "00358401234567", "358401234567", "040.123.4567", "040/1234567"),
        *("(09) 1234567",),
        *("04 01 23 45 67", "0 4 0 1 2 3 4 5 6 7", "soita:040-1234567/Matti", "040\u2013123 4567"),
        *("020 123456",),
        *("+46 70 174 06 05", "+44 7700 900123", "+1 202-555-0123", "15.6.2026 0401234567"),
        *("12:30 040 1234567",),
        *("0401-234567", "040\u200b1234567", "\uff10\uff14\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17"),
        *("Helsinki 00100, 040 123 4567", "08:00-16:00 puh. 040 123 4567", "00100 040 123 4567"),
        *("ovi 12 0401234567 4 krs", "0401234567 12:30", "12 +358401234567", "6.12.2026 040 123 4567"),
        *("040 123 4567 06.12.2026", "33100 (040) 123 4567", "8-16, 0401234567", "040\xa0123\xa04567"),
    ],
)
def test_a_remark_with_a_telephone_number_is_refused(typed: str) -> None:
    with pytest.raises(Malformed, match=r"\Aholds a telephone number\Z"):
        formats.remark(typed)


@pytest.mark.parametrize(
    "typed",
    [
        *("matti@example.com", "write to Matti.M@EXAMPLE.com!", "<a@example.fi>", "mailto:a@b.fi", "a@b"),
        *("a @ b.fi", "a @b.fi", "a@ b.fi", "a\xa0@\xa0b.fi", "a @ b .fi", "a(at)b.fi", "a (at) b.fi"),
        *("a[AT]b.fi", "matti<at>example.fi", "matti@ example . fi", "matti@ example. fi", "a @ b . fi"),
        *("\ufdfa" * 10 + " a@b.fi",),
        *("matti(ät)example.fi", "ä@ö.fi", "a\uff20b.fi", "a\u200b@b.fi", "a_@b.fi", "x @ sub.example.com"),
    ],
)
def test_a_remark_with_an_email_address_is_refused(typed: str) -> None:
    with pytest.raises(Malformed, match=r"\Aholds an e-mail address\Z"):
        formats.remark(typed)


def test_a_remark_may_hold_any_day_and_any_postal_code() -> None:
    days = [date(2026, 1, 1) + timedelta(days=day) for day in range(365)]
    written = (
        "{0:%Y-%m-%d}",
        "{0:%d.%m.%Y} 8:30",
        "{0.day}.{0.month}.{0.year}",
        "{0:%d/%m/%Y}",
        "{0:%Y%m%d}",
    )
    typed = {form.format(day) for form in written for day in days}
    typed |= {f"Postal {code:05} town" for code in range(0, 100_000, 90)}
    assert {one for one in typed if outcome("remark", one) != one} == set()


@pytest.mark.parametrize("hidden", ["0401234567", "a@b.fi", "nothing"])
def test_a_remark_that_unfolds_to_more_than_is_looked_at_is_refused(hidden: str) -> None:
    with pytest.raises(Malformed, match=r"\Aholds too many letters that stand for several\Z"):
        formats.remark("\ufdfa" * 45 + " " + hidden)


@pytest.mark.parametrize("typed", ["", "a\nb", "a" * 201])
def test_a_remark_is_one_line_of_200_characters_at_most(typed: str) -> None:
    with pytest.raises(Malformed):
        formats.remark(typed)
