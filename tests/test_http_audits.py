"""GraphQL over HTTP as others read its specification: the server audits of the npm package `graphql-http`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.npm import run_program
from tests.live import Served

pytestmark = pytest.mark.slow

AUDITS = 60


@pytest.mark.parametrize("name", ["anonymous", "customer", "support", "carrier"])
def test_every_audit_is_passed(live: Served, npm: Path, name: str) -> None:
    """No audit ends with an error, a warning or a notice, whoever asks."""
    given = {"url": live.url, "headers": dict(live.world.askers[name].headers)}
    results = run_program(npm, "audits.mjs", given)
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) >= AUDITS
