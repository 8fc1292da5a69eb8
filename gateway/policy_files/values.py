"""What the policy's YAML files say, as frozen values: the words of the GDPR that the store fills in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..periods import Period


class Basis(StrEnum):
    """A lawful basis: the letter of GDPR Article 6(1)."""

    CONSENT = "a"
    CONTRACT = "b"
    LEGAL_OBLIGATION = "c"
    VITAL_INTERESTS = "d"
    PUBLIC_TASK = "e"
    LEGITIMATE_INTERESTS = "f"


class RecipientRole(StrEnum):
    """Whether a recipient decides for itself what to do with the data (GDPR Article 4(7), (8))."""

    CONTROLLER = "controller"
    PROCESSOR = "processor"


class Moment(StrEnum):
    """The moment that a period runs from; each one is in the register, so that a rule yields a date."""

    LAST_ACTIVITY = "last activity"
    DELIVERY_END = "delivery end"
    FISCAL_YEAR = "31 December of the year in which the fiscal year ended"
    REFUND = "refund"
    WITHDRAWAL = "withdrawal"
    RECORD = "the record"
    DISCLOSURE = "the disclosure"


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why data may be processed (GDPR Article 5(1)(b)), with its lawful bases (Article 6(1)).

    `lists` says whether lists of many people may be read for it.
    """

    code: str
    basis: tuple[Basis, ...]
    description: str
    default_for: frozenset[str]
    lists: bool


@dataclass(frozen=True, slots=True)
class Transfer:
    """The third country a recipient is in, and what makes up for it (GDPR Articles 44 to 49)."""

    country: str
    safeguards: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """To whom data may be disclosed (GDPR Article 4(9)): for what, which fields at most, whom to tell."""

    name: str
    role: RecipientRole
    purposes: frozenset[str]
    fields: frozenset[str]
    contact: str
    transfer: Transfer | None


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How long data is kept, from which moment (GDPR Article 5(1)(e)); `law` where one demands it.

    `warned` is how long before its end the customer is told.
    """

    rule: str
    after: Moment
    period: Period
    warned: Period | None
    law: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """The privacy notice in force (GDPR Article 13)."""

    version: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Controller:
    """Who answers for the register, and how it is protected (GDPR Article 30(1)(a), (c) and (g)).

    `subjects` describes each category of data subjects that the tags of the columns name.
    """

    name: str
    business_id: str
    address: str
    contact: str
    data_protection_officer: str | None
    protection: tuple[str, ...]
    subjects: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """The policy's YAML files, each read and found well formed; the mappings are in the files' order."""

    purposes: Mapping[str, Purpose]
    recipients: Mapping[str, Recipient]
    retention: Mapping[str, RetentionRule]
    notice: Notice
    controller: Controller
