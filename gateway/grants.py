"""What a role may do for a purpose, frozen when the policy is loaded. A request reads these and nothing else.

A decision is a type: `Shown`, `Masked`, `PerRow` or `Refused`; there is no default and no bare boolean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from . import row_rules


class Use(StrEnum):
    """What a grant lets its holder do with a coordinate."""

    READ = "read"
    MASK = "mask"
    FILTER = "filter"
    CREATE = "create"
    UPDATE = "update"
    AGGREGATE = "aggregate"
    EXECUTE = "execute"


ANY_PURPOSE = "any"


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One policy line: one grant."""

    role: str
    coordinate: str
    use: Use
    rows: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Shown:
    """The value, on every row of the type the caller may see."""


@dataclass(frozen=True, slots=True)
class Masked:
    """What the mask leaves, on every row of the type the caller may see."""


@dataclass(frozen=True, slots=True)
class PerRow:
    """The value where a rule of `read` means the row, else the mask where one of `mask` does, else null.

    `withheld` says that some rows of the type may have neither.
    """

    read: frozenset[str]
    mask: frozenset[str]
    withheld: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing for this purpose; `purposes` are those that would do, if any."""

    purposes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a type that exist for the caller."""

    rules: frozenset[str]


@dataclass(frozen=True, slots=True)
class AnyOperator:
    """The field may be compared and sorted by as one likes."""


@dataclass(frozen=True, slots=True)
class ExactMatch:
    """The field may be looked up by its exact value, and not sorted by."""


Cell = Shown | Masked | PerRow | Refused
TypeAccess = Rows | Refused
Comparison = AnyOperator | ExactMatch | Refused


@dataclass(frozen=True)
class Grants:
    """The grants of one role for one purpose (`None`: none declared, and none by default)."""

    role: str | None
    purpose: str | None
    lines: frozenset[Line]
    _held: Mapping[tuple[str, Use], frozenset[str]] = field(repr=False)
    _elsewhere: Mapping[tuple[str, Use], tuple[str, ...]] = field(repr=False)

    def type_access(self, type_name: str) -> TypeAccess:
        """Which rows of a type exist for the caller."""
        if rules := self._rules(type_name, Use.READ):
            return Rows(rules)
        return self._refused(type_name, Use.READ)

    def cell(self, coordinate: str) -> Cell:
        """What the caller sees of a field, on the rows of its type that exist for them."""
        read, mask = self._rules(coordinate, Use.READ), self._rules(coordinate, Use.MASK)
        if not read and not mask:
            return self._refused(coordinate, Use.READ, Use.MASK)
        rows = self._rules(coordinate.partition(".")[0], Use.READ)
        if _covers(read, rows):
            return Shown()
        if not read and _covers(mask, rows):
            return Masked()
        return PerRow(read, mask, withheld=not _covers(read | mask, rows))

    def comparison(self, coordinate: str) -> Comparison:
        """How the field may stand in `where`: only where it may be read on every row, or by `filter`."""
        rows = self._rules(coordinate.partition(".")[0], Use.READ)
        if _covers(self._rules(coordinate, Use.READ), rows):
            return AnyOperator()
        if _covers(self._rules(coordinate, Use.FILTER), rows):
            return ExactMatch()
        return self._refused(coordinate, Use.READ, Use.FILTER)

    def sorting(self, coordinate: str) -> AnyOperator | Refused:
        """Whether the field may stand in `orderBy`: only where it may be read on every row."""
        match self.comparison(coordinate):
            case AnyOperator():
                return AnyOperator()
            case _:
                return self._refused(coordinate, Use.READ)

    def execution(self, coordinate: str) -> Rows | Refused:
        """Whether the caller may call an operation."""
        if rules := self._rules(coordinate, Use.EXECUTE):
            return Rows(rules)
        return self._refused(coordinate, Use.EXECUTE)

    def coordinates(self) -> Mapping[str, frozenset[Use]]:
        """Every coordinate the caller holds a grant for, with its uses."""
        found: dict[str, set[Use]] = {}
        for coordinate, use in self._held:
            found.setdefault(coordinate, set()).add(use)
        return {coordinate: frozenset(uses) for coordinate, uses in sorted(found.items())}

    def _rules(self, coordinate: str, use: Use) -> frozenset[str]:
        return self._held.get((coordinate, use), frozenset())

    def _refused(self, coordinate: str, *uses: Use) -> Refused:
        purposes = {purpose for use in uses for purpose in self._elsewhere.get((coordinate, use), ())}
        return Refused(tuple(sorted(purposes)))


def _covers(rules: frozenset[str], rows: frozenset[str]) -> bool:
    return bool(rules and rows) and all(row_rules.is_within(row, rules) for row in rows)


def make_grants(role: str | None, purpose: str | None, lines: Iterable[Line]) -> Grants:
    """The grants a role's confirmed lines give it for a purpose: those for `any`, and those for it."""
    held: dict[tuple[str, Use], set[str]] = {}
    elsewhere: dict[tuple[str, Use], set[str]] = {}
    of_role = frozenset(line for line in lines if line.role == role)
    for line in of_role:
        key = (line.coordinate, line.use)
        if line.purpose in (ANY_PURPOSE, purpose):
            held.setdefault(key, set()).add(line.rows)
        else:
            elsewhere.setdefault(key, set()).add(line.purpose)
    return Grants(
        role,
        purpose,
        frozenset(line for line in of_role if line.purpose in (ANY_PURPOSE, purpose)),
        {key: frozenset(rules) for key, rules in held.items()},
        {key: tuple(sorted(purposes)) for key, purposes in elsewhere.items()},
    )
