"""GraphQL over HTTP: media types, statuses and headers of every answer, refusals, the other endpoints."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)
from starlette.testclient import TestClient

from gateway.access_log import AccessLog
from gateway.answer_headers import EVERYWHERE
from gateway.app import app_of, create_gateway
from tests.test_attacks_tokens import of_register
from tests.world import World

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
FINE = {"query": "{ viewer { role } }"}


def post(world: World, content: Any, **headers: str) -> Any:
    """The response to a customer's body, sent as it is; the headers given replace the usual ones."""
    usual = {"content-type": JSON, "authorization": world.askers["customer"].headers["Authorization"]}
    given = usual | {key.replace("_", "-"): value for key, value in headers.items()}
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return world.client.post("/graphql", content=body, headers=given)


def only_error(response: Any) -> dict[str, Any]:
    """The single error of an answer without data."""
    body = response.json()
    assert set(body) == {"errors"}, body
    assert len(body["errors"]) == 1, body
    error: dict[str, Any] = body["errors"][0]
    return error


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
        (f"{JSON};q=0, */*", 400, GRAPHQL_RESPONSE),
        (f"*/*, {GRAPHQL_RESPONSE}", 400, GRAPHQL_RESPONSE),
        (f"{JSON}, {GRAPHQL_RESPONSE}", 200, JSON),
        (f"{GRAPHQL_RESPONSE}, {JSON}", 400, GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0.5, application/*;q=0.9", 200, JSON),
        (f"{GRAPHQL_RESPONSE};q=2, {JSON};q=0.001", 200, JSON),
        (f"{GRAPHQL_RESPONSE};q=, {JSON};q=0.1", 200, JSON),
        ("text/*", 406, JSON),
        (",;,", 406, JSON),
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
    statuses = {
        "fine": post(world, FINE, accept=media),
        "no object": post(world, [FINE], accept=media),
        "content type": post(world, FINE, accept=media, content_type="text/plain"),
        "too large": post(world, {"query": "#" * 300_000}, accept=media),
        "token": post(world, FINE, accept=media, authorization="Bearer x"),
        "purpose": post(world, FINE, accept=media, processing_purpose="x"),
        "role": post(world, FINE, accept=media, act_as="support"),
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


METHODS = {"GET", "HEAD", "POST", "OPTIONS"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "QUERY"])
def test_only_get_and_post_are_methods(world: World, method: str) -> None:
    """Any other method is 405 and names those allowed."""
    response = world.client.request(method, "/graphql", json={"query": "{ viewer { role } }"})
    assert response.status_code == 405
    assert set(response.headers["allow"].replace(" ", "").split(",")) == METHODS
    assert only_error(response)["extensions"]["code"] == "BAD_REQUEST"


def test_options_names_the_methods(world: World) -> None:
    """OPTIONS is 204 with `Allow`, and says nothing of other origins where none is allowed."""
    preflight = {"origin": "https://desk.example", "access-control-request-method": "POST"}
    for headers in ({}, preflight):
        response = world.client.options("/graphql", headers=headers)
        assert (response.status_code, response.content) == (204, b"")
        assert set(response.headers["allow"].replace(" ", "").split(",")) == METHODS
        assert [name for name in response.headers if name.startswith("access-control")] == []


def test_head_is_get_without_a_body(world: World) -> None:
    """HEAD has the status and headers of GET, its length too, and no body."""
    for query in ("{ viewer { role } }", "{ nothing }", "{"):
        asked = {"params": {"query": query}, "headers": {"accept": GRAPHQL_RESPONSE}}
        found, wanted = world.client.head("/graphql", **asked), world.client.get("/graphql", **asked)
        assert (found.status_code, found.content) == (wanted.status_code, b"")
        assert {name: found.headers[name] for name in ("content-type", "content-length")} == {
            name: wanted.headers[name] for name in ("content-type", "content-length")
        }


@pytest.mark.parametrize("path", ["/", "/graphql/", "/graphiql", "/GRAPHQL", "/.env", "/healthz/x"])
def test_what_is_nowhere_is_said_like_any_mistake(world: World, path: str) -> None:
    """A path without anything is 404 with `errors`, and does not repeat the path."""
    response = world.client.get(path, follow_redirects=False)
    assert response.status_code == 404
    assert only_error(response)["message"] == "there is nothing at this path"


def test_every_answer_is_not_stored_not_sniffed_and_has_its_own_request_id(world: World) -> None:
    """Answers of every status carry the fixed headers, and no two have the same request id."""
    responses = [
        post(world, FINE),
        post(world, FINE, x_request_id="mine"),
        post(world, {"query": "{"}),
        post(world, b"", content_type="text/plain"),
        post(world, FINE, authorization="Bearer x"),
        post(world, FINE, accept="text/html"),
        post(world, {"query": "{ orders { nodes { internalNote } } }"}, on_forbidden="reject"),
        world.client.get("/graphql", params=FINE),
    ]
    responses += [world.client.get(path) for path in ("/healthz", "/readyz", "/schema.graphql", "/nowhere")]
    for response in responses:
        given = set(response.headers.multi_items())
        assert given >= {(name.decode(), value.decode()) for name, value in EVERYWHERE}
    assert len({UUID(response.headers["x-request-id"]) for response in responses}) == len(responses)


def test_bodies_do_not_depend_on_the_request(world: World) -> None:
    """The same operation of the same caller has the same bytes, by POST and by GET."""
    asked = {"query": "{ orders(first: 3) { totalCount nodes { number internalNote } } }"}
    headers = world.askers["customer"].headers
    found = [
        post(world, asked),
        post(world, asked),
        world.client.get("/graphql", params=asked, headers=headers),
    ]
    assert len({response.content for response in found}) == 1


def test_get_takes_percent_encoded_utf_8(world: World) -> None:
    """Query, variables, operation name and extensions of a GET are read as those of a POST."""
    row = next(row for row in world.rows()["customer"] if not (row["surname"] or "").isascii())
    document = (
        "query Other { __typename } "
        "query Wanted($w: CustomerWhere) { customers(where: $w) { nodes { surname } } }  # ää \N{SNOWMAN}"
    )
    where = json.dumps({"w": {"surname": {"eq": row["surname"]}}}, ensure_ascii=False)
    query = f"query={quote(document)}&variables={quote(where)}&operationName=Wanted&extensions=%7B%7D"
    headers = {**world.askers["privacy-officer"].headers, "processing-purpose": "subject-rights"}
    found = world.client.get(f"/graphql?{query}", headers=headers).json()
    assert {node["surname"] for node in found["data"]["customers"]["nodes"]} == {row["surname"]}


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
    """Where a whole type is not granted, its root field or relation is the coordinate, nothing below it."""
    document = "{ customers { nodes { email } } deliveries { nodes { order { total { amount } } } } }"
    _, body = world.ask("carrier", document)
    assert [error["extensions"]["coordinate"] for error in body["errors"]] == [
        "Query.customers",
        "Delivery.order",
    ]
    assert body["data"]["customers"] is None


def test_what_is_withheld_is_sorted_and_fixed_by_the_plan(world: World) -> None:
    """Fields granted on fewer rows than their type are named in `extensions.withheld`, rows or no rows."""
    document = (
        "query($w: DeliveryWhere) { deliveries(where: $w) "
        "{ nodes { streetAddress id recipientPhone recipientEmail } } }"
    )
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
    assert of_register(statements) == []
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


def fields_of(shown: GraphQLNamedType) -> set[str]:
    """The names of the fields that a type can be asked for."""
    return set(shown.fields) if isinstance(shown, GraphQLObjectType | GraphQLInterfaceType) else set()


def test_the_schema_of_each_principal_is_what_introspection_shows_them(world: World) -> None:
    """`/schema.graphql` and `__schema` name the same types and fields for everyone."""
    for name in world.askers:
        shown = world.data(name, "{ __schema { types { name fields { name } } } }")["__schema"]["types"]
        types = {entry["name"]: {field["name"] for field in entry["fields"] or ()} for entry in shown}
        printed = schema_of(world, name).type_map
        assert types == {key: fields_of(value) for key, value in printed.items()}


def test_the_schema_of_a_principal_has_what_they_hold_a_grant_for(world: World) -> None:
    """Types and fields that no purpose opens to the caller are not in their schema."""
    printed = {name: schema_of(world, name).type_map for name in world.askers}
    assert "customers" not in printed["anonymous"]["Query"].fields
    assert "CustomerOrderBy" not in printed["anonymous"]
    assert "Mutation" not in printed["marketing"]
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
    assert ready.status_code == 200
    assert {"ready": True, "policy": world.gateway.policy.version}.items() <= ready.json().items()
    changed = world.gateway.settings.model_dump() | {"database_url": "postgresql://nobody@127.0.0.1:1/none"}
    client = TestClient(app_of(create_gateway(type(world.gateway.settings)(**changed))))
    assert client.get("/healthz").status_code == 200
    response = client.get("/readyz")
    assert (response.status_code, response.json()["ready"]) == (503, False)


def test_an_application_that_fails_before_it_answers_is_answered_for() -> None:
    async def failing(*_: object) -> None:
        raise ValueError("a secret")

    response = TestClient(AccessLog(failing)).get("/")
    assert response.status_code == 500
    assert response.json()["errors"][0]["extensions"] == {"code": "INTERNAL"}
    assert ("secret" in response.text, response.headers["cache-control"]) == (False, "no-store")
    assert len(response.headers["x-request-id"]) == 32
