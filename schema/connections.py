"""Relay connections of the entities (GraphQL Cursor Connections specification), and their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryList

from .fields import SOURCE, ToMany, ToOne
from .inputs import Inputs, listed, optional, settle


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there is a page after this one.")
    has_previous_page: bool = strawberry.field(description="Whether there is a page before this one.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last edge.")


class Connections:
    """The connection type of every entity; `attach` puts them where class bodies say `Many`."""

    def __init__(self, entities: Mapping[str, type]) -> None:
        self._entities = entities
        self._inputs = Inputs(entities)
        self._types = {name: _connection(name, declared) for name, declared in entities.items()}
        for declared in entities.values():
            self._attach(declared)

    def _attach(self, declared: type) -> None:
        for field in cast(Any, declared).__strawberry_definition__.fields:
            match field.metadata.get(SOURCE):
                case ToOne(target):
                    field.type_annotation = optional(self._entities[target])
                case ToMany(target):
                    self.attach(field, target)
                case _:
                    pass

    def attach(self, field: Any, target: str) -> None:
        """Makes a Strawberry field a connection of `target`, with its arguments."""
        field.type_annotation = optional(self._types[target])
        field.arguments = [
            _argument(
                "first", optional(int), "How many from the start of the list; a page where neither is given."
            ),
            _argument("after", optional(str), "Only what comes after this cursor."),
            _argument("last", optional(int), "How many from the end of the list."),
            _argument("before", optional(str), "Only what comes before this cursor."),
            _argument("where", optional(self._inputs.where[target]), "Only what meets these conditions."),
            _argument(
                "order_by", listed(self._inputs.order_by[target]), "In this order; newest first by default."
            ),
        ]


def _argument(name: str, annotation: StrawberryAnnotation, description: str) -> StrawberryArgument:
    return StrawberryArgument(name, None, annotation, description=description, default=strawberry.UNSET)


def _connection(name: str, declared: type) -> type:
    edge = _type(
        f"{name}Edge",
        f"A `{name}` and its place in the list.",
        {
            "cursor": (StrawberryAnnotation(str), "Its place, for `after` and `before`."),
            "node": (optional(declared), f"The `{name}`."),
        },
    )
    return _type(
        f"{name}Connection",
        f"A page of a list of `{name}`.",
        {
            "nodes": (_non_null_list(declared), "The entries of this page."),
            "edges": (_non_null_list(edge), "The entries of this page with their cursors."),
            "page_info": (StrawberryAnnotation(PageInfo), "Where this page lies."),
            "total_count": (StrawberryAnnotation(int), "How many entries the whole list has for the caller."),
        },
    )


def _non_null_list(of: type) -> StrawberryAnnotation:
    return StrawberryAnnotation(StrawberryList(of))


def _type(name: str, description: str, fields: Mapping[str, tuple[StrawberryAnnotation, str]]) -> type:
    body: dict[str, Any] = {"__annotations__": dict.fromkeys(fields, "str | None")}
    body |= {field: strawberry.field(description=text) for field, (_, text) in fields.items()}
    made = strawberry.type(type(name, (), body), name=name, description=description)
    settle(made, {field: annotation for field, (annotation, _) in fields.items()})
    return made
