"""What a role may do for a purpose, frozen when the policy is loaded. A request reads these and nothing else.

A decision is a type: `Shown`, `Masked`, `PerRow` or `Refused`; there is no default and no bare boolean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schema.mutation import Input

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

    `known` are the rules of the type's rows; `withheld` says that some of them may have neither.
    """

    read: frozenset[str]
    mask: frozenset[str]
    known: frozenset[str]
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


@dataclass(frozen=True, slots=True)
class Guard:
    """A coordinate, and the rules of the rows on which it may be set."""

    coordinate: str
    rules: frozenset[str]


Cell = Shown | Masked | PerRow | Refused
TypeAccess = Rows | Refused
Comparison = AnyOperator | ExactMatch | Refused


@dataclass(frozen=True)
class Grants:
    """The grants of one role for one purpose (`None`: none declared, and none by default)."""

    role: str | None
    purpose: str | None
    _held: Mapping[tuple[str, Use], frozenset[str]] = field(repr=False)
    # The same role's grants for every purpose, to tell which purposes would do.
    _by_purpose: Mapping[str | None, Grants] = field(repr=False)
    # What `settable` gave, by the input's name.
    _settable: dict[str, Mapping[str, Guard | None]] = field(default_factory=dict, repr=False, compare=False)

    def type_access(self, type_name: str) -> TypeAccess:
        """Which rows of a type exist for the caller."""
        if rules := self._rules(type_name, Use.READ):
            return Rows(rules)
        return self._refused(lambda grants: bool(grants._rules(type_name, Use.READ)))

    def cell(self, coordinate: str) -> Cell:
        """What the caller sees of a field, on the rows of its type that exist for them."""
        read, mask = self._rules(coordinate, Use.READ), self._rules(coordinate, Use.MASK)
        if not read and not mask:
            return self._refused(lambda grants: grants._sees(coordinate))
        if self._covers(coordinate, Use.READ):
            return Shown()
        if not read and self._covers(coordinate, Use.MASK):
            return Masked()
        known = self._rules(coordinate.partition(".")[0], Use.READ)
        return PerRow(read, mask, known, withheld=not self._covers(coordinate, Use.READ, Use.MASK))

    def comparison(self, coordinate: str) -> Comparison:
        """How the field may stand in `where`: only where it may be read on every row, or by `filter`."""
        if self._covers(coordinate, Use.READ):
            return AnyOperator()
        if self._covers(coordinate, Use.FILTER):
            return ExactMatch()
        return self._refused(
            lambda grants: grants._covers(coordinate, Use.READ) or grants._covers(coordinate, Use.FILTER)
        )

    def full_comparison(self, coordinate: str) -> AnyOperator | Refused:
        """Whether the field may be compared and sorted by freely: only where it is read on every row."""
        if self._covers(coordinate, Use.READ):
            return AnyOperator()
        return self._refused(lambda grants: grants._covers(coordinate, Use.READ))

    def execution(self, coordinate: str) -> Rows | Refused:
        """Whether the caller may call an operation."""
        if rules := self._rules(coordinate, Use.EXECUTE):
            return Rows(rules)
        return self._refused(lambda grants: bool(grants._rules(coordinate, Use.EXECUTE)))

    def writing(self, coordinate: str, use: Use) -> Rows | Refused:
        """The rows on which a field may be set or changed."""
        if rules := self._rules(coordinate, use):
            return Rows(rules)
        return self._refused(lambda grants: bool(grants._rules(coordinate, use)))

    def settable(self, of: Input) -> Mapping[str, Guard | None]:
        """The granted plain fields of an input with their guards; none for what is of no entity.

        A field that is refused, holds another input or names coordinates is not among them.
        """
        found = self._settable.get(of.name)
        if found is None:
            found = self._settable[of.name] = dict(self._guards(of))
        return found

    def coordinates(self) -> Mapping[str, frozenset[Use]]:
        """Every coordinate the caller holds a grant for, with its uses."""
        found: dict[str, set[Use]] = {}
        for coordinate, use in self._held:
            found.setdefault(coordinate, set()).add(use)
        return {coordinate: frozenset(uses) for coordinate, uses in sorted(found.items())}

    def _rules(self, coordinate: str, use: Use) -> frozenset[str]:
        return self._held.get((coordinate, use), frozenset())

    def _guards(self, of: Input) -> Iterator[tuple[str, Guard | None]]:
        for name, one in of.fields.items():
            if one.nested is not None or one.reads_fields:
                continue
            if one.coordinate is None:
                yield name, None
            elif rules := self._rules(one.coordinate, Use(of.writes.value)):
                yield name, Guard(one.coordinate, rules)

    def _sees(self, coordinate: str) -> bool:
        return bool(self._rules(coordinate, Use.READ) or self._rules(coordinate, Use.MASK))

    def _covers(self, coordinate: str, *uses: Use) -> bool:
        """Whether the uses together are held on every row of the coordinate's type."""
        rules = frozenset().union(*(self._rules(coordinate, use) for use in uses))
        rows = self._rules(coordinate.partition(".")[0], Use.READ)
        return bool(rules and rows) and all(row_rules.is_within(row, rules) for row in rows)

    def _refused(self, would_do: Callable[[Grants], bool]) -> Refused:
        others = self._by_purpose.items()
        return Refused(tuple(sorted(code for code, grants in others if code and would_do(grants))))


def make_grants(
    role: str | None, lines: Iterable[Line], purposes: Iterable[str | None]
) -> Mapping[str | None, Grants]:
    """A role's grants for each purpose, from its confirmed lines: those for `any`, and those for it."""
    by_purpose: dict[str | None, Grants] = {}
    kept = list(lines)
    for purpose in purposes:
        held: dict[tuple[str, Use], frozenset[str]] = {}
        for line in kept:
            if line.purpose in (ANY_PURPOSE, purpose):
                key = (line.coordinate, line.use)
                held[key] = held.get(key, frozenset()) | {line.rows}
        by_purpose[purpose] = Grants(role, purpose, held, by_purpose)
    return by_purpose
