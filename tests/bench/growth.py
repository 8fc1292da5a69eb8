"""How cost grows: with workers, with rows, with the policy, with the result."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import correlation, linear_regression, median

from .callers import place_of
from .cells import UnequalAnswersError
from .chapters import Chapter, Target, table
from .loaded import Asked, answered, gateways, in_turn, load
from .place import Place
from .plots import Plot, lines
from .register import register
from .servers import Cores, Programs
from .start import free_port
from .synthetic import folders
from .workloads import PURPOSE, Call, Workload, workloads

TITLE = "How cost grows"
REPEAT = "python -m tests.bench --parts growth --harness DIR"
ROWS = (10_000, 100_000, 1_000_000)
POLICY_LINES = (50, 2_500, 5_000)
SIZES = (1, 10, 50, 100, 250, 500, 1000)
LOOKUPS = ("W1", "W6")
CLIENTS = 16
ROUNDS = 5
# Look-ups in the largest register, of those in the smallest; and so for policies.
LEAST_BY_ROWS, LEAST_BY_POLICY = 0.85, 0.9
MOST_LOAD_SECONDS = 2.0
LEAST_LINEAR = 0.98
PATIENCE_SECONDS = 240
ORDERS = """query NAME($first: Int!) {
  orders(first: $first) { nodes { id number placedAt status total { amount currency } } }
}"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rows: tuple[int, ...] = ROWS
    policy_lines: tuple[int, ...] = POLICY_LINES
    rounds: int = ROUNDS


@dataclass(frozen=True, slots=True)
class _Part:
    """What one way of growing adds to the chapter."""

    text: str
    targets: tuple[Target, ...]
    plots: tuple[Plot, ...]


def growth_chapter(server_url: str, cores: Cores | None, scale: Scale, say: Say) -> Chapter:
    """Each way of growing, on registers of several sizes on this server."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-growth-")))
        places = {}
        for customers in scale.rows:
            say(f"making the register of {customers:,} customers, unless it is kept")
            own = folder / str(customers)
            own.mkdir()
            places[customers] = place_of(register(server_url, customers), own)
        place = places[scale.rows[0]]
        parts = [
            _by_rows(places, cores, scale, say),
            _by_workers(place, cores, scale, say),
            _by_policy(place, folder / "policies", cores, scale, say),
            _by_size(place, cores, scale, say),
        ]
    text = "\n\n".join(part.text for part in parts)
    targets = tuple(one for part in parts for one in part.targets)
    plots = tuple(one for part in parts for one in part.plots)
    return Chapter("growth", TITLE, text, REPEAT, targets, plots)


# ---------------------------------------------------------------- rows


def _by_rows(places: Mapping[int, Place], cores: Cores | None, scale: Scale, say: Say) -> _Part:
    names = {str(customers): place for customers, place in places.items()}
    asked = [
        Asked(name, workload, clients)
        for looked_up in LOOKUPS
        for clients in (1, CLIENTS)
        for name, place in names.items()
        for workload in _named(place, looked_up)
    ]
    with gateways({name: place.environment() for name, place in names.items()}, cores) as programs:
        found = in_turn(programs, asked, scale.rounds)
    say("rows are measured")
    smallest, *_, largest = names
    rows = [
        (
            f"{customers:,}",
            *(f"{found.rate(str(customers), name, CLIENTS):,.0f}" for name in LOOKUPS),
            *(f"{found.middle(str(customers), name, 1):.2f}" for name in LOOKUPS),
        )
        for customers in places
    ]
    head = (
        "customers",
        *(f"{name}, requests/s" for name in LOOKUPS),
        *(f"{name}, p50 ms" for name in LOOKUPS),
    )
    series = {
        name: [(float(customers), found.rate(str(customers), name, CLIENTS)) for customers in places]
        for name in LOOKUPS
    }
    plot = lines("rows", f"Look-ups at {CLIENTS} clients", ("customers", "requests/s"), series, True)
    targets = []
    for name in LOOKUPS:
        ratio = found.ratio(largest, smallest, name, CLIENTS)
        wanted = f"at least {LEAST_BY_ROWS:g} of that in {int(smallest):,}"
        called = f"rows: {name} in {int(largest):,} customers, {CLIENTS} clients"
        targets.append(Target(called, wanted, f"{ratio:.2f}", ratio >= LEAST_BY_ROWS))
    about = (
        "W1 looks one customer up by id, with ten orders and what belongs to them, W6 one by e-mail,"
        f" recorded; by {CLIENTS} clients (requests/s) and by one (p50). Three orders, six lines and three"
        " deliveries a customer. A gateway of each size, measured in turn."
    )
    return _Part(
        "\n\n".join(["### With rows", about, plot.markdown, table(head, rows)]), tuple(targets), (plot,)
    )


def _named(place: Place, *names: str) -> list[Workload]:
    return [one for one in workloads(place) if one.name in names]


# ---------------------------------------------------------------- workers

NOTHING = "query W0 { __typename }"


def _by_workers(place: Place, cores: Cores | None, scale: Scale, say: Say) -> _Part:
    asked = [Workload("W0", "nothing of the database", NOTHING, (Call({}, {}),)), *_named(place, "W1", "W5")]
    rates: dict[int, dict[str, float]] = {1: {}, 2: {}}
    for workers, found in rates.items():
        with _workers(place, workers, cores) as port, load(cores) as process:
            programs = Programs({"gateway": port}, {"gateway": process.pid}, process, None)
            cells = [Asked("gateway", one, 4 * CLIENTS) for one in asked]
            measured = in_turn(programs, cells, scale.rounds)
        found |= {one.name: measured.rate("gateway", one.name, 4 * CLIENTS) for one in asked}
    say("workers are measured")
    rows = [
        (
            f"{one.name}, {one.title}",
            *(f"{rates[workers][one.name]:,.0f}" for workers in rates),
            f"{rates[2][one.name] / rates[1][one.name]:.2f}",
        )
        for one in asked
    ]
    series = {one.name: [(float(n), rates[n][one.name]) for n in rates] for one in asked}
    plot = lines("workers", f"By {4 * CLIENTS} clients", ("workers", "requests/s"), series)
    where = (
        "One worker ran on a core of its own, PostgreSQL and the load on another; two workers share both"
        " cores with them, so that they gain what the second core has to spare."
        if cores
        else "Nothing was pinned to a core."
    )
    about = f"`gateway serve` with one worker and with two, {4 * CLIENTS} clients. {where}"
    head = ("requests/s", "1 worker", "2 workers", "ratio")
    return _Part("\n\n".join(["### With workers", about, plot.markdown, table(head, rows)]), (), (plot,))


@contextmanager
def _workers(place: Place, workers: int, cores: Cores | None) -> Iterator[int]:
    """The port of a server of so many worker processes."""
    port = free_port()
    environment = place.environment() | {"GATEWAY_LOG_LEVEL": "warning"}
    command = (sys.executable, "-m", "tests.bench.serve_workers", str(port), str(workers))
    usable = None if cores is None else {cores.servers} if workers == 1 else {cores.servers, cores.rest}
    with subprocess.Popen(command, env=environment) as process:
        if usable is not None:
            os.sched_setaffinity(process.pid, usable)
        try:
            _wait(port, process)
            yield port
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


# ---------------------------------------------------------------- the policy


def _by_policy(place: Place, parent: Path, cores: Cores | None, scale: Scale, say: Say) -> _Part:
    made = folders(parent, scale.policy_lines)
    loads = {count: _load_seconds(folder) for count, folder in made.items()}
    names = {str(count): folder for count, folder in made.items()}
    environments = {
        name: place.environment() | {"GATEWAY_POLICY_FOLDER": str(folder)} for name, folder in names.items()
    }
    asked = [Asked(name, one, CLIENTS) for one in _named(place, "W1", "W3") for name in names]
    with gateways(environments, cores) as programs:
        for one in _named(place, "W1", "W3"):
            data = [answered(programs.ports[name], one) for name in names]
            if any(other != data[0] for other in data):
                raise UnequalAnswersError(f"{one.name}: the policies answer differently")
        found = in_turn(programs, asked, scale.rounds)
    say("policies are measured")
    smallest, *_, largest = names
    rows = [
        (
            f"{count:,}",
            *(f"{found.rate(str(count), name, CLIENTS):,.0f}" for name in ("W1", "W3")),
            f"{loads[count]:.2f}",
        )
        for count in made
    ]
    series = {
        name: [(float(count), found.rate(str(count), name, CLIENTS)) for count in made]
        for name in ("W1", "W3")
    }
    plots = (
        lines("policy", f"By {CLIENTS} clients", ("policy lines", "requests/s"), series),
        lines("policy-load", "Reading the policy", ("policy lines", "s"), {"load": list(loads.items())}),
    )
    targets = [
        Target(
            f"policy: {name} under {int(largest):,} lines, {CLIENTS} clients",
            f"hot path unchanged: at least {LEAST_BY_POLICY:g} of that under {int(smallest):,}",
            f"{(ratio := found.ratio(largest, smallest, name, CLIENTS)):.2f}",
            ratio >= LEAST_BY_POLICY,
        )
        for name in ("W1", "W3")
    ]
    longest = loads[int(largest)]
    targets.append(
        Target(
            f"policy: loading {int(largest):,} lines",
            f"under {MOST_LOAD_SECONDS:g} s",
            f"{longest:.2f} s",
            longest < MOST_LOAD_SECONDS,
        )
    )
    about = (
        f"The smallest policy that the loader takes has {int(smallest):,} lines, as every coordinate of the"
        " schema stands in one, and every role has one; the larger ones grant more roles and purposes more"
        " fields. Loading is reading, linting, asking Casbin for every line, and freezing, in a new process."
    )
    head = ("policy lines", "W1, requests/s", "W3, requests/s", "to load, s")
    shown = [plot.markdown for plot in plots]
    text = "\n\n".join(["### With the policy", about, *shown, table(head, rows)])
    return _Part(text, tuple(targets), plots)


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


def _load_seconds(folder: Path) -> float:
    command = (sys.executable, "-c", LOADING, str(folder))
    return median(float(subprocess.check_output(command, text=True)) for _ in range(3))


# ---------------------------------------------------------------- the result


def _by_size(place: Place, cores: Cores | None, scale: Scale, say: Say) -> _Part:
    headers = {**place.principals["support"].headers, **PURPOSE}
    asked = [_orders(first, headers) for first in SIZES]
    environment = place.environment() | {"GATEWAY_PAGE_LIMIT": str(SIZES[-1])}
    with gateways({"gateway": environment}, cores) as programs:
        found = in_turn(programs, [Asked("gateway", one, 1) for one in asked], scale.rounds, 0.5)
    say("sizes are measured")
    times = [found.middle("gateway", one.name, 1) for one in asked]
    slope, intercept = linear_regression(SIZES, times)
    fits = correlation(SIZES, times) ** 2
    rows = [
        (f"{first:,}", f"{took:.2f}", f"{intercept + slope * first:.2f}")
        for first, took in zip(SIZES, times, strict=True)
    ]
    plot = lines(
        "size",
        "One client, orders of six values",
        ("orders in the answer", "ms"),
        {"p50": list(zip(map(float, SIZES), times, strict=True))},
    )
    about = (
        "Orders with six values each, a page of the limit's size, recorded, for one client."
        f" A request takes {intercept:.2f} ms and {slope * 1000:.1f} µs for each order more."
    )
    target = Target(
        "result size: linear", f"R² at least {LEAST_LINEAR:g}", f"{fits:.3f}", fits >= LEAST_LINEAR
    )
    head = ("orders", "p50, ms", "by the line, ms")
    return _Part(
        "\n\n".join(["### With the result", about, plot.markdown, table(head, rows)]), (target,), (plot,)
    )


def _orders(first: int, headers: Mapping[str, str]) -> Workload:
    name = f"R{first}"
    return Workload(name, name, ORDERS.replace("NAME", name), (Call(headers, {"first": first}),))
