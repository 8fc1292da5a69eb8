"""Judges coordinates: what the caller sees of them, and what is refused. Every decision is made here.

Refusals are collected, one per coordinate and use, and the fields they hit become null.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from graphql import Node

from schema.model import Entity, Field

from ..errors import Location
from ..grants import AnyOperator, Comparison, ExactMatch, Grants, Masked, PerRow, Refused, Rows, Shown, Use
from ..operation import location_of
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
    # The personal fields a partner may be given; None for who is no partner.
    disclosable: frozenset[str] | None = None
    # The purposes that allow lists of many people, where the operation is such a list; else None.
    listing: frozenset[str] | None = None
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
        if self._is_kept_from_partner(of):
            self._refuse(of.coordinate, (), path, location)
            return None
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

    def writing(self, coordinate: str, use: Use, path: Path, name: str, node: Node) -> frozenset[str]:
        """The rules of the rows on which an input's field may be set; none where it is refused."""
        match self.grants.writing(coordinate, use):
            case Rows(rules):
                return rules
            case Refused(purposes):
                below, use_name = path.child(name), use.value.upper()
                self._refuse(coordinate, purposes, below, location_of(node), use_name, path.keys[:1])
                return frozenset()

    def naming(self, coordinate: str, path: Path, location: Location | None) -> None:
        """Refuses a coordinate that an input names, unless it is read unmasked wherever its type is seen."""
        match self.grants.cell(coordinate):
            case Shown():
                return
            case Refused(purposes):
                self._refuse(coordinate, purposes, path, location, nulled=path.keys[:1])
            case _:
                self._refuse(coordinate, (), path, location, nulled=path.keys[:1])

    def comparison(self, of: Field, path: Path, location: Location | None, *, exact: bool) -> bool:
        """Whether a field may stand in `where` with these operators; if not, its root field is null."""
        grants, coordinate = self.grants, of.coordinate
        if self._is_kept_from_partner(of):
            return self._compares(coordinate, Refused(), "FILTER", path, location)
        decision = grants.comparison(coordinate) if exact else grants.full_comparison(coordinate)
        return self._compares(coordinate, decision, "FILTER", path, location)

    def sorting(self, of: Field, path: Path, location: Location | None) -> bool:
        """Whether a field may stand in `orderBy`; if not, its root field is null."""
        kept = self._is_kept_from_partner(of)
        decision = Refused() if kept else self.grants.full_comparison(of.coordinate)
        return self._compares(of.coordinate, decision, "SORT", path, location)

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

    def _is_kept_from_partner(self, of: Field) -> bool:
        return self.disclosable is not None and of.personal and of.coordinate not in self.disclosable

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
        nulled = path.response_path if nulled is None else nulled
        if self.listing is not None:
            # What an allowed list would show is refused for being a list.
            would_do = tuple(purpose for purpose in purposes if purpose in self.listing)
            is_list = self.grants.purpose is None and bool(purposes)
            refusal = Refusal(coordinate, use, would_do, path.keys, nulled, location, is_list)
        else:
            refusal = Refusal(coordinate, use, purposes, path.keys, nulled, location)
        self.refusals.setdefault((coordinate, use), refusal)
