"""The caller's mistakes: each has its code and its place in the document, and nothing is answered."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from uuid import UUID

import pytest

from schema.scalars import global_id
from tests.world import World
from tests.writing import another_gateway

GRAPHQL_RESPONSE = "application/graphql-response+json"
ABSENT = UUID("01900000-abcd-7000-8000-00000000abcd")
UNKNOWN_KEY = global_id("Return", ABSENT)
FILTERED = "query($where: OrderWhere) { orders(where: $where) { totalCount } }"
PAGED = "query($first: Int, $last: Int) { orders(first: $first, last: $last) { totalCount } }"
SORTED = "query($by: [OrderOrderBy!]) { orders(orderBy: $by) { totalCount } }"


def only_error(response: Any) -> dict[str, Any]:
    """The single error of an answer without data."""
    body = response.json()
    assert set(body) == {"errors"}, body
    assert len(body["errors"]) == 1, body
    error: dict[str, Any] = body["errors"][0]
    return error


def assert_mistake(world: World, document: str, variables: Any, code: str, at: str = "") -> None:
    """The operation is refused whole with this code, where `at` stands: 200 as JSON, else 400."""
    as_json = world.post("customer", document, variables)
    strict = world.post("customer", document, variables, headers={"accept": GRAPHQL_RESPONSE})
    assert (as_json.status_code, strict.status_code) == (200, 400)
    assert as_json.content == strict.content
    body = as_json.json()
    assert set(body) == {"errors"}, body
    for error in body["errors"]:
        assert error["extensions"]["code"] == code, body
        assert len(error.get("locations", ())) == 1, error
        place = error["locations"][0]
        before = document.split("\n")[: place["line"] - 1]
        offset = sum(len(line) + 1 for line in before) + place["column"] - 1
        assert 0 <= offset <= len(document)
        assert document[offset:].startswith(at), body


def coded(text: str) -> str:
    """Standard base64, padded."""
    return base64.b64encode(text.encode()).decode()


# ---------------------------------------------------------------- mistakes in the document


@pytest.mark.parametrize(
    "document",
    [
        "{ viewer { role }",
        "{ viewer { role } } }",
        "# nothing but a comment",
        "query Q tokens { viewer { role } }",
        '{ node(id: "x) { id } }',
        "{\n  viewer {\n    role(\n  }\n}",
        "{ viewer { role } } \0",
        "[]",
        "{ viewer { ... on } }",
        "{ orders(where: {number: {eq: $}}) { totalCount } }",
        "{ viewer { role } } query",
        '{ node(id: "\\ud800") { id } }',
        '{ node(id: "\\u{110000}") { id } }',
    ],
)
def test_a_document_that_does_not_parse_is_a_syntax_error_with_its_place(world: World, document: str) -> None:
    """What graphql-core cannot parse is SYNTAX_ERROR where it stops, whatever words stand there."""
    assert_mistake(world, document, None, "SYNTAX_ERROR")


@pytest.mark.parametrize(
    ("document", "at"),
    [
        ("{ viewer { nothing } }", "nothing"),
        ("{ nothing }", "nothing"),
        ("{\n  orders {\n    nodes { nothing }\n  }\n}", "nothing"),
        ("{ orders(size: 3) { totalCount } }", "size"),
        ("{ node { id } }", "node"),
        ("{ orders(first: 3, first: 4) { totalCount } }", "first"),
        ("{ viewer }", "viewer"),
        ("{ viewer { role { name } } }", "{ name"),
        ("{ orders(first: $size) { totalCount } }", "$size"),
        ("query($size: Int) { viewer { role } }", "$size"),
        ("query($size: Int, $size: Int) { orders(first: $size) { totalCount } }", "size"),
        ("query($size: Nothing) { orders(first: $size) { totalCount } }", "Nothing"),
        ("query($size: String) { orders(first: $size) { totalCount } }", "$size"),
        ("{ ...Nothing }", "Nothing"),
        ("{ viewer { role } } fragment Unused on Query { viewer { role } }", "fragment"),
        ("{ ...A } fragment A on Query { ...A }", "...A }"),
        ("{ ... on Order { id } }", "... on"),
        ("{ viewer @nothing { role } }", "@nothing"),
        ("{ viewer @skip { role } }", "@skip"),
        ("{ viewer @skip(if: true) @skip(if: true) { role } }", "@skip"),
        ("{ a: viewer { role } a: privacyNotice { version } }", "a: viewer"),
        ("mutation { viewer { role } }", "viewer"),
        ("subscription { viewer { role } }", "viewer"),
        ("type Query { viewer: String }", "type"),
        ("{ viewer { role } } query Q { viewer { role } }", "{ viewer"),
        ("{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }", "__schema"),
        ("{ orders(first: 1.5) { totalCount } }", "1.5"),
        ('{ orders(first: "3") { totalCount } }', '"3"'),
        ("{ orders(first: 3000000000) { totalCount } }", "3000000000"),
        ("{ node(id: true) { id } }", "true"),
        ("{ node(id: null) { id } }", "null"),
        ("{ orders(where: {status: {eq: NOTHING}}) { totalCount } }", "NOTHING"),
        ('{ orders(where: {status: {eq: "PAID"}}) { totalCount } }', '"PAID"'),
        ("{ orders(where: {nothing: {eq: 1}}) { totalCount } }", "nothing"),
        ("{ orders(where: {number: {gt: 1}}) { totalCount } }", "gt"),
        ('{ orders(where: {number: {in: [["x"]]}}) { totalCount } }', '["x"]'),
        ("{ orders(where: {total: {eq: 1.5}}) { totalCount } }", "1.5"),
        ('{ orders(where: {total: {eq: "1e3"}}) { totalCount } }', '"1e3"'),
        ('{ orders(where: {placedAt: {lt: "2026-06-15"}}) { totalCount } }', '"2026'),
        ('{ orders(where: {placedAt: {lt: "9999-12-31T23:59:59-01:00"}}) { totalCount } }', '"9999'),
        ("{ orders(orderBy: {number: UP}) { totalCount } }", "UP"),
        ("{ orders(where: {and: [null]}) { totalCount } }", "null"),
    ],
)
def test_a_document_that_is_not_valid_is_refused_with_its_place(world: World, document: str, at: str) -> None:
    """What the schema does not allow is VALIDATION_FAILED at the name or value that is wrong."""
    assert_mistake(world, document, None, "VALIDATION_FAILED", at)


@pytest.mark.parametrize("name", ["", None, "Third"])
def test_one_of_several_operations_must_be_named(world: World, name: str | None) -> None:
    """Several operations without a name that one of them has are BAD_REQUEST."""
    document = "query First { viewer { role } } query Second { __typename }"
    assert only_error(world.post("customer", document, operation_name=name))["extensions"] == {
        "code": "BAD_REQUEST"
    }


def test_the_named_operation_is_the_one_answered(world: World) -> None:
    """`operationName` chooses, and one document cached under one name answers under the other."""
    document = "query First { viewer { role } } query Second { __typename }"
    answers = [world.ask("customer", document, operation_name=name)[1] for name in ("First", "Second")]
    assert answers == [{"data": {"viewer": {"role": "customer"}}}, {"data": {"__typename": "Query"}}]


# ---------------------------------------------------------------- mistakes in variables


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        (PAGED, {"first": "3"}),
        (PAGED, {"first": 1.5}),
        (PAGED, {"first": True}),
        (PAGED, {"first": 2**31}),
        (PAGED, {"first": [1, 2]}),
        (PAGED, {"first": {}}),
        ("query($id: ID!) { node(id: $id) { id } }", {}),
        ("query($id: ID!) { node(id: $id) { id } }", {"id": None}),
        ("query($id: ID!) { node(id: $id) { id } }", {"id": 1.5}),
        ("query($id: ID!) { node(id: $id) { id } }", {"id": "x\0"}),
        ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": [None]}),
        ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": {"id": "x"}}),
        ("query($on: Boolean!) { viewer @skip(if: $on) { role } }", {"on": "true"}),
        (FILTERED, {"where": {"number": {"eq": 5}}}),
        (FILTERED, {"where": {"number": {"eq": "x\0"}}}),
        (FILTERED, {"where": {"number": {"in": ["x", None]}}}),
        (FILTERED, {"where": {"number": {"eq": None}}}),
        (FILTERED, {"where": {"number": None}}),
        (FILTERED, {"where": {"not": None}}),
        (FILTERED, {"where": {"or": None}}),
        (FILTERED, {"where": {"or": [None]}}),
        (FILTERED, {"where": {"lines": {"some": None}}}),
        (FILTERED, {"where": {"number": {"isNull": None}}}),
        (FILTERED, {"where": {"number": {"likes": "x"}}}),
        (FILTERED, {"where": {"nothing": {"eq": "x"}}}),
        (FILTERED, {"where": []}),
        (FILTERED, {"where": "x"}),
        (FILTERED, {"where": {"status": {"eq": "NOTHING"}}}),
        (FILTERED, {"where": {"status": {"in": ["PAID", "NOTHING"]}}}),
        (FILTERED, {"where": {"placedAt": {"lt": "2026-06-15T12:00:00"}}}),
        (FILTERED, {"where": {"placedAt": {"lt": 1781524800}}}),
        (FILTERED, {"where": {"placedAt": {"lt": "0001-01-01T00:00:00+01:00"}}}),
        (FILTERED, {"where": {"total": {"eq": 12.5}}}),
        (FILTERED, {"where": {"total": {"eq": 10**30}}}),
        (FILTERED, {"where": {"total": {"eq": "NaN"}}}),
        (SORTED, {"by": [{}]}),
        (SORTED, {"by": [None]}),
        (SORTED, {"by": [{"number": None}]}),
        (SORTED, {"by": [{"number": "ASC", "id": "ASC"}]}),
        (SORTED, {"by": [{"number": "UP"}]}),
    ],
)
def test_a_wrong_variable_is_refused_with_its_place(world: World, document: str, variables: Any) -> None:
    """A variable that its type or its place does not take is BAD_VARIABLE."""
    assert_mistake(world, document, variables, "BAD_VARIABLE")


@pytest.mark.parametrize(
    "argument",
    [
        "where: {number: {eq: null}}",
        "where: {number: null}",
        "where: {or: null}",
        "where: {not: null}",
        'where: {number: {eq: "\\u0000"}}',
        "orderBy: [{}]",
        "orderBy: [{number: ASC, id: ASC}]",
        "orderBy: {number: null}",
    ],
)
def test_a_literal_that_cannot_be_compared_with_is_refused_as_a_variable_is(
    world: World, argument: str
) -> None:
    """Null and NUL in a condition, and a sort key of none or two fields, are BAD_VARIABLE."""
    assert_mistake(world, f"{{ orders({argument}) {{ totalCount }} }}", None, "BAD_VARIABLE")


def test_many_wrong_variables_are_told_without_end(world: World) -> None:
    """More wrong variables than are listed are still BAD_VARIABLE."""
    names = [f"v{number}" for number in range(30)]
    declared = " ".join(f"${name}: Int" for name in names)
    used = " ".join(f"{name}: orders(first: ${name}) {{ totalCount }}" for name in names)
    body = world.ask("customer", f"query({declared}) {{ {used} }}", dict.fromkeys(names, "x"))[1]
    assert {error["extensions"]["code"] for error in body["errors"]} == {"BAD_VARIABLE"}


# ---------------------------------------------------------------- ids, cursors, pages, look-ups

WRONG_KEYS = {
    "empty": "",
    "no base64": "no base64!",
    "base64 of nothing known": coded("nothing"),
    "unknown type": global_id("Nothing", ABSENT),
    "another type": global_id("Carrier", ABSENT),
    "no uuid": coded("Return:17"),
    "upper case": coded(f"Return:{str(ABSENT).upper()}"),
    "uuid without hyphens": coded(f"Return:{ABSENT.hex}"),
    "uuid in braces": coded(f"Return:{{{ABSENT}}}"),
    "text behind": coded(f"Return:{ABSENT}:"),
    "line break behind": UNKNOWN_KEY + "\n",
    "not padded": UNKNOWN_KEY.rstrip("="),
    "padded twice": UNKNOWN_KEY + "=",
    "no UTF-8": base64.b64encode(b"Return:\xff").decode(),
    "not ASCII": "ä" + UNKNOWN_KEY,
    "a bare uuid": str(ABSENT),
}
BY_ID = [
    "query($key: ID!) { return(id: $key) { id } }",
    "query($key: ID!) { returns(where: {id: {eq: $key}}) { totalCount } }",
    "query($key: ID!) { returns(where: {not: {id: {in: [$key]}}}) { totalCount } }",
    "query($key: ID!) { orders(where: {returns: {none: {id: {eq: $key}}}}) { totalCount } }",
]
BY_NODE = ["query($key: ID!) { node(id: $key) { id } }", "query($key: ID!) { nodes(ids: [$key]) { id } }"]


def with_literal(document: str, value: object) -> str:
    """The document with a literal where its only variable stood."""
    return "{" + document.partition("{")[2].replace("$key", json.dumps(value, ensure_ascii=False))


def assert_wrong_key(world: World, document: str, key: object, code: str) -> None:
    assert_mistake(world, document, {"key": key}, code)
    assert_mistake(world, with_literal(document, key), None, code)


@pytest.mark.parametrize("key", WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_an_id_is_canonical_or_refused(world: World, key: str) -> None:
    """A global id that is not the canonical one of its place's type is BAD_ID, literal or variable."""
    nodes = [] if key == WRONG_KEYS["another type"] else BY_NODE
    for document in (*BY_ID, *nodes):
        assert_wrong_key(world, document, key, "BAD_ID")


@pytest.mark.parametrize("key", [*WRONG_KEYS.values(), UNKNOWN_KEY], ids=[*WRONG_KEYS, "no such row"])
@pytest.mark.parametrize("side", ["after", "before"])
def test_a_cursor_is_of_a_visible_row_of_the_list_or_refused(world: World, key: str, side: str) -> None:
    """A cursor that is no canonical id of the list's type, or whose row is gone, is BAD_CURSOR."""
    listed = f"query($key: String) {{ returns({side}: $key) {{ totalCount }} }}"
    nested = f"query($key: String) {{ orders {{ nodes {{ returns({side}: $key) {{ nodes {{ id }} }} }} }} }}"
    for document in (listed, nested):
        assert_wrong_key(world, document, key, "BAD_CURSOR")


def test_a_cursor_of_a_row_that_others_see_is_refused_like_one_of_no_row(world: World) -> None:
    """The row of a cursor must be visible to the caller; if not, the answer is that of an absent row."""
    document = "query($key: String) { orders(after: $key) { nodes { id } } }"
    theirs = world.data("customer-2", "{ orders(first: 1) { edges { cursor } } }")
    cursor = theirs["orders"]["edges"][0]["cursor"]
    keys = (cursor, global_id("Order", ABSENT))
    found = [world.post("customer", document, {"key": key}).content for key in keys]
    assert found[0] == found[1]
    assert_mistake(world, document, {"key": cursor}, "BAD_CURSOR")


@pytest.mark.parametrize(
    "page",
    [
        {"first": 0},
        {"first": 1000},
        {"first": 101},
        {"first": -1},
        {"last": 0},
        {"last": 101},
        {"last": -5},
        {"first": 1, "last": 1},
    ],
)
def test_a_page_is_of_one_to_a_hundred_entries_from_one_end(world: World, page: dict[str, int]) -> None:
    """`first` or `last` out of range, or both, are BAD_PAGE, literal or variable, in any list."""
    literal = ", ".join(f"{name}: {size}" for name, size in page.items())
    assert_mistake(world, PAGED, page, "BAD_PAGE")
    assert_mistake(world, f"{{ orders({literal}) {{ totalCount }} }}", None, "BAD_PAGE")
    assert_mistake(
        world, f"{{ orders {{ nodes {{ lines({literal}) {{ totalCount }} }} }} }}", None, "BAD_PAGE"
    )


def test_pages_at_the_ends_of_the_range_are_given(world: World) -> None:
    """1 and 100 are page sizes, and null is the default."""
    for page in ({"first": 1}, {"first": 100}, {"last": 100}, {"first": None, "last": 1}, {"first": None}):
        world.data("customer", PAGED, page)


def test_nodes_takes_a_page_of_ids(world: World) -> None:
    """101 ids are BAD_PAGE, 100 are not."""
    document = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert_mistake(world, document, {"ids": [UNKNOWN_KEY] * 101}, "BAD_PAGE")
    assert world.data("customer", document, {"ids": [UNKNOWN_KEY] * 100}) == {"nodes": [None] * 100}


@pytest.mark.parametrize("root", ["customer", "order", "delivery", "return"])
def test_a_look_up_takes_exactly_one_argument(world: World, root: str) -> None:
    """None, only null, or two arguments are BAD_LOOKUP at the look-up, literal or variable."""
    second = {"customer": "email", "delivery": "trackingCode"}.get(root, "number")
    both = f'id: "{UNKNOWN_KEY}", {second}: "x"'
    for arguments in ("", "(id: null)", f"(id: null, {second}: null)", f"({both})"):
        assert_mistake(world, f"{{ {root}{arguments} {{ id }} }}", None, "BAD_LOOKUP", root)
    document = f"query($id: ID, $text: String) {{ {root}(id: $id, {second}: $text) {{ id }} }}"
    for variables in ({}, {"id": None}, {"id": UNKNOWN_KEY, "text": "x"}):
        assert_mistake(world, document, variables, "BAD_LOOKUP", root)


def test_a_schema_that_waits_for_the_database_is_answered_in_time(writable: World) -> None:
    limits = {"statement_timeout_seconds": 0.1, "statement_timeout_seconds_by_role": {}}
    with another_gateway(writable, **limits) as slow:

        async def ask(connection: Any) -> Any:
            async with connection.transaction():
                await connection.execute("LOCK TABLE designation IN ACCESS EXCLUSIVE MODE")
                headers = dict(slow.askers["support"].headers)
                return await asyncio.to_thread(slow.client.get, "/schema.graphql", headers=headers)

        answer = writable.run(ask)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (504, "TIMEOUT")
