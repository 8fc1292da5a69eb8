"""Gateways under load for the chapters on cost: one after the other in each round, by the load's process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

from .cells import data_of
from .load import Measure, Task
from .servers import GATEWAY, Cores, Program, Programs, pin, program
from .workloads import Workload

SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A server, by its name, and what it is asked by how many clients."""

    server: str
    workload: Workload
    clients: int


@dataclass(frozen=True, slots=True)
class Rounds:
    """The measures of each cell, one of each round."""

    measures: Mapping[tuple[str, str, int], list[Measure]]

    def rate(self, server: str, workload: str, clients: int) -> float:
        """The median of answers a second."""
        return median(one.per_second for one in self.measures[server, workload, clients])

    def middle(self, server: str, workload: str, clients: int) -> float:
        """The median of the median times, in milliseconds."""
        return median(one.median_ms for one in self.measures[server, workload, clients])

    def ratios(self, server: str, other: str, workload: str, clients: int) -> list[float]:
        """A server's answers a second by another's, round by round."""
        ours, theirs = (self.measures[name, workload, clients] for name in (server, other))
        return [one.per_second / two.per_second for one, two in zip(ours, theirs, strict=True)]


@contextmanager
def gateways(environments: Mapping[str, Mapping[str, str]], cores: Cores | None) -> Iterator[Programs]:
    """A worker for each environment, by its name, and the load."""
    with ExitStack() as stack:
        ports, pids = {}, {}
        for name, environment in environments.items():
            server, ports[name] = stack.enter_context(worker(environment, cores))
            pids[name] = server.pid
        yield Programs(ports, pids, stack.enter_context(load(cores)), None)


@contextmanager
def worker(
    environment: Mapping[str, str], cores: Cores | None, name: str = GATEWAY, under: Sequence[str] = ()
) -> Iterator[tuple[Program, int]]:
    """A server's process and its port. It writes its log as it ships, to where nobody reads it."""
    with program("serve", name, environment=environment, is_quiet=True, under=under) as server:
        pin(server.pid, cores.servers if cores else None)
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            raise RuntimeError(f"it did not start: `python -m tests.bench.serve {name}` says why")
        yield server, int(line)


@contextmanager
def load(cores: Cores | None) -> Iterator[Program]:
    """The process that makes the load."""
    with program("load", environment=dict(os.environ)) as found:
        pin(found.pid, cores.rest if cores else None)
        yield found


def answered(port: int, workload: Workload, calls: int = 20) -> list[object]:
    """The data of the workload's first calls; raises `UnequalAnswersError` where one is no data."""
    return [data_of(port, workload, call, workload.body(call)) for call in workload.calls[:calls]]


def in_turn(programs: Programs, asked: Sequence[Asked], rounds: int, seconds: float = SECONDS) -> Rounds:
    """Every cell in each round: its servers one right after the other, in the other order every second time.

    Each is asked every call once, so that what is read lies in memory, and the same for as long before each
    cell. Raises `UnequalAnswersError`, before it times anything, where an answer is no data.
    """
    for server, name in dict.fromkeys((one.server, one.workload.name) for one in asked):
        workload = next(one.workload for one in asked if (one.server, one.workload.name) == (server, name))
        answered(programs.ports[server], workload, len(workload.calls))
    cells: dict[tuple[str, int], list[Asked]] = {}
    for one in asked:
        cells.setdefault((one.workload.name, one.clients), []).append(one)
    found: dict[tuple[str, str, int], list[Measure]] = {}
    for turn in range(rounds):
        for servers in cells.values():
            for one in servers if turn % 2 == 0 else reversed(servers):
                key = one.server, one.workload.name, one.clients
                found.setdefault(key, []).append(_measured(programs, one, seconds))
    return Rounds(found)


def _measured(programs: Programs, one: Asked, seconds: float) -> Measure:
    """The measure of a server that has been asked the same just before."""
    port = programs.ports[one.server]
    task = Task(port, one.workload.requests(port), one.clients, seconds)
    programs.measure(one.server, task)
    return programs.measure(one.server, task)[0]
