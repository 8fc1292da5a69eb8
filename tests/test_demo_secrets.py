"""The demo's secrets stop the start of `gateway serve`, run as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.app import from_environment
from gateway.append_only import refuse_who_may_change_records
from gateway.demo_secrets import mark_database, mark_key
from gateway.errors import StartError
from gateway.migrate import migrate
from gateway.principal import SigningKey
from tests.conftest import limited_database
from tests.sealing import execute
from tests.test_demo import PATIENCE_SECONDS, demo, folder, run

__all__ = ["folder"]
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
COMMAND = [sys.executable, "-c", "from gateway.cli import main; main()", "serve", "--port", "0"]


def new_key(path: Path, *, of_demo: bool = False) -> Path:
    SigningKey.create(path)
    if of_demo:
        mark_key(path)
    return path


def refusal(url: str, key: Path, *former: Path) -> str:
    """The one line that `gateway serve` ends with, at once."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    given = {
        "GATEWAY_DATABASE_URL": url,
        "GATEWAY_SIGNING_KEY_FILE": str(key),
        "GATEWAY_FORMER_KEY_FILES": json.dumps([str(path) for path in former]),
    }
    found = subprocess.run(
        COMMAND, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=kept | given, check=False
    )
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (1, "", 1)
    return found.stderr


def test_the_demos_key_stops_the_start_before_the_database_is_asked(tmp_path: Path) -> None:
    own, demos = new_key(tmp_path / "own.pem"), new_key(tmp_path / "demo.pem", of_demo=True)
    for key, *former in ((demos,), (own, demos)):
        line = refusal(NOWHERE, key, *former)
        assert f"signing key {demos}: is the demo's" in line
        assert "gateway token --new-key" in line
    assert "the database cannot be reached" in refusal(NOWHERE, own, own)


def test_a_worker_does_not_start_with_the_demos_key_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", NOWHERE)
    monkeypatch.setenv("GATEWAY_SIGNING_KEY_FILE", str(new_key(tmp_path / "key.pem", of_demo=True)))
    with pytest.raises(StartError, match="is the demo's"):
        from_environment()


def test_a_marked_key_is_the_same_key_and_marked_once(tmp_path: Path) -> None:
    path = new_key(tmp_path / "key.pem")
    before, text = SigningKey.load(path).published(), path.read_bytes()
    for _ in range(2):
        mark_key(path)
    assert path.read_bytes().endswith(text)
    assert path.read_bytes().count(b"\n") == text.count(b"\n") + 1
    assert SigningKey.load(path).published() == before
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_demos_database_stops_the_start(fresh_database: str, tmp_path: Path) -> None:
    migrate(fresh_database)
    mark_database(fresh_database)
    mark_database(fresh_database)
    key = new_key(tmp_path / "key.pem")
    assert "the database is the demo's" in refusal(fresh_database, key)


@pytest.mark.parametrize(
    "right",
    [
        "UPDATE (at) ON access_record",
        "DELETE ON disclosure",
        "TRUNCATE ON seal",
        "UPDATE ON disclosure",
    ],
)
def test_who_may_change_what_was_recorded_does_not_serve(server_url: str, right: str) -> None:
    with limited_database(server_url) as (url, limited):
        refuse_who_may_change_records(limited)
        role = limited.rpartition("=")[2]
        execute(url, f'GRANT {right} TO "{role}"')
        with pytest.raises(StartError, match="may change or delete what was recorded"):
            refuse_who_may_change_records(limited)


def test_the_owner_of_the_records_does_not_serve(fresh_database: str, tmp_path: Path) -> None:
    migrate(fresh_database)
    line = refusal(fresh_database, new_key(tmp_path / "key.pem"))
    assert "may change or delete what was recorded, or owns it" in line


@pytest.mark.slow
def test_nothing_a_running_demo_made_is_served_by_another_gateway(folder: Path, tmp_path: Path) -> None:
    with demo(folder, "--customers", "30"):
        data = folder / "data"
        url = json.loads((data / "running.json").read_text())["gateway_url"]
        assert "signing key" in refusal(url, data / "signing-key.pem")
        assert "the database is the demo's" in refusal(url, new_key(tmp_path / "key.pem"))
        made = run("token", "--as", "carrier", "--id", "DHL", "--data-dir", str(data))
        assert made.stdout.startswith("crp_")
