"""What an HTTP request asks, read within bounds: media type, headers, URL or body.

Takes what ASGI calls `scope` and `receive`. Gives a `Request`, not yet judged. Raises `HttpError` where it is
none: 400, 403 for a strange page, 406, 413, 415. How long a body may take to come is `Attended`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope

from .access_log import REQUEST_ID, TOLD
from .client_address import client_address
from .config import Settings
from .cross_origin import is_strange
from .documents.asked import asked_document, asks_for_cost
from .errors import CallerGone, Code, HttpError
from .live.events import EVENT_STREAM
from .recording import read_case_reference
from .request import Request

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
DECIDING = {
    "authorization": "Authorization",
    "act-as": "Act-As",
    "processing-purpose": "Processing-Purpose",
    "on-forbidden": "On-Forbidden",
    "case-reference": "Case-Reference",
}
# What covers a media type, the most specific range first (RFC 9110, 12.5.1). A stream has to be named.
RANGES = {
    JSON: (JSON, "application/*", "*/*"),
    GRAPHQL_RESPONSE: (GRAPHQL_RESPONSE, "application/*", "*/*"),
    EVENT_STREAM: (EVENT_STREAM,),
}
# PERF: what clients send needs no negotiation: 0.1 µs instead of 5 (`timeit` of `media_type`).
USUAL = {None: JSON, "*/*": JSON, JSON: JSON, GRAPHQL_RESPONSE: GRAPHQL_RESPONSE}


def media_type(accept: str | None) -> str:
    """The media type of the answer: the one preferred (GraphQL over HTTP, section 6.1); 406 without one.

    Of those preferred alike it is the one that is named, the first of several, and else JSON.
    """
    if accept in USUAL:
        return USUAL[accept]
    wanted = _weights(accept or "")
    found = [(_quality_of(media, wanted), -_place(media, wanted), media) for media in RANGES]
    quality, _, best = max(found, key=lambda one: one[:2])
    if quality == 0:
        known = f"`Accept` takes {JSON}, {GRAPHQL_RESPONSE} or {EVENT_STREAM}"
        raise HttpError(Code.BAD_REQUEST, known, 406)
    return best


def takes_events(accept: str | None) -> bool:
    """Whether a stream of events is taken, preferred or not."""
    return accept is not None and _quality_of(EVENT_STREAM, _weights(accept)) > 0


def _weights(accept: str) -> dict[str, float]:
    """The media ranges of `Accept` with their weights, in its order; of a range named twice the first."""
    found: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        found.setdefault(kind, _quality(parameters))
    return found


def _quality_of(media: str, wanted: Mapping[str, float]) -> float:
    return next((wanted[kind] for kind in RANGES[media] if kind in wanted), 0.0)


def _place(media: str, wanted: Mapping[str, float]) -> int:
    """Where a media type is named; behind all others where only a wider range covers it."""
    return list(wanted).index(media) if media in wanted else len(wanted)


def _quality(parameters: list[str]) -> float:
    """The weight of a media range (RFC 9110, section 12.4.2); what is no weight counts as none."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            return float(value) if re.fullmatch(r"0(\.\d{0,3})?|1(\.0{0,3})?", value) else 0.0
    return 1.0


async def read_request(
    settings: Settings, scope: Scope, receive: Receive, headers: Mapping[str, str]
) -> Request:
    """What is asked, its body read to the end."""
    if is_strange(headers, settings.allowed_origins):
        raise HttpError(Code.BAD_REQUEST, "pages of this origin may not ask", 403)
    by_url = scope["method"] in ("GET", "HEAD")
    parameters = _of_url(scope) if by_url else await _of_body(settings, receive, headers)
    query, variables = asked_document(parameters), parameters.get("variables")
    name, extensions = parameters.get("operationName"), parameters.get("extensions")
    if not isinstance(variables, dict | None) or not isinstance(extensions, dict | None):
        raise HttpError(Code.BAD_REQUEST, "`variables` and `extensions` are objects")
    if not isinstance(name, str | None):
        raise HttpError(Code.BAD_REQUEST, "`operationName` is a text")
    return Request(
        query=query,
        variables=variables or {},
        operation_name=name or None,
        authorization=headers.get("authorization"),
        act_as=headers.get("act-as"),
        purpose=headers.get("processing-purpose"),
        reject_on_refusal=rejects(headers.get("on-forbidden")),
        wants_cost=asks_for_cost(extensions),
        may_change=scope["method"] == "POST",
        client_address=client_address(scope, settings.trusted_proxies),
        request_id=scope[REQUEST_ID],
        case_reference=read_case_reference(headers.get("case-reference"), settings.case_reference),
        told=scope[TOLD],
    )


def read_caller(settings: Settings, scope: Scope) -> Request:
    """Who asks, and nothing of what: a request without a document."""
    headers = read_headers(scope)
    return Request(
        query="",
        variables={},
        operation_name=None,
        authorization=headers.get("authorization"),
        act_as=headers.get("act-as"),
        client_address=client_address(scope, settings.trusted_proxies),
        request_id=scope[REQUEST_ID],
        told=scope[TOLD],
    )


def read_headers(scope: Scope) -> dict[str, str]:
    """The headers by name; one that decides something must not be given twice."""
    given = scope["headers"]
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in given}
    if len(found) < len(given):
        names = [name.decode("latin-1") for name, _ in given]
        for key in DECIDING:
            if names.count(key) > 1:
                raise HttpError(Code.BAD_REQUEST, f"`{DECIDING[key]}` is given more than once")
    return found


def rejects(value: str | None) -> bool:
    """What `On-Forbidden` says: whether an operation is wanted whole or not at all."""
    if value not in (None, "null", "reject"):
        raise HttpError(Code.BAD_REQUEST, "`On-Forbidden` takes `null` or `reject`")
    return value == "reject"


def _of_url(scope: Scope) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(QueryParams(scope["query_string"]))
    for name in ("variables", "extensions"):
        if name in parameters:
            parameters[name] = _json(parameters[name].encode("utf-8", "surrogatepass"), name)
    return parameters


async def _of_body(settings: Settings, receive: Receive, headers: Mapping[str, str]) -> dict[str, Any]:
    _check_content(headers.get("content-type", ""))
    if "content-encoding" in headers:
        raise HttpError(Code.BAD_REQUEST, "the body is plain UTF-8", 415)
    _check_size(int(headers.get("content-length", 0)), settings)
    # PERF: Starlette's `stream` hands over the same in 10 µs more.
    body, has_more = bytearray(), True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
        _check_size(len(body), settings)
    found = _json(body, "the body")
    if not isinstance(found, dict):
        raise HttpError(Code.BAD_REQUEST, "the body is no JSON object")
    return found


def _check_content(kind: str) -> None:
    """Raises unless it is a content type that no form can send: no cross-site request without a preflight."""
    if kind == JSON:
        return
    kind, *parameters = (part.strip().lower() for part in kind.split(";"))
    if kind != JSON:
        raise HttpError(Code.BAD_REQUEST, f"`Content-Type` is {JSON}", 415)
    charsets = {
        part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")
    }
    if charsets - {"utf-8"}:
        raise HttpError(Code.BAD_REQUEST, "the body is plain UTF-8", 415)


def _check_size(size: int, settings: Settings) -> None:
    if size > settings.body_limit_bytes:
        raise HttpError(Code.BAD_REQUEST, f"the body is over {settings.body_limit_bytes} bytes", 413)


def _json(text: bytes | bytearray, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise HttpError(Code.BAD_REQUEST, f"{name} is no JSON in UTF-8") from error
