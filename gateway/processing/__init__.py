"""The record of processing activities (GDPR Article 30), made from what decides and not written by hand.

Takes the policy and the model. Gives a `ProcessingRecord`: per purpose the data that the columns' tags name
for it, what roles see and recipients may be given for it, and when it is erased.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schema.model import Model
from schema.personal import PersonalColumn, personal_columns

from ..grants import ANY_PURPOSE, Line, Use
from ..policy import ROLES, Policy
from ..policy_files.values import Purpose, Recipient
from .values import (
    DataController,
    DataRecipient,
    DataSubjectCategory,
    ErasurePeriod,
    PersonalDataCategory,
    ProcessingActivity,
    ProcessingRecord,
    RoleAccess,
    ThirdCountryTransfer,
)

# Behind whoever is not signed in there is nobody but the person the data is about.
WITH_ACCESS = tuple(role for role in ROLES if role != "anonymous")
# Rows about the caller as an employee or a partner: seeing them is no processing of others' data.
OWN_ROWS = "self"
CHANGING = frozenset({Use.CREATE, Use.UPDATE})


@dataclass(frozen=True, slots=True)
class _Opening:
    """A column, and a line that opens it."""

    column: PersonalColumn
    line: Line


@dataclass(frozen=True, slots=True)
class _Source:
    """What activities are made from; `openings` are by purpose."""

    policy: Policy
    columns: tuple[PersonalColumn, ...]
    openings: Mapping[str, Sequence[_Opening]]


def make_record(policy: Policy, model: Model) -> ProcessingRecord:
    """The record that a policy and the tags of the columns come to, an activity for each purpose."""
    columns = personal_columns(model)
    source = _Source(policy, columns, _openings(policy, columns))
    controller = policy.controller
    return ProcessingRecord(
        controller=DataController(
            controller.name,
            controller.business_id,
            controller.address,
            controller.contact,
            controller.data_protection_officer,
        ),
        policy_version=policy.version,
        notice_version=policy.notice.version,
        protection=controller.protection,
        activities=tuple(_activity(source, purpose) for purpose in policy.purposes.values()),
    )


def _activity(source: _Source, purpose: Purpose) -> ProcessingActivity:
    openings = source.openings.get(purpose.code, ())
    recipients = [one for one in source.policy.recipients.values() if purpose.code in one.purposes]
    given = {field for one in recipients for field in one.fields}
    opened = {one.column.name for one in openings}
    columns = [
        column
        for column in source.columns
        if purpose.code in column.tag.purposes
        or column.name in opened
        or given.intersection(column.coordinates)
    ]
    return ProcessingActivity(
        purpose=purpose.code,
        description=purpose.description,
        lawful_bases=tuple(str(letter) for letter in purpose.basis),
        lists=purpose.lists,
        data_subjects=_subjects(source, columns),
        categories=tuple(_categories(columns)),
        recipients=tuple(_recipient(one) for one in recipients),
        erasure=tuple(_erasure(source, columns)),
        access=tuple(_access(openings)),
    )


def _openings(policy: Policy, columns: Iterable[PersonalColumn]) -> Mapping[str, Sequence[_Opening]]:
    by_coordinate: dict[str, list[Line]] = {}
    for line in policy.lines:
        if line.role in WITH_ACCESS and line.rows != OWN_ROWS and line.use is not Use.FILTER:
            by_coordinate.setdefault(line.coordinate, []).append(line)
    openings: dict[str, list[_Opening]] = {}
    for column in columns:
        for line in (one for name in column.coordinates for one in by_coordinate.get(name, ())):
            for purpose in _purposes_of(policy, line, column):
                openings.setdefault(purpose, []).append(_Opening(column, line))
    return openings


def _purposes_of(policy: Policy, line: Line, column: PersonalColumn) -> Iterable[str]:
    """The purposes for which a line opens a column.

    A line for any purpose opens it for the one its role acts for without saying so; of roles that have none,
    for those of the column that the role acts for, or else for all of the column's.
    """
    if line.purpose != ANY_PURPOSE:
        return (line.purpose,)
    if default := policy.effective_purpose(line.role, None):
        return (default,)
    acted_for = set(column.tag.purposes).intersection(policy.purposes_of(line.role))
    return acted_for or column.tag.purposes


def _subjects(source: _Source, columns: Iterable[PersonalColumn]) -> tuple[DataSubjectCategory, ...]:
    codes = {subject for column in columns for subject in column.tag.subjects}
    listed = source.policy.controller.subjects.items()
    return tuple(DataSubjectCategory(code, description) for code, description in listed if code in codes)


def _categories(columns: Iterable[PersonalColumn]) -> Iterable[PersonalDataCategory]:
    by_key: dict[str, list[PersonalColumn]] = {}
    for column in columns:
        by_key.setdefault(column.tag.category, []).append(column)
    for key, of_key in sorted(by_key.items()):
        coordinates = {coordinate for column in of_key for coordinate in column.coordinates}
        yield PersonalDataCategory(key, tuple(column.name for column in of_key), tuple(sorted(coordinates)))


def _recipient(recipient: Recipient) -> DataRecipient:
    found = recipient.transfer
    transfer = None if found is None else ThirdCountryTransfer(found.country, found.safeguards)
    fields = tuple(sorted(recipient.fields))
    return DataRecipient(recipient.name, str(recipient.role), recipient.contact, fields, transfer)


def _erasure(source: _Source, columns: Iterable[PersonalColumn]) -> Iterable[ErasurePeriod]:
    kept = list(columns)
    for name, rule in source.policy.retention.items():
        categories = {column.tag.category for column in kept if column.tag.retention == name}
        if categories:
            warned = None if rule.warned is None else str(rule.warned)
            period = str(rule.period)
            yield ErasurePeriod(name, str(rule.after), period, warned, rule.law, tuple(sorted(categories)))


def _access(openings: Sequence[_Opening]) -> Iterable[RoleAccess]:
    for role in WITH_ACCESS:
        of_role = [one for one in openings if one.line.role == role]
        if of_role:
            shown = {one.line.coordinate for one in of_role if one.line.use is Use.READ}
            masked = {one.line.coordinate for one in of_role if one.line.use is Use.MASK} - shown
            changed = {one.line.coordinate for one in of_role if one.line.use in CHANGING}
            found = ({one.column.tag.category for one in of_role}, shown, masked, changed)
            yield RoleAccess(role, *(tuple(sorted(names)) for names in found))
