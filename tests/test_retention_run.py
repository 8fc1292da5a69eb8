"""The run itself: once by whoever comes, on behind a crash, as a command and by a worker once a day."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from gateway.chores import chores
from gateway.cli import cli
from gateway.config import Settings
from gateway.database import Database
from gateway.errors import StartError
from gateway.policy_files.values import Moment
from gateway.principal import LastUses
from gateway.privacy.retention.daily import Daily, once_a_day
from gateway.privacy.retention.run import Busy
from tests.retaining import POLICY, Store, noon, store
from tests.sealing import comes_true

DAY = "2026-03-01"
# Enough for several batches of customers whose time is over, and who were warned.
MANY = """
INSERT INTO customer (id, number, first_name, email, unsubscribe_token, created_at, last_active_at)
SELECT overlay(md5('c' || n)::uuid::text PLACING lpad(to_hex(n), 8, '0') FROM 1)::uuid, 'C-' || n, 'Aino',
       n || '@store.example', 'token-' || n, '2020-01-01Z', '2024-01-01Z' FROM generate_series(1, 1200) n"""
WARNED = "INSERT INTO retention_warning SELECT id, '2026-01-01Z' FROM customer"
# What is not made at random.
COMPARED = (
    "SELECT id, number, first_name, email, status, erased_at, version FROM customer ORDER BY id",
    "SELECT entity_id, field, source, actor, at FROM change ORDER BY entity_id, field",
    "SELECT customer_id FROM retention_warning ORDER BY 1",
    "SELECT rule, rows, after_id, finished_at FROM retention_run ORDER BY rule",
)


@pytest.fixture
def shop(server_url: str, tmp_path: Path) -> Iterator[Store]:
    with store(server_url, tmp_path) as made:
        made.sql(MANY)
        made.sql(WARNED)
        yield made


def state(shop: Store) -> list[list[tuple[Any, ...]]]:
    return [[tuple(row) for row in shop.sql(query)] for query in COMPARED]


@contextmanager
def begun(shop: Store, *arguments: str, screen: int = subprocess.PIPE) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own; `screen` takes what it says on standard error."""
    environment = os.environ | {
        "GATEWAY_DATABASE_URL": shop.url,
        "GATEWAY_KEEPER_DATABASE_URL": shop.keeper_url,
        "GATEWAY_SIGNING_KEY_FILE": str(shop.settings.signing_key_file),
    }
    program = "from gateway.cli import main; main()"
    command = [sys.executable, "-c", program, "retention", "run", "--at", DAY, *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=screen) as process:
        try:
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def standing(shop: Store, place: int) -> AsyncIterator[Callable[[], Any]]:
    """Holds a customer's row, so that a run waits there; gives what waits until one does."""
    blocker, looker = await asyncpg.connect(shop.url), await asyncpg.connect(shop.url)
    transaction = blocker.transaction()
    await transaction.start()
    query = (
        "SELECT 1 FROM customer WHERE id = (SELECT id FROM customer ORDER BY id OFFSET $1 LIMIT 1) FOR UPDATE"
    )
    await blocker.fetchval(query, place)
    waits = """SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'gateway retention'
        AND datname = current_database() AND wait_event_type = 'Lock')"""

    async def waiting() -> None:
        await comes_true(lambda: looker.fetchval(waits))

    try:
        yield waiting
    finally:
        await transaction.rollback()
        gone = """SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
            AND application_name = 'gateway retention')"""
        await comes_true(lambda: looker.fetchval(gone))
        await blocker.close()
        await looker.close()


def test_a_run_that_was_killed_goes_on_and_ends_as_one_that_was_not(
    shop: Store, server_url: str, tmp_path: Path
) -> None:
    async def killed() -> None:
        with begun(shop) as process:
            async with standing(shop, 700) as waiting:
                await waiting()
                process.send_signal(signal.SIGKILL)
                await asyncio.to_thread(process.wait)

    asyncio.run(killed())
    (run,) = shop.sql("SELECT * FROM retention_run WHERE rule = 'accounts'")
    assert (run["rows"], run["finished_at"]) == (500, None)
    assert len([row for row in shop.rows("customer") if row["erased_at"] is not None]) == 500
    now = datetime.fromisoformat(f"{DAY}T00:00:00+00:00")
    rest = shop.run(now)
    assert len([one for one in rest if one.table == "customer"]) == 700
    with store(server_url, tmp_path) as other:
        other.sql(MANY)
        other.sql(WARNED)
        other.run(now)
        assert state(shop) == state(other)


def test_of_two_at_once_one_does_it_and_the_other_says_so(shop: Store) -> None:
    async def both() -> bytes:
        with begun(shop) as first:
            async with standing(shop, 700) as waiting:
                await waiting()
                with begun(shop) as second:
                    _, told = await asyncio.to_thread(second.communicate)
                assert second.returncode == 1
                with pytest.raises(Busy):
                    await Daily(shop.settings, POLICY).run(noon(DAY))
            assert await asyncio.to_thread(first.wait) == 0
            return told

    told = asyncio.run(both())
    assert told == b"gateway: another instance is at it: it does all of it\n"
    noted = shop.sql("SELECT entity_id, field FROM change")
    assert len(noted) == len(set(map(tuple, noted))) == 1200 * 4
    assert {row["status"] for row in shop.rows("customer")} == {"ERASED"}


def test_a_second_run_of_the_day_changes_nothing(shop: Store) -> None:
    shop.run(DAY)
    before = state(shop)[:3]
    assert shop.run(DAY) == []
    assert state(shop)[:3] == before


def test_another_policy_begins_anew(shop: Store) -> None:
    key = uuid.UUID(int=2**128 - 1)
    shop.insert(
        "retention_run",
        day=noon(DAY).date(),
        rule="accounts",
        policy_version="another",
        started_at=noon(DAY),
        after_id=key,
    )
    assert len([one for one in shop.run(DAY) if one.table == "customer"]) == 1200


# ---------------------------------------------------------------- the command


def command(shop: Store, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", shop.url)
    monkeypatch.setenv("GATEWAY_KEEPER_DATABASE_URL", shop.keeper_url)
    monkeypatch.setenv("GATEWAY_SIGNING_KEY_FILE", str(shop.settings.signing_key_file))
    found = CliRunner().invoke(cli, ["retention", "run", *arguments])
    if isinstance(found.exception, StartError):
        raise found.exception
    assert found.exception is None, found.exception
    return found.output


def test_a_dry_run_lists_what_a_run_changes_and_changes_nothing_itself(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(shop)
    foretold = json.loads(command(shop, monkeypatch, "--dry-run", "--json", "--at", DAY))
    assert (state(shop), foretold["day"], foretold["dryRun"]) == (before, DAY, True)
    done = json.loads(command(shop, monkeypatch, "--json", "--at", DAY))
    assert done["rows"] == foretold["rows"]
    assert done["counts"] == foretold["counts"]
    row = next(one for one in done["rows"] if one["table"] == "customer")
    assert set(row) == {"rule", "table", "id", "fields"}
    assert set(row["fields"]) == {"first_name", "email", "number", "unsubscribe_token", "status", "erased_at"}
    again = command(shop, monkeypatch, "--at", DAY)
    assert f"nothing is due on {DAY}" in again


def test_nothing_that_is_listed_is_a_value(shop: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (("--dry-run",), ("--dry-run", "--json"), ()):
        printed = command(shop, monkeypatch, *arguments, "--at", DAY)
        assert "Aino" not in printed
        assert "@store.example" not in printed
    assert "R-ACCOUNT customer: 1200 rows changed" in printed


COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SLOW = """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(0.003); RETURN NEW; END $$"""
SLOW_ROWS = "CREATE TRIGGER slow BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION slow()"


def test_who_waits_at_a_terminal_sees_how_far_it_is(shop: Store) -> None:
    shop.sql(SLOW)
    shop.sql(SLOW_ROWS)
    terminal, screen = pty.openpty()
    with begun(shop, screen=screen) as process:
        os.close(screen)
        drawn = COLOUR.sub("", "".join(shown(terminal)))
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "1200 rows changed" in said.decode()
    assert re.search(r"R-[A-Z]+ [a-z_]+ .*━.* [0-9]+/[0-9]+ 500 rows 0:00:0[0-9]", drawn)
    assert "Aino" not in drawn


def shown(terminal: int) -> Iterator[str]:
    """What is drawn on a terminal until nobody has it open."""
    with open(terminal, "rb", buffering=0) as drawing:
        while True:
            try:
                yield drawing.read(4096).decode(errors="replace")
            except OSError:  # how Linux tells that the other side is closed
                return


def test_without_the_keepers_url_nothing_is_done(shop: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", shop.url)
    monkeypatch.delenv("GATEWAY_KEEPER_DATABASE_URL", raising=False)
    found = CliRunner().invoke(cli, ["retention", "run", "--at", DAY])
    assert isinstance(found.exception, StartError)
    assert "GATEWAY_KEEPER_DATABASE_URL" in str(found.exception)


# ---------------------------------------------------------------- a worker


def test_a_worker_runs_it_once_a_day_from_its_hour_on(shop: Store) -> None:
    chore = once_a_day(shop.settings.model_copy(update={"retention_hour": 3}))
    night = datetime(2026, 3, 1, tzinfo=UTC)
    found = [asyncio.run(chore(night + timedelta(hours=hour))) for hour in (2.9, 3, 23)]
    assert [bool(count) for count in found] == [False, True, False]
    shop.sql("UPDATE customer SET email = 'late@store.example' WHERE number LIKE 'E-%'")
    assert asyncio.run(chore(night + timedelta(hours=26))) == 0
    assert asyncio.run(chore(night + timedelta(hours=27))) > 0


def test_the_chores_of_a_worker_have_it_where_the_settings_say_so(shop: Store) -> None:
    async def until_done(hour: int | None) -> int:
        settings = shop.settings.model_copy(update={"retention_hour": hour})
        database, looker = Database(settings), await asyncpg.connect(shop.url)
        left = "SELECT NOT EXISTS (SELECT FROM customer WHERE erased_at IS NULL)"
        try:
            async with chores(settings, database, lambda: noon(DAY), LastUses()):
                if hour is not None:
                    await comes_true(lambda: looker.fetchval(left))
            return int(await looker.fetchval("SELECT count(*) FROM customer WHERE erased_at IS NOT NULL"))
        finally:
            await looker.close()
            await database.close()

    assert [asyncio.run(until_done(hour)) for hour in (None, 3)] == [0, 1200]


def test_a_worker_that_shall_run_it_needs_the_keepers_url() -> None:
    with pytest.raises(ValidationError, match="GATEWAY_RETENTION_HOUR goes with GATEWAY_KEEPER_DATABASE_URL"):
        Settings(database_url="postgresql://x@127.0.0.1/x", retention_hour=3)


def test_a_rule_that_runs_from_another_moment_is_refused_and_not_guessed(shop: Store) -> None:
    rule = replace(POLICY.retention["R-CONTACT"], after=Moment.REFUND)
    policy = replace(POLICY, retention={**POLICY.retention, "R-CONTACT": rule})
    with pytest.raises(StartError, match="`R-CONTACT` only as `after: delivery end`"):
        asyncio.run(Daily(shop.settings, policy).run(noon(DAY), dry=True))
    assert shop.rows("retention_run") == []
