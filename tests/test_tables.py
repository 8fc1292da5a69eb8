"""Every column of every table says in the words of data protection what it holds."""

from __future__ import annotations

from pathlib import Path

import yaml
from sqlalchemy import Column
from sqlmodel import SQLModel

import policies
import schema.tables  # noqa: F401  # fills SQLModel.metadata
from schema.tags import NotPersonal, Personal

FOLDER = Path(policies.__path__[0])


def known(file: str, key: str) -> set[str]:
    """What the lines of a policy file are named."""
    return {line[key] for line in yaml.safe_load((FOLDER / file).read_text())}


def test_every_column_has_a_tag_in_the_words_of_the_policy_files() -> None:
    rules, purposes = known("retention.yaml", "rule"), known("purposes.yaml", "code")

    def is_tagged(column: Column[object]) -> bool:
        match column.info.get("tag"):
            case Personal(category=category, retention=rule, purposes=named):
                return category.startswith("user.") and rule in rules and set(named) <= purposes
            case NotPersonal(reason=reason):
                return reason != ""
            case _:
                return False

    columns = [column for table in SQLModel.metadata.tables.values() for column in table.columns]
    assert columns
    assert [str(column) for column in columns if not is_tagged(column)] == []


def test_a_table_with_rows_about_a_person_names_the_customer() -> None:
    """The row rules' key, the subject of an export and the distribution key."""
    of_others = {"carrier", "partner_token", "employee", "designation", "idempotency", "access_record"}
    tables = SQLModel.metadata.tables
    personal = {
        name
        for name, table in tables.items()
        if any(isinstance(column.info["tag"], Personal) for column in table.columns)
    }
    without = {name for name in personal - {"customer"} if "customer_id" not in tables[name].columns}
    assert without == of_others
