"""The programs that run while it is measured: the servers and the load, each on its core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from .cpu import Usage, usage
from .load import Measure, Task

GATEWAY, HAND_WRITTEN, UNRECORDED = "gateway", "hand-written", "unrecorded"
STOP_SECONDS = 20
Program = subprocess.Popen[str]


@dataclass(frozen=True, slots=True)
class Cores:
    """Which processor core runs the servers, and which the load and an embedded PostgreSQL."""

    servers: int
    rest: int


def choose_cores() -> Cores | None:
    """Two cores, or None where this system has one, or pins no process."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1]) if len(usable) > 1 else None


def pin(pid: int, core: int | None) -> None:
    """Keeps a process, and those it starts from now on, on one core."""
    if core is not None:
        os.sched_setaffinity(pid, {core})


@dataclass(frozen=True, slots=True)
class Programs:
    """The running servers' ports and processes, by name, and the load's process."""

    ports: Mapping[str, int]
    pids: Mapping[str, int]
    load: Program
    embedded_pid: int | None

    def measure(self, name: str, task: Task) -> tuple[Measure, Usage]:
        """What the load measures at a server, and the processor time of one request."""
        before = usage(self.pids[name], self.embedded_pid)
        found = self._loaded(task)
        return found, usage(self.pids[name], self.embedded_pid).since(before, found.asked)

    def _loaded(self, task: Task) -> Measure:
        _lines(self.load).write(json.dumps(asdict(task)) + "\n")
        _lines(self.load).flush()
        assert self.load.stdout is not None
        line = self.load.stdout.readline()
        if not line:
            raise RuntimeError("the load ended: its error is above")
        return Measure(**json.loads(line))


@contextmanager
def started(
    environment: Mapping[str, str], cores: Cores | None, embedded_pid: int | None
) -> Iterator[Programs]:
    """The servers and the load; they are stopped and waited for."""
    if embedded_pid is not None:
        pin(embedded_pid, cores.rest if cores else None)
    with ExitStack() as stack:
        ports, pids = {}, {}
        for name in (GATEWAY, HAND_WRITTEN, UNRECORDED):
            server = stack.enter_context(program("serve", name, environment=environment))
            pin(server.pid, cores.servers if cores else None)
            assert server.stdout is not None
            pids[name] = server.pid
            ports[name] = int(server.stdout.readline())
        load = stack.enter_context(program("load", environment=environment))
        pin(load.pid, cores.rest if cores else None)
        yield Programs(ports, pids, load, embedded_pid)


@contextmanager
def program(
    module: str,
    *arguments: str,
    environment: Mapping[str, str],
    is_quiet: bool = False,
    under: Sequence[str] = (),
) -> Iterator[Program]:
    """A module of this package as a process of its own, which ends with its input.

    What a quiet one writes to its standard error, as a line for each request, goes to `os.devnull`. Where a
    command is given it runs `under` that.
    """
    command = [*under, sys.executable, "-m", f"tests.bench.{module}", *arguments]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    pipes["stderr"] = subprocess.DEVNULL if is_quiet else None
    with subprocess.Popen(command, env=dict(environment), **pipes) as process:
        try:
            yield process
        finally:
            _lines(process).close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _lines(process: Program) -> Any:
    assert process.stdin is not None
    return process.stdin
