"""The policy: read, linted, put to Casbin line by line, frozen. The only module that knows Casbin.

Takes the files of `policies/`. Gives a `Policy`: grants per role and purpose, purposes, notice, version.
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
import yaml

from schema.model import Model
from schema.states import StaffRole

from . import row_rules
from .errors import PolicyError
from .grants import ANY_PURPOSE, Grants, Line, Use, make_grants

ROLES = ("anonymous", "customer", *(role.value for role in StaffRole), "carrier", "newsletter")
STAFF = frozenset(role.value for role in StaffRole)
PARTNER_ROLES = ("carrier", "newsletter")
WRITING = frozenset({Use.CREATE, Use.UPDATE})
# The rows of an operation, which has none, and those that are only being made.
EVERY_ROW, NEW_ROW = "every", "new"
# What an employee without a designation may do.
UNDESIGNATED = (
    Line("", "Query.privacyNotice", Use.EXECUTE, "every", ANY_PURPOSE),
    Line("", "Query.viewer", Use.EXECUTE, "every", ANY_PURPOSE),
)


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why data may be processed (GDPR Article 5(1)(b)), with its lawful basis (Article 6(1))."""

    code: str
    basis: tuple[str, ...]
    description: str
    default_for: frozenset[str]


@dataclass(frozen=True, slots=True)
class Notice:
    """The privacy notice in force (GDPR Article 13)."""

    version: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Policy:
    """A policy that passed every check. `version` is a digest of all its files."""

    version: str
    lines: frozenset[Line]
    purposes: Mapping[str, Purpose]
    notice: Notice
    _grants: Mapping[str | None, Mapping[str | None, Grants]]

    def grants(self, role: str | None, purpose: str | None) -> Grants:
        """The grants of a role for a declared purpose, or for the role's only one; None: no designation."""
        return self._grants[role][self.effective_purpose(role, purpose)]

    def became(self, role: str | None) -> Grants | None:
        """The grants by which a role is answered about what it has just made, where it becomes another's."""
        return self.grants("customer", None) if role == "anonymous" else None

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
    purposes = _read_purposes(folder / "purposes.yaml")
    lines = _read_lines(folder, model, frozenset(purposes))
    _check_complete(lines, model)
    _put_to_casbin(folder / "model.conf", lines)
    _check_recipients(folder / "recipients.yaml", model, frozenset(purposes))
    _read_list(folder / "retention.yaml", {"rule": str, "after": str, "period": str})
    every_purpose: tuple[str | None, ...] = (None, *purposes)
    of_roles: dict[str | None, Iterable[Line]] = {None: UNDESIGNATED}
    of_roles |= {role: [line for line in lines if line.role == role] for role in ROLES}
    return Policy(
        version=_version(folder),
        lines=frozenset(lines),
        purposes=purposes,
        notice=_read_notice(folder / "notice.yaml"),
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
    for path in files:
        found = [(number, _read_line(row, place)) for number, row, place in _rows(path)]
        if not found:
            raise PolicyError(f"{path}: the file is empty")
        for (number, line), (_, following) in pairwise(found):
            if following < line:
                raise PolicyError(f"{path}:{number + 1}: the lines are not sorted")
        for number, line in found:
            place = f"{path}:{number}"
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
    if line.coordinate not in model.coordinates():
        raise PolicyError(f"{place}: the schema has no coordinate `{line.coordinate}`")
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
        enforcer = _enforcer(model_file, of_role)
        for line in of_role:
            if not _confirms(enforcer, _request(line), model_file):
                raise PolicyError(f"{model_file}: Casbin does not confirm `{', '.join(_request(line))}`")
        # A matcher that overlooks a part of the question would confirm this line for anything in its place.
        for place in range(len(_request(of_role[0]))):
            asked = [*_request(of_role[0])]
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


def _read_yaml(path: Path) -> Any:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PolicyError(f"{path}: the file is missing or not readable as YAML in UTF-8") from error
    if not found:
        raise PolicyError(f"{path}: the file is empty")
    return found


def _read_list(path: Path, keys: Mapping[str, type]) -> list[dict[str, Any]]:
    found = _read_yaml(path)
    if not isinstance(found, list):
        raise PolicyError(f"{path}: the file is a list")
    for number, entry in enumerate(found, 1):
        if not isinstance(entry, dict):
            raise PolicyError(f"{path}: entry {number} is no mapping")
        for key, kind in keys.items():
            value = entry.get(key)
            if not isinstance(value, kind) or (kind is str and not value):
                raise PolicyError(f"{path}: entry {number} needs `{key}`, a {NAMES[kind]}")
            if kind is list and not all(isinstance(item, str) and item for item in entry[key]):
                raise PolicyError(f"{path}: entry {number}: `{key}` is a list of texts")
    return found


NAMES: Mapping[type, str] = {str: "text", list: "list"}


def _read_purposes(path: Path) -> dict[str, Purpose]:
    purposes: dict[str, Purpose] = {}
    defaults: set[str] = set()
    for entry in _read_list(path, {"code": str, "basis": list, "default_for": list, "description": str}):
        code = entry["code"]
        if code in purposes or code == ANY_PURPOSE:
            raise PolicyError(f"{path}: purpose `{code}` stands twice or is reserved")
        default_for = frozenset(entry["default_for"])
        if unknown := default_for - frozenset(ROLES):
            raise PolicyError(f"{path}: unknown role `{min(unknown)}`")
        if doubled := default_for & defaults:
            raise PolicyError(f"{path}: role `{min(doubled)}` has two default purposes")
        defaults |= default_for
        purposes[code] = Purpose(code, tuple(entry["basis"]), entry["description"], default_for)
    return purposes


def _check_recipients(path: Path, model: Model, purposes: frozenset[str]) -> None:
    keys = {"name": str, "role": str, "purposes": list, "fields": list, "contact": str}
    for entry in _read_list(path, keys):
        if unknown := set(entry["purposes"]) - purposes:
            raise PolicyError(f"{path}: `{entry['name']}`: unknown purpose `{min(unknown)}`")
        if unknown := set(entry["fields"]) - model.coordinates():
            raise PolicyError(f"{path}: `{entry['name']}`: the schema has no coordinate `{min(unknown)}`")


def _read_notice(path: Path) -> Notice:
    found = _read_yaml(path)
    if not isinstance(found, dict) or not found.get("version") or not found.get("text"):
        raise PolicyError(f"{path}: the notice needs `version` and `text`")
    return Notice(str(found["version"]), str(found["text"]))
