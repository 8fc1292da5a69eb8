"""What a document may be before it is validated: counted in one pass, each fragment once.

Takes a parsed document. Gives nothing. Rejects with TOO_COMPLEX and the count.
"""

from __future__ import annotations

from collections import Counter

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


def check_limits(document: DocumentNode, settings: Settings) -> None:
    """Refuses what would make validation slow or a later step deep."""
    count = _Count(document)
    deepest = count.deepest()
    if deepest > settings.depth_limit:
        message = f"the document is deeper than {settings.depth_limit}"
        raise fault(Code.TOO_COMPLEX, message, cost=deepest)
    # Validation compares each pair of fields with the same response key.
    pairs = sum(number * number for number in count.keys.values() if number > 1)
    if pairs > settings.repetition_limit:
        raise fault(Code.TOO_COMPLEX, "the document repeats fields too often", cost=pairs)


class _Count:
    """The depth of a document and its response keys, with what is known of each fragment kept."""

    def __init__(self, document: DocumentNode) -> None:
        self.keys: Counter[str] = Counter()
        self._document = document
        self._depths: dict[str, int] = {}
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }

    def deepest(self) -> int:
        """The deepest nesting of fields, fragments spread."""
        depths = [
            self._below(node.selection_set)
            for node in self._document.definitions
            if isinstance(node, OperationDefinitionNode)
        ]
        return max((*depths, *map(self._of_fragment, self._fragments)), default=0)

    def _below(self, selections: SelectionSetNode | None) -> int:
        if selections is None:
            return 0
        return max((self._of(node) for node in selections.selections), default=0)

    def _of(self, node: Node) -> int:
        match node:
            case FieldNode():
                self.keys[node.alias.value if node.alias else node.name.value] += 1
                return 1 + self._below(node.selection_set)
            case InlineFragmentNode():
                return self._below(node.selection_set)
            case FragmentSpreadNode():
                return self._of_fragment(node.name.value)
        return 0

    def _of_fragment(self, name: str) -> int:
        if name not in self._depths:
            self._depths[name] = 0  # a cycle ends here; validation refuses it
            fragment = self._fragments.get(name)
            self._depths[name] = self._below(fragment.selection_set) if fragment else 0
        return self._depths[name]
