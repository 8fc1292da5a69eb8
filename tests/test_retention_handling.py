"""Every column that holds a datum about a person has an end, and comes to it when its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text
from sqlmodel import SQLModel

from gateway.chores import OLD
from gateway.demo.seed import seed
from gateway.privacy.retention.handling import DELETED, TIDIED, How, handling_of
from gateway.privacy.retention.run import steps
from schema import tags
from schema.model import load_model
from schema.personal import personal_columns
from tests.retaining import Store, store

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
COLUMNS = {one.name: one.tag for one in personal_columns(load_model())}
# Kept past their own time by what refers to them, or by the workers.
TIDIED_BY_SETTINGS = {"mail", "refresh_token", "export_piece"}


def column(name: str) -> Column[Any]:
    table, _, found = name.partition(".")
    return SQLModel.metadata.tables[table].c[found]


@pytest.mark.parametrize("name", COLUMNS)
def test_every_personal_column_has_a_handling_by_a_step_that_there_is(name: str) -> None:
    handling = handling_of(column(name))
    made = {step.name: step for step in steps("https://store.example/")}
    if handling.step is not None:
        assert handling.step in made
    assert (handling.step is None) == (handling.how in (How.SEALED, How.TIDIED))
    if handling.how is How.CLEARED and name.partition(".")[0] != "customer":
        assert made[str(handling.step)].rule == COLUMNS[name].retention


@pytest.mark.parametrize(
    ("table", "kind", "options", "tag"),
    [
        ("wishes", Text(), {}, tags.account("user.content")),
        ("customer", Integer(), {"nullable": False}, tags.account("user.behavior")),
        ("delivery", Text(), {"nullable": False}, tags.delivery("user.content")),
        ("employee", Text(), {"nullable": True}, tags.staff("user.name")),
    ],
)
def test_a_new_column_that_nothing_handles_is_found(
    table: str, kind: Any, options: dict[str, Any], tag: tags.Personal
) -> None:
    made: Column[Any] = Column("added", kind, info={"tag": tag}, **options)
    Table(table, MetaData(), made)
    with pytest.raises(LookupError, match="nothing handles"):
        handling_of(made)


def test_what_the_workers_tidy_is_on_their_list() -> None:
    assert TIDIED - set(OLD) == TIDIED_BY_SETTINGS


@pytest.fixture(scope="module")
def register(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The demo's register, long after everybody has gone and been warned."""
    with store(server_url, tmp_path_factory.mktemp("keys")) as made:
        asyncio.run(seed(made.url, customers=60, seed=7, now=NOW, progress=lambda *_: None))
        made.sql(
            "UPDATE customer SET restricted_at = NULL, status = 'ACTIVE' WHERE restricted_at IS NOT NULL"
        )
        made.sql("UPDATE subject_request SET status = 'COMPLETED', completed_at = $1", NOW)
        made.sql("UPDATE employee SET active = false")
        made.sql("UPDATE carrier SET active = false")
        made.sql("DELETE FROM access_record")
        for year in (2040, 2041, 2050):
            made.warn(f"{year}-06-15")
            made.warn(f"{year}-08-15")
        yield made


@pytest.mark.parametrize("name", [one for one in COLUMNS if handling_of(column(one)).how is How.CLEARED])
def test_in_the_end_nothing_stands_in_a_column_that_is_cleared(register: Store, name: str) -> None:
    table, _, found = name.partition(".")
    left = {row[found] for row in register.rows(table)}
    if name == "employee.work_email":
        left = {value for value in left if not value.startswith("gone-")}
    assert left <= {None, ""}


@pytest.mark.parametrize("table", sorted(set(DELETED) - {"change", "subject_request"}))
def test_in_the_end_no_row_is_left_of_what_is_deleted(register: Store, table: str) -> None:
    assert register.rows(table) == []


def test_in_the_end_every_customer_is_an_empty_row_and_every_order_still_there(register: Store) -> None:
    assert {row["status"] for row in register.rows("customer")} == {"ERASED"}
    assert register.sql("SELECT 1 FROM orders WHERE total IS NOT NULL LIMIT 1") != []
    told = {(row["source"], row["actor"]) for row in register.rows("change")}
    assert told == {("RETENTION", "retention")}
    assert {row["kind"] for row in register.rows("subject_request")} == {"ERASURE"}
