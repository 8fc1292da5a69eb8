"""What a document and its variables may be before anything is planned: counted in one pass each.

Takes a text, a parsed document, or variables. Gives nothing. Rejects with TOO_COMPLEX and the count.
The limits are the same for every role: nothing here knows who asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
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
from .errors import Code, RequestError, fault

# A field with fields below it takes a sub-select or a pass of its own; a value is a column of one.
OBJECT_WEIGHT = 5
INTROSPECTION_WEIGHT = 500
# Of the directives there are none may stand twice in a place, and two at most may stand together.
MOST_DIRECTIVES_IN_A_PLACE = 2
# Where counting ends: fragments that double themselves have counts that fit into no JSON number.
CEILING = 10**9


def check_length(text: str, settings: Settings) -> None:
    """Refuses a document that is too long to be parsed."""
    limit = settings.document_limit_bytes
    # PERF: a character is a byte at least, so that only what may be too long is encoded.
    size = len(text) if len(text) > limit else len(text.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise _too_many(f"the document is over {limit} bytes", size)


def check_limits(document: DocumentNode, settings: Settings) -> None:
    """Refuses what would make validation or planning slow, or a later step deep."""
    count = _Count(document)
    try:
        whole = count.whole()
    except RecursionError:
        raise fault(Code.TOO_COMPLEX, "the document's fragments are nested too deeply") from None
    # Validation compares each pair of fields with the same response key, and each pair of fragments.
    pairs = sum(number * number for number in count.keys.values() if number > 1) + len(count.names) ** 2
    spread = "its fragments spread"
    for found, limit, message in (
        (whole.depth, settings.depth_limit, "the document is deeper than {}"),
        (whole.fields, settings.field_limit, "the document asks for more than {} fields, " + spread),
        (count.roots, settings.root_field_limit, "an operation has more than {} root fields, " + spread),
        (whole.aliases, settings.alias_limit, "the document has more than {} aliases, " + spread),
        (whole.directives, settings.directive_limit, "the document has more than {} directives, " + spread),
        (count.crowd, MOST_DIRECTIVES_IN_A_PLACE, "more than {} directives stand in one place"),
        (pairs, settings.repetition_limit, "the document repeats fields or fragments too often"),
    ):
        if found > limit:
            raise _too_many(message.format(limit), min(found, CEILING))


def check_variables(given: Mapping[str, object], settings: Settings) -> int:
    """How many values variables hold; refuses too many, or too deeply nested ones, asked for or not."""
    waiting: list[Iterable[object]] = [given.values()]
    count, depth = 0, 0
    while waiting:
        depth += 1
        if depth > settings.variable_depth_limit:
            message = f"the variables are nested deeper than {settings.variable_depth_limit}"
            raise _too_many(message, depth)
        below: list[Iterable[object]] = []
        for values in waiting:
            for value in values:
                count += 1
                match value:
                    case dict():
                        below.append(value.values())
                    case list():
                        below.append(value)
        if count > settings.variable_limit:
            raise _too_many(f"the variables hold more than {settings.variable_limit} values", count)
        waiting = below
    return count


def _too_many(message: str, count: int) -> RequestError:
    return fault(Code.TOO_COMPLEX, message, cost=count)


@dataclass(frozen=True, slots=True)
class _Size:
    """How deep a selection is, and what it asks for with its fragments spread.

    `fields` are weighted; `width` are those side by side, of an operation its root fields.
    """

    depth: int = 0
    fields: int = 0
    width: int = 0
    aliases: int = 0
    directives: int = 0


class _Count:
    """The size of a document and its response keys, with what is known of each fragment kept."""

    def __init__(self, document: DocumentNode) -> None:
        self.keys: Counter[str] = Counter()
        self.roots = 0
        # The most directives that stand in one place.
        self.crowd = 0
        self._document = document
        self._sizes: dict[str, _Size] = {}
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        # Of the fragments that are defined, and of those that are spread and may not be.
        self.names = set(self._fragments)

    def whole(self) -> _Size:
        """The largest counts of any operation or fragment."""
        operations = [
            node for node in self._document.definitions if isinstance(node, OperationDefinitionNode)
        ]
        sizes = [self._of_definition(node) for node in operations]
        self.roots = max((size.width for size in sizes), default=0)
        sizes += [self._of_fragment(name) for name in self._fragments]
        return _Size(
            *(max((getattr(size, name) for size in sizes), default=0) for name in _Size.__dataclass_fields__)
        )

    def _of_definition(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> _Size:
        variables = node.variable_definitions or ()
        directives = self._directives(node) + sum(self._directives(variable) for variable in variables)
        size = self._of_set(node.selection_set)
        return _Size(size.depth, size.fields, size.width, size.aliases, size.directives + directives)

    def _of_set(self, selections: SelectionSetNode | None) -> _Size:
        depth = fields = width = aliases = directives = 0
        for node in () if selections is None else selections.selections:
            size = self._of(node)
            depth = max(depth, size.depth)
            fields += size.fields
            width += size.width
            aliases += size.aliases
            directives += size.directives
        # PERF: what doubles from fragment to fragment would grow into numbers of a thousand digits.
        return _Size(depth, *(min(count, CEILING) for count in (fields, width, aliases, directives)))

    def _of(self, node: Node) -> _Size:
        match node:
            case FieldNode():
                self.keys[node.alias.value if node.alias else node.name.value] += 1
                below = self._of_set(node.selection_set)
                aliases = below.aliases + (node.alias is not None)
                directives = below.directives + self._directives(node)
                return _Size(1 + below.depth, _weight(node) + below.fields, 1, aliases, directives)
            case InlineFragmentNode():
                return self._with_directives(node, self._of_set(node.selection_set))
            case FragmentSpreadNode():
                self.names.add(node.name.value)
                return self._with_directives(node, self._of_fragment(node.name.value))
        return _Size()

    def _with_directives(self, node: InlineFragmentNode | FragmentSpreadNode, size: _Size) -> _Size:
        if not node.directives:
            return size
        directives = size.directives + self._directives(node)
        return _Size(size.depth, size.fields, size.width, size.aliases, directives)

    def _directives(self, node: Node) -> int:
        number = len(getattr(node, "directives", None) or ())
        self.crowd = max(self.crowd, number)
        return number

    def _of_fragment(self, name: str) -> _Size:
        if name not in self._sizes:
            self._sizes[name] = _Size()  # a circle ends here; validation refuses it
            fragment = self._fragments.get(name)
            self._sizes[name] = self._of_definition(fragment) if fragment else _Size()
        return self._sizes[name]


def _weight(node: FieldNode) -> int:
    if node.name.value in ("__schema", "__type"):
        return INTROSPECTION_WEIGHT
    return 1 if node.selection_set is None else OBJECT_WEIGHT
