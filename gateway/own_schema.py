"""The schema as its caller may use it, in SDL, paid for like any look at it.

Takes a request without a document. Gives the text. Rejects with `RequestError`.
"""

from __future__ import annotations

from .answer import Gateway, identified
from .errors import TooMany
from .on_record import note_spender
from .plan.cost import LOCAL
from .request import Asking, Request


async def own_schema(gateway: Gateway, request: Request) -> str:
    """The caller's own SDL; whom it is refused to is recorded like anybody who asks."""
    now = gateway.clock()
    principal = await identified(gateway, request, now)
    purse = gateway.budget.purse(principal, request.client_address)
    try:
        await gateway.budget.take(purse, LOCAL)
    except TooMany:
        grants = gateway.policy.grants(principal.role, request.purpose)
        await note_spender(gateway, request, Asking(principal, grants, now, request.circumstances, purse))
        raise
    return gateway.local.views.sdl(principal.role, principal.operations)
