"""The generator against validation, and the naive twin against graphql-core's execution."""

from __future__ import annotations

from typing import Any

from graphql import execute_sync, parse, validate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.generate import EVERYTHING, operations
from tests.naive import expected, written
from tests.naive_query import LISTS, LOOKUPS, SCHEMA, TO_MANY, TO_ONE, Reader, global_id, read_global_id
from tests.naive_rows import (
    ANONYMOUS,
    CARRIER,
    CUSTOMER,
    FINANCE,
    NOW,
    ONE_ORDER,
    ROWS,
    SERVING,
    WAREHOUSE,
    World,
)
from tests.naive_rules import Asker, Register


def resolve(source: Any, info: Any, **arguments: Any) -> Any:
    """A resolver for graphql-core, for an asker who may see everything."""
    reader: Reader = info.context
    parent, name = info.parent_type.name, info.field_name
    if isinstance(source, dict):
        return source[name]
    if parent == "Query":
        return resolve_root(reader, name, arguments)
    type_name, row = source
    if (type_name, name) in TO_ONE:
        related = reader.related(type_name, name, row)
        return (TO_ONE[type_name, name][0], related[0]) if related else None
    if (type_name, name) in TO_MANY:
        return connection(
            reader, TO_MANY[type_name, name][0], reader.related(type_name, name, row), arguments
        )
    if name in ("total", "unitPrice", "refundAmount"):
        amount = reader.plain(type_name, name, row)
        return None if amount is None else {"amount": str(amount), "currency": row["currency"]}
    if name == "billingAddress":
        parts = {"streetAddress": "street_address", "postalCode": "postal_code"}
        parts |= {"postalTown": "postal_town", "countryCode": "country_code"}
        address = {part: row[f"billing_{column}"] for part, column in parts.items()}
        return address if any(address.values()) else None
    return None if name == "unsubscribeUrl" else written(type_name, reader.plain(type_name, name, row))


def resolve_root(reader: Reader, name: str, arguments: dict[str, Any]) -> Any:
    def by_id(text: str) -> Any:
        type_name, found = read_global_id(text)
        row = reader.register.rows[type_name].get(found)
        return row and (type_name, row)

    if name == "node":
        return by_id(arguments["id"])
    if name == "nodes":
        return [by_id(text) for text in arguments["ids"]]
    if name in LISTS:
        return connection(reader, LISTS[name], reader.register.rows[LISTS[name]].values(), arguments)
    row = reader.look_up(LOOKUPS[name], arguments)
    return row and (LOOKUPS[name], row)


def connection(reader: Reader, target: str, rows: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    page = reader.page(target, rows, arguments)
    cursors = [global_id(target, row["id"]) for row in page.rows]
    edges = zip(cursors, page.rows, strict=True)
    return {
        "nodes": [(target, row) for row in page.rows],
        "edges": [{"cursor": cursor, "node": (target, row)} for cursor, row in edges],
        "totalCount": page.total_count,
        "pageInfo": {
            "hasNextPage": page.has_next,
            "hasPreviousPage": page.has_previous,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


LIGHT = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@LIGHT
@given(operation=operations(World(), EVERYTHING))
def test_generated_operations_are_valid_and_executed_as_graphql_core_executes_them(operation: Any) -> None:
    document, variables, name = operation
    assert validate(SCHEMA, parse(document)) == []
    reader = Reader(Register(ROWS, EVERYTHING, NOW))
    reference = execute_sync(
        SCHEMA,
        parse(document),
        context_value=reader,
        variable_values=variables,
        operation_name=name,
        field_resolver=resolve,
        type_resolver=lambda value, info, of: value[0],
    )
    assert reference.errors is None
    answer = expected(ROWS, EVERYTHING, NOW, document, variables, name)
    assert repr(answer.data) == repr(reference.data)


@LIGHT
@given(
    data=st.data(),
    asker=st.sampled_from([CUSTOMER, ONE_ORDER, SERVING, FINANCE, WAREHOUSE, CARRIER, ANONYMOUS]),
)
def test_generated_operations_are_valid_and_answered_for_everyone(data: st.DataObject, asker: Asker) -> None:
    document, variables, name = data.draw(operations(World(), asker))
    assert validate(SCHEMA, parse(document)) == []
    answer = expected(ROWS, asker, NOW, document, variables, name)
    assert answer.data is not None
    assert answer.perhaps <= answer.refused
    assert answer.perhaps_withheld <= set(answer.withheld)
