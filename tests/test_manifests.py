"""Manifests and applications: read strictly and held against the schema; a mistake stops the start."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.app import create_gateway
from gateway.config import Settings
from gateway.documents.asked import ById
from gateway.documents.listed import Documents, Untaken, load_documents
from gateway.documents.manifests import checked, read_manifest
from gateway.errors import StartError
from gateway.policy import default_folder, load_policy
from schema.model import load_model
from tests.trusting import APOLLO, FOLDER, IDS, RELAY, TEXTS, relay
from tests.world import World

MODEL = load_model()
POLICY = load_policy(default_folder(), MODEL)
WHO = "query Who { viewer { role } }"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the documents that a test may spoil."""
    return Path(shutil.copytree(FOLDER, tmp_path / "documents"))


def settings_for(folder: Path | None, *roles: str, **changed: Any) -> Settings:
    given: dict[str, Any] = {"database_url": "postgresql://", "documents_folder": folder, **changed}
    return Settings(**given, trusted_only=frozenset(roles))


def loaded(folder: Path | None, *roles: str, **changed: Any) -> Documents:
    return load_documents(settings_for(folder, *roles, **changed), POLICY, MODEL)


def message(folder: Path | None, *roles: str, **changed: Any) -> str:
    with pytest.raises(StartError) as caught:
        loaded(folder, *roles, **changed)
    return str(caught.value)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def one(**changed: Any) -> dict[str, Any]:
    """An operation of Apollo's manifest."""
    body = changed.get("body", WHO)
    id = digest(body) if isinstance(body, str) else "x"
    return {"id": id, "name": "Who", "type": "query", "body": WHO, **changed}


def manifest(*operations: Any, **changed: Any) -> Any:
    return {key: APOLLO[key] for key in ("format", "version")} | {"operations": list(operations)} | changed


# What is wrong with Apollo's manifest, and what is said of it.
APOLLOS: dict[str, tuple[Any, str]] = {
    "another format": (manifest(one(), format="other"), "the format is `apollo-persisted-query-manifest` in"),
    "another version": (manifest(one(), version=2), "in version 1"),
    "a version that is none": (manifest(one(), version=True), "in version 1"),
    "an unknown key": (manifest(one(), more=1), "unknown key `more`"),
    "no operations": (manifest(), "`operations` is a list, and not empty"),
    "operations that are no list": (manifest(operations={}), "`operations` is a list, and not empty"),
    "an operation that is none": (manifest("x"), "operation 1: this is an object"),
    "an operation's unknown key": (manifest(one(hash="x")), "operation 1: unknown key `hash`"),
    "an operation without id": (manifest({"body": WHO}), "operation 1: `id` is a text"),
    "an empty text": (manifest(one(), one(id="b", body="")), "operation 2: `body` is a text"),
    "a body that is no text": (manifest(one(body=1)), "operation 1: `body` is a text"),
    "another type": (manifest(one(type="fragment")), "operation 1: `type` is one of query, mutation"),
    "an id twice": (manifest(one(), one()), "operation 2 (`Who`): the id stands twice"),
    "an id with a space": (manifest(one(id="a b")), "operation 1 (`Who`): an id is 1 to 256"),
    "an id of another text": (manifest(one(id=digest("x"))), "the id is not the SHA-256 of the text"),
    "an id in capitals": (manifest(one(id=digest(WHO).upper())), "the id is not the SHA-256"),
    "a prefix that lies": (manifest(one(id="sha256:abc")), "the id is not the SHA-256 of the text"),
    "a text that does not parse": (manifest(one(body="query Who {")), "SYNTAX_ERROR"),
    "a text that does not fit": (
        manifest(one(body="query Who { nothing }")),
        "operation 1 (`Who`): VALIDATION_FAILED: cannot query field",
    ),
    "two operations": (manifest(one(body=f"{WHO} query B {{ __typename }}")), "several operations"),
    "another name": (manifest(one(name="Other")), "the document is of another name or type"),
    "no name": (manifest(one(body="{ viewer { role } }")), "the document is of another name or type"),
    "a type that it is not": (manifest(one(type="mutation")), "the document is of another name or type"),
}


@pytest.mark.parametrize("name", APOLLOS)
def test_a_mistake_in_apollos_manifest_stops_the_start(folder: Path, name: str) -> None:
    found, said = APOLLOS[name]
    (folder / "storefront.json").write_text(json.dumps(found))
    (folder / "applications.yaml").write_text(
        "- {name: storefront, manifest: storefront.json, roles: {customer: all}}\n"
        "- {name: desk, manifest: carrier.json, roles: {carrier: all}}\n"
    )
    told = message(folder)
    assert told.startswith(str(folder / "storefront.json"))
    assert said in told


def test_a_document_of_graphql_codegen_is_found_behind_its_fragments(tmp_path: Path) -> None:
    """It writes Relay's format on one line, fragments first, with a prefix; a text in it names nothing."""
    fragment = "fragment Parts on Order { number deliveries(where: {reference: {eq: $text}}) { totalCount } }"
    text = '"""\nquery Other {"""'
    asked = f'query Mine($text: String = {text}) {{ order(number: "x") {{ ...Parts }} }}'
    document = f"{fragment} {asked}"
    path = tmp_path / "persisted-documents.json"
    path.write_text(json.dumps({f"sha256:{digest(document)}": document}))
    (entry,) = read_manifest(path)
    assert (entry.name, entry.kind) == ("Mine", "query")
    assert checked(entry, MODEL, settings_for(None)).shape


# What is wrong with Relay's file, and what is said of it.
RELAYS: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "no JSON in UTF-8"),
    "no object": ("[]", "this is no manifest"),
    "nothing": ("{}", "this is no manifest"),
    "an entry that is no text": ('{"a": 1}', "`a`: this is the text of an operation with a name"),
    "an operation without a name": ('{"a": "{ viewer { role } }"}', "`a`: this is the text of an operation"),
    "an id twice": (f'{{"a": "{WHO}", "a": "{WHO}"}}', "`a` stands twice"),
    "an MD5 of another text": (json.dumps({digest("x")[:32]: WHO}), "is not the digest of the"),
    "a SHA-1 of another text": (json.dumps({digest("x")[:40]: WHO}), "is not the digest of"),
    "a SHA-256 of another text": (json.dumps({digest("x"): WHO}), "the id is not the SHA-256 of the text"),
    "a text that does not fit": (json.dumps({"a": "query Who { nothing }"}), "`a`: VALIDATION_FAILED"),
}


@pytest.mark.parametrize("name", RELAYS)
def test_a_mistake_in_relays_file_stops_the_start(folder: Path, name: str) -> None:
    found, said = RELAYS[name]
    (folder / "carrier.json").write_text(found)
    told = message(folder)
    assert told.startswith(str(folder / "carrier.json"))
    assert said in told


def test_a_file_that_is_not_utf_8_stops_the_start(folder: Path) -> None:
    (folder / "carrier.json").write_bytes(b'{"a": "\xff"}')
    assert "no JSON in UTF-8" in message(folder)


@pytest.mark.parametrize("make", [hashlib.md5, hashlib.sha1, hashlib.sha256])
def test_relays_ids_are_digests_of_each_of_its_algorithms(
    tmp_path: Path, make: Callable[[bytes], Any]
) -> None:
    id = make(WHO.encode()).hexdigest()
    (tmp_path / "queries.json").write_text(json.dumps({id: WHO}))
    (entry,) = read_manifest(tmp_path / "queries.json")
    assert (entry.id, entry.name, entry.kind, entry.text) == (id, "Who", "query", WHO)


def test_an_id_of_the_builds_own_making_is_taken(tmp_path: Path) -> None:
    """Apollo's `createOperationId` and Relay's remote persisting name documents as they like."""
    (tmp_path / "a.json").write_text(json.dumps(manifest(one(id="storefront-7.Who"))))
    assert [entry.id for entry in read_manifest(tmp_path / "a.json")] == ["storefront-7.Who"]


# ---------------------------------------------------------------- applications

STOREFRONT = "- name: storefront\n  manifest: storefront.json\n"
# What stands in the file, what is put in its place, and what is said of it.
APPLICATIONS: dict[str, tuple[str, str, str]] = {
    "an unknown key": (STOREFRONT, f"{STOREFRONT}  version: 1\n", "entry 1: unknown key `version`"),
    "an application twice": ("name: carrier desk", "name: storefront", "`storefront` stands twice"),
    "no manifest": ("  manifest: storefront.json\n", "", "`manifest` is missing"),
    "a manifest that is not there": ("carrier.json", "other.json", "other.json: the file is missing"),
    "a manifest elsewhere": ("carrier.json", "../carrier.json", "the name of a file in the same folder"),
    "a manifest that nobody names": ("carrier.json", "storefront.json", "carrier.json: no application of"),
    "an unknown role": ("{carrier: all}", "{courier: all}", "`roles`: unknown key `courier`"),
    "no role": ("{carrier: all}", "{}", "`roles` is empty"),
    "roles that are none": ("{carrier: all}", "carrier", "`roles`: this is a mapping"),
    "an operation it lacks": ("[SignIn, WhoAmI]", "[SignUp]", "the manifest has no operation `SignUp`"),
    "an operation twice": ("[SignIn, WhoAmI]", "[SignIn, SignIn]", "`anonymous` has `SignIn` twice"),
    "no operation": ("[SignIn, WhoAmI]", "[]", "`anonymous` is empty"),
    "an unknown purpose": (STOREFRONT, f"{STOREFRONT}  purpose: fun\n", "unknown purpose `fun`"),
    "an unknown recipient": ("recipient: Posti", "recipient: Nobody", "unknown recipient `Nobody`"),
    "a recipient that is none": (STOREFRONT, f"{STOREFRONT}  recipient: Posti\n", "is no partner, and so no"),
}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_mistake_in_the_applications_stops_the_start(folder: Path, name: str) -> None:
    before, after, said = APPLICATIONS[name]
    path = folder / "applications.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    assert said in message(folder)


def test_a_folder_without_applications_stops_the_start(tmp_path: Path) -> None:
    assert "applications.yaml" in message(tmp_path)


def test_an_id_stands_for_one_document_in_all_manifests(folder: Path) -> None:
    """The same document may stand in several; another one under its id may not."""
    (folder / "more.json").write_text(json.dumps(RELAY))
    listed = (folder / "applications.yaml").read_text()
    (folder / "applications.yaml").write_text(
        f"{listed}- {{name: more, manifest: more.json, roles: {{newsletter: all}}}}\n"
    )
    assert set(loaded(folder).of_roles) == {"anonymous", "customer", "carrier", "newsletter"}
    for file, text in (("carrier.json", WHO), ("more.json", f"{WHO}\n")):
        (folder / file).write_text(json.dumps({"who": text}))
    assert message(folder).endswith("`who`: the id is that of another document elsewhere")


def test_a_role_that_sends_listed_documents_alone_has_some(folder: Path) -> None:
    assert loaded(folder, "carrier", "customer").only == {"carrier", "customer"}
    said = "setting GATEWAY_TRUSTED_ONLY: no application has documents for `newsletter`"
    assert message(folder, "carrier", "newsletter") == said
    assert message(None, "newsletter") == said


def test_a_role_that_is_none_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://")
    monkeypatch.setenv("GATEWAY_TRUSTED_ONLY", '["customers"]')
    with pytest.raises(StartError, match="GATEWAY_TRUSTED_ONLY names no role `customers`"):
        Settings.read()


def test_a_document_over_the_limits_of_requests_stops_the_start(folder: Path) -> None:
    assert "TOO_COMPLEX" in message(folder, depth_limit=3)


def test_the_gateway_does_not_start_with_a_document_it_would_not_answer(world: World, folder: Path) -> None:
    (folder / "carrier.json").write_text(json.dumps({"a": "query Who { nothing }"}))
    with pytest.raises(StartError, match=r"carrier\.json: `a`: VALIDATION_FAILED"):
        create_gateway(world.gateway.settings.model_copy(update={"documents_folder": folder}))


# ---------------------------------------------------------------- look-ups


def test_a_document_is_found_by_each_of_its_ids_for_its_roles_alone() -> None:
    documents = loaded(FOLDER, "customer", "anonymous")
    id, text = relay("DeliveriesQuery")
    for one in (id, digest(text), f"sha256:{digest(text)}"):
        assert documents.taken(ById(one), "carrier", None) is documents.taken(ById(id), "carrier", None)
        assert isinstance(documents.taken(ById(one), "customer", None), Untaken)
    assert documents.taken(ById(IDS["MyOrders"]), "customer", None) == TEXTS["MyOrders"]
    for role in ("anonymous", "support", None):
        assert isinstance(documents.taken(ById(IDS["MyOrders"]), role, None), Untaken)


def test_the_same_text_is_the_same_document_whatever_its_manifest() -> None:
    documents = loaded(FOLDER)
    found = documents.of_roles["customer"]
    assert {document.text for document in found.by_id.values()} == set(TEXTS.values()) == set(found.by_text)
