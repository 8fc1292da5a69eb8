"""The report's chapter on the peers: the targets, a table for each workload, and a plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from .chapters import Chapter, Target, table
from .peers import (
    BY_HAND,
    CELL_SECONDS,
    CLIENTS,
    FAST,
    GATEWAY,
    OPERATIONS,
    RAW,
    RECORDED,
    SLOW,
    UNRECORDED,
    Found,
    Run,
)
from .plots import Plot, bars

TITLE = "Beside the gateways a user would pick instead"
REPEAT = "python -m tests.bench.peers --harness DIR"
ABOUT = """The peers answer the harness's own tables, the gateway and the endpoint written by hand
(`hand_written_peers.py`) the gateway's, in the same cluster with as many rows: 100,000 customers, 300,000
orders, 600,000 lines, 300,000 deliveries, 30,000 returns. The questions have as many leaves for everybody
(148, 400, 1,600, 6,000, 1,600, 2; the gateway's are in `peer_queries/`). Servers ran on one core, PostgreSQL
and wrk on another; before anything was timed the harness found every answer right, and the endpoint by hand
gave the gateway's data. {rounds} rounds of {seconds} s a cell, the servers of a cell one after the other, the
order swapped each round; numbers are medians, ratios medians of the rounds' ratios. Two servers that are the
same can differ by a fifth.

What differs: in place of `customerId` the gateway's orders have `number`, as a customer's id is a field of
`Customer` there; its ids are global ids and its times have microseconds, so that an answer of W3b has more
bytes; five carriers of the harness are four of the gateway's. The gateway, and the endpoint by hand with it,
write an access record for each read of others' personal data (W2, W3, W3b, W4) and count the day's customers;
nobody else records anything, `raw-starlette` neither. In W4 the harness's role is refused four columns; the
gateway's is refused four fields for want of a purpose and shown four more masked, as is done by hand, and it
notes the first 60 refusals a minute. PostGraphile is not in W4, as it makes the whole list null. In W5 the
gateway keeps the old value and its source in a row of `change` beside the update; nobody else does. The
harness's cluster acknowledges what is not yet on the disk (`synchronous_commit = off`), and its own servers
leave it at that; the gateway and the endpoint by hand ask for the disk with whatever they write."""
HEAD = ("server", "clients", "requests/s (lowest to highest)", "p50 / p99, ms", "the gateway is")
# By workload: of the endpoint by hand, of the fastest peer, of single peers.
LEAST = {"W1": 0.9, "W2": 0.9, "W3": 0.9, "W3b": 0.95, "W4": 0.9, "W5": 0.7}
LEAST_OF_PEERS = {"W1": 1.3, "W2": 1.0, "W3": 1.3, "W3b": 2.0, "W4": 1.5}
LEAST_IN_W5 = {"postgraphile": 1.0, "strawberry": 3.0, "strawberry-memo": 3.0}
MOST_P99 = 1.3
# Why the endpoint by hand is ahead: of a read, of a change.
OF_THE_WORKER = (
    "the worker's own time for a request, of which HTTP, the log's line and the caller's identity are most"
    " (see where each microsecond goes)",
    "the gate on input judges each coordinate that is set, the value is checked as a telephone number, and"
    " where it came from is kept beside it, a third of the worker's time (see where each microsecond goes)",
)
OF_THE_DISK = "the peer answers before the change is on the disk, and keeps no row of where it came from"
OF_THE_TAIL = (
    "a few answers of short rounds; beside its answers the gateway seals what the cells before have recorded,"
    " which nobody does by hand"
)
OF_THE_RECORD = "the peer records nothing of who looked, and the record is on the disk before the answer"


@dataclass(frozen=True, slots=True)
class _Cell:
    workload: str
    clients: int

    def __str__(self) -> str:
        return f"{self.workload}, {self.clients} client{'s' if self.clients > 1 else ''}"


def peers_chapter(found: Found, run: Run) -> Chapter:
    """What was found, judged."""
    about = ABOUT.format(rounds=run.rounds, seconds=CELL_SECONDS).split("\n\n")
    parts = [" ".join(part.split("\n")) for part in about]
    plot = _plot(found, run.clients[0])
    parts += [plot.markdown]
    for name in OPERATIONS:
        parts += [f"### {name}", table(HEAD, list(_rows(found, name, run)))]
    parts += ["### What the record costs beside them", _recorded(found, run.clients[0])]
    return Chapter("peers", TITLE, "\n\n".join(parts), REPEAT, tuple(_targets(found, run)), (plot,))


def fastest(found: Found, cell: _Cell) -> str | None:
    """The fastest peer of a cell."""
    rates = {name: found.rate(cell.workload, cell.clients, name) for name in (*FAST, *SLOW)}
    known = {name: rate for name, rate in rates.items() if rate is not None}
    return max(known, key=known.__getitem__) if known else None


def _targets(found: Found, run: Run) -> Iterator[Target]:
    cells = [_Cell(name, clients) for name in OPERATIONS for clients in run.clients]
    for cell in cells:
        yield _at_least(found, cell, BY_HAND, "the endpoint by hand", LEAST[cell.workload])
    for cell in cells:
        best = fastest(found, cell)
        if cell.workload in LEAST_OF_PEERS and best is not None:
            yield _at_least(found, cell, best, f"the fastest peer ({best})", LEAST_OF_PEERS[cell.workload])
        if cell.workload == "W5":
            for name, least in LEAST_IN_W5.items():
                if found.ratios("W5", cell.clients, GATEWAY, name):
                    yield _at_least(found, cell, name, name, least)
    for clients in run.clients:
        yield _no_slower(found, clients)
    for name in OPERATIONS:
        ratio = median(found.ratios(name, 1, GATEWAY, BY_HAND, "p99"))
        wanted = f"at most {MOST_P99} of the endpoint by hand"
        yield Target(f"{name}, 1 client: p99", wanted, f"{ratio:.2f}", ratio <= MOST_P99, OF_THE_TAIL)


def _at_least(found: Found, cell: _Cell, other: str, called: str, least: float) -> Target:
    ratios = found.ratios(cell.workload, cell.clients, GATEWAY, other)
    ratio, wanted = median(ratios), f"at least {least:g} of {called}"
    because = _because(found, cell, other, f"rounds from {min(ratios):.2f} to {max(ratios):.2f}")
    return Target(str(cell), wanted, f"{ratio:.2f}", ratio >= least, because)


def _because(found: Found, cell: _Cell, other: str, rounds: str) -> str:
    """Why a cell may be behind another server, with what was measured of it."""
    if other == BY_HAND:
        return f"{OF_THE_WORKER[cell.workload == 'W5']}; {rounds}"
    if cell.workload not in RECORDED:
        return f"{OF_THE_DISK}; {rounds}"
    # The gateway without its record is measured at the first number of clients alone.
    shares = {
        called: found.ratios(cell.workload, clients, server, other)
        for called, server, clients in (
            ("the endpoint by hand with the same record", BY_HAND, cell.clients),
            ("the gateway without it", UNRECORDED, CLIENTS[0]),
        )
    }
    said = [f"{called} reaches {median(ratios):.2f} of it" for called, ratios in shares.items() if ratios]
    return "; ".join((OF_THE_RECORD, *said))


def _no_slower(found: Found, clients: int) -> Target:
    whole, refused = (
        [one["rps"] for one in found.measures["W3" if name == "W3" else "W4", clients, GATEWAY] if one]
        for name in ("W3", "W4")
    )
    ratio = median(one / other for one, other in zip(refused, whole, strict=True))
    because = "its four masked values a row are made anew, and its refusals are looked at, counted and told"
    return Target(
        str(_Cell("W4", clients)), "not slower than its own W3", f"{ratio:.2f}", ratio >= 1, because
    )


def _rows(found: Found, workload: str, run: Run) -> Iterator[tuple[str, ...]]:
    for clients in (1, *run.clients):
        for name in (GATEWAY, UNRECORDED, BY_HAND, RAW, *FAST, *SLOW):
            measures = [one for one in found.measures.get((workload, clients, name), ()) if one]
            if not measures:
                continue
            rates = [one["rps"] for one in measures]
            p50, p99 = (found.time(workload, clients, name, which) for which in ("p50", "p99"))
            ratios = found.ratios(workload, clients, GATEWAY, name)
            shown = "" if name == GATEWAY or not ratios else f"**{median(ratios):.2f} times**"
            spread = f"{median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
            yield (name, str(clients), spread, f"{p50:.2f} / {p99:.2f}", shown)


def _recorded(found: Found, clients: int) -> str:
    head = ("workload", "gateway", "the same without records", "ratio", "by hand with the record", RAW)
    rows = []
    for name in RECORDED:
        ratios = found.ratios(name, clients, GATEWAY, UNRECORDED)
        rates = [_shown(found.rate(name, clients, server)) for server in (GATEWAY, UNRECORDED, BY_HAND, RAW)]
        rows.append((name, *rates[:2], f"{median(ratios):.2f}" if ratios else "-", *rates[2:]))
    return f"Requests a second at {clients} clients.\n\n{table(head, rows)}"


def _shown(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.0f}"


def _plot(found: Found, clients: int) -> Plot:
    servers: Sequence[str] = (GATEWAY, BY_HAND, RAW, *FAST)
    series = {
        name: [found.rate(workload, clients, name) or float("nan") for workload in OPERATIONS]
        for name in servers
    }
    return bars("peers", f"Requests a second at {clients} clients", "requests/s", OPERATIONS, series)
