"""What a client sent, who it was found to be, what is sent back; for a subscription, what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from .budget.standing import Purse
from .documents.asked import Asked
from .grants import Grants
from .logs import Told
from .principal import Principal
from .recording import Circumstances


class Request(NamedTuple):
    """What a client sent, read from HTTP and not yet judged.

    # PERF: a frozen dataclass sets each field by a call: 4.4 µs for the four values that every request makes,
    # and 2.0 as tuples (`timeit`).
    """

    query: Asked
    variables: Mapping[str, Any]
    operation_name: str | None
    told: Told
    authorization: str | None = None
    act_as: str | None = None
    purpose: str | None = None
    reject_on_refusal: bool = False
    wants_cost: bool = False
    may_change: bool = False
    client_address: str | None = None
    # Of an operation on a socket its own, not the socket's.
    request_id: str = ""
    case_reference: str | None = None

    @property
    def circumstances(self) -> Circumstances:
        """What records of access say of this request."""
        return Circumstances(self.request_id, self.case_reference)


class Answer(NamedTuple):
    """The body, and the HTTP status it is sent with."""

    body: bytes
    status: int = 200


@dataclass(frozen=True, slots=True)
class Watched:
    """What a subscription waits for: changes of the rows that `argument` finds by this key."""

    argument: str
    key: UUID


class Asking(NamedTuple):
    """Who asks, with which grants, when, how the request is known on the record, and who pays for it."""

    principal: Principal
    grants: Grants
    now: datetime
    circumstances: Circumstances
    purse: Purse


@dataclass(frozen=True, slots=True)
class Unseen:
    """An event of a row that the caller does not see (any more): nothing is sent."""
