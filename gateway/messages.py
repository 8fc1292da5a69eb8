"""Messages of graphql-core, made fit to send: they name what the schema has, and nothing else.

A message may quote a value, an operation's name or any other text of the document. Quoted names that the
schema does not know are left out; the position says where they stand.
"""

from __future__ import annotations

import re
from functools import lru_cache

from graphql import GraphQLError, GraphQLSchema, ObjectFieldNode, ValueNode, VariableNode

HIDDEN = "…"
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_SUGGESTION = re.compile(r"\s*Did you mean.*", re.DOTALL)


def safe_message(error: GraphQLError, schema: GraphQLSchema) -> str:
    """The message of a validation error without anything of the document's own."""
    node = error.nodes[0] if error.nodes else None
    if isinstance(node, ValueNode | ObjectFieldNode) and not isinstance(node, VariableNode):
        return "a value does not have the type its place asks for"
    known = _names(schema)

    def shown(quoted: re.Match[str]) -> str:
        text = quoted[0][1:-1]
        return f"`{text}`" if set(_NAME.findall(text)) <= known else HIDDEN

    message = _QUOTED.sub(shown, _SUGGESTION.sub("", error.message)).rstrip(". ")
    return message[:1].lower() + message[1:]


@lru_cache(maxsize=8)
def _names(schema: GraphQLSchema) -> frozenset[str]:
    """Every name of the schema: types, fields, arguments, values, directives."""
    found = set(schema.type_map) | {"query", "mutation", "subscription"}
    for directive in schema.directives:
        found |= {directive.name, *directive.args}
    for named in schema.type_map.values():
        for name, field in getattr(named, "fields", {}).items():
            found |= {name, *getattr(field, "args", {})}
        found |= set(getattr(named, "values", {}))
    return frozenset(found)
