"""Subscriptions as others use them: through a client library, and against a server that is stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from schema.scalars import global_id
from tests.live import PROTOCOL, WATCH, Served, Talk
from tests.test_live import of_customer
from tests.test_live_events import EVENTS

ROOT = Path(__file__).parent.parent
AT_ONCE = 4.0


def test_a_client_library_subscribes_and_asks(live: Served) -> None:
    delivery = of_customer(live)

    async def talked() -> tuple[Any, Any]:
        transport = WebsocketsTransport(
            url=live.url.replace("http", "ws"),
            init_payload=dict(live.world.askers["customer"].headers),
            subprotocols=[Subprotocol(PROTOCOL)],
        )
        async with Client(transport=transport, fetch_schema_from_transport=True) as session:
            role = await session.execute(gql("{ viewer { role } }"))
            query = gql(WATCH)
            query.variable_values = {"id": global_id("Delivery", delivery["id"])}
            events = session.subscribe(query)
            told = asyncio.ensure_future(anext(events))
            await asyncio.to_thread(live.until_watched)
            await asyncio.to_thread(live.touch, delivery["id"])
            event = await asyncio.wait_for(told, 5)
            await events.aclose()
            return role, event

    role, event = asyncio.run(talked())
    assert role == {"viewer": {"role": "customer"}}
    assert event["deliveryUpdated"]["reference"] == delivery["reference"]
    live.until_watched(0)


@contextmanager
def process(live: Served, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """`gateway serve` in a process of its own, and the file with what it says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "GATEWAY_DATABASE_URL": live.world.gateway.settings.database_url.get_secret_value(),
        "GATEWAY_SIGNING_KEY_FILE": str(live.world.gateway.settings.signing_key_file),
        "GATEWAY_EMPLOYEE_TOKEN_MINUTES": str(live.world.gateway.settings.employee_token_minutes),
    }
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "serve", "--port", str(port)]
    log = folder / "log"
    with log.open("wb") as file:
        started = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/readyz")
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield started, port, log
    finally:
        started.kill()
        started.wait()


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_stopped_tells_every_connection_and_ends_at_once(
    live: Served, tmp_path: Path, number: int
) -> None:
    customer = live.world.askers["customer"].customer_id
    assert customer is not None
    token = live.world.customer_token(customer, now=datetime.now(UTC))
    headers = {"Authorization": f"Bearer {token}"}
    id = {"id": global_id("Delivery", of_customer(live)["id"])}
    with process(live, tmp_path) as (started, port, log):
        url = f"http://127.0.0.1:{port}/graphql"
        with (
            connect(url.replace("http", "ws"), subprotocols=[Subprotocol(PROTOCOL)]) as connection,
            httpx.stream(
                "POST", url, json={"query": WATCH, "variables": id}, headers={**headers, **EVENTS}, timeout=10
            ) as response,
        ):
            talk = Talk(connection)
            talk.init(headers)
            talk.subscribe("a", WATCH, id)
            assert response.status_code == 200
            begun = time.monotonic()
            started.send_signal(number)
            assert talk.ended() == (1001, "going away")
            assert "event: complete" in list(response.iter_lines())
        started.wait(10)
        assert time.monotonic() - begun < AT_ONCE
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["level"] for line in lines} == {"info"}
    assert lines[-1]["event"] == "stopped"
