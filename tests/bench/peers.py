"""`python -m tests.bench.peers --harness DIR`: the gateway beside the gateways a user would pick instead.

The harness lies outside the tree and holds the peers; its README says how it is set up. The gateway's own
register is made in the harness's cluster, with as many rows; the harness checks every answer before anything
is timed, and its wrk makes the load.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from schema.scalars import global_id

from .callers import place_of
from .cells import UnequalAnswersError, data_of, difference
from .harness import CUSTOMERS, SERVER_URL, Asker, Harness, body_of, harness
from .place import Place
from .register import CARRIERS, register
from .servers import choose_cores, pin, program
from .workloads import PURPOSE, Call, Workload

GATEWAY, UNRECORDED = "gateway", "gateway-unrecorded"
BY_HAND, BY_HAND_UNRECORDED = "by-hand", "by-hand-unrecorded"
PROGRAMS = {
    GATEWAY: "gateway",
    UNRECORDED: "unrecorded",
    BY_HAND: "hand-written-peers",
    BY_HAND_UNRECORDED: "hand-written-peers-unrecorded",
}
# The limit without our design, and without a server: no peers.
RAW, PGBENCH = "raw-starlette", "pgbench"
FAST = ("postgraphile", "mercurius", "mercurius-pers")
STRAWBERRIES = ("strawberry", "strawberry-memo")
SLOW = ("apollo", *STRAWBERRIES)
OPERATIONS = ("W1", "W2", "W3", "W3b", "W4", "W5")
RECORDED = ("W2", "W3", "W3b", "W4")
# It answers a list of which a field is refused with null for the whole list.
NOT_ANSWERED = {("postgraphile", "W4")}
CLIENTS = (16, 64)
# Seconds: of each cell, of one for a single client, and of asking the same before it, unmeasured.
CELL_SECONDS, ALONE_SECONDS, WARM_SECONDS = 2, 3, 1
# What the harness needs to see that the machine is quiet.
SETTLE_SECONDS = 0.25
# Of a measure; `err` counts the failed requests.
KEPT = ("rps", "p50", "p99", "err", "server_ms", "database_ms")


@dataclass(frozen=True, slots=True)
class Run:
    """How long it is measured: the rounds, in how many of them with peers, and clients beside one."""

    rounds: int = 5
    clients: tuple[int, ...] = CLIENTS
    peer_rounds: int = 3
    slow_rounds: int = 2

    @property
    def minutes(self) -> float:
        """How long the loads of it take on a quiet machine."""
        return (
            sum(
                SETTLE_SECONDS + seconds_of(clients) + (WARM_SECONDS if name != PGBENCH else 0)
                for turn in range(self.rounds)
                for workload in OPERATIONS
                for clients in (1, *self.clients)
                for name in asked_of(workload, clients, turn, self)
            )
            / 60
        )


def seconds_of(clients: int) -> int:
    """How long a cell is measured."""
    return ALONE_SECONDS if clients == 1 else CELL_SECONDS


@dataclass(slots=True)
class Found:
    """What was measured: by workload, clients and server, one of each round, None where it was left out.

    A measure has answers a second (`rps`), percentiles in microseconds (`p50`, `p99`), and milliseconds of
    processor time a request (`server_ms`, `database_ms`), of pgbench without these.
    """

    measures: dict[tuple[str, int, str], list[Mapping[str, float] | None]] = field(default_factory=dict)

    def add(self, cell: tuple[str, int, str], turn: int, measure: Mapping[str, float]) -> None:
        """Keeps a round's measure."""
        rounds = self.measures.setdefault(cell, [])
        rounds += [None] * (turn - len(rounds))
        rounds.append(measure)

    def rate(self, workload: str, clients: int, server: str) -> float | None:
        """The median of answers a second; None where it was not measured."""
        found = [one["rps"] for one in self.measures.get((workload, clients, server), ()) if one]
        return median(found) if found else None

    def middle(self, workload: str, clients: int, server: str, which: str) -> float | None:
        """The median of another number of the measures; None where there is none."""
        rounds = self.measures.get((workload, clients, server), ())
        found = [one[which] for one in rounds if one and which in one]
        return median(found) if found else None

    def middle_ms(self, workload: str, clients: int, server: str) -> str:
        """The medians of the rounds' 50th and 99th percentiles, in milliseconds."""
        times = (self.middle(workload, clients, server, which) or 0.0 for which in ("p50", "p99"))
        return " / ".join(f"{time / 1000:.2f}" for time in times) + " ms"

    def ratios(self, workload: str, clients: int, server: str, other: str, which: str = "rps") -> list[float]:
        """One server's number by another's, round by round, as neighbours in time."""
        return self.between((workload, clients, server), (workload, clients, other), which)

    def between(
        self, ours: tuple[str, int, str], theirs: tuple[str, int, str], which: str = "rps"
    ) -> list[float]:
        """A cell's number by that of any other cell, round by round."""
        pairs = zip(self.measures.get(ours, ()), self.measures.get(theirs, ()), strict=False)
        known = [(one[which], two[which]) for one, two in pairs if one and two]
        # Who answers nothing within a cell is behind by any factor.
        return [one / two if two else math.inf for one, two in known]

    def as_json(self) -> list[dict[str, Any]]:
        """Every cell with its rounds as they came."""
        return [
            {
                "workload": workload,
                "clients": clients,
                "server": server,
                "rounds": [one and {name: one[name] for name in KEPT if name in one} for one in rounds],
            }
            for (workload, clients, server), rounds in self.measures.items()
        ]


@contextmanager
def ours(place: Place, core: int | None, names: Sequence[str]) -> Iterator[dict[str, tuple[int, int]]]:
    """Our servers' ports and processes, by name; the gateway logs as it ships, to `os.devnull`."""
    environment = place.environment() | {"GATEWAY_PAGE_LIMIT": "1000"}
    with ExitStack() as stack:
        found = {}
        for name in names:
            server = stack.enter_context(
                program("serve", PROGRAMS[name], environment=environment, is_quiet=True)
            )
            pin(server.pid, core)
            assert server.stdout is not None
            found[name] = int(server.stdout.readline()), server.pid
        yield found


def askers(place: Place) -> dict[str, Asker]:
    """Whom our servers take each principal of the harness for."""
    support = place.principals["support"].headers
    found = {"tok-dashboard": Asker({**support, **PURPOSE}, {}), "tok-support": Asker(support, {})}
    for number, name in enumerate(("dpd", "gls", "posta", "ups", "dhl")):
        carrier = place.principals[CARRIERS[number % len(CARRIERS)]]
        found[f"tok-carrier-{name}"] = Asker(carrier.headers, {})
    for number, customer in enumerate(place.busy, start=1):
        headers = {"Authorization": f"Bearer {place.tokens[customer]}"}
        found[f"tok-customer-{500 * number}"] = Asker(headers, {"id": global_id("Customer", customer)})
    return found


def same_as_by_hand(
    servers: Mapping[str, tuple[int, int]],
    who: Mapping[str, Asker],
    requests: Callable[[str], Iterable[tuple[str, Any]]],
) -> None:
    """Raises `UnequalAnswersError` where one of our servers answers with other data than the gateway."""
    for name in OPERATIONS:
        workload = Workload(name, name, "", ())
        for token, variables in islice(requests(name), 20):
            call, body = Call(who[token].headers, {}), body_of(name, variables, who).encode()
            one, *others = (
                data_of(servers[server][0], workload, call, body, refusals=name == "W4")
                for server in (GATEWAY, *(other for other in servers if other != GATEWAY))
            )
            for other in others:
                if one != other:
                    raise UnequalAnswersError(f"{name}: {difference(one, other)}")


def measured(folder: Path, run: Run, say: Any) -> Found:
    """Every cell, round by round, once the answers are verified."""
    with ExitStack() as stack:
        bench = stack.enter_context(harness(folder.resolve(), (*FAST, *SLOW, RAW)))
        say("making the register, unless it is kept")
        kept = register(SERVER_URL, CUSTOMERS)
        own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-")))
        place = place_of(kept, own)
        core = choose_cores()
        servers = stack.enter_context(ours(place, core.servers if core else None, tuple(PROGRAMS)))
        who = askers(place)
        targets = bench.targets((*FAST, *SLOW, RAW))
        targets |= {name: bench.ours(name, *found, who) for name, found in servers.items()}
        say("verifying the answers")
        by_hand = (BY_HAND, BY_HAND_UNRECORDED)
        bench.verify({name: one for name, one in targets.items() if name not in by_hand})
        same_as_by_hand(servers, who, bench.module.requests)
        say("the harness finds every answer right, and the endpoint by hand gives the gateway's data")
        say(f"measuring: about {run.minutes:.0f} minutes")
        return _rounds(bench, targets, run, say)


def asked_of(workload: str, clients: int, turn: int, run: Run) -> tuple[str, ...]:
    """Which servers are measured in a cell of a round."""
    if clients == 1:
        return (GATEWAY, BY_HAND)
    names = [GATEWAY, BY_HAND]
    if workload in RECORDED:
        names += [UNRECORDED, BY_HAND_UNRECORDED]
    if turn < run.peer_rounds:
        names += [RAW, *(name for name in FAST if (name, workload) not in NOT_ANSWERED)]
    if turn < run.slow_rounds:
        names += _slow(workload, clients)
    return tuple(names)


def _slow(workload: str, clients: int) -> tuple[str, ...]:
    """What is measured in fewer rounds: the peers far behind, and pgbench."""
    match workload, clients:
        case "W1" | "W5", 16:
            return (*SLOW, PGBENCH)
        case "W5", _:
            return STRAWBERRIES
        case _, 16:
            return (PGBENCH,)
        case _:
            return ()


def _rounds(bench: Harness, targets: Mapping[str, Any], run: Run, say: Any) -> Found:
    found = Found()
    for turn in range(run.rounds):
        for workload in OPERATIONS:
            for clients in (1, *run.clients):
                names = asked_of(workload, clients, turn, run)
                for name in names if turn % 2 == 0 else reversed(names):
                    measure = _measure(bench, targets.get(name), workload, clients)
                    if measure is not None:
                        found.add((workload, clients, name), turn, measure)
                rates = " ".join(f"{name} {_last(found, workload, clients, name):,.0f}/s" for name in names)
                say(f"round {turn + 1} of {run.rounds}, {workload}, {clients} clients: {rates}")
    return found


def _measure(bench: Harness, target: Any, workload: str, clients: int) -> Mapping[str, float] | None:
    """What a server does in a cell, warmed by the same load; without one what pgbench does, if it can."""
    if target is None and not bench.may_pgbench(workload):
        return None
    if target is not None:
        bench.load(target, workload, clients, WARM_SECONDS)
    bench.settle()
    if target is None:
        return bench.pgbench(workload, clients, seconds_of(clients))
    return bench.load(target, workload, clients, seconds_of(clients))


def _last(found: Found, workload: str, clients: int, name: str) -> float:
    rounds = found.measures.get((workload, clients, name))
    return rounds[-1]["rps"] if rounds and rounds[-1] else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures the peers alone, and binds the report anew."""
    from .peers_report import peers_chapter
    from .run import command

    def chapters(options: Any, say: Any) -> Iterator[Any]:
        run = Run(rounds=1, clients=CLIENTS[:1], slow_rounds=1) if options.quick else Run()
        yield peers_chapter(measured(options.harness, run, say), run)

    return command("python -m tests.bench.peers", __doc__ or "", chapters, arguments)


if __name__ == "__main__":
    import sys

    sys.exit(main())
