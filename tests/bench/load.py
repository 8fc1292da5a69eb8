"""The load: HTTP/1.1 connections kept alive, each asking again as soon as it is answered.

`python -m tests.bench.load` reads one JSON object a line, a `Task`, and writes one a line, a `Measure`. It is
a process of its own, so that its work is not the server's, and parses no more of an answer than its length.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle

import uvloop

PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Task:
    """Ask this server for so long, over so many connections; `requests` are whole HTTP requests, in turn."""

    port: int
    requests: list[str]
    clients: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Measure:
    """What came of it: answers a second, and how long one took at the median and at the 99th percentile.

    `asked` counts the requests of the warm-up too.
    """

    asked: int
    answers: int
    per_second: float
    median_ms: float
    p99_ms: float


class _Client(asyncio.Protocol):
    """One connection; its answers' times are kept from the moment `started` on."""

    def __init__(self, requests: Iterator[bytes], started: float, ends: float) -> None:
        self._requests = requests
        self._started = started
        self._ends = ends
        self._buffer = b""
        self._asked = 0.0
        self.count = 0
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        start = self._buffer.find(b"content-length:") + len(b"content-length:")
        length = int(self._buffer[start : self._buffer.find(b"\r", start)])
        if len(self._buffer) - head - 4 < length:
            return
        now = time.perf_counter()
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            self._end(RuntimeError(self._buffer[:200].decode("latin-1")))
            return
        if self._asked >= self._started:
            self.times.append(now - self._asked)
        self._buffer = b""
        if now < self._ends:
            self._ask()
        else:
            self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionError("the server closed the connection"))

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self.count += 1
        self._transport.write(next(self._requests))  # type: ignore[attr-defined]

    def _end(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error) if error else self.done.set_result(None)
            self._transport.close()


async def measure(task: Task) -> Measure:
    """Warms up for a fifth of the time, then measures; raises where an answer is no 200."""
    loop = asyncio.get_running_loop()
    requests = cycle([request.encode("latin-1") for request in task.requests])
    started = time.perf_counter() + task.seconds / 5
    ends = started + task.seconds
    clients = []
    for _ in range(task.clients):
        _, client = await loop.create_connection(
            lambda: _Client(requests, started, ends), "127.0.0.1", task.port
        )
        clients.append(client)
    async with asyncio.timeout(task.seconds * 2 + PATIENCE_SECONDS):
        await asyncio.gather(*(client.done for client in clients))
    took = time.perf_counter() - started
    times = sorted(value for client in clients for value in client.times)
    if not times:
        raise RuntimeError("no answer within the time of a cell")
    return Measure(
        sum(client.count for client in clients),
        len(times),
        len(times) / took,
        times[len(times) // 2] * 1000,
        times[min(len(times) - 1, len(times) * 99 // 100)] * 1000,
    )


def main() -> None:
    """Measures what is asked for on standard input."""
    for line in sys.stdin:
        found = uvloop.run(measure(Task(**json.loads(line))))
        print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main()
