"""Made-up variables for a document, so that it can be planned before anybody sends it.

A plan depends on what of the variables there is, on page sizes, on conditions of directives and on the types
in global ids: samples differ in those, and in nothing else.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from graphql import (
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    InlineFragmentNode,
    Node,
    NonNullTypeNode,
    VariableDefinitionNode,
    Visitor,
    get_named_type,
    is_required_input_field,
    type_from_ast,
    visit,
)

from schema.model import Model
from schema.scalars import global_id

from ..operation import Operation

KEY = uuid.UUID("00000000-0000-7000-8000-000000000000")
# Up to how many conditions are tried in every way.
MOST_CONDITIONS = 6
SCALARS: Mapping[str, Any] = {
    "String": "x",
    "Float": 1.0,
    "DateTime": "2026-01-01T00:00:00Z",
    "Decimal": "1.00",
    "CurrencyCode": "EUR",
    "UUID": str(KEY),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """In what samples differ: which conditions hold, how long pages are, of what types ids are."""

    truths: Mapping[str, bool]
    page: int
    entity: str

    def value(self, name: str, kind: GraphQLInputType) -> Any:
        """The value of a variable of this name and type."""
        return self.truths[name] if name in self.truths else value_of(kind, self)


def samples_of(operation: Operation, model: Model, page: int) -> Iterator[Sample]:
    """The samples that can make a difference to an operation, with pages of a length."""
    kinds = {name: str(get_named_type(kind)) for name, kind in types_of(operation, model).items()}
    entities = _entities(operation, model) if "ID" in kinds.values() else []
    conditions = [name for name, kind in kinds.items() if kind == "Boolean"]
    for truths, entity in product(_truths(conditions), entities or ["Customer"]):
        yield Sample(truths, page, entity)


def _truths(names: Sequence[str]) -> list[Mapping[str, bool]]:
    """Which conditions hold together: every way for a few; of more all, none, all but one, and one alone."""
    if len(names) <= MOST_CONDITIONS:
        return [dict(zip(names, each, strict=True)) for each in product((True, False), repeat=len(names))]
    ways = [dict.fromkeys(names, truth) for truth in (True, False)]
    return [*ways, *({**way, name: not way[name]} for way in ways for name in names)]


def types_of(operation: Operation, model: Model) -> Mapping[str, GraphQLInputType]:
    """The types of an operation's variables, by name."""
    found: dict[str, Any] = {
        definition.variable.name.value: type_from_ast(model.graphql, definition.type)
        for definition in operation.definition.variable_definitions or ()
    }
    return found


def required(operation: Operation) -> frozenset[str]:
    """The variables that every client has to give."""

    def is_required(definition: VariableDefinitionNode) -> bool:
        return isinstance(definition.type, NonNullTypeNode) and definition.default_value is None

    definitions = operation.definition.variable_definitions or ()
    return frozenset(one.variable.name.value for one in definitions if is_required(one))


def value_of(kind: GraphQLInputType, sample: Sample) -> Any:
    """A value of a type; of an input object what has to be there, and nothing else."""
    match kind:
        case GraphQLNonNull(of_type=inner):
            return value_of(inner, sample)
        case GraphQLList(of_type=inner):
            value = value_of(inner, sample)
            return [] if value == {} else [value]
        case GraphQLInputObjectType(fields=fields):
            needed = {name: one for name, one in fields.items() if is_required_input_field(one)}
            return {name: value_of(one.type, sample) for name, one in needed.items()}
        case GraphQLEnumType(values=values):
            return next(iter(values))
    return _scalar(str(kind), sample)


def _scalar(name: str, sample: Sample) -> Any:
    match name:
        case "Boolean":
            return True
        case "Int":
            return sample.page
        case "ID":
            return global_id(sample.entity, KEY)
    return SCALARS.get(name, "x")


class _Types(Visitor):
    """Finds the types that fragments are of."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def enter_inline_fragment(self, node: InlineFragmentNode, *_: object) -> None:
        if node.type_condition is not None:
            self.names[node.type_condition.name.value] = None

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: object) -> None:
        self.names[node.type_condition.name.value] = None


def _entities(operation: Operation, model: Model) -> list[str]:
    """The types that an operation's `node` is asked for: those its fragments are of."""
    found = _Types()
    nodes: list[Node] = [operation.definition, *operation.fragments.values()]
    for node in nodes:
        visit(node, found)
    return [name for name in found.names if name in model.entities]
