"""The log: closed events and fields, one line a request, and nothing anybody wrote."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from gateway import logs
from gateway.config import Settings
from gateway.errors import Code
from gateway.logs import NOT_OF_ITS_FORM, Event, Libraries, note, open_log
from gateway.operation import shape_of
from tests.live import Served
from tests.logged import COLLECTED, Collected
from tests.world import World

CANARY = "Wq7Kanarek"
ID = "0123456789abcdef" * 2


@pytest.fixture
def opened() -> Iterator[list[bytes]]:
    """The lines of a log at level `warning`; afterwards everything is collected as before."""
    lines: list[bytes] = []
    open_log("warning", lines.append, readable=False)
    yield lines
    open_log("debug", COLLECTED.write, readable=False)


# ---------------------------------------------------------------- requests


def test_a_request_is_one_line_without_who_asked_or_what_it_said(world: World, logged: Collected) -> None:
    document = f'query {CANARY} {{ customers(where: {{email: {{eq: "{CANARY}"}}}}) {{ totalCount }} }}'
    response = world.post("support", document, purpose="customer-service", operation_name=CANARY)
    (line,) = logged.events("request")
    assert response.headers["x-request-id"] == line["request_id"]
    assert {name: line[name] for name in ("level", "method", "path", "status", "role", "operation")} == {
        "level": "info",
        "method": "POST",
        "path": "/graphql",
        "status": 200,
        "role": "support",
        "operation": shape_of(document),
    }
    assert 0 < line["duration_ms"] < 60_000
    assert CANARY not in logged.text


def test_a_line_names_the_codes_of_refusals_and_of_mistakes(world: World, logged: Collected) -> None:
    world.ask("carrier", "{ deliveries(first: 1) { nodes { order { number } } } }")
    world.ask("customer", "{ nothing }")
    world.ask("anonymous", "{", None)
    headers = {"Authorization": f"Bearer {CANARY}"}
    world.post("anonymous", "{ viewer { role } }", headers=headers)
    world.post("anonymous", "{ viewer { role } }", headers={"On-Forbidden": CANARY})
    lines = [(line.get("role"), line["codes"]) for line in logged.events("request")]
    assert lines == [
        ("carrier", ["FIELD_FORBIDDEN"]),
        ("customer", ["VALIDATION_FAILED"]),
        ("anonymous", ["SYNTAX_ERROR"]),
        (None, ["UNAUTHENTICATED"]),
        (None, ["BAD_REQUEST"]),
    ]


def test_every_answer_carries_an_id_that_is_not_the_clients(world: World, logged: Collected) -> None:
    for path in ("/healthz", "/readyz", "/schema.graphql", f"/{CANARY}?{CANARY}=1", "/.well-known/jwks.json"):
        response = world.client.get(path, headers={"X-Request-Id": CANARY})
        line = logged.events("request")[-1]
        assert response.headers.get_list("x-request-id") == [line["request_id"]]
        assert line["path"] == (logs.OTHER if CANARY in path else path)
    assert world.client.request(CANARY, "/graphql").status_code == 405
    assert logged.events("request")[-1]["method"] == logs.OTHER
    assert CANARY not in logged.text


def test_a_fault_is_logged_under_the_requests_id_by_type_and_place(
    world: World, logged: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> bytes:
        raise ValueError(CANARY)

    monkeypatch.setattr(world.gateway.database, "fetch", broken)
    response = world.post("customer", "{ orders { totalCount } }")
    (fault,) = logged.events("fault")
    assert (fault["error"], fault["level"]) == ("ValueError", "error")
    assert fault["place"].startswith("tests.test_logs:")
    assert fault["request_id"] == response.headers["x-request-id"]
    assert logged.events("request")[-1]["codes"] == ["INTERNAL"]
    assert CANARY not in logged.text


def test_a_socket_and_each_of_its_operations_have_lines_and_ids_of_their_own(
    live: Served, logged: Collected
) -> None:
    with live.as_("customer") as talk:
        response = talk.connection.response
        assert response is not None
        for name in ("a", "b"):
            talk.subscribe(name, "{ viewer { role } }")
            assert [talk.hear()["type"], talk.hear()["type"]] == ["next", "complete"]
    live.until(lambda: bool(logged.events("connection_ended")))
    (opened,), (ended,) = logged.events("connection_opened"), logged.events("connection_ended")
    operations = logged.events("operation")
    ids = {line["request_id"] for line in operations}
    assert response.headers["x-request-id"] == opened["request_id"] == ended["request_id"]
    assert {line["connection_id"] for line in operations} == {opened["request_id"]}
    assert len(ids | {opened["request_id"]}) == 3
    assert (opened["kind"], opened["role"], ended["operations"]) == ("socket", "customer", 2)


def test_a_socket_that_is_turned_away_is_logged(live: Served, logged: Collected) -> None:
    with live.socket(protocol=None) as talk:
        assert talk.ended()[0] == 4406
    (line,) = logged.events("connection_refused")
    assert (line["kind"], line["close_code"]) == ("socket", 4406)


# ---------------------------------------------------------------- forms

WRONG: dict[str, Any] = {
    "request_id": f"{CANARY:0>32}",
    "connection_id": ID.upper(),
    "operation": CANARY,
    "policy_version": CANARY,
    "method": CANARY,
    "path": f"/{CANARY}",
    "role": CANARY,
    "codes": (Code.INTERNAL, CANARY),
    "status": "200",
    "duration_ms": True,
    "close_code": [4400],
    "operations": CANARY,
    "rows": CANARY,
    "process": CANARY,
    "attempts": CANARY,
    "reply_codes": (451, CANARY),
    "kind": CANARY,
    "chore": CANARY,
    "whose": CANARY,
    "why": CANARY,
    "error": f"{CANARY}@store.example",
    "errno": CANARY,
    "sqlstate": CANARY,
    "place": CANARY,
    "logger": f"{CANARY} and more",
}


def test_what_has_not_the_form_of_its_field_is_not_logged(logged: Collected) -> None:
    assert set(WRONG) == set(logs.FORMS)
    note(Event.REQUEST, **WRONG, email=CANARY, status_text=CANARY)
    (line,) = logged.events("request")
    assert {name: line[name] for name in WRONG} == dict.fromkeys(WRONG, NOT_OF_ITS_FORM)
    assert CANARY.lower() not in logged.text.lower()


def test_an_event_that_is_none_of_ours_is_not_named(logged: Collected) -> None:
    logs._log.info(CANARY, password=CANARY)
    assert logged.events(NOT_OF_ITS_FORM)
    assert CANARY not in logged.text


@pytest.mark.parametrize("readable", [False, True])
def test_a_line_is_written_whole_in_both_formats(opened: list[bytes], readable: bool) -> None:
    open_log("info", opened.append, readable=readable)
    note(Event.REQUEST, request_id=ID, codes=(Code.INTERNAL,), role="support", operation=None)
    (line,) = opened
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    for part in (b"request", ID.encode(), b"INTERNAL", b"support"):
        assert part in line
    assert b"operation" not in line
    if not readable:
        assert list(json.loads(line))[:3] == ["timestamp", "level", "event"]


def test_what_is_below_the_level_is_not_written(opened: list[bytes]) -> None:
    note(Event.REQUEST, request_id=ID)
    assert (opened, logs.is_noted(Event.REQUEST), logs.is_noted(Event.FAULT)) == ([], False, True)
    note(Event.FAULT, request_id=ID)
    assert len(opened) == 1


@pytest.mark.parametrize("error", [OSError(32, "broken pipe"), ValueError("closed file")])
def test_a_log_that_cannot_be_written_fails_no_request(
    world: World, opened: list[bytes], error: Exception
) -> None:
    tried: list[bytes] = []

    def broken(line: bytes) -> None:
        tried.append(line)
        raise error

    open_log("debug", broken, readable=False)
    assert world.data("anonymous", "{ viewer { role } }") == {"viewer": {"role": "anonymous"}}
    assert tried


# ---------------------------------------------------------------- what others log


def test_what_a_library_logs_is_reduced_to_its_name_and_place(logged: Collected) -> None:
    logger = logging.Logger("uvicorn.error")
    logger.addHandler(Libraries())
    logger.warning("GET /graphql?query=%s", CANARY)
    logger.error(OSError(98, f"address in use: {CANARY}"))
    try:
        raise KeyError(CANARY)
    except KeyError:
        logger.exception(f"failed for {CANARY}", extra={"of": CANARY})
    logger.log(1, CANARY)
    first, second, third, fourth = logged.events("library")
    assert (first["logger"], first["level"]) == ("uvicorn.error", "warning")
    assert first["place"].startswith("test_logs:")
    assert (second["error"], second["errno"]) == ("OSError", "EADDRINUSE")
    assert (third["error"], third["level"]) == ("KeyError", "error")
    assert third["place"].startswith("tests.test_logs:")
    assert fourth["level"] == "debug"
    assert CANARY not in logged.text


PROGRAM = f"""
import logging, sys, threading, warnings
from gateway.logs import configure, Event, note
logging.basicConfig()
logging.getLogger("uvicorn").addHandler(logging.StreamHandler())
logging.getLogger("uvicorn").propagate = False
configure("debug", sys.argv[1])
note(Event.LISTENING)
logging.getLogger("uvicorn.error").error("{CANARY}")
logging.getLogger("uvicorn.access").error("{CANARY}")
warnings.warn("{CANARY}")
class Odd:
    def __del__(self): raise ValueError("{CANARY}")
Odd()
def fail(): raise ValueError("{CANARY}")
thread = threading.Thread(target=fail, name="{CANARY}")
thread.start(); thread.join()
print("done")
"""


@pytest.mark.parametrize("form", ["json", "console", "auto"])
def test_a_process_writes_nothing_but_our_lines_to_standard_error(form: str) -> None:
    command = [sys.executable, "-c", PROGRAM, form]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
    lines = done.stderr.splitlines()
    assert done.stdout == "done\n"
    assert len(lines) == 5
    assert CANARY not in done.stderr
    if form != "console":
        events = [json.loads(line)["event"] for line in lines]
        assert events == ["listening", "library", "library", "fault", "fault"]


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_a_process_without_standard_error_goes_on(closed: str) -> None:
    command = ["/bin/sh", "-c", f'exec "$0" -c "$1" json {closed}', sys.executable, PROGRAM]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "done\n"


def test_levels_and_formats_are_taken_in_any_case_and_no_others() -> None:
    url = "postgresql://gateway@127.0.0.1/gateway"
    found = Settings(database_url=url, log_level="WARNING", log_format="JSON")  # type: ignore[arg-type]
    assert (found.log_level, found.log_format) == ("warning", "json")
    for wrong in ({"log_level": "trace"}, {"log_format": "xml"}):
        with pytest.raises(ValidationError):
            Settings(database_url=url, **wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------- operations


def test_an_operations_hash_tells_nothing_of_its_literals() -> None:
    shape = shape_of('{ customer(email: "a@store.example") { id } }')
    same = (
        f'{{ customer(email: "{CANARY}") {{ id }} }}',
        f'{{ customer(email: """{CANARY} \\""" " "" {CANARY}""") {{ id }} }}',
        '{ customer(email: "\\"a\\\\") { id } }',
    )
    assert {shape_of(one) for one in same} == {shape}
    assert shape_of('{ customer(email: "a") { id } } # "') == shape_of('{ customer(email: "b") { id } } # it')
    assert shape_of("{ orders(first: 5) { totalCount } }") == shape_of("{ orders(first: 17) { totalCount } }")
    assert shape_of("{ a: orders { totalCount } }") != shape_of("{ b: orders { totalCount } }")
    assert shape_of("{ a1: viewer { role } }") != shape_of("{ a2: viewer { role } }")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("begun", ['"', '"""', '"\\"', '"""\\"""', '"""" "'])
def test_the_shape_of_a_text_nobody_has_parsed_is_found_in_one_pass(begun: str) -> None:
    """A million texts without an end: going over the rest from each of them would take hours."""
    assert len(shape_of(begun + '\\"' * 1_000_000)) == 64
