"""What the tests stand on: a real PostgreSQL, migrated and seeded, and the gateway over HTTP in process."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from hypothesis import settings

from gateway.demo.embedded import running
from gateway.logs import Libraries, open_log
from gateway.migrate import migrate
from tests.clients.npm import node_modules
from tests.designating import Person, undesignated
from tests.desk import Desk, desk_of, issuer_of_each_kind
from tests.issuer import Issuer
from tests.live import Served, served
from tests.logged import COLLECTED, Collected, leaks
from tests.world import MADE, World, make_world

if TYPE_CHECKING:
    from tests.retaining import Store

# No example is to be quick: what is loaded when it is first needed is loaded in one of them.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

WORKERS = 2
SERVER = "GATEWAY_TEST_DATABASE_URL"


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For `-n auto`: each worker has a server and a world of its own, and takes whole files.

    One process runs what is named by file or test, as there is too little to share, and what takes slow
    tests in that go `alone`, as they measure times; and all of it on a server that is given, where the
    transactions of another would keep records unsealed and its connections be as many.
    """
    has_alone = config.option.markexpr not in ("not slow", "slow and not alone")
    shares = not has_alone and all(Path(arg).is_dir() for arg in config.args)
    return WORKERS if shares and SERVER not in os.environ else 0


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks what stands on the server, and so runs on each kind of server there is."""
    if "server_url" in getattr(item, "fixturenames", ()):
        item.add_marker("database")


def pytest_configure() -> None:
    """Whatever is logged in this process, from the first test on, is collected."""
    open_log("debug", COLLECTED.write, readable=False)
    logging.getLogger().addHandler(Libraries())


def pytest_runtest_setup() -> None:
    COLLECTED.lines.clear()
    # A test before may have opened the log anew, as a worker does.
    open_log("debug", COLLECTED.write, readable=False)


@pytest.fixture
def logged() -> Collected:
    """What is logged while the test runs."""
    return COLLECTED


@pytest.fixture(scope="session", autouse=True)
def _nothing_personal_is_told() -> Iterator[None]:
    """After all tests of this process no personal value stands in its log, errors or records of access."""
    yield
    found = leaks(COLLECTED.distinct, COLLECTED.needles)
    assert found == [], f"{len(found)} personal values were told"


@contextmanager
def _owner_url() -> Iterator[str]:
    """A server to make databases on: the one of the environment, else the embedded one."""
    given = os.environ.get(SERVER)
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="gateway-tests-", dir="/tmp") as folder:  # short path
        Path(folder).chmod(0o755)
        with running(Path(folder) / "data") as server:
            yield server.owner_url


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    with _owner_url() as url:
        yield url


def _execute(url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def _other_database(url: str, name: str) -> str:
    base, mark, query = url.partition("?")
    return f"{base.rpartition('/')[0]}/{name}{mark}{query}"


@contextmanager
def new_database(server_url: str) -> Iterator[str]:
    name = f"gateway_test_{uuid.uuid4().hex}"
    _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE template0 ENCODING UTF8')
    try:
        yield _other_database(server_url, name)
    finally:
        _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def login_role(server_url: str) -> Iterator[str]:
    """The name of a role with no rights; a connection takes it on with the parameter `role`."""
    name = f"gateway_role_{uuid.uuid4().hex}"
    _execute(server_url, f'CREATE ROLE "{name}"')
    try:
        yield name
    finally:
        _execute(server_url, f'DROP ROLE "{name}"')


@contextmanager
def limited_database(server_url: str) -> Iterator[tuple[str, str]]:
    """The URLs of a migrated database as its owner, and with the rights of the login role and no more."""
    with login_role(server_url) as role, new_database(server_url) as url:
        migrate(url, role=role)
        yield url, f"{url}{'&' if '?' in url else '?'}role={role}"


@pytest.fixture
def fresh_database(server_url: str) -> Iterator[str]:
    """The owner's URL of an empty database."""
    with new_database(server_url) as url:
        yield url


@pytest.fixture(scope="module", autouse=True)
def _rows_are_read_anew() -> None:
    """What a gateway of another module did to a shared world, such as noting last uses, is seen."""
    for known in MADE:
        if (found := known()) is not None:
            found.forget()


@pytest.fixture(scope="session")
def world(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A small seeded register and the gateway in front of it, its clock in the tests' hands."""
    with ExitStack() as stack:
        url = stack.enter_context(new_database(server_url))
        yield stack.enter_context(make_world(url, tmp_path_factory.mktemp("keys")))


@pytest.fixture(scope="session")
def writable(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world like `world` on a database of its own, for tests that change it.

    Its gateway has the rights of the login role and no more.
    """
    with limited_database(server_url) as (url, limited):
        folder = tmp_path_factory.mktemp("keys")
        with make_world(url, folder, database_url=limited) as world:
            yield world


@pytest.fixture(scope="session")
def live(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A register of its own, that tests may change, behind a real server on loopback."""
    with ExitStack() as stack:
        url, limited = stack.enter_context(limited_database(server_url))
        folder = tmp_path_factory.mktemp("live")
        world = stack.enter_context(make_world(url, folder, database_url=limited))
        yield stack.enter_context(served(world))


@pytest.fixture
def person(writable: World) -> Iterator[Person]:
    """An employee without a designation."""
    with undesignated(writable) as found:
        yield found


@pytest.fixture(scope="session")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the JavaScript packages of `tests/clients/packages.json`; skips where there are none."""
    return node_modules(tmp_path_factory.mktemp("npm"))


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer with one key of each kind."""
    with issuer_of_each_kind() as found:
        yield found


@pytest.fixture
def desk(world: World, issuer: Issuer) -> Iterator[Desk]:
    """A gateway that takes the issuer's tokens, and an employee the issuer knows."""
    with desk_of(world, issuer) as found:
        yield found


@pytest.fixture
def nothing_waits(request: pytest.FixtureRequest) -> None:
    """Nothing that another test has left in `writable` waits to be done, sent or told."""
    from tests.erasing import quiet  # it stands on what is above

    if "writable" in request.fixturenames:
        quiet(request.getfixturevalue("writable"))


@pytest.fixture(scope="module")
def shop(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An empty register of the module's own, and its keeper."""
    from tests.retaining import store  # it stands on what is above

    with store(server_url, tmp_path_factory.mktemp("keys")) as made:
        yield made
