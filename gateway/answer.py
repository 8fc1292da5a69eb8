"""A whole request on one page: who asks, what, may it, as which SQL, and the bytes that go back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schema.model import Model

from .access import access_of
from .budget.beside import GIVEN, planning_cost, reading_cost
from .budget.spending import Budget
from .cache import Cache
from .config import Settings
from .database import Database, QuotaReached
from .documents.listed import Documents, Untaken
from .errors import Code, HttpError, RequestError, TooMany, fault
from .grants import Grants
from .limits import check_length, check_variables
from .local import Local, local_values
from .noted import Noted
from .on_record import (
    note_refusals,
    note_spender,
    note_stranger,
    note_uses,
    refuse_document,
    refuse_for_quota,
)
from .operation import Operation, coerced, coerced_at_once, parse_operation
from .plan import Access, Plan, plan
from .plan.values import EventRoot
from .policy import Policy
from .prepared import FEW_VALUES, Prepared, prepare, seen_key
from .principal import Principal, Principals
from .reading import read
from .refusals import RefusalRecords
from .request import Answer, Asking, Request, Unseen, Watched
from .response import answered, costed, object_of, problem_of, rejected
from .writes import Asked, Refused, Tools, Write, gate, perform, personal_in

__all__ = [
    "Answer",
    "Gateway",
    "Request",
    "Unseen",
    "Watched",
    "answer",
    "answer_event",
    "identified",
    "is_subscription",
    "note_stranger",
    "watched",
]

Clock = Callable[[], datetime]


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
    documents: Documents
    refusals: RefusalRecords
    noted: Noted
    budget: Budget
    operations: Cache[tuple[str, str | None], Operation]
    plans: Cache[tuple[object, ...], Prepared]


async def answer(gateway: Gateway, request: Request) -> Answer:
    """The answer to a request; raises `RequestError` for the caller's mistakes."""
    now = gateway.clock()
    principal = await identified(gateway, request, now)
    asking = _asking(gateway, request, principal, now)
    operation, prepared, variables = await _judged(gateway, request, asking)
    await _pay(gateway, operation, prepared.plan, asking)
    if operation.is_subscription:
        message = "a subscription is asked over a WebSocket, or with `Accept: text/event-stream`"
        raise HttpError(Code.BAD_REQUEST, message)
    if operation.is_mutation:
        found = await _change(gateway, request, operation, variables, prepared, asking)
    else:
        found = await _answer_query(gateway, request, operation, variables, prepared, asking)
    return await _told_the_cost(gateway, request, prepared.plan, asking, found)


async def _answer_query(
    gateway: Gateway,
    request: Request,
    operation: Operation,
    variables: Mapping[str, object],
    prepared: Prepared,
    asking: Asking,
) -> Answer:
    await note_refusals(gateway, operation, prepared.plan.refusals, asking)
    if request.reject_on_refusal and prepared.tail.rejection is not None:
        return Answer(prepared.tail.rejection, 403)
    given = (operation, variables, asking.principal, asking.grants)
    values = local_values(gateway.local, prepared.plan, *given)
    data = await read(gateway, operation, prepared, asking, variables, values)
    return Answer(answered(data, prepared.tail))


async def is_subscription(gateway: Gateway, request: Request) -> bool:
    """Whether a request asks for a subscription; raises `RequestError` where it is no valid operation."""
    now = gateway.clock()
    principal = await identified(gateway, request, now)
    asking = _asking(gateway, request, principal, now)
    return (await _operation(gateway, request, asking)).is_subscription


def _asking(gateway: Gateway, request: Request, principal: Principal, now: datetime) -> Asking:
    grants = _grants(gateway, principal, request.purpose)
    purse = gateway.budget.purse(principal, request.client_address)
    return Asking(principal, grants, now, request.circumstances, purse)


async def identified(gateway: Gateway, request: Request, now: datetime) -> Principal:
    """Who asks; raises `HttpError`, which is recorded of employees and partners."""
    principals = gateway.principals
    given = (request.authorization, request.act_as, now, request.client_address)
    try:
        found = await principals.identify(*given)
    except HttpError as error:
        await note_stranger(gateway, error, request.query, request.circumstances)
        raise
    request.told.role = found.role
    return found


async def watched(gateway: Gateway, request: Request, principal: Principal) -> Watched | Answer:
    """What a subscription waits for, or the answer that refuses it; raises `RequestError`."""
    asking = _asking(gateway, request, principal, gateway.clock())
    operation, prepared, variables = await _judged(gateway, request, asking)
    await _pay(gateway, operation, prepared.plan, asking)
    await note_refusals(gateway, operation, prepared.plan.refusals, asking)
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
    asking = _asking(gateway, request, principal, gateway.clock())
    operation, prepared, variables = await _judged(gateway, request, asking)
    await _pay(gateway, operation, prepared.plan, asking)
    if prepared.tail.rejection is not None and (
        _is_rejected(request, prepared) or not isinstance(prepared.plan.roots[0], EventRoot)
    ):
        await note_refusals(gateway, operation, prepared.plan.refusals, asking)
        return Answer(prepared.tail.rejection, 403)
    data = await read(gateway, operation, prepared, asking, variables, {}, row)
    if data == object_of({prepared.plan.roots[0].key: b"null"}):
        return Unseen()
    found = Answer(answered(data, prepared.tail))
    return await _told_the_cost(gateway, request, prepared.plan, asking, found)


async def _judged(
    gateway: Gateway, request: Request, asking: Asking
) -> tuple[Operation, Prepared, Mapping[str, object]]:
    operation = await _operation(gateway, request, asking)
    try:
        count, variables = 0, coerced_at_once(operation, request.variables)
        if variables is None:
            count = check_variables(request.variables, gateway.settings)
            if count > FEW_VALUES:
                await _pay_for(gateway, request, count * GIVEN, asking)
            variables = coerced(operation, request.variables, gateway.model.graphql)
        prepared = await _prepared(gateway, request, operation, variables, count, asking)
    except TooMany:
        raise
    except RequestError:
        await _pay_for(gateway, request, reading_cost(operation.length), asking)
        raise
    request.told.codes = prepared.tail.codes
    return operation, prepared, variables


async def _pay(gateway: Gateway, operation: Operation, plan: Plan, asking: Asking) -> None:
    """Takes what a planned operation costs from its caller's budget; raises `TooMany`, which is recorded."""
    try:
        await gateway.budget.take(asking.purse, plan.cost)
    except TooMany:
        await note_uses(gateway, operation, plan, asking)
        raise


async def _pay_for(gateway: Gateway, request: Request, cost: int, asking: Asking) -> None:
    """Takes what is done before there is a plan: what was not kept, or fits in nowhere; as above."""
    try:
        await gateway.budget.take_for_mistake(asking.purse, cost)
    except TooMany:
        await note_spender(gateway, request, asking)
        raise


async def _told_the_cost(
    gateway: Gateway, request: Request, plan: Plan, asking: Asking, found: Answer
) -> Answer:
    if not request.wants_cost:
        return found
    standing = await gateway.budget.standing(asking.purse, plan.cost)
    has_extensions = bool(plan.withheld) and found.status == 200
    return Answer(costed(found.body, standing, has_extensions=has_extensions), found.status)


def _is_rejected(request: Request, prepared: Prepared) -> bool:
    return request.reject_on_refusal and prepared.tail.rejection is not None


def _grants(gateway: Gateway, principal: Principal, purpose: str | None) -> Grants:
    if purpose is not None and purpose not in gateway.policy.purposes:
        known = ", ".join(gateway.policy.purposes)
        raise HttpError(Code.UNKNOWN_PURPOSE, f"`Processing-Purpose` is none of {known}")
    return gateway.policy.grants(principal.role, purpose)


async def _operation(gateway: Gateway, request: Request, asking: Asking) -> Operation:
    principal = asking.principal
    gateway.budget.check(asking.purse)
    if isinstance(request.query, str):
        check_length(request.query, gateway.settings)
    text = gateway.documents.taken(request.query, principal.role, principal.documents)
    if isinstance(text, Untaken):
        await _pay_for(gateway, request, reading_cost(0), asking)
        await refuse_document(gateway, text, asking)
    key = (text, request.operation_name)
    found = gateway.operations.get(key)
    if found is None:
        await _pay_for(gateway, request, reading_cost(len(text)), asking)
        parsed = parse_operation(*key, gateway.model.graphql, gateway.settings)
        found = gateway.operations.put(key, parsed)
    request.told.operation = found.shape
    return found


async def _prepared(
    gateway: Gateway,
    request: Request,
    operation: Operation,
    variables: Mapping[str, object],
    count: int,
    asking: Asking,
) -> Prepared:
    principal, grants = asking.principal, asking.grants
    # INVARIANT: a plan depends on nothing but this key.
    key = (
        operation.identity,
        grants.role,
        grants.purpose,
        principal.scope,
        principal.operations,
        principal.recipient,
        gateway.policy.version,
        seen_key(operation, variables, count),
    )
    found = gateway.plans.get(key)
    if found is None:
        await _pay_for(gateway, request, planning_cost(operation.length), asking)
        became = gateway.policy.became(principal.role)
        made = plan(operation, variables, _access(gateway, asking), gateway.model, gateway.settings, became)
        found = gateway.plans.put(key, prepare(made, operation, principal, grants))
    return found


def _access(gateway: Gateway, asking: Asking) -> Access:
    who, purpose = asking.principal, asking.grants.purpose
    return access_of(gateway.policy, who.role, purpose, who.recipient, who.scope, who.operations)


async def _change(
    gateway: Gateway,
    request: Request,
    operation: Operation,
    variables: Mapping[str, object],
    prepared: Prepared,
    asking: Asking,
) -> Answer:
    if not request.may_change:
        raise HttpError(Code.BAD_REQUEST, "a mutation is sent by POST", 405)
    rejects = request.reject_on_refusal
    found: tuple[Write, ...] | Refused | bytes
    found = gate(prepared.plan, variables, asking.grants, gateway.model.graphql, rejects=rejects)
    if not isinstance(found, Refused):
        writes = found
        await note_refusals(gateway, operation, prepared.plan.refusals, asking)
        try:
            asked = _asked(gateway, request, operation, variables, prepared, asking)
            found = await perform(asked, writes, gateway.database, gateway.tools)
        except QuotaReached:
            written = frozenset(name for write in writes for name in personal_in(write, gateway.model))
            await refuse_for_quota(gateway, operation, prepared.plan, asking, written)
    match found:
        case Refused(refusals):
            await note_refusals(gateway, operation, refusals, asking)
            if rejects:
                request.told.codes = tuple(sorted({refusal.code for refusal in refusals}))
                return Answer(rejected(refusals), 403)
            raise RequestError(*(problem_of(refusal) for refusal in refusals), status=403)
        case body:
            return Answer(answered(body, prepared.tail))


def _asked(
    gateway: Gateway,
    request: Request,
    operation: Operation,
    variables: Mapping[str, object],
    prepared: Prepared,
    asking: Asking,
) -> Asked:
    return Asked(
        operation=operation,
        variables=variables,
        plan=prepared.plan,
        payloads=prepared.payloads,
        principal=asking.principal,
        grants=asking.grants,
        now=asking.now,
        constants=gateway.constants,
        client_address=request.client_address,
        recording=prepared.recording,
        circumstances=asking.circumstances,
    )
