"""How the rate grows with workers: `gateway serve` with one and with two, side by side."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .chapters import table, with_range
from .growing import CLIENTS, Part, Say, Scale, named
from .loaded import Asked, in_turn, load
from .place import Place
from .plots import lines
from .servers import Cores, Programs
from .start import free_port
from .workloads import Call, Workload

WORKERS = (1, 2)
MANY = 4 * CLIENTS
PATIENCE_SECONDS = 60
NOTHING = Workload("W0", "nothing of the database", "query W0 { __typename }", (Call({}, {}),))
ABOUT = f"""`gateway serve` with one worker and with two, both running and measured right after one another,
{MANY} clients."""
PINNED = """One worker ran on a core of its own, PostgreSQL and the load on another; two workers share both
cores with them, so that they gain what the second core has to spare."""


def with_workers(place: Place, cores: Cores | None, scale: Scale, say: Say) -> Part:
    """The rates with one worker and with two."""
    workloads = [NOTHING, *named(place, "W1", "W5")]
    asked = [Asked(str(workers), one, MANY) for one in workloads for workers in WORKERS]
    with _servers(place, cores) as programs:
        found = in_turn(programs, asked, scale.rounds)
    say("workers are measured")
    rates = {one.name: [found.rate(str(workers), one.name, MANY) for workers in WORKERS] for one in workloads}
    rows = [
        (
            f"{one.name}, {one.title}",
            *(f"{rate:,.0f}" for rate in rates[one.name]),
            with_range(found.ratios("2", "1", one.name, MANY)),
        )
        for one in workloads
    ]
    series = {name: list(zip(map(float, WORKERS), found, strict=True)) for name, found in rates.items()}
    plot = lines("workers", f"By {MANY} clients", ("workers", "requests/s"), series)
    about = " ".join(f"{ABOUT} {PINNED if cores else 'Nothing was pinned to a core.'}".split("\n"))
    head = ("requests/s", "1 worker", "2 workers", "ratio (lowest to highest)")
    return Part("\n\n".join(["### With workers", about, plot.markdown, table(head, rows)]), (), (plot,))


@contextmanager
def _servers(place: Place, cores: Cores | None) -> Iterator[Programs]:
    """A server of each number of workers, by that number, and the load."""
    with ExitStack() as stack:
        found = {str(workers): stack.enter_context(_server(place, workers, cores)) for workers in WORKERS}
        ports, pids = ({name: one[part] for name, one in found.items()} for part in (0, 1))
        yield Programs(ports, pids, stack.enter_context(load(cores)), None)


@contextmanager
def _server(place: Place, workers: int, cores: Cores | None) -> Iterator[tuple[int, int]]:
    """The port and the process of a server of so many workers."""
    port = free_port()
    command = (sys.executable, "-m", "tests.bench.serve_workers", str(port), str(workers))
    usable = None if cores is None else {cores.servers} if workers == 1 else {cores.servers, cores.rest}
    with subprocess.Popen(command, env=place.environment(), stderr=subprocess.DEVNULL) as process:
        if usable is not None:
            os.sched_setaffinity(process.pid, usable)
        try:
            _wait(port, process)
            yield port, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < ends:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the workers did not start")
