"""The benchmark runs, and times nothing before both servers have answered the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.__main__ import main


@pytest.mark.slow
def test_a_small_run_verifies_the_answers_and_writes_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.md"
    options = ["--customers", "300", "--seconds", "0.3", "--rounds", "1", "--clients", "1,4"]
    assert main([*options, "--report", str(report), "--json"]) == 0
    printed = capsys.readouterr()
    assert "the same data" in printed.err
    found = json.loads(printed.out)
    assert [cell["workload"] for cell in found["cells"]] == ["W1", "W1", "W2", "W2", "W3", "W3", "W3b", "W3b"]
    assert all(
        cell["gateway"][0]["answers"] and cell["hand_written"][0]["answers"] for cell in found["cells"]
    )
    assert found["answers"]["W3b"]["leaves"] == 1000
    text = report.read_text()
    assert "## What the numbers say" in text
    assert str(tmp_path) not in text
