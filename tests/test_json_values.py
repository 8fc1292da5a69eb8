"""JSON put together of text: whatever a row holds stays what it was, and no object is too large."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from graphql import GraphQLEnumType, GraphQLObjectType, get_named_type

from schema.fields import Kind, ValueObject, columns_of
from schema.model import load_model
from schema.scalars import global_id
from tests.world import NOW, World

KEY = uuid.UUID("01900000-0000-7000-8000-0000000e5c01")
CONTROLS = "".join(map(chr, range(1, 32)))
TEXTS = (
    "",
    '"',
    "\\",
    '\\"},{"x":"',
    "</script>&'%(a)s $1 :b",
    CONTROLS,
    "\x7f\x85\u2028\ufeff",
    "ÅÄö 漢字 👩‍👩‍👧 e\u0301",
    "null",
    "true",
    "1e5",
)
PURPOSE = "customer-service"


@pytest.fixture
def named(world: World) -> Iterator[str]:
    """A customer who has been given another name before each question."""
    world.execute(
        "INSERT INTO customer (id, number, unsubscribe_token, created_at, last_active_at)"
        " VALUES ($1, 'ESCAPED', 'ESCAPED', $2, $2)",
        KEY,
        NOW,
    )
    yield global_id("Customer", KEY)
    world.execute("DELETE FROM customer WHERE id = $1", KEY)


# PostgreSQL makes an object of nothing but texts otherwise than one of few.
@pytest.mark.parametrize(
    "fields", [("firstName", "surname"), ("firstName", "surname", "email", "postalTown")]
)
@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_text_is_answered_as_it_is_kept(
    world: World, named: str, text: str, fields: tuple[str, ...]
) -> None:
    world.execute("UPDATE customer SET first_name = $2, postal_town = $2 WHERE id = $1", KEY, text)
    selection = " ".join(fields)
    one = f'customer(id: "{named}") {{ {selection} }}'
    where = 'customers(first: 1, where: {number: {eq: "ESCAPED"}})'
    listed = f"{where} {{ nodes {{ {selection} }} }}"
    paged = f"paged: {where} {{ edges {{ cursor node {{ {selection} }} }} }}"
    data = world.data("support", f"{{ {one} {listed} {paged} }}", purpose=PURPOSE)
    shown = {field: text if field in ("firstName", "postalTown") else None for field in fields}
    assert data == {
        "customer": shown,
        "customers": {"nodes": [shown]},
        "paged": {"edges": [{"cursor": named, "node": shown}]},
    }


@pytest.mark.parametrize("count", [49, 50, 51, 101, 500])
def test_an_object_may_have_any_number_of_keys(world: World, named: str, count: int) -> None:
    world.execute("UPDATE customer SET surname = 'Many' WHERE id = $1", KEY)
    keys = [f"{'k' * (number % 90)}{number}" if number % 90 else f"n{number}" for number in range(count)]
    fields = " ".join(f"{key}: surname" for key in keys)
    data = world.data("support", f'{{ customer(id: "{named}") {{ {fields} }} }}', purpose=PURPOSE)
    assert list(data["customer"].items()) == [(key, "Many") for key in keys]


def test_the_database_holds_no_name_of_an_enumeration_but_its_own(world: World) -> None:
    """So that such a name is written into JSON as it is."""

    async def read(connection: asyncpg.Connection) -> Any:
        return await connection.fetch(
            "SELECT conrelid::regclass::text AS held_by, conname AS name,"
            " pg_get_constraintdef(oid) AS condition"
            " FROM pg_constraint WHERE contype = 'c' AND convalidated"
        )

    conditions = {(one["held_by"], one["name"]): one["condition"] for one in world.run(read)}
    model, seen = load_model(), 0
    for entity in model.entities.values():
        shown = model.graphql.get_type(entity.name)
        assert isinstance(shown, GraphQLObjectType)
        for field in entity.fields.values():
            # What is made of constants has no column.
            if field.kind is not Kind.ENUM or field.coordinate == "Disclosure.noticeStatus":
                continue
            (name,) = {column.name for column in columns_of(field.source, entity.table)}
            condition = conditions[entity.table.name, f"{name}_is_known"]
            assert re.match(rf"CHECK \(+{name}(\)?::text)? = ", condition), condition
            kind = get_named_type(shown.fields[field.name].type)
            assert isinstance(kind, GraphQLEnumType)
            assert set(re.findall(r"'(.*?)'", condition)) <= set(kind.values), field.coordinate
            seen += 1
    assert seen > 15


def test_no_part_of_an_object_without_identity_is_an_enumeration() -> None:
    objects = [
        field.source
        for entity in load_model().entities.values()
        for field in entity.fields.values()
        if isinstance(field.source, ValueObject)
    ]
    assert objects
    assert all(kind is not Kind.ENUM for one in objects for kind, _ in one.parts.values())
