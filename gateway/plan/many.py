"""How many people an operation may show at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .values import Listed, ListRoot, NodesRoot, Root


def people_at_once(roots: Iterable[Root], page_limit: int) -> int:
    """At most so many rows of the register, each of somebody else, are in the answer's root fields."""
    return sum(_rows(root, page_limit) for root in roots)


def _rows(root: Root, page_limit: int) -> int:
    match root:
        case ListRoot(_, connection):
            return connection.page.size
        case NodesRoot(operand=operand):
            source = operand.source
            return len(source.items) if isinstance(source, Listed) else page_limit
        case _:
            return 1
