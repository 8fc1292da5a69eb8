"""Prints generated operations: a selection becomes one of the many documents that mean the same.

Response keys are unique within a selection, so whatever fragments, directives and repeated fields it is
spread over, the document is valid.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from tests.naive_rules import TABLES


class Name(str):
    """An enum value: printed without quotation marks."""

    __slots__ = ()


@dataclass(frozen=True)
class Variable:
    """A variable where a value stands, and the value it has."""

    name: str
    value: Any


@dataclass(frozen=True)
class Chosen:
    """One response key of a selection."""

    key: str
    name: str
    arguments: str = ""
    selection: Selection | None = None


@dataclass(frozen=True)
class Selection:
    """What is selected of one type; `branches` are what is selected of the types behind an interface."""

    type_name: str
    fields: list[Chosen] = field(default_factory=list)
    branches: list[Selection] = field(default_factory=list)


def literal(value: Any) -> str:
    """A value as GraphQL writes it."""
    match value:
        case Variable(name):
            return f"${name}"
        case Name():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{key}: {literal(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(literal, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def resolved(value: Any) -> Any:
    """A value with its variables replaced by what they hold."""
    match value:
        case Variable(_, held):
            return held
        case dict():
            return {key: resolved(each) for key, each in value.items()}
        case list():
            return [resolved(each) for each in value]
        case _:
            return value


class Variables:
    """The variables of one operation: their definitions and the values given."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self._draw = draw
        self.definitions: list[str] = []
        self.given: dict[str, Any] = {}

    def perhaps(self, value: Any, type_text: str) -> Any:
        """The value, or a variable that has it: given, by default, or given over a default."""
        style = self._draw(st.integers(0, 9))
        if style < 6:
            return value
        name = f"v{len(self.definitions)}"
        nullable = type_text.removesuffix("!")
        if style in (6, 7):
            self.definitions.append(f"${name}: {type_text if style == 6 else nullable + '!'}")
        else:
            self.definitions.append(f"${name}: {nullable} = {literal(value)}")
        if style != 8:
            self.given[name] = json.loads(json.dumps(value))
        return Variable(name, value)

    def absent(self, type_text: str) -> Variable:
        """A nullable variable that is not given: as if its argument were not there."""
        name = f"v{len(self.definitions)}"
        self.definitions.append(f"${name}: {type_text}")
        return Variable(name, None)


class Printing:
    """Prints a selection as a document, in one of the many ways there are."""

    def __init__(self, draw: Callable[[Any], Any], variables: Variables) -> None:
        self._draw = draw
        self._variables = variables
        self._fragments: list[str] = []

    def document(self, selection: Selection) -> tuple[str, dict[str, Any], str | None]:
        """The document, its variables and the name of the operation, if it needs one."""
        body = self._selection(selection)
        definitions = ", ".join(self._variables.definitions)
        style = self._draw(st.integers(0, 5))
        if style < 3 and not definitions:
            operations, name = [body], None
        else:
            operations, name = [f"query Main{f'({definitions})' if definitions else ''} {body}"], "Main"
        if name and style > 3:
            other = "query Other($size: Int = 2) { carriers(first: $size) { totalCount } }"
            operations.insert(style - 4, other)
        elif style == 3:
            name = None
        return "\n".join([*operations, *self._fragments]), self._variables.given, name

    def _once_in(self, count: int) -> bool:
        return self._draw(st.integers(1, count)) == count

    def _selection(self, selection: Selection) -> str:
        pieces: list[tuple[str, bool]] = []
        later: list[tuple[str, bool]] = []
        for chosen in selection.fields:
            inner = chosen.selection
            on_node = selection.type_name in TABLES and chosen.name in ("id", "__typename")
            if inner and len(inner.fields) > 1 and self._once_in(8):
                cut = self._draw(st.integers(1, len(inner.fields) - 1))
                rest = replace(inner, fields=inner.fields[cut:], branches=[])
                later.append((self._field(replace(chosen, selection=rest)), False))
                inner = replace(inner, fields=inner.fields[:cut])
            pieces.append((self._field(replace(chosen, selection=inner)), on_node))
        pieces += later
        printed = []
        while pieces:
            count = self._draw(st.integers(1, len(pieces))) if self._once_in(4) else 1
            group, pieces = pieces[:count], pieces[count:]
            condition = "Node" if all(on_node for _, on_node in group) else selection.type_name
            printed.append(self._wrapped(condition, " ".join(text for text, _ in group)))
        for branch in selection.branches:
            printed.append(self._fragment(branch.type_name, self._selection(branch)))
        return "{ " + " ".join(printed) + " }"

    def _field(self, chosen: Chosen) -> str:
        alias = "" if chosen.key == chosen.name else f"{chosen.key}: "
        text = f"{alias}{chosen.name}{chosen.arguments}{self._directive()}"
        return f"{text} {self._selection(chosen.selection)}" if chosen.selection else text

    def _directive(self) -> str:
        style = self._draw(st.integers(0, 19))
        if style < 18:
            return ""
        condition = self._variables.perhaps(self._draw(st.booleans()), "Boolean!")
        return f" @{'include' if style == 18 else 'skip'}(if: {literal(condition)})"

    def _wrapped(self, type_name: str, body: str) -> str:
        """Fields as they are, or in a fragment."""
        style = self._draw(st.integers(0, 9))
        if style < 8:
            return body
        if style == 8:
            return f"...{self._directive()} {{ {body} }}"
        return self._fragment(type_name, f"{{ {body} }}")

    def _fragment(self, type_name: str, body: str) -> str:
        """An inline fragment on the type, or a named one, spread once or twice."""
        style = self._draw(st.integers(0, 2))
        if style == 0:
            return f"... on {type_name}{self._directive()} {body}"
        name = f"F{len(self._fragments)}"
        self._fragments.append(f"fragment {name} on {type_name} {body}")
        return " ".join(f"...{name}{self._directive()}" for _ in range(style))
