"""The comparison: equal answers first, then both servers in turn, round by round, cell by cell."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .cpu import Usage
from .load import Measure, Task
from .servers import GATEWAY, HAND_WRITTEN, Programs
from .workloads import Call, Workload

PATIENCE_SECONDS = 30

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
    """One workload at one number of clients: both servers' measures, a pair for each round."""

    workload: str
    clients: int
    gateway: tuple[Measure, ...]
    hand_written: tuple[Measure, ...]
    gateway_used: tuple[Usage, ...]
    hand_written_used: tuple[Usage, ...]

    @property
    def ratios(self) -> list[float]:
        """The gateway's answers a second by those of the endpoint written by hand, round by round."""
        pairs = zip(self.gateway, self.hand_written, strict=True)
        return [ours.per_second / theirs.per_second for ours, theirs in pairs]

    @property
    def ratio(self) -> float:
        """The median ratio."""
        return median(self.ratios)


def verified(ports: Mapping[str, int], workload: Workload) -> Answer:
    """The first call's answer; raises `UnequalAnswersError` where the servers' data differ for any call."""
    found = []
    for call in workload.calls:
        ours, theirs = (_data(ports[name], workload, call) for name in (GATEWAY, HAND_WRITTEN))
        if ours != theirs:
            raise UnequalAnswersError(f"{workload.name}: {_difference(ours, theirs)}")
        found.append(ours)
    leaves = _leaves(found[0])
    if leaves < 2:
        raise UnequalAnswersError(f"{workload.name}: both answer without data")
    return Answer(leaves, len(json.dumps(found[0], ensure_ascii=False, separators=(",", ":")).encode()))


def _data(port: int, workload: Workload, call: Call) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        headers = {"Content-Type": "application/json", **call.headers}
        connection.request("POST", "/graphql", workload.body(call), headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise UnequalAnswersError(f"{workload.name}: status {response.status}")
    body = json.loads(text)
    if "errors" in body:
        raise UnequalAnswersError(f"{workload.name}: {body['errors'][0]['message']}")
    return body["data"]


def _difference(ours: Any, theirs: Any, path: str = "data") -> str:
    """Where the first difference lies, without the values."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for key in ours:
            if ours[key] != theirs[key]:
                return _difference(ours[key], theirs[key], f"{path}.{key}")
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if one != other:
                return _difference(one, other, f"{path}[{place}]")
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
        (workload.name, count): {GATEWAY: [], HAND_WRITTEN: []} for workload, count in places
    }
    for turn in range(rounds):
        for workload, count in places:
            for name in (GATEWAY, HAND_WRITTEN) if turn % 2 == 0 else (HAND_WRITTEN, GATEWAY):
                port = programs.ports[name]
                task = Task(port, workload.requests(port), count, seconds)
                found[workload.name, count][name].append(programs.measure(name, task))
            pair = found[workload.name, count]
            rates = " ".join(f"{name} {taken[-1][0].per_second:,.0f}/s" for name, taken in pair.items())
            progress(f"round {turn + 1} of {rounds}, {workload.name}, {count} clients: {rates}")
    return [_cell(name, count, pair) for (name, count), pair in found.items()]


def _cell(workload: str, clients: int, pair: Mapping[str, list[tuple[Measure, Usage]]]) -> Cell:
    ours, theirs = (tuple(zip(*pair[name], strict=True)) for name in (GATEWAY, HAND_WRITTEN))
    return Cell(workload, clients, ours[0], theirs[0], ours[1], theirs[1])
