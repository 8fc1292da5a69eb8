"""What a worker's memory grows to over many distinct operations: resident, as the system counts it."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from .chapters import Chapter, Target, table
from .loaded import worker
from .operations import SERVICE, New
from .place import Place
from .plots import lines
from .servers import Cores

OPERATIONS_ASKED = 100_000
STEPS = (1_000, 10_000)
STEP = 10_000
CLIENTS = 4
PATIENCE_SECONDS = 60
PURPOSE_HEADER = "Processing-Purpose"
# After 10,000 operations it may differ by so much.
MOST_GROWTH = 0.05
TITLE = "Memory over distinct operations"
REPEAT = "python -m tests.bench --parts memory"
ABOUT = """One worker is asked {asked:,} operations of which no two have the same text, nor the same
statement: each has an alias of its own at the root, {distinct:,} in all, and the SQL names it where it makes
the JSON. Of {kinds} in turn, {own} are of a customer, one of customer service for its purpose and one of a
carrier, these two recorded, asked over {clients} connections. Each is parsed, judged, planned, compiled,
prepared by PostgreSQL and answered, and pushes older ones out of the bounded caches of operations, of plans
and of each connection's hundred prepared statements. The worker's `/readyz` counts at the end: {counted}."""
CACHE = (
    "of {name} it keeps {entries:,}, found none of {misses:,} that were asked for and let {evictions:,} go"
)
# Written as the builders of clients write them, and of those that are soon planned: what is kept is the same.
OWN = (
    New(
        "customer",
        None,
        """query MyOrders? {
  ?: orders(first: 5) {
    nodes {
      id
      number
      placedAt
      status
      total {
        amount
        currency
      }
      paymentMethod
      paymentStatus
      customerMessage
    }
  }
}""",
    ),
    New(
        "customer",
        None,
        """query MyData? {
  ?: customers(first: 1) {
    nodes {
      id
      firstName
      surname
      streetAddress
      postalCode
      postalTown
      countryCode
      phone
      email
      marketingConsent
    }
  }
}""",
    ),
    New(
        "customer",
        None,
        """query MyReturns? {
  ?: returns(first: 10) {
    nodes {
      id
      number
      kind
      status
      requestedAt
      refundAmount {
        amount
        currency
      }
      refundedAt
    }
  }
}""",
    ),
)
RECORDED = (
    New(
        "support",
        SERVICE,
        """query Newest? {
  ?: customers(first: 5) {
    nodes {
      id
      number
      firstName
      surname
      phone
    }
  }
}""",
    ),
    New(
        "carrier",
        None,
        """query ToBring? {
  ?: deliveries(first: 5) {
    nodes {
      id
      trackingCode
      status
      recipientName
      recipientPhone
    }
  }
}""",
    ),
)
KINDS = (*OWN * 3, *RECORDED)


@dataclass(frozen=True, slots=True)
class Found:
    """Megabytes by the number of operations asked so far; the aliases they had; the caches' counters."""

    resident: list[tuple[float, float]]
    distinct: int
    caches: Mapping[str, Mapping[str, int]]


def memory_chapter(
    place: Place, cores: Cores | None, say: Callable[[str], None], asked: int = OPERATIONS_ASKED
) -> Chapter:
    """The worker's memory after so many operations, a step at a time."""
    found = asyncio.run(_measured(place, cores, say, asked))
    later = [size for count, size in found.resident if count >= min(asked, STEP)]
    growth = max(later) / later[0] - 1
    plot = lines(
        "memory", "Memory of one worker", ("distinct operations", "MB"), {"resident": found.resident}
    )
    rows = [(f"{count:,}", f"{size:.0f}") for count, size in found.resident]
    shown = table(("distinct operations", "resident, MB"), rows)
    target = Target(
        f"memory of one worker over {asked:,} distinct operations",
        f"flat after {STEP:,}: at most {MOST_GROWTH:.0%} more",
        f"{growth:+.1%}",
        growth <= MOST_GROWTH,
    )
    text = "\n\n".join([_about(found, asked), plot.markdown, shown])
    return Chapter("memory", TITLE, text, REPEAT, (target,), (plot,))


def _about(found: Found, asked: int) -> str:
    counted = "; ".join(CACHE.format(name=name, **counters) for name, counters in found.caches.items())
    given = {
        "distinct": found.distinct,
        "kinds": len(KINDS),
        "own": len(OWN) * 3,
        "clients": CLIENTS,
        "counted": counted,
    }
    return " ".join(ABOUT.format(asked=asked, **given).split("\n"))


async def _measured(place: Place, cores: Cores | None, say: Callable[[str], None], asked: int) -> Found:
    new = _operations()
    resident: list[tuple[float, float]] = []
    aliases: set[str] = set()
    with worker(place.environment(), cores) as (server, port):
        done = 0
        for until in _steps(asked):
            texts = list(islice(new, until - done))
            aliases |= {alias_of(text) for _, text in texts}
            await _ask(port, [_request(place, kind, text) for kind, text in texts])
            done = until
            resident.append((done, _resident(server.pid)))
            say(f"{done:,} distinct operations: {resident[-1][1]:.0f} MB")
        return Found(resident, len(aliases), _caches(port))


def _steps(asked: int) -> list[int]:
    """After how many operations the memory is looked at."""
    steps = {step for step in (*STEPS, *range(STEP, asked + 1, STEP)) if step < asked}
    return sorted(steps | {asked})


def alias_of(text: str) -> str:
    """The alias of an operation's root, which its statement names."""
    return text.partition("{")[2].partition(":")[0].strip()


def _caches(port: int) -> Mapping[str, Mapping[str, int]]:
    """What the worker tells of its caches, by their names."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/readyz")
        found: Mapping[str, Mapping[str, int]] = json.loads(connection.getresponse().read())["caches"]
    finally:
        connection.close()
    return found


async def _ask(port: int, requests: list[bytes]) -> None:
    """Asks each once, over some connections; raises where an answer is no 200."""
    shares = [requests[number::CLIENTS] for number in range(CLIENTS)]
    await asyncio.gather(*(_connection(port, share) for share in shares))


async def _connection(port: int, requests: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        body = await reader.readexactly(int(found[1])) if found else b""
        if not head.startswith(b"HTTP/1.1 200") or b'"data":{' not in body:
            raise RuntimeError(f"an operation was answered with {head[:40]!r} {body[:200]!r}")
    writer.close()
    await writer.wait_closed()


def _operations() -> Iterator[tuple[New, str]]:
    """The kinds in turn, without end, each with a text that was not asked before."""
    return ((kind, kind.text(number)) for number, kind in enumerate(cycle(KINDS)))


def _request(place: Place, kind: New, text: str) -> bytes:
    purpose = {} if kind.purpose is None else {PURPOSE_HEADER: kind.purpose}
    headers = {**place.principals[kind.role].headers, **purpose, "Content-Type": "application/json"}
    body = json.dumps({"query": text, "variables": {}}).encode()
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = ["POST /graphql HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


def _resident(pid: int) -> float:
    """Megabytes."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
