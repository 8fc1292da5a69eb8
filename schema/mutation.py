"""What can be changed: the root field of each mutation, its payload, and the coordinates its input writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryList, StrawberryOptional

from . import (
    accountability,
    customers,
    deliveries,
    employees,
    legal_holds,
    orders,
    partner_tokens,
    partners,
    returns,
    sessions,
    subject_exports,
    subject_requests,
)
from .inputs import camel, optional
from .writing import WRITES, WRITTEN, Becomes, Declared, ReadsFields, UserError, Writes, Written

DECLARED: Mapping[str, Declared] = MappingProxyType(
    customers.MUTATIONS
    | sessions.MUTATIONS
    | orders.MUTATIONS
    | deliveries.MUTATIONS
    | returns.MUTATIONS
    | partners.MUTATIONS
    | employees.MUTATIONS
    | partner_tokens.MUTATIONS
    | accountability.MUTATIONS
    | subject_requests.MUTATIONS
    | legal_holds.MUTATIONS
    | subject_exports.MUTATIONS
)
USER_ERRORS = "What the caller can mend; nothing was changed where there is one."


@dataclass(frozen=True, slots=True)
class InputField:
    """One input field and the coordinate it is gated by; None where it goes with the mutation's own grant."""

    name: str
    coordinate: str | None
    nested: Input | None
    # Whether its values are coordinates, each gated by the right to read it.
    reads_fields: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """An input type: what it does, and its fields by GraphQL name."""

    name: str
    writes: Writes
    fields: Mapping[str, InputField]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mutation: its input, and the entities in its payload by field, single and listed."""

    name: str
    input: Input
    payload: str
    entities: Mapping[str, str]
    lists: Mapping[str, str]
    becomes: Becomes | None
    # Whether it is the only change of its operation: always, or where one of these input fields is given.
    alone: bool
    alone_with: frozenset[str]

    def inputs(self) -> Iterator[Input]:
        """The input types it takes, nested ones too."""
        waiting = [self.input]
        while waiting:
            found = waiting.pop()
            yield found
            waiting += [field.nested for field in found.fields.values() if field.nested is not None]


def read_mutations() -> Mapping[str, Mutation]:
    """Every mutation by its GraphQL name."""
    return MappingProxyType({camel(name): _mutation(camel(name), of) for name, of in DECLARED.items()})


def make_root(entities: Mapping[str, type]) -> type:
    """The root type of mutations, with a payload type for each."""
    body: dict[str, Any] = {"__annotations__": dict.fromkeys(DECLARED, "str | None")}
    body |= {name: strawberry.field(description=of.description) for name, of in DECLARED.items()}
    root = strawberry.type(
        type("Mutation", (), body),
        description="What can be changed. Every input field is gated for the caller, their role and purpose.",
    )
    for field in cast(Any, root).__strawberry_definition__.fields:
        of = DECLARED[field.python_name]
        field.type_annotation = optional(_payload(camel(field.python_name), of, entities))
        field.arguments = [
            StrawberryArgument("input", None, StrawberryAnnotation(of.input), description="What to do.")
        ]
    return root


def payload_name(mutation: str) -> str:
    """The name of a mutation's payload type."""
    return f"{mutation[0].upper()}{mutation[1:]}Payload"


def _payload(name: str, of: Declared, entities: Mapping[str, type]) -> type:
    types: dict[str, tuple[Any, str]] = {
        field: (StrawberryOptional(entities[target]), f"The `{target}` as it is now.")
        for field, target in of.entities.items()
    }
    types |= {
        field: (StrawberryOptional(StrawberryList(entities[target])), f"Each `{target}` as it is now.")
        for field, target in of.lists.items()
    }
    types |= {field: (_nullable(kind), text) for field, (kind, text) in of.extras.items()}
    types["user_errors"] = (StrawberryList(UserError), USER_ERRORS)
    body: dict[str, Any] = {"__annotations__": {_safe(field): "str | None" for field in types}}
    body |= {
        _safe(field): strawberry.field(name=camel(field), description=text)
        for field, (_, text) in types.items()
    }
    made = strawberry.type(
        type(payload_name(name), (), body), name=payload_name(name), description=f"What became of `{name}`."
    )
    for field in cast(Any, made).__strawberry_definition__.fields:
        field.type_annotation = StrawberryAnnotation(types[field.python_name.removesuffix("_")][0])
    return made


def _safe(name: str) -> str:
    return f"{name}_" if name == "return" else name


def _nullable(kind: Any) -> Any:
    return kind if kind is bool else kind | None


def _mutation(name: str, of: Declared) -> Mutation:
    return Mutation(
        name=name,
        input=_input(of.input),
        payload=payload_name(name),
        entities={camel(field): target for field, target in of.entities.items()},
        lists={camel(field): target for field, target in of.lists.items()},
        becomes=of.becomes,
        alone=of.alone,
        alone_with=frozenset(map(camel, of.alone_with)),
    )


def _input(declared: type) -> Input:
    entity, writes = getattr(declared, WRITTEN)
    fields: dict[str, InputField] = {}
    for field in cast(Any, declared).__strawberry_definition__.fields:
        name, written = camel(field.python_name), field.metadata[WRITES]
        nested = _named(field.type)
        fields[name] = InputField(
            name=name,
            coordinate=(written.coordinate or f"{entity}.{name}") if isinstance(written, Written) else None,
            nested=_input(nested) if hasattr(nested, WRITTEN) else None,
            reads_fields=isinstance(written, ReadsFields),
        )
    return Input(declared.__name__, writes, MappingProxyType(fields))


def _named(annotated: Any) -> Any:
    while isinstance(annotated, StrawberryOptional | StrawberryList):
        annotated = annotated.of_type
    return annotated
