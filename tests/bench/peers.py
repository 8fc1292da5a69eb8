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

GATEWAY, BY_HAND, UNRECORDED = "gateway", "by-hand", "gateway-unrecorded"
PROGRAMS = {GATEWAY: "gateway", BY_HAND: "hand-written-peers", UNRECORDED: "unrecorded"}
RAW = "raw-starlette"
FAST = ("postgraphile", "mercurius", "mercurius-pers")
SLOW = ("apollo", "strawberry", "strawberry-memo")
OPERATIONS = ("W1", "W2", "W3", "W3b", "W4", "W5")
RECORDED = ("W2", "W3", "W3b", "W4")
# It answers a list of which a field is refused with null for the whole list.
NOT_ANSWERED = {("postgraphile", "W4")}
CLIENTS = (16, 64)
CELL_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Run:
    """How long it is measured: rounds of every cell, and clients beside one."""

    rounds: int = 4
    clients: tuple[int, ...] = CLIENTS
    slow_rounds: int = 2


@dataclass(slots=True)
class Found:
    """What was measured: by workload, clients and server, one of each round, None where it was left out."""

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

    def time(self, workload: str, clients: int, server: str, which: str) -> float | None:
        """The median of a percentile (`p50`, `p99`), in milliseconds."""
        found = [one[which] for one in self.measures.get((workload, clients, server), ()) if one]
        return median(found) / 1000 if found else None

    def ratios(self, workload: str, clients: int, server: str, other: str, which: str = "rps") -> list[float]:
        """One server's number by another's, round by round, as neighbours in time."""
        ours = self.measures.get((workload, clients, server), [])
        theirs = self.measures.get((workload, clients, other), [])
        pairs = [(one[which], two[which]) for one, two in zip(ours, theirs, strict=False) if one and two]
        # Who answers nothing within a cell is behind by any factor.
        return [one / two if two else math.inf for one, two in pairs]


@contextmanager
def ours(place: Place, core: int | None, names: Sequence[str]) -> Iterator[dict[str, tuple[int, int]]]:
    """Our servers' ports and processes, by name."""
    environment = place.environment() | {"GATEWAY_PAGE_LIMIT": "1000", "GATEWAY_LOG_LEVEL": "warning"}
    with ExitStack() as stack:
        found = {}
        for name in names:
            server = stack.enter_context(program("serve", PROGRAMS[name], environment=environment))
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
    """Raises `UnequalAnswersError` where the gateway and the endpoint by hand answer with different data."""
    for name in OPERATIONS:
        workload = Workload(name, name, "", ())
        for token, variables in islice(requests(name), 20):
            call, body = Call(who[token].headers, {}), body_of(name, variables, who).encode()
            one, other = (
                data_of(servers[server][0], workload, call, body, refusals=name == "W4")
                for server in (GATEWAY, BY_HAND)
            )
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
        bench.verify({name: one for name, one in targets.items() if name != BY_HAND})
        same_as_by_hand(servers, who, bench.module.requests)
        say("the harness finds every answer right, and the endpoint by hand gives the gateway's data")
        return _rounds(bench, targets, run, say)


def asked_of(workload: str, clients: int, turn: int, run: Run) -> tuple[str, ...]:
    """Which servers are measured in a cell of a round."""
    if clients == 1:
        return (GATEWAY, BY_HAND)
    names = [GATEWAY, BY_HAND, RAW, *(name for name in FAST if (name, workload) not in NOT_ANSWERED)]
    if clients == CLIENTS[0] and workload in RECORDED:
        names.append(UNRECORDED)
    if clients == CLIENTS[0] and workload in ("W1", "W5") and turn < run.slow_rounds:
        names += SLOW
    return tuple(names)


def _rounds(bench: Harness, targets: Mapping[str, Any], run: Run, say: Any) -> Found:
    found, warm = Found(), set()
    for turn in range(run.rounds):
        for workload in OPERATIONS:
            for clients in (1, *run.clients):
                names = asked_of(workload, clients, turn, run)
                for name in names if turn % 2 == 0 else reversed(names):
                    if (workload, name) not in warm:
                        bench.load(targets[name], workload, 16, CELL_SECONDS)
                        warm.add((workload, name))
                    measure = bench.load(targets[name], workload, clients, CELL_SECONDS)
                    found.add((workload, clients, name), turn, measure)
                rates = " ".join(f"{name} {_last(found, workload, clients, name):,.0f}/s" for name in names)
                say(f"round {turn + 1} of {run.rounds}, {workload}, {clients} clients: {rates}")
    return found


def _last(found: Found, workload: str, clients: int, name: str) -> float:
    measure = found.measures[workload, clients, name][-1]
    return measure["rps"] if measure else 0.0


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
