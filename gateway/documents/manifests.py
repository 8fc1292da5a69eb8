"""Reads the manifests that clients' build tools write: Apollo's, and Relay's, which is graphql-codegen's too.

Takes a file. Gives its entries, not yet held to the schema. Rejects with `StartError` naming file and entry.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, parse

from schema.model import Model

from ..config import Settings
from ..errors import RequestError, StartError
from ..operation import Operation, digest_of, parse_operation
from .asked import LONGEST_ID

APOLLO = "apollo-persisted-query-manifest"
KINDS = ("query", "mutation", "subscription")
# What GraphQL over HTTP, appendix A, lets an id be made of.
ID = re.compile(rf"[A-Za-z0-9._~:-]{{1,{LONGEST_ID}}}")
HEADING = re.compile(r"^(query|mutation|subscription)\s+([_A-Za-z]\w*)", re.MULTILINE | re.ASCII)
# How relay-compiler makes ids, by their length; `persistConfig.algorithm` says which.
RELAY_IDS: Mapping[int, Callable[[str], str]] = {
    32: lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
    40: lambda text: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One document of a manifest; `place` names file and entry."""

    place: str
    id: str
    name: str
    kind: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return digest_of(self.text)


def read_manifest(path: Path) -> tuple[Entry, ...]:
    """The documents of a manifest, in the file's order; raises `StartError`."""
    found = _read_json(path)
    if not isinstance(found, dict) or not found:
        raise StartError(f"{path}: this is no manifest: an object, and not empty")
    entries = tuple(_of_apollo(path, found) if "format" in found else _of_relay(path, found))
    seen: dict[str, Entry] = {}
    for entry in entries:
        if entry.id in seen:
            raise StartError(f"{entry.place}: the id stands twice")
        _check_id(entry)
        seen[entry.id] = entry
    return entries


def parsed(entry: Entry, model: Model, settings: Settings) -> Operation:
    """The one operation of an entry's document, within the limits of a request; raises `RequestError`."""
    return parse_operation(entry.text, None, model.graphql, settings)


def checked(entry: Entry, model: Model, settings: Settings) -> Operation:
    """An entry's operation, of the name and kind the manifest says; raises `StartError`."""
    try:
        operation = parsed(entry, model, settings)
    except RequestError as error:
        raise StartError(f"{entry.place}: {problems_of(error)}") from None
    if not is_as_said(entry, operation.definition):
        raise StartError(f"{entry.place}: the document is of another name or type")
    return operation


def is_as_said(entry: Entry, definition: OperationDefinitionNode) -> bool:
    """Whether a document's operation has the name and kind that the manifest says."""
    name = definition.name.value if definition.name else None
    return (name, definition.operation.value) == (entry.name, entry.kind)


def problems_of(error: RequestError) -> str:
    """What is wrong with a document, on one line; names coordinates, never values."""
    return "; ".join(
        f"{one.code}: {one.message}" + (f" (line {one.location.line})" if one.location else "")
        for one in error.problems
    )


def _of_apollo(path: Path, found: Mapping[str, Any]) -> Iterator[Entry]:
    if found.get("format") != APOLLO or found.get("version") != 1 or found["version"] is True:
        raise StartError(f"{path}: the format is `{APOLLO}` in version 1")
    _only(found, ("format", "version", "operations"), str(path))
    operations = found.get("operations")
    if not isinstance(operations, list) or not operations:
        raise StartError(f"{path}: `operations` is a list, and not empty")
    for number, one in enumerate(operations, 1):
        place = f"{path}: operation {number}"
        if not isinstance(one, dict):
            raise StartError(f"{place}: this is an object with `id`, `name`, `type` and `body`")
        _only(one, ("id", "name", "type", "body"), place)
        for key in ("id", "name", "type", "body"):
            if not isinstance(one.get(key), str) or not one[key]:
                raise StartError(f"{place}: `{key}` is a text and not empty")
        if one["type"] not in KINDS:
            raise StartError(f"{place}: `type` is one of {', '.join(KINDS)}")
        yield Entry(f"{place} (`{one['name']}`)", one["id"], one["name"], one["type"], one["body"])


def _of_relay(path: Path, found: Mapping[str, Any]) -> Iterator[Entry]:
    for id, text in found.items():
        place = f"{path}: `{id}`"
        heading = _heading(text) if isinstance(text, str) else None
        if heading is None:
            raise StartError(f"{place}: this is the text of an operation with a name")
        if (algorithm := RELAY_IDS.get(len(id))) and re.fullmatch("[0-9a-f]+", id) and algorithm(text) != id:
            raise StartError(f"{place}: the id is not the digest of the text")
        kind, name = heading
        yield Entry(place, id, name, kind, text)


def _heading(text: str) -> tuple[str, str] | None:
    """The kind and the name of the document's first operation that has one, wherever it stands."""
    try:
        definitions = parse(text, no_location=True).definitions
    except (GraphQLError, RecursionError):
        # What does not parse is said with its place, once it is judged as a request's document is.
        found = HEADING.search(text)
        return None if found is None else (found[1], found[2])
    named = (one for one in definitions if isinstance(one, OperationDefinitionNode) and one.name)
    return next(((one.operation.value, one.name.value) for one in named if one.name), None)


def _only(found: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    if unknown := [key for key in found if key not in known]:
        raise StartError(f"{place}: unknown key `{unknown[0]}`")


def _check_id(entry: Entry) -> None:
    if not ID.fullmatch(entry.id):
        raise StartError(f"{entry.place}: an id is 1 to {LONGEST_ID} letters, digits and `-._~:`")
    said = entry.id.removeprefix("sha256:")
    claims = said != entry.id or re.fullmatch("[0-9a-fA-F]{64}", said)
    if claims and said != entry.digest:
        raise StartError(f"{entry.place}: the id is not the SHA-256 of the text")


def _read_json(path: Path) -> object:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if doubled := [key for place, key in enumerate(keys) if key in keys[:place]]:
            raise StartError(f"{path}: `{doubled[0]}` stands twice")
        return dict(pairs)

    try:
        found: object = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    except (OSError, ValueError, RecursionError) as error:
        raise StartError(f"{path}: the file is missing or no JSON in UTF-8") from error
    return found
