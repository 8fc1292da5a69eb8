"""`python -m tests.bench`: the whole report; `--harness DIR` adds the peers, `--parts` takes some of it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

from gateway.demo.embedded import running

from . import run as report
from .bounds import bound_costs
from .cells import UnequalAnswersError, compared, verified
from .chapters import Chapter
from .growth import Scale, growth_chapter
from .harness import cluster_url
from .instructions import SECONDS as COUNTED_SECONDS
from .instructions import instructions_chapter
from .memory import OPERATIONS_ASKED, memory_chapter
from .microseconds import profile_chapter
from .parts import measured
from .peers import CLIENTS, Run
from .peers import measured as peers_measured
from .peers_report import peers_chapter
from .place import Place, folder_for, made
from .record_costs import record_costs, unlike_records
from .report import Findings, cells_chapter
from .servers import Cores, choose_cores, started
from .start import STARTS, start_chapter
from .workloads import workloads

QUICK_SCALE = Scale(rows=(500, 2_000), policy_lines=(50, 1_500), rounds=1)


@dataclass(frozen=True, slots=True)
class _Bench:
    """What was asked for, and what measures it."""

    options: argparse.Namespace
    cores: Cores | None
    say: report.Say


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = report.options_of("python -m tests.bench", __doc__ or "")
    parser.add_argument("--parts", default=",".join(report.PARTS), help="chapters, by commas; else all")
    parser.add_argument("--customers", type=int, default=20_000, help="how many customers are seeded")
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="how long each cell is measured in a round"
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each cell is measured")
    parser.add_argument("--clients", default="1,16,64", help="numbers of connections, by commas")
    parser.add_argument(
        "--database-url", help="the owner's URL of a server to make a database on; else the embedded one"
    )
    parser.add_argument("--only", help="names of the cells' workloads, by commas; else all of them")
    parser.add_argument("--json", action="store_true", help="write the cells as JSON to standard output")
    found = parser.parse_args(arguments)
    if unknown := set(found.parts.split(",")) - set(report.PARTS):
        parser.error(f"`--parts` takes {', '.join(report.PARTS)}, not {min(unknown)}")
    if found.quick:
        found.customers, found.rounds, found.clients = min(found.customers, 1000), 1, "1,4"
    return found


def _chapters(options: argparse.Namespace, say: report.Say) -> Iterator[Chapter]:
    """The chapters asked for, those of one place together."""
    bench, parts = _Bench(options, choose_cores(), say), options.parts.split(",")
    if "peers" in parts and options.harness is None:
        say(report.NO_HARNESS)
    elif "peers" in parts:
        run = Run(rounds=1, clients=CLIENTS[:1], slow_rounds=1) if options.quick else Run()
        yield peers_chapter(peers_measured(options.harness, run, say), run)
    if {"cells", "memory", "profile", "instructions"} & set(parts):
        say(f"seeding {options.customers} customers")
        with made(options.customers, options.database_url) as place:
            yield from _at(place, bench, parts)
    if "start" in parts:
        yield start_chapter(say, 1 if options.quick else STARTS)
    if "growth" in parts:
        with ExitStack() as stack:
            chapter = growth_chapter(_server(bench, stack), bench.cores, _scale(options), say)
            yield replace(chapter, repeat=f"python -m tests.bench --parts growth{_server_options(options)}")


def _at(place: Place, bench: _Bench, parts: list[str]) -> Iterator[Chapter]:
    if "cells" in parts:
        findings = _findings(place, bench)
        if bench.options.json:
            print(json.dumps(findings.as_json(), indent=2))
        yield cells_chapter(findings)
    if "profile" in parts:
        chapter = profile_chapter(place, bench.cores, bench.say, 2 if bench.options.quick else 8)
        yield replace(chapter, repeat=f"{chapter.repeat}{_place_options(bench.options)}")
    if "instructions" in parts:
        chapter = instructions_chapter(place, bench.say, 2 if bench.options.quick else COUNTED_SECONDS)
        yield replace(chapter, repeat=f"{chapter.repeat}{_place_options(bench.options)}")
    if "memory" in parts:
        asked = 200 if bench.options.quick else OPERATIONS_ASKED
        chapter = memory_chapter(place, bench.cores, bench.say, asked)
        yield replace(chapter, repeat=f"{chapter.repeat}{_place_options(bench.options)}")


def _place_options(options: argparse.Namespace) -> str:
    """What makes the same place again."""
    return f" --customers {options.customers}{'' if options.database_url is None else ' --database-url …'}"


def _scale(options: argparse.Namespace) -> Scale:
    """The largest register takes minutes to make, and is kept where a harness or a server is named."""
    if options.quick:
        return QUICK_SCALE
    is_kept = options.harness is not None or options.database_url is not None
    return Scale() if is_kept else Scale(rows=Scale().rows[:2])


def _server_options(options: argparse.Namespace) -> str:
    """What names the same server of registers again."""
    if options.database_url is not None:
        return " --database-url …"
    return " --harness DIR" if options.harness is not None else ""


def _server(bench: _Bench, stack: ExitStack) -> str:
    """A server for registers of several sizes: the named one, the harness's, or an embedded one."""
    if bench.options.database_url is not None:
        return str(bench.options.database_url)
    if bench.options.harness is not None:
        return cluster_url(bench.options.harness)
    return stack.enter_context(running(folder_for(stack) / "data")).owner_url


def _findings(place: Place, bench: _Bench) -> Findings:
    """The cells; raises `UnequalAnswersError` before it times anything."""
    options, say = bench.options, bench.say
    clients = tuple(int(count) for count in options.clients.split(","))
    only = options.only.split(",") if options.only else None
    asked = tuple(one for one in workloads(place) if only is None or one.name in only)
    with started(place.environment(), bench.cores, place.embedded_pid) as programs:
        answers = {workload.name: verified(programs.ports, workload) for workload in asked}
        say("the servers answer every request with the same data")
        if unlike := asyncio.run(unlike_records(place.owner_url)):
            raise UnequalAnswersError(f"{', '.join(unlike)}: the servers' access records differ")
        cells = compared(programs, asked, clients, options.seconds, options.rounds, say)
    bounds = bound_costs(place, bench.cores, asked, options.seconds, options.rounds, say)
    say("single steps")
    return Findings(
        customers=options.customers,
        seconds=options.seconds,
        rounds=options.rounds,
        clients=clients,
        postgres=place.postgres,
        is_embedded=options.database_url is None,
        cores=bench.cores,
        workloads=asked,
        answers=answers,
        cells=tuple(cells),
        parts=measured(place),
        record_costs=record_costs(place, asked),
        bound_costs=bounds,
    )


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 1 where the servers answer differently."""
    return report.reported(_options(arguments), _chapters)


if __name__ == "__main__":
    sys.exit(main())
