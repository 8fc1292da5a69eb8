"""A grammar of broken GraphQL: documents over the whole schema, their values beyond all types, then bent.

Takes ids and cursors that the register knows. Gives the parameters of a request, as JSON texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
)
from hypothesis import strategies as st

from schema.model import load_model
from tests.fuzz_values import NUMBERS, ids, json_texts, literals, texts

SCHEMA = load_model().graphql
ROOTS = {
    "query": SCHEMA.query_type,
    "mutation": SCHEMA.mutation_type,
    "subscription": SCHEMA.subscription_type,
}
Draw = Callable[[st.SearchStrategy[Any]], Any]
DIRECTIVES = ["@skip(if: false)", "@include(if: $v)", "@skip(if: true)", "@include(if: 1)", "@skip"]
DIRECTIVES += ["@none"]
DIRECTIVES += ["@include(if: true) @include(if: true)", '@deprecated(reason: "")', "@specifiedBy"]
DIRECTIVES += ["@defer", "@oneOf"]
TYPES = ["ID", "ID!", "[ID!]!", "String", "Int", "Boolean!", "Float", "OrderWhere", "[[Int]]"]
TYPES += ["Customer", "None"]
FITTING = {
    "DateTime": [
        '"2026-06-15T12:00:00Z"',
        '"1900-01-01T00:00:00Z"',
        '"2999-12-31T23:59:59.999999Z"',
        '"2026-06-15"',
    ],
    "Decimal": ['"12.50"', "0", "-1", '"999999999999.999999"', '"0.000001"', '"1e3"', "1000000000000"],
    "CurrencyCode": ['"EUR"', '"XXX"', '"eur"'],
    "UUID": ['"00000000-0000-4000-8000-000000000000"', '"{00000000-0000-4000-8000-000000000000}"', '"1"'],
}
NAMES = ["null", '"A"', '"A"', '""', '"B"', "1", '"\\u0000"', json.dumps("x" * 3000)]
PERSISTED = ['{"persistedQuery": {"version": 1, "sha256Hash": "a"}}', '{"persistedQuery": null}']
PERSISTED += ['{"x": 1}']
TAMENESS = st.sampled_from([1_000_000, 1_000_000, 60, 10])
BENDS = st.sampled_from([0, 0, 0, 0, 1, 3])
# What bends a text: pieces that are put into it, and pieces of it that are put elsewhere.
PIECES = ["{", "}", "(", ")", "[", "]", "!", "$", ":", "...", "@", "|", "&", '"', '"""', "#"]
PIECES += ["\\", "\0", "\ufeff"]
PIECES += ["fragment F on Customer { ...F }", "...F", "... on Order { id }", "__typename"]
PIECES += ["__schema { types { name } }"]
PIECES += ["query", "mutation", "subscription", "type Query { a: Int }", "extend schema @x", "on"]
PIECES += ["null", "$v", "é"]
# What is opened, what stands inside of all of it, and what closes it.
NESTS = [
    ("{a", "", "}"),
    ("[", "", "]"),
    ("(a:", "1", ")"),
    (" ...on Order{", "id", "}"),
    (" order{", "id", "}"),
]
NESTS += [(" orders{nodes{customer{", "id", "}}}"), ("{not:", "{}", "}"), (" ...@skip(if:false){", "id", "}")]
TOKEN = re.compile(r'"""|"(?:\\.|[^"\\\n])*"|[\w$]+|\.\.\.|\s+|.', re.DOTALL)


@dataclass(frozen=True)
class Values:
    """What values are drawn from; made once, as making strategies takes longer than drawing from them."""

    literals: st.SearchStrategy[str]
    texts: st.SearchStrategy[str]
    ids: st.SearchStrategy[str]
    json: st.SearchStrategy[str]

    @classmethod
    def of(cls, known: Sequence[str]) -> Values:
        """Values with these ids and cursors among them."""
        return cls(literals(known), texts(known), ids(known), json_texts(known))


class Writer:
    """Writes one document: what it selects, with which arguments, by what it is drawn.

    One in `tameness` things is broken in it; a document in which nothing is gets as far as the database.
    """

    def __init__(self, draw: Draw, values: Values, tameness: int) -> None:
        self._draw = draw
        self._values = values
        self._tameness = tameness
        self._count = 0

    def document(self) -> str:
        """Operations and fragments; the first operation may declare variables."""
        kind = self._draw(st.sampled_from(["query", "query", "query", "mutation", "subscription"]))
        name = self._draw(st.sampled_from(["", " A", " A"]))
        root = ROOTS[kind]
        assert root is not None
        parts = [f"{kind}{name}{self._variables()} {self._directives()}{self._set(root, 4)}"]
        if self._breaks():
            on = self._draw(st.sampled_from(["Customer", "Order", "Node", "Query", "Money", "None"]))
            inside = self._draw(st.sampled_from(["id", "...F", "...G"]))
            parts.append(f"fragment F on {on} {{ __typename {inside} }}")
        if self._breaks():
            more = ["query A { a }", "{ __typename }", "scalar X", "fragment F on A"]
            parts.append(self._draw(st.sampled_from(more)))
        return "\n".join(parts)

    def _once_in(self, count: int) -> bool:
        return bool(self._draw(st.integers(1, count)) == count)

    def _breaks(self) -> bool:
        return self._once_in(self._tameness)

    def _variables(self) -> str:
        if not self._breaks():
            return ""
        names = self._draw(st.sampled_from(["v", "vw", "vv"]))
        kinds = [self._draw(st.sampled_from(TYPES)) for _ in names]
        given = [f" = {self._draw(self._values.literals)}" if self._once_in(4) else "" for _ in names]
        return f"({', '.join(f'${n}: {k}{d}' for n, k, d in zip(names, kinds, given, strict=True))})"

    def _directives(self) -> str:
        return f"{self._draw(st.sampled_from(DIRECTIVES))} " if self._breaks() else ""

    def _set(self, type_: Any, depth: int) -> str:
        fields = list(type_.fields.items())
        chosen = self._draw(st.lists(st.sampled_from(fields), min_size=1, max_size=3))
        found = [self._field(name, field, depth) for name, field in chosen]
        if self._breaks():
            found.append(
                self._draw(st.sampled_from(["...F", "... on Order { id }", "...", "nope", "id: number"]))
            )
        return f"{{ {' '.join(found)} }}"

    def _field(self, name: str, field: GraphQLField, depth: int) -> str:
        given = [(key, argument) for key, argument in field.args.items() if self._wants(argument)]
        arguments = f"({' '.join(f'{key}: {self._value(one.type)}' for key, one in given)})" if given else ""
        kind = get_named_type(field.type)
        below = ""
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            below = f" {self._set(kind, depth - 1)}" if depth > 1 else " { __typename }"
        return f"{self._alias()}{name}{arguments} {self._directives()}{below}"

    def _alias(self) -> str:
        """A response key of its own, as fields of one key and different arguments are refused."""
        self._count += 1
        if self._breaks():
            return f"{self._draw(st.sampled_from(['a', 'id', '__a', 'x' * 70]))}: "
        return f"a{self._count}: "

    def _wants(self, argument: GraphQLArgument) -> bool:
        return isinstance(argument.type, GraphQLNonNull) or self._once_in(3)

    def _value(self, type_: Any, depth: int = 3) -> str:
        if self._breaks() or depth == 0:
            return str(self._draw(self._values.literals))
        match type_:
            case GraphQLNonNull():
                return self._value(type_.of_type, depth)
            case GraphQLList():
                count = self._draw(st.integers(0, 3))
                return f"[{' '.join(self._value(type_.of_type, depth - 1) for _ in range(count))}]"
            case GraphQLEnumType():
                return str(self._draw(st.sampled_from(list(type_.values))))
            case GraphQLInputObjectType():
                return self._object(type_, depth)
        return self._leaf(type_.name)

    def _object(self, type_: GraphQLInputObjectType, depth: int) -> str:
        required = [key for key, one in type_.fields.items() if isinstance(one.type, GraphQLNonNull)]
        least = 0 if required else 1
        some = self._draw(st.lists(st.sampled_from(list(type_.fields)), min_size=least, max_size=2))
        names = [] if type_.is_one_of else required
        names = list(dict.fromkeys([*names, *(some[:1] if type_.is_one_of else some)]))
        return f"{{{', '.join(f'{key}: {self._value(type_.fields[key].type, depth - 1)}' for key in names)}}}"

    def _leaf(self, kind: str) -> str:
        drawn: Any
        match kind:
            case "Boolean":
                drawn = st.sampled_from(["true", "false"])
            case "Int" | "Float":
                drawn = st.one_of(st.integers(1, 100).map(str), st.sampled_from(NUMBERS))
            case "DateTime" | "Decimal" | "CurrencyCode" | "UUID":
                drawn = st.sampled_from(FITTING[kind])
            case "ID":
                drawn = self._values.ids.map(json.dumps)
            case _:
                drawn = self._values.texts.map(json.dumps)
        return str(self._draw(drawn))


@st.composite
def documents(draw: Draw, values: Values) -> str:
    """Documents: some only of odd values, some broken here and there, some bent afterwards."""
    text = Writer(draw, values, draw(TAMENESS)).document()
    for _ in range(draw(BENDS)):
        text = _bent(draw, text)
    return text


def _bent(draw: Draw, text: str) -> str:
    """A document with one piece taken out, put in, repeated, or moved; or nested without end."""
    tokens = TOKEN.findall(text) or [""]
    place = draw(st.integers(0, len(tokens) - 1))
    way = draw(st.sampled_from(["drop", "put", "swap", "repeat", "nest", "cut", "many"]))
    if way in ("nest", "many") and draw(st.integers(0, 3)):
        # Where a selection ends, so that what is put there may be one of its fields.
        place = draw(st.sampled_from([n for n, token in enumerate(tokens) if token == "}"] or [place]))
    if way == "drop":
        del tokens[place]
    elif way == "put":
        tokens.insert(place, draw(st.sampled_from(PIECES)))
    elif way == "swap":
        other = draw(st.integers(0, len(tokens) - 1))
        tokens[place], tokens[other] = tokens[other], tokens[place]
    elif way == "repeat":
        tokens[place] *= draw(st.sampled_from([2, 50, 3000]))
    elif way == "nest":
        opening, inside, closing = draw(st.sampled_from(NESTS))
        count = draw(st.sampled_from([10, 200, 3000]))
        tokens.insert(place, opening * count + inside + closing * draw(st.sampled_from([count, count, 0])))
    elif way == "cut":
        tokens = tokens[:place]
    else:
        tokens.insert(place, " ".join(f"a{n}: id" for n in range(draw(st.sampled_from([50, 2000])))))
    return "".join(tokens)


@st.composite
def parameters(draw: Draw, values: Values) -> dict[str, str]:
    """The parameters of a request by name, each as JSON text; in most requests `query` is a text."""
    given = {"query": json.dumps(draw(documents(values)))}
    if draw(st.integers(0, 2)) == 0:
        pairs = f'{{"v": {draw(values.json)}, "w": {draw(values.json)}}}'
        given["variables"] = pairs if draw(st.integers(0, 3)) else draw(values.json)
    if draw(st.integers(0, 9)) == 0:
        given["operationName"] = draw(st.sampled_from(NAMES))
    if draw(st.integers(0, 9)) == 0:
        given["extensions"] = draw(st.one_of(st.sampled_from(PERSISTED), values.json))
    if draw(st.integers(0, 19)) == 0:
        given[draw(st.sampled_from(["documentId", "doc_id", "query"]))] = draw(values.json)
    return given


def body(given: dict[str, str]) -> str:
    """The parameters as a JSON object."""
    return f"{{{', '.join(f'{json.dumps(name)}: {text}' for name, text in given.items())}}}"
