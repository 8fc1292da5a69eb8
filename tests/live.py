"""The gateway behind a real server on loopback, with a clock that runs, and sockets to it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gateway.app import app_around, create_gateway
from gateway.live.connection import Live
from gateway.server import make_server
from tests.world import World

PROTOCOL = "graphql-transport-ws"
WATCH = "subscription($id: ID!) { deliveryUpdated(deliveryId: $id) { reference parcelCount } }"
WATCH_ORDER = "subscription($id: ID!) { deliveryUpdated(orderId: $id) { reference parcelCount } }"
PATIENCE = 5.0


@dataclass
class RunningClock:
    """A clock that starts at a moment and runs as fast as the real one."""

    start: datetime
    begun: float = field(default_factory=time.monotonic)

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=time.monotonic() - self.begun)


@dataclass(frozen=True)
class Served:
    """A gateway on a port."""

    world: World
    live: Live
    clock: RunningClock
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    @contextmanager
    def socket(
        self, protocol: str | None = PROTOCOL, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Iterator[Talk]:
        """A socket, not yet initialised."""
        names = None if protocol is None else [Subprotocol(protocol)]
        with connect(
            f"ws://127.0.0.1:{self.port}/graphql",
            subprotocols=names,
            additional_headers=dict(headers or {}),
            **options,
        ) as connection:
            yield Talk(connection)

    @contextmanager
    def as_(self, name: str, **payload: str) -> Iterator[Talk]:
        """An initialised socket of somebody."""
        with self.socket() as talk:
            talk.init({**self.world.askers[name].headers, **payload})
            yield talk

    def until_watched(self, count: int = 1) -> None:
        """Waits until this many subscriptions are told of changes; the protocol acknowledges none."""
        self.until(lambda: self.live.broker.count() == count)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def touch(self, delivery: UUID) -> None:
        """Changes a delivery without a difference."""
        self.world.execute("UPDATE delivery SET version = version + 1 WHERE id = $1", delivery)

    def deliveries(self, **wanted: object) -> list[dict[str, Any]]:
        """The deliveries with these values, oldest first."""
        rows = self.world.table("delivery")
        found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
        return sorted(found, key=lambda row: row["id"])


@dataclass(frozen=True)
class Talk:
    """One side of the protocol."""

    connection: ClientConnection

    def say(self, message: object) -> None:
        self.connection.send(message if isinstance(message, str) else json.dumps(message))

    def hear(self, timeout: float = PATIENCE) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.connection.recv(timeout=timeout))
        return found

    def init(self, payload: Mapping[str, str] | None = None) -> None:
        self.say({"type": "connection_init", "payload": payload})
        assert self.hear() == {"type": "connection_ack"}

    def subscribe(self, id: str, query: str, variables: object = None) -> None:
        self.say({"id": id, "type": "subscribe", "payload": {"query": query, "variables": variables}})

    def ended(self, timeout: float = PATIENCE) -> tuple[int | None, str]:
        """The code and the reason the socket is closed with; what comes before is passed over."""
        try:
            while True:
                self.connection.recv(timeout=timeout)
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")

    def is_silent(self, seconds: float = 0.4) -> bool:
        """Whether nothing is said for a while."""
        try:
            self.connection.recv(timeout=seconds)
        except TimeoutError:
            return True
        return False


@contextmanager
def served(world: World, **changed: Any) -> Iterator[Served]:
    """A gateway of its own on the world's database, on a free port; its clock starts where the world's is."""
    settings = world.gateway.settings.model_copy(update=changed)
    clock = RunningClock(world.now)
    live = Live(create_gateway(settings, clock))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = make_server(app_around(live), settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            one = Served(world, live, clock, listener.getsockname()[1])
            one.until(lambda: one.live.broker.is_listening)
            yield one
        finally:
            server.should_exit = True
            thread.join(10)
