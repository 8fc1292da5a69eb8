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
from schema.scalars import parse_decimal, parse_time

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


class Arguments:
    """The arguments given to a field; an absent variable leaves its argument absent."""

    def __init__(self, node: FieldNode, variables: Mapping[str, object]) -> None:
        self.location = location_of(node)
        self._given: dict[str, Tree] = {}
        for argument in node.arguments or ():
            value = argument.value
            if isinstance(value, VariableNode) and value.name.value not in variables:
                continue
            self._given[argument.name.value] = _read(value, variables)

    def get(self, name: str) -> Tree:
        """The argument's tree; None where it is absent or null."""
        return self._given.get(name)

    def given(self) -> list[str]:
        """The names of the arguments that are neither absent nor null."""
        return [name for name, tree in self._given.items() if tree is not None]


def _read(node: ValueNode, variables: Mapping[str, object]) -> Tree:
    match node:
        case VariableNode():
            name = node.name.value
            return _inside(node, variables.get(name), FromVariable(name, ()))
        case NullValueNode():
            return None
        case ObjectValueNode():
            return {
                entry.name.value: _read(entry.value, variables)
                for entry in node.fields
                if not (isinstance(entry.value, VariableNode) and entry.value.name.value not in variables)
            }
        case ListValueNode():
            return [_read(entry, variables) for entry in node.values]
        case _:
            return Leaf(node, None, None)


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
