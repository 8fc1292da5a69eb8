"""One register behind two server processes, and clients that ask them by turns, at the same moment."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import httpx

from gateway.principal import utc_now
from tests.bench.place import Place, made
from tests.bench.servers import Program, program
from tests.shipments import DAY, Sent, send
from tests.world import Clock, World, make_askers

CUSTOMERS = 30
PATIENCE_SECONDS = 30.0


@dataclass
class Server:
    """A running server process and a client of it."""

    process: Program
    client: httpx.Client

    def kill(self) -> None:
        """Ends it as a power cut would: it is told nothing."""
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)


class ByTurns:
    """A client that asks one server after the other."""

    def __init__(self, *servers: Server) -> None:
        self._servers = itertools.cycle(servers)

    def post(self, path: str, **given: Any) -> httpx.Response:
        return next(self._servers).client.post(path, **given)


class Twins(World):
    """A world whose clock is the real one, and whose clients ask two processes."""


@contextmanager
def started(place: Place) -> Iterator[Server]:
    """A server process; requests wait until it is ready."""
    with program("serve", "gateway", environment=place.environment()) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as client:
            yield Server(process, client)


def world_of(place: Place, *servers: Server) -> Twins:
    """The register as tests ask it, through these servers."""
    askers = make_askers(list(place.principals.values()))
    client: Any = ByTurns(*servers)
    return Twins(place.url, cast(Any, None), client, Clock(utc_now()), askers, place.key)


@contextmanager
def made_twins(server_url: str) -> Iterator[Twins]:
    """A seeded register, and two processes that serve it."""
    with ExitStack() as stack:
        place = stack.enter_context(made(CUSTOMERS, server_url))
        servers = [stack.enter_context(started(place)) for _ in range(2)]
        yield world_of(place, *servers)


def sent_now(world: World, *statuses: str, **given: Any) -> Sent:
    """An order with deliveries in these statuses, as of today."""
    moments: dict[str, Any] = {"created_at": utc_now() - 5 * DAY}
    if set(statuses) & {"PICKED_UP", "IN_TRANSIT", "DELIVERED"}:
        moments["handed_over_at"] = utc_now() - DAY
    if "DELIVERED" in statuses:
        moments["delivered_at"] = utc_now() - timedelta(hours=1)
    return send(world, *statuses, **{**moments, **given})


def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
