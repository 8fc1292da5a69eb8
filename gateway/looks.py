"""What of an operation's variables its plan may depend on: shapes, page sizes, types in global ids. Pure.

Takes a valid operation. Gives a look for each variable; a value that is only bound is in none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from functools import partial

from graphql import (
    SKIP,
    ArgumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    OperationType,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)

from schema.scalars import read_global_id

VALUE = object()
Look = Callable[[object], object]


def looks_of(
    definition: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    schema: GraphQLSchema,
) -> tuple[tuple[str, Look], ...]:
    """The looks of the variables of an operation, which no other of its document takes part in."""
    usage = _Usage(schema.type_map)
    nodes = _reached(definition, fragments, usage)
    inputs = _used_in_inputs_alone(nodes)
    names = [node.variable.name.value for node in definition.variable_definitions or ()]
    return tuple((name, usage.look(name)) for name in names if name not in inputs)


def _reached(
    definition: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode], found: _Usage
) -> list[Node]:
    """An operation and the fragments it spreads, each visited once by what finds them."""
    nodes: list[Node] = [definition]
    reached = set[str]()
    for node in nodes:
        visit(node, found)
        nodes += [fragments[name] for name in sorted(found.fragments - reached)]
        reached |= found.fragments
    return nodes


def _used_in_inputs_alone(nodes: Sequence[Node]) -> frozenset[str]:
    """The variables that stand in a mutation's `input` alone: the gate reads them, the plan does not."""
    definition = nodes[0]
    assert isinstance(definition, OperationDefinitionNode)  # noqa: S101  # it reaches the others
    if definition.operation is not OperationType.MUTATION:
        return frozenset()
    usage = _Inputs()
    for node in nodes:
        visit(node, usage)
    return frozenset(usage.inside - usage.outside)


def variables_of(nodes: Iterable[Node], fragments: Mapping[str, FragmentDefinitionNode]) -> frozenset[str]:
    """The variables used in these nodes and in the fragments they spread."""
    found = _Variables()
    waiting, spread = list(nodes), set[str]()
    while waiting:
        visit(waiting.pop(), found)
        for name in found.fragments - spread:
            spread.add(name)
            waiting.append(fragments[name])
    return frozenset(found.names)


def _shape(value: object) -> object:
    """The structure of an input value without its leaves, which are only bound."""
    match value:
        case None | bool() | Enum():
            return value
        case dict():
            return tuple((key, _shape(item)) for key, item in value.items())
        case list() if not value or isinstance(value[0], dict):
            return tuple(_shape(item) for item in value)
        case _:
            return VALUE


def _page_size(value: object) -> object:
    return value


def _types_of_ids(known: Collection[str], value: object) -> object:
    """How many ids they are, of which of the known types; None stands for any other text before the colon."""
    ids = value if isinstance(value, list) else [value]
    found = [read_global_id(text) if isinstance(text, str) else None for text in ids]
    return frozenset(one[0] if one is not None and one[0] in known else None for one in found), len(ids)


def _all(looks: Sequence[Look], value: object) -> object:
    return tuple(look(value) for look in looks)


class _Usage(Visitor):
    """Finds the variables that are page sizes or ids of unknown type, and the fragments that are spread."""

    def __init__(self, known: Collection[str]) -> None:
        super().__init__()
        self.looks: dict[str, set[Look]] = {}
        self.fragments: set[str] = set()
        self._types_of_ids: Look = partial(_types_of_ids, known)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.fragments.add(node.name.value)

    def enter_field(self, node: FieldNode, *_: object) -> None:
        for argument in node.arguments or ():
            name = argument.name.value
            if name in ("first", "last"):
                look: Look = _page_size
            elif node.name.value in ("node", "nodes") and name in ("id", "ids"):
                look = self._types_of_ids
            else:
                continue
            found = _Variables()
            visit(argument.value, found)
            for variable in found.names:
                self.looks.setdefault(variable, set()).add(look)

    def look(self, variable: str) -> Look:
        """What a plan may depend on of a variable: its shape, and what each of its places looks at."""
        more = self.looks.get(variable)
        return _shape if more is None else partial(_all, (_shape, *more))


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.fragments: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.names.add(node.name.value)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.fragments.add(node.name.value)


class _Inputs(Visitor):
    """Finds the variables that stand in arguments called `input`, and those that stand elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: set[str] = set()
        self.outside: set[str] = set()

    def enter_argument(self, node: ArgumentNode, *_: object) -> object:
        if node.name.value != "input":
            return None
        found = _Variables()
        visit(node.value, found)
        self.inside |= found.names
        return SKIP

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: object) -> object:
        return SKIP

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.outside.add(node.name.value)
