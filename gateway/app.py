"""The HTTP edge: GraphQL over HTTP in, bytes out. The only module that knows Starlette.

`create_app` builds everything once from the settings and hands it down; nothing lives at module level.
"""

from __future__ import annotations

import gc
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from schema.model import load_model

from .answer import (
    Answer,
    Clock,
    Gateway,
    Request,
    answer,
    is_subscription,
    operation_weight,
    prepared_weight,
)
from .cache import Cache
from .chores import chores
from .client_address import client_address
from .config import Settings
from .database import DATABASE_ERRORS, Database
from .errors import Code, HttpError, RequestError, TooMany, Unauthenticated
from .failures import failure
from .introspection import SchemaViews
from .live.connection import Live
from .live.events import EVENT_STREAM, event_response
from .live.sockets import serve_socket
from .local import Local
from .partner_roots import partner_roots
from .policy import load_policy
from .principal import Principals, SigningKey, utc_now
from .response import failed
from .throttle import Throttle
from .writes import Tools

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
JWKS = "application/jwk-set+json"
DECIDING = {
    "authorization": "Authorization",
    "act-as": "Act-As",
    "processing-purpose": "Processing-Purpose",
    "on-forbidden": "On-Forbidden",
}
# How long a server that stops waits for consumers that do not take their last message.
LONGEST_STOP_SECONDS = 5
MEDIA_TYPES = {
    **{kind: kind for kind in (GRAPHQL_RESPONSE, JSON, EVENT_STREAM)},
    "application/*": JSON,
    "*/*": JSON,
}
FIXED_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def create_gateway(settings: Settings, clock: Clock = utc_now) -> Gateway:
    """Everything a worker needs, checked; raises `StartError` where the policy or the key is wrong."""
    model = load_model()
    policy = load_policy(settings.policy_folder, model)
    database = Database(settings)
    key = SigningKey.load(settings.signing_key_file, settings.former_key_files)
    periods = {f"period_{name}": period for name, period in settings.periods().items()}
    principals = Principals(settings, key, database)
    throttle = Throttle(settings, key.secrets("throttle")[0])
    return Gateway(
        settings=settings,
        model=model,
        policy=policy,
        database=database,
        principals=principals,
        local=Local(policy, SchemaViews(model, policy)),
        clock=clock,
        tools=Tools(
            settings, model, key, policy.notice, principals.forget, throttle, partner_roots(policy, model)
        ),
        constants={"setting_public_url": f"{settings.public_url.rstrip('/')}/u/", **periods},
        operations=Cache(settings.operation_cache_bytes, operation_weight),
        plans=Cache(settings.plan_cache_bytes, prepared_weight),
    )


def settle_memory() -> None:
    """Takes what lives as long as the worker out of the garbage collector's sight.

    # PERF: every full collection walked it, and held up whatever request it fell into.
    """
    gc.collect()
    gc.freeze()


def create_app(settings: Settings, clock: Clock = utc_now) -> Starlette:
    """The ASGI application; raises `StartError` where it cannot be trusted to start."""
    return app_of(create_gateway(settings, clock))


def from_environment() -> Starlette:
    """The application of a worker process, with the settings of the environment."""
    return create_app(Settings.read())


def app_of(gateway: Gateway) -> Starlette:
    """The ASGI application of a gateway."""

    live = Live(gateway)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await gateway.database.open()
        last_uses = gateway.principals.last_uses
        async with live.running(), chores(gateway.settings, gateway.database, gateway.clock, last_uses):
            settle_memory()
            yield
        await gateway.database.close()

    app = Starlette(lifespan=lifespan, routes=_routes(live))
    app.state.live = live
    return app


def _routes(live: Live) -> list[BaseRoute]:
    gateway = live.gateway

    async def graphql(request: HttpRequest) -> Response:
        return await _graphql(live, request)

    async def socket(websocket: WebSocket) -> None:
        await _socket(live, websocket)

    async def schema(request: HttpRequest) -> Response:
        return await _schema(gateway, request)

    async def ready(_: HttpRequest) -> Response:
        return await _ready(live)

    async def keys(_: HttpRequest) -> Response:
        # RFC 7517; what it holds is public.
        found = gateway.tools.key.published()
        return Response(found, headers={"cache-control": "public, max-age=300"}, media_type=JWKS)

    async def health(_: HttpRequest) -> Response:
        return PlainTextResponse("ok\n")

    return [
        Route("/graphql", graphql, methods=["GET", "POST"]),
        WebSocketRoute("/graphql", socket),
        Route("/schema.graphql", schema),
        Route("/.well-known/jwks.json", keys),
        Route("/healthz", health),
        Route("/readyz", ready),
    ]


async def _ready(live: Live) -> Response:
    """Whether the database answers and tells of changes, under which policy, and how the caches fare."""
    gateway = live.gateway
    found = {
        "ready": await gateway.database.is_ready(),
        "listening": live.broker.is_listening,
        "policy": gateway.policy.version,
        "caches": {"operations": gateway.operations.counters(), "plans": gateway.plans.counters()},
    }
    return Response(orjson.dumps(found), 200 if found["ready"] else 503, media_type=JSON)


async def _graphql(live: Live, request: HttpRequest) -> Response:
    gateway, request_id = live.gateway, secrets.token_hex(16)
    media = JSON
    try:
        headers = _headers(request)
        accept = headers.get("accept")
        media = _media_type(accept)
        asked = await _read_request(gateway.settings, request, headers)
        if await _wants_events(gateway, asked, media, accept) and request.method != "HEAD":
            fixed = {**FIXED_HEADERS, "x-request-id": request_id}
            return await event_response(live, asked, fixed)
        found = await answer(gateway, asked)
    except RequestError as error:
        return _respond(Answer(failed(error.problems), _status(error, media)), media, request_id, error)
    except ClientDisconnect:
        return Response(status_code=499)
    except Exception as error:  # the edge: whatever it is, its text stays here and nothing is answered
        return _respond(failure(error, request_id), media, request_id)
    return _respond(found, media, request_id)


def _status(error: RequestError, media: str) -> int:
    # GraphQL over HTTP, section 6.4.1: under application/json a well-formed request is answered with 200.
    return 200 if media == JSON and not isinstance(error, HttpError) else error.status


def _respond(found: Answer, media: str, request_id: str, error: RequestError | None = None) -> Response:
    headers = {**FIXED_HEADERS, "x-request-id": request_id}
    media = JSON if media == EVENT_STREAM else media
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = f'Bearer error="invalid_token", error_description="{error.reason}"'
    if isinstance(error, TooMany):
        headers["retry-after"] = str(error.retry_after_seconds)
    if found.status == 405:
        headers["allow"] = "POST"  # RFC 9110, section 15.5.6
    return Response(found.body, found.status, headers, f"{media}; charset=utf-8")


async def _socket(live: Live, websocket: WebSocket) -> None:
    try:
        headers = _headers(websocket)
        _rejects(headers.get("on-forbidden"))
    except HttpError:
        await websocket.close()  # before it is accepted: HTTP 403
    else:
        await serve_socket(live, websocket, headers)


async def _schema(gateway: Gateway, request: HttpRequest) -> Response:
    """The caller's own SDL."""
    try:
        headers = _headers(request)
        address = client_address(request.scope, gateway.settings.trusted_proxies)
        principal = await gateway.principals.identify(
            headers.get("authorization"), headers.get("act-as"), gateway.clock(), address
        )
    except RequestError as error:
        return _respond(Answer(failed(error.problems), error.status), JSON, secrets.token_hex(16), error)
    except DATABASE_ERRORS as error:
        request_id = secrets.token_hex(16)
        return _respond(failure(error, request_id), JSON, request_id)
    found = gateway.local.views.sdl(principal.role, principal.operations)
    return PlainTextResponse(found, headers=FIXED_HEADERS)


# ---------------------------------------------------------------- reading a request


def _media_type(accept: str | None) -> str:
    """The media type of the answer: the best acceptable one (GraphQL over HTTP, section 6.1)."""
    if accept is None or accept == "*/*":
        return JSON
    best, found = 0.0, None
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        media = MEDIA_TYPES.get(kind)
        quality = _quality(parameters)
        if media is not None and quality > best:
            best, found = quality, media
    if found is None:
        wanted = f"`Accept` takes {JSON}, {GRAPHQL_RESPONSE} or {EVENT_STREAM}"
        raise HttpError(Code.BAD_REQUEST, wanted, 406)
    return found


async def _wants_events(gateway: Gateway, asked: Request, media: str, accept: str | None) -> bool:
    """Whether to answer with a stream: where it is preferred, or taken and there is no other way."""
    if media == EVENT_STREAM or accept is None or EVENT_STREAM not in accept.lower():
        return media == EVENT_STREAM
    ranges = [[piece.strip() for piece in part.split(";")] for part in accept.lower().split(",")]
    taken = any(kind == EVENT_STREAM and _quality(parameters) > 0 for kind, *parameters in ranges)
    return taken and await is_subscription(gateway, asked)


def _quality(parameters: list[str]) -> float:
    """The weight of a media range (RFC 9110, section 12.4.2); what is no weight counts as none."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            return float(value) if re.fullmatch(r"[01](\.\d{0,3})?", value) else 0.0
    return 1.0


async def _read_request(settings: Settings, request: HttpRequest, headers: Mapping[str, str]) -> Request:
    parameters = (
        _of_url(request) if request.method in ("GET", "HEAD") else await _of_body(settings, request, headers)
    )
    query, variables = parameters.get("query"), parameters.get("variables")
    name, extensions = parameters.get("operationName"), parameters.get("extensions")
    if not isinstance(query, str) or not query:
        raise HttpError(Code.BAD_REQUEST, "`query` is missing or no text")
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
        reject_on_refusal=_rejects(headers.get("on-forbidden")),
        may_change=request.method == "POST",
        client_address=client_address(request.scope, settings.trusted_proxies),
    )


def _headers(request: HTTPConnection) -> dict[str, str]:
    """The headers by name; one that decides something must not be given twice."""
    found: dict[str, str] = {}
    for name, value in request.scope["headers"]:
        key = name.decode("latin-1")
        if key in found and key in DECIDING:
            raise HttpError(Code.BAD_REQUEST, f"`{DECIDING[key]}` is given more than once")
        found[key] = value.decode("latin-1")
    return found


def _rejects(value: str | None) -> bool:
    if value not in (None, "null", "reject"):
        raise HttpError(Code.BAD_REQUEST, "`On-Forbidden` takes `null` or `reject`")
    return value == "reject"


def _of_url(request: HttpRequest) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if name in parameters:
            parameters[name] = _json(parameters[name].encode("utf-8", "surrogatepass"), name)
    return parameters


async def _of_body(settings: Settings, request: HttpRequest, headers: Mapping[str, str]) -> dict[str, Any]:
    # A content type that no form can send: no cross-site request without a preflight.
    kind, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    if kind != JSON:
        raise HttpError(Code.BAD_REQUEST, f"`Content-Type` is {JSON}", 415)
    charsets = {
        part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")
    }
    if charsets - {"utf-8"} or "content-encoding" in headers:
        raise HttpError(Code.BAD_REQUEST, "the body is plain UTF-8", 415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > settings.body_limit_bytes:
            raise HttpError(Code.BAD_REQUEST, f"the body is over {settings.body_limit_bytes} bytes", 413)
    found = _json(bytes(body), "the body")
    if not isinstance(found, dict):
        raise HttpError(Code.BAD_REQUEST, "the body is no JSON object")
    return found


def _json(text: bytes, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise HttpError(Code.BAD_REQUEST, f"{name} is no JSON in UTF-8") from error
