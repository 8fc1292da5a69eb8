"""The HTTP edge: GraphQL over HTTP in, bytes out. The only module that knows Starlette.

`create_app` builds everything once from the settings and hands it down; nothing lives at module level.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from schema.model import load_model

from .access_log import BEGUN, REQUEST_ID, TOLD, AccessLog
from .answer import Answer, Clock, Gateway, Request, answer, is_subscription
from .attended import Attended
from .budget.spending import Budget
from .cache import Cache
from .chores import chores
from .client_address import client_address, is_within, read_address
from .config import Settings
from .cross_origin import CrossOrigin
from .database import Database
from .demo_secrets import refuse_demo_keys
from .documents.listed import load_documents
from .errors import CallerGone, Code, HttpError, Problem, RequestError, TooMany, Unauthenticated
from .failures import codes_of, failure
from .graphiql import make_page
from .http_requests import JSON, media_type, read_caller, read_headers, read_request, rejects, takes_events
from .introspection import SchemaViews
from .live.connection import Live
from .live.events import EVENT_STREAM, event_response
from .live.sockets import refuse_socket, serve_socket
from .local import Local
from .logs import Event, configure, note
from .noted import Noted
from .own_schema import own_schema
from .partner_roots import partner_roots
from .policy import Policy, load_policy
from .prepared import operation_weight, prepared_weight
from .principal import Principals, SigningKey, utc_now
from .privacy.chores import chores_of
from .privacy.download import download
from .privacy.office import open_office
from .processing import make_record
from .refusals import RefusalRecords
from .response import failed
from .server import SETTINGS
from .throttle import Throttle
from .unsubscribe import make_pages, unsubscribe
from .writes import Tools

JWKS = "application/jwk-set+json"
METHODS = "GET, HEAD, POST, OPTIONS"
# Several times what it takes to look up a link.
NOWHERE_SECONDS = 0.05
# How many more objects may come than go before the garbage collector looks at them: a few megabytes.
YOUNG_OBJECTS = 10_000


def create_gateway(settings: Settings, clock: Clock = utc_now) -> Gateway:
    """Everything a worker needs, checked; raises `StartError` where the policy or the key is wrong."""
    model = load_model()
    policy = load_policy(settings.policy_folder, model)
    database = Database(settings)
    key = SigningKey.load(settings.signing_key_file, settings.former_key_files)
    principals = Principals(settings, key, database)
    throttle = Throttle(settings, key.secrets("throttle")[0], Database(settings))
    refusals = RefusalRecords(settings.refusal_records_per_minute)
    return Gateway(
        settings=settings,
        model=model,
        policy=policy,
        database=database,
        principals=principals,
        local=Local(policy, SchemaViews(model, policy), make_record(policy, model)),
        clock=clock,
        tools=Tools(
            settings,
            model,
            key,
            policy.notice,
            principals.forget,
            throttle,
            partner_roots(policy, model),
            policy.version,
            refusals,
            open_office(settings, policy, key),
        ),
        constants=_constants(settings, policy),
        documents=load_documents(settings, policy, model),
        refusals=refusals,
        noted=Noted(),
        budget=Budget(settings, key.secrets("budget")[0], lambda: clock().timestamp()),
        operations=Cache(settings.operation_cache_bytes, operation_weight),
        plans=Cache(settings.plan_cache_bytes, prepared_weight),
    )


def _constants(settings: Settings, policy: Policy) -> dict[str, object]:
    """What every statement may bind that no request changes."""
    return {
        "setting_public_url": f"{settings.public_url.rstrip('/')}/u/",
        "setting_read_quota": settings.read_quota,
        "setting_policy_version": policy.version,
        "setting_notice_version": policy.notice.version,
        **{f"period_{name}": period for name, period in settings.periods().items()},
    }


def settle_memory() -> None:
    """Takes what lives as long as the worker out of the garbage collector's sight.

    # PERF: every full collection walked some 200,000 objects, and held up whatever request it fell into for
    # 0.1 s (`gc.collect` of a process with one gateway). Requests leave no cycles, but those under way hold
    # more than Python's 700 objects: at 16 clients walking these was 43,000 of the 796,000 instructions of a
    # W1 (callgrind).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def create_app(settings: Settings, clock: Clock = utc_now) -> ASGIApp:
    """The ASGI application; raises `StartError` where it cannot be trusted to start."""
    return app_of(create_gateway(settings, clock))


def from_environment() -> ASGIApp:
    """The application of a worker process, with the settings of the environment; raises `StartError`."""
    settings = Settings.read()
    configure(settings.log_level, settings.log_format)
    refuse_demo_keys(settings)
    return create_app(settings)


def app_of(gateway: Gateway) -> ASGIApp:
    """The ASGI application of a gateway."""
    return app_around(Live(gateway))


def app_around(live: Live) -> ASGIApp:
    """The ASGI application of a gateway and its subscriptions."""
    gateway = live.gateway

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, object]]:
        await gateway.database.open()
        place, last_uses = (gateway.database, gateway.clock), gateway.principals.last_uses
        others = chores_of(gateway.tools.office, *place)
        async with live.running(), chores(gateway.settings, *place, last_uses, others):
            settle_memory()
            about = {"policy_version": gateway.policy.version, "process": os.getpid()}
            note(Event.STARTED, **about)
            yield {SETTINGS: gateway.settings}
        await gateway.tools.throttle.close()
        await gateway.budget.close()
        await gateway.database.close()
        note(Event.STOPPED, **about)

    allowed = gateway.settings.allowed_origins
    main = Route("/graphql", Endpoint(live), methods=["GET", "POST", "OPTIONS"])
    others = Starlette(
        lifespan=lifespan, routes=[main, *_routes(live)], exception_handlers={HTTPException: _nowhere}
    )
    # A redirect would repeat `Host` and the query, which are the client's.
    others.router.redirect_slashes = False
    app = AskedFirst(main, others)
    return AccessLog(CrossOrigin(app, allowed) if allowed else app)


class AskedFirst:
    """The ASGI application that answers what is asked of one route, and hands all else to Starlette.

    # PERF: Starlette's look through its routes, with what it wraps around each request, takes 5 µs (around an
    # empty answer, in process).
    """

    def __init__(self, route: Route, others: Starlette) -> None:
        self._route = route
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Has a request answered; of the route's path those with another method are Starlette's."""
        route = self._route
        is_meant = scope["type"] == "http" and scope["path"] == route.path
        if is_meant and scope["method"] in (route.methods or ()):
            scope["route"] = route
            await route.app(scope, receive, send)
        else:
            await self._others(scope, receive, send)


class Endpoint:
    """`/graphql` over HTTP."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        response = await _graphql(self._live, scope, receive)
        await response(scope, receive, send)


def _routes(live: Live) -> list[BaseRoute]:
    """Every other route."""
    gateway = live.gateway

    async def socket(websocket: WebSocket) -> None:
        await _socket(live, websocket)

    answering = partial(partial, _answered, gateway)

    pages = make_pages(gateway.policy.controller.name)

    async def link(request: HttpRequest) -> Response:
        return await _attended(gateway, request, partial(unsubscribe, gateway, pages))

    async def keys(_: HttpRequest) -> Response:
        # RFC 7517; what it holds is public.
        found = gateway.tools.key.published()
        return Response(found, headers={"cache-control": "public, max-age=300"}, media_type=JWKS)

    async def health(_: HttpRequest) -> Response:
        return PlainTextResponse("ok\n")

    by_hand = [Route("/graphiql", _graphiql(gateway.settings))] if gateway.settings.graphiql_networks else []
    return [
        *by_hand,
        WebSocketRoute("/graphql", socket),
        Route("/schema.graphql", answering(work=_schema)),
        Route("/export/{token}", answering(work=download)),
        Route("/.well-known/jwks.json", keys),
        Route("/healthz", health),
        Route("/readyz", answering(work=lambda _, __: _ready(live))),
        Route("/u/{token}", link, methods=["GET", "POST"]),
    ]


def _graphiql(settings: Settings) -> Callable[[HttpRequest], Awaitable[Response]]:
    """The endpoint of GraphiQL's page; as if it were none for whoever comes from another network."""
    page = make_page()

    async def graphiql(request: HttpRequest) -> Response:
        address = read_address(client_address(request.scope, settings.trusted_proxies) or "")
        if not is_within(address, settings.graphiql_networks):
            raise HTTPException(404)
        return Response(page.body, headers=page.headers, media_type="text/html")

    return graphiql


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


async def _graphql(live: Live, scope: Scope, receive: Receive) -> Response:
    gateway, told, method = live.gateway, scope[TOLD], scope["method"]
    if method == "OPTIONS":
        return Response(status_code=204, headers={"allow": METHODS})
    media = JSON
    try:
        headers = read_headers(scope)
        accept = headers.get("accept")
        media = media_type(accept)
        with Attended(receive, gateway.settings) as attended:
            asked = await read_request(gateway.settings, scope, receive, headers)
            attended.has_come()
            if await _wants_events(gateway, asked, media, accept) and method != "HEAD":
                return await event_response(live, asked)
            found = await answer(gateway, asked)
    except RequestError as error:
        told.codes = codes_of(error.problems)
        return _respond(Answer(failed(error.problems), _status(error, media)), media, error)
    except CallerGone:
        return Response(status_code=499)
    except Exception as error:  # the edge: whatever it is, its text stays here and nothing is answered
        return _respond(failure(error, scope[REQUEST_ID], told), media)
    return _respond(found, media)


def _status(error: RequestError, media: str) -> int:
    # GraphQL over HTTP, section 6.4.1: under application/json a well-formed request is answered with 200.
    return 200 if media == JSON and not isinstance(error, HttpError) else error.status


async def _wants_events(gateway: Gateway, asked: Request, media: str, accept: str | None) -> bool:
    """Whether to answer with a stream: where it is preferred, or taken and there is no other way."""
    if media == EVENT_STREAM or accept is None or EVENT_STREAM not in accept.lower():
        return media == EVENT_STREAM
    return takes_events(accept) and await is_subscription(gateway, asked)


def _respond(found: Answer, media: str, error: RequestError | None = None) -> Response:
    headers: dict[str, str] = {}
    media = JSON if media == EVENT_STREAM else media
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = f'Bearer error="invalid_token", error_description="{error.reason}"'
    if isinstance(error, TooMany):
        headers["retry-after"] = str(error.retry_after_seconds)
    if found.status == 405:
        headers["allow"] = "POST"  # RFC 9110, section 15.5.6
    if found.status == 408:
        headers["connection"] = "close"  # RFC 9110, section 15.5.9
    return Response(found.body, found.status, headers or None, f"{media}; charset=utf-8")


async def _nowhere(request: HttpRequest, error: Exception) -> Response:
    """What Starlette answers itself, a strange path or method, with `errors` like any other mistake.

    A path that leads nowhere, and a link that was given to nobody, are told so after the same time: the
    look-up of a link takes less. Nothing is held meanwhile but the connection.
    """
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for these
    if error.status_code == 404:
        await asyncio.sleep(request.scope[BEGUN] + NOWHERE_SECONDS - time.perf_counter())
    message = "there is nothing at this path" if error.status_code == 404 else "the method is not taken here"
    body = failed([Problem(Code.BAD_REQUEST, message)])
    return Response(body, error.status_code, error.headers, f"{JSON}; charset=utf-8")


async def _socket(live: Live, websocket: WebSocket) -> None:
    try:
        headers = read_headers(websocket.scope)
        rejects(headers.get("on-forbidden"))
    except HttpError:
        await refuse_socket(websocket)
    else:
        await serve_socket(live, websocket, headers)


async def _answered(
    gateway: Gateway,
    request: HttpRequest,
    work: Callable[[Gateway, HttpRequest], Awaitable[Response]],
) -> Response:
    """What an endpoint that takes no body answers, within bounds."""

    async def come(request: HttpRequest, attended: Attended) -> Response:
        attended.has_come()
        return await work(gateway, request)

    return await _attended(gateway, request, come)


async def _attended(
    gateway: Gateway,
    request: HttpRequest,
    work: Callable[[HttpRequest, Attended], Awaitable[Response]],
) -> Response:
    """What an endpoint beside `/graphql` answers, within bounds; mistakes and faults like there."""
    told = request.scope[TOLD]
    try:
        with Attended(request.receive, gateway.settings) as attended:
            return await work(request, attended)
    except HTTPException:
        raise
    except RequestError as error:
        told.codes = codes_of(error.problems)
        return _respond(Answer(failed(error.problems), error.status), JSON, error)
    except (ClientDisconnect, CallerGone):
        return Response(status_code=499)
    except Exception as error:  # the edge, as above
        return _respond(failure(error, request.scope[REQUEST_ID], told), JSON)


async def _schema(gateway: Gateway, request: HttpRequest) -> Response:
    """The caller's own SDL."""
    return PlainTextResponse(await own_schema(gateway, read_caller(gateway.settings, request.scope)))
