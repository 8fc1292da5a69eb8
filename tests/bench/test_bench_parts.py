"""The benchmark's chapters: what is kept, what is judged, and that each of them measures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.policy import default_folder, load_policy
from schema.model import load_model
from tests.bench.__main__ import main
from tests.bench.callers import place_of
from tests.bench.chapters import Chapter, Target
from tests.bench.microseconds import OTHER, read_looks
from tests.bench.peers import PROGRAMS, askers, ours, same_as_by_hand
from tests.bench.plots import lines
from tests.bench.register import PREFIX, register
from tests.bench.run import bind
from tests.bench.synthetic import folders

CUSTOMERS = 2000


def chapter(name: str, text: str, *targets: Target) -> Chapter:
    return Chapter(name, name.upper(), text, f"measure {name}", targets)


def test_a_chapter_that_is_measured_anew_replaces_its_own_and_no_other(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    missed = Target("speed", "at least 1", "0.5", is_met=False, because="it is slow")
    bind(report, [chapter("start", "before"), chapter("memory", "kept", missed)])
    bind(report, [chapter("start", "new", Target("start", "under 2 s", "1.0 s", is_met=True))])
    text = report.read_text()
    assert ("before\n" in text, "new" in text, "kept" in text) == (False, True, True)
    assert text.index("## START") < text.index("## MEMORY")
    assert "1 of 2 are met." in text
    assert "| speed | at least 1 | 0.5 | **not met** |" in text
    assert "- speed: it is slow" in text
    assert "measure start\nmeasure memory" in text


def test_a_plot_is_a_small_file_whose_text_is_text(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = lines("growth", "Of all", ("rows", "ms"), {"p50": [(1.0, 2.0), (10.0, 3.0)]})
    bind(tmp_path / "report.md", [Chapter("growth", "G", plot.markdown, "again", plots=(plot,))])
    written = (tmp_path / "plots" / "growth.svg").read_text()
    assert ">Of all</text>" in written
    assert len(written) < 40_000
    assert "![Of all](plots/growth.svg)" in (tmp_path / "report.md").read_text()
    assert plot == lines("growth", "Of all", ("rows", "ms"), {"p50": [(1.0, 2.0), (10.0, 3.0)]})


def test_a_look_counts_for_the_step_of_its_innermost_frame() -> None:
    found = read_looks(
        "run (/asyncio/runners.py:1);answer (/x/gateway/answer.py:2);plan (/x/gateway/plan/judge.py:3) 3\n"
        "run (/asyncio/runners.py:1);answer (/x/gateway/answer.py:2);loads (/lib/json/decoder.py:4) 1\n"
        "stop_with_input (/x/tests/bench/serve.py:9) 50\n"
        "main (/somewhere.py:1) 1\n",
        100.0,
    )
    assert found.looks == 5
    assert found.steps["may it, and how: `plan`"] == 3
    assert found.steps["the request as a whole: `answer`, caches"] == 1
    assert found.steps[OTHER] == 1
    assert found.functions["`loads` (json/decoder.py)"] == 1


def test_synthetic_policies_are_taken_by_the_loader(tmp_path: Path) -> None:
    model = load_model()
    found = folders(tmp_path / "policies", (50, 1200))
    fewest, shipped, most = found
    assert fewest < shipped < most == 1200
    assert found[shipped] == default_folder()
    for count, folder in found.items():
        assert len(load_policy(folder, model).lines) == count


def test_without_a_harness_the_peers_are_left_out_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--parts", "peers", "--report", str(tmp_path / "report.md")]) == 0
    assert "no harness was named" in capsys.readouterr().err
    assert not (tmp_path / "report.md").exists()


@pytest.fixture
def kept(server_url: str) -> Iterator[str]:
    """A server on which registers are kept while the test runs."""
    yield server_url

    async def drop() -> None:
        connection = await asyncpg.connect(server_url)
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{PREFIX}{CUSTOMERS}" WITH (FORCE)')
        finally:
            await connection.close()

    asyncio.run(drop())


def _requests(operation: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the harness asks with, of its principals."""
    match operation:
        case "W1":
            yield from ((f"tok-customer-{number}", {"id": number}) for number in (500, 1000))
        case "W5":
            yield "tok-customer-500", {"id": 500, "phone": "+386 41 000500"}
        case "W2":
            yield from ((f"tok-carrier-{name}", {"carrier": name.upper()}) for name in ("dpd", "ups"))
        case "W4":
            yield "tok-support", {}
        case _:
            yield "tok-dashboard", {}


@pytest.mark.slow
def test_a_register_is_kept_and_the_endpoint_by_hand_gives_the_gateways_data(
    kept: str, tmp_path: Path
) -> None:
    made = register(kept, CUSTOMERS)
    assert register(kept, CUSTOMERS) == made
    assert len(made.heavy) == CUSTOMERS // 10
    place = place_of(made, tmp_path)
    with ours(place, None, tuple(PROGRAMS)) as servers:
        same_as_by_hand(servers, askers(place), _requests)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(900)
def test_a_quick_run_measures_every_chapter_but_the_peers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.md"
    parts = "start,memory,growth,profile,instructions"
    assert main(["--quick", "--customers", "300", "--parts", parts, "--report", str(report)]) == 0
    text = report.read_text()
    for title in ("Start to first answer", "Memory over distinct operations", "How cost grows"):
        assert f"## {title}" in text
    for way in ("rows", "workers", "the policy", "the result"):
        assert f"### With {way}" in text
    assert "## Where each microsecond goes" in text
    assert "## How many instructions a request takes" in text
    assert str(tmp_path) not in text
