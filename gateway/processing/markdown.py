"""A document as Markdown; whatever stands in the files is text in it, never markup."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .document import Block, Cell, Document, Facts, Listing, Names, Table

# What Markdown, or HTML inside it, would take for markup.
MARKUP = re.compile(r"[\\`*_\[\]<>|&~#!]")
# What would begin a list inside the list or cell that a text stands in.
LIST = re.compile(r"^(\d*)([-+.)])")


def as_markdown(document: Document) -> str:
    """The document in Markdown with tables, ending in a line break."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield from (f"# {_escaped(document.title)}", "", _escaped(document.introduction))
    for section in document.sections:
        yield from ("", f"## {_escaped(section.title)}")
        for block in section.blocks:
            yield ""
            yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Facts(facts):
            yield from (f"- {_escaped(word)}: {_cell(value)}" for word, value in facts)
        case Listing(texts):
            yield from (f"- {_escaped(text)}" for text in texts)
        case Table():
            yield from _table(block)


def _table(table: Table) -> Iterator[str]:
    yield from (f"### {_escaped(table.caption)}", "")
    if not table.rows:
        yield table.without
        return
    yield f"| {' | '.join(table.heads)} |"
    yield f"|{'---|' * len(table.heads)}"
    for row in table.rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(cell: Cell) -> str:
    match cell:
        case Names(names):
            return ", ".join(_code(name) for name in names) or "-"
        case str():
            return _escaped(cell)


def _escaped(text: str) -> str:
    """A text on one line."""
    line = MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))
    return LIST.sub(lambda found: f"{found[1]}\\{found[2]}", line)


def _code(name: str) -> str:
    """A name as a code span; one that such a span cannot hold is written as text."""
    return _escaped(name) if re.search(r"[`|\\\s]", name) else f"`{name}`"
