"""A wire between the gateway and PostgreSQL that breaks at the worst moment: around the commit of a record.

It reads the messages of the protocol (PostgreSQL's documentation, "Frontend/Backend Protocol", version 3) as
they pass, and tells by the statement's text which of them write a record.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

PARSE, BIND, SYNC, QUERY = b"P", b"B", b"S", b"Q"
READY, SUSPENDED, COMPLETE, FAILED = b"Z", b"s", b"C", b"E"
FLUSH = b"H\0\0\0\4"
RECORDS = b"INSERT INTO access_record"
IDLE = b"I"


class Break(Enum):
    """When a connection is cut."""

    NEVER = "never"
    # The rows were passed on, but not the message after which PostgreSQL commits.
    AFTER_ROWS = "after the rows"
    # PostgreSQL has committed, and what it answered is not passed on.
    AFTER_COMMIT = "after the commit"


@dataclass
class Wire:
    """Where the gateway reaches PostgreSQL, and when that breaks."""

    server: str
    url: str = ""
    choose: Callable[[], Break] = lambda: Break.NEVER
    cut: Counter[Break] = field(default_factory=Counter)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries one connection of the gateway's until either side or a break ends it."""
        with suppress(OSError, asyncio.IncompleteReadError):
            server_reader, server_writer = await _connected(self.server)
            line = _Line(self, reader, writer, server_reader, server_writer)
            try:
                await line.carry()
            finally:
                server_writer.close()
        writer.close()


@dataclass
class _Line:
    wire: Wire
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server_reader: asyncio.StreamReader
    server_writer: asyncio.StreamWriter
    # The names of the prepared statements that write a record.
    recording: set[bytes] = field(default_factory=set)
    is_recorded: bool = False
    in_transaction: bool = False
    breaks: Break = Break.NEVER
    is_breaking: bool = False

    async def carry(self) -> None:
        length = await self.reader.readexactly(4)
        self.server_writer.write(length + await self.reader.readexactly(int.from_bytes(length) - 4))
        ways = [asyncio.create_task(self._forth()), asyncio.create_task(self._back())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def _forth(self) -> None:
        while True:
            kind, body = await _message(self.reader)
            passed = kind + (len(body) + 4).to_bytes(4) + body
            if kind == PARSE:
                self._note(*body.split(b"\0", 2)[:2])
            elif kind == BIND and body.split(b"\0", 2)[1] in self.recording:
                self.is_recorded, self.breaks = True, self.wire.choose()
            elif kind == QUERY and body.startswith(b"COMMIT") and self.is_recorded:
                if self.breaks is Break.AFTER_ROWS:
                    return self._cut()
                self.is_breaking = self.breaks is Break.AFTER_COMMIT
            elif kind == SYNC and self.is_recorded and not self.in_transaction:
                self.is_breaking = self.breaks is not Break.NEVER
                passed = FLUSH if self.breaks is Break.AFTER_ROWS else passed
            self.server_writer.write(passed)
            await self.server_writer.drain()

    def _note(self, name: bytes, statement: bytes) -> None:
        if RECORDS in statement:
            self.recording.add(name)
        else:
            self.recording.discard(name)

    async def _back(self) -> None:
        while True:
            kind, body = await _message(self.server_reader)
            if kind == READY:
                self.in_transaction = body != IDLE
                self.is_recorded = self.is_recorded and self.in_transaction
            hides = self.is_breaking and self.breaks is Break.AFTER_COMMIT
            if not hides:
                self.writer.write(kind + (len(body) + 4).to_bytes(4) + body)
                await self.writer.drain()
            ends = (READY,) if hides else (SUSPENDED, COMPLETE, FAILED)
            if self.is_breaking and kind in ends:
                return self._cut()

    def _cut(self) -> None:
        self.wire.cut[self.breaks] += 1


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], await reader.readexactly(int.from_bytes(head[1:]) - 4)


async def _connected(url: str) -> Any:
    parts = urlsplit(url)
    given = parse_qs(parts.query)
    host, port = given.get("host", [parts.hostname or "localhost"])[0], parts.port
    port = port or int(given.get("port", ["5432"])[0])
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, port)


def _through(url: str, port: int) -> str:
    """The server's URL by way of a port on this host, where nothing is encrypted."""
    parts = urlsplit(url)
    who = parts.netloc.rpartition("@")[0]
    given = {
        name: values[0] for name, values in parse_qs(parts.query).items() if name not in ("host", "port")
    }
    return parts._replace(
        netloc=f"{who}@127.0.0.1:{port}", query=urlencode(given | {"sslmode": "disable"})
    ).geturl()


@contextmanager
def wired(url: str) -> Iterator[Wire]:
    """A wire to the server, carried by a thread of its own."""
    loop, wire = asyncio.new_event_loop(), Wire(url)

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(wire.carry, "127.0.0.1", 0)

    async def end(server: asyncio.Server) -> None:
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    wire.url = _through(url, server.sockets[0].getsockname()[1])
    try:
        yield wire
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
