"""What the limits cost: the gateway as it ships beside itself without any, in turn, and the steps alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from gateway.app import create_gateway
from gateway.limits import check_length, check_limits, check_variables
from gateway.operation import parse
from gateway.principal import utc_now
from gateway.principal.values import ANONYMOUS

from .cells import Progress, verified
from .chapters import table
from .load import Measure, Task
from .place import Place
from .servers import GATEWAY, Cores, Programs, pin, program
from .workloads import ONE_CUSTOMER, Workload

UNLIMITED = "unlimited"
MOST = 1.1
CLIENTS = 16
CALLS = 2000
ABOUT = """The same worker, with its limits and budgets as they ship and as a process that neither limits nor
counts anything (`tests/bench/unlimited.py`), measured in turn, round by round, at 16 clients: how many times
as many requests it answers without limits."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """One workload with limits and without: a measure of each for each round."""

    workload: str
    limited: tuple[Measure, ...]
    unlimited: tuple[Measure, ...]

    @property
    def ratios(self) -> list[float]:
        """Answers a second without limits by those with them, round by round."""
        pairs = zip(self.limited, self.unlimited, strict=True)
        return [bare.per_second / ours.per_second for ours, bare in pairs]

    @property
    def ratio(self) -> float:
        """The median of them: how many times as fast the gateway would be without limits."""
        return median(self.ratios)


@dataclass(frozen=True, slots=True)
class BoundCosts:
    """The workloads, and the microseconds of single steps."""

    cells: tuple[Bounded, ...]
    steps_us: dict[str, float]


def bound_costs(
    place: Place,
    cores: Cores | None,
    workloads: Sequence[Workload],
    seconds: float,
    rounds: int,
    progress: Progress,
) -> BoundCosts:
    """Measures at a place, in one run of both servers."""
    with ExitStack() as stack:
        programs = _started(place, cores, stack)
        for one in workloads:
            verified(programs.ports, one, (GATEWAY, UNLIMITED))
        cells = [_compared(programs, one, seconds, rounds, progress) for one in workloads]
    return BoundCosts(tuple(cells), asyncio.run(_steps(place)))


def _started(place: Place, cores: Cores | None, stack: ExitStack) -> Programs:
    environment, ports, pids = place.environment(), {}, {}
    # What is beyond a minute's budget is refused; here the same is counted, and refuses nobody.
    for name in (GATEWAY, UNLIMITED):
        server = stack.enter_context(program("serve", name, environment=environment))
        pin(server.pid, cores.servers if cores else None)
        assert server.stdout is not None
        pids[name], ports[name] = server.pid, int(server.stdout.readline())
    load = stack.enter_context(program("load", environment=environment))
    pin(load.pid, cores.rest if cores else None)
    return Programs(ports, pids, load, place.embedded_pid)


def _compared(
    programs: Programs, workload: Workload, seconds: float, rounds: int, progress: Progress
) -> Bounded:
    found: dict[str, list[Measure]] = {GATEWAY: [], UNLIMITED: []}
    for turn in range(rounds):
        for name in found if turn % 2 == 0 else reversed(found):
            task = Task(programs.ports[name], workload.requests(programs.ports[name]), CLIENTS, seconds)
            found[name].append(programs.measure(name, task)[0])
        rates = " ".join(f"{name} {taken[-1].per_second:,.0f}/s" for name, taken in found.items())
        progress(f"limits: round {turn + 1} of {rounds}, {workload.name}: {rates}")
    return Bounded(workload.name, tuple(found[GATEWAY]), tuple(found[UNLIMITED]))


# ---------------------------------------------------------------- single steps


async def _steps(place: Place) -> dict[str, float]:
    """Microseconds of what is done for limits: of each request, and once of a new document."""
    gateway = create_gateway(place.settings)
    budget, settings = gateway.budget, gateway.settings
    someone = await gateway.principals.identify(
        place.principals["support"].headers["Authorization"], None, utc_now()
    )
    purse, strange = budget.purse(someone, None), budget.purse(ANONYMOUS, "2001:db8::1")
    document = parse(ONE_CUSTOMER)
    given = {"input": {"id": "x", "phone": "+358401234567"}}
    steps: dict[str, Callable[[], object]] = {
        "find whose budget a request is of": lambda: budget.purse(someone, None),
        "look whether it is spent": lambda: budget.check(purse),
        "count the variables of a change": lambda: check_variables(given, settings),
        "count a new document (W1)": lambda: (
            check_length(ONE_CUSTOMER, settings),
            check_limits(document, settings),
        ),
    }
    found = {name: _each(step) for name, step in steps.items()}
    found["take from a budget in memory"] = await _each_taken(lambda: budget.take(purse, 1000))
    found["the same of a stranger by IPv6, and of its site"] = await _each_taken(
        lambda: budget.take(strange, 1000)
    )
    for number in range(10_000):
        await budget.take(budget.purse(ANONYMOUS, f"10.0.{number // 256}.{number % 256}"), 1)
    found["the same beside 10,000 others"] = await _each_taken(lambda: budget.take(purse, 1000))
    await gateway.database.close()
    return found


def _each(step: Callable[[], object]) -> float:
    taken = []
    for _ in range(CALLS):
        started = time.perf_counter()
        step()
        taken.append(time.perf_counter() - started)
    return median(taken) * 1e6


async def _each_taken(step: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(CALLS):
        started = time.perf_counter()
        await step()
        taken.append(time.perf_counter() - started)
    return median(taken) * 1e6


# ---------------------------------------------------------------- report


def bounds_said(costs: BoundCosts | None) -> Iterator[str]:
    """The target, and whether it is met."""
    if costs is None or not costs.cells:
        return
    listed = ", ".join(f"{cell.workload} {cell.ratio:.2f}" for cell in costs.cells)
    is_met = all(cell.ratio <= MOST for cell in costs.cells)
    yield (
        f"Without limits the gateway would be so many times as fast: {listed}. The target of at most {MOST:g}"
        f" is {'met' if is_met else '**not met**'}."
    )


def bounds_section(costs: BoundCosts | None) -> str:
    """The section in Markdown, without its heading; says so where nothing was measured."""
    if costs is None:
        return "It was not measured."
    head = ("workload", "with limits, requests/s", "without", "times as fast without (lowest to highest)")
    rows = [
        (
            cell.workload,
            f"{median(one.per_second for one in cell.limited):,.0f}",
            f"{median(one.per_second for one in cell.unlimited):,.0f}",
            f"**{cell.ratio:.2f}** ({min(cell.ratios):.2f} to {max(cell.ratios):.2f})",
        )
        for cell in costs.cells
    ]
    steps = [(name, f"{took:.1f} µs") for name, took in costs.steps_us.items()]
    parts = [ABOUT.replace("\n", " "), table(head, rows), table(("step", "median"), steps)]
    return "\n\n".join(parts)
