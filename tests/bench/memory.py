"""What a worker's memory grows to over many distinct operations: resident, as the system counts it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from .chapters import Chapter, Target, table
from .operations import New
from .place import Place
from .plots import lines
from .servers import Cores, pin, program

OPERATIONS_ASKED = 100_000
STEPS = (1_000, 10_000)
STEP = 10_000
CLIENTS = 4
# After 10,000 operations it may differ by so much.
MOST_GROWTH = 0.05
TITLE = "Memory over distinct operations"
REPEAT = "python -m tests.bench --parts memory"
ABOUT = """One worker is asked {asked:,} operations of which no two have the same text ({kinds} kinds, each
time under a new name, by {clients} connections): each is parsed, judged, planned, compiled, prepared by
PostgreSQL and answered, and pushes older ones out of the bounded caches of operations, of plans and of each
connection's prepared statements."""
# Written as the builders of clients write them, and of those that are soon planned: what is kept is the same.
KINDS = (
    New(
        "customer",
        None,
        """query MyOrders? {
  orders(first: 5) {
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
  customers(first: 1) {
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
  returns(first: 10) {
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


def memory_chapter(
    place: Place, cores: Cores | None, say: Callable[[str], None], asked: int = OPERATIONS_ASKED
) -> Chapter:
    """The worker's memory after so many operations, a step at a time."""
    found = asyncio.run(_measured(place, cores, say, asked))
    first = next(size for count, size in found if count >= min(asked, STEP))
    growth = max(size for count, size in found if count >= min(asked, STEP)) / first - 1
    parts = [" ".join(ABOUT.format(asked=asked, kinds=len(KINDS), clients=CLIENTS).split("\n"))]
    plot = lines("memory", "Memory of one worker", ("distinct operations", "MB"), {"resident": found})
    parts += [plot.markdown]
    parts += [table(("distinct operations", "resident, MB"), [(f"{n:,}", f"{mb:.0f}") for n, mb in found])]
    target = Target(
        f"memory of one worker over {asked:,} distinct operations",
        f"flat after {STEP:,}: at most {MOST_GROWTH:.0%} more",
        f"{growth:+.1%}",
        growth <= MOST_GROWTH,
    )
    return Chapter("memory", TITLE, "\n\n".join(parts), REPEAT, (target,), (plot,))


async def _measured(
    place: Place, cores: Cores | None, say: Callable[[str], None], asked: int
) -> list[tuple[float, float]]:
    new = _requests(place)
    found: list[tuple[float, float]] = []
    with program("serve", "gateway", environment=place.environment()) as server:
        pin(server.pid, cores.servers if cores else None)
        assert server.stdout is not None
        port, done = int(server.stdout.readline()), 0
        for until in sorted(
            {step for step in (*STEPS, *range(STEP, asked + 1, STEP)) if step < asked} | {asked}
        ):
            await _ask(port, list(islice(new, until - done)))
            done = until
            found.append((done, _resident(server.pid)))
            say(f"{done:,} distinct operations: {found[-1][1]:.0f} MB")
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


def _requests(place: Place) -> Iterator[bytes]:
    number = 0
    while True:
        for new in KINDS:
            headers = {**place.principals[new.role].headers, "Content-Type": "application/json"}
            body = json.dumps({"query": new.text(number), "variables": {}}).encode()
            lines = [f"{name}: {value}" for name, value in headers.items()]
            head = ["POST /graphql HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *lines]
            yield "\r\n".join([*head, "", ""]).encode() + body
            number += 1


def _resident(pid: int) -> float:
    """Megabytes."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
