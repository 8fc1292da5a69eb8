"""The benchmark runs, and times nothing where the servers answer differently."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.bench.__main__ import main
from tests.bench.cells import UnequalAnswersError, verified
from tests.bench.servers import GATEWAY, HAND_WRITTEN
from tests.bench.workloads import Call, Workload

ASKED = Workload("W", "two leaves", "{ a b }", (Call({}, {}),))


@contextmanager
def _answering(body: bytes) -> Iterator[int]:
    """The port of a server that answers one request with this body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        yield server.server_port
        thread.join(10)


def test_equal_data_is_counted() -> None:
    ours, theirs = b'{"data": {"a": 1, "b": [2]}}', b'{"data":{"b":[2],"a":1}}'
    with _answering(ours) as one, _answering(theirs) as other:
        found = verified({GATEWAY: one, HAND_WRITTEN: other}, ASKED)
    assert (found.leaves, found.size) == (2, len(b'{"a":1,"b":[2]}'))


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (b'{"data": {"a": 1, "b": ["secret"]}}', r"W: the answers differ at data\.b\[0\]"),
        (b'{"data": {"a": 1}}', "W: the answers differ at data"),
        (b'{"data": null, "errors": [{"message": "refused"}]}', "W: refused"),
    ],
)
def test_different_data_is_refused_without_naming_a_value(theirs: bytes, message: str) -> None:
    ours = b'{"data": {"a": 1, "b": [2]}}'
    with (
        _answering(ours) as one,
        _answering(theirs) as other,
        pytest.raises(UnequalAnswersError, match=f"^{message}$"),
    ):
        verified({GATEWAY: one, HAND_WRITTEN: other}, ASKED)


@pytest.mark.slow
@pytest.mark.alone
def test_a_small_run_verifies_the_answers_and_writes_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.md"
    options = [
        "--parts",
        "cells",
        "--customers",
        "300",
        "--seconds",
        "0.3",
        "--rounds",
        "1",
        "--clients",
        "1,4",
    ]
    assert main([*options, "--report", str(report), "--json"]) == 0
    printed = capsys.readouterr()
    assert "the same data" in printed.err
    found = json.loads(printed.out)
    names = [cell["workload"] for cell in found["cells"]]
    assert names == [name for name in ("W1", "W2", "W3", "W3b", "W4", "W5", "W6") for _ in range(2)]
    assert all(
        cell["gateway"][0]["answers"] and cell["hand_written"][0]["answers"] for cell in found["cells"]
    )
    recorded = {cell["workload"] for cell in found["cells"] if cell["unrecorded"]}
    assert recorded == {"W2", "W3", "W3b", "W4", "W6"}
    assert found["answers"]["W3b"]["leaves"] == 1000
    text = report.read_text()
    assert "## What the numbers say" in text
    assert "## What the record costs" in text
    assert "## What the limits cost" in text
    assert len(found["bound_costs"]["cells"]) == 7
    assert str(tmp_path) not in text
