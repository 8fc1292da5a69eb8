"""Persisted documents as clients' own tools write and send them: Apollo's, and graphql-codegen's with urql.

What graphql-codegen makes of each role's schema has to type-check, too.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schema.scalars import global_id
from tests.clients.given import beside, given_by, write_applications, write_schemas
from tests.clients.npm import project, run_in, run_tool
from tests.live import Served
from tests.test_documents_check import report
from tests.test_live import of_customer
from tests.writing import basket

pytestmark = pytest.mark.slow

NOT_LISTED = ["PERSISTED_QUERY_NOT_IN_LIST"]


@contextmanager
def servers(live: Served, folder: Path, *roles: str) -> Iterator[dict[str, Served]]:
    """One that takes these documents alone, one that takes others too, and one that knows none."""
    with (
        beside(live, documents_folder=folder, trusted_only=frozenset(roles)) as only,
        beside(live, documents_folder=folder) as listed,
    ):
        yield {"only": only, "listed": listed, "none": live}


def urls(running: dict[str, Served]) -> dict[str, str]:
    return {name: one.url for name, one in running.items()}


def test_apollos_manifest_and_link_work_unchanged(live: Served, npm: Path, tmp_path: Path) -> None:
    """Its tool's manifest is granted whole, and its link sends ids, and texts only where it is told to."""
    folder = project(npm, "apollo", tmp_path)
    run_tool(folder, "generate-persisted-query-manifest")
    documents = tmp_path / "documents"
    documents.mkdir()
    shutil.copy(folder / "persisted-query-manifest.json", documents / "shop.json")
    write_applications(documents, {"customer": "shop.json"})
    found = report("--folder", documents)
    assert (found["refused"], len(found["documents"])) == (0, 4)
    with servers(live, documents, "customer") as running:
        seen = run_in(folder, "persisted.mjs", {**given_by(live), "urls": urls(running)})
    assert seen["manifest"] == {"orders": 3, "role": "customer", "ways": ["POST id", "POST id"]}
    assert seen["changed"] == {"errors": [], "ways": ["POST id"]}
    known = {"who": "customer", "stray": "customer"}
    assert seen["only"] == {**known, "stray": NOT_LISTED, "ways": ["GET id", "GET id"]}
    assert seen["listed"] == {**known, "ways": ["GET id", "GET id", "POST text"]}
    # Told that there are no documents, the link stops asking by id.
    assert seen["none"] == {**known, "ways": ["GET id", "POST text", "POST text"]}
    assert seen["strays"] == ["Stray: UnknownOperation"]


@pytest.fixture(scope="module")
def generated(live: Served, npm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with what graphql-codegen made of the carrier's and the customer's schema."""
    folder = project(npm, "codegen", tmp_path_factory.mktemp("codegen"))
    write_schemas(live, folder / "schemas", ("carrier", "customer"))
    run_tool(folder, "graphql-codegen", "--config", "codegen.json")
    return folder


def test_what_graphql_codegen_makes_type_checks(generated: Path) -> None:
    """Under `tsc --strict` the programs use it rightly, and each wrong use in them is found."""
    assert run_tool(generated, "tsc", "--project", ".", "--noEmit", "--strict") == ""


def test_documents_of_graphql_codegen_are_sent_by_urls_exchange(live: Served, generated: Path) -> None:
    """Its manifests are granted whole, and the exchange sends their ids by every way there is."""
    run_tool(generated, "tsc", "--project", ".", "--noEmit", "false", "--outDir", "made")
    documents = generated / "documents"
    documents.mkdir()
    manifests = {role: f"{role}.json" for role in ("carrier", "customer")}
    for role, name in manifests.items():
        shutil.copy(generated / role / "gql" / "persisted-documents.json", documents / name)
    write_applications(documents, manifests, recipient="Posti")
    found = report("--folder", documents)
    assert (found["refused"], len(found["documents"])) == (0, 7)
    delivery = of_customer(live)
    given: dict[str, Any] = {**given_by(live), "basket": basket()}
    given["delivery"] = global_id("Delivery", delivery["id"])
    with servers(live, documents, *manifests) as running:
        only = running["only"]

        def change() -> None:
            only.until_watched(1)
            only.touch(delivery["id"])

        seen = run_in(generated, "persisted.mjs", {**given, "urls": urls(running)}, {"change": change})
    made = {"errors": [], "same": True, "total": "159.80", "told": True}
    assert seen["made"] == {**made, "ways": ["POST id", "GET id", "socket id"]}
    assert seen["only"] == {"answers": [NOT_LISTED, NOT_LISTED], "ways": ["GET id", "GET id"]}
    both = ["customer", "customer"]
    assert seen["listed"] == {"answers": both, "ways": ["GET id", "GET text", "GET id", "GET text"]}
    assert seen["none"] == {"answers": both, "ways": ["GET id", "GET text", "GET text"]}
    assert seen["parcels"] == 2
