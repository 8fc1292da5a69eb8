"""Sealing: every committed record is sealed once, in one chain, whoever writes and seals at the same time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlmodel import SQLModel

from gateway.audit.lines import ACCESS_RECORD, CHAINS, DISCLOSURE, NOTHING, Chain, Seal
from gateway.audit.sealer import Sealer
from gateway.audit.source import seals
from gateway.config import Settings
from gateway.database import Database, DatabaseTimeout
from tests.logged import Collected
from tests.sealing import (
    NOW,
    Records,
    add,
    as_owner,
    execute,
    found,
    records_database,
    seal_all,
    verified,
    with_database,
)


@pytest.fixture
def records(server_url: str) -> Iterator[Records]:
    with records_database(server_url) as made:
        yield made


@pytest.fixture(scope="module")
def untouched(server_url: str) -> Iterator[Records]:
    """For tests that change nothing."""
    with records_database(server_url) as made:
        yield made


def seals_of(url: str, chain: Chain) -> list[Seal]:
    async def step(connection: Any) -> list[Seal]:
        async with connection.transaction():
            return [seal async for seal in seals(connection, chain)]

    return list(asyncio.run(as_owner(url, step)))


def added(url: str, chain: Chain, count: int) -> None:
    asyncio.run(as_owner(url, lambda connection: add(connection, chain, count)))


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
def test_a_line_holds_every_column_of_its_table(chain: Chain) -> None:
    """A new column takes a new version of the line, as rows are sealed by the old one."""
    assert set(chain.columns[chain.version]) == set(SQLModel.metadata.tables[chain.name].columns.keys())


def test_a_line_is_what_this_file_says(untouched: Records) -> None:
    """The text is fixed for ever: what was sealed by one version of PostgreSQL is verified by another."""
    values = (
        "'00000000-0000-0000-0000-000000000001', 7, '2026-03-01 12:00:00.1+02', 'p\"\u00e4', NULL, NULL, 'a',"
        " 'b', NULL, 'c', '{}', '{00000000-0000-0000-0000-000000000002}', 'd', 'e', E'f\\n', 'ALLOWED'"
    )
    columns = list(SQLModel.metadata.tables["access_record"].columns.keys())

    async def step(connection: Any) -> str:
        given = f"SELECT (ROW({values})::access_record).*"
        line: str = await connection.fetchval(f"SELECT {ACCESS_RECORD.line(1)} FROM ({given}) r")
        return line

    assert columns[:3] == ["id", "number", "at"]
    assert asyncio.run(as_owner(untouched.url, step)) == (
        '{"chain" : "access_record", "version" : 1, "number" : 7,'
        ' "id" : "00000000-0000-0000-0000-000000000001", "at" : "2026-03-01T10:00:00.1Z",'
        ' "principal_id" : "p\\"\u00e4", "role" : null, "designation_id" : null, "purpose" : "a",'
        ' "case_reference" : "b", "operation_name" : null, "operation_hash" : "c", "fields" : [],'
        ' "subject_ids" : ["00000000-0000-0000-0000-000000000002"], "policy_version" : "d",'
        ' "notice_version" : "e", "request_id" : "f\\n", "decision" : "ALLOWED"}'
    )


def test_records_are_sealed_in_batches_that_follow_each_other(records: Records) -> None:
    added(records.url, ACCESS_RECORD, 7)
    added(records.url, DISCLOSURE, 1)
    assert asyncio.run(seal_all(records.gateway_url, batch=3)) == {"access_record": 7, "disclosure": 1}
    first, second, third = seals_of(records.url, ACCESS_RECORD)
    assert [
        (one.number, one.first_number, one.last_number, one.records) for one in (first, second, third)
    ] == [
        (1, 1, 3, 3),
        (2, 4, 6, 3),
        (3, 7, 7, 1),
    ]
    assert [first.previous, second.previous, third.previous] == [NOTHING, first.seal, second.seal]
    for one in (first, second, third):
        assert one.computed() == one.seal
        assert one.leaves is not None
        assert hashlib.sha256(one.leaves).digest() == one.digest
        assert one.sealed_at == NOW
    assert verified(records.gateway_url).is_whole


def test_what_is_sealed_is_not_sealed_again(records: Records) -> None:
    added(records.url, ACCESS_RECORD, 2)
    assert asyncio.run(seal_all(records.gateway_url))["access_record"] == 2
    assert asyncio.run(seal_all(records.gateway_url))["access_record"] == 0
    added(records.url, ACCESS_RECORD, 1)
    assert verified(records.gateway_url).chains[0].unsealed_rows == 1
    assert asyncio.run(seal_all(records.gateway_url))["access_record"] == 1
    assert [one.first_number for one in seals_of(records.url, ACCESS_RECORD)] == [1, 3]


def test_nothing_is_written_while_there_is_nothing_to_seal(records: Records) -> None:
    """Neither a seal nor a transaction's id is used up by an idle gateway."""

    newest = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"

    async def run() -> int:
        async def seal_often(connection: Any) -> int:
            before = await connection.fetchval(newest)
            for _ in range(20):
                await seal_all(records.gateway_url)
            return int(await connection.fetchval(newest) - before)

        return int(await as_owner(records.url, seal_often))

    assert asyncio.run(run()) < 20  # PostgreSQL itself uses up a few
    assert seals_of(records.url, ACCESS_RECORD) == []


def test_a_record_still_being_written_is_waited_for_though_later_ones_are_committed(records: Records) -> None:
    async def run() -> list[int]:
        slow, fast = [await asyncpg.connect(records.url) for _ in range(2)]
        transaction = slow.transaction()
        await transaction.start()
        assert await add(slow, ACCESS_RECORD) == [1]
        assert await add(fast, ACCESS_RECORD, 2) == [2, 3]

        async def steps(database: Database) -> list[int]:
            sealer = Sealer(database, ACCESS_RECORD)
            counts = [await sealer.seal(NOW), await sealer.seal(NOW)]
            await add(fast, ACCESS_RECORD)
            counts.append(await sealer.seal(NOW))
            await transaction.commit()
            counts.append(await sealer.seal(NOW))  # what was drawn when it began to wait
            counts.append(await sealer.seal(NOW))
            return counts

        counts: list[int] = await with_database(records.gateway_url, steps)
        for connection in (slow, fast):
            await connection.close()
        return counts

    assert asyncio.run(run()) == [0, 0, 0, 3, 1]
    assert verified(records.url).is_whole


def test_a_long_wait_is_logged_and_again_after_as_long(records: Records, logged: Collected) -> None:
    """A transaction that stays open holds sealing up; its end is the end of the lines."""

    async def run() -> list[int]:
        slow = await asyncpg.connect(records.url)
        transaction = slow.transaction()
        await transaction.start()
        await add(slow, ACCESS_RECORD)
        other = await asyncpg.connect(records.url)
        await add(other, ACCESS_RECORD)

        async def steps(database: Database) -> list[int]:
            sealer = Sealer(database, ACCESS_RECORD)
            lines = []
            for minutes in (0, 9, 10, 19, 20):
                assert await sealer.seal(NOW + timedelta(minutes=minutes)) == 0
                lines.append(sum(b'"event":"sealing_waits"' in line for line in logged.lines))
            await transaction.commit()
            assert await sealer.seal(NOW + timedelta(minutes=40)) == 2
            return [*lines, sum(b'"event":"sealing_waits"' in line for line in logged.lines)]

        counts: list[int] = await with_database(records.gateway_url, steps)
        for connection in (slow, other):
            await connection.close()
        return counts

    assert asyncio.run(run()) == [0, 0, 1, 1, 2, 2]


def test_a_transaction_that_began_just_before_is_waited_for_while_no_other_ends(records: Records) -> None:
    """Right behind the transaction that ended last, one that is under way stands above `xmax`."""

    async def run() -> list[int]:
        writer, other = [await asyncpg.connect(records.url) for _ in range(2)]
        await add(other, ACCESS_RECORD)
        transaction = writer.transaction()
        await transaction.start()
        assert await add(writer, ACCESS_RECORD) == [2]

        async def steps(database: Database) -> list[int]:
            sealer = Sealer(database, ACCESS_RECORD)
            before = await sealer.seal(NOW)
            await transaction.commit()
            return [before, await sealer.seal(NOW)]

        counts: list[int] = await with_database(records.gateway_url, steps)
        for connection in (writer, other):
            await connection.close()
        return counts

    assert asyncio.run(run()) == [0, 2]


def test_numbers_that_were_rolled_back_are_gaps_and_no_fault(records: Records) -> None:
    async def run() -> None:
        async def step(connection: Any) -> None:
            for keeps in (False, True, False, True, False):
                transaction = connection.transaction()
                await transaction.start()
                await add(connection, ACCESS_RECORD, 2)
                await (transaction.commit() if keeps else transaction.rollback())

        await as_owner(records.url, step)

    asyncio.run(run())
    assert asyncio.run(seal_all(records.gateway_url, batch=3))["access_record"] == 4
    first, second = seals_of(records.url, ACCESS_RECORD)
    assert (first.first_number, first.last_number, first.records) == (1, 7, 3)
    assert (second.first_number, second.last_number, second.records) == (8, 10, 1)
    report = verified(records.url)
    assert report.is_whole
    assert report.chains[0].sealed_rows == 4


def test_many_workers_at_once_make_one_chain(records: Records) -> None:
    """While records are written and rolled back, whatever is committed is sealed once."""

    async def write(worker: int) -> None:
        async def step(connection: Any) -> None:
            for turn in range(30):
                transaction = connection.transaction()
                await transaction.start()
                await add(connection, ACCESS_RECORD, 1 + turn % 3)
                await asyncio.sleep(0)
                await (transaction.rollback() if (turn + worker) % 5 == 0 else transaction.commit())

        await as_owner(records.url, step)

    async def run() -> int:
        databases = [Database(Settings(database_url=records.gateway_url)) for _ in range(3)]
        sealers = [Sealer(database, ACCESS_RECORD, batch=7) for database in databases]
        writers = [asyncio.create_task(write(worker)) for worker in range(4)]
        total = 0
        while not all(writer.done() for writer in writers):
            total += sum(await asyncio.gather(*(sealer.seal(NOW) for sealer in sealers)))
        await asyncio.gather(*writers)
        for _ in range(2):  # what a sealer waited for, and what came after
            total += await sealers[0].seal(NOW)
        for database in databases:
            await database.close()
        return total

    total = asyncio.run(run())
    count = asyncio.run(
        as_owner(records.url, lambda connection: connection.fetchval("SELECT count(*) FROM access_record"))
    )
    assert total == count > 100
    report = verified(records.url)
    assert found(report) == []
    assert (report.chains[0].sealed_rows, report.chains[0].unsealed_rows) == (count, 0)


def test_what_takes_too_long_is_sealed_in_smaller_batches(records: Records) -> None:
    async def run() -> tuple[int, int]:
        widen = (
            "INSERT INTO access_record SELECT gen_random_uuid(), nextval('access_record_number'), at,"
            " principal_id, role, designation_id, purpose, case_reference, operation_name, operation_hash,"
            " fields, ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 100)), policy_version,"
            " notice_version, request_id, decision FROM access_record, generate_series(1, 4000)"
        )
        await as_owner(records.url, lambda connection: add(connection, ACCESS_RECORD))
        await as_owner(records.url, lambda connection: connection.execute(widen))
        database = Database(Settings(database_url=records.gateway_url, statement_timeout_seconds=0.03))
        sealer, total, timeouts = Sealer(database, ACCESS_RECORD), 0, 0
        while total < 4001:
            try:
                total += await sealer.seal(NOW)
            except DatabaseTimeout:
                timeouts += 1
                total = await as_owner(
                    records.url,
                    lambda connection: connection.fetchval("SELECT coalesce(sum(records), 0) FROM seal"),
                )
        await database.close()
        return total, timeouts

    total, timeouts = asyncio.run(run())
    assert total == 4001
    assert timeouts > 0
    assert verified(records.url).is_whole


def test_a_mark_of_another_server_is_forgotten(records: Records) -> None:
    """After a failover numbers and transactions are another server's."""

    async def steps(database: Database) -> list[int]:
        sealer = Sealer(database, ACCESS_RECORD)
        blocker = await asyncpg.connect(records.url)
        transaction = blocker.transaction()
        await transaction.start()
        await add(blocker, ACCESS_RECORD)
        await as_owner(records.url, lambda connection: add(connection, ACCESS_RECORD))
        counts = [await sealer.seal(NOW)]
        await transaction.commit()
        await blocker.close()
        assert sealer._mark is not None
        stale = type(sealer._mark)(1000, 1, sealer._mark.server - timedelta(days=1))
        sealer._mark = stale
        counts.append(await sealer.seal(NOW))
        counts.append(await sealer.seal(NOW))
        return counts

    assert asyncio.run(with_database(records.gateway_url, steps)) == [0, 0, 2]
    assert [one.last_number for one in seals_of(records.url, ACCESS_RECORD)] == [2]


@pytest.mark.parametrize("chain", ["access_record", "disclosure", "seal"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET number = 1", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_gateway_only_appends(untouched: Records, chain: str, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(untouched.gateway_url, statement.format(chain))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE access_record SET decision = 'REFUSED'",
        "INSERT INTO seal SELECT * FROM seal",
        "UPDATE seal SET seal = ''",
        "UPDATE seal SET sealed_at = now()",
        "DELETE FROM seal",
        "TRUNCATE access_record",
        "SELECT * FROM customer",
    ],
)
def test_who_drops_records_changes_none(untouched: Records, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(untouched.keeper_url, statement)
