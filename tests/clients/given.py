"""What programs of clients are given: where the gateway is, who they are, its schemas, servers beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from schema.scalars import global_id
from tests.live import Served, served


def given_by(live: Served) -> dict[str, Any]:
    """The gateway's URL, everybody's headers, and the ids of two customers."""
    askers = live.world.askers
    customers = [askers[name].customer_id for name in ("customer", "customer-2")]
    first, second = (global_id("Customer", key) for key in customers if key is not None)
    headers = {name: dict(asker.headers) for name, asker in askers.items()}
    return {"url": live.url, "headers": headers, "id": first, "other": second}


def write_schemas(live: Served, folder: Path, names: Iterable[str]) -> None:
    """Writes each principal's schema as the gateway publishes it to them."""
    folder.mkdir()
    for name in names:
        url = live.url.replace("/graphql", "/schema.graphql")
        found = httpx.get(url, headers=live.world.askers[name].headers)
        assert found.status_code == 200
        (folder / f"{name}.graphql").write_text(found.text)


def write_applications(folder: Path, manifests: Mapping[str, str], recipient: str | None = None) -> Path:
    """Says of each role whose client's manifest it may send."""
    known = {} if recipient is None else {"carrier": {"recipient": recipient}}
    entries = [
        {"name": f"the {role}'s", "manifest": manifest, "roles": {role: "all"}, **known.get(role, {})}
        for role, manifest in manifests.items()
    ]
    (folder / "applications.yaml").write_text(yaml.safe_dump(entries))
    return folder


@contextmanager
def beside(live: Served, **changed: Any) -> Iterator[Served]:
    """Another server on the same register with other settings, at the same time of day."""
    with served(live.world, **changed) as one:
        one.clock.start += live.clock() - one.clock()
        yield one
