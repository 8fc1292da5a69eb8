"""JSON put together of text: whatever a row holds stays what it was, and no object is too large."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from graphql import GraphQLEnumType, GraphQLObjectType, get_named_type
from sqlalchemy import ColumnElement, Text, literal, select
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from gateway import row_rules
from gateway.row_rules import Scope, row_of
from gateway.statements.builder import Builder
from gateway.statements.json_values import (
    LONGEST_TYPE_NAME,
    Json,
    JsonText,
    PlainText,
    json_literal,
    object_of,
    one_of,
    written,
)
from schema.fields import Kind, Mask, Scalar, ValueObject, columns_of
from schema.model import Field, load_model
from schema.scalars import LONGEST_ID, global_id, read_global_id
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


def answered(world: World, made: Json) -> Any:
    """What PostgreSQL makes of it, read as JSON."""
    sql = str(select(made.sql()).compile(dialect=dialect(), compile_kwargs={"literal_binds": True}))
    return json.loads(world.run(lambda connection: connection.fetchval(sql)))


def masked_text(mask: Mask, value: ColumnElement[Any]) -> ColumnElement[Any]:
    """A mask as the gateway answers with it."""
    builder = Builder(Scope.ACCOUNT)
    field = Field("T.f", "f", Scalar(lambda _: value, mask), Kind.STRING)
    return builder.masked(field, row_of("customer", 1))


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


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_what_a_mask_leaves_is_escaped(world: World, text: str) -> None:
    """By itself, beside a text that another rule shows whole, and where its own rule holds."""
    value = literal(text, Text())
    for mask in Mask:
        masked = masked_text(mask, value)
        shown = one_of([(literal(False), value), (literal(True), masked)])
        whole = one_of([(literal(True), value), (literal(False), masked)])
        several = [(name, shown) for name in ("c", "d", "e", "f")]
        found = answered(world, object_of([("a", masked), ("b", whole), *several, ("n", literal(1))]))
        left = found["a"]
        assert found == {"a": left, "b": text, **dict.fromkeys("cdef", left), "n": 1}
        assert answered(world, object_of(several)) == dict.fromkeys("cdef", left)
        assert left == (f"***{text[-4:]}" if mask is Mask.IBAN else left)
        assert mask is Mask.IBAN or not set(left) - set("*@0123456789")


def test_what_stands_by_conditions_is_json_or_text_as_its_parts_are() -> None:
    text, plain, json = literal("x", Text()), literal("x", PlainText()), Json(('"x"',))
    for parts, kind in (
        ((text, plain), Text),
        ((plain, text), Text),
        ((plain, plain), PlainText),
        ((text, json), JsonText),
        ((json, plain), JsonText),
    ):
        assert type(one_of([(literal(True), part) for part in parts]).type) is kind


@pytest.mark.parametrize("text", [text for text in TEXTS if text.isprintable() and text])
def test_a_change_answers_with_what_it_has_set(writable: World, text: str) -> None:
    document = """mutation($input: UpdateCustomerInput!) {
      updateCustomer(input: $input) { customer { surname firstName } userErrors { code } }
    }"""
    key = writable.askers["customer"].customer_id
    assert key is not None
    given = {"id": global_id("Customer", key), "surname": text}
    found = writable.data("customer", document, {"input": given})["updateCustomer"]
    assert found["userErrors"] == []
    assert found["customer"]["surname"] == text


@pytest.mark.parametrize("key", ["", 'a"', "a b", "1a", "a'"])
def test_what_is_no_name_is_no_key(key: str) -> None:
    with pytest.raises(AssertionError):
        object_of([(key, literal(1))])
    with pytest.raises(AssertionError):
        json_literal(key)


def test_every_type_has_ids_of_one_line() -> None:
    """PostgreSQL cuts longer base64 into lines."""
    entities = load_model().entities
    assert max(map(len, entities)) <= LONGEST_TYPE_NAME
    with pytest.raises(AssertionError):
        written(Kind.ID, literal(KEY), "T" * (LONGEST_TYPE_NAME + 1))


def test_the_ids_of_the_longest_name_are_of_one_line(world: World) -> None:
    name = "T" * LONGEST_TYPE_NAME
    found = answered(world, object_of([("id", written(Kind.ID, literal(str(KEY), Text()), name))]))
    assert found == {"id": global_id(name, KEY)}


def test_a_payload_in_another_form_keeps_no_condition(writable: World) -> None:
    """What is made for one statement alone goes with it."""
    key = writable.askers["customer"].customer_id
    assert key is not None

    def change(alias: str) -> int:
        document = f"""mutation($input: UpdateCustomerInput!) {{
          updateCustomer(input: $input) {{ customer {{ {alias}: surname }} }}
        }}"""
        writable.data("customer", document, {"input": {"id": global_id("Customer", key), "firstName": alias}})
        return row_rules._kept.cache_info().currsize

    assert len({change(f"a{number}") for number in range(5)}) == 1


@pytest.mark.parametrize("count", [49, 50, 51, 101, 500])
def test_an_object_may_have_any_number_of_keys(world: World, named: str, count: int) -> None:
    world.execute("UPDATE customer SET surname = 'Many' WHERE id = $1", KEY)
    keys = [f"{'k' * (number % 90)}{number}" if number % 90 else f"n{number}" for number in range(count)]
    fields = " ".join(f"{key}: surname" for key in keys)
    data = world.data("support", f'{{ customer(id: "{named}") {{ {fields} }} }}', purpose=PURPOSE)
    assert list(data["customer"].items()) == [(key, "Many") for key in keys]


def test_an_id_is_read_up_to_the_longest_there_is() -> None:
    longest = global_id("T" * LONGEST_TYPE_NAME, KEY)
    assert len(longest) == LONGEST_ID
    assert read_global_id(longest) == ("T" * LONGEST_TYPE_NAME, KEY)
    assert read_global_id(global_id("T" * 3 * LONGEST_TYPE_NAME, KEY)) is None


def test_the_database_holds_no_name_of_an_enumeration_but_its_own(world: World) -> None:
    """So that such a name is written into JSON as it is."""

    async def read(connection: asyncpg.Connection) -> Any:
        return await connection.fetch(
            "SELECT coalesce(a.attrelid, c.conrelid)::regclass::text AS held_by, c.conname AS name,"
            " pg_get_constraintdef(c.oid) AS condition"
            # Of a column, or of the domain of one.
            " FROM pg_constraint c LEFT JOIN pg_attribute a ON a.atttypid = nullif(c.contypid, 0)"
            " WHERE c.contype = 'c' AND c.convalidated"
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
            assert re.match(rf"CHECK \(+({name}|VALUE)(\)?::text)? = ", condition), condition
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
