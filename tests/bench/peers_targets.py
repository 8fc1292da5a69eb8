"""What the gateway is to reach beside the peers, what it reached, and what was measured of why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from .chapters import Target, by_rounds, with_range
from .peers import (
    BY_HAND,
    BY_HAND_UNRECORDED,
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
from .record_report import LEAST as LEAST_RECORDED

# By workload: of the endpoint by hand, of the fastest peer, of single peers.
LEAST = {"W1": 0.9, "W2": 0.9, "W3": 0.9, "W3b": 0.95, "W4": 0.9, "W5": 0.7}
LEAST_OF_PEERS = {"W1": 1.3, "W2": 1.0, "W3": 1.3, "W3b": 2.0, "W4": 1.5}
LEAST_IN_W5 = {"postgraphile": 1.0, "strawberry": 3.0, "strawberry-memo": 3.0}
MOST_P99 = 1.3
CHANGE_BY_HAND = (
    "the endpoint by hand writes no row of `change`, has no gate on its input, keeps no budget and writes no"
    " line"
)
CHANGE_BY_PEERS = "the peer answers before the change is on the disk, and writes no row of `change`"
JSON_IN_NODE = (
    "the peer makes its JSON in Node, on the servers' core, while PostgreSQL makes ours on its own, and"
)
MADE_IN_SQL = "the gateway's ids are global ids and its times text, made in SQL"


@dataclass(frozen=True, slots=True)
class PeersCell:
    """A workload at a number of clients."""

    workload: str
    clients: int

    def __str__(self) -> str:
        return f"{self.workload}, {self.clients} client{'s' if self.clients > 1 else ''}"


def peers_targets(found: Found, run: Run) -> Iterator[Target]:
    """Every target, those beside the endpoint by hand first."""
    cells = [PeersCell(name, clients) for name in OPERATIONS for clients in run.clients]
    for cell in cells:
        ratios = found.ratios(cell.workload, cell.clients, GATEWAY, BY_HAND)
        wanted = f"at least {LEAST[cell.workload]:g} of the endpoint by hand"
        yield by_rounds(str(cell), wanted, ratios, LEAST[cell.workload], of_by_hand(found, cell))
    for cell in cells:
        yield from _of_peers(found, cell)
    for clients in run.clients:
        yield _no_slower(found, clients)
    for name in OPERATIONS:
        yield _of_the_tail(found, PeersCell(name, 1))
    for name in RECORDED:
        yield from _of_the_record(found, PeersCell(name, run.clients[0]))


def fastest(found: Found, cell: PeersCell) -> str | None:
    """The fastest peer of a cell."""
    rates = {name: found.rate(cell.workload, cell.clients, name) for name in (*FAST, *SLOW)}
    known = {name: rate for name, rate in rates.items() if rate is not None}
    return max(known, key=known.__getitem__) if known else None


def _of_peers(found: Found, cell: PeersCell) -> Iterator[Target]:
    best = fastest(found, cell)
    asked = {name: (name, least) for name, least in LEAST_IN_W5.items()} if cell.workload == "W5" else {}
    if cell.workload in LEAST_OF_PEERS and best is not None:
        asked = {best: (f"the fastest peer ({best})", LEAST_OF_PEERS[cell.workload])}
    for name, (called, least) in asked.items():
        if ratios := found.ratios(cell.workload, cell.clients, GATEWAY, name):
            because = of_peer(found, cell, name, least)
            yield by_rounds(str(cell), f"at least {least:g} of {called}", ratios, least, because)


def _no_slower(found: Found, clients: int) -> Target:
    ratios = found.between(("W4", clients, GATEWAY), ("W3", clients, GATEWAY))
    is_near = min(ratios) <= 1 <= max(ratios)
    because = _rounds(ratios) + (", within the rounds' spread" if is_near else "")
    return by_rounds(str(PeersCell("W4", clients)), "not slower than its own W3", ratios, 1, because)


def _of_the_tail(found: Found, cell: PeersCell) -> Target:
    ratios = found.ratios(cell.workload, cell.clients, GATEWAY, BY_HAND, "p99")
    times = [
        f"p50 / p99 {called} {found.middle_ms(cell.workload, cell.clients, server)}"
        for called, server in (("of the gateway", GATEWAY), ("by hand", BY_HAND))
    ]
    wanted = f"at most {MOST_P99} of the endpoint by hand"
    because = "; ".join((*times, _rounds(ratios)))
    return by_rounds(f"{cell}: p99", wanted, ratios, MOST_P99, because, is_most=True)


def _of_the_record(found: Found, cell: PeersCell) -> Iterator[Target]:
    ratios = found.ratios(cell.workload, cell.clients, GATEWAY, UNRECORDED)
    by_hand = found.ratios(cell.workload, cell.clients, BY_HAND, BY_HAND_UNRECORDED)
    if not ratios:
        return
    said = [f"the endpoint by hand with its record reaches {with_range(by_hand)} of its own"] * bool(by_hand)
    because = "; ".join((*said, *spent(found, cell, UNRECORDED)))
    wanted = f"at least {LEAST_RECORDED:g} of the same unrecorded"
    yield by_rounds(f"{cell}, with the record", wanted, ratios, LEAST_RECORDED, because)


def of_by_hand(found: Found, cell: PeersCell) -> str:
    """What a cell's rounds show beside the endpoint by hand; of a change also what that leaves out."""
    ratios = found.ratios(cell.workload, cell.clients, GATEWAY, BY_HAND)
    left_out = [CHANGE_BY_HAND] if cell.workload == "W5" else []
    return "; ".join((*left_out, *spent(found, cell, BY_HAND), _rounds(ratios)))


def of_peer(found: Found, cell: PeersCell, peer: str, least: float) -> str:
    """Why a peer may be ahead: the record alone where the gateway without it reaches the target."""
    bare = found.ratios(cell.workload, cell.clients, UNRECORDED, peer)
    if not bare:
        left_out = [CHANGE_BY_PEERS] if cell.workload == "W5" else []
        ratios = found.ratios(cell.workload, cell.clients, GATEWAY, peer)
        return "; ".join((*left_out, *spent(found, cell, peer), _rounds(ratios)))
    if median(bare) >= least:
        return f"the record, which the peer does not write: without it the gateway reaches {with_range(bare)}"
    in_node = f"{JSON_IN_NODE} {MADE_IN_SQL}" if peer.startswith("mercurius") else MADE_IN_SQL
    limits = [
        f"{called} reaches {with_range(ratios)} of this peer"
        for called, server in (
            ("the endpoint by hand with nothing recorded", BY_HAND_UNRECORDED),
            (f"`{RAW}`", RAW),
        )
        if (ratios := found.ratios(cell.workload, cell.clients, server, peer))
    ]
    said = f"not the record alone: without it the gateway reaches {with_range(bare)}; what remains: {in_node}"
    return "; ".join((said, *spent(found, cell, peer, UNRECORDED), *limits))


def spent(found: Found, cell: PeersCell, other: str, server: str = GATEWAY) -> tuple[str, ...]:
    """The processor time of a request to each of two servers, where it was measured."""
    times = [
        found.middle(cell.workload, cell.clients, name, which)
        for name in (server, other)
        for which in ("server_ms", "database_ms")
    ]
    if None in times:
        return ()
    shown = [f"{time:.2f}" for time in times]
    return (
        f"a request takes `{server}` {shown[0]} ms of its core and {shown[1]} of PostgreSQL's,"
        f" `{other}` {shown[2]} and {shown[3]}",
    )


def _rounds(ratios: list[float]) -> str:
    return f"rounds from {min(ratios):.2f} to {max(ratios):.2f}"
