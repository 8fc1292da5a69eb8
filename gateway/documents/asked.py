"""How a request says which document it means: by its text, or by the id that a manifest gives it.

Ids come as `documentId` (GraphQL over HTTP, appendix A), as `doc_id` (Relay's network layer), or as
`extensions.persistedQuery` (Apollo); in a body, in a URL, and in the payload of `subscribe`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Code, HttpError
from ..operation import digest_of

LONGEST_ID = 256
ID_NAMES = ("documentId", "doc_id")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class ById:
    """A document by the id that its manifest gives it; the client's text, and so never told."""

    id: str


Asked = str | ById


def asked_document(given: Mapping[str, Any]) -> Asked:
    """The document that a request's parameters mean; raises `HttpError` (BAD_REQUEST) where they are none."""
    query, persisted = given.get("query"), _persisted(given.get("extensions"))
    ids = [given[name] for name in ID_NAMES if given.get(name) is not None]
    if query is None or query == "":
        return _by_id([*ids, *([] if persisted is None else [persisted])])
    if not isinstance(query, str):
        raise _bad("`query` is missing or no text")
    if ids:
        raise _bad("`query` and the id of a document are not given together")
    if persisted is not None and SHA256.fullmatch(persisted) and persisted != digest_of(query):
        raise _bad("`persistedQuery` is not the SHA-256 of `query`")
    return query


def asks_for_cost(extensions: Mapping[str, Any] | None) -> bool:
    """Whether a request's `extensions` ask what its operation costs: `{"cost": true}`."""
    return extensions is not None and extensions.get("cost") is True


def _by_id(ids: list[Any]) -> ById:
    if not ids:
        raise _bad("`query` is missing or no text")
    if not all(isinstance(one, str) and 0 < len(one) <= LONGEST_ID for one in ids):
        raise _bad(f"the id of a document is a text of 1 to {LONGEST_ID} characters")
    if len(set(ids)) > 1:
        raise _bad("the ids of the document differ")
    return ById(ids[0])


def _persisted(extensions: object) -> str | None:
    """The id that Apollo's extension gives, in version 1; other extensions are passed over."""
    found = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    if found is None:
        return None
    version = found.get("version") if isinstance(found, dict) else None
    if version != 1 or isinstance(version, bool) or not isinstance(found.get("sha256Hash"), str):
        raise _bad("`persistedQuery` has `version` 1 and a text as `sha256Hash`")
    id: str = found["sha256Hash"]
    return id


def _bad(message: str) -> HttpError:
    return HttpError(Code.BAD_REQUEST, message)
