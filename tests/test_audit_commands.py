"""`gateway audit …` and the sealing of a worker: told to people and programs, anchored, exported, dropped."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner, Result

from gateway.audit.anchors import Anchor, read_anchors, tell
from gateway.audit.lines import CHAINS, DISCLOSURE
from gateway.chores import chores
from gateway.cli import cli
from gateway.config import Settings
from gateway.database import Database
from gateway.errors import StartError
from gateway.principal import LastUses, utc_now
from tests.logged import Collected
from tests.sealing import (
    NOW,
    Records,
    add,
    as_owner,
    comes_true,
    execute,
    records_database,
    seal_all,
    verified,
)

# Long enough ago that what was sealed then may be dropped now.
LONG_AGO = datetime(2015, 5, 5, 5, 5, 5, 5, tzinfo=UTC)


@pytest.fixture
def records(server_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Records]:
    """Records that the environment names, three of each chain sealed long ago and three now, one not yet."""
    with records_database(server_url) as made:

        async def fill(connection: Any) -> None:
            for moment in (LONG_AGO, utc_now()):
                for chain in CHAINS:
                    await add(connection, chain, 3)
                await seal_all(made.gateway_url, now=moment)
            for chain in CHAINS:
                await add(connection, chain, at=utc_now())

        asyncio.run(as_owner(made.url, fill))
        monkeypatch.setenv("GATEWAY_DATABASE_URL", made.gateway_url)
        monkeypatch.setenv("GATEWAY_KEEPER_DATABASE_URL", made.keeper_url)
        yield made


class Place:
    """A server that keeps what it is sent, and gives it back; it can refuse."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.status = 200
        self.url = ""


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if made.status == 200:
                made.lines.append(body)
            self._answer(b"")

        def do_GET(self) -> None:
            self._answer(b"\n".join(made.lines))

        def _answer(self, body: bytes) -> None:
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        made.url = f"http://127.0.0.1:{server.server_port}/anchors"
        yield made
        server.shutdown()


def run(*arguments: str) -> Result:
    found = CliRunner().invoke(cli, ["audit", *arguments])
    if isinstance(found.exception, StartError):
        raise found.exception
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def count(url: str, table: str) -> int:
    query = f"SELECT count(*) FROM {table}"
    return int(asyncio.run(as_owner(url, lambda connection: connection.fetchval(query))))


def test_people_are_told_that_nothing_was_changed_and_what_was(records: Records) -> None:
    found = run("verify")
    assert found.exit_code == 0
    assert "access_record: 6 records in 2 seals, 1 not sealed yet; newest seal 2: " in found.output
    assert found.output.endswith("nothing was changed\n")
    execute(records.url, "UPDATE disclosure SET purpose = 'x' WHERE number = 5")
    found = run("verify")
    assert found.exit_code == 1
    assert found.output.startswith("disclosure: row 5 was changed (id ")
    assert found.output.endswith("1 findings: the records were changed\n")


def test_programs_are_told_the_same(records: Records) -> None:
    told = json.loads(run("verify", "--json").output)
    assert told["whole"] is True
    assert told["findings"] == []
    chain = told["chains"]["access_record"]
    assert (chain["seals"], chain["sealedRecords"], chain["unsealedRecords"]) == (2, 6, 1)
    assert chain["newestSeal"]["number"] == 2
    execute(records.url, "DELETE FROM access_record WHERE number = 2")
    found = run("verify", "--json")
    assert found.exit_code == 1
    told = json.loads(found.output)
    assert told["findings"] == [{"chain": "access_record", "finding": "ROW_MISSING", "seal": 1, "number": 2}]
    assert told["counts"] == {"ROW_MISSING": 1}


def test_an_export_can_be_verified_without_the_database(records: Records, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    assert run("verify", "--export", str(file)).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    leaves, previous, seals = b"", {chain.name: bytes(32) for chain in CHAINS}, 0
    for line in file.read_text().splitlines():
        told = json.loads(line)
        if "seal" not in told and told["number"] == 7:
            assert told["chain"] in previous  # not sealed yet: behind the last seal of its chain
        elif "seal" not in told:
            leaves += struct.pack(">q", told["number"]) + hashlib.sha256(line.encode()).digest()
        else:
            seal = told["seal"]
            chain = seal["chain"]
            assert hashlib.sha256(leaves).hexdigest() == seal["digest"]
            assert seal["previous"] == previous[chain].hex()
            moment = (
                datetime.fromisoformat(seal["sealedAt"]) - datetime(1970, 1, 1, tzinfo=UTC)
            ) // timedelta(microseconds=1)
            names = ("number", "firstNumber", "lastNumber")
            numbers = struct.pack(">qqqiiq", *(seal[name] for name in names), seal["records"], 1, moment)
            made = previous[chain] + numbers + bytes.fromhex(seal["digest"]) + chain.encode()
            previous[chain] = hashlib.sha256(made).digest()
            assert seal["seal"] == previous[chain].hex()
            leaves, seals = b"", seals + 1
    assert seals == 4


def test_an_export_that_cannot_be_written_is_one_line(records: Records, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot write"):
        run("verify", "--export", str(tmp_path / "missing" / "file"))


def test_seals_are_anchored_in_a_file_and_compared(records: Records, tmp_path: Path) -> None:
    file = tmp_path / "anchors"
    for _ in range(2):  # whoever comes second finds them told
        assert run("anchor", "--to", str(file)).output == "2 seals anchored\n"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["chain"], line["number"]) for line in lines] == [
        ("access_record", 2),
        ("disclosure", 2),
    ]
    assert datetime.fromisoformat(lines[0]["sealed_at"]) > LONG_AGO
    assert run("verify", "--anchor", str(file)).exit_code == 0
    execute(records.url, "DELETE FROM seal WHERE chain = 'disclosure' AND number = 2")
    found = run("verify", "--anchor", str(file))
    assert found.exit_code == 1
    assert "disclosure: seal 2 was anchored and is missing" in found.output
    # What was sealed again, at another moment, is another seal.
    assert asyncio.run(seal_all(records.gateway_url))["disclosure"] == 4
    found = run("verify", "--anchor", str(file))
    assert "disclosure: seal 2 is another than was anchored" in found.output


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    file = tmp_path / "anchors"
    file.write_text('{"chain": "disc')
    told = [Anchor("disclosure", number, bytes(32), NOW) for number in (1, 2)]
    for _ in range(2):
        asyncio.run(tell(str(file), told))
    assert file.read_text().splitlines()[1:] == [one.line() for one in told]


def test_a_record_that_is_not_sealed_in_time_is_a_finding(records: Records) -> None:
    assert run("verify").exit_code == 0
    asyncio.run(
        as_owner(
            records.url, lambda connection: add(connection, DISCLOSURE, at=utc_now() - timedelta(minutes=11))
        )
    )
    found = run("verify")
    assert found.exit_code == 1
    assert found.output.startswith("disclosure: row 8 is not sealed, and should be by now\n")
    assert found.output.endswith("1 findings: the records are not sealed in time\n")
    assert run("verify", "--max-unsealed-minutes", "20").exit_code == 0


def test_seals_are_anchored_at_a_url_and_compared(records: Records, place: Place) -> None:
    assert run("anchor", "--to", place.url).output == "2 seals anchored\n"
    assert {json.loads(line)["chain"] for line in place.lines} == {"access_record", "disclosure"}
    assert run("verify", "--anchor", place.url).exit_code == 0
    execute(records.url, "DELETE FROM seal WHERE number = 2")
    assert run("verify", "--anchor", place.url).exit_code == 1
    place.status = 500
    with pytest.raises(StartError, match="does not take the seals"):
        run("anchor", "--to", place.url)
    with pytest.raises(StartError, match="the anchors cannot be read"):
        run("verify", "--anchor", place.url)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no anchor"),
        ("{}", "line 1 of the anchors is no anchor"),
        ("[1]", "line 1 of the anchors is no anchor"),
        ('{"chain": "other", "number": 1, "seal": "' + "00" * 32 + '"}', "is no anchor"),
        ('{"chain": "disclosure", "number": "1", "seal": "' + "00" * 32 + '"}', "is no anchor"),
        ('{"chain": "disclosure", "number": 1, "seal": "00"}', "is no anchor"),
    ],
)
def test_what_is_no_anchor_passes_for_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "anchors").write_text(text)
    with pytest.raises(StartError, match=message):
        asyncio.run(read_anchors(str(tmp_path / "anchors")))


@pytest.mark.parametrize(
    "url", ["http://store.example/", "ftp://store.example/", "https://a:b@store.example/"]
)
def test_an_anchor_is_told_where_nobody_can_change_it_on_the_way(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql:///")
    with pytest.raises(ValidationError, match="an anchor is a file or"):
        Settings(anchor=url)
    with pytest.raises(StartError, match="`--to`: an anchor is a file or"):
        run("anchor", "--to", url)


def test_batches_are_dropped_whole_once_their_time_is_over(records: Records, tmp_path: Path) -> None:
    anchors = str(tmp_path / "anchors")
    run("anchor", "--to", anchors)
    tried = run("drop", "--dry-run")
    assert tried.output.splitlines() == [
        "access_record: 3 records in 1 seals would be dropped",
        "disclosure: 3 records in 1 seals would be dropped",
    ]
    assert count(records.url, "access_record") == 7
    assert run("drop").exit_code == 0
    assert [count(records.url, chain.name) for chain in CHAINS] == [4, 4]
    told = json.loads(run("verify", "--json", "--anchor", anchors).output)
    assert told["whole"] is True
    assert told["chains"]["disclosure"]["droppedSeals"] == 1
    assert json.loads(run("drop", "--json").output) == [
        {"chain": chain.name, "seals": 0, "records": 0, "left": []} for chain in CHAINS
    ]
    # What comes after is sealed behind what was dropped.
    assert asyncio.run(seal_all(records.gateway_url)) == {"access_record": 1, "disclosure": 1}
    assert verified(records.url, now=utc_now()).is_whole


def test_a_batch_that_was_tampered_with_is_left_for_people_to_see(records: Records) -> None:
    execute(records.url, "UPDATE access_record SET purpose = 'x' WHERE number = 2")
    for arguments in (("drop", "--dry-run"), ("drop",)):
        found = run(*arguments)
        assert found.exit_code == 1
        assert "access_record: seal 1 does not fit its records, which are left" in found.output
    assert [count(records.url, chain.name) for chain in CHAINS] == [7, 4]
    assert run("verify").output.startswith("access_record: row 2 was changed")


def test_a_batch_whose_seal_was_changed_is_left(records: Records) -> None:
    """A moment that was set back does not end the time of what was sealed later."""
    execute(records.url, "CREATE TABLE sound AS SELECT * FROM seal WHERE chain = 'access_record'")
    for change in (
        "leaves = leaves || leaves WHERE number = 1",
        "leaves = NULL WHERE number = 1",
        "digest = previous WHERE number = 1",
        "line_version = 9 WHERE number = 1",
        "sealed_at = '2015-01-01Z' WHERE number = 2",
    ):
        execute(records.url, f"UPDATE seal SET {change} AND chain = 'access_record'")
        found = run("drop")
        assert found.exit_code == 1
        left = 7 if change.endswith("1") else 4  # of the sound seal before it the records were dropped
        assert count(records.url, "access_record") == left
        execute(
            records.url,
            "DELETE FROM seal WHERE chain = 'access_record'",
            "INSERT INTO seal SELECT * FROM sound",
        )


def test_nothing_is_dropped_without_the_role_that_may(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_KEEPER_DATABASE_URL", records.gateway_url)
    with pytest.raises(StartError, match="the database refuses: InsufficientPrivilegeError"):
        run("drop")
    monkeypatch.delenv("GATEWAY_KEEPER_DATABASE_URL")
    with pytest.raises(StartError, match="GATEWAY_KEEPER_DATABASE_URL: field required"):
        run("drop")
    assert count(records.url, "access_record") == 7


def test_a_worker_seals_and_anchors_what_is_new_and_tries_again(records: Records, tmp_path: Path) -> None:
    """Its anchor cannot be written at first: it is told later, and nothing else waits for it."""
    folder = tmp_path / "later"
    settings = Settings(
        database_url=records.gateway_url,
        seal_seconds=0.02,
        anchor=str(folder / "anchors"),
        anchor_minutes=0.02 / 60,
    )

    async def are_sealed() -> bool:
        query = "SELECT bool_and(last >= 7) FROM (SELECT max(last_number) FROM seal GROUP BY chain) s(last)"
        return bool(await as_owner(records.url, lambda connection: connection.fetchval(query)))

    async def is_anchored(number: int) -> bool:
        file = folder / "anchors"
        return file.exists() and f'"number": {number},' in file.read_text()

    async def steps() -> None:
        database = Database(settings)
        async with (
            chores(settings, database, lambda: NOW, LastUses()),
            chores(settings, database, lambda: NOW, LastUses()),
        ):
            await comes_true(are_sealed)
            folder.mkdir()
            await comes_true(lambda: is_anchored(3))
            await as_owner(records.url, lambda connection: add(connection, DISCLOSURE))
            await comes_true(lambda: is_anchored(4))
        await database.close()

    asyncio.run(steps())
    assert run("verify", "--anchor", str(folder / "anchors")).exit_code == 0
    # A seal is told once, whichever worker does.
    lines = (folder / "anchors").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 3


def test_a_chore_of_sealing_goes_on_where_the_database_failed(records: Records, logged: Collected) -> None:
    settings = Settings(database_url=records.gateway_url, seal_seconds=0.02)

    async def has_failed() -> bool:
        failed = [line for line in logged.lines if b'"chore":"sealing"' in line]
        return any(b"UndefinedTableError" in line and b"42P01" in line for line in failed)

    async def is_sealed() -> bool:
        query = "SELECT count(*) = 3 FROM seal WHERE chain = 'disclosure'"
        return bool(await as_owner(records.url, lambda connection: connection.fetchval(query)))

    async def rename(statement: str) -> None:
        await as_owner(records.url, lambda connection: connection.execute(statement))

    async def steps() -> None:
        database = Database(settings)
        await rename("ALTER TABLE seal RENAME TO away")
        async with chores(settings, database, lambda: NOW, LastUses()):
            await comes_true(has_failed)
            await rename("ALTER TABLE away RENAME TO seal")
            await comes_true(is_sealed)
        await database.close()

    asyncio.run(steps())
