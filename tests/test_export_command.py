"""`gateway subject export`: a copy for who asks by letter, in a file its owner alone reads, on record."""

from __future__ import annotations

import hashlib
import json
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.errors import StartError
from gateway.privacy.by_letter import COMMAND, OPERATION
from schema.scalars import global_id
from tests.exporting import VALIDATOR, customer_of
from tests.world import World
from tests.writing import kept


@pytest.fixture
def register(writable: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The register that the environment names, as its owner."""
    monkeypatch.setenv("GATEWAY_DATABASE_URL", writable.url)
    monkeypatch.setenv("GATEWAY_OWNER_DATABASE_URL", writable.url)
    return writable


def run(*arguments: object) -> str:
    found = CliRunner().invoke(cli, ["subject", "export", *map(str, arguments)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def numbered(world: World) -> tuple[uuid.UUID, str]:
    """The key and the number of the first printed customer."""
    (row,) = kept(world, "customer", id=customer_of(world))
    return row["id"], row["number"]


def written(path: Path) -> Any:
    """What was written, which fits the schema."""
    found = json.loads(path.read_bytes())
    assert [error.message for error in VALIDATOR.iter_errors(found)] == []
    return found


def test_the_copy_goes_to_a_file_that_its_owner_alone_may_read(register: World, tmp_path: Path) -> None:
    customer, number = numbered(register)
    path = tmp_path / "copy.json"
    said = json.loads(run("--number", number, "--output", path, "--json"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = written(path)
    assert found["subject"] == said["customer"] == global_id("Customer", customer)
    assert found["request"] == said["subjectRequest"]
    assert said["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (said["bytes"], said["output"]) == (path.stat().st_size, str(path))


def test_it_is_a_request_and_on_the_record_and_no_copy_is_kept(register: World, tmp_path: Path) -> None:
    customer, _ = numbered(register)
    before = len(kept(register, "export_document"))
    run("--id", customer, "--output", tmp_path / "copy.json")
    request = max(kept(register, "subject_request", customer_id=customer), key=lambda row: row["id"])
    wanted = ("EXPORT", "EMPLOYEE", "COMPLETED", "ACCEPTED", COMMAND)
    assert tuple(request[name] for name in ("kind", "channel", "status", "decision", "handled_by")) == wanted
    record = max(kept(register, "access_record", principal_id=COMMAND), key=lambda row: row["id"])
    assert (record["subject_ids"], record["purpose"]) == ([customer], "subject-rights")
    assert record["operation_name"] == OPERATION
    assert {"Customer.email", "Order.internalNote", "Delivery.recipientName"} <= set(record["fields"])
    assert len(kept(register, "export_document")) == before
    shown = written(tmp_path / "copy.json")["parts"]["lookUps"]["rows"]
    assert global_id("AccessRecord", record["id"]) in [one["id"] for one in shown]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say whose"),
        (("--number", "C-1", "--id", str(uuid.uuid4())), "say whose"),
        (("--id", "no key"), "is a UUID"),
        (("--number", "C-nobody"), "knows no such customer"),
        (("--id", str(uuid.uuid4())), "knows no such customer"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_leaves_no_file(
    register: World, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    path = tmp_path / "copy.json"
    with pytest.raises(StartError, match=message):
        run(*arguments, "--output", path)
    assert not path.exists()


def test_a_file_that_is_there_is_not_touched_and_nothing_recorded(register: World, tmp_path: Path) -> None:
    _, number = numbered(register)
    path, before = tmp_path / "copy.json", len(kept(register, "access_record", principal_id=COMMAND))
    path.write_text("mine")
    with pytest.raises(StartError, match="cannot be made"):
        run("--number", number, "--output", path)
    assert path.read_text() == "mine"
    assert len(kept(register, "access_record", principal_id=COMMAND)) == before


def test_no_file_is_left_where_the_record_cannot_be_written(register: World, tmp_path: Path) -> None:
    _, number = numbered(register)
    path = tmp_path / "copy.json"
    forbid = "ALTER TABLE access_record ADD CONSTRAINT test_none CHECK (principal_id <> 'command') NOT VALID"
    register.execute(forbid)
    try:
        with pytest.raises(StartError, match="the database does not answer"):
            run("--number", number, "--output", path)
    finally:
        register.execute("ALTER TABLE access_record DROP CONSTRAINT test_none")
    assert not path.exists()


def test_the_schema_is_printed() -> None:
    found = CliRunner().invoke(cli, ["subject", "schema"], catch_exceptions=False)
    assert json.loads(found.output)["properties"]["parts"]
