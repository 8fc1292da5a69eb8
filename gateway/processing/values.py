"""The record of processing activities as a frozen value, whose names are those of `schema.processing`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from schema.inputs import camel


@dataclass(frozen=True, slots=True)
class DataController:
    """Who answers for the register (GDPR Article 30(1)(a))."""

    name: str
    business_id: str
    address: str
    contact: str
    data_protection_officer: str | None


@dataclass(frozen=True, slots=True)
class DataSubjectCategory:
    """Whose data it is (GDPR Article 30(1)(c))."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class PersonalDataCategory:
    """What data it is (GDPR Article 30(1)(c)): a fideslang key, its columns, the fields that show them."""

    key: str
    columns: tuple[str, ...]
    coordinates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ThirdCountryTransfer:
    """Where else it goes, and what makes up for that (GDPR Article 30(1)(e))."""

    country: str
    safeguards: str


@dataclass(frozen=True, slots=True)
class DataRecipient:
    """To whom it may be disclosed (GDPR Article 30(1)(d))."""

    name: str
    role: str
    contact: str
    fields: tuple[str, ...]
    transfer: ThirdCountryTransfer | None


@dataclass(frozen=True, slots=True)
class ErasurePeriod:
    """When data of these categories is erased (GDPR Article 30(1)(f))."""

    rule: str
    after: str
    period: str
    warned: str | None
    law: str | None
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoleAccess:
    """What a role has access to: categories, and coordinates; what it sees masked only is `masked` alone."""

    role: str
    categories: tuple[str, ...]
    shown: tuple[str, ...]
    masked: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessingActivity:
    """What is done for one purpose (GDPR Article 30(1)(b))."""

    purpose: str
    description: str
    lawful_bases: tuple[str, ...]
    lists: bool
    data_subjects: tuple[DataSubjectCategory, ...]
    categories: tuple[PersonalDataCategory, ...]
    recipients: tuple[DataRecipient, ...]
    erasure: tuple[ErasurePeriod, ...]
    access: tuple[RoleAccess, ...]


@dataclass(frozen=True, slots=True)
class ProcessingRecord:
    """The whole record, an activity for each purpose; `protection` holds for all (GDPR Article 30(1)(g))."""

    controller: DataController
    policy_version: str
    notice_version: str
    protection: tuple[str, ...]
    activities: tuple[ProcessingActivity, ...]


def as_object(value: Any) -> Mapping[str, Any]:
    """A value of this module under its GraphQL names, `__typename` among them."""
    found = {camel(one.name): _plain(getattr(value, one.name)) for one in fields(value)}
    return {"__typename": type(value).__name__, **found}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return as_object(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
