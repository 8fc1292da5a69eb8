"""Judges coordinates: what the caller sees of them, and what is refused. Every decision is made here.

Refusals are collected, one per coordinate and use, and the fields they hit become null.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from schema.model import Entity, Field

from ..errors import Location
from ..grants import AnyOperator, Comparison, ExactMatch, Grants, Masked, PerRow, Refused, Rows, Shown, Use
from .selections import Path
from .values import Refusal

# What everybody may ask: who they are, and how their data is handled.
ALWAYS = frozenset({"Query.viewer", "Query.privacyNotice"})


def may_ask(operations: frozenset[str], coordinate: str) -> bool:
    """Whether a root field may be asked by one who is limited to these; without any they may ask all."""
    return not operations or coordinate in operations or coordinate in ALWAYS


@dataclass(slots=True)
class Judge:
    """The judgements of one operation, for the grants of one role and purpose."""

    grants: Grants
    # The root fields the caller is limited to; without any, to none.
    operations: frozenset[str] = frozenset()
    refusals: dict[tuple[str, str | None], Refusal] = field(default_factory=dict)
    withheld: set[str] = field(default_factory=set)
    comparison_refused: bool = False
    conditions: int = 0

    def opens(self, coordinate: str, path: Path, location: Location | None) -> bool:
        """Whether a root field is among those the caller is limited to, if to any; no purpose would do."""
        if may_ask(self.operations, coordinate):
            return True
        self._refuse(coordinate, (), path, location)
        return False

    def cell(self, of: Field, path: Path, location: Location | None) -> Shown | Masked | PerRow | None:
        """What is seen of a field; None where it is refused."""
        match self.grants.cell(of.coordinate):
            case Refused(purposes):
                self._refuse(of.coordinate, purposes, path, location)
                return None
            case PerRow() as decision:
                if decision.withheld:
                    self.withheld.add(of.coordinate)
                return decision
            case Shown() | Masked() as decision:
                return decision

    def target(
        self, entity: Entity, through: str, path: Path, location: Location | None
    ) -> frozenset[str] | None:
        """The rules of an entity's rows; None where the type is refused, as the field that leads to it."""
        match self.grants.type_access(entity.name):
            case Rows(rules):
                return rules
            case Refused(purposes):
                self._refuse(through, purposes, path, location)
                return None

    def execution(self, coordinate: str, path: Path, location: Location | None) -> bool:
        """Whether a root field that is granted by itself may be asked."""
        match self.grants.execution(coordinate):
            case Rows():
                return True
            case Refused(purposes):
                self._refuse(coordinate, purposes, path, location)
                return False

    def writing(self, coordinate: str, use: Use, path: Path, location: Location | None) -> frozenset[str]:
        """The rules of the rows on which a field may be set; none where it is refused."""
        match self.grants.writing(coordinate, use):
            case Rows(rules):
                return rules
            case Refused(purposes):
                self._refuse(coordinate, purposes, path, location, use.value.upper(), nulled=path.keys[:1])
                return frozenset()

    def comparison(self, of: Field, path: Path, location: Location | None, *, exact: bool) -> bool:
        """Whether a field may stand in `where` with these operators; if not, its root field is null."""
        grants, coordinate = self.grants, of.coordinate
        decision = grants.comparison(coordinate) if exact else grants.full_comparison(coordinate)
        return self._compares(coordinate, decision, "FILTER", path, location)

    def sorting(self, of: Field, path: Path, location: Location | None) -> bool:
        """Whether a field may stand in `orderBy`; if not, its root field is null."""
        return self._compares(
            of.coordinate, self.grants.full_comparison(of.coordinate), "SORT", path, location
        )

    def _compares(
        self, coordinate: str, decision: Comparison, use: str, path: Path, location: Location | None
    ) -> bool:
        match decision:
            case AnyOperator() | ExactMatch():
                return True
            case Refused(purposes):
                self._refuse_comparison(coordinate, use, purposes, path, location)
                return False

    def related(
        self, of: Field, entity: Entity, path: Path, location: Location | None
    ) -> frozenset[str] | None:
        """The rules of the rows a filter may look at through a relation; None where it may not."""
        if not self.comparison(of, path, location, exact=False):
            return None
        match self.grants.type_access(entity.name):
            case Rows(rules):
                return rules
            case Refused(purposes):
                self._refuse_comparison(of.coordinate, "FILTER", purposes, path, location)
                return None

    def _refuse_comparison(
        self, coordinate: str, use: str, purposes: tuple[str, ...], path: Path, location: Location | None
    ) -> None:
        self.comparison_refused = True
        self._refuse(coordinate, purposes, path, location, use, nulled=path.keys[:1])

    def _refuse(
        self,
        coordinate: str,
        purposes: tuple[str, ...],
        path: Path,
        location: Location | None,
        use: str | None = None,
        nulled: tuple[str, ...] | None = None,
    ) -> None:
        refusal = Refusal(
            coordinate, use, purposes, path.keys, path.response_path if nulled is None else nulled, location
        )
        self.refusals.setdefault((coordinate, use), refusal)
