"""`gateway subject …`: an erasure by hand, and the replay of a ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import cli
from tests.erasing import (
    HELD,
    delivered,
    found_of,
    new_person,
    request_of,
)
from tests.test_audit_restored import other_server as other_server  # a fixture
from tests.world import World
from tests.writing import kept


@pytest.fixture
def commanded(writable: World, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Commands on the world's database, as the login role."""
    settings = writable.gateway.settings
    monkeypatch.setenv("GATEWAY_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("GATEWAY_SIGNING_KEY_FILE", str(settings.signing_key_file))
    return CliRunner()


def test_a_command_previews_an_erasure_and_does_it_at_once(writable: World, commanded: CliRunner) -> None:
    person = new_person(writable)
    delivered(writable, person)
    number = kept(writable, "customer", id=person.key)[0]["number"]
    before = found_of(writable, person)
    shown = commanded.invoke(cli, ["subject", "erase", number, "--dry-run", "--json"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.output)
    assert "Customer.email" in found["erased"]
    assert {"Order.billingName"} <= {one["coordinate"] for one in found["retained"]}
    assert found_of(writable, person) == before
    done = commanded.invoke(cli, ["subject", "erase", number])
    assert done.exit_code == 0, done.output
    assert "gone: Customer.email\n" in done.output
    assert found_of(writable, person) == HELD | {"mail.recipient"}
    assert request_of(writable, person)["handled_by"] == "command"
    again = commanded.invoke(cli, ["subject", "erase", number])
    assert (again.exit_code, str(again.exception)) == (
        1,
        "there is no customer with this number, or no data of theirs any more",
    )


def test_a_replay_without_a_ledger_says_so(writable: World, commanded: CliRunner, tmp_path: Path) -> None:
    for given, said in (
        ([], "name the ledger: `--ledger` or GATEWAY_ERASURE_LEDGER"),
        (["--ledger", str(tmp_path / "none")], "the ledger cannot be read: FileNotFoundError"),
    ):
        found = commanded.invoke(cli, ["subject", "replay", *given])
        assert (found.exit_code, str(found.exception)) == (1, said)
    wrong = tmp_path / "wrong"
    wrong.write_text('{"customer": "x"}\n')
    found = commanded.invoke(cli, ["subject", "replay", "--ledger", str(wrong)])
    assert str(found.exception) == "line 1 of the ledger is no erasure"
    wrong.write_text("")
    found = commanded.invoke(cli, ["subject", "replay", "--ledger", str(wrong), "--json"])
    assert json.loads(found.output) == {"erased": 0, "known": 0, "unknown": 0}
