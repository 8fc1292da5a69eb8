"""How cost grows with the policy: the hot path under policies of several sizes, and reading them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median

from .cells import UnequalAnswersError
from .chapters import Target, by_rounds, table
from .growing import CLIENTS, Part, Say, Scale, named
from .loaded import Asked, Rounds, answered, gateways, in_turn
from .place import Place
from .plots import Plot, lines
from .servers import Cores, Programs
from .synthetic import folders
from .workloads import Workload

ASKED = ("W1", "W3")
# Under the most lines, of that under the fewest.
LEAST = 0.9
MOST_LOAD_SECONDS = 2.0
LOADS = 3
ABOUT = """The smallest policy that the loader takes has {fewest:,} lines, as every coordinate of the schema
stands in one, and every role has one; the larger ones grant more roles and purposes more fields. Loading is
reading, linting, asking Casbin for every line, and freezing, in a new process."""
LOADING = """
import sys, time
from pathlib import Path
from gateway.policy import load_policy
from schema.model import load_model
model = load_model()
began = time.perf_counter()
load_policy(Path(sys.argv[1]), model)
print(time.perf_counter() - began)
"""


def with_policy(place: Place, parent: Path, cores: Cores | None, scale: Scale, say: Say) -> Part:
    """The rates and the seconds to load, by the number of lines."""
    made = folders(parent, scale.policy_lines)
    loads = {count: _load_seconds(folder) for count, folder in made.items()}
    found = _measured(place, made, cores, scale)
    say("policies are measured")
    rows = [
        (
            f"{count:,}",
            *(f"{found.rate(str(count), name, CLIENTS):,.0f}" for name in ASKED),
            f"{seconds:.2f}",
        )
        for count, seconds in loads.items()
    ]
    head = ("policy lines", *(f"{name}, requests/s" for name in ASKED), "to load, s")
    plots = _plots(found, loads)
    about = " ".join(ABOUT.format(fewest=min(made)).split("\n"))
    shown = [plot.markdown for plot in plots]
    text = "\n\n".join(["### With the policy", about, *shown, table(head, rows)])
    return Part(text, tuple(_targets(found, loads)), plots)


def _measured(place: Place, made: Mapping[int, Path], cores: Cores | None, scale: Scale) -> Rounds:
    environments = {
        str(count): place.environment() | {"GATEWAY_POLICY_FOLDER": str(folder)}
        for count, folder in made.items()
    }
    workloads = named(place, *ASKED)
    asked = [Asked(name, one, CLIENTS) for one in workloads for name in environments]
    with gateways(environments, cores) as programs:
        _verify(programs, workloads)
        return in_turn(programs, asked, scale.rounds)


def _verify(programs: Programs, workloads: Iterable[Workload]) -> None:
    """Raises `UnequalAnswersError` where the policies have other data answered."""
    for one in workloads:
        first, *others = (answered(port, one) for port in programs.ports.values())
        if any(other != first for other in others):
            raise UnequalAnswersError(f"{one.name}: the policies answer differently")


def _load_seconds(folder: Path) -> float:
    command = (sys.executable, "-c", LOADING, str(folder))
    return median(float(subprocess.check_output(command, text=True)) for _ in range(LOADS))


def _plots(found: Rounds, loads: Mapping[int, float]) -> tuple[Plot, ...]:
    series = {
        name: [(float(count), found.rate(str(count), name, CLIENTS)) for count in loads] for name in ASKED
    }
    return (
        lines("policy", f"By {CLIENTS} clients", ("policy lines", "requests/s"), series),
        lines("policy-load", "Reading the policy", ("policy lines", "s"), {"load": list(loads.items())}),
    )


def _targets(found: Rounds, loads: Mapping[int, float]) -> Iterable[Target]:
    fewest, most = min(loads), max(loads)
    wanted = f"hot path unchanged: at least {LEAST:g} of that under {fewest:,}"
    for name in ASKED:
        ratios = found.ratios(str(most), str(fewest), name, CLIENTS)
        yield by_rounds(f"policy: {name} under {most:,} lines, {CLIENTS} clients", wanted, ratios, LEAST)
    longest = loads[most]
    called, wanted = f"policy: loading {most:,} lines", f"under {MOST_LOAD_SECONDS:g} s"
    yield Target(called, wanted, f"{longest:.2f} s", longest < MOST_LOAD_SECONDS)
