"""Budgets that workers count together, in a real store: shared, holding no value, and when it is away."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr, ValidationError

from gateway.budget.shared import PAUSE_SECONDS, Shared, open_store
from gateway.budget.spending import Budget
from gateway.config import Settings
from gateway.errors import Code, TooMany
from gateway.principal import Principal
from tests.logged import COLLECTED
from tests.test_budget import PRICE, READ, opened
from tests.world import Clock, World

SOMEONE = Principal("customer", "Q3VzdG9tZXI6Zm9v")


@contextmanager
def store_at(folder: Path, port: int) -> Iterator[str]:
    """The URL of a real store on loopback."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("neither `valkey-server` nor `redis-server` is installed")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "store.log").open("ab") as log:
        started = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not answers(port):
            assert started.poll() is None
            assert time.monotonic() < deadline
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        started.terminate()
        started.wait(20)


def answers(port: int) -> bool:
    try:
        with redis.Redis(port=port) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store that all tests here share; each counts somebody else."""
    with store_at(tmp_path_factory.mktemp("store"), free_port()) as url:
        yield url


def worker(url: str, clock: Clock, budget: int = 1000, secret: bytes = b"shared") -> Budget:
    """What one worker counts with."""
    settings = Settings(database_url=SecretStr("postgresql://nowhere"), budget_url=SecretStr(url))
    few = settings.model_copy(update={"budget_per_minute": budget})
    return Budget(few, secret, lambda: clock().timestamp())


def test_two_workers_spend_one_budget(store: str) -> None:
    async def spend() -> tuple[int, TooMany]:
        clock = Clock()
        one, other = worker(store, clock), worker(store, clock)
        purse = one.purse(SOMEONE, None)
        await one.take(purse, 600)
        with pytest.raises(TooMany) as refused:
            await other.take(purse, 600)
        await other.take(purse, 300)
        found = (await one.standing(purse, 300)).remaining
        await one.close()
        await other.close()
        return found, refused.value

    remaining, refused = asyncio.run(spend())
    assert remaining == 100
    assert refused.problems[0].code is Code.BUDGET_SPENT
    assert 1 <= refused.retry_after_seconds <= 120


def test_the_keys_in_the_store_are_digests_and_end_by_themselves(store: str) -> None:
    """Nobody who reads the store learns who asked, from where, or with which token."""

    async def spend() -> None:
        budget = worker(store, Clock(), secret=b"of its own")
        await budget.take(budget.purse(SOMEONE, None), 1)
        await budget.take(budget.purse(Principal("anonymous"), "2001:db8::1"), 1)
        await budget.close()

    with redis.Redis.from_url(store) as client:
        client.flushall()
        asyncio.run(spend())
        keys = [key.decode() for key in client.scan_iter("*")]
        assert len(keys) == 3
        assert all(0 < client.ttl(key) <= 120 for key in keys)
        assert {client.get(key) for key in keys} == {b"1"}
    form = r"gateway-budget:\{LIMITER/[0-9a-f]{64}/[0-9]+/1/minute\}"
    assert all(re.fullmatch(form, key) for key in keys), keys


def test_requests_are_counted_in_the_store(world: World, store: str) -> None:
    budget = {"budget": READ + 2 * PRICE, "budget_url": SecretStr(store)}
    with redis.Redis.from_url(store) as client:
        client.flushall()
    with opened(world, **budget) as one, opened(world, **budget) as other:
        # Each worker reads the text for itself; what is left then is for one page.
        found = [one.ask("customer").status_code, other.ask("customer").status_code]
        assert 429 in (*found, one.ask("customer").status_code, other.ask("customer").status_code)
        assert found[0] == 200


def test_while_the_store_is_away_a_worker_counts_by_itself_and_says_so_once(tmp_path: Path) -> None:
    """Nobody is refused for the store, and nobody spends without bounds; once it is back it counts again."""
    port, clock = free_port(), Clock()
    budget = worker(f"redis://127.0.0.1:{port}/0", clock)
    purse = budget.purse(SOMEONE, None)
    before = len(COLLECTED.events("budgets_apart"))

    async def away() -> None:
        await budget.take(purse, 600)
        with pytest.raises(TooMany):
            await budget.take(purse, 600)
        clock.now += 2 * PAUSE
        with pytest.raises(TooMany):
            await budget.take(purse, 600)

    async def back() -> None:
        clock.now += 2 * PAUSE
        await budget.take(purse, 1000)  # of which the store knows nothing yet
        with pytest.raises(TooMany):
            await budget.take(purse, 1)
        await budget.close()

    from datetime import timedelta

    PAUSE = timedelta(seconds=PAUSE_SECONDS)
    asyncio.run(away())
    assert len(COLLECTED.events("budgets_apart")) == before + 1
    with store_at(tmp_path, port):
        asyncio.run(back())


def test_a_store_that_accepts_and_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    """A request goes on by the worker's own counts; the store is not asked again at once."""
    clock, asked = Clock(), 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    async def spend() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        budget = worker(f"redis://127.0.0.1:{port}/0", clock)
        purse = budget.purse(SOMEONE, None)
        for _ in range(10):
            await budget.take(purse, 100)
        with pytest.raises(TooMany):
            await budget.take(purse, 1)
        await budget.close()
        server.close()

    asyncio.run(spend())
    assert asked == 1


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
def test_every_scheme_is_opened_by_one_client(scheme: str) -> None:
    found = open_store(f"{scheme}://user:secret@store.example:6379/1")
    client = found.bridge.get_connection()  # type: ignore[attr-defined]
    about = client.connection_pool.connection_kwargs
    assert (about["host"], about["port"], about["db"], about["username"]) == (
        "store.example",
        6379,
        1,
        "user",
    )
    assert issubclass(client.connection_pool.connection_class, redis.asyncio.SSLConnection) is (
        scheme in ("rediss", "valkeys")
    )
    assert isinstance(Shared(found, None, lambda: 0.0).store, type(found))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    ["http://store.example", "rediss:///0", "redis://h:x/0", "memcached://h", "redis://h?a=b", "secret"],
)
def test_a_url_that_is_none_stops_the_start_and_is_not_repeated(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(database_url=SecretStr("postgresql://nowhere"), budget_url=SecretStr(url))
    (error,) = refused.value.errors()
    assert error["loc"] == ("budget_url",)
    assert url not in error["msg"]


def test_a_budget_holds_what_one_operation_may_cost_at_its_first_time() -> None:
    """To read the longest document, to coerce the most variables, to plan, and to answer."""
    given = {"cost_limit": 1000, "document_limit_bytes": 2000, "variable_limit": 100}
    most = 1000 + 2 * (1000 + 5 * 2000) + 20 * 100
    url = SecretStr("postgresql://nowhere")
    with pytest.raises(ValidationError, match="GATEWAY_BUDGET_PER_MINUTE is less than an operation may take"):
        Settings(database_url=url, budget_per_minute=most - 1, **given)  # type: ignore[arg-type]
    assert Settings(database_url=url, budget_per_minute=most, **given)  # type: ignore[arg-type]
