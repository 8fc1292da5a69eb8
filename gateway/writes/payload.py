"""What is sent back of a change: its payload, with entities filled by the same planner as any read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from graphql import FieldNode, GraphQLList, GraphQLObjectType, get_nullable_type

from ..plan.selections import Selections
from ..plan.values import LocalRoot, MutationRoot, Root


def local_parts(
    root: MutationRoot, selections: Selections, kinds: Mapping[str, Any], said: Mapping[str, object]
) -> dict[str, bytes]:
    """The JSON of the payload's fields that are no entity, by response key."""
    fields = kinds[root.mutation.payload].fields
    return {
        part.key: orjson.dumps(picked(selections, part.nodes, fields[part.name].type, said.get(part.name)))
        for part in _local(root.payload.roots)
    }


def _local(roots: Iterable[Root]) -> list[LocalRoot]:
    return [root for root in roots if isinstance(root, LocalRoot)]


def picked(selections: Selections, nodes: Iterable[FieldNode], kind: Any, value: Any) -> Any:
    """The part of a value that is asked for, under its response keys."""
    kind = get_nullable_type(kind)
    if value is None:
        return None
    if isinstance(kind, GraphQLList):
        return [picked(selections, nodes, kind.of_type, entry) for entry in value]
    if not isinstance(kind, GraphQLObjectType):
        return value
    found: dict[str, object] = {}
    for key, below in selections.below(nodes, frozenset({kind.name})).items():
        name = below[0].name.value
        if name == "__typename":
            found[key] = kind.name
        else:
            found[key] = picked(selections, below, kind.fields[name].type, value.get(name))
    return found
