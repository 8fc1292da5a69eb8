"""A plus and digits, read in a short way, are the telephone number that the library reads in them."""

from __future__ import annotations

import string
from itertools import product

import phonenumbers
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.typed import outcome


def is_what_the_library_reads(typed: str) -> bool:
    """Whether a plus and digits become what they do with a hyphen, which the library alone reads."""
    return str(outcome("phone", typed)) == str(outcome("phone", f"{typed[:-1]}-{typed[-1]}"))


def test_the_numbers_of_every_country_and_those_like_them_are_what_the_library_reads() -> None:
    kinds = product(phonenumbers.SUPPORTED_REGIONS, phonenumbers.PhoneNumberType.values())
    examples = [phonenumbers.example_number_for_type(*kind) for kind in kinds]
    for example in filter(None, examples):
        stored = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        code = f"+{example.country_code}"
        national = stored.removeprefix(code)
        prefixed = [f"{code}{digit}{national}" for digit in string.digits]
        replaced = [f"{code}{digit}{national[1:]}" for digit in string.digits]
        for typed in (stored, stored[:-1], f"{stored}0", *prefixed, *replaced):
            assert is_what_the_library_reads(typed)


@settings(max_examples=500)
@given(typed=st.from_regex(r"\+[0-9]{5,17}", fullmatch=True))
def test_any_digits_after_a_plus_are_what_the_library_reads(typed: str) -> None:
    assert is_what_the_library_reads(typed)
