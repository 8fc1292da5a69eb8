"""`python -m tests.bench`: the gateway beside an endpoint written by hand, and what planning costs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .cells import UnequalAnswersError, compared, verified
from .parts import measured
from .place import made
from .report import Findings, written
from .servers import choose_cores, started
from .workloads import workloads

REPORT = Path(__file__).with_name("report.md")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000, help="how many customers are seeded")
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="how long each cell is measured in a round"
    )
    parser.add_argument("--rounds", type=int, default=15, help="how often each cell is measured")
    parser.add_argument("--clients", default="1,16,64", help="numbers of connections, by commas")
    parser.add_argument(
        "--database-url", help="the owner's URL of a server to make a database on; else the embedded one"
    )
    parser.add_argument("--report", type=Path, default=REPORT, help="where the report is written")
    parser.add_argument("--only", help="names of workloads, by commas; else all of them")
    parser.add_argument("--json", action="store_true", help="write the numbers as JSON to standard output")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> Findings:
    """Everything, in order; raises `UnequalAnswersError` before it times anything."""
    clients = tuple(int(count) for count in options.clients.split(","))
    _say(f"seeding {options.customers} customers")
    with made(options.customers, options.database_url) as place:
        cores = choose_cores()
        only = options.only.split(",") if options.only else None
        asked = tuple(one for one in workloads(place) if only is None or one.name in only)
        with started(place.environment(), cores, place.embedded_pid) as programs:
            answers = {workload.name: verified(programs.ports, workload) for workload in asked}
            _say("both servers answer every request with the same data")
            cells = compared(programs, asked, clients, options.seconds, options.rounds, _say)
        _say("single steps")
        return Findings(
            customers=options.customers,
            seconds=options.seconds,
            rounds=options.rounds,
            clients=clients,
            postgres=place.postgres,
            is_embedded=options.database_url is None,
            cores=cores,
            workloads=asked,
            answers=answers,
            cells=tuple(cells),
            parts=measured(place),
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 1 where the servers answer differently."""
    options = _options(arguments)
    try:
        findings = run(options)
    except UnequalAnswersError as error:
        _say(f"nothing was timed: {error}")
        return 1
    options.report.write_text(written(findings))
    if options.json:
        print(json.dumps(findings.as_json(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
