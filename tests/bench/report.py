"""The report: what was measured on which machine, and what the numbers say."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .bounds import BoundCosts, bounds_said, bounds_section
from .cells import Answer, Cell
from .chapters import Chapter, Target, by_rounds, is_met, table
from .cpu import Usage
from .load import Measure
from .parts import Parts, Times
from .record_costs import FLUSHED, KNOWN, UNRECORDED, RecordCosts
from .record_report import ASKED_OF, AT_CLIENTS, LEAST, record_cells, record_said, record_section
from .servers import Cores
from .workloads import Workload

MOST_PLANNING_MS = 20.0
TITLE = "Beside an endpoint written by hand"
ABOUT = """Both are one uvicorn worker on the same database, with as many connections. The endpoint knows
seven operations beforehand and runs one hand-written statement each (`hand_written_sql.py`); the gateway has
never seen them and judges every field. Where staff or a partner read personal data, both write down who read
whose, in the same statement: here, unlike beside the peers, the endpoint also looks up each disclosure and
counts the day's customers, anew with every request, which the gateway leaves out once its worker knows the
page. In W5 the endpoint updates the row and keeps no row of `change`. W3, W3b and W4 are single lists of 100
rows, other and smaller operations than those of the same names beside the peers. Before anything is timed,
both must answer every request with the same data, and record the same of each read. They are then measured in
turn, cell by cell and round by round, so that a ratio compares neighbours in time; each number is the median
of its rounds."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was measured, and how."""

    customers: int
    seconds: float
    rounds: int
    clients: tuple[int, ...]
    postgres: str
    is_embedded: bool
    cores: Cores | None
    workloads: tuple[Workload, ...]
    answers: dict[str, Answer]
    cells: tuple[Cell, ...]
    parts: Parts
    record_costs: RecordCosts | None = None
    bound_costs: BoundCosts | None = None

    def as_json(self) -> dict[str, Any]:
        """The numbers, for programs."""
        return {
            "customers": self.customers,
            "postgres": self.postgres,
            "answers": {name: asdict(answer) for name, answer in self.answers.items()},
            "cells": [{**asdict(cell), "ratio": cell.ratio} for cell in self.cells],
            "parts": asdict(self.parts),
            "record_costs": None if self.record_costs is None else asdict(self.record_costs),
            "bound_costs": None if self.bound_costs is None else asdict(self.bound_costs),
        }


def cells_chapter(findings: Findings) -> Chapter:
    """The chapter of the cells, of what planning costs, and of the record."""
    parts = [
        ABOUT.replace("\n", " "),
        "### What the numbers say",
        "\n".join(f"- {line}" for line in _said(findings)),
        "### On what",
        _machine(findings),
        "### Requests",
        *(_workload(findings, workload) for workload in findings.workloads),
        "### What the record costs",
        record_section(findings.cells, findings.record_costs),
        "### What the limits cost",
        bounds_section(findings.bound_costs),
        "### New operations",
        _planning(findings.parts),
        "### Single steps",
        _steps(findings),
    ]
    repeat = f"python -m tests.bench --parts cells{_options(findings)}"
    return Chapter("cells", TITLE, "\n\n".join(parts), repeat, tuple(_targets_of(findings)))


def _targets_of(findings: Findings) -> Iterable[Target]:
    widest = findings.parts.widest_ms
    name, wanted = "planning a new operation, processor time", f"under {MOST_PLANNING_MS:.0f} ms"
    because = f"so long takes the widest; the median of all is {findings.parts.planning.median_ms:.1f} ms"
    found = f"{widest:.1f} ms, the median of the one that takes longest"
    yield Target(name, wanted, found, widest < MOST_PLANNING_MS, because)
    for cell in record_cells(findings.cells):
        if (cell.workload, cell.clients) == (ASKED_OF, AT_CLIENTS):
            wanted = f"at least {LEAST:g} of the same unrecorded"
            because = _of_the_record(findings.record_costs, cell.workload)
            yield by_rounds(f"{_name(cell)}, with the record", wanted, cell.recorded_ratios, LEAST, because)


def _of_the_record(costs: RecordCosts | None, workload: str) -> str:
    """What the record adds to a statement, where that was measured."""
    steps = costs.steps_us.get(workload) if costs is not None else None
    if steps is None:
        return ""
    return (
        f"the statement takes {steps[UNRECORDED]:.0f} µs with nothing recorded, {steps[KNOWN]:.0f} with its"
        f" record and {steps[FLUSHED]:.0f} with the disk"
    )


def _said(findings: Findings) -> Iterable[str]:
    cells, parts = findings.cells, findings.parts
    least = {workload.name: workload.least for workload in findings.workloads}
    met = [cell for cell in cells if cell.ratio >= least[cell.workload]]
    worst, best = min(cells, key=lambda cell: cell.ratio), max(cells, key=lambda cell: cell.ratio)
    yield (
        f"The target, a share of the endpoint's requests a second ({_shares(findings)}), is"
        f" {is_met(len(met) == len(cells))}: {len(met)} of {len(cells)} cells reach it. The lowest is"
        f" {worst.ratio:.2f} ({_name(worst)}), the highest {best.ratio:.2f} ({_name(best)})."
    )
    for cell in cells:
        if cell.ratio < least[cell.workload]:
            yield f"Not met: {_name(cell)}, {cell.ratio:.2f}."
    yield from record_said(cells)
    yield from bounds_said(findings.bound_costs)
    yield (
        f"The target of less than {MOST_PLANNING_MS:.0f} ms of processor time to plan a new operation is"
        f" {is_met(parts.widest_ms < MOST_PLANNING_MS)}: the operation that takes longest has a median of"
        f" {parts.widest_ms:.1f} ms; of all, {_times(parts.planning)}."
    )
    if any(cell.workload == "W1" for cell in cells):
        known, share = max(parts.identify_us.values()), _share(findings)
        yield f"Knowing the caller takes {known:.0f} µs at most, {share:.1%} of a request of W1 at full load."
    if spent := [found for cell in cells if (found := _processor_ratio(cell)) is not None]:
        yield (
            "A request takes the gateway's process"
            f" {min(spent):.2f} to {max(spent):.2f} times the processor time it takes the endpoint's."
        )
    if findings.rounds > 1:
        yield (
            "The ratio of a cell varies: at the median cell, its lowest and its highest round lie"
            f" {_spread(cells):.0%} of it apart."
        )


def _shares(findings: Findings) -> str:
    return ", ".join(f"{workload.name} {workload.least:g}" for workload in findings.workloads)


def _name(cell: Cell) -> str:
    return f"{cell.workload} at {cell.clients} client{'s' if cell.clients > 1 else ''}"


def _share(findings: Findings) -> float:
    """The largest time to know a caller, of the shortest time the gateway spends on a request of W1."""
    fastest = max(_rate(cell.gateway) for cell in findings.cells if cell.workload == "W1")
    return max(findings.parts.identify_us.values()) * fastest / 1e6


def _processor_ratio(cell: Cell) -> float | None:
    ours, theirs = (
        [one.server for one in usages if one.server] for usages in (cell.gateway_used, cell.hand_written_used)
    )
    return median(ours) / median(theirs) if ours and theirs else None


def _spread(cells: Sequence[Cell]) -> float:
    return median((max(cell.ratios) - min(cell.ratios)) / cell.ratio for cell in cells)


def _machine(findings: Findings) -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    where = "the embedded one" if findings.is_embedded else "a given server"
    if findings.cores is None:
        pinned = "Nothing was pinned to a core."
    elif findings.is_embedded:
        pinned = "The servers ran on one core, PostgreSQL and the load on another."
    else:
        pinned = "The servers ran on one core, the load on another."
    return (
        f"{cores} cores ({platform.machine()}), Python {platform.python_version()}, PostgreSQL"
        f" {findings.postgres} ({where}), {findings.customers:,} customers. {pinned}"
        f" Rounds of {findings.seconds:g} s a cell: {findings.rounds}."
    )


def _options(findings: Findings) -> str:
    clients = ",".join(str(count) for count in findings.clients)
    given = f" --customers {findings.customers} --seconds {findings.seconds:g} --rounds {findings.rounds}"
    return f"{given} --clients {clients}{'' if findings.is_embedded else ' --database-url …'}"


def _workload(findings: Findings, workload: Workload) -> str:
    answer = findings.answers[workload.name]
    rows = [_row(cell, workload.least) for cell in findings.cells if cell.workload == workload.name]
    head = (
        "clients",
        "gateway, requests/s",
        "by hand",
        "ratio (lowest to highest)",
        "gateway p50 / p99, ms",
        "by hand",
        "processor time of the gateway / PostgreSQL, µs",
        "by hand",
        "target",
    )
    return (
        f"#### {workload.name}, {workload.title}\n\n"
        f"{answer.leaves:,} leaves, {answer.size:,} bytes of data, {_callers(workload)}.\n\n"
        f"```graphql\n{workload.document}\n```\n\n{table(head, rows)}"
    )


def _callers(workload: Workload) -> str:
    return "one caller" if len(workload.calls) == 1 else f"{len(workload.calls)} callers in turn"


def _row(cell: Cell, least: float) -> tuple[str, ...]:
    return (
        str(cell.clients),
        f"{_rate(cell.gateway):,.0f}",
        f"{_rate(cell.hand_written):,.0f}",
        f"**{cell.ratio:.2f}** ({min(cell.ratios):.2f} to {max(cell.ratios):.2f})",
        _latency(cell.gateway),
        _latency(cell.hand_written),
        _used(cell.gateway_used),
        _used(cell.hand_written_used),
        is_met(cell.ratio >= least),
    )


def _rate(measures: Sequence[Measure]) -> float:
    return median(measure.per_second for measure in measures)


def _latency(measures: Sequence[Measure]) -> str:
    p50, p99 = median(one.median_ms for one in measures), median(one.p99_ms for one in measures)
    return f"{p50:.2f} / {p99:.2f}"


def _used(usages: Sequence[Usage]) -> str:
    """Microseconds a request, of the server and of an embedded PostgreSQL."""
    servers = [one.server for one in usages if one.server is not None]
    databases = [one.database for one in usages if one.database is not None]
    return " / ".join(f"{median(found):,.0f}" if found else "-" for found in (servers, databases))


def _planning(parts: Parts) -> str:
    rows = [
        ("parse, validate, plan and compile, processor time", parts.planning),
        ("the same by the clock", parts.planning_by_clock),
        ("the same and PostgreSQL's `PREPARE` by the clock", parts.prepared_by_clock),
        ("compile alone, processor time", parts.compiling),
        ("compile alone, every table alias made anew", parts.compiling_new_aliases),
    ]
    each = parts.planning.samples // parts.operations
    text = (
        f"{parts.operations} operations as clients of seven roles write them, each {each} times under a new"
        " alias, so that no cache knows the text. A worker does this once for each operation."
    )
    head = ("step", "median, ms", "largest, ms")
    return f"{text}\n\n" + table(
        head, [(name, f"{times.median_ms:.2f}", f"{times.largest_ms:.2f}") for name, times in rows]
    )


def _times(times: Times) -> str:
    return f"median {times.median_ms:.1f} ms, largest {times.largest_ms:.1f} ms of {times.samples} samples"


def _steps(findings: Findings) -> str:
    parts = findings.parts
    known = [
        (f"know a caller seen before: {name}", f"{took:.1f} µs") for name, took in parts.identify_us.items()
    ]
    lists = [
        (f"a list of 100 customers, 9 values each: {way}", f"{took:.2f} ms")
        for way, took in parts.lists_ms.items()
    ]
    rows = [*known, ("verify a token's signature, once a token", f"{parts.verify_us:.0f} µs"), *lists]
    return table(("step", "median"), rows)
