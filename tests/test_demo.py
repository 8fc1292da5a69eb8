"""`gateway demo` and its neighbours as a person runs them: real processes, real exit statuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic import command
from sqlalchemy import Connection, text

from gateway.demo.products import PRODUCTS
from gateway.migrate import migration_config, on_database

# Each of these starts a process of its own or waits for one.
pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-c", "from gateway.program import main; main()"]
PATIENCE_SECONDS = 90
NAMES = {
    *("anonymous", "customer", "customer-2", "support", "undesignated", "register-admin", "warehouse"),
    *("finance", "marketing", "analyst", "privacy-officer", "carrier", "carrier-2", "newsletter"),
}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**kept, **environment},
        check=False,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user can reach."""
    with tempfile.TemporaryDirectory(prefix="gateway-demo-", dir="/tmp") as name:  # short path
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A running demo and its credentials; it is interrupted at the end, as Ctrl-C does."""
    credentials = folder / "credentials.json"
    credentials.unlink(missing_ok=True)
    given = ["--port", "0", "--data-dir", str(folder / "data"), "--credentials", str(credentials)]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen([*COMMAND, "demo", *given, *arguments], stdout=output, stderr=output)
    try:
        yield process, wait_until_serving(process, credentials, folder / "output")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_SECONDS)


def wait_until_serving(process: Any, credentials: Path, output: Path) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, output.read_text()
        if "serving" in output.read_text(errors="replace"):  # it may end within a character
            found: dict[str, Any] = json.loads(credentials.read_text())
            ready = found["url"].replace("/graphql", "/readyz")
            try:
                if httpx.get(ready).status_code == 200:
                    return found
            except httpx.TransportError:
                pass  # not listening yet: asked again until the deadline
        time.sleep(0.05)
    raise AssertionError(output.read_text())


def ask(credentials: dict[str, Any], name: str, query: str, **headers: str) -> Any:
    principal = next(one for one in credentials["principals"] if one["name"] == name)
    body = httpx.post(credentials["url"], json={"query": query}, headers={**principal["headers"], **headers})
    return body.json()


def test_the_demo_serves_everybody_keeps_its_data_and_stops_with_its_database(folder: Path) -> None:
    numbers = "{ orders(first: 100) { nodes { number } } }"
    with demo(folder, "--customers", "60") as (process, first):
        assert {one["name"] for one in first["principals"]} == NAMES
        assert (folder / "credentials.json").stat().st_mode & 0o777 == 0o600
        assert ask(first, "undesignated", "{ viewer { role } }")["data"]["viewer"] == {"role": None}
        before = ask(first, "support", numbers)["data"]
        mine = ask(first, "customer", "{ customers { nodes { id } } }")["data"]["customers"]["nodes"]
        assert mine == [{"id": next(one["id"] for one in first["principals"] if one["name"] == "customer")}]
        running = json.loads((folder / "data" / "running.json").read_text())
        made = run("token", "--as", "carrier", "--id", "DHL", "--data-dir", str(folder / "data"), "--json")
        headers = json.loads(made.stdout)["headers"]
        seen = httpx.post(first["url"], json={"query": "{ viewer { role } }"}, headers=headers).json()
        assert seen["data"]["viewer"]["role"] == "carrier"
        data = str(folder / "data")
        assert "nothing was changed" in run("audit", "verify", "--data-dir", data).stdout
        assert run("audit", "drop", "--data-dir", data).returncode == 0
        page = httpx.get(first["url"].replace("/graphql", "/graphiql"))
        assert (page.status_code, "GraphiQL" in page.text) == (200, True)
        second = run("demo", "--port", "0", "--data-dir", str(folder / "data"))
        assert second.returncode == 1
        assert "in use" in second.stderr
        assert second.stderr.count("\n") == 1
    assert process.returncode == 0
    assert not (folder / "data" / "running.json").exists()
    assert not Path(running["owner_url"].partition("host=")[2].partition("&")[0]).exists()
    with demo(folder, "--customers", "500") as (_, again):
        assert ask(again, "support", numbers)["data"] == before
        kept = [one for one in again["principals"] if one["role"] == "carrier"]
        assert kept == [one for one in first["principals"] if one["role"] == "carrier"]
    newer_schema_is_one_line(folder)


def newer_schema_is_one_line(folder: Path) -> None:
    """A database of a newer gateway stops the start."""
    import asyncio

    import asyncpg

    from gateway.demo.embedded import running

    async def advance(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        await connection.close()

    with running(folder / "data") as server:
        asyncio.run(advance(server.owner_url))
    found = run("demo", "--port", "0", "--data-dir", str(folder / "data"))
    assert found.returncode == 1
    assert "newer schema" in found.stderr
    assert found.stderr.count("\n") == 1


def test_the_demo_brings_the_data_of_an_earlier_version_to_the_newest_schema(folder: Path) -> None:
    def go_back(connection: Connection) -> None:
        command.downgrade(migration_config(connection), "0001")

    def look(connection: Connection) -> tuple[int, bool]:
        offered = connection.execute(text("SELECT count(*) FROM product")).scalar_one()
        may = "SELECT has_table_privilege('gateway', 'change', 'INSERT')"
        return offered, connection.execute(text(may)).scalar_one()

    # Of orders: an erased customer's own number is replaced once the demo works beside answering.
    numbers = "{ orders(first: 100) { nodes { number } } }"
    with demo(folder, "--customers", "60") as (_, first):
        before = ask(first, "support", numbers)["data"]
        url = json.loads((folder / "data" / "running.json").read_text())["owner_url"]
        on_database(url, go_back)
    with demo(folder) as (_, second):
        assert ask(second, "support", numbers)["data"] == before
        url = json.loads((folder / "data" / "running.json").read_text())["owner_url"]
        assert on_database(url, look) == (len(PRODUCTS), True)


def test_an_occupied_port_is_one_line_and_status_1(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        found = run("demo", "--port", port, "--data-dir", str(folder / "data"))
    assert found.returncode == 1
    assert f"port {port} cannot be used" in found.stderr
    assert found.stderr.count("\n") == 1
    assert not (folder / "data").exists()


def test_an_unwritable_directory_is_one_line_and_status_1() -> None:
    found = run("demo", "--port", "0", "--data-dir", "/proc/gateway")
    assert found.returncode == 1
    assert "/proc/gateway" in found.stderr
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve",), "setting GATEWAY_DATABASE_URL: Field required"),
        (("migrate",), "setting GATEWAY_DATABASE_URL: Field required"),
        (("schema", "--as", "nobody"), "`--as` takes one of"),
        (("policy", "check", "--folder", "/proc"), "missing or not readable"),
        (("token", "--as", "support", "--data-dir", "/proc"), "no demo runs on /proc"),
    ],
)
def test_a_command_that_cannot_work_is_one_line_and_status_1(arguments: Any, message: str) -> None:
    found = run(*arguments)
    assert found.returncode == 1
    assert message in found.stderr
    assert found.stderr.count("\n") == 1


def test_a_database_out_of_reach_is_one_line_without_its_password(tmp_path: Path) -> None:
    from gateway.principal import SigningKey

    SigningKey.create(tmp_path / "key.pem")
    found = run(
        "serve",
        GATEWAY_DATABASE_URL="postgresql://gateway:hunter2@127.0.0.1:1/gateway",
        GATEWAY_SIGNING_KEY_FILE=str(tmp_path / "key.pem"),
    )
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert "hunter2" not in found.stderr


def test_the_policy_check_prints_its_version_as_json() -> None:
    found = run("policy", "check", "--json")
    assert found.returncode == 0
    assert json.loads(found.stdout)["lines"] > 600


def test_the_schema_of_a_role_is_printed() -> None:
    assert "type Customer" not in run("schema", "--as", "carrier").stdout
    assert "type Customer" in run("schema").stdout
