"""A whole request on one page: who asks, what, may it, as which SQL, and the bytes that go back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from schema.model import Model

from .cache import Cache
from .config import Settings
from .database import Database
from .errors import Code, HttpError, RequestError, fault
from .grants import Grants
from .local import Local, local_values, without_database
from .operation import Operation, coerce, parse_operation
from .plan import Access, Plan, plan
from .plan.values import EventRoot, LocalRoot, MutationRoot
from .policy import Policy
from .principal import Principal, Principals
from .response import Tail, answered, object_of, problem_of, rejected, tail_of
from .statements import NoStatement, Statement, compile_plan
from .statements.bound import bound_values
from .writes import Asked, Payload, Refused, Tools, Write, gate, perform

Clock = Callable[[], datetime]
# A parsed document takes about a hundred times its text, a statement's SQL three times its own.
PARSED_WEIGHT = 30


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent, read from HTTP and not yet judged."""

    query: str
    variables: Mapping[str, Any]
    operation_name: str | None
    authorization: str | None = None
    act_as: str | None = None
    purpose: str | None = None
    reject_on_refusal: bool = False
    may_change: bool = False
    client_address: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The body, and the HTTP status it is sent with."""

    body: bytes
    status: int = 200


@dataclass(frozen=True, slots=True)
class Watched:
    """What a subscription waits for: changes of the rows that `argument` finds by this key."""

    argument: str
    key: UUID


@dataclass(frozen=True, slots=True)
class Unseen:
    """An event of a row that the caller does not see (any more): nothing is sent."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A plan with its statement and the fixed parts of its answers: what the plan cache holds."""

    plan: Plan
    statement: Statement | NoStatement
    tail: Tail
    payloads: Mapping[str, Payload]


def operation_weight(operation: Operation) -> int:
    """What an operation weighs in its cache: the length of its document."""
    return operation.length


def prepared_weight(prepared: Prepared) -> int:
    """What a plan weighs in its cache: the length of its SQL, of its errors, and of what it holds parsed."""
    sql = len(prepared.statement.sql) if isinstance(prepared.statement, Statement) else 0
    sql += sum(payload.weight for payload in prepared.payloads.values())
    held = [root.nodes[0].loc for root in prepared.plan.roots if isinstance(root, LocalRoot | MutationRoot)]
    parsed = len(held[0].source.body) * PARSED_WEIGHT if held and held[0] is not None else 0
    return 1000 + sql + parsed + len(prepared.tail.partial)


@dataclass(frozen=True)
class Gateway:
    """What a worker builds once and every request uses."""

    settings: Settings
    model: Model
    policy: Policy
    database: Database
    principals: Principals
    local: Local
    clock: Clock
    tools: Tools
    constants: Mapping[str, object]
    operations: Cache[tuple[str, str | None], Operation]
    plans: Cache[tuple[object, ...], Prepared]


async def answer(gateway: Gateway, request: Request) -> Answer:
    """The answer to a request; raises `RequestError` for the caller's mistakes."""
    now = gateway.clock()
    principal = await _identified(gateway, request, now)
    grants = _grants(gateway, principal, request.purpose)
    operation = _operation(gateway, request, principal)
    if operation.is_subscription:
        message = "a subscription is asked over a WebSocket, or with `Accept: text/event-stream`"
        raise HttpError(Code.BAD_REQUEST, message)
    variables = coerce(operation, request.variables, gateway.model.graphql)
    prepared = _prepare(gateway, operation, variables, principal, grants)
    if operation.is_mutation:
        asked = Asked(
            operation,
            variables,
            prepared.plan,
            prepared.payloads,
            principal,
            grants,
            now,
            gateway.constants,
            request.client_address,
        )
        return await _change(gateway, request, asked, prepared.tail)
    if request.reject_on_refusal and prepared.tail.rejection is not None:
        return Answer(prepared.tail.rejection, 403)
    values = local_values(gateway.local, prepared.plan, operation, variables, principal, grants)
    data = await _read(gateway, prepared, principal, now, variables, values)
    return Answer(answered(data, prepared.tail))


async def is_subscription(gateway: Gateway, request: Request) -> bool:
    """Whether a request asks for a subscription; raises `RequestError` where it is no valid operation."""
    principal = await _identified(gateway, request, gateway.clock())
    return _operation(gateway, request, principal).is_subscription


async def _identified(gateway: Gateway, request: Request, now: datetime) -> Principal:
    principals = gateway.principals
    return await principals.identify(request.authorization, request.act_as, now, request.client_address)


def watched(gateway: Gateway, request: Request, principal: Principal) -> Watched | Answer:
    """What a subscription waits for, or the answer that refuses it; raises `RequestError`."""
    prepared, variables = _judged(gateway, request, principal)
    match prepared.plan.roots:
        case (EventRoot(argument=argument, operand=operand),) if not _is_rejected(request, prepared):
            key = operand.read(variables)
            assert isinstance(key, UUID)  # noqa: S101  # the operand's reading makes it one
            return Watched(argument, key)
        case ():
            raise fault(Code.VALIDATION_FAILED, "a subscription asks for one field")
        case _:
            return Answer(prepared.tail.rejection or b"", 403)


async def answer_event(
    gateway: Gateway, request: Request, principal: Principal, row: UUID
) -> Answer | Unseen:
    """A subscription's answer to a change of a row, gated anew; raises `RequestError`."""
    prepared, variables = _judged(gateway, request, principal)
    if prepared.tail.rejection is not None and (
        _is_rejected(request, prepared) or not isinstance(prepared.plan.roots[0], EventRoot)
    ):
        return Answer(prepared.tail.rejection, 403)
    data = await _read(gateway, prepared, principal, gateway.clock(), variables, {}, row)
    if data == object_of({prepared.plan.roots[0].key: b"null"}):
        return Unseen()
    return Answer(answered(data, prepared.tail))


def _judged(
    gateway: Gateway, request: Request, principal: Principal
) -> tuple[Prepared, Mapping[str, object]]:
    grants = _grants(gateway, principal, request.purpose)
    operation = _operation(gateway, request, principal)
    variables = coerce(operation, request.variables, gateway.model.graphql)
    return _prepare(gateway, operation, variables, principal, grants), variables


def _is_rejected(request: Request, prepared: Prepared) -> bool:
    return request.reject_on_refusal and prepared.tail.rejection is not None


def _grants(gateway: Gateway, principal: Principal, purpose: str | None) -> Grants:
    if purpose is not None and purpose not in gateway.policy.purposes:
        known = ", ".join(gateway.policy.purposes)
        raise HttpError(Code.UNKNOWN_PURPOSE, f"`Processing-Purpose` is none of {known}")
    return gateway.policy.grants(principal.role, purpose)


def _operation(gateway: Gateway, request: Request, principal: Principal) -> Operation:
    _check_trusted(request.query, principal.documents)
    key = (request.query, request.operation_name)
    found = gateway.operations.get(key)
    if found is None:
        parsed = parse_operation(*key, gateway.model.graphql, gateway.settings)
        found = gateway.operations.put(key, parsed)
    return found


def _check_trusted(document: str, trusted: frozenset[str] | None) -> None:
    """Raises `HttpError` where a document is none of those the caller is limited to; it is not even read."""
    if trusted is not None and hashlib.sha256(document.encode("utf-8", "replace")).hexdigest() not in trusted:
        raise HttpError(Code.DOCUMENT_FORBIDDEN, "the token is limited to other documents", 403)


def _prepare(
    gateway: Gateway,
    operation: Operation,
    variables: Mapping[str, object],
    principal: Principal,
    grants: Grants,
) -> Prepared:
    # INVARIANT: a plan depends on nothing but this key.
    key = (
        operation,
        grants.role,
        grants.purpose,
        principal.scope,
        principal.operations,
        gateway.policy.version,
        operation.seen(variables),
    )
    found = gateway.plans.get(key)
    if found is None:
        became = gateway.policy.became(principal.role)
        access = Access(grants, principal.scope, principal.operations)
        made = plan(operation, variables, access, gateway.model, gateway.settings, became)
        statement = NoStatement() if operation.is_mutation else compile_plan(made)
        found = gateway.plans.put(key, Prepared(made, statement, tail_of(made), _payloads(made)))
    return found


def _payloads(made: Plan) -> Mapping[str, Payload]:
    return {
        root.key: Payload(compile_plan(root.payload)) for root in made.roots if isinstance(root, MutationRoot)
    }


async def _change(gateway: Gateway, request: Request, asked: Asked, tail: Tail) -> Answer:
    if not request.may_change:
        raise HttpError(Code.BAD_REQUEST, "a mutation is sent by POST", 405)
    rejects = request.reject_on_refusal
    found: tuple[Write, ...] | Refused | bytes
    found = gate(asked.plan, asked.variables, asked.grants, gateway.model.graphql, rejects=rejects)
    if isinstance(found, tuple):
        found = await perform(asked, found, gateway.database, gateway.tools)
    match found:
        case Refused(refusals) if rejects:
            return Answer(rejected(refusals), 403)
        case Refused(refusals):
            raise RequestError(*(problem_of(refusal) for refusal in refusals), status=403)
        case body:
            return Answer(answered(body, tail))


async def _read(
    gateway: Gateway,
    prepared: Prepared,
    principal: Principal,
    now: datetime,
    variables: Mapping[str, object],
    values: Mapping[str, bytes],
    event_row: UUID | None = None,
) -> bytes:
    match prepared.statement:
        case NoStatement():
            return object_of(without_database(prepared.plan, values))
        case Statement() as statement:
            named = bound_values(principal, now, gateway.constants, values) | {"event_row": event_row}
            bound = statement.values(named, variables, gateway.settings)
            return statement.body(await gateway.database.fetch(principal.role, statement.sql, bound))
