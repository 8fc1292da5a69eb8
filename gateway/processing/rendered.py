"""The record in each of the forms it is read in."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import assert_never

from .document import document
from .markdown import as_markdown
from .page import as_html
from .values import ProcessingRecord, as_object


class Format(StrEnum):
    """What the record is written as."""

    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


def rendered(record: ProcessingRecord, form: Format) -> str:
    """The record's text, ending in a line break; as JSON under its GraphQL names."""
    match form:
        case Format.MARKDOWN:
            return as_markdown(document(record))
        case Format.HTML:
            return as_html(document(record))
        case Format.JSON:
            return json.dumps(as_object(record), indent=1, ensure_ascii=False) + "\n"
        case never:
            assert_never(never)
