"""What a document may be before it is validated: counted in one pass, each fragment once.

Takes a parsed document. Gives nothing. Rejects with TOO_COMPLEX and the count.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
)

from .config import Settings
from .errors import Code, fault

# A field with fields below it takes a sub-select or a pass of its own; a value is a column of one.
OBJECT_WEIGHT = 5
INTROSPECTION_WEIGHT = 500


def check_limits(document: DocumentNode, settings: Settings) -> None:
    """Refuses what would make validation or planning slow, or a later step deep."""
    count = _Count(document)
    try:
        whole = count.whole()
    except RecursionError:
        raise fault(Code.TOO_COMPLEX, "the document's fragments are nested too deeply") from None
    if whole.depth > settings.depth_limit:
        message = f"the document is deeper than {settings.depth_limit}"
        raise fault(Code.TOO_COMPLEX, message, cost=whole.depth)
    if whole.fields > settings.field_limit:
        message = f"the document asks for more than {settings.field_limit} fields, its fragments spread"
        raise fault(Code.TOO_COMPLEX, message, cost=whole.fields)
    # Validation compares each pair of fields with the same response key.
    pairs = sum(number * number for number in count.keys.values() if number > 1)
    if pairs > settings.repetition_limit:
        raise fault(Code.TOO_COMPLEX, "the document repeats fields too often", cost=pairs)


@dataclass(frozen=True, slots=True)
class _Size:
    """How deep a selection is, and how many fields it asks for with its fragments spread, weighted."""

    depth: int = 0
    fields: int = 0


class _Count:
    """The size of a document and its response keys, with what is known of each fragment kept."""

    def __init__(self, document: DocumentNode) -> None:
        self.keys: Counter[str] = Counter()
        self._document = document
        self._sizes: dict[str, _Size] = {}
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }

    def whole(self) -> _Size:
        """The size of the largest operation, and of the largest fragment."""
        sizes = [
            self._of_set(node.selection_set)
            for node in self._document.definitions
            if isinstance(node, OperationDefinitionNode)
        ]
        sizes += [self._of_fragment(name) for name in self._fragments]
        return _Size(
            max((size.depth for size in sizes), default=0), max((size.fields for size in sizes), default=0)
        )

    def _of_set(self, selections: SelectionSetNode | None) -> _Size:
        if selections is None:
            return _Size()
        sizes = [self._of(node) for node in selections.selections]
        return _Size(max((size.depth for size in sizes), default=0), sum(size.fields for size in sizes))

    def _of(self, node: Node) -> _Size:
        match node:
            case FieldNode():
                self.keys[node.alias.value if node.alias else node.name.value] += 1
                below = self._of_set(node.selection_set)
                return _Size(1 + below.depth, _weight(node) + below.fields)
            case InlineFragmentNode():
                return self._of_set(node.selection_set)
            case FragmentSpreadNode():
                return self._of_fragment(node.name.value)
        return _Size()

    def _of_fragment(self, name: str) -> _Size:
        if name not in self._sizes:
            self._sizes[name] = _Size()  # a circle ends here; validation refuses it
            fragment = self._fragments.get(name)
            self._sizes[name] = self._of_set(fragment.selection_set) if fragment else _Size()
        return self._sizes[name]


def _weight(node: FieldNode) -> int:
    if node.name.value in ("__schema", "__type"):
        return INTROSPECTION_WEIGHT
    return 1 if node.selection_set is None else OBJECT_WEIGHT
