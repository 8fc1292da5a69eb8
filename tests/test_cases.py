"""The operations of `cases/`: their SQL and their answers are files, reviewed as diffs.

Each `name.graphql` says in its head who asks (`# as:`), for which purpose (`# purpose:`) and how many
statements that takes (`# statements:`). `UPDATE_CASES=1 pytest tests/test_cases.py` writes the files anew.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.world import World

FOLDER = Path(__file__).with_name("cases")
UPDATE = "UPDATE_CASES" in os.environ


def head(document: str, name: str) -> list[str]:
    found = re.search(rf"^# {name}: (.*)$", document, re.MULTILINE)
    return found[1].split() if found else []


CASES = [
    (path.stem, asker)
    for path in sorted(FOLDER.glob("*.graphql"))
    for asker in head(path.read_text(encoding="utf-8"), "as")
]


def compare(path: Path, text: str) -> None:
    if UPDATE:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(("name", "asker"), CASES)
def test_a_case_has_its_statement_and_its_answer(world: World, name: str, asker: str) -> None:
    document = (FOLDER / f"{name}.graphql").read_text(encoding="utf-8")
    purpose = (head(document, "purpose") or [None])[0]
    world.ask(asker, "{ __typename }")  # who they are is known from here on
    with world.recorded(refusals=True) as statements:
        status, body = world.ask(asker, document, None, purpose)
    assert status == 200
    refusals = [sql for sql in statements if "'REFUSED'" in sql]
    statements = [sql for sql in statements if sql not in refusals]
    assert len(statements) == int(head(document, "statements")[0])
    is_recorded = asker not in ("anonymous", "customer")
    assert len(refusals) == (1 if is_recorded and "errors" in body else 0)
    compare(FOLDER / f"{name}.{asker}.json", json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    if statements:
        compare(FOLDER / f"{name}.{asker}.sql", f"{statements[-1]}\n")


def test_no_file_of_a_case_is_left_over() -> None:
    wanted = {f"{name}.{asker}" for name, asker in CASES}
    found = {path.stem for path in FOLDER.iterdir() if path.suffix in (".sql", ".json")}
    assert found <= wanted


def columns_of(statement: str) -> set[str]:
    """The columns a statement names, whatever they are for."""
    return set(re.findall(r"\b[a-z_]+_\d+\.([a-z_]+)\b", statement))


PERSONAL = {
    "Customer": "firstName surname streetAddress postalCode postalTown countryCode phone email",
    "Order": "billingName customerMessage internalNote",
    "Delivery": "recipientName recipientPhone recipientEmail streetAddress postalCode instructions signedBy",
    "Return": "reasonText inspectionNote refundIban",
}
ROOTS = {"Customer": "customers", "Order": "orders", "Delivery": "deliveries", "Return": "returns"}


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", name)


@pytest.mark.parametrize("type_name", PERSONAL)
def test_a_refused_field_is_in_no_statement(world: World, type_name: str) -> None:
    root = ROOTS[type_name]
    for name in world.askers:
        for field in PERSONAL[type_name].split():
            uses = {
                "read": f"{{ {root} {{ nodes {{ id {field} }} }} }}",
                "filter": f"{{ {root}(where: {{{field}: {{isNull: false}}}}) {{ nodes {{ id }} }} }}",
                "sort": f"{{ {root}(orderBy: [{{{field}: ASC}}]) {{ nodes {{ id }} }} }}",
            }
            for use, document in uses.items():
                with world.recorded() as statements:
                    _, body = world.ask(name, document)
                refused = {error["extensions"]["coordinate"] for error in body.get("errors", [])}
                if refused:
                    named = set().union(*map(columns_of, statements))
                    assert snake(field) not in named, (name, use, field)
                else:
                    assert any(snake(field) in columns_of(each) for each in statements), (name, use, field)


@pytest.mark.parametrize("type_name", PERSONAL)
def test_a_masked_value_never_leaves_the_database(world: World, type_name: str) -> None:
    root = ROOTS[type_name]
    for field in PERSONAL[type_name].split():
        with world.recorded() as statements:
            _, body = world.ask("support", f"{{ {root}(first: 100) {{ nodes {{ id {field} }} }} }}")
        values = [node[field] for node in (body["data"][root] or {"nodes": []})["nodes"]]
        shown = [value for value in values if isinstance(value, str)]
        if "errors" not in body and shown:
            assert all(re.fullmatch(r"\*\*\*(@\*\*\*|\d\d)?", value) for value in shown), field
            assert all("'***" in statement for statement in statements)


def test_the_case_files_hold_demo_data_only() -> None:
    for path in FOLDER.glob("*.json"):
        found: list[Any] = re.findall(r"[\w.]+@([\w.]+)", path.read_text(encoding="utf-8"))
        assert all(domain.startswith("example.") or domain.endswith(".example") for domain in found), path
