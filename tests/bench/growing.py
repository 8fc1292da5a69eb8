"""What the ways of growing share: how much is measured, and what each adds to the chapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .chapters import Target
from .place import Place
from .plots import Plot
from .workloads import Workload, workloads

ROWS = (10_000, 100_000, 1_000_000)
POLICY_LINES = (50, 2_500, 5_000)
# Even, so that each order of the servers is measured as often as the other.
ROUNDS = 6
CLIENTS = 16

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rows: tuple[int, ...] = ROWS
    policy_lines: tuple[int, ...] = POLICY_LINES
    rounds: int = ROUNDS


@dataclass(frozen=True, slots=True)
class Part:
    """What one way of growing adds to the chapter."""

    text: str
    targets: tuple[Target, ...] = ()
    plots: tuple[Plot, ...] = ()


def named(place: Place, *names: str) -> list[Workload]:
    """The place's workloads of these names."""
    return [one for one in workloads(place) if one.name in names]
