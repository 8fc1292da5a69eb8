"""What is refused to employees and partners, put on record before the answer.

The record itself, and how many of them there may be, is `gateway.refusals`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from .documents.asked import Asked as AskedDocument
from .documents.listed import Untaken
from .errors import Code, HttpError, TooMany
from .operation import Operation, shape_of
from .plan import Plan, Refusal
from .plan.uses import uses_of
from .principal import Principal
from .recording import Circumstances
from .refusals import Refused as RefusedUse
from .request import Asking, Request

if TYPE_CHECKING:
    from .answer import Gateway


async def note_refusals(
    gateway: Gateway, operation: Operation, refusals: Sequence[Refusal], asking: Asking
) -> None:
    """Records what is refused of an operation to an employee or a partner."""
    if refusals:
        coordinates = tuple(refusal.coordinate for refusal in refusals)
        await _record(gateway, operation, coordinates, asking)


async def note_stranger(
    gateway: Gateway, error: HttpError, document: AskedDocument, circumstances: Circumstances
) -> None:
    """Records whom a request was refused to before it was read, where that is an employee or a partner."""
    if isinstance(error.principal, Principal):
        asking = (_unread(document, None), error.principal, gateway.clock(), circumstances)
        await gateway.refusals.write(gateway.database, gateway.policy, *asking)


async def note_spender(gateway: Gateway, request: Request, asking: Asking) -> None:
    """Records that a request was refused for its caller's budget, before it was read or planned."""
    refused = _unread(request.query, asking.grants.purpose)
    await _write(gateway, refused, asking)


async def refuse_document(gateway: Gateway, untaken: Untaken, asking: Asking) -> NoReturn:
    """Raises why a document is not taken, which is not even read; a refusal is recorded."""
    if untaken.shape is not None:
        await _write(gateway, RefusedUse(None, untaken.shape, asking.grants.purpose, ()), asking)
    raise untaken.error


async def note_uses(
    gateway: Gateway,
    operation: Operation,
    plan: Plan,
    asking: Asking,
    written: frozenset[str] = frozenset(),
) -> None:
    """Records a planned operation that is refused for what it uses altogether, not for single coordinates."""
    used = {name for root in plan.roots for name in uses_of(root).all} | written
    await _record(gateway, operation, tuple(sorted(used)), asking)


async def refuse_for_quota(
    gateway: Gateway,
    operation: Operation,
    plan: Plan,
    asking: Asking,
    written: frozenset[str] = frozenset(),
) -> NoReturn:
    """Records that an employee has read of enough customers today, and raises `TooMany` (READ_QUOTA)."""
    await note_uses(gateway, operation, plan, asking, written)
    midnight = (asking.now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    seconds = math.ceil((midnight - asking.now).total_seconds())
    raise TooMany(Code.READ_QUOTA, "the caller has read of as many customers today as one may", seconds)


def _unread(document: AskedDocument, purpose: str | None) -> RefusedUse:
    # By its id it is a text of the client's: the hash of nothing.
    text = document if isinstance(document, str) else ""
    return RefusedUse(None, shape_of(text), purpose, ())


async def _record(
    gateway: Gateway, operation: Operation, coordinates: tuple[str, ...], asking: Asking
) -> None:
    purpose = asking.grants.purpose
    await _write(gateway, RefusedUse(operation.name, operation.shape, purpose, coordinates), asking)


async def _write(gateway: Gateway, refused: RefusedUse, asking: Asking) -> None:
    given = (refused, asking.principal, asking.now, asking.circumstances)
    await gateway.refusals.write(gateway.database, gateway.policy, *given)
