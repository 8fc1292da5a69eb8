"""Whether the files fit the schema, the tags of its columns and the policy lines, both ways.

Takes `PolicyFiles`, the model and the lines. Rejects with `PolicyError` naming file and misfit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from schema.model import Model
from schema.personal import PersonalColumn, coordinates_of_customers, personal_columns

from ..errors import PolicyError
from ..grants import Line, Use
from .values import PolicyFiles, Recipient

SHOWING = frozenset({Use.READ, Use.MASK, Use.FILTER})


def check_files(
    folder: Path, files: PolicyFiles, lines: Iterable[Line], partner_roles: Collection[str], model: Model
) -> None:
    """Raises `PolicyError` where something is named that does not exist, or exists and is not named."""
    columns = personal_columns(model)
    _check_tags(folder, files, columns)
    _check_recipients(folder / "recipients.yaml", files, model)
    _check_partners(folder / "recipients.yaml", files, lines, partner_roles, model)


def _check_tags(folder: Path, files: PolicyFiles, columns: Iterable[PersonalColumn]) -> None:
    tagged = list(columns)
    path = folder / "purposes.yaml"
    for column in tagged:
        if unknown := set(column.tag.purposes) - set(files.purposes):
            raise PolicyError(
                f"{path}: column `{column.name}` is kept for `{min(unknown)}`, which is missing"
            )
    rules = {column.tag.retention for column in tagged}
    _both_ways(folder / "retention.yaml", "rule", rules, files.retention)
    subjects = {subject for column in tagged for subject in column.tag.subjects}
    _both_ways(folder / "controller.yaml", "category of data subjects", subjects, files.controller.subjects)


def _both_ways(path: Path, kind: str, tagged: set[str], listed: Collection[str]) -> None:
    if missing := tagged - set(listed):
        raise PolicyError(f"{path}: columns name the {kind} `{min(missing)}`, which is missing")
    if unused := set(listed) - tagged:
        raise PolicyError(f"{path}: no column names the {kind} `{min(unused)}`")


def _check_recipients(path: Path, files: PolicyFiles, model: Model) -> None:
    disclosable = coordinates_of_customers(model)
    for name, recipient in files.recipients.items():
        if unknown := recipient.purposes - set(files.purposes):
            raise PolicyError(f"{path}: `{name}`: unknown purpose `{min(unknown)}`")
        if unknown := recipient.fields - model.coordinates():
            raise PolicyError(f"{path}: `{name}`: the schema has no coordinate `{min(unknown)}`")
        if others := recipient.fields - disclosable:
            raise PolicyError(f"{path}: `{name}`: `{min(others)}` is no field of a row about a customer")


def _check_partners(
    path: Path, files: PolicyFiles, lines: Iterable[Line], partner_roles: Collection[str], model: Model
) -> None:
    """What a partner's role is shown of customers is disclosed, so a recipient has to be named for it."""
    disclosable = coordinates_of_customers(model)
    for role in partner_roles:
        shown = {line.coordinate for line in lines if line.role == role and line.use in SHOWING} & disclosable
        listed = {field for one in recipients_of(files, role) for field in one.fields}
        if missing := shown - listed:
            raise PolicyError(f"{path}: role `{role}` sees `{min(missing)}`, which no recipient's list has")


def recipients_of(files: PolicyFiles, role: str) -> tuple[Recipient, ...]:
    """The recipients that a partner's role stands for: those of the purpose it acts for by default."""
    codes = {purpose.code for purpose in files.purposes.values() if role in purpose.default_for}
    return tuple(one for one in files.recipients.values() if one.purposes & codes)
