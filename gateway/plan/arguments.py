"""The arguments of a field as a tree: its structure is planned, its leaves are bound when the SQL runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FieldNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)

from schema.fields import Kind
from schema.model import text_of
from schema.scalars import parse_date, parse_decimal, parse_time

from ..errors import Code, Location, fault
from ..operation import location_of
from .values import FromVariable, Given, Listed, Operand, Reading


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is no object: a literal, or a place inside a variable."""

    node: ValueNode
    variable: FromVariable | None
    value: object  # of the variable; a literal's is read by its kind

    @property
    def location(self) -> Location | None:
        """Where it stands in the document."""
        return location_of(self.node)


Tree = dict[str, "Tree"] | list["Tree"] | Leaf | None


class Trees:
    """The trees of the values given in one operation; that of a variable is made once, however often used."""

    def __init__(self, variables: Mapping[str, object]) -> None:
        self._variables = variables
        self._made: dict[str, Tree] = {}

    def is_absent(self, node: ValueNode) -> bool:
        """Whether a value is a variable without a value: as if it had not been written (section 3.10)."""
        return isinstance(node, VariableNode) and node.name.value not in self._variables

    def of(self, node: ValueNode) -> Tree:
        """The tree of a value."""
        match node:
            case VariableNode():
                name = node.name.value
                if name not in self._made:
                    place = FromVariable(name, ())
                    self._made[name] = _inside(node, self._variables.get(name), place)
                return self._made[name]
            case NullValueNode():
                return None
            case ObjectValueNode():
                kept = [entry for entry in node.fields if not self.is_absent(entry.value)]
                return {entry.name.value: self.of(entry.value) for entry in kept}
            case ListValueNode():
                return [self.of(entry) for entry in node.values]
            case _:
                return Leaf(node, None, None)


class Arguments:
    """The arguments given to a field; an absent variable leaves its argument absent."""

    def __init__(self, node: FieldNode, trees: Trees) -> None:
        self.location = location_of(node)
        self._given = {
            argument.name.value: trees.of(argument.value)
            for argument in node.arguments or ()
            if not trees.is_absent(argument.value)
        }

    def get(self, name: str) -> Tree:
        """The argument's tree; None where it is absent or null."""
        return self._given.get(name)

    def given(self) -> list[str]:
        """The names of the arguments that are neither absent nor null."""
        return [name for name, tree in self._given.items() if tree is not None]


def _inside(node: VariableNode, value: object, place: FromVariable) -> Tree:
    match value:
        case None:
            return None
        case dict():
            return {
                key: _inside(node, item, FromVariable(place.name, (*place.path, key)))
                for key, item in value.items()
            }
        case list() if not value or isinstance(value[0], dict):
            return [
                _inside(node, item, FromVariable(place.name, (*place.path, index)))
                for index, item in enumerate(value)
            ]
        case _:
            return Leaf(node, place, value)


def as_list(tree: Tree) -> list[Tree]:
    """A tree where a list is asked for: a single entry stands for a list of one (section 3.12)."""
    return tree if isinstance(tree, list) else [tree]


def literal(leaf: Leaf, kind: Kind) -> object:
    """The value of a leaf at planning: of a literal by its kind, of a variable as coerced."""
    if leaf.variable is not None:
        return text_of(leaf.value)
    match leaf.node:
        case IntValueNode(value=text) if kind is Kind.INTEGER:
            return int(text)
        case IntValueNode(value=text) if kind is Kind.DECIMAL:
            return parse_decimal(text)
        case IntValueNode(value=text):
            return text
        case StringValueNode(value=text) if kind is Kind.TIME:
            return parse_time(text)
        case StringValueNode(value=text) if kind is Kind.DATE:
            return parse_date(text)
        case StringValueNode(value=text) if kind is Kind.DECIMAL:
            return parse_decimal(text)
        case StringValueNode(value=text) | EnumValueNode(value=text):
            return text
        case BooleanValueNode(value=truth):
            return truth
    raise AssertionError("validation lets no other literal stand here")


def operand(tree: Tree, kind: Kind, location: Location | None, reading: Reading | None = None) -> Operand:
    """The value of a tree, to be bound when the statement runs; raises BAD_VARIABLE where it is null."""
    match tree:
        case Leaf():
            return Operand(_source(tree, kind), tree.location, reading)
        case list():
            return Operand(Listed(tuple(_entry(item, kind, location) for item in tree)), location, reading)
        case _:
            raise fault(Code.BAD_VARIABLE, "null cannot be compared with: ask `isNull`", location)


def _entry(tree: Tree, kind: Kind, location: Location | None) -> Given | FromVariable:
    if not isinstance(tree, Leaf):
        raise fault(Code.BAD_VARIABLE, "null cannot be compared with: ask `isNull`", location)
    return _source(tree, kind)


def _source(leaf: Leaf, kind: Kind) -> Given | FromVariable:
    # An enum's text is looked at when planning, so that the variable's member need not be translated later.
    if leaf.variable is None or (kind is Kind.ENUM and not isinstance(leaf.value, list)):
        return Given(literal(leaf, kind))
    return leaf.variable
