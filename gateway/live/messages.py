"""The messages of `graphql-transport-ws` as values (github.com/enisdenjo/graphql-ws, PROTOCOL.md).

Takes the text of a frame. Gives a message. Rejects, with `SocketEnd` 4400, what is none of the protocol's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ..documents.asked import Asked, asked_document, asks_for_cost
from ..errors import HttpError, SocketEnd

LONGEST_ID = 256
# What the payload of `connection_init` may give, as the headers of the upgrade do.
GIVEN = frozenset({"authorization", "act-as", "processing-purpose", "case-reference", "on-forbidden"})

ACK = '{"type":"connection_ack"}'
PONG = '{"type":"pong"}'


@dataclass(frozen=True, slots=True)
class Init:
    """`connection_init`: what its payload gives, by the lower-case names of the headers it stands for."""

    given: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Subscribe:
    """`subscribe`: an operation of any kind, under an id of the client's."""

    id: str
    query: Asked
    variables: Mapping[str, Any]
    operation_name: str | None
    wants_cost: bool = False


@dataclass(frozen=True, slots=True)
class Complete:
    """`complete`: the client wants nothing more of an operation."""

    id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """`ping`."""


@dataclass(frozen=True, slots=True)
class Pong:
    """`pong`."""


Message = Init | Subscribe | Complete | Ping | Pong


def read_message(text: str | None, limit_bytes: int) -> Message:
    """The message in a frame; None is a frame that is no text."""
    if text is None:
        raise _invalid("it is no text")
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) > limit_bytes:
        raise SocketEnd(1009, f"the message is over {limit_bytes} bytes")
    try:
        found = orjson.loads(encoded)
    except orjson.JSONDecodeError:
        raise _invalid("it is no JSON") from None
    if not isinstance(found, dict):
        raise _invalid("it is no object")
    payload = found.get("payload")
    match found.get("type"):
        case "connection_init":
            return Init(_given(payload))
        case "subscribe":
            return _subscribe(_id(found), payload)
        case "complete":
            return Complete(_id(found))
        case "ping":
            return Ping()
        case "pong":
            return Pong()
        case _:
            raise _invalid("its `type` is unknown")


def next_message(id: str, body: bytes) -> str:
    """`next` with the body of an answer."""
    return f'{{"id":{_text(id)},"type":"next","payload":{body.decode()}}}'


def error_message(id: str, body: bytes) -> str:
    """`error` with the `errors` of an answer without data."""
    errors = orjson.dumps(orjson.loads(body)["errors"]).decode()
    return f'{{"id":{_text(id)},"type":"error","payload":{errors}}}'


def complete_message(id: str) -> str:
    """`complete`."""
    return f'{{"id":{_text(id)},"type":"complete"}}'


def _text(id: str) -> str:
    return orjson.dumps(id).decode()


def _invalid(reason: str) -> SocketEnd:
    return SocketEnd(4400, f"Invalid message: {reason}")


def _id(found: Mapping[str, Any]) -> str:
    id = found.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= LONGEST_ID:
        raise _invalid(f"its `id` is no text of 1 to {LONGEST_ID} characters")
    return id


def _given(payload: object) -> dict[str, str]:
    if not isinstance(payload, dict | None):
        raise _invalid("its `payload` is no object")
    given: dict[str, str] = {}
    for name, value in (payload or {}).items():
        key = name.lower()
        if key not in GIVEN or value is None:
            continue
        if not isinstance(value, str) or key in given:
            raise _invalid(f"`{key}` is no text, or given twice")
        given[key] = value
    if given.get("on-forbidden", "null") not in ("null", "reject"):
        raise _invalid("`on-forbidden` takes `null` or `reject`")
    return given


def _subscribe(id: str, payload: object) -> Subscribe:
    given = payload if isinstance(payload, dict) else {}
    name, variables, extensions = (given.get(key) for key in ("operationName", "variables", "extensions"))
    if not isinstance(name, str | None):
        raise _invalid("`operationName` is no text")
    if not isinstance(variables, dict | None) or not isinstance(extensions, dict | None):
        raise _invalid("`variables` or `extensions` is no object")
    try:
        document, wants_cost = asked_document(given), asks_for_cost(extensions)
        return Subscribe(id, document, variables or {}, name or None, wants_cost)
    except HttpError as error:
        raise _invalid(error.problems[0].message) from None
