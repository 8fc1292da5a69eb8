"""The policy: read, linted, put to Casbin line by line, frozen. The only module that knows Casbin.

Takes the files of `policies/`. Gives a `Policy`: grants by role and purpose, the YAML files' values, version.
Rejects, with `PolicyError` naming file and line, whatever is empty, malformed, unknown, doubled or missing.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import casbin

from schema.model import Model
from schema.states import StaffRole

from . import row_rules
from .errors import PolicyError
from .grants import ANY_PURPOSE, Grants, Line, Use, make_grants
from .policy_files import read_files
from .policy_files.checks import check_files
from .policy_files.values import Controller, Notice, Purpose, Recipient, RetentionRule

ROLES = ("anonymous", "customer", *(role.value for role in StaffRole), "carrier", "newsletter")
STAFF = frozenset(role.value for role in StaffRole)
PARTNER_ROLES = ("carrier", "newsletter")
WRITING = frozenset({Use.CREATE, Use.UPDATE})
# The rows of an operation, which has none, and those that are only being made.
EVERY_ROW, NEW_ROW = "every", "new"
# How many lines are put to Casbin together.
LINES_AT_ONCE = 16
# What an employee without a designation may do.
UNDESIGNATED = (
    Line("", "Query.privacyNotice", Use.EXECUTE, "every", ANY_PURPOSE),
    Line("", "Query.viewer", Use.EXECUTE, "every", ANY_PURPOSE),
)


@dataclass(frozen=True)
class Policy:
    """A policy that passed every check. `version` is a digest of all its files.

    Purposes are by code, recipients by name, retention rules by the name that columns' tags give.
    """

    version: str
    lines: frozenset[Line]
    purposes: Mapping[str, Purpose]
    recipients: Mapping[str, Recipient]
    retention: Mapping[str, RetentionRule]
    notice: Notice
    controller: Controller
    _grants: Mapping[str | None, Mapping[str | None, Grants]]

    def grants(self, role: str | None, purpose: str | None) -> Grants:
        """The grants of a role for a declared purpose, or for the role's only one; None: no designation."""
        return self._grants[role][self.effective_purpose(role, purpose)]

    def became(self, role: str | None) -> Grants | None:
        """The grants by which a role is answered about what it has just made, where it becomes another's."""
        return self.grants("customer", None) if role == "anonymous" else None

    def listing_grants(self, role: str | None, purpose: str | None) -> Grants | None:
        """The grants that hold for lists of many people, where a purpose that allows none grants more."""
        acting_for = self.effective_purpose(role, purpose)
        if role not in STAFF or acting_for is None or self.purposes[acting_for].lists:
            return None
        return self._grants[role][None]

    @cached_property
    def listing_purposes(self) -> frozenset[str]:
        """The purposes that allow lists of many people."""
        return frozenset(purpose.code for purpose in self.purposes.values() if purpose.lists)

    def disclosable(self, role: str | None, recipient: str | None) -> frozenset[str] | None:
        """The personal fields a partner may be given, as the list of recipients says; None for all others.

        Who is not on the list is given none.
        """
        if role not in PARTNER_ROLES:
            return None
        found = self.recipients.get(recipient or "")
        return frozenset() if found is None else found.fields

    def effective_purpose(self, role: str | None, declared: str | None) -> str | None:
        """The declared purpose, else the one the role acts for without saying so, else none."""
        return declared or self._default_purposes.get(role)

    def purposes_of(self, role: str | None) -> tuple[str, ...]:
        """The purposes that mean something to a role: its default, and those its lines name."""
        named = {line.purpose for line in self.lines if line.role == role} - {ANY_PURPOSE}
        default = self._default_purposes.get(role)
        return tuple(sorted(named | ({default} if default else set())))

    @cached_property
    def _default_purposes(self) -> Mapping[str | None, str]:
        return {role: purpose.code for purpose in self.purposes.values() for role in purpose.default_for}


def default_folder() -> Path:
    """The folder of policy files that ships with the gateway."""
    return Path(str(resources.files("policies")))


def load_policy(folder: Path, model: Model) -> Policy:
    """The policy in a folder, checked whole against the schema; raises `PolicyError`."""
    files = read_files(folder, ROLES)
    lines = _read_lines(folder, model, frozenset(files.purposes))
    _check_complete(lines, model)
    _put_to_casbin(folder / "model.conf", lines)
    check_files(folder, files, lines, PARTNER_ROLES, model)
    every_purpose: tuple[str | None, ...] = (None, *files.purposes)
    of_roles: dict[str | None, Iterable[Line]] = {None: UNDESIGNATED}
    of_roles |= {role: [line for line in lines if line.role == role] for role in ROLES}
    return Policy(
        version=_version(folder),
        lines=frozenset(lines),
        purposes=files.purposes,
        recipients=files.recipients,
        retention=files.retention,
        notice=files.notice,
        controller=files.controller,
        _grants={role: make_grants(role, of_role, every_purpose) for role, of_role in of_roles.items()},
    )


def _version(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in {".conf", ".csv", ".yaml"}):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _read_lines(folder: Path, model: Model, purposes: frozenset[str]) -> list[Line]:
    lines: list[Line] = []
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise PolicyError(f"{folder}: there is no policy file")
    seen: dict[Line, str] = {}
    coordinates = model.coordinates()
    for path in files:
        found = [(number, _read_line(row, place)) for number, row, place in _rows(path)]
        if not found:
            raise PolicyError(f"{path}: the file is empty")
        for (number, line), (_, following) in pairwise(found):
            if following < line:
                raise PolicyError(f"{path}:{number + 1}: the lines are not sorted")
        for number, line in found:
            place = f"{path}:{number}"
            if line.coordinate not in coordinates:
                raise PolicyError(f"{place}: the schema has no coordinate `{line.coordinate}`")
            _check_line(line, place, model, purposes)
            if line in seen:
                raise PolicyError(f"{place}: the same grant stands at {seen[line]}")
            seen[line] = place
            lines.append(line)
    return lines


def _rows(path: Path) -> Iterator[tuple[int, list[str], str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: the file is not readable in UTF-8") from error
    reader = csv.reader(text.splitlines(), skipinitialspace=True, strict=True)
    try:
        for row in reader:
            yield reader.line_num, row, f"{path}:{reader.line_num}"
    except csv.Error as error:
        raise PolicyError(f"{path}:{reader.line_num}: the line is not readable as CSV") from error


def _read_line(row: list[str], place: str) -> Line:
    if len(row) != 7 or row[0] != "p":
        raise PolicyError(f"{place}: a line is `p, role, coordinate, use, rows, purpose, reason`")
    if any(not value or value != value.strip() or "#" in value for value in row):
        raise PolicyError(f"{place}: a value is empty, has a comment or ends in a space")
    _, role, coordinate, use, rows, purpose, _reason = row
    if use not in tuple(Use):
        raise PolicyError(f"{place}: unknown use `{use}`; the uses are {', '.join(Use)}")
    return Line(role, coordinate, Use(use), rows, purpose)


def _check_line(line: Line, place: str, model: Model, purposes: frozenset[str]) -> None:
    if line.role not in ROLES:
        raise PolicyError(f"{place}: unknown role `{line.role}`; the roles are {', '.join(ROLES)}")
    if not row_rules.is_rule(line.rows):
        raise PolicyError(f"{place}: unknown row rule `{line.rows}`")
    if line.purpose != ANY_PURPOSE and line.purpose not in purposes:
        raise PolicyError(f"{place}: unknown purpose `{line.purpose}`")
    entity = model.entities.get(line.coordinate.partition(".")[0])
    if (entity is None) != (line.use is Use.EXECUTE):
        raise PolicyError(f"{place}: `{line.use}` is no use of `{line.coordinate}`")
    if entity is None:
        if line.rows != EVERY_ROW:
            raise PolicyError(f"{place}: an operation is executed on `{EVERY_ROW}` row")
        return
    _check_rows(line, place, entity.name, entity.table.name)
    field = entity.fields.get(line.coordinate.partition(".")[2])
    if line.use is Use.MASK and getattr(field and field.source, "mask", None) is None:
        raise PolicyError(f"{place}: `{line.coordinate}` has no mask")
    if line.use in WRITING and field is None:
        raise PolicyError(f"{place}: `{line.use}` is a use of fields, not of `{line.coordinate}`")


def _check_rows(line: Line, place: str, name: str, table: str) -> None:
    if not row_rules.speaks_of(line.rows, table):
        raise PolicyError(f"{place}: row rule `{line.rows}` says nothing of `{name}`")
    if row_rules.is_for_changes(line.rows) and line.use not in WRITING:
        raise PolicyError(f"{place}: row rule `{line.rows}` speaks of changes, and `{line.use}` is none")
    if line.rows == NEW_ROW and line.use is not Use.CREATE:
        raise PolicyError(f"{place}: row rule `{NEW_ROW}` means rows that are made, not `{line.use}`")


def _check_complete(lines: Iterable[Line], model: Model) -> None:
    held = list(lines)
    for role in ROLES:
        if not any(line.role == role for line in held):
            raise PolicyError(f"role `{role}` has no policy line")
    listed = {line.coordinate for line in held}
    for coordinate in sorted(model.coordinates() - listed):
        raise PolicyError(f"coordinate `{coordinate}` is in the schema and in no policy line")
    grants = {(line.role, line.coordinate, line.use, line.purpose, line.rows) for line in held}
    for line in held:
        if line.coordinate in model.entities:
            wanted = (line.role, f"{line.coordinate}.id", Use.READ, line.purpose, line.rows)
            if wanted not in grants:
                name = line.coordinate
                raise PolicyError(f"role `{line.role}` reads `{name}` without `{name}.id` on the same rows")


def _put_to_casbin(model_file: Path, lines: Iterable[Line]) -> None:
    """Asks Casbin once for each line; what it does not confirm is no grant, and stops the start."""
    by_role: dict[str, list[Line]] = {}
    for line in lines:
        by_role.setdefault(line.role, []).append(line)
    for of_role in by_role.values():
        # PERF: an enforcer compares a question with each of its lines. In small lots 5,000 lines take a tenth
        # of the 12 s that one enforcer a role takes (`python -m tests.bench --parts growth`).
        for first in range(0, len(of_role), LINES_AT_ONCE):
            lot = of_role[first : first + LINES_AT_ONCE]
            enforcer = _enforcer(model_file, lot)
            for line in lot:
                if not _confirms(enforcer, _request(line), model_file):
                    reason = f"Casbin does not confirm `{', '.join(_request(line))}`"
                    raise PolicyError(f"{model_file}: {reason}")
        _check_matcher(_enforcer(model_file, of_role[:1]), of_role[0], model_file)


def _check_matcher(enforcer: Any, line: Line, model_file: Path) -> None:
    """Refuses a matcher that overlooks a part of the question: it would confirm a line for anything there."""
    for place in range(len(_request(line))):
        asked = [*_request(line)]
        asked[place] = "no such value"
        if _confirms(enforcer, asked, model_file):
            raise PolicyError(f"{model_file}: the matcher overlooks part {place + 1} of a request")


def _request(line: Line) -> tuple[str, ...]:
    return (line.role, line.coordinate, str(line.use), line.rows, line.purpose)


def _confirms(enforcer: Any, request: Sequence[str], model_file: Path) -> bool:
    # An empty policy answers yes to empty arguments: they are never asked.
    if not all(request):
        return False
    try:
        return enforcer.enforce(*request) is True
    except Exception as error:  # Casbin raises bare exceptions; each of them is a no
        raise PolicyError(f"{model_file}: Casbin fails: {type(error).__name__}") from error


def _enforcer(model_file: Path, lines: Iterable[Line]) -> Any:
    try:
        model = casbin.Model()
        model.load_model(str(model_file))
        enforcer = casbin.Enforcer(model)
        added = enforcer.add_policies(
            [[line.role, line.coordinate, str(line.use), line.rows, line.purpose, "-"] for line in lines]
        )
    except Exception as error:  # Casbin raises bare exceptions; whatever it is, there is no policy
        raise PolicyError(f"{model_file}: Casbin cannot load the model: {type(error).__name__}") from error
    if not added:
        raise PolicyError(f"{model_file}: Casbin does not take the policy lines")
    return enforcer
