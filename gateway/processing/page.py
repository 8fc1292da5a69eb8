"""A document as one HTML page without scripts; its texts are escaped by the library that writes the tree."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from .document import Block, Cell, Document, Facts, Listing, Names, Table

STYLE = (
    "body{font-family:sans-serif;line-height:1.5;margin:0 auto;max-width:75rem;padding:1rem}"
    "table{border-collapse:collapse;margin:1rem 0;width:100%}"
    "caption{font-weight:bold;text-align:left}"
    "th,td{border:1px solid #777;overflow-wrap:anywhere;padding:.3rem;text-align:left;vertical-align:top}"
    "dt{font-weight:bold}"
)


def as_html(document: Document) -> str:
    """The page: a heading for each section, definition lists and tables; well-formed as XML too."""
    html = Element("html", lang="en")
    head = SubElement(html, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _said(head, "title", document.title)
    _said(head, "style", STYLE)
    main = SubElement(SubElement(html, "body"), "main")
    _said(main, "h1", document.title)
    _said(main, "p", document.introduction)
    for section in document.sections:
        place = SubElement(main, "section")
        _said(place, "h2", section.title)
        for block in section.blocks:
            _block(place, block)
    indent(html)
    return f"<!DOCTYPE html>\n{tostring(html, encoding='unicode')}\n"


def _said(parent: Element, tag: str, text: str, **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = text
    return element


def _block(parent: Element, block: Block) -> None:
    match block:
        case Facts():
            _facts(parent, block)
        case Listing(texts):
            place = SubElement(parent, "ul")
            for text in texts:
                _said(place, "li", text)
        case Table():
            _table(parent, block)


def _facts(parent: Element, block: Facts) -> None:
    place = SubElement(parent, "dl")
    before = None
    for word, value in block.facts:
        if word != before:
            _said(place, "dt", word)
        before = word
        _fill(SubElement(place, "dd"), value)


def _table(parent: Element, table: Table) -> None:
    if not table.rows:
        _said(parent, "h3", table.caption)
        _said(parent, "p", table.without)
        return
    place = SubElement(parent, "table")
    _said(place, "caption", table.caption)
    heads = SubElement(SubElement(place, "thead"), "tr")
    for head in table.heads:
        _said(heads, "th", head, scope="col")
    body = SubElement(place, "tbody")
    for first, *others in table.rows:
        row = SubElement(body, "tr")
        _fill(SubElement(row, "th", scope="row"), first)
        for cell in others:
            _fill(SubElement(row, "td"), cell)


def _fill(element: Element, cell: Cell) -> None:
    """Puts a cell's text, or its names as `code` elements, into an element."""
    match cell:
        case Names(()):
            element.text = "-"
        case Names(names):
            for name in names:
                _said(element, "code", name)
        case str():
            element.text = cell
