"""Canaries: planted in every personal column and sent wherever text goes, they are told nowhere."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Text
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.canaries import (
    CANARY,
    CLOSED,
    MARK,
    STRICT,
    Traffic,
    errors_of,
    found_canaries,
    plant,
    planted_columns,
    planted_numbers,
)
from tests.conftest import limited_database
from tests.live import PROTOCOL
from tests.logged import COLLECTED, Collected, leaks, personal_values, record_texts
from tests.world import World, make_world

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def planted(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A register whose every personal value is a canary, at the real time."""
    with ExitStack() as stack:
        url, limited = stack.enter_context(limited_database(server_url))
        now, folder = datetime.now(UTC).replace(microsecond=0), tmp_path_factory.mktemp("planted")
        world = stack.enter_context(make_world(url, folder, now, database_url=limited))
        # Rows of sessions, links and mail, for canaries to stand in.
        Traffic(world.client, world, ()).conflicts()
        plant(world)
        yield world


def assert_told_nowhere(world: World, answers: list[Any], lines: list[bytes]) -> None:
    """Neither lines of the log nor errors, endpoints or records of access hold a canary."""
    numbers = planted_numbers(world)
    texts = [text.encode() for text in record_texts(world.rows())]
    assert found_canaries(lines, numbers) == []
    assert found_canaries(errors_of(answers), numbers) == []
    assert found_canaries(texts, numbers) == []


# ---------------------------------------------------------------- in process


def test_a_canary_stands_in_every_personal_column(planted: World) -> None:
    """Every personal column of text or number is planted, but those that take values of a closed set."""
    rows, columns = planted.rows(), list(planted_columns())
    known = {f"{table}.{column}" for table in rows for row in rows[table][:1] for column in row}
    assert known >= CLOSED - {"session.ended_why", "erasure_notice.recipient"}
    texts = {f"{table}.{column}" for table, column, kind in columns if isinstance(kind, Text)}
    assert texts >= {"customer.email", "delivery.recipient_phone", "returns.refund_iban", "mail.body"}
    bare = {
        f"{table}.{column}"
        for table, column, kind in columns
        if isinstance(kind, Text) and not any(MARK in str(row[column]).lower() for row in rows[table])
    }
    assert bare == set()


def test_a_canary_is_told_nowhere_in_process(planted: World, logged: Collected) -> None:
    """Traffic of four callers: log, errors and records of access hold no canary, though answers do."""
    traffic = Traffic(planted.client, planted, ("anonymous", "customer", "support", "carrier"))
    traffic.all()
    assert any(MARK in answer.text.lower() for answer in traffic.answers)
    assert len(logged.events("request")) == len(traffic.answers)
    told = {code for line in logged.events("request") for code in line.get("codes", ())}
    assert told >= {"SYNTAX_ERROR", "VALIDATION_FAILED", "BAD_VARIABLE", "BAD_CURSOR", "UNAUTHENTICATED"}
    assert_told_nowhere(planted, traffic.answers, list(logged.lines))


# ---------------------------------------------------------------- a server of its own


@dataclass(frozen=True)
class Process:
    """`gateway serve` in a process of its own, and the file with all it writes."""

    port: int
    output: Path

    def lines(self) -> list[bytes]:
        return self.output.read_bytes().splitlines()


@contextmanager
def process(world: World, folder: Path) -> Iterator[Process]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = world.gateway.settings
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
        "GATEWAY_DATABASE_URL": settings.database_url.get_secret_value(),
        "GATEWAY_SIGNING_KEY_FILE": str(settings.signing_key_file),
        "GATEWAY_EMPLOYEE_TOKEN_MINUTES": str(settings.employee_token_minutes),
        "GATEWAY_LOG_LEVEL": "DEBUG",
        "GATEWAY_STATEMENT_TIMEOUT_SECONDS": "1",
        "GATEWAY_THROTTLE_CLIENT_LIMIT": "100000",
        "GATEWAY_LAST_USED_SECONDS": "0.1",
        "PYTHONASYNCIODEBUG": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "serve", "--port", str(port)]
    found = Process(port, folder / "output")
    with found.output.open("wb") as file:
        started = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=file, stderr=file)
    try:
        until_ready(port, lambda: started.poll() is None)
        yield found
        started.terminate()
        started.wait(PATIENCE_SECONDS)
    finally:
        started.kill()
        started.wait()


def until_ready(port: int, is_running: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert is_running()
        with suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the server is not ready")


def talk(world: World, port: int) -> None:
    """Canaries over sockets: in the upgrade, in messages of the protocol and in some that are none."""
    token = world.askers["carrier"].headers["Authorization"]
    watch = f'subscription {{ deliveryUpdated(deliveryId: "{CANARY}") {{ reference }} }}'
    query = f'query {CANARY} {{ order(number: "{CANARY}") {{ id }} }}'
    subscribes = [
        {"id": CANARY, "type": "subscribe", "payload": {"query": text, "variables": {"v": CANARY}}}
        for text in (watch, query, CANARY, f'{{ orders(first: "{CANARY}") {{ totalCount }} }}')
    ]
    inits = [{"Authorization": token}, {"Authorization": CANARY}, {"Act-As": CANARY}]
    afterwards = [*subscribes, {"type": CANARY}, CANARY, {"type": "ping", "payload": {"v": CANARY}}]
    for init in inits:
        for message in afterwards:
            said(port, [{"type": "connection_init", "payload": init}, message])
    said(port, [f'{{"type": "{CANARY}'])
    said(port, [], protocol=CANARY)
    for name in ("Origin", "Authorization", "On-Forbidden", "X-Request-Id"):
        said(port, [{"type": "connection_init"}], **{name: CANARY})


def said(port: int, messages: list[Any], protocol: str = PROTOCOL, **headers: str) -> None:
    """Says something on a socket of its own, and hears what comes until nothing more does."""
    url = f"ws://127.0.0.1:{port}/graphql?token={CANARY}"
    with suppress(ConnectionClosed, InvalidHandshake, TimeoutError):
        names = [Subprotocol(protocol)]
        with connect(url, subprotocols=names, additional_headers=headers) as connection:
            for message in messages:
                connection.send(message if isinstance(message, str) else json.dumps(message))
            while True:
                connection.recv(timeout=0.2)


def while_locked(world: World, step: Any) -> None:
    """Does something while nobody else can read orders or change customers."""

    async def run(connection: Any) -> None:
        async with connection.transaction():
            await connection.execute("LOCK TABLE orders, customer IN ACCESS EXCLUSIVE MODE")
            await asyncio.to_thread(step)

    world.run(run)


def cut(world: World) -> None:
    """Ends every connection to the register, as a server that restarts does."""
    world.run(
        lambda connection: connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )


def broken_asks(world: World, traffic: Traffic) -> None:
    """Asks with canaries while the database is locked, cut off, or lacks a table."""
    document = "query($v: String) { order(number: $v) { id billingName } }"
    change = f'mutation {{ signIn(input: {{email: "{CANARY}@store.example", password: "{CANARY} {CANARY}"}})'
    change += " { userErrors { code } } }"

    def ask() -> None:
        traffic.post("customer", document, {"v": CANARY})
        traffic.post("anonymous", change)

    while_locked(world, ask)
    cut(world)
    ask()
    world.execute("ALTER TABLE orders RENAME TO gone")
    world.execute("ALTER TABLE credential RENAME TO gone_too")
    try:
        ask()
    finally:
        world.execute("ALTER TABLE gone RENAME TO orders")
        world.execute("ALTER TABLE gone_too RENAME TO credential")


def database_log(world: World) -> list[bytes]:
    """What PostgreSQL wrote, where it is the embedded one."""
    folder = world.run(lambda connection: connection.fetchval("SHOW data_directory"))
    log = Path(folder).parents[1] / "postgresql.log"
    return log.read_bytes().splitlines() if log.exists() else []


@pytest.mark.slow
def test_a_canary_is_told_nowhere_by_a_server_at_its_most_talkative(planted: World, tmp_path: Path) -> None:
    """All traffic over HTTP and sockets, with faults of the database, at the level `debug`."""
    with process(planted, tmp_path) as one:
        with httpx.Client(base_url=f"http://127.0.0.1:{one.port}", timeout=30) as client:
            traffic = Traffic(client, planted, tuple(planted.askers))
            traffic.all()
            talk(planted, one.port)
            broken_asks(planted, traffic)
            until_ready(one.port, lambda: True)
            for path in ("/readyz", "/healthz", "/schema.graphql", "/.well-known/jwks.json"):
                traffic.send("GET", path, headers={"accept": STRICT})
        asked = len(traffic.answers)
    lines = [json.loads(line) for line in one.lines()]
    events = {line["event"] for line in lines}
    codes = {code for line in lines for code in line.get("codes", ())}
    assert len([line for line in lines if line["event"] == "request"]) >= asked
    assert events >= {"started", "stopped", "operation", "connection_opened", "connection_ended", "library"}
    assert events >= {"connection_refused", "database_fault", "not_listening", "listening"}
    assert codes >= {"TIMEOUT", "INTERNAL", "SYNTAX_ERROR", "BAD_VARIABLE", "FIELD_FORBIDDEN", "BAD_CURSOR"}
    assert_told_nowhere(planted, traffic.answers, one.lines())
    assert found_canaries(database_log(planted), planted_numbers(planted)) == []


def test_nothing_asks_postgresql_to_log_values(planted: World) -> None:
    """Neither a role, nor a database, nor a statement of the gateway's turns a log of statements on."""
    kept = "SELECT setconfig::text FROM pg_db_role_setting WHERE setconfig::text ~ 'log_'"
    assert planted.run(lambda connection: connection.fetch(kept)) == []
    assert [one for one in planted.statements if "log_" in one or "set_config" in one] == []


# ---------------------------------------------------------------- the search itself


def test_the_search_finds_what_is_planted_and_nothing_else(planted: World) -> None:
    """A leak of text, of a number or of a token is found, wherever in a line and in whatever case."""
    made = b'{"timestamp":"2026-06-15T12:00:00.700000Z","request_id":"' + b"7" * 32 + b'","status":200}'
    numbers = {"700000001"}
    assert found_canaries([made, b'{"status":200}'], numbers) == []
    for leak in (b'{"status":700000001}', b'{"path":"/KANAREK3x1"}', b'{"request_id":"700000001"}'):
        assert found_canaries([made, leak], numbers) == [leak.decode().lower()]
    needles = personal_values(planted.rows())
    assert len(needles) > 500
    needle = sorted(needles)[0]
    assert leaks([made], needles) == []
    assert leaks([made, f'{{"path":"{needle.upper()}"}}'.encode()], needles)[0][0] == needle.lower()
    for secret in (b"crp_0123456789abcdef0123", b"eyJhbGciOiJFZERTQSJ9.e30", b"a@store.example"):
        assert leaks([made, secret], ())


def test_the_whole_suite_is_searched(logged: Collected, planted: World) -> None:
    """What a gateway of the tests logs and answers is among what is searched when all tests are over."""
    planted.ask("anonymous", "{ nothing }")
    assert any(b'"codes":["VALIDATION_FAILED"]' in line for line in COLLECTED.distinct)
    assert any(b'"code": "VALIDATION_FAILED"' in line for line in COLLECTED.distinct)
    assert any(MARK in needle.lower() for needle in personal_values(planted.rows()))
    assert planted.askers["support"].headers["Authorization"][7:] in COLLECTED.needles
    assert logged is COLLECTED
