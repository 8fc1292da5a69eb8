"""What is answered where a request fails: mistakes by their problems, faults without their text.

Takes an exception. Gives an `Answer`. What an exception says may quote values: it is neither sent nor
logged; its type, its place and its SQLSTATE say enough.
"""

from __future__ import annotations

from collections.abc import Iterable

from .answer import Answer
from .database import DATABASE_ERRORS, DatabaseConflict, DatabaseTimeout
from .errors import Code, Problem, RequestError, RequestTimeout
from .logs import Event, Told, about, note
from .response import failed


def failure(error: Exception, request_id: str, told: Told) -> Answer:
    """The answer to a request that raised this; what is a fault of ours is logged under the request's id."""
    match error:
        case RequestError(problems=problems, status=status):
            pass
        case DatabaseTimeout():
            message = "the operation took longer than the caller's role may"
            problems, status = (Problem(Code.TIMEOUT, message),), 504
        case RequestTimeout():
            problems, status = (Problem(Code.TIMEOUT, "the request took longer than any may"),), 504
        case DatabaseConflict():
            message = "others changed the same rows at the same time, and nothing was changed: try again"
            problems, status = (Problem(Code.CONFLICT, message),), 409
        case _:
            is_database = isinstance(error, DATABASE_ERRORS)
            note(Event.DATABASE_FAULT if is_database else Event.FAULT, request_id=request_id, **about(error))
            problems, status = (Problem(Code.INTERNAL, "the gateway failed; nothing was given"),), 500
    told.codes = codes_of(problems)
    return Answer(failed(problems), status)


def codes_of(problems: Iterable[Problem]) -> tuple[Code, ...]:
    """Their codes, each once, sorted."""
    return tuple(sorted({problem.code for problem in problems}))
