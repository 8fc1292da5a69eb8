"""Relay works unchanged: its compiler takes each role's schema, its runtime what the compiler made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from schema.scalars import global_id
from tests.clients.given import beside, given_by, write_applications, write_schemas
from tests.clients.npm import project, run_in, run_tool
from tests.live import Served
from tests.test_clients import numbers
from tests.test_documents_check import report
from tests.test_live import assigned

pytestmark = pytest.mark.slow

MANIFESTS = {"carrier": "carrier.json", "customer": "customer.json"}
RECORDED = {"outcome": "RECORDED", "userErrors": []}
REFUSED = {
    "outcome": "REFUSED",
    "userErrors": [{"code": "MALFORMED", "coordinate": "DeliveryEvent.place"}],
}
PARCELS = "{ deliveries(first: 100, orderBy: [{reference: ASC}]) { nodes { reference } } }"


@pytest.fixture(scope="module")
def compiled(live: Served, npm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that relay-compiler has compiled against what the gateway publishes to each role."""
    folder = project(npm, "relay", tmp_path_factory.mktemp("relay"))
    write_schemas(live, folder / "schemas", ("carrier", "customer", "support"))
    run_tool(folder, "relay-compiler", "relay.config.json")
    write_applications(folder / "manifests", MANIFESTS, recipient="Posti")
    return folder


def test_the_compiler_takes_each_roles_schema_and_its_manifests_are_granted(compiled: Path) -> None:
    """It writes an artifact for each fragment and operation, and manifests that are granted whole."""
    made = {path.name.removesuffix(".graphql.js") for path in compiled.glob("*/__generated__/*")}
    assert {"ParcelsPageQuery", "ParcelsHistoryQuery", "ParcelsReportMutation", "OrdersPageQuery"} <= made
    found = report("--folder", compiled / "manifests")
    names = {(one["role"], one["name"]) for one in found["documents"]}
    assert {role for role, _ in names} == set(MANIFESTS)
    assert (found["refused"], len(names)) == (0, 9)


def test_the_compiler_refuses_what_a_role_is_not_granted(compiled: Path, npm: Path, tmp_path: Path) -> None:
    """A field that the carrier's schema does not show ends the build of its client."""
    folder = project(npm, "relay", tmp_path)
    shutil.copytree(compiled / "schemas", folder / "schemas")
    source = folder / "carrier" / "Parcels.js"
    source.write_text(source.read_text().replace("    trackingCode\n", "    trackingCode\n    signedBy\n"))
    with pytest.raises(AssertionError, match="The type `Delivery` has no field `signedBy`"):
        run_tool(folder, "relay-compiler", "relay.config.json")


@pytest.fixture
def seen(live: Served, compiled: Path) -> Any:
    """What the program saw of a server that takes the compiled documents alone."""
    delivery = assigned(live)
    only = {"documents_folder": compiled / "manifests", "trusted_only": frozenset(MANIFESTS)}
    with beside(live, **only) as server:

        def change() -> None:
            server.until_watched(1)
            live.world.execute(
                "UPDATE delivery SET tracking_code = 'JJFI00000000000000001' WHERE id = $1", delivery["id"]
            )

        given = {**given_by(live), "url": server.url, "now": server.clock().isoformat()}
        given["delivery"] = global_id("Delivery", delivery["id"])
        yield run_in(compiled, "run.mjs", given, {"change": change})


def test_the_runtime_pages_changes_and_watches_by_ids_alone(live: Served, seen: Any) -> None:
    """Connections grow page by page in its store, whose records events and changes renew by global id."""
    shown = live.world.data("carrier", PARCELS)["deliveries"]["nodes"]
    assert seen["parcels"]["references"] == [one["reference"] for one in shown]
    assert (seen["parcels"]["total"], seen["parcels"]["pages"] > 2) == (len(shown), True)
    assert seen["reported"] == [RECORDED, REFUSED]
    assert seen["history"]["places"].count("Tampere") == 1
    assert (seen["history"]["pages"], seen["status"]) == (len(seen["history"]["places"]), "IN_TRANSIT")
    assert (seen["tracked"]["before"] != "JJFI00000000000000001", seen["tracked"]["after"]) == (
        True,
        "JJFI00000000000000001",
    )
    assert seen["orders"]["numbers"] == numbers(live)
    assert seen["wrong"] == [{"code": "MALFORMED", "coordinate": "Customer.email", "path": ["email"]}]
    assert (seen["changed"], seen["stored"]) == ([], {"firstName": "Kyllikki", "versions": 1})
    # `@catch` finds the refusal where the field would stand.
    assert seen["refused"] == {"isBeside": True, "ok": False}
    assert (seen["shown"], seen["rejected"]) == ("string", ["PURPOSE_REQUIRED"])
