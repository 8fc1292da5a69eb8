"""How cost grows with the result: pages of orders of several sizes, and the line through their times."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import correlation, linear_regression

from .chapters import Target, table
from .growing import Part, Say, Scale
from .loaded import Asked, gateways, in_turn
from .place import Place
from .plots import lines
from .servers import Cores
from .workloads import PURPOSE, Call, Workload

SIZES = (1, 10, 50, 100, 250, 500, 1000)
SECONDS = 0.5
LEAST_LINEAR = 0.98
ORDERS = """query NAME($first: Int!) {
  orders(first: $first) { nodes { id number placedAt status total { amount currency } } }
}"""
ABOUT = """Orders with six values each, a page of the limit's size, recorded, for one client. A request takes
{least:.2f} ms and {each:.1f} µs for each order more."""


def with_size(place: Place, cores: Cores | None, scale: Scale, say: Say) -> Part:
    """The times of pages, and whether they lie on a line."""
    headers = {**place.principals["support"].headers, **PURPOSE}
    asked = [_orders(first, headers) for first in SIZES]
    environment = place.environment() | {"GATEWAY_PAGE_LIMIT": str(SIZES[-1])}
    with gateways({"gateway": environment}, cores) as programs:
        found = in_turn(programs, [Asked("gateway", one, 1) for one in asked], scale.rounds, SECONDS)
    say("sizes are measured")
    return _part([found.middle("gateway", one.name, 1) for one in asked])


def _part(times: list[float]) -> Part:
    slope, intercept = linear_regression(SIZES, times)
    fits = correlation(SIZES, times) ** 2
    points = list(zip(map(float, SIZES), times, strict=True))
    rows = [(f"{size:,.0f}", f"{took:.2f}", f"{intercept + slope * size:.2f}") for size, took in points]
    axes = ("orders in the answer", "ms")
    plot = lines("size", "One client, orders of six values", axes, {"p50": points})
    wanted = f"R² at least {LEAST_LINEAR:g}"
    target = Target("result size: linear", wanted, f"{fits:.3f}", fits >= LEAST_LINEAR)
    about = " ".join(ABOUT.format(least=intercept, each=slope * 1000).split("\n"))
    shown = table(("orders", "p50, ms", "by the line, ms"), rows)
    return Part("\n\n".join(["### With the result", about, plot.markdown, shown]), (target,), (plot,))


def _orders(first: int, headers: Mapping[str, str]) -> Workload:
    name = f"R{first}"
    return Workload(name, name, ORDERS.replace("NAME", name), (Call(headers, {"first": first}),))
