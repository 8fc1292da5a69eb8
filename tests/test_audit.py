"""Verifying: whatever is changed in the records or in their seals, by whoever owns the tables, is named."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import SQLModel

from gateway.audit import findings
from gateway.audit.findings import Report
from gateway.audit.lines import CHAINS, HEADER
from gateway.audit.verify import Anchored, verify
from tests.sealing import (
    LATER,
    NOW,
    Records,
    add,
    against,
    as_owner,
    found,
    records_database,
    seal_all,
    verified,
)

# Each chain has three seals of four records, 1 to 12, and a record that is not sealed yet.
BATCH, SEALED = 4, 12
NAMES = [chain.name for chain in CHAINS]
COLUMNS = [(name, column.name) for name in NAMES for column in SQLModel.metadata.tables[name].columns]
NULLABLE = [
    (name, column.name)
    for name in NAMES
    for column in SQLModel.metadata.tables[name].columns
    if column.nullable
]
# For each type of column, another value than the present one.
OTHER = {
    "UUID": "gen_random_uuid()",
    "CHAR(32)": "gen_random_uuid()",
    "DATETIME": "{} + interval '1 microsecond'",
    "TEXT": "coalesce({}, '') || 'x'",
    "access_decision": "{} || 'x'",
    "ARRAY": "{}[2:] || {}[1:1] || {}[1:1]",
    "BLOB": "{} || '\\x00'",
    "BOOLEAN": "NOT {}",
}
FREE = [
    "ALTER DOMAIN access_decision DROP CONSTRAINT decision_is_known",
    "ALTER TABLE disclosure DROP CONSTRAINT notice_status_is_known",
    "ALTER TABLE disclosure DROP CONSTRAINT disclosure_once",
]


@pytest.fixture(scope="module")
def records(server_url: str) -> Iterator[Records]:
    with records_database(server_url) as made:

        async def fill(connection: Any) -> None:
            for chain in CHAINS:
                await add(connection, chain, SEALED)
            await seal_all(made.gateway_url, batch=BATCH)
            for chain in CHAINS:
                await add(connection, chain)

        asyncio.run(as_owner(made.url, fill))
        yield made


def tampered(records: Records, *statements: str, anchored: Anchored | None = None, now: Any = NOW) -> Report:
    """The report on the records after the owner's statements, which are undone."""

    async def step(connection: Any) -> Report:
        transaction = connection.transaction()
        await transaction.start()
        try:
            for statement in (*FREE, *statements):
                await connection.execute(statement)
            return await verify(connection, against(anchored, now))
        finally:
            await transaction.rollback()

    report: Report = asyncio.run(as_owner(records.url, step))
    return report


def other(name: str, column: str) -> str:
    """The SQL of another value of a column."""
    kind = str(SQLModel.metadata.tables[name].c[column].type)
    form = next(
        form
        for start, form in OTHER.items()
        if kind.startswith(start) or (start == "ARRAY" and kind.endswith("[]"))
    )
    return form.replace("{}", column)


def anchors(records: Records) -> dict[tuple[str, int], frozenset[bytes]]:
    """Every seal, as if it had been anchored."""

    async def step(connection: Any) -> Any:
        return await connection.fetch("SELECT chain, number, seal FROM seal")

    rows = asyncio.run(as_owner(records.url, step))
    return {(row["chain"], row["number"]): frozenset({row["seal"]}) for row in rows}


def resealed(chain: str) -> list[str]:
    """Statements that make all seals of a chain fit its rows again, as who owns the tables could."""
    made = next(one for one in CHAINS if one.name == chain)
    leaves = (
        f"UPDATE seal SET leaves = (SELECT string_agg({made.leaf(1)}, ''::bytea ORDER BY r.number)"
        f" FROM {chain} r WHERE r.number BETWEEN first_number AND last_number) WHERE chain = '{chain}'"
    )
    counted = (
        f"UPDATE seal SET digest = sha256(leaves), records = length(leaves) / 40 WHERE chain = '{chain}'"
    )
    one = f"UPDATE seal s SET seal = sha256({HEADER}) WHERE s.chain = '{chain}' AND s.number = {{}}"
    link = (
        "UPDATE seal s SET previous = b.seal FROM seal b"
        f" WHERE b.chain = s.chain AND b.number = s.number - 1 AND s.chain = '{chain}' AND s.number = {{}}"
    )
    steps = [text.format(number) for number in (1, 2, 3) for text in (link, one)]
    return [leaves, counted, *steps]


def test_what_nobody_touched_is_whole(records: Records) -> None:
    report = tampered(records)
    assert report.is_whole
    for chain in report.chains:
        assert (chain.seals, chain.sealed_rows, chain.unsealed_rows, chain.dropped) == (3, SEALED, 1, 0)
        assert chain.newest is not None
        assert chain.newest[0] == 3
    assert verified(records.gateway_url, anchors(records)).is_whole


@pytest.mark.parametrize(("chain", "column"), [one for one in COLUMNS if one[1] != "number"])
def test_a_change_of_any_column_of_a_row_is_found(records: Records, chain: str, column: str) -> None:
    report = tampered(records, f"UPDATE {chain} SET {column} = {other(chain, column)} WHERE number = 6")
    assert found(report) == [(chain, "ROW_CHANGED", 6)]
    assert report.findings[0].seal == 2
    assert "6" in str(report.findings[0])


@pytest.mark.parametrize(("chain", "column"), NULLABLE)
def test_nothing_and_a_value_are_two_things(records: Records, chain: str, column: str) -> None:
    empty = (
        "''"
        if str(SQLModel.metadata.tables[chain].c[column].type).startswith("TEXT")
        else "gen_random_uuid()"
    )
    ((is_null,),) = asyncio.run(
        as_owner(
            records.url,
            lambda connection: connection.fetch(f"SELECT {column} IS NULL FROM {chain} WHERE number = 6"),
        )
    )
    value = empty if is_null else "NULL"
    report = tampered(records, f"UPDATE {chain} SET {column} = {value} WHERE number = 6")
    assert found(report) == [(chain, "ROW_CHANGED", 6)]


@pytest.mark.parametrize("chain", NAMES)
@pytest.mark.parametrize("number", [1, 4, 6, SEALED])
def test_a_row_that_was_deleted_is_named(records: Records, chain: str, number: int) -> None:
    report = tampered(records, f"DELETE FROM {chain} WHERE number = {number}")
    assert found(report) == [(chain, "ROW_MISSING", number)]


@pytest.mark.parametrize("chain", NAMES)
def test_every_row_of_a_seal_can_be_missing(records: Records, chain: str) -> None:
    report = tampered(records, f"DELETE FROM {chain} WHERE number BETWEEN 5 AND 8")
    assert found(report) == [(chain, "ROW_MISSING", number) for number in (5, 6, 7, 8)]
    emptied = tampered(records, f"DELETE FROM {chain}")
    assert found(emptied) == [(chain, "ROW_MISSING", number) for number in range(1, SEALED + 1)]


@pytest.mark.parametrize("chain", NAMES)
def test_a_row_that_was_inserted_in_place_of_another_is_named(records: Records, chain: str) -> None:
    """Numbers that no committed record has may not be filled later."""
    names = [column for of, column in COLUMNS if of == chain]
    values = ", ".join("gen_random_uuid()" if name == "id" else name for name in names)
    for number, free in ((6, "DELETE FROM {} WHERE number = 6"), (0, ""), (-5, "")):
        copied = values.replace("number", str(number), 1)
        insert = f"INSERT INTO {chain} ({', '.join(names)}) SELECT {copied} FROM {chain} WHERE number = 7"
        report = tampered(records, *([free.format(chain)] if free else []), insert)
        expected = "ROW_CHANGED" if free else "ROW_INSERTED"
        assert found(report) == [(chain, expected, number)]
        assert report.findings[0].id is not None


@pytest.mark.parametrize("chain", NAMES)
def test_a_row_whose_number_was_never_drawn_is_named(records: Records, chain: str) -> None:
    names = [column for of, column in COLUMNS if of == chain]
    values = ", ".join(
        {"id": "gen_random_uuid()", "number": "1000", "ref_id": "gen_random_uuid()"}.get(name, name)
        for name in names
    )
    insert = f"INSERT INTO {chain} ({', '.join(names)}) SELECT {values} FROM {chain} WHERE number = 4"
    report = tampered(records, insert)
    assert found(report) == [(chain, "ROW_INSERTED", 1000)]
    assert report.chains[NAMES.index(chain)].unsealed_rows == 1


@pytest.mark.parametrize("chain", NAMES)
def test_a_row_that_was_inserted_into_a_gap_is_named(server_url: str, chain: str) -> None:
    with records_database(server_url) as made:

        async def fill(connection: Any) -> None:
            for one in CHAINS:
                await add(connection, one, 2)
                await connection.execute(f"SELECT nextval('{one.name}_number')")
                await add(connection, one, 2)
            await seal_all(made.gateway_url)

        asyncio.run(as_owner(made.url, fill))
        assert verified(made.url).is_whole
        names = [column for of, column in COLUMNS if of == chain]
        values = ", ".join({"id": "gen_random_uuid()", "number": "3"}.get(name, name) for name in names)
        insert = f"INSERT INTO {chain} ({', '.join(names)}) SELECT {values} FROM {chain} WHERE number = 4"
        assert found(tampered(made, insert)) == [(chain, "ROW_INSERTED", 3)]


@pytest.mark.parametrize("chain", NAMES)
def test_rows_that_changed_places_are_named(records: Records, chain: str) -> None:
    """Two rows of one seal, and two of different seals."""
    for one, two in ((5, 6), (2, 11)):
        swap = (
            f"UPDATE {chain} SET number = -1 WHERE number = {one}",
            f"UPDATE {chain} SET number = {one} WHERE number = {two}",
            f"UPDATE {chain} SET number = {two} WHERE number = -1",
        )
        report = tampered(records, *swap)
        assert found(report) == [(chain, "ROW_CHANGED", one), (chain, "ROW_CHANGED", two)]


@pytest.mark.parametrize("chain", NAMES)
def test_a_row_that_was_given_another_number_is_missing_from_its_place(records: Records, chain: str) -> None:
    report = tampered(records, f"UPDATE {chain} SET number = 99 WHERE number = 6")
    assert sorted(found(report)) == [(chain, "ROW_INSERTED", 99), (chain, "ROW_MISSING", 6)]
    assert next(one for one in report.chains if one.chain == chain).unsealed_rows == 1
    report = tampered(records, f"UPDATE {chain} SET number = -6 WHERE number = 6")
    assert found(report) == [(chain, "ROW_INSERTED", -6), (chain, "ROW_MISSING", 6)]


LEAF = "substring(leaves FROM 1 FOR 39) || '\\x00'::bytea || substring(leaves FROM 41)"
SEAL_CHANGES: list[tuple[str, list[str]]] = [
    (f"leaves = {LEAF}", ["LEAVES_CHANGED"]),
    ("leaves = substring(leaves FROM 41)", ["LEAVES_CHANGED"]),
    ("leaves = leaves || leaves", ["LEAVES_CHANGED"]),
    ("leaves = ''", ["LEAVES_CHANGED"]),
    ("leaves = NULL", ["LEAVES_MISSING"]),
    ("digest = sha256('')", ["SEAL_CHANGED"]),
    ("seal = sha256('')", ["SEAL_CHANGED"]),
    ("previous = sha256('')", ["SEAL_CHANGED", "SEAL_UNLINKED"]),
    ("records = records + 1", ["SEAL_CHANGED"]),
    ("first_number = first_number - 1", ["SEAL_CHANGED", "SEAL_UNLINKED"]),
    ("first_number = first_number + 1", ["SEAL_CHANGED", "SEAL_UNLINKED"]),
    ("sealed_at = sealed_at - interval '1 microsecond'", ["SEAL_CHANGED"]),
    ("sealed_at = '-infinity'", ["SEAL_CHANGED"]),
    ("sealed_at = '20000-01-01Z'", ["SEAL_CHANGED"]),
    ("line_version = 2", ["SEAL_CHANGED", "SEAL_UNREADABLE"]),
    ("dropped_at = '2031-01-01Z'", ["DROPPED_EARLY", "LEAVES_LEFT", *["ROW_INSERTED"] * 4]),
]


@pytest.mark.parametrize("chain", NAMES)
@pytest.mark.parametrize(("change", "expected"), SEAL_CHANGES, ids=[change for change, _ in SEAL_CHANGES])
def test_a_change_of_a_seal_is_found(records: Records, chain: str, change: str, expected: list[str]) -> None:
    report = tampered(records, f"UPDATE seal SET {change} WHERE chain = '{chain}' AND number = 2")
    assert [(one.chain, one.what.name) for one in report.findings] == [(chain, what) for what in expected]
    assert {one.seal for one in report.findings if one.number is None} == {2}
    assert {one.number for one in report.findings if one.number is not None} <= {5, 6, 7, 8}


@pytest.mark.parametrize("chain", NAMES)
def test_a_seal_that_ends_elsewhere_is_found_with_the_one_after_it(records: Records, chain: str) -> None:
    for last in (7, 9, 2**62):
        change = f"UPDATE seal SET last_number = {last} WHERE chain = '{chain}' AND number = 2"
        assert found(tampered(records, change)) == [(chain, "SEAL_CHANGED", 2), (chain, "SEAL_UNLINKED", 3)]


@pytest.mark.parametrize("chain", NAMES)
def test_a_seal_of_another_number_or_chain_is_missing_from_its_place(records: Records, chain: str) -> None:
    where = f"WHERE chain = '{chain}' AND number"
    assert found(tampered(records, f"UPDATE seal SET number = 9 {where} = 3"))[:2] == [
        (chain, "SEAL_CHANGED", 9),
        (chain, "SEAL_MISSING", 3),
    ]
    assert found(tampered(records, f"UPDATE seal SET chain = 'other' {where} = 2")) == [
        (chain, "SEAL_MISSING", 2)
    ]
    assert (chain, "SEAL_UNLINKED", 0) in found(tampered(records, f"UPDATE seal SET number = 0 {where} = 1"))


@pytest.mark.parametrize("chain", NAMES)
@pytest.mark.parametrize(("deleted", "first", "last"), [("1", 1, 1), ("2", 2, 2), ("1, 2", 1, 2)])
def test_a_missing_seal_is_named(records: Records, chain: str, deleted: str, first: int, last: int) -> None:
    report = tampered(records, f"DELETE FROM seal WHERE chain = '{chain}' AND number IN ({deleted})")
    assert found(report) == [(chain, "SEAL_MISSING", first)]
    assert report.findings[0].until == last


@pytest.mark.parametrize("chain", NAMES)
def test_rows_and_leaves_that_were_changed_together_are_named_by_their_seal(
    records: Records, chain: str
) -> None:
    report = tampered(
        records,
        f"UPDATE {chain} SET purpose = 'x' WHERE number = 6",
        resealed(chain)[0].replace("WHERE chain", "WHERE number = 2 AND chain"),
    )
    assert found(report) == [(chain, "LEAVES_CHANGED", 2), (chain, "ROWS_CHANGED", 2)]


@pytest.mark.parametrize("chain", NAMES)
def test_a_seal_that_was_made_anew_does_not_fit_the_one_after_it(records: Records, chain: str) -> None:
    anew = [*resealed(chain)[:2], resealed(chain)[5]]
    report = tampered(records, f"UPDATE {chain} SET purpose = 'x' WHERE number = 6", *anew)
    assert found(report) == [(chain, "SEAL_UNLINKED", 3)]


@pytest.mark.parametrize("chain", NAMES)
def test_a_chain_that_was_sealed_anew_differs_from_its_anchor_alone(records: Records, chain: str) -> None:
    change = (f"UPDATE {chain} SET purpose = 'x' WHERE number = 6", *resealed(chain))
    assert tampered(records, *change).is_whole
    known = anchors(records)
    assert found(tampered(records, *change, anchored=known)) == [
        (chain, "ANCHOR_DIFFERS", 2),
        (chain, "ANCHOR_DIFFERS", 3),
    ]
    newest = {key: seal for key, seal in known.items() if key[1] == 3}
    assert found(tampered(records, *change, anchored=newest)) == [(chain, "ANCHOR_DIFFERS", 3)]


@pytest.mark.parametrize("chain", NAMES)
def test_a_chain_that_was_cut_short_lacks_what_was_anchored(records: Records, chain: str) -> None:
    cut = (
        f"DELETE FROM seal WHERE chain = '{chain}' AND number > 1",
        f"DELETE FROM {chain} WHERE number > 4",
    )
    assert tampered(records, *cut).is_whole
    known = anchors(records)
    assert found(tampered(records, *cut, anchored=known)) == [
        (chain, "ANCHOR_MISSING", 2),
        (chain, "ANCHOR_MISSING", 3),
    ]
    assert len(found(tampered(records, "DELETE FROM seal", anchored=known))) == 6


DROP = "UPDATE seal SET leaves = NULL, dropped_at = '{}' WHERE chain = '{}' AND number = 1"


@pytest.mark.parametrize(("chain", "over"), [("access_record", "2028-03-01"), ("disclosure", "2029-03-01")])
def test_rows_may_be_dropped_when_their_time_is_over(records: Records, chain: str, over: str) -> None:
    """24 months for records of access and 3 years for disclosures, from the moment of the seal."""
    rows = f"DELETE FROM {chain} WHERE number <= 4"
    moment = f"{over} {NOW:%H:%M:%S.%f}Z"
    rightly = tampered(records, rows, DROP.format(moment, chain), now=LATER)
    assert rightly.is_whole
    assert next(one for one in rightly.chains if one.chain == chain).dropped == 1
    early = [(chain, "DROPPED_EARLY", 1)]
    before = f"{over} {NOW - timedelta(microseconds=1):%H:%M:%S.%f}Z"
    assert found(tampered(records, rows, DROP.format(before, chain), now=LATER)) == early
    # Nor can a moment that is still to come be given as that of the dropping.
    assert found(tampered(records, rows, DROP.format("2031-01-01Z", chain), now=NOW)) == early


@pytest.mark.parametrize("chain", NAMES)
def test_a_row_that_is_left_of_what_was_dropped_is_named(records: Records, chain: str) -> None:
    rows = f"DELETE FROM {chain} WHERE number IN (1, 2, 4)"
    report = tampered(records, rows, DROP.format("2031-01-01Z", chain), now=LATER)
    assert found(report) == [(chain, "ROW_INSERTED", 3)]


def test_an_older_seal_of_what_was_dropped_cannot_be_claimed(records: Records) -> None:
    """The moment of sealing is sealed: it cannot be set back to make a dropping rightful."""
    back = "UPDATE seal SET sealed_at = '2020-01-01Z' WHERE chain = 'access_record' AND number = 1"
    rows = "DELETE FROM access_record WHERE number <= 4"
    drop = DROP.format("2026-01-01Z", "access_record")
    assert found(tampered(records, rows, drop, back)) == [("access_record", "SEAL_CHANGED", 1)]


def test_no_more_findings_are_listed_than_people_can_read(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "LISTED", 5)
    report = tampered(records, "DELETE FROM access_record")
    assert len(report.findings) == 5
    assert report.counts == {"ROW_MISSING": SEALED}


@pytest.mark.parametrize(
    "setting", ["SET timezone = 'Asia/Tokyo'", "SET datestyle = 'German'", "SET bytea_output = 'escape'"]
)
def test_a_line_is_the_same_whatever_the_session_is_set_to(records: Records, setting: str) -> None:
    assert tampered(records, setting.replace("SET", "SET LOCAL")).is_whole
