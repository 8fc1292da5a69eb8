"""Where each microsecond of a request goes: a worker under load, its stack looked at many times a second.

py-spy looks from outside, so that the worker runs the code it always runs; what a request takes in processor
time is measured without it, and shared out by the looks.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .chapters import Chapter, table
from .load import Task
from .loaded import answered, load, worker
from .place import Place
from .servers import Cores, Programs, pin
from .workloads import Workload, workloads

TITLE = "Where each microsecond goes"
REPEAT = "python -m tests.bench --parts profile"
NAMES = ("W1", "W3", "W5")
CLIENTS = 16
LOOKS_A_SECOND = 500
FUNCTIONS = 12
# The thread that waits for the end of the input looks busy from outside.
WAITING = "stop_with_input"
NO_PROGRAM = "Not measured: `py-spy` of the extra `bench` is not installed, or may not look at a process."
ABOUT = f"""The processor time of the gateway's worker for a request, {CLIENTS} clients, shared out by what
the worker was doing at {{looks}} looks at its stack: the innermost frame that belongs to a step says which.
It runs as it ships, a line of its log for each request among its work. What is not Python shows as the frame
that called it: the HTTP parser under the libraries' HTTP; what is no call of ours, which is asyncpg's reading
of what PostgreSQL sends, with the making of its rows, and the sockets, under the event loop."""
DATABASE = "PostgreSQL's processes, in the same time, are not in it: the last line has theirs for a request."
NO_DATABASE = "PostgreSQL's own time is not in it."
# A step by the files it is made of; the first that matches the innermost frame counts.
STEPS = (
    ("who asks: `principal`", ("gateway/principal/", "gateway/client_address", "gateway/partner_roots")),
    ("which document, what is asked: `operation`", ("gateway/documents/", "gateway/operation.", "graphql/")),
    ("may it, and how: `plan`", ("gateway/plan/", "gateway/access.", "gateway/grants.", "gateway/policy.")),
    ("bound values: `statements`", ("gateway/statements/",)),
    ("the record: `recording`, `noted`", ("gateway/recording.", "gateway/noted.", "gateway/refusals.")),
    (
        "the change: `writes`; formats, ids",
        ("gateway/writes/", "schema/", "phonenumbers/", "gateway/throttle."),
    ),
    ("fetch: `database` and asyncpg", ("gateway/database.", "gateway/connections.", "asyncpg/")),
    ("send: `response`", ("gateway/response.",)),
    (
        "the request as a whole: `answer`, caches",
        ("gateway/answer.", "gateway/request.", "gateway/cache.", "cachetools/"),
    ),
    ("the log's line", ("gateway/access_log.", "gateway/logs.", "structlog/", "/logging/")),
    (
        "HTTP, ours: reading, bounds, headers",
        (
            "gateway/app.",
            "gateway/http_requests.",
            "gateway/attended.",
            "gateway/server.",
            "gateway/answer_headers.",
        ),
    ),
    ("HTTP, the libraries': uvicorn, starlette", ("uvicorn/", "starlette/", "httptools/")),
    ("event loop, sockets", ("asyncio/", "uvloop/")),
)
OTHER = "other"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Profile:
    """A workload: microseconds of a request, looks by step, and by function.

    Those of PostgreSQL's processes for a request are known of an embedded server alone.
    """

    microseconds: float
    steps: Mapping[str, int]
    functions: Mapping[str, int]
    database: float | None = None

    @property
    def looks(self) -> int:
        """How often the worker was found at work."""
        return sum(self.steps.values())


def profile_chapter(place: Place, cores: Cores | None, say: Say, seconds: int = 8) -> Chapter:
    """The steps' shares of W1, W3 and W5."""
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        return Chapter("profile", TITLE, NO_PROGRAM, REPEAT)
    asked = [one for one in workloads(place) if one.name in NAMES]
    if place.embedded_pid is not None:
        pin(place.embedded_pid, cores.rest if cores else None)
    with worker(place.environment(), cores) as (server, port), load(cores) as process:
        programs = Programs({"gateway": port}, {"gateway": server.pid}, process, place.embedded_pid)
        found = {one.name: _profiled(programs, one, spy, seconds) for one in asked}
    known = {name: one for name, one in found.items() if one is not None}
    if not known:
        return Chapter("profile", TITLE, NO_PROGRAM, REPEAT)
    say("profiles are taken")
    return Chapter("profile", TITLE, "\n\n".join(_parts(known)), REPEAT)


def _profiled(programs: Programs, workload: Workload, spy: str, seconds: int) -> Profile | None:
    """What a request takes without being looked at, and what is seen; None where none may look."""
    port = programs.ports["gateway"]
    answered(port, workload)
    task = Task(port, workload.requests(port), CLIENTS, max(2, seconds / 3))
    programs.measure("gateway", task)  # to warm up
    _, used = programs.measure("gateway", task)
    with tempfile.TemporaryDirectory(prefix="gateway-profile-") as folder:
        path = Path(folder, "looks")
        command = (spy, "record", "--pid", str(programs.pids["gateway"]), "--duration", str(seconds))
        how = ("--rate", str(LOOKS_A_SECOND), "--format", "raw", "--full-filenames", "--output", str(path))
        with subprocess.Popen(
            (*command, *how), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as looking:
            programs.measure("gateway", Task(port, workload.requests(port), CLIENTS, seconds))
            looking.wait()
        if not path.exists() or used.server is None:
            return None
        return read_looks(path.read_text(), used.server, used.database)


def read_looks(text: str, microseconds: float, database: float | None = None) -> Profile:
    """The looks of py-spy's raw form: a stack, outermost first, and how often it was seen."""
    steps: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if any(WAITING in frame for frame in frames):
            continue
        steps[step_of(frames)] += int(count)
        functions[_function(frames[-1])] += int(count)
    return Profile(microseconds, steps, functions, database)


def step_of(frames: list[str]) -> str:
    """The step of the innermost frame that belongs to one."""
    for frame in reversed(frames):
        for step, files in STEPS:
            if any(file in frame for file in files):
                return step
    return OTHER


def _function(frame: str) -> str:
    """`name (package/file.py)` of a frame `name (/where/ever/package/file.py:line)`."""
    name, _, place = frame.partition(" (")
    return f"`{name}` ({'/'.join(Path(place.rpartition(':')[0]).parts[-2:])})"


def _parts(found: Mapping[str, Profile]) -> Iterator[str]:
    looks = " and ".join(f"{one.looks:,} ({name})" for name, one in found.items())
    is_told = all(one.database is not None for one in found.values())
    about = f"{ABOUT.format(looks=looks)} {DATABASE if is_told else NO_DATABASE}"
    yield " ".join(about.split("\n"))
    head = ("step, µs a request", *found)
    names = [name for name, _ in STEPS] + [OTHER]
    rows = [(name, *(_shown(one, one.steps.get(name, 0)) for one in found.values())) for name in names]
    whole = ("**a request**", *(f"**{one.microseconds:.0f}**" for one in found.values()))
    beside = (
        ("PostgreSQL, beside it", *(f"{one.database:.0f}" for one in found.values())) if is_told else None
    )
    yield table(head, [*rows, whole, *([beside] if beside else [])])
    for name, one in found.items():
        most = sorted(one.functions.items(), key=lambda item: -item[1])[:FUNCTIONS]
        listed = ", ".join(f"{function} {_microseconds(one, count):.1f}" for function, count in most)
        yield f"Innermost in {name}, µs: {listed}."


def _microseconds(profile: Profile, looks: int) -> float:
    return profile.microseconds * looks / profile.looks


def _shown(profile: Profile, looks: int) -> str:
    return f"{_microseconds(profile, looks):.1f} ({looks / profile.looks:.0%})"
