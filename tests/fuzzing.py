"""A real `gateway serve` that is fuzzed, and what must hold of whatever it answers.

An answer comes in time and is no fault of ours: no status from 500 on, no code that says so, nothing in the
log. Afterwards the process is the same, holds no more connections, little more memory, and answers.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from gateway.errors import Code
from tests.conftest import limited_database
from tests.world import World, make_world

ROOT = Path(__file__).resolve().parents[1]
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
# How much longer `HYPOTHESIS_PROFILE=thorough` fuzzes.
TIMES = 30 if THOROUGH else 1
# How long one test may take on a busy machine.
LONGEST_SECONDS = 300 * TIMES
# What a busy machine needs for the slowest answer; one that hangs never comes.
PATIENCE_SECONDS = 20.0
CHECKS = list(HealthCheck)
EVENT = re.compile(rb"event: next\ndata: (.*(?:\ndata: .*)*)\n\n")
GONE = (BrokenPipeError, ConnectionResetError)
Ask = Callable[[Any], object]
FAULTS = {Code.INTERNAL, Code.TIMEOUT}
MISTAKES = {code.value for code in Code} - FAULTS
# What the caches of `SETTINGS`, the pools and the parser's stacks may take beyond the first requests.
MOST_GROWTH_BYTES = 80_000_000
# Small caches, so that memory that grows is told from memory that fills; little patience with half a request.
SETTINGS = {
    "GATEWAY_OPERATION_CACHE_BYTES": "100000",
    "GATEWAY_PLAN_CACHE_BYTES": "400000",
    "GATEWAY_PRINCIPAL_CACHE_ENTRIES": "100",
    "GATEWAY_HEAD_TIMEOUT_SECONDS": "0.3",
    "GATEWAY_BODY_TIMEOUT_SECONDS": "0.3",
    "GATEWAY_LIVE_INIT_TIMEOUT_SECONDS": "1",
    "GATEWAY_READ_QUOTA": "1000000",
    "GATEWAY_SEAL_SECONDS": "1",
}
UNTHROTTLED = [f"GATEWAY_THROTTLE_{name}_LIMIT" for name in ("ACCOUNT", "CLIENT", "EVERYWHERE")]


def fuzz(one: Fuzzed, label: str, strategy: st.SearchStrategy[Any], examples: int, ask: Ask) -> None:
    """Asks what is drawn, so many times, and looks whether the server is as it was.

    The same label draws the same in each run; the thorough profile draws more, and other things each time.
    """

    @settings(max_examples=examples * TIMES, database=None, deadline=None, suppress_health_check=CHECKS)
    @given(strategy)
    def asked(drawn: Any) -> None:
        ask(drawn)

    with unharmed(one):
        asked() if THOROUGH else seed(zlib.crc32(label.encode()))(asked)()


@dataclass(frozen=True)
class Answered:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Fuzzed:
    """A register, `gateway serve` in front of it in a process of its own, and the file of its log."""

    world: World
    port: int
    process: psutil.Process
    output: Path
    client: httpx.Client
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    def headers(self, name: str, purpose: str | None = None) -> dict[str, str]:
        """All that a client sends as somebody."""
        declared = {} if purpose is None else {"Processing-Purpose": purpose}
        return {**self.world.askers[name].headers, **declared}

    def post(self, body: str | bytes, headers: Mapping[str, str]) -> Answered:
        """The judged answer to a body."""
        content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        given = {"content-type": "application/json", **headers}
        found = self.client.post("/graphql", content=content, headers=given)
        answered = Answered(found.status_code, found.headers, found.content)
        self.judge(answered)
        return answered

    def say(self, request: bytes, method: str = "GET") -> Answered | None:
        """The judged answer to these bytes; None where the connection is closed without one."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS) as connection:
            with suppress(*GONE):
                connection.sendall(request)
            try:
                found = http.client.HTTPResponse(connection, method=method)
                found.begin()
                answered = Answered(found.status, dict(found.getheaders()), found.read())
            except (http.client.RemoteDisconnected, ConnectionResetError):
                return None
        self.judge(answered)
        return answered

    def raw_socket(self, opening: bytes, sent: bytes) -> None:
        """Sends an upgrade and what follows it, and waits until the server closes the connection."""
        address = ("127.0.0.1", self.port)
        with socket.create_connection(address, PATIENCE_SECONDS) as connection, suppress(*GONE):
            connection.sendall(opening)
            head = connection.recv(65536)
            assert head == b"" or head.split(b" ", 2)[1] < b"500", head
            connection.sendall(sent)
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def judge(self, found: Answered) -> None:
        """Fails where an answer is, or hides, a fault of ours, or is none of the documented ones."""
        assert found.status < 500, (found.status, found.body[:500])
        kind = found.headers.get("content-type", "")
        events = EVENT.findall(found.body) if "event-stream" in kind else []
        for event in events:
            self.judge_errors(json.loads(event.replace(b"\ndata: ", b"\n")).get("errors", []), least=0)
        body = json.loads(found.body) if "json" in kind and found.body else None
        if found.status >= 400 and found.body:
            assert isinstance(body, dict), (found.status, found.body[:500])
            assert body["errors"], body
        if isinstance(body, dict) and "errors" in body:
            self.judge_errors(body["errors"])

    def judge_errors(self, errors: Any, least: int = 1) -> None:
        """Fails where an entry of `errors` is no documented mistake of the caller's."""
        assert isinstance(errors, list)
        assert len(errors) >= least
        for one in errors:
            code = one["extensions"]["code"]
            assert code in MISTAKES, one
            assert isinstance(one["message"], str)
            self.codes[code] += 1

    def memory_bytes(self) -> int:
        """What the process holds of the machine's memory."""
        return int(self.process.memory_info().rss)

    def faults(self) -> list[dict[str, Any]]:
        """What the log says went wrong in the gateway."""
        lines = [json.loads(line) for line in self.output.read_bytes().splitlines()]
        return [line for line in lines if line["level"] in ("error", "critical")]


@contextmanager
def fuzzed(server_url: str, folder: Path) -> Iterator[Fuzzed]:
    """A register of its own at the real time, and a server of it with the rights of the login role."""
    with ExitStack() as stack:
        url, limited = stack.enter_context(limited_database(server_url))
        now = datetime.now(UTC).replace(microsecond=0)
        world = stack.enter_context(make_world(url, folder, now, database_url=limited))
        yield stack.enter_context(_serving(world, folder / "log"))


def _environment(world: World) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    given = world.gateway.settings
    return {
        **kept,
        **SETTINGS,
        **dict.fromkeys(UNTHROTTLED, "1000000"),
        "GATEWAY_DATABASE_URL": given.database_url.get_secret_value(),
        "GATEWAY_SIGNING_KEY_FILE": str(given.signing_key_file),
        "GATEWAY_EMPLOYEE_TOKEN_MINUTES": str(given.employee_token_minutes),
        "GATEWAY_LOG_FORMAT": "json",
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def _serving(world: World, output: Path) -> Iterator[Fuzzed]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "serve", "--port", str(port)]
    with output.open("wb") as file:
        started = subprocess.Popen(command, env=_environment(world), cwd=ROOT, stdout=file, stderr=file)
    try:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as client:
            one = Fuzzed(world, port, psutil.Process(started.pid), output, client)
            until(lambda: started.poll() is not None or _is_ready(one))
            assert started.poll() is None, output.read_text()
            yield one
        started.terminate()
        assert started.wait(PATIENCE_SECONDS) in (0, -15)
    finally:
        started.kill()
        started.wait()


def _is_ready(one: Fuzzed) -> bool:
    with suppress(httpx.TransportError):
        return one.client.get("/readyz").status_code == 200
    return False


def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + 3 * PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def unharmed(one: Fuzzed) -> Iterator[None]:
    """After the block the server is as it was: no fault, no more connections, little more memory."""
    memory, files, before = one.memory_bytes(), one.process.num_fds(), len(one.faults())
    yield
    found = one.faults()[before:]
    assert found == [], found
    answered = one.post('{"query": "{ privacyNotice { version } carriers { totalCount } }"}', {})
    assert json.loads(answered.body)["data"]["carriers"]["totalCount"] > 0
    # What the client keeps alive, and the pools, which fill.
    until(lambda: one.process.num_fds() <= files + 40)
    assert one.memory_bytes() < memory + MOST_GROWTH_BYTES
