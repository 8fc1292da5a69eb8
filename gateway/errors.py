"""Every fault the gateway raises; a refusal is a value (`gateway.plan.Refusal`), never an exception.

Exception
├── StartError            stops a command or the start, in one line for a person
│   └── PolicyError       a policy file is wrong; the line names file and line
├── SocketEnd             a WebSocket closes, with a code and a reason
├── RequestTimeout        a request took longer than any may; what it did is cancelled
├── CallerGone            nobody waits for the answer any more; what was done for it is cancelled
└── RequestError          the caller's mistake: the operation is refused whole, nothing is read
    └── HttpError         the request is no GraphQL request, or the caller is not known (HTTP 4xx)
        ├── Unauthenticated   the token proves nothing (HTTP 401)
        ├── TooMany           the caller has too much open already, or tried or spent too much (HTTP 429)
        └── CallerLost        a connection's caller is no longer who opened it: it ends
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Code(StrEnum):
    """One code per way to fail, grouped by the step that finds it; the README explains each."""

    # principal
    UNAUTHENTICATED = "UNAUTHENTICATED"
    ACT_AS_REQUIRED = "ACT_AS_REQUIRED"
    ACT_AS_FORBIDDEN = "ACT_AS_FORBIDDEN"
    UNKNOWN_PURPOSE = "UNKNOWN_PURPOSE"
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    DOCUMENT_FORBIDDEN = "DOCUMENT_FORBIDDEN"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    PERSISTED_QUERY_NOT_IN_LIST = "PERSISTED_QUERY_NOT_IN_LIST"
    PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
    READ_QUOTA = "READ_QUOTA"
    BUDGET_SPENT = "BUDGET_SPENT"
    # live
    TOO_MANY_CONNECTIONS = "TOO_MANY_CONNECTIONS"
    TOO_MANY_OPERATIONS = "TOO_MANY_OPERATIONS"
    # operation
    BAD_REQUEST = "BAD_REQUEST"
    SYNTAX_ERROR = "SYNTAX_ERROR"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    BAD_VARIABLE = "BAD_VARIABLE"
    TOO_COMPLEX = "TOO_COMPLEX"
    # plan
    FIELD_FORBIDDEN = "FIELD_FORBIDDEN"
    PURPOSE_REQUIRED = "PURPOSE_REQUIRED"
    BAD_ID = "BAD_ID"
    BAD_CURSOR = "BAD_CURSOR"
    BAD_PAGE = "BAD_PAGE"
    BAD_LOOKUP = "BAD_LOOKUP"
    # database
    TIMEOUT = "TIMEOUT"
    CONFLICT = "CONFLICT"
    INTERNAL = "INTERNAL"


class StartError(Exception):
    """Stops a command with one clear line on standard error and exit status 1."""


class PolicyError(StartError):
    """A policy file is empty, malformed, incomplete or names something that does not exist."""


class SocketEnd(Exception):
    """Closes a WebSocket with a code (RFC 6455, section 7.4, and `graphql-transport-ws`) and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class RequestTimeout(Exception):
    """A request took longer than `GATEWAY_REQUEST_TIMEOUT_SECONDS` (HTTP 504)."""


class CallerGone(Exception):
    """The client has closed its connection before it was answered."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where in the document, 1-based (GraphQL specification, section 7.1.2, `locations`)."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of `errors`; the message names coordinates, variables and arguments, never a value."""

    code: Code
    message: str
    location: Location | None = None
    extensions: Mapping[str, object] = field(default_factory=dict)


class RequestError(Exception):
    """The caller's mistake: answered with `errors` alone, no `data`, and no SQL was sent."""

    def __init__(self, *problems: Problem, status: int = 400) -> None:
        super().__init__(", ".join(problem.code for problem in problems))
        self.problems = problems
        self.status = status


class HttpError(RequestError):
    """The request is refused before it is read as GraphQL; its status holds for every media type.

    `principal` is whom it is refused to, where that is known although they are not let in.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        status: int = 400,
        principal: object = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(Problem(code, message, None, extensions or {}), status=status)
        self.principal = principal


class Unauthenticated(HttpError):
    """HTTP 401; `reason` goes into `WWW-Authenticate` (RFC 6750, section 3)."""

    def __init__(self, reason: str, principal: object = None) -> None:
        super().__init__(Code.UNAUTHENTICATED, f"the token is not accepted: {reason}", 401, principal)
        self.reason = reason


class TooMany(HttpError):
    """HTTP 429: the caller has as much open, or has tried as often or spent as much, as it may.

    There is room when something of it ends, or after `retry_after_seconds` (RFC 9110, section 10.2.3).
    """

    def __init__(
        self,
        code: Code,
        message: str,
        retry_after_seconds: int = 1,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code, message, status=429, extensions=extensions)
        self.retry_after_seconds = retry_after_seconds


class CallerLost(HttpError):
    """The token has expired, or the rights of the connection's caller were revoked; `reason` says which."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(code, f"the connection ends: {reason}", status=403)
        self.reason = reason


def fault(code: Code, message: str, location: Location | None = None, **extensions: object) -> RequestError:
    """A `RequestError` of one problem."""
    return RequestError(Problem(code, message, location, extensions))
