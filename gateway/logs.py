"""What is logged: events of a closed list, fields of closed forms. The only module that knows structlog.

One event is one line on standard error: JSON, or readable on a terminal. What libraries log is reduced to
where it was logged and which exception it was about, as their texts quote values.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson
import structlog

from .errors import Code
from .policy import ROLES

Write = Callable[[bytes], object]
LEVELS = ("debug", "info", "warning", "error")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# What stands for a method or a path that is not ours, which is the client's text.
OTHER = "other"


class Event(StrEnum):
    """Everything that is ever logged; the README explains each."""

    STARTED = "started"
    STOPPED = "stopped"
    REQUEST = "request"
    OPERATION = "operation"
    CONNECTION_OPENED = "connection_opened"
    CONNECTION_ENDED = "connection_ended"
    CONNECTION_REFUSED = "connection_refused"
    DATABASE_FAULT = "database_fault"
    FAULT = "fault"
    CHORE_DONE = "chore_done"
    CHORE_FAILED = "chore_failed"
    SEALING_WAITS = "sealing_waits"
    MAIL_REFUSED = "mail_refused"
    MAIL_NOT_TAKEN = "mail_not_taken"
    KEYS_NOT_FETCHED = "keys_not_fetched"
    KEY_NOT_USED = "key_not_used"
    LISTENING = "listening"
    NOT_LISTENING = "not_listening"
    NOTICE_NOT_READ = "notice_not_read"
    REFUSALS_NOT_RECORDED = "refusals_not_recorded"
    BUDGETS_APART = "budgets_apart"
    LIBRARY = "library"


SEVERITY: Mapping[Event, str] = {
    **dict.fromkeys(Event, "info"),
    **dict.fromkeys((Event.DATABASE_FAULT, Event.FAULT, Event.CHORE_FAILED), "error"),
    **dict.fromkeys((Event.MAIL_REFUSED, Event.MAIL_NOT_TAKEN, Event.KEYS_NOT_FETCHED), "warning"),
    **dict.fromkeys((Event.KEY_NOT_USED, Event.NOT_LISTENING, Event.NOTICE_NOT_READ), "warning"),
    Event.SEALING_WAITS: "warning",
    Event.REFUSALS_NOT_RECORDED: "warning",
    Event.BUDGETS_APART: "warning",
}


def _text(pattern: str) -> Callable[[object], bool]:
    fits = re.compile(pattern).fullmatch
    return lambda value: isinstance(value, str) and fits(value) is not None


def _one_of(*known: str) -> Callable[[object], bool]:
    allowed = frozenset(known)
    return lambda value: isinstance(value, str) and value in allowed


def _number(value: object) -> bool:
    return type(value) in (int, float)


def _codes(value: object) -> bool:
    return isinstance(value, tuple) and all(type(code) is Code for code in value)


# INVARIANT: a field holds what fits its form here and nothing else; no form takes what a person wrote.
FORMS: Mapping[str, Callable[[object], bool]] = {
    "request_id": _text("[0-9a-f]{32}"),
    "connection_id": _text("[0-9a-f]{32}"),
    "operation": _text("[0-9a-f]{64}"),
    "policy_version": _text("[0-9a-f]{8,64}"),
    "method": _one_of(*METHODS, OTHER),
    "path": _text(r"other|/[a-z.{}/_-]{0,60}"),
    "role": _one_of(*ROLES),
    "codes": _codes,
    "status": _number,
    "duration_ms": _number,
    "close_code": _number,
    "operations": _number,
    "rows": _number,
    "process": _number,
    "attempts": _number,
    "reply_codes": lambda value: isinstance(value, tuple) and all(_number(one) for one in value),
    "kind": _one_of("socket", "stream"),
    "chore": _text("[a-z_]{1,30}"),
    "whose": _one_of("employees", "customers"),
    "why": _one_of("symmetric", "weak", "none"),
    # Names in programs.
    "error": _text("[A-Za-z_][A-Za-z0-9_]{0,60}"),
    "errno": _text("E[A-Z0-9]{1,20}"),
    "sqlstate": _text("[0-9A-Z]{5}"),
    "place": _text(r"[A-Za-z_][A-Za-z0-9_.]{0,100}:[0-9]{1,6}"),
    "logger": _text("[A-Za-z_][A-Za-z0-9_.-]{0,60}"),
}
NOT_OF_ITS_FORM = "?"


@dataclass(slots=True)
class Told:
    """What a request's log line tells beside its outcome, filled in while the request is answered."""

    role: str | None = None
    operation: str | None = None
    codes: tuple[Code, ...] = ()


_log: Any = structlog.get_logger()


def note(event: Event, **fields: object) -> None:
    """Logs an event; a field that is None is left out. Never fails, whatever becomes of the line."""
    getattr(_log, SEVERITY[event])(event, **fields)


def is_noted(event: Event) -> bool:
    """Whether the level is such that this event is logged."""
    return bool(_log.is_enabled_for(getattr(logging, SEVERITY[event].upper())))


def place_of(error: BaseException) -> str | None:
    """The module and line an exception comes from."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"


def about(error: BaseException) -> dict[str, object]:
    """What may be said of an exception: its type, its place, its SQLSTATE and the system's name for it."""
    number = error.errno if isinstance(error, OSError) else None
    return {
        "error": type(error).__name__,
        "place": place_of(error),
        "sqlstate": getattr(error, "sqlstate", None),
        "errno": None if number is None else errno.errorcode.get(number),
    }


def milliseconds(start: float) -> float:
    """How long ago a moment of `time.perf_counter` was."""
    return round((time.perf_counter() - start) * 1000, 3)


# ---------------------------------------------------------------- set up


def configure(level: str, form: str) -> None:
    """Logs to standard error from now on: our events, and what libraries and the interpreter report."""
    write, is_terminal = _standard_error()
    open_log(level, write, readable=form == "console" or (form == "auto" and is_terminal))
    capture(level)
    sys.unraisablehook = lambda found: _note_fault(found.exc_value)
    threading.excepthook = lambda found: _note_fault(found.exc_value)


def open_log(level: str, write: Write, *, readable: bool) -> None:
    """Writes events of this level and above, a line each."""
    render: Any = structlog.dev.ConsoleRenderer(colors=False)
    if not readable:
        render = structlog.processors.JSONRenderer(serializer=orjson.dumps, option=orjson.OPT_UTC_Z)
    structlog.configure(
        processors=[checked, render],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: Sink(write),
    )
    global _log
    # PERF: unbound, each line makes a logger of its own: 1.3 µs of a line's 12 (`timeit`).
    _log = structlog.get_logger().bind()


def capture(level: str) -> None:
    """Has what goes through `logging` become a `library` line: warnings, and at `debug` everything."""
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # Its lines are requests with their URLs; ours stand under `request`.
    logging.getLogger("uvicorn.access").disabled = True
    logging.root.handlers[:] = [Libraries()]
    logging.root.setLevel("WARNING" if level == "info" else level.upper())
    logging.captureWarnings(True)


def checked(_: object, level: str, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """A line in its order; a field no event has is left out, and what has not its form is a `?`."""
    event = found["event"]
    known = event if isinstance(event, Event) else NOT_OF_ITS_FORM
    line: dict[str, Any] = {"timestamp": datetime.now(UTC), "level": level, "event": known}
    for name, value in found.items():
        if value is not None and name in FORMS:
            line[name] = _written(value) if FORMS[name](value) else NOT_OF_ITS_FORM
    return line


def _written(value: object) -> object:
    return [getattr(one, "value", one) for one in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Sink:
    """Where finished lines go; one that cannot be written is lost, and the request goes on."""

    write: Write

    def info(self, line: str | bytes) -> None:
        """Writes a line in one piece, so that workers do not write into each other's."""
        text = line.encode() if isinstance(line, str) else line
        try:  # noqa: SIM105  # PERF: `suppress` takes 1.2 µs of a line's 10
            self.write(text + b"\n")
        except (OSError, ValueError):
            pass

    debug = warning = error = info


class Libraries(logging.Handler):
    """Turns what others log into lines without their text."""

    def emit(self, record: logging.LogRecord) -> None:
        """Logs where a record was made, and which exception it is about."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None and isinstance(record.msg, BaseException):
            error = record.msg
        found = {} if error is None else about(error)
        found["place"] = found.get("place") or f"{record.module}:{record.lineno}"
        getattr(_log, _level(record.levelno))(Event.LIBRARY, logger=record.name, **found)


def _level(number: int) -> str:
    below = [name for name in LEVELS if getattr(logging, name.upper()) <= number]
    return below[-1] if below else LEVELS[0]


def _note_fault(error: BaseException | None) -> None:
    if error is not None:
        note(Event.FAULT, **about(error))


def _standard_error() -> tuple[Write, bool]:
    """What writes to standard error, and whether that is a terminal; where it is closed, nothing does."""
    try:
        number = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return (lambda _: None), False
    return (lambda line: os.write(number, line)), os.isatty(number)
