"""Which fields a selection asks for: fragments spread, directives applied, equal response keys merged.

After the GraphQL specification, section 6.3.2 (CollectFields).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
)

from ..operation import Operation


@dataclass(frozen=True, slots=True)
class Path:
    """The response keys down to a field; `until_list` counts those before the first list, if there is one."""

    keys: tuple[str, ...] = ()
    until_list: int | None = None

    def child(self, key: str, *, is_list: bool = False) -> Path:
        """The path one field deeper."""
        until = self.until_list
        if is_list and until is None:
            until = len(self.keys)
        return Path((*self.keys, key), until)

    @property
    def response_path(self) -> tuple[str, ...]:
        """The keys before the first list."""
        return self.keys if self.until_list is None else self.keys[: self.until_list]


class Selections:
    """Collects the fields of an operation for one set of variables."""

    def __init__(self, operation: Operation, variables: Mapping[str, object]) -> None:
        self._fragments = operation.fragments
        self._variables = variables

    def fields(
        self, sets: Iterable[SelectionSetNode | None], types: frozenset[str]
    ) -> dict[str, list[FieldNode]]:
        """The fields by response key, in order, for an object whose type and interfaces are `types`."""
        found: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        for selections in sets:
            if selections is not None:
                self._collect(selections.selections, types, found, spread)
        return found

    def below(self, nodes: Iterable[FieldNode], types: frozenset[str]) -> dict[str, list[FieldNode]]:
        """The fields asked for under these field nodes."""
        return self.fields((node.selection_set for node in nodes), types)

    def _collect(
        self,
        selections: Iterable[SelectionNode],
        types: frozenset[str],
        found: dict[str, list[FieldNode]],
        spread: set[str],
    ) -> None:
        for node in selections:
            if not self._included(node.directives or ()):
                continue
            match node:
                case FieldNode():
                    key = node.alias.value if node.alias else node.name.value
                    found.setdefault(key, []).append(node)
                case InlineFragmentNode():
                    if node.type_condition is None or node.type_condition.name.value in types:
                        self._collect(node.selection_set.selections, types, found, spread)
                case FragmentSpreadNode() if node.name.value not in spread:
                    spread.add(node.name.value)
                    fragment = self._fragments[node.name.value]
                    if fragment.type_condition.name.value in types:
                        self._collect(fragment.selection_set.selections, types, found, spread)

    def _included(self, directives: Iterable[DirectiveNode]) -> bool:
        for directive in directives:
            if directive.name.value in ("skip", "include"):
                wanted = directive.name.value == "include"
                if self._condition(directive) is not wanted:
                    return False
        return True

    def _condition(self, directive: DirectiveNode) -> bool:
        node = next(argument.value for argument in directive.arguments or () if argument.name.value == "if")
        match node:
            case BooleanValueNode():
                return node.value
            case VariableNode():
                return bool(self._variables[node.name.value])
        raise AssertionError("validation lets only a Boolean or a variable stand here")
