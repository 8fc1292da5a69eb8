"""The HTTP edge: GraphQL over HTTP in, bytes out. The only module that knows Starlette.

`create_app` builds everything once from the settings and hands it down; nothing lives at module level.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from schema.model import load_model

from .answer import Answer, Clock, Gateway, Request, answer, operation_weight, prepared_weight
from .cache import Cache
from .config import Settings
from .database import DATABASE_ERRORS, Database, DatabaseTimeout
from .errors import Code, HttpError, Problem, RequestError, Unauthenticated
from .introspection import SchemaViews
from .local import Local
from .policy import load_policy
from .principal import Principals, SigningKey, utc_now
from .response import failed

log = logging.getLogger("gateway")

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
FIXED_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def create_gateway(settings: Settings, clock: Clock = utc_now) -> Gateway:
    """Everything a worker needs, checked; raises `StartError` where the policy or the key is wrong."""
    model = load_model()
    policy = load_policy(settings.policy_folder, model)
    database = Database(settings)
    key = SigningKey.load(settings.signing_key_file)
    periods = {f"period_{name}": period for name, period in settings.periods().items()}
    return Gateway(
        settings=settings,
        model=model,
        policy=policy,
        database=database,
        principals=Principals(settings, key, database),
        local=Local(policy, SchemaViews(model, policy)),
        clock=clock,
        constants={"setting_public_url": f"{settings.public_url.rstrip('/')}/u/", **periods},
        operations=Cache(settings.operation_cache_bytes, operation_weight),
        plans=Cache(settings.plan_cache_bytes, prepared_weight),
    )


def create_app(settings: Settings, clock: Clock = utc_now) -> Starlette:
    """The ASGI application; raises `StartError` where it cannot be trusted to start."""
    return app_of(create_gateway(settings, clock))


def from_environment() -> Starlette:
    """The application of a worker process, with the settings of the environment."""
    return create_app(Settings.read())


def app_of(gateway: Gateway) -> Starlette:
    """The ASGI application of a gateway."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await gateway.database.open()
        yield
        await gateway.database.close()

    async def graphql(request: HttpRequest) -> Response:
        return await _graphql(gateway, request)

    async def schema(request: HttpRequest) -> Response:
        return await _schema(gateway, request)

    async def ready(_: HttpRequest) -> Response:
        found = {
            "ready": await gateway.database.is_ready(),
            "policy": gateway.policy.version,
            "caches": {
                "operations": gateway.operations.counters(),
                "plans": gateway.plans.counters(),
            },
        }
        return Response(orjson.dumps(found), 200 if found["ready"] else 503, media_type=JSON)

    async def health(_: HttpRequest) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/graphql", graphql, methods=["GET", "POST"]),
            Route("/schema.graphql", schema),
            Route("/healthz", health),
            Route("/readyz", ready),
        ],
    )


async def _graphql(gateway: Gateway, request: HttpRequest) -> Response:
    request_id = str(uuid4())
    media = JSON
    try:
        media = _media_type(request)
        found = await answer(gateway, await _read_request(gateway.settings, request))
    except RequestError as error:
        return _respond(Answer(failed(error.problems), _status(error, media)), media, request_id, error)
    except DatabaseTimeout:
        problem = Problem(Code.TIMEOUT, "the operation took longer than the caller's role may")
        return _respond(Answer(failed([problem]), 504), media, request_id)
    except DATABASE_ERRORS as error:
        # The error's text may quote values: its type and SQLSTATE say enough.
        log.error(
            "database: %s %s request %s", type(error).__name__, getattr(error, "sqlstate", ""), request_id
        )
        return _respond(_internal(), media, request_id)
    except ClientDisconnect:
        return Response(status_code=499)
    except Exception as error:  # the edge: whatever it is, its text stays here and nothing is answered
        log.error("fault: %s at %s request %s", type(error).__name__, _place(error), request_id)
        return _respond(_internal(), media, request_id)
    return _respond(found, media, request_id)


def _internal() -> Answer:
    return Answer(failed([Problem(Code.INTERNAL, "the gateway failed; nothing was given")]), 500)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"


def _status(error: RequestError, media: str) -> int:
    # GraphQL over HTTP, section 6.4.1: under application/json a well-formed request is answered with 200.
    return 200 if media == JSON and not isinstance(error, HttpError) else error.status


def _respond(found: Answer, media: str, request_id: str, error: RequestError | None = None) -> Response:
    headers = {**FIXED_HEADERS, "x-request-id": request_id}
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = f'Bearer error="invalid_token", error_description="{error.reason}"'
    return Response(found.body, found.status, headers, f"{media}; charset=utf-8")


async def _schema(gateway: Gateway, request: HttpRequest) -> Response:
    """The caller's own SDL."""
    try:
        given = (_header(request, "Authorization"), _header(request, "Act-As"))
        principal = await gateway.principals.identify(*given, gateway.clock())
    except RequestError as error:
        return _respond(Answer(failed(error.problems), error.status), JSON, str(uuid4()), error)
    except DATABASE_ERRORS as error:
        log.error("database: %s %s", type(error).__name__, getattr(error, "sqlstate", ""))
        return _respond(_internal(), JSON, str(uuid4()))
    return PlainTextResponse(gateway.local.views.sdl(principal.role), headers=FIXED_HEADERS)


# ---------------------------------------------------------------- reading a request


def _media_type(request: HttpRequest) -> str:
    """The media type of the answer: the best acceptable one (GraphQL over HTTP, section 6.1)."""
    accept = request.headers.get("accept")
    if accept is None:
        return JSON
    best, found = 0.0, None
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        media = {GRAPHQL_RESPONSE: GRAPHQL_RESPONSE, JSON: JSON, "application/*": JSON, "*/*": JSON}.get(kind)
        quality = _quality(parameters)
        if media is not None and quality > best:
            best, found = quality, media
    if found is None:
        raise HttpError(Code.BAD_REQUEST, f"`Accept` takes {JSON} or {GRAPHQL_RESPONSE}", 406)
    return found


def _quality(parameters: list[str]) -> float:
    """The weight of a media range (RFC 9110, section 12.4.2); what is no weight counts as none."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            return float(value) if re.fullmatch(r"[01](\.\d{0,3})?", value) else 0.0
    return 1.0


async def _read_request(settings: Settings, request: HttpRequest) -> Request:
    parameters = _of_url(request) if request.method in ("GET", "HEAD") else await _of_body(settings, request)
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
        authorization=_header(request, "Authorization"),
        act_as=_header(request, "Act-As"),
        purpose=_header(request, "Processing-Purpose"),
        reject_on_refusal=_rejects(_header(request, "On-Forbidden")),
    )


def _header(request: HttpRequest, name: str) -> str | None:
    """A header that decides something: given twice, it is not clear what was meant."""
    given = request.headers.getlist(name)
    if len(given) > 1:
        raise HttpError(Code.BAD_REQUEST, f"`{name}` is given more than once")
    return given[0] if given else None


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


async def _of_body(settings: Settings, request: HttpRequest) -> dict[str, Any]:
    # A content type that no form can send: no cross-site request without a preflight.
    kind, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    if kind != JSON:
        raise HttpError(Code.BAD_REQUEST, f"`Content-Type` is {JSON}", 415)
    charsets = {
        part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")
    }
    if charsets - {"utf-8"} or "content-encoding" in request.headers:
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
