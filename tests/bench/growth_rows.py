"""How cost grows with rows: look-ups in registers of several sizes, of customers all over each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .chapters import Target, by_rounds, table
from .growing import CLIENTS, Part, Say, Scale, named
from .loaded import Asked, Rounds, gateways, in_turn
from .place import Place
from .plots import Plot, lines
from .servers import Cores

LOOKUPS = ("W1", "W6")
# Look-ups in the largest register, of those in the smallest.
LEAST = 0.85
# Who is asked for, where the smallest register has so many with twelve orders: one customer in ten.
CALLERS = 2_000
ABOUT = f"""W1 looks one customer up by id, with ten orders and what belongs to them, W6 one by e-mail,
recorded; by {CLIENTS} clients (requests/s) and by one (p50). In each register one customer in ten has twelve
orders, the others two, and each order two lines and a delivery. Asked for are, in turn, {{callers:,}}
customers with twelve orders, drawn evenly over the whole register and as many in each: in a larger one their
rows lie on more pages. A gateway for each size, all of them running; those of a cell are measured right after
one another, each asked the same for a second before, round by round ({{rounds}} in all), each round in the
order opposite to the last; before all of it each is asked for every one of them once, so that no row is read
from the disk. A worker believes a session for a second, so that of so many customers part of
W1's requests look theirs up too, in each register alike."""


def callers_of(scale: Scale) -> int:
    """How many customers are asked for in each register: what the smallest has with twelve orders."""
    return min(CALLERS, min(scale.rows) // 10)


def with_rows(places: Mapping[int, Place], cores: Cores | None, scale: Scale, say: Say) -> Part:
    """The look-ups' rates and times by the size of the register."""
    asked = [
        Asked(str(customers), workload, clients)
        for name in LOOKUPS
        for clients in (1, CLIENTS)
        for customers, place in places.items()
        for workload in named(place, name)
    ]
    environments = {str(customers): place.environment() for customers, place in places.items()}
    with gateways(environments, cores) as programs:
        found = in_turn(programs, asked, scale.rounds)
    say("rows are measured")
    about = " ".join(ABOUT.format(callers=callers_of(scale), rounds=scale.rounds).split("\n"))
    plot = _plot(found, places)
    text = "\n\n".join(["### With rows", about, plot.markdown, _table(found, places)])
    return Part(text, tuple(_targets(found, min(places), max(places))), (plot,))


def _table(found: Rounds, sizes: Iterable[int]) -> str:
    head = (
        "customers",
        *(f"{name}, requests/s" for name in LOOKUPS),
        *(f"{name}, p50 ms" for name in LOOKUPS),
    )
    rows = [
        (
            f"{customers:,}",
            *(f"{found.rate(str(customers), name, CLIENTS):,.0f}" for name in LOOKUPS),
            *(f"{found.middle(str(customers), name, 1):.2f}" for name in LOOKUPS),
        )
        for customers in sizes
    ]
    return table(head, rows)


def _plot(found: Rounds, sizes: Iterable[int]) -> Plot:
    series = {
        name: [(float(customers), found.rate(str(customers), name, CLIENTS)) for customers in sizes]
        for name in LOOKUPS
    }
    return lines("rows", f"Look-ups at {CLIENTS} clients", ("customers", "requests/s"), series, True)


def _targets(found: Rounds, smallest: int, largest: int) -> Iterable[Target]:
    for name in LOOKUPS:
        ratios = found.ratios(str(largest), str(smallest), name, CLIENTS)
        called = f"rows: {name} in {largest:,} customers, {CLIENTS} clients"
        because = f"with one client the median request takes {_alone(found, name, largest, smallest)} ms"
        yield by_rounds(called, f"at least {LEAST:g} of that in {smallest:,}", ratios, LEAST, because)


def _alone(found: Rounds, name: str, *sizes: int) -> str:
    return ", not ".join(f"{found.middle(str(customers), name, 1):.2f}" for customers in sizes)
