"""The comparison: equal answers first, then the servers in turn, round by round, cell by cell."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .cpu import Usage
from .load import Measure, Task
from .servers import GATEWAY, HAND_WRITTEN, UNRECORDED, Programs
from .workloads import Call, Workload

PATIENCE_SECONDS = 120
REFUSALS = ("FIELD_FORBIDDEN", "PURPOSE_REQUIRED")

Progress = Callable[[str], None]


class UnequalAnswersError(Exception):
    """The servers answer differently, so that their speeds cannot be compared."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a workload is answered: how many leaves, in how many bytes."""

    leaves: int
    size: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One workload at one number of clients: the servers' measures, one of each for each round.

    Where nothing is recorded, the gateway without records is not measured.
    """

    workload: str
    clients: int
    gateway: tuple[Measure, ...]
    hand_written: tuple[Measure, ...]
    gateway_used: tuple[Usage, ...]
    hand_written_used: tuple[Usage, ...]
    unrecorded: tuple[Measure, ...] = ()
    unrecorded_used: tuple[Usage, ...] = ()

    @property
    def ratios(self) -> list[float]:
        """The gateway's answers a second by those of the endpoint written by hand, round by round."""
        return _ratios(self.gateway, self.hand_written)

    @property
    def ratio(self) -> float:
        """The median ratio."""
        return median(self.ratios)

    @property
    def recorded_ratios(self) -> list[float]:
        """The gateway's answers a second by its own without records, round by round."""
        return _ratios(self.gateway, self.unrecorded)


def _ratios(ours: Sequence[Measure], theirs: Sequence[Measure]) -> list[float]:
    return [one.per_second / other.per_second for one, other in zip(ours, theirs, strict=True)]


def _servers(workload: Workload) -> tuple[str, ...]:
    return (GATEWAY, HAND_WRITTEN, UNRECORDED) if workload.is_recorded else (GATEWAY, HAND_WRITTEN)


def verified(ports: Mapping[str, int], workload: Workload, names: Sequence[str] = ()) -> Answer:
    """The first call's answer; raises `UnequalAnswersError` where their data differ for any call.

    Those asked are the servers of these names, or all that are compared for the workload.
    """
    found = []
    for call in workload.calls:
        ours, *others = (
            data_of(ports[name], workload, call, workload.body(call)) for name in names or _servers(workload)
        )
        for theirs in others:
            if ours != theirs:
                raise UnequalAnswersError(f"{workload.name}: {difference(ours, theirs)}")
        found.append(ours)
    leaves = _leaves(found[0])
    if leaves < 2:
        raise UnequalAnswersError(f"{workload.name}: the servers answer without data")
    return Answer(leaves, len(json.dumps(found[0], ensure_ascii=False, separators=(",", ":")).encode()))


def data_of(port: int, workload: Workload, call: Call, body: bytes, refusals: bool = False) -> Any:
    """The data of an answer; raises `UnequalAnswersError` where there are errors that are no refusals."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        headers = {"Content-Type": "application/json", **call.headers}
        connection.request("POST", "/graphql", body, headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise UnequalAnswersError(f"{workload.name}: status {response.status}")
    answer = json.loads(text)
    for error in answer.get("errors", ()):
        if not refusals or error["extensions"]["code"] not in REFUSALS:
            raise UnequalAnswersError(f"{workload.name}: {error['message']}")
    return answer["data"]


def difference(ours: Any, theirs: Any, path: str = "data") -> str:
    """Where the first difference lies, without the values."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for key in ours:
            if ours[key] != theirs[key]:
                return difference(ours[key], theirs[key], f"{path}.{key}")
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if one != other:
                return difference(one, other, f"{path}[{place}]")
    return f"the answers differ at {path}"


def _leaves(value: Any) -> int:
    match value:
        case dict():
            return sum(_leaves(part) for part in value.values())
        case list():
            return sum(_leaves(part) for part in value)
        case _:
            return 1


def compared(
    programs: Programs,
    workloads: Sequence[Workload],
    clients: Sequence[int],
    seconds: float,
    rounds: int,
    progress: Progress,
) -> list[Cell]:
    """Every cell, its servers measured one after the other in each round, the order swapped each time."""
    places = [(workload, count) for workload in workloads for count in clients]
    found: Mapping[tuple[str, int], dict[str, list[tuple[Measure, Usage]]]] = {
        (workload.name, count): {name: [] for name in _servers(workload)} for workload, count in places
    }
    for turn in range(rounds):
        for workload, count in places:
            for name in _servers(workload) if turn % 2 == 0 else reversed(_servers(workload)):
                port = programs.ports[name]
                task = Task(port, workload.requests(port), count, seconds)
                found[workload.name, count][name].append(programs.measure(name, task))
            pair = found[workload.name, count]
            rates = " ".join(f"{name} {taken[-1][0].per_second:,.0f}/s" for name, taken in pair.items())
            progress(f"round {turn + 1} of {rounds}, {workload.name}, {count} clients: {rates}")
    return [_cell(name, count, pair) for (name, count), pair in found.items()]


def _cell(workload: str, clients: int, pair: Mapping[str, list[tuple[Measure, Usage]]]) -> Cell:
    found = {name: tuple(zip(*taken, strict=True)) for name, taken in pair.items()}
    ours, theirs, bare = found[GATEWAY], found[HAND_WRITTEN], found.get(UNRECORDED, ((), ()))
    return Cell(workload, clients, ours[0], theirs[0], ours[1], theirs[1], bare[0], bare[1])
