"""The peers' chapter: what is asked of whom, how it is judged, and that each reason follows from a number."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bench.chapters import Chapter, Target, by_rounds, keep, kept
from tests.bench.hand_written_peers import operations
from tests.bench.harness import Harness
from tests.bench.peers import (
    BY_HAND,
    BY_HAND_UNRECORDED,
    FAST,
    GATEWAY,
    OPERATIONS,
    PGBENCH,
    RAW,
    RECORDED,
    SLOW,
    UNRECORDED,
    Found,
    Run,
    _rounds,
    asked_of,
)
from tests.bench.peers_report import peers_chapter
from tests.bench.peers_targets import JSON_IN_NODE, PeersCell, of_peer
from tests.bench.run import bind

SMALL = Run(rounds=2, clients=(16,), slow_rounds=1)


def found_of(rates: Mapping[str, tuple[float, ...]]) -> Found:
    """Every cell with these answers a second, round by round."""
    found = Found()
    for server, rounds in rates.items():
        for turn, rate in enumerate(rounds):
            for name in OPERATIONS:
                for clients in (1, 16, 64):
                    times = {"p50": 1000.0, "p99": 2000.0 if server == GATEWAY else 1000.0}
                    spent = {"server_ms": 0.25, "database_ms": 0.5}
                    found.add((name, clients, server), turn, {"rps": rate, **times, **spent})
    return found


def measures(bare: float = 1000.0) -> Found:
    """The gateway answers 900 and 980 a second, the endpoint by hand 1,000, the fastest peer 500."""
    return found_of(
        {
            GATEWAY: (900.0, 980.0),
            UNRECORDED: (bare, bare),
            BY_HAND: (1000.0, 1000.0),
            BY_HAND_UNRECORDED: (1100.0, 1100.0),
            RAW: (1200.0, 1200.0),
            "mercurius": (500.0, 500.0),
            "postgraphile": (400.0, 400.0),
        }
    )


def targets() -> dict[tuple[str, str], Target]:
    return {(one.name, one.wanted): one for one in peers_chapter(measures(), SMALL).targets}


def test_the_peers_are_judged_by_the_median_of_the_rounds() -> None:
    found = {names: (target.found, target.is_met) for names, target in targets().items()}
    assert found["W1, 16 clients", "at least 0.9 of the endpoint by hand"] == ("0.94 (0.90 to 0.98)", True)
    assert found["W3b, 16 clients", "at least 0.95 of the endpoint by hand"] == ("0.94 (0.90 to 0.98)", False)
    assert found["W3b, 16 clients", "at least 2 of the fastest peer (mercurius)"] == (
        "1.88 (1.80 to 1.96)",
        False,
    )
    assert found["W1, 1 client: p99", "at most 1.3 of the endpoint by hand"] == ("2.00 (2.00 to 2.00)", False)
    assert found["W4, 16 clients", "not slower than its own W3"] == ("1.00 (1.00 to 1.00)", True)
    assert found["W2, 16 clients, with the record", "at least 0.75 of the same unrecorded"] == (
        "0.94 (0.90 to 0.98)",
        True,
    )


@pytest.mark.parametrize(
    ("ratios", "bound", "is_met", "is_within_noise"),
    [
        ([0.8, 0.9, 1.0], 0.85, True, True),
        ([0.8, 0.84, 1.0], 0.85, False, True),
        ([0.86, 0.9, 1.0], 0.85, True, False),
        ([0.7, 0.8], 0.85, False, False),
        ([0.85], 0.85, True, False),
    ],
)
def test_within_the_noise_is_what_some_rounds_reach_and_others_miss(
    ratios: list[float], bound: float, is_met: bool, is_within_noise: bool
) -> None:
    found = by_rounds("speed", "at least", ratios, bound)
    assert (found.is_met, found.is_within_noise) == (is_met, is_within_noise)
    most = by_rounds("time", "at most", [1 / one for one in ratios], 1 / bound, is_most=True)
    assert (most.is_met, most.is_within_noise) == (is_met, is_within_noise)


def test_the_report_says_what_is_within_the_noise(tmp_path: Path) -> None:
    found = (by_rounds("one", "w", [0.8, 1.2], 1), by_rounds("two", "w", [0.7, 0.8, 1.2], 1))
    bind(tmp_path / "report.md", [Chapter("peers", "P", "text", "again", found)])
    text = (tmp_path / "report.md").read_text()
    assert "| one | w | 1.00 (0.80 to 1.20) | met, within the noise |" in text
    assert "| two | w | 0.80 (0.70 to 1.20) | **not met**, within the noise |" in text
    assert "1 of 2 are met." in text


def test_the_record_is_named_only_where_the_gateway_without_it_reaches_the_target() -> None:
    cell = PeersCell("W3", 64)
    reached = of_peer(measures(bare=1000.0), cell, "mercurius", 2.0)
    assert reached == (
        "the record, which the peer does not write: without it the gateway reaches 2.00 (2.00 to 2.00)"
    )
    missed = of_peer(measures(bare=750.0), cell, "mercurius", 2.0)
    assert missed.startswith("not the record alone: without it the gateway reaches 1.50 (1.50 to 1.50)")
    assert JSON_IN_NODE in missed
    assert "the endpoint by hand with nothing recorded reaches 2.20" in missed
    assert f"`{RAW}` reaches 2.40" in missed
    assert JSON_IN_NODE not in of_peer(measures(bare=750.0), cell, "postgraphile", 2.0)


def test_reasons_of_other_targets_are_numbers() -> None:
    found = targets()
    change = found["W5, 16 clients", "at least 0.7 of the endpoint by hand"].because
    assert "no row of `change`" in change
    assert "rounds from 0.90 to 0.98" in change
    tail = found["W1, 1 client: p99", "at most 1.3 of the endpoint by hand"].because
    assert "of the gateway 1.00 / 2.00 ms; p50 / p99 by hand 1.00 / 1.00 ms" in tail
    assert found["W4, 16 clients", "not slower than its own W3"].because == (
        "rounds from 1.00 to 1.00, within the rounds' spread"
    )
    assert "`gateway` 0.25 ms of its core and 0.50 of PostgreSQL's" in change


def test_what_the_record_costs_is_shown_at_each_number_of_clients() -> None:
    text = peers_chapter(measures(), Run(rounds=2)).text
    for clients in (16, 64):
        shown = "0.94 (0.90 to 0.98) | 1,000 | 1,100 | 0.91 (0.91 to 0.91) | 0.91 (0.91 to 0.91)"
        assert f"| W3b | {clients} | 940 | 1,000 | {shown} |" in text


def test_rounds_are_kept_and_a_file_without_them_is_read(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    made = replace(peers_chapter(measures(), SMALL), plots=(), measured="2026-11-30", code="0123456789ab")
    keep(path, [made])
    assert kept(path) == {"peers": made}
    assert made.rounds[0]["rounds"][1]["rps"] == 980.0
    old = json.loads(path.read_text())
    for name in ("rounds", "measured", "code"):
        del old[0][name]
    for target in old[0]["targets"]:
        del target["is_within_noise"]
    path.write_text(json.dumps(old))
    assert (kept(path)["peers"].rounds, kept(path)["peers"].measured) == (None, "")


def test_a_chapter_says_when_it_was_measured_and_of_which_code(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    keep(tmp_path / "report.json", [Chapter("memory", "Old", "text", "again")])
    bind(report, [Chapter("start", "New", "text", "again")])
    new, old = report.read_text().partition("## New")[2].split("## Old")
    assert ("Measured 20" in new, "of the code `" in new, "Measured" in old) == (True, True, False)


def test_a_run_takes_less_than_half_an_hour() -> None:
    assert 20 < Run().minutes < 27


def test_who_is_measured_where() -> None:
    for name in RECORDED:
        for clients in (16, 64):
            assert {UNRECORDED, BY_HAND_UNRECORDED} <= set(asked_of(name, clients, 2, Run()))
    assert UNRECORDED not in asked_of("W1", 16, 0, Run())
    assert {RAW, *FAST} <= set(asked_of("W1", 16, 2, Run()))
    assert asked_of("W1", 16, 3, Run()) == (GATEWAY, BY_HAND)
    assert set(SLOW) & set(asked_of("W5", 64, 0, Run())) == {"strawberry", "strawberry-memo"}
    assert not {*SLOW, PGBENCH} & set(asked_of("W5", 16, 2, Run()))
    assert PGBENCH in asked_of("W3", 16, 0, Run())
    assert PGBENCH not in asked_of("W3", 64, 0, Run())


def test_the_endpoint_by_hand_writes_the_record_and_nothing_else() -> None:
    for name, operation in operations(is_recorded=True).items():
        bare = operations(is_recorded=False)[name]
        assert operation.sql.count("INSERT INTO access_record") == (
            {"W3": 2, "W4": 2}.get(name, 1) if name in RECORDED else 0
        )
        assert "INSERT" not in operation.sql.replace("INSERT INTO access_record", "")
        assert "INSERT" not in bare.sql
        assert (operation.is_recorded, bare.is_recorded) == (name in RECORDED, False)


class _Module:
    """The harness's programs, of which each says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.clock = 0.0

    def settle(self, limit: float, patience: float) -> None:
        self.asked.append("settle")

    def snap(self, target: Any) -> float:
        return self.clock

    def diff(self, before: float, after: float) -> dict[str, float]:
        return {"el": after - before, "srv_cpu": 0.5, "db_cpu": 1.0}

    def run_wrk(self, target: Any, operation: str, clients: int, seconds: int) -> dict[str, float]:
        self.asked.append(f"{target.name} {operation} {clients} {seconds} s")
        self.clock += seconds
        return {"n": 100 * seconds, "rps": 100.0, "p50": 1.0, "p99": 2.0, "err": 0}

    def run_pgbench(self, operation: str, clients: int, seconds: int) -> dict[str, float]:
        self.asked.append(f"pgbench {operation} {clients} {seconds} s")
        return {"rps": 50.0, "p50": 1.0, "p99": 2.0, "err": 0}


def test_each_cell_is_warmed_settled_and_measured(tmp_path: Path) -> None:
    (tmp_path / "sql" / "pgbench").mkdir(parents=True)
    (tmp_path / "sql" / "pgbench" / "W3.sql").write_text("SELECT 1")
    module, run = _Module(), Run(rounds=1, clients=(16,))
    names = {name for workload in OPERATIONS for name in asked_of(workload, 16, 0, run)} - {PGBENCH}
    found = _rounds(
        Harness(tmp_path, module, ()),
        {name: SimpleNamespace(name=name) for name in names},
        run,
        lambda _: None,
    )
    assert module.asked[:3] == ["gateway W1 1 1 s", "settle", "gateway W1 1 3 s"]
    assert "gateway W1 16 2 s" in module.asked
    asked = [one for one in module.asked if one.startswith(PGBENCH)]
    assert asked == ["pgbench W3 16 2 s"]
    assert found.measures["W3", 1, GATEWAY][0] == {
        "n": 300,
        "rps": 100.0,
        "p50": 1.0,
        "p99": 2.0,
        "err": 0,
        "server_ms": 5.0,
        "database_ms": 10.0,
    }
    assert "| pgbench | 16 | 50 (50 to 50) |" in peers_chapter(found, run).text
