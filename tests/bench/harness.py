"""The peers' harness, which lies outside the tree: its servers, its questions, its check of the answers.

It is used as it is, in the folder it was set up in; a server is brought in as one more of its targets.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUERIES = Path(__file__).with_name("peer_queries")
SERVER_URL = "postgresql://postgres@127.0.0.1:5433/postgres"
CUSTOMERS = 100_000
PGBENCH_FILES = Path("sql/pgbench")
# Before each cell: how busy the machine may still be, of a core, and how long that is waited for.
QUIET_CORES, PATIENCE_SECONDS = 0.25, 2
Headers = Mapping[str, str]


class NotVerifiedError(Exception):
    """The servers do not answer as the harness asks, so nothing is timed."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who our servers take a principal of the harness to be: headers, and variables by operation."""

    headers: Headers
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Harness:
    """The harness's programs as a module, and what of its peers we started."""

    folder: Path
    module: Any
    started: tuple[str, ...]

    def targets(self, names: Sequence[str]) -> dict[str, Any]:
        """Peers to ask, by name."""
        asked = self.module.ap.parse_args(["run", "--peers", ",".join(names)])
        found: dict[str, Any] = self.module.targets(asked)
        return found

    def ours(self, name: str, port: int, pid: int, askers: Mapping[str, Asker]) -> Any:
        """One of our servers as a target of the harness."""

        class Ours(self.module.Target):  # type: ignore[name-defined,misc]
            def hdr(self, token: str | None) -> dict[str, str]:
                known = askers[token].headers if token is not None and token in askers else {}
                return {"Content-Type": "application/json", "Accept": "application/json", **known}

            def body(self, operation: str, variables: Mapping[str, Any] | None) -> str:
                return body_of(operation, variables, askers)

        return Ours(name, f"http://127.0.0.1:{port}/graphql", QUERIES, pid, loose=True)

    def verify(self, targets: Mapping[str, Any]) -> str:
        """What the harness says of the answers; raises `NotVerifiedError` where they are not right."""
        said = _Said()
        with redirect_stdout(said):
            passed = self.module.verify(dict(targets))
        if not passed:
            wrong = [line for line in said.lines if "MISMATCH" in line or "LEAK" in line]
            raise NotVerifiedError("\n".join([*wrong, "the harness's check of the answers failed"]))
        return "\n".join(said.lines)

    def load(self, target: Any, operation: str, clients: int, seconds: int) -> dict[str, float]:
        """What wrk measures, with the processor time of a request; raises where a request failed."""
        before = self._spent(target)
        found: dict[str, float] = self.module.run_wrk(target, operation, clients, seconds)
        if found.get("fail") or found["err"]:
            raise RuntimeError(f"{target.name}, {operation}: {found}")
        spent = self.module.diff(before, self._spent(target))
        of_each = spent["el"] * 1000 / max(1, found["n"])
        return {**found, "server_ms": spent["srv_cpu"] * of_each, "database_ms": spent["db_cpu"] * of_each}

    def _spent(self, target: Any) -> Any:
        try:
            return self.module.snap(target)
        except ProcessLookupError:  # one of PostgreSQL's processes ended while it was read
            return self.module.snap(target)

    def settle(self) -> None:
        """Waits until the machine is quiet, as the harness does, though not for long."""
        self.module.settle(QUIET_CORES, PATIENCE_SECONDS)

    def may_pgbench(self, operation: str) -> bool:
        """Whether the harness has the operation's SQL in a file for pgbench."""
        return (self.folder / PGBENCH_FILES / f"{operation}.sql").exists()

    def pgbench(self, operation: str, clients: int, seconds: int) -> dict[str, float] | None:
        """What pgbench measures of the harness's own SQL, on the servers' core; None where it does not."""
        found: dict[str, float] = self.module.run_pgbench(operation, clients, seconds)
        return None if found.get("fail") or found["err"] else found


def body_of(operation: str, variables: Mapping[str, Any] | None, askers: Mapping[str, Asker]) -> str:
    """What one of our servers is asked where a peer is asked with these variables."""
    given = dict(variables or {})
    given.pop("carrier", None)  # that is the token's
    if "id" in given:
        given["id"] = askers[f"tok-customer-{given['id']}"].variables["id"]
    body = {"query": (QUERIES / f"{operation}.graphql").read_text(), "variables": given}
    return json.dumps(body if operation == "W0" else {**body, "operationName": operation})


class _Said:
    """What is printed, by lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> int:
        self.lines += [line for line in text.splitlines() if line.strip()]
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def cluster_url(folder: Path) -> str:
    """The harness's cluster as its superuser; it is started where it does not run, and goes on running."""
    control = str(folder.resolve() / "pg-ctl.sh")
    if subprocess.run([control, "status"], capture_output=True).returncode:
        subprocess.run([control, "start"], check=True, stdout=subprocess.DEVNULL)
    return SERVER_URL


@contextmanager
def harness(folder: Path, names: Sequence[str]) -> Iterator[Harness]:
    """The harness with its cluster and these peers running; those that we started are stopped after."""
    with contextlib.chdir(folder):
        cluster_url(folder)
        module = _module(folder / "bench.py")
        _twice(module)
        fresh = tuple(name for name in names if name not in module.pids())
        with redirect_stdout(sys.stderr):
            module.start(list(names))
        try:
            yield Harness(folder, module, fresh)
        finally:
            module.stop(fresh)


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("peers_harness", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    given, sys.argv = sys.argv, [str(path), "nothing"]
    try:
        spec.loader.exec_module(module)
    finally:
        sys.argv = given
    return module


def _twice(module: Any) -> None:
    """Lets every customer take two numbers in turn, so that each update changes something."""
    requests = module.requests

    def in_turn(operation: str, n: int = 200) -> Iterator[tuple[str, Any]]:
        asked = list(requests(operation, n))
        yield from asked
        if operation == "W5":
            for token, variables in asked:
                yield token, {**variables, "phone": variables["phone"].replace("+386 40", "+386 41")}

    module.requests = in_turn
