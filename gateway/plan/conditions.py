"""Plans `where` and `orderBy`: each key judged for its use before it becomes a condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schema.fields import Keys, Kind, ToMany, ToOne
from schema.model import Entity, Field

from ..config import Settings
from ..errors import Code, Location, fault
from .arguments import Leaf, Tree, as_list, literal, operand
from .judge import Judge
from .selections import Path
from .values import AllOf, AnyOf, Compare, Condition, IsNull, Not, Reading, Related, SortKey

EXACT = frozenset({"eq", "in"})
RELATION_WEIGHT = 10


@dataclass(frozen=True, slots=True)
class Conditions:
    """Plans the conditions of one list, reported under the list's path."""

    judge: Judge
    entities: Mapping[str, Entity]
    path: Path
    location: Location | None
    settings: Settings

    def where(self, entity: Entity, tree: Tree, depth: int = 1) -> Condition:
        """What a `TWhere` asks for. A refused key stands for nothing: its root field will be null."""
        parts: list[Condition] = []
        if depth > self.settings.depth_limit:
            message = f"conditions are nested deeper than {self.settings.depth_limit}"
            raise fault(Code.TOO_COMPLEX, message, self.location, cost=depth)
        for name, given in self._object(tree).items():
            self._count(1)
            match name:
                case "and":
                    parts.append(AllOf(self._each(entity, given, depth)))
                case "or":
                    parts.append(AnyOf(self._each(entity, given, depth)))
                case "not":
                    parts.append(Not(self.where(entity, given, depth + 1)))
                case _:
                    parts.extend(self._on_field(entity.fields[name], given, depth))
        return AllOf(tuple(parts))

    def _each(self, entity: Entity, tree: Tree, depth: int) -> tuple[Condition, ...]:
        given = self._list(tree)
        # The others count by their keys.
        self._count(sum(1 for item in given if item == {}))
        return tuple(self.where(entity, item, depth + 1) for item in given)

    def _count(self, weight: int) -> None:
        self.judge.conditions += weight
        if self.judge.conditions > self.settings.condition_limit:
            message = f"the operation has more conditions than {self.settings.condition_limit}"
            raise fault(Code.TOO_COMPLEX, message, self.location, cost=self.judge.conditions)

    def order(self, entity: Entity, tree: Tree) -> tuple[SortKey, ...]:
        """The keys of `orderBy`; raises BAD_VARIABLE where an entry has not exactly one."""
        keys = []
        for entry in self._list(tree):
            self._count(RELATION_WEIGHT)
            named = [(name, given) for name, given in self._object(entry).items() if given is not None]
            if len(named) != 1:
                raise fault(Code.BAD_VARIABLE, "each entry of `orderBy` names one field", self.location)
            name, direction = named[0]
            if self.judge.sorting(entity.fields[name], self.path, self.location) and isinstance(
                direction, Leaf
            ):
                keys.append(SortKey(entity.fields[name], literal(direction, Kind.ENUM) == "DESC"))
        return tuple(keys)

    def _on_field(self, field: Field, given: Tree, depth: int) -> list[Condition]:
        match field.source:
            case ToOne(target):
                return self._related(field, self.entities[target], given, depth)
            case ToMany(target):
                return self._quantified(field, self.entities[target], given, depth)
            case _:
                return self._compared(field, self._object(given))

    def _compared(self, field: Field, given: dict[str, Tree]) -> list[Condition]:
        exact = given.keys() <= EXACT
        if not self.judge.comparison(field, self.path, self.location, exact=exact):
            return []
        return [self._comparison(field, operator, tree) for operator, tree in given.items()]

    def _comparison(self, field: Field, operator: str, tree: Tree) -> Condition:
        kind = field.kind or Kind.STRING
        if operator == "isNull" and isinstance(tree, Leaf):
            return IsNull(field, literal(tree, Kind.BOOLEAN) is True)
        if operator == "in" and isinstance(tree, Leaf) and tree.variable is None:
            tree = as_list(tree)
        reading = None
        if kind is Kind.ID:
            of = field.source.target if isinstance(field.source, Keys) else field.coordinate.partition(".")[0]
            reading = Reading(Code.BAD_ID, frozenset({of}))
        return Compare(field, operator, operand(tree, kind, self.location, reading))

    def _related(self, field: Field, entity: Entity, given: Tree, depth: int) -> list[Condition]:
        self._count(RELATION_WEIGHT)
        rules = self.judge.related(field, entity, self.path, self.location)
        if rules is None:
            return []
        return [Related(field, entity, rules, self.where(entity, given, depth + 1))]

    def _quantified(self, field: Field, entity: Entity, given: Tree, depth: int) -> list[Condition]:
        rules = self.judge.related(field, entity, self.path, self.location)
        if rules is None:
            return []
        parts: list[Condition] = []
        for quantifier, tree in self._object(given).items():
            self._count(RELATION_WEIGHT)
            found = Related(field, entity, rules, self.where(entity, tree, depth + 1))
            parts.append(found if quantifier == "some" else Not(found))
        return parts

    def _object(self, tree: Tree) -> dict[str, Tree]:
        if not isinstance(tree, dict):
            raise fault(Code.BAD_VARIABLE, "a condition cannot be null: leave it out", self.location)
        return tree

    def _list(self, tree: Tree) -> list[Tree]:
        if tree is None:
            raise fault(Code.BAD_VARIABLE, "a list of conditions cannot be null: leave it out", self.location)
        return as_list(tree)
