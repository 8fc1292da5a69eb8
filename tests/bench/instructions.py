"""What a request takes of a worker in instructions: a number that no other work of the machine changes.

callgrind, a tool of valgrind's, runs the worker on a processor of its own making and counts what it executes
outside the kernel. It does so some fifty times as slowly, so that nothing here is timed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .chapters import Chapter, table
from .load import Task
from .loaded import answered, load, worker
from .place import Place
from .servers import GATEWAY, HAND_WRITTEN, Program, Programs
from .workloads import Workload, workloads

TITLE = "How many instructions a request takes"
REPEAT = "python -m tests.bench --parts instructions"
NAMES = ("W1", "W2", "W3", "W5")
SERVERS = (GATEWAY, HAND_WRITTEN)
CLIENTS = 16
# Of asking unmeasured, until whatever is opened, learned or kept once is, and of counting.
WARM_SECONDS, SECONDS = 10, 20
CALLGRIND = ("valgrind", "--tool=callgrind", "--instr-atstart=no")
NO_PROGRAM = "Not counted: `valgrind` is not installed."
ABOUT = f"""Instructions of a worker outside the kernel, counted by valgrind's callgrind for {CLIENTS} clients
over {{asked}} requests a cell, among them what it does beside requests. They do not hang on how busy the
machine is, nor do they say how long one of them takes: a copy of memory counts each step of it, and what
lies in no cache takes longer. The endpoint is that of the chapter "Beside an endpoint written by hand". What
PostgreSQL executes is not in it."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Count:
    """What a server executed for so many requests of a workload."""

    instructions: int
    requests: int

    @property
    def each(self) -> float:
        """Instructions a request."""
        return self.instructions / self.requests


def instructions_chapter(place: Place, say: Say, seconds: float = SECONDS) -> Chapter:
    """The instructions of a request at the gateway and at the endpoint by hand."""
    if shutil.which("valgrind") is None:
        return Chapter("instructions", TITLE, NO_PROGRAM, REPEAT)
    asked = [one for one in workloads(place) if one.name in NAMES]
    found = {name: _counted(place, name, asked, seconds, say) for name in SERVERS}
    fewest = min(count.requests for counts in found.values() for count in counts.values())
    about = " ".join(ABOUT.format(asked=f"{fewest:,} or more").split("\n"))
    return Chapter("instructions", TITLE, f"{about}\n\n{_table(found)}", REPEAT)


def _table(found: Mapping[str, Mapping[str, Count]]) -> str:
    rows = [
        (name, *(f"{found[server][name].each / 1000:,.0f}" for server in SERVERS), _times(found, name))
        for name in found[GATEWAY]
    ]
    return table(("thousands a request", "gateway", "by hand", "the gateway takes"), rows)


def _times(found: Mapping[str, Mapping[str, Count]], name: str) -> str:
    return f"**{found[GATEWAY][name].each / found[HAND_WRITTEN][name].each:.2f} times**"


def _counted(place: Place, name: str, asked: list[Workload], seconds: float, say: Say) -> Mapping[str, Count]:
    """What a server executes for each workload."""
    found = {}
    with (
        tempfile.TemporaryDirectory(prefix="gateway-callgrind-") as folder,
        worker(place.environment(), None, name, (*CALLGRIND, f"--callgrind-out-file={folder}/count.%p")) as (
            server,
            port,
        ),
        load(None) as process,
    ):
        programs = Programs({name: port}, {name: server.pid}, process, None)
        for workload in asked:
            answered(port, workload)
            requests = workload.requests(port)
            programs.measure(name, Task(port, requests, CLIENTS, min(WARM_SECONDS, seconds)))
            _control(server, "--instr=on", "--zero")
            measure, _ = programs.measure(name, Task(port, requests, CLIENTS, seconds))
            _control(server, f"--dump={workload.name}", "--instr=off")
            found[workload.name] = Count(newest_total(Path(folder)), measure.asked)
            say(f"instructions: {name}, {workload.name}: {found[workload.name].each:,.0f} a request")
    return found


def _control(server: Program, *commands: str) -> None:
    """Has callgrind do something, one after the other."""
    for command in commands:
        control = ("callgrind_control", command, str(server.pid))
        subprocess.run(control, check=True, capture_output=True, timeout=60)


def newest_total(folder: Path) -> int:
    """How many instructions the last dump counts."""
    newest = max(folder.glob("count.*"), key=lambda path: path.stat().st_mtime_ns)
    for line in newest.read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("summary", "totals"):
            return int(rest.split()[0])
    raise RuntimeError(f"callgrind wrote no total into {newest.name}")
