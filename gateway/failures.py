"""What is answered where a request fails: mistakes by their problems, faults without their text.

Takes an exception. Gives an `Answer`. What an exception says may quote values: it is neither sent nor
logged; its type, its place and its SQLSTATE say enough.
"""

from __future__ import annotations

import logging

from .answer import Answer
from .database import DATABASE_ERRORS, DatabaseConflict, DatabaseTimeout
from .errors import Code, Problem, RequestError
from .response import failed

log = logging.getLogger("gateway")


def failure(error: Exception, request_id: str) -> Answer:
    """The answer to a request that raised this; what is a fault of ours is logged under the request's id."""
    match error:
        case RequestError():
            return Answer(failed(error.problems), error.status)
        case DatabaseTimeout():
            problem = Problem(Code.TIMEOUT, "the operation took longer than the caller's role may")
            return Answer(failed([problem]), 504)
        case DatabaseConflict():
            message = "others changed the same rows at the same time, and nothing was changed: try again"
            return Answer(failed([Problem(Code.CONFLICT, message)]), 409)
        case _ if isinstance(error, DATABASE_ERRORS):
            state = getattr(error, "sqlstate", "")
            log.error("database: %s %s request %s", type(error).__name__, state, request_id)
        case _:
            log.error("fault: %s at %s request %s", type(error).__name__, _place(error), request_id)
    return Answer(failed([Problem(Code.INTERNAL, "the gateway failed; nothing was given")]), 500)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
