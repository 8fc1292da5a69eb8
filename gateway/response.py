"""What is sent back: bytes. `data` comes from PostgreSQL, the rest was written when the plan was made.

Bodies are a function of operation, grants and data alone, but for what the caller has left to spend, where
that is asked for; the request id is in a header.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from .budget.standing import Standing
from .errors import Code, Location, Problem
from .plan import Plan, Refusal


@dataclass(frozen=True, slots=True)
class Tail:
    """What follows `data` in the answers of a plan, and the whole answer where refusals reject it."""

    partial: bytes
    rejection: bytes | None
    codes: tuple[Code, ...]


def tail_of(plan: Plan) -> Tail:
    """The parts of a plan's answers that do not depend on data."""
    errors = [_refusal(refusal) for refusal in plan.refusals]
    parts = b""
    if errors:
        parts += b',"errors":' + orjson.dumps(errors)
    if plan.withheld:
        parts += b',"extensions":' + orjson.dumps({"withheld": list(plan.withheld)})
    codes = tuple(sorted({refusal.code for refusal in plan.refusals}))
    return Tail(parts + b"}", rejected(plan.refusals) if errors else None, codes)


def rejected(refusals: Iterable[Refusal]) -> bytes:
    """The body of an answer that its caller wants whole or not at all (`On-Forbidden: reject`)."""
    return orjson.dumps({"errors": [_refusal(refusal) for refusal in refusals]})


def answered(data: bytes, tail: Tail) -> bytes:
    """The body of an answer with data."""
    return b'{"data":' + data + tail.partial


def costed(body: bytes, standing: Standing, *, has_extensions: bool) -> bytes:
    """A body that says in `extensions` what it cost, beside what they hold already."""
    cost = b'"cost":' + orjson.dumps(standing.as_dict()) + b"}}"
    return body[:-2] + b"," + cost if has_extensions else body[:-1] + b',"extensions":{' + cost


def failed(problems: Iterable[Problem]) -> bytes:
    """The body of an answer without data."""
    return orjson.dumps({"errors": [_problem(problem) for problem in problems]})


def object_of(parts: Mapping[str, bytes]) -> bytes:
    """A JSON object of finished values."""
    return b"{" + b",".join(orjson.dumps(key) + b":" + value for key, value in parts.items()) + b"}"


def problem_of(refusal: Refusal) -> Problem:
    """A refusal as an entry of `errors` where it refuses the whole operation."""
    extensions: dict[str, object] = {
        "coordinate": refusal.coordinate,
        "fieldPath": list(refusal.field_path),
    }
    if refusal.use is not None:
        extensions["use"] = refusal.use
    message = f"field `{refusal.coordinate}` is not granted"
    if refusal.of_many:
        extensions["purposes"] = list(refusal.purposes)
        message = f"field `{refusal.coordinate}` needs a purpose that allows lists: ask for fewer at once"
    elif refusal.purposes:
        extensions["purposes"] = list(refusal.purposes)
        message = f"field `{refusal.coordinate}` needs another purpose: {', '.join(refusal.purposes)}"
    return Problem(refusal.code, message, refusal.location, extensions)


def _refusal(refusal: Refusal) -> dict[str, object]:
    return _problem(problem_of(refusal), refusal.path)


def _problem(problem: Problem, path: Sequence[str] = ()) -> dict[str, object]:
    extensions = {"code": problem.code, **problem.extensions}
    found: dict[str, object] = {"message": problem.message, "extensions": extensions}
    return found | ({"path": list(path)} if path else {}) | _locations(problem.location)


def _locations(location: Location | None) -> dict[str, object]:
    return {} if location is None else {"locations": [{"line": location.line, "column": location.column}]}
