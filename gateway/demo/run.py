"""`gateway demo`: an embedded PostgreSQL, migrated and seeded, principals to ask as, and the server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..app import create_app
from ..audit.lines import CHAINS
from ..audit.sealer import Sealer
from ..config import Settings
from ..database import Database
from ..demo_secrets import mark_database, mark_key
from ..errors import StartError
from ..logs import configure
from ..migrate import migrate
from ..principal import SigningKey, utc_now
from ..server import make_server
from .embedded import EmbeddedServer, running
from .keeper import keeper_url
from .principals import DemoPrincipal, ensure_principals

QUERIES = (
    (
        "customer",
        "",
        "{ customers { nodes { firstName surname email orders(first: 3) { nodes { number status"
        " deliveries { nodes { status trackingUrl } } } } } } }",
    ),
    (
        "support",
        "Processing-Purpose: customer-service",
        "{ orders(first: 5, where: {status: {eq: PICKING}}) { totalCount nodes { number"
        " customer { firstName surname phone } } } }",
    ),
    (
        "carrier",
        "",
        "{ deliveries(first: 5) { nodes { reference status recipientName recipientPhone streetAddress"
        " postalCode postalTown order { number } } } }",
    ),
)
HOST = "127.0.0.1"
EMPLOYEE_TOKEN_MINUTES = 400 * 24 * 60
# A thousand requests a second of the most that one may cost, of one principal.
BUDGET = 15_000_000_000


@dataclass(frozen=True, slots=True)
class Demo:
    """How the demo was asked for."""

    port: int
    customers: int
    seed: int
    data_dir: Path
    credentials: Path | None


def run_demo(demo: Demo, console: Console) -> None:
    """Serves until it is interrupted, and stops the database after; raises `StartError`."""
    with _bound(demo.port) as listener, running(demo.data_dir) as server:
        address = f"http://{HOST}:{listener.getsockname()[1]}/"
        # The role is made before `migrate` gives it its rights.
        keeper = asyncio.run(keeper_url(server.owner_url))
        settings, principals = _prepare(demo, server, address, console)
        url = f"{address}graphql"
        if demo.credentials is not None:
            write_credentials(demo.credentials, url, principals)
        configure(settings.log_level, settings.log_format)
        app = create_app(settings)
        _announce(console, url, principals)
        # uvicorn ends its work on an interrupt, and then raises it again: here it is the way to stop.
        with _told(demo.data_dir, server, keeper), suppress(KeyboardInterrupt):
            make_server(app, settings).run(sockets=[listener])
    console.print("stopped")


@contextmanager
def _bound(port: int) -> Iterator[socket.socket]:
    """A listening address, taken before anything else is started."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError as error:
            raise StartError(
                f"port {port} cannot be used ({error.strerror}): choose another with `--port`"
            ) from error
        yield listener


def _prepare(
    demo: Demo, server: EmbeddedServer, address: str, console: Console
) -> tuple[Settings, list[DemoPrincipal]]:
    migrate(server.owner_url)
    mark_database(server.owner_url)
    key_file = demo.data_dir / "signing-key.pem"
    if not key_file.exists():
        SigningKey.create(key_file)
    mark_key(key_file)
    key = SigningKey.load(key_file)
    settings = demo_settings(server.gateway_url, key_file, address)
    now = utc_now()
    if not asyncio.run(_is_seeded(server.owner_url)):
        _seed(demo, server.owner_url, now, console)
        asyncio.run(_seal(settings, now))
    else:
        asyncio.run(_offer(server.owner_url))
        console.print(
            f"data: kept from an earlier start in {demo.data_dir}; `--customers` and `--seed` change nothing"
        )
    secret = key_file.read_bytes()
    return settings, asyncio.run(ensure_principals(server.owner_url, settings, key, secret, now))


def demo_settings(url: str, key_file: Path, public_url: str) -> Settings:
    """The demo's settings: those of the environment, but for the database, the key and the address."""
    given: dict[str, Any] = {"database_url": url, "signing_key_file": key_file, "public_url": public_url}
    # Made-up people get no mail: it stays in the table, where `gateway mail` lists it.
    given["smtp_url"] = None
    # Enough for test suites, which sign in again and again from one address.
    given |= {"throttle_account_limit": 100, "throttle_client_limit": 100_000}
    given |= {"throttle_everywhere_limit": 1000, "read_quota": 100_000, "budget_per_minute": BUDGET}
    given["graphiql_networks"] = ("127.0.0.0/8", "::1/128")
    # Its principals are asked with for days, and a test suite's for a year.
    given["employee_token_minutes"] = EMPLOYEE_TOKEN_MINUTES
    return Settings(**given)


async def _is_seeded(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        found: bool = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM setting WHERE name = 'demo.seed')"
        )
    finally:
        await connection.close()
    return found


def _seed(demo: Demo, url: str, now: datetime, console: Console) -> None:
    from .seed import seed  # Faker is slow to import and belongs to the extra `embedded`

    columns = (
        TextColumn("seeding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("customers"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("seeding", total=demo.customers)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        asyncio.run(seed(url, customers=demo.customers, seed=demo.seed, now=now, progress=progress))


async def _seal(settings: Settings, now: datetime) -> None:
    """Seals the records that are old when the demo begins, which `gateway audit verify` would miss."""
    database = Database(settings)
    try:
        for chain in CHAINS:
            sealer = Sealer(database, chain)
            # What one call marks as drawn, the next may seal.
            for _ in range(2):
                await sealer.seal(now)
    finally:
        await database.close()


async def _offer(url: str) -> None:
    """Data of an earlier version of the gateway came without a price list."""
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM public.product)"):
            from .products import add_price_list  # loads Faker, as the seed does

            await add_price_list(connection)
    finally:
        await connection.close()


@contextmanager
def _told(data_dir: Path, server: EmbeddedServer, keeper: str) -> Iterator[None]:
    """Tells the commands with `--data-dir` where the running database is."""
    path = data_dir / "running.json"
    urls = {"owner_url": server.owner_url, "gateway_url": server.gateway_url, "keeper_url": keeper}
    _write_private(path, json.dumps(urls))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def write_credentials(path: Path, url: str, principals: list[DemoPrincipal]) -> None:
    """The principals as JSON, readable by the owner alone; raises `StartError`."""
    text = json.dumps({"url": url, "principals": [asdict(principal) for principal in principals]}, indent=2)
    try:
        _write_private(path, text + "\n")
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}") from error


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)


def _announce(console: Console, url: str, principals: list[DemoPrincipal]) -> None:
    table = Table("principal", "acts as", "Authorization header", title="ask as (demo data)")
    for principal in principals:
        header = principal.headers.get("Authorization", "none")
        table.add_row(principal.name, principal.role or "nobody: no designation", header)
    # Tokens are for copying: no line of theirs may be broken or cut.
    widest = max(len(principal.headers.get("Authorization", "")) for principal in principals)
    Console(file=console.file, width=widest + 60).print(table)
    console.print("three queries to try:", style="bold")
    for name, header, query in QUERIES:
        token = next(one for one in principals if one.name == name).headers["Authorization"]
        extra = f" -H '{header}'" if header else ""
        body = json.dumps({"query": query})
        headers = f"-H 'Authorization: {token}'{extra} -H 'Content-Type: application/json'"
        command = f"curl -s {url} {headers} -d '{body}'"
        console.print(f"\n# as {name}", highlight=False)
        console.print(command, soft_wrap=True, highlight=False, markup=False)
    by_hand = url.removesuffix("graphql") + "graphiql"
    console.print(f"\nto ask by hand, with a header from above: {by_hand}", highlight=False, soft_wrap=True)
    console.print(
        f"serving {url} (Ctrl-C stops the server and its database)", highlight=False, soft_wrap=True
    )
