"""A gateway that knows the documents of `tests/documents`, and the ways to ask for one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from starlette.testclient import TestClient

from gateway.app import app_of, create_gateway
from tests.world import World

FOLDER = Path(__file__).parent / "documents"
APOLLO = json.loads((FOLDER / "storefront.json").read_text())
RELAY = json.loads((FOLDER / "carrier.json").read_text())
# What the storefront sends, by name: its id, and its text.
IDS = {one["name"]: one["id"] for one in APOLLO["operations"]}
TEXTS = {one["name"]: one["body"] for one in APOLLO["operations"]}
STRANGE = "{ viewer { role } }"
ONLY = {"documents_folder": FOLDER, "trusted_only": frozenset({"anonymous", "customer", "carrier"})}


def relay(name: str) -> tuple[str, str]:
    """The id and the text of a carrier's document."""
    return next((id, text) for id, text in RELAY.items() if text.startswith(f"query {name}("))


def apollo(id: str) -> dict[str, Any]:
    """What Apollo's persisted query link sends for a query."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": id}}}


# The ways in which clients name a document.
WAYS = {
    "Apollo": apollo,
    "documentId": lambda id: {"documentId": id},
    "documentId with its prefix": lambda id: {"documentId": f"sha256:{id}"},
    "Relay": lambda id: {"doc_id": id},
    "an empty text": lambda id: {"query": "", **apollo(id)},
    "two that agree": lambda id: {"documentId": id, **apollo(id)},
}


@contextmanager
def knowing(world: World, **changed: Any) -> Iterator[World]:
    """The same register behind a gateway with other settings."""
    settings = world.gateway.settings.model_copy(update=changed)
    gateway = create_gateway(settings, world.clock)
    with TestClient(app_of(gateway)) as client:
        yield replace(world, gateway=gateway, client=client)


def send(
    world: World, name: str, given: Mapping[str, Any], method: str = "POST", **headers: str
) -> httpx.Response:
    """The response to these parameters, in the body or in the URL."""
    sent = {**world.askers[name].headers, **{key.replace("_", "-"): value for key, value in headers.items()}}
    if method == "POST":
        return world.client.post("/graphql", json=given, headers=sent)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    return world.client.get("/graphql", params=texts, headers=sent)


def codes(response: httpx.Response) -> list[str]:
    """The codes of an answer without data."""
    body = response.json()
    assert set(body) == {"errors"}, body
    return [one["extensions"]["code"] for one in body["errors"]]
