"""GraphQL over HTTP: every mistake has its code, its place and its status, and every answer its headers."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from graphql import GraphQLSchema, build_schema
from starlette.testclient import TestClient

from gateway.app import app_of, create_gateway
from schema.scalars import global_id
from tests.world import World

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
ABSENT = UUID("01900000-0000-7000-8000-000000000000")
UNKNOWN_KEY = global_id("Order", ABSENT)
FILTERED = "query($where: OrderWhere) { orders(where: $where) { totalCount } }"
PAGED = "query($first: Int, $last: Int) { orders(first: $first, last: $last) { totalCount } }"
SORTED = "query($by: [OrderOrderBy!]) { orders(orderBy: $by) { totalCount } }"


def post(world: World, content: Any, name: str = "customer", **headers: str) -> Any:
    """The response to a body sent as it is, `application/json` unless the headers say otherwise."""
    given = {"content-type": JSON, **world.askers[name].headers}
    given |= {key.replace("_", "-"): value for key, value in headers.items()}
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return world.client.post("/graphql", content=body, headers=given)


def get(world: World, name: str = "customer", **parameters: str) -> Any:
    """The response to a GET whose parameters are percent-encoded UTF-8."""
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters.items())
    return world.client.get(f"/graphql?{query}", headers=world.askers[name].headers)


def only_error(response: Any) -> dict[str, Any]:
    """The single error of an answer without data."""
    body = response.json()
    assert set(body) == {"errors"}, body
    assert len(body["errors"]) == 1, body
    error: dict[str, Any] = body["errors"][0]
    assert error["message"][0] == error["message"][0].lower() or error["message"][0] == "`", error
    return error


def assert_mistake(
    world: World, document: str, variables: Any, code: str, at: str | None = None, name: str = "customer"
) -> dict[str, Any]:
    """The operation is refused whole with this code, 200 as JSON, 400 otherwise, at a place in the document."""
    as_json = world.post(name, document, variables)
    strict = world.post(name, document, variables, headers={"accept": GRAPHQL_RESPONSE})
    assert (as_json.status_code, strict.status_code) == (200, 400)
    assert as_json.content == strict.content
    body = as_json.json()
    assert set(body) == {"errors"}, body
    for error in body["errors"]:
        assert error["extensions"]["code"] == code, body
        place = error["locations"][0]
        lines = document.split("\n")
        assert 1 <= place["line"] <= len(lines)
        assert 1 <= place["column"] <= len(lines[place["line"] - 1]) + 1
        if at is not None:
            assert document.replace("\n", " ")[_offset(document, place) :].startswith(at), (body, at)
    first: dict[str, Any] = body["errors"][0]
    return first


def _offset(document: str, place: dict[str, int]) -> int:
    lines = document.split("\n")
    return sum(len(line) + 1 for line in lines[: place["line"] - 1]) + place["column"] - 1


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
        ("query($size: Int, $size: Int) { orders(first: $size) { totalCount } }", "$size"),
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
        ("mutation { viewer { role } }", "mutation"),
        ("subscription { viewer { role } }", "subscription"),
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
    "no uuid": coded("Order:17"),
    "upper case": coded(f"Order:{ABSENT}".upper().replace("ORDER", "Order")),
    "uuid without hyphens": coded(f"Order:{ABSENT.hex}"),
    "uuid in braces": coded(f"Order:{{{ABSENT}}}"),
    "text behind": coded(f"Order:{ABSENT}:"),
    "line break behind": UNKNOWN_KEY + "\n",
    "not padded": UNKNOWN_KEY.rstrip("="),
    "padded twice": UNKNOWN_KEY + "==",
    "no UTF-8": base64.b64encode(b"Order:\xff").decode(),
    "not ASCII": "ä" + UNKNOWN_KEY,
    "a bare uuid": str(ABSENT),
}
BY_ID = [
    "query($key: ID!) { order(id: $key) { id } }",
    "query($key: ID!) { orders(where: {id: {eq: $key}}) { totalCount } }",
    "query($key: ID!) { orders(where: {not: {id: {in: [$key]}}}) { totalCount } }",
    "query($key: ID!) { orders { nodes { deliveries(where: {order: {id: {eq: $key}}}) { totalCount } } } }",
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
    assert_wrong_key(
        world, f"query($key: String) {{ orders({side}: $key) {{ totalCount }} }}", key, "BAD_CURSOR"
    )
    nested = f"query($key: String) {{ orders {{ nodes {{ id }} again: nodes {{ number }} }} carriers({side}: $key) {{ totalCount }} }}"
    if key != WRONG_KEYS["another type"]:
        assert_wrong_key(world, nested, key, "BAD_CURSOR")


def test_a_cursor_of_a_row_that_others_see_is_refused_like_one_of_no_row(world: World) -> None:
    """The row of a cursor must be visible to the caller; if not, the answer is that of an absent row."""
    document = "query($key: String) { orders(after: $key) { nodes { id } } }"
    theirs = world.data("customer-2", "{ orders(first: 1) { edges { cursor } } }")
    cursor = theirs["orders"]["edges"][0]["cursor"]
    found = [world.post("customer", document, {"key": key}).content for key in (cursor, UNKNOWN_KEY)]
    assert found[0] == found[1]
    assert_mistake(world, document, {"key": cursor}, "BAD_CURSOR")


@pytest.mark.parametrize(
    "page",
    [{"first": 0}, {"first": 1000}, {"first": 101}, {"first": -1}, {"last": 0}, {"last": 101}, {"last": -5}]
    + [{"first": 1, "last": 1}],
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


# ---------------------------------------------------------------- HTTP itself


@pytest.mark.parametrize(
    ("accept", "status", "media"),
    [
        (None, 200, JSON),
        ("*/*", 200, JSON),
        ("application/*", 200, JSON),
        ("Application/JSON", 200, JSON),
        ("text/html, application/json", 200, JSON),
        (f"{GRAPHQL_RESPONSE}, {JSON};q=0.9", 400, GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE}; charset=utf-8", 400, GRAPHQL_RESPONSE),
        ("text/html", 406, JSON),
        ("image/*;q=0.8", 406, JSON),
        (f"{JSON};q=0", 406, JSON),
    ],
)
def test_the_answer_has_the_media_type_that_is_accepted(
    world: World, accept: str | None, status: int, media: str
) -> None:
    """`Accept` chooses the media type, and with it the status of a mistake; without a match it is 406."""
    response = post(world, {"query": "{ nothing }"}, accept=accept or "")
    if accept is None:
        bare = world.client.build_request("POST", "/graphql", json={"query": "{ nothing }"})
        del bare.headers["accept"]
        response = world.client.send(bare)
    assert response.status_code == status
    assert response.headers["content-type"] == f"{media}; charset=utf-8"


@pytest.mark.parametrize("media", [JSON, GRAPHQL_RESPONSE])
def test_a_request_that_is_no_graphql_request_has_its_own_status(world: World, media: str) -> None:
    """HTTP-level refusals keep their status under both media types."""
    fine = {"query": "{ viewer { role } }"}
    statuses = {
        "fine": post(world, fine, accept=media),
        "no object": post(world, [fine], accept=media),
        "content type": post(world, fine, accept=media, content_type="text/plain"),
        "too large": post(world, {"query": "#" * 300_000}, accept=media),
        "token": post(world, fine, accept=media, authorization="Bearer x"),
        "purpose": post(world, fine, accept=media, processing_purpose="x"),
        "role": post(world, fine, accept=media, act_as="support"),
    }
    assert {name: response.status_code for name, response in statuses.items()} == {
        "fine": 200,
        "no object": 400,
        "content type": 415,
        "too large": 413,
        "token": 401,
        "purpose": 400,
        "role": 403,
    }
    assert only_error(statuses["purpose"])["extensions"]["code"] == "UNKNOWN_PURPOSE"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_get_and_post_are_methods(world: World, method: str) -> None:
    """Any other method is 405 and names those allowed."""
    response = world.client.request(method, "/graphql", json={"query": "{ viewer { role } }"})
    assert response.status_code == 405
    assert {"GET", "POST"} <= set(response.headers["allow"].replace(" ", "").split(","))


def test_every_answer_is_not_stored_not_sniffed_and_has_its_own_request_id(world: World) -> None:
    """Answers of every status carry the fixed headers, and no two have the same request id."""
    fine = {"query": "{ viewer { role } }"}
    responses = [
        post(world, fine),
        post(world, fine, x_request_id="mine"),
        post(world, {"query": "{"}),
        post(world, b"", content_type="text/plain"),
        post(world, fine, authorization="Bearer x"),
        post(world, fine, accept="text/html"),
        post(world, {"query": "{ orders { nodes { internalNote } } }"}, on_forbidden="reject"),
        get(world, query="{ viewer { role } }"),
    ]
    for response in responses:
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
    assert len({UUID(response.headers["x-request-id"]) for response in responses}) == len(responses)


def test_bodies_do_not_depend_on_the_request(world: World) -> None:
    """The same operation of the same caller has the same bytes, by POST and by GET."""
    document = "{ orders(first: 3) { totalCount nodes { number internalNote } } }"
    bodies = {post(world, {"query": document}).content, post(world, {"query": document}).content}
    assert bodies == {get(world, query=document).content}


def test_get_takes_percent_encoded_utf_8(world: World) -> None:
    """Query, variables, operation name and extensions of a GET are read as those of a POST."""
    row = next(row for row in world.rows()["customer"] if not (row["surname"] or "").isascii())
    document = "query Other { __typename } query Ä { id }".replace("Ä { id }", "Wanted($w: CustomerWhere) {")
    document += " customers(where: $w) { nodes { surname } } }  # ää ☃ 😀"
    name, officer = row["surname"], world.askers["privacy-officer"].headers
    where = json.dumps({"w": {"surname": {"eq": name}}}, ensure_ascii=False)
    query = f"query={quote(document)}&variables={quote(where)}&operationName=Wanted&extensions=%7B%7D"
    headers = {**officer, "processing-purpose": "subject-rights"}
    found = world.client.get(f"/graphql?{query}", headers=headers).json()
    assert {node["surname"] for node in found["data"]["customers"]["nodes"]} == {name}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "query=",
        "query=%7Bviewer%7Brole%7D%7D&variables=",
        "query=%7Bviewer%7Brole%7D%7D&variables=%5B%5D",
        "query=%7Bviewer%7Brole%7D%7D&variables=1",
        "query=%7Bviewer%7Brole%7D%7D&variables=%7B",
        "query=%7Bviewer%7Brole%7D%7D&variables=%7B%22a%22:%22%5Cud800%22%7D",
        "query=%7Bviewer%7Brole%7D%7D&extensions=%22x%22",
        "query=%7Bviewer%7Brole%7D%7D&operationName=%ff",
        "query=%7Bviewer%7Brole%7D%7D%ff",
        "query=%7Bviewer%7Brole%7D%7D%00",
        "variables=%7B%7D",
    ],
)
def test_a_get_that_is_no_request_is_refused(world: World, query: str) -> None:
    """A GET without a query, with variables that are no object, or with broken text is a 4xx or an error."""
    response = world.client.get(f"/graphql?{query}", headers={"accept": GRAPHQL_RESPONSE})
    assert response.status_code == 400
    assert only_error(response)["extensions"]["code"] in {"BAD_REQUEST", "SYNTAX_ERROR"}


# ---------------------------------------------------------------- refusals


def test_a_refused_field_is_null_and_named_once(world: World) -> None:
    """One entry per coordinate: its first field path by response keys, and the path before the first list."""
    document = (
        "{ o: orders(first: 2) { n: nodes { a: total { amount } b: total { currency } "
        "d: deliveries { nodes { recipientPhone } } } } }"
    )
    status, body = world.ask("warehouse", document)
    assert status == 200
    assert all(node["a"] is None and node["b"] is None for node in body["data"]["o"]["n"])
    assert body["errors"] == [
        {
            "message": f"field `{coordinate}` is not granted",
            "extensions": {"code": "FIELD_FORBIDDEN", "coordinate": coordinate, "fieldPath": keys},
            "path": ["o"],
            "locations": [{"line": 1, "column": document.index(at) + 1}],
        }
        for coordinate, keys, at in (
            ("Order.total", ["o", "n", "a"], "a: total"),
            ("Delivery.recipientPhone", ["o", "n", "d", "nodes", "recipientPhone"], "recipientPhone"),
        )
    ]


def test_a_field_that_another_purpose_opens_says_which(world: World) -> None:
    """PURPOSE_REQUIRED lists the purposes that would do, sorted; outside a list `path` is the whole path."""
    number = next(row["number"] for row in world.rows()["customer"] if row["restricted_at"] is None)
    document = "query($number: String) { customer(number: $number) { firstName } }"
    _, body = world.ask("privacy-officer", document, {"number": number})
    assert body["data"] == {"customer": {"firstName": None}}
    (error,) = body["errors"]
    assert error["extensions"] == {
        "code": "PURPOSE_REQUIRED",
        "coordinate": "Customer.firstName",
        "fieldPath": ["customer", "firstName"],
        "purposes": ["authority-request", "subject-rights"],
    }
    assert error["path"] == ["customer", "firstName"]


@pytest.mark.parametrize(
    ("arguments", "use"),
    [("orderBy: {email: ASC}", "SORT"), ("where: {email: {isNull: true}}", "FILTER")],
)
def test_a_refused_key_nulls_its_root_and_names_its_use(world: World, arguments: str, use: str) -> None:
    """A refused `where` or `orderBy` key is reported as the entity's coordinate, beside roots that answer."""
    document = f"{{ c: customers({arguments}) {{ nodes {{ id }} }} carriers {{ totalCount }} }}"
    _, body = world.ask("support", document)
    assert body["data"]["c"] is None
    assert body["data"]["carriers"]["totalCount"] > 0
    (error,) = body["errors"]
    assert error["path"] == ["c"]
    assert error["extensions"] == {
        "code": "PURPOSE_REQUIRED",
        "coordinate": "Customer.email",
        "fieldPath": ["c"],
        "use": use,
        "purposes": ["customer-service"],
    }


def test_a_refused_type_is_named_by_the_field_that_leads_to_it(world: World) -> None:
    """Where a whole type is not granted, its root field or relation is the coordinate, and nothing below it."""
    document = "{ customers { nodes { email orders { totalCount } } } deliveries { nodes { order { total { amount } } } } }"
    _, body = world.ask("carrier", document)
    assert [error["extensions"]["coordinate"] for error in body["errors"]] == [
        "Query.customers",
        "Delivery.order",
    ]
    assert body["data"]["customers"] is None


def test_what_is_withheld_is_sorted_and_fixed_by_the_plan(world: World) -> None:
    """Fields granted on fewer rows than their type are named in `extensions.withheld`, rows or no rows."""
    document = "query($w: DeliveryWhere) { deliveries(where: $w) { nodes { streetAddress id recipientPhone recipientEmail } } }"
    for where in ({}, {"or": []}):
        _, body = world.ask("carrier", document, {"w": where})
        assert "errors" not in body
        assert body["extensions"] == {
            "withheld": ["Delivery.recipientEmail", "Delivery.recipientPhone", "Delivery.streetAddress"]
        }


@pytest.mark.parametrize("media", [JSON, GRAPHQL_RESPONSE])
def test_on_forbidden_reject_refuses_the_operation_whole(world: World, media: str) -> None:
    """With `On-Forbidden: reject` it is 403, every refusal, no data and no statement."""
    document = "{ orders { nodes { number total { amount } } } customers { totalCount } }"
    headers = {"on-forbidden": "reject", "accept": media}
    partial = world.ask("warehouse", document)[1]
    with world.recorded() as statements:
        response = world.post("warehouse", document, headers=headers)
    assert response.status_code == 403
    assert response.json() == {"errors": partial["errors"]}
    assert statements == []
    fine = world.post("warehouse", "{ orders { nodes { number } } }", headers=headers)
    assert (fine.status_code, set(fine.json())) == (200, {"data"})


# ---------------------------------------------------------------- the other endpoints


def schema_of(world: World, name: str) -> GraphQLSchema:
    """The schema that a principal is given as SDL; it is valid."""
    response = world.client.get("/schema.graphql", headers=world.askers[name].headers)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    assert response.headers["cache-control"] == "no-store"
    return build_schema(response.text)


def test_the_schema_of_each_principal_is_what_introspection_shows_them(world: World) -> None:
    """`/schema.graphql` and `__schema` name the same types and fields for everyone."""
    for name in world.askers:
        shown = world.data(name, "{ __schema { types { name fields { name } } } }")["__schema"]["types"]
        types = {entry["name"]: [field["name"] for field in entry["fields"] or ()] for entry in shown}
        printed = schema_of(world, name).type_map
        assert types == {
            key: list(getattr(value, "fields", ())) if key in types and types[key] else []
            for key, value in printed.items()
        }


def test_the_schema_of_a_principal_has_what_they_hold_a_grant_for(world: World) -> None:
    """Types and fields that no purpose opens to the caller are not in their schema."""
    printed = {name: schema_of(world, name).type_map for name in world.askers}
    assert "Customer" not in printed["anonymous"]
    assert "Order" not in printed["carrier"]
    assert "CustomerWhere" not in printed["warehouse"]
    assert "internalNote" not in printed["customer"]["Order"].fields
    assert "internalNote" in printed["support"]["Order"].fields
    assert "email" not in printed["marketing"]["CustomerWhere"].fields
    assert set(printed["undesignated"]["Query"].fields) == {"viewer", "privacyNotice"}


def test_the_schema_is_not_given_for_a_bad_token(world: World) -> None:
    """A token that proves nothing is 401, with the header that says so."""
    response = world.client.get("/schema.graphql", headers={"authorization": "Bearer x"})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_health_and_readiness(world: World) -> None:
    """`/healthz` answers always, `/readyz` with the policy's version when the database answers, else 503."""
    assert world.client.get("/healthz").status_code == 200
    ready = world.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "policy": world.gateway.policy.version})
    changed = world.gateway.settings.model_dump() | {"database_url": "postgresql://nobody@127.0.0.1:1/none"}
    client = TestClient(app_of(create_gateway(type(world.gateway.settings)(**changed))))
    assert client.get("/healthz").status_code == 200
    response = client.get("/readyz")
    assert (response.status_code, response.json()["ready"]) == (503, False)
