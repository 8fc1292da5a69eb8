"""Pages of other origins, CORS and GraphiQL: who may ask from where, and what a page may load."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from gateway import graphiql
from gateway.app import app_of
from gateway.client_address import read_network
from gateway.errors import StartError
from gateway.graphiql import make_page
from tests.world import World

DESK = "https://desk.example"
STRANGE = ["https://desk.example.evil.example", "https://DESK.example", "http://desk.example", "null", "*"]
JSON = {"content-type": "application/json"}
ASKED = b'{"query": "{ viewer { role } }"}'


def client_of(world: World, address: str = "127.0.0.1", **changed: Any) -> TestClient:
    """A client of a gateway with other settings."""
    settings = world.gateway.settings.model_copy(update=changed)
    app = app_of(replace(world.gateway, settings=settings))
    return TestClient(app, client=(address, 40000))


@pytest.fixture(scope="module")
def crossed(world: World) -> TestClient:
    """A client of a gateway that one other origin may ask."""
    return client_of(world, allowed_origins=(DESK,))


def allowing(response: Any) -> dict[str, str]:
    """The headers of CORS."""
    return {name: text for name, text in response.headers.items() if name.startswith("access-control")}


# ---------------------------------------------------------------- CORS


def preflight(client: TestClient, origin: str) -> Any:
    """What a browser asks before it sends a page's POST."""
    wanted = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    return client.options("/graphql", headers={"origin": origin, **wanted})


def test_a_preflight_of_an_allowed_origin_names_what_it_may_send(crossed: TestClient) -> None:
    """The origin itself, methods, headers and for how long; never credentials, never every origin."""
    response = preflight(crossed, DESK)
    assert (response.status_code, response.content) == (204, b"")
    assert allowing(response) == {
        "access-control-allow-origin": DESK,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": (
            "authorization, content-type, act-as, processing-purpose, case-reference, on-forbidden, "
            "apollographql-client-name, apollographql-client-version"
        ),
        "access-control-expose-headers": "x-request-id, retry-after, www-authenticate",
        "access-control-max-age": "600",
    }
    assert "origin" in response.headers["vary"].lower()


@pytest.mark.parametrize("origin", STRANGE)
def test_no_other_origin_is_named(crossed: TestClient, origin: str) -> None:
    """An origin that only looks like one allowed is told nothing, neither before nor with an answer."""
    for response in (
        preflight(crossed, origin),
        crossed.post("/graphql", content=ASKED, headers={"origin": origin, **JSON}),
    ):
        assert allowing(response) == {}
        assert origin not in str(response.headers)
        assert "origin" in response.headers["vary"].lower()


@pytest.mark.parametrize(
    ("status", "content", "headers"),
    [
        (200, ASKED, {}),
        (400, b"[]", {}),
        (401, ASKED, {"authorization": "Bearer x"}),
        (415, ASKED, {"content-type": "text/plain"}),
    ],
)
def test_an_allowed_page_reads_answers_of_every_status(
    crossed: TestClient, status: int, content: bytes, headers: dict[str, str]
) -> None:
    """Mistakes too are readable, with the request's id."""
    response = crossed.post("/graphql", content=content, headers={"origin": DESK, **JSON, **headers})
    assert response.status_code == status
    found = allowing(response)
    assert found["access-control-allow-origin"] == DESK
    assert "x-request-id" in found["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in found


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "null", "desk.example", "https://", "https://*.example", "https://desk.example/"),
        *("https://DESK.example", "https://desk.example:443", "http://desk.example:80", "ftp://desk.example"),
        *("https://user@desk.example", "https://desk.example?x", "https://desk.example, https://b.example"),
        *("https://desk.example:x", ""),
    ],
)
def test_an_origin_in_the_settings_is_spelled_out(world: World, origin: str) -> None:
    """What no browser would send as `Origin`, patterns above all, stops the start."""
    changed = world.gateway.settings.model_dump() | {"allowed_origins": (origin,)}
    with pytest.raises(ValidationError):
        type(world.gateway.settings)(**changed)


@pytest.mark.parametrize("origin", [DESK, "http://127.0.0.1:3000", "https://[::1]:8443", "https://a.example"])
def test_origins_as_browsers_write_them_are_taken(world: World, origin: str) -> None:
    """Host names and addresses, with a port where the scheme has another."""
    changed = world.gateway.settings.model_dump() | {"allowed_origins": (origin,)}
    assert type(world.gateway.settings)(**changed).allowed_origins == (origin,)


# ---------------------------------------------------------------- requests that need no preflight


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_origin_has_nothing_done(crossed: TestClient, site: str) -> None:
    """A GET that a browser sends without asking first is refused, unless its origin is allowed."""
    asked: Any = {"params": {"query": "{ viewer { role } }"}}
    told = {"sec-fetch-site": site}
    assert crossed.get("/graphql", headers=told, **asked).status_code == 403
    assert crossed.get("/graphql", headers={**told, "origin": STRANGE[0]}, **asked).status_code == 403
    assert crossed.get("/graphql", headers={**told, "origin": DESK}, **asked).status_code == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_pages_of_the_gateway_and_people_may_ask(crossed: TestClient, site: str) -> None:
    """What comes of no page, or of GraphiQL's, is answered."""
    asked: Any = {"params": {"query": "{ viewer { role } }"}, "headers": {"sec-fetch-site": site}}
    assert crossed.get("/graphql", **asked).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_what_a_form_can_send_is_no_request(crossed: TestClient, kind: str) -> None:
    """A content type that needs no preflight is refused, whatever the body."""
    assert crossed.post("/graphql", content=ASKED, headers={"content-type": kind}).status_code == 415


# ---------------------------------------------------------------- GraphiQL

NETWORKS = tuple(read_network(text) for text in ("127.0.0.0/8", "10.1.0.0/16"))


def test_graphiql_is_there_for_its_networks_and_for_others_as_if_it_were_none(world: World) -> None:
    """Without networks, and from elsewhere, the answer is that of any path without anything."""
    nowhere = world.client.get("/nowhere")
    assert world.client.get("/graphiql").content == nowhere.content
    elsewhere = client_of(world, "10.2.0.1", graphiql_networks=NETWORKS)
    assert elsewhere.get("/graphiql").content == nowhere.content
    assert elsewhere.get("/graphiql", headers={"x-forwarded-for": "10.1.0.1"}).status_code == 404
    for address in ("127.0.0.1", "10.1.0.1"):
        response = client_of(world, address, graphiql_networks=NETWORKS).get("/graphiql")
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert "graphiql" in response.text.lower()


def test_graphiql_loads_nothing_but_what_its_page_pins_and_asks_nobody_but_the_gateway(world: World) -> None:
    """Each script has a digest, the policy lists hosts and inline scripts, and connects to `self` alone."""
    response = client_of(world, graphiql_networks=NETWORKS).get("/graphiql")
    policies = response.headers.get_list("content-security-policy")
    (policy,) = policies
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert "unsafe" not in rules["script-src"]
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    loaded = re.findall(r"<script\s[^>]*src=[^>]*>", response.text)
    assert loaded
    assert all("integrity=" in one for one in loaded)
    scripts = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    digests = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    assert [f"'sha256-{digest}'" in rules["script-src"] for digest in digests] == [True]


def test_graphiql_keeps_no_token_and_writes_no_value_into_an_address() -> None:
    """The page keeps headers in no storage, reads no cookie, and changes no address."""
    text = make_page().body.decode()
    assert "shouldPersistHeaders: false" in text
    assert "Cookies" not in text
    assert "replaceState" not in text


def test_another_page_than_the_known_one_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Strawberry ships another page, nothing is served that nobody has looked at."""
    monkeypatch.setattr(graphiql, "CHANGES", (("not in the page", ""),))
    with pytest.raises(StartError):
        make_page()
