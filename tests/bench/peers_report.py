"""The report's chapter on the peers: the targets, a table for each workload, and a plot."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from .chapters import Chapter, table, with_range
from .peers import (
    ALONE_SECONDS,
    BY_HAND,
    BY_HAND_UNRECORDED,
    CELL_SECONDS,
    FAST,
    GATEWAY,
    OPERATIONS,
    PGBENCH,
    RAW,
    RECORDED,
    SLOW,
    UNRECORDED,
    WARM_SECONDS,
    Found,
    Run,
)
from .peers_targets import peers_targets
from .plots import Plot, bars

TITLE = "Beside the gateways a user would pick instead"
REPEAT = "python -m tests.bench.peers --harness DIR"
ABOUT = """The peers answer the harness's own tables, the gateway and the endpoint written by hand
(`hand_written_peers.py`) the gateway's, in the same cluster with as many rows: 100,000 customers, 300,000
orders, 600,000 lines, 300,000 deliveries, 30,000 returns. The questions have as many leaves for everybody
(148, 400, 1,600, 6,000, 1,600, 2; the gateway's are in `peer_queries/`). Servers ran on one core, PostgreSQL
and wrk on another; before anything was timed the harness found every answer right, and the endpoint by hand
gave the gateway's data.

Rounds: {rounds}, in {peer_rounds} of them with the peers, of {seconds} s a cell ({alone} s by one client),
the servers of a cell one after the other, the order swapped each round; before each a server is asked the
same for {warm} s, unmeasured, and the machine left to settle. The loads take about {minutes:.0f} minutes.
Numbers are medians, ratios medians of the rounds' ratios. By the harness's README two servers that are the
same can differ by a fifth. Apollo and Strawberry are measured in W1 and W5 alone, in {slow_rounds} rounds, at
16 clients (Strawberry in W5 also at 64); in W2 to W4 they are not measured, because the slow ones are far
behind: W1 and W5 show by how much. `pgbench` is no peer: from the servers' core it asks PostgreSQL for the
SQL of `raw-starlette`, with no server between, for 16 clients, in {slow_rounds} rounds, W2 for one carrier
alone.

What differs: in place of `customerId` the gateway's orders have `number`, as a customer's id is a field of
`Customer` there; its ids are global ids and its times have microseconds, so that an answer of W3b has more
bytes; five carriers of the harness are four of the gateway's. In W4 the harness's role is refused four
columns; the gateway's is refused four fields for want of a purpose and shown four more masked, as is done by
hand, and it notes the first 60 refusals a minute. PostGraphile is not in W4, as it makes the whole list null.

The gateway, and the endpoint by hand with it, write an access record for each read of others' personal data
(W2, W3, W3b, W4) in the statement that reads; nobody else records anything, `raw-starlette` neither. What the
gateway does beyond that INSERT, and the endpoint by hand does not: it notes what a carrier is shown and
counts the day's customers of an employee, which it looks up row by row until the worker knows the page, and
after that compares by a digest of the page (every caller here asks for the same page again); it keeps limits
and budgets; and it writes a line for each request, as it ships (level `info`), here to `os.devnull`.

In W5 the gateway keeps that the field changed, when and from which source in a row of `change` beside the
update; the endpoint by hand checks the telephone number as the gateway does, and updates the row and nothing
else; the peers take any text for a number. The harness's cluster acknowledges what is not yet on the disk
(`synchronous_commit = off`), and its own servers leave it at that; the gateway and the endpoint by hand ask
for the disk with whatever they write."""
HEAD = ("server", "clients", "requests/s (lowest to highest)", "p50 / p99, ms", "the gateway is")
RECORD_HEAD = (
    "workload",
    "clients",
    "gateway",
    "gateway, unrecorded",
    "gateway / unrecorded",
    "by hand",
    "by hand, unrecorded",
    "by hand / unrecorded",
    "gateway, unrecorded / by hand, unrecorded",
)
SERVERS = (GATEWAY, UNRECORDED, BY_HAND, BY_HAND_UNRECORDED, RAW, PGBENCH, *FAST, *SLOW)


def peers_chapter(found: Found, run: Run) -> Chapter:
    """What was found, judged."""
    about = ABOUT.format(
        rounds=run.rounds,
        seconds=CELL_SECONDS,
        alone=ALONE_SECONDS,
        warm=WARM_SECONDS,
        minutes=run.minutes,
        peer_rounds=min(run.rounds, run.peer_rounds),
        slow_rounds=min(run.rounds, run.slow_rounds),
    )
    parts = [" ".join(part.split("\n")) for part in about.split("\n\n")]
    plot = _plot(found, run.clients[0])
    parts += [plot.markdown]
    for name in OPERATIONS:
        parts += [f"### {name}", table(HEAD, list(_rows(found, name, run)))]
    parts += ["### What the record costs beside them", _recorded(found, run)]
    repeat = f"{REPEAT}  # about {run.minutes:.0f} minutes, once its register is made"
    targets = tuple(peers_targets(found, run))
    return Chapter("peers", TITLE, "\n\n".join(parts), repeat, targets, (plot,), found.as_json())


def _rows(found: Found, workload: str, run: Run) -> Iterator[tuple[str, ...]]:
    for clients in (1, *run.clients):
        for name in SERVERS:
            measures = [one for one in found.measures.get((workload, clients, name), ()) if one]
            if not measures:
                continue
            rates = [one["rps"] for one in measures]
            ratios = found.ratios(workload, clients, GATEWAY, name)
            shown = "" if name == GATEWAY or not ratios else f"**{median(ratios):.2f} times**"
            spread = f"{median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
            times = found.middle_ms(workload, clients, name).removesuffix(" ms")
            yield (name, str(clients), spread, times, shown)


def _recorded(found: Found, run: Run) -> str:
    rows = [
        (
            name,
            str(clients),
            *_beside(found, name, clients, GATEWAY, UNRECORDED),
            *_beside(found, name, clients, BY_HAND, BY_HAND_UNRECORDED),
            _ratio(found, name, clients, UNRECORDED, BY_HAND_UNRECORDED),
        )
        for name in RECORDED
        for clients in run.clients
    ]
    return f"Requests a second, and the medians of the rounds' ratios.\n\n{table(RECORD_HEAD, rows)}"


def _beside(found: Found, workload: str, clients: int, one: str, other: str) -> tuple[str, str, str]:
    """Two servers' answers a second, and their ratio."""
    rates = [found.rate(workload, clients, server) for server in (one, other)]
    ours, theirs = ("-" if rate is None else f"{rate:,.0f}" for rate in rates)
    return ours, theirs, _ratio(found, workload, clients, one, other)


def _ratio(found: Found, workload: str, clients: int, one: str, other: str) -> str:
    ratios = found.ratios(workload, clients, one, other)
    return with_range(ratios) if ratios else "-"


def _plot(found: Found, clients: int) -> Plot:
    def shares(server: str) -> list[float]:
        ratios = (found.ratios(workload, clients, server, BY_HAND) for workload in OPERATIONS)
        return [median(one) if one else float("nan") for one in ratios]

    series = {name: shares(name) for name in (GATEWAY, UNRECORDED, BY_HAND, RAW, *FAST)}
    title = f"Requests a second at {clients} clients, of those of the endpoint by hand"
    return bars("peers", title, "ratio", OPERATIONS, series)
