"""A crowd in front of a server that is going to break, and what has to hold of its answers afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.bench.place import Place
from tests.crowd import LETTERS, OWN, PARCELS, PEOPLE, SERVICE, Ask, Crowd, Scene, asked, check
from tests.invariants import Ledger, Rows
from tests.twins import Server, sent_now, until, world_of

# How many answers there are before something breaks.
ENOUGH = 120
GATEWAYS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gateway'"

UNDER_WAY = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND xact_start < now()"
READS = (
    ("support", PEOPLE % "ASC", SERVICE),
    ("carrier", PARCELS % "first", None),
    ("newsletter", LETTERS, None),
    ("customer", OWN, None),
)


@contextmanager
def reading(url: str) -> Iterator[Ledger]:
    """The tables, as their owner reads them."""
    ledger = Ledger(url)
    try:
        yield ledger
    finally:
        ledger.close()


def crowd_of(place: Place, server: Server, url: str, seed: int) -> Crowd:
    """Clients of a server that serves, and a register in which nothing is recorded of them."""
    world = world_of(replace(place, url=url), server)
    assert world.data("support", PEOPLE % "ASC", {"n": 1}, SERVICE)["customers"]["nodes"]
    with reading(url) as ledger:
        return Crowd(Scene.of(world, ledger, sent_now), seed)


def on_record(crowd: Crowd, url: str) -> Rows:
    """The rows in which all that the clients were given is on the record; some were given nothing."""
    with reading(url) as ledger:
        until(lambda: not ledger.values(UNDER_WAY))
        rows = ledger.rows()
    check(crowd.given, rows, crowd.scene.world)
    assert crowd.shown > 0, "nobody was answered"
    assert crowd.failed > 0, "nothing failed"
    assert any(one.has_data and one.ask.change for one in crowd.given), "nothing was changed"
    return rows


def serves_again(crowd: Crowd) -> None:
    """Waits until staff, partners and customers are answered."""
    for name, document, purpose in READS:
        until(lambda: asked(crowd.scene.world, Ask(name, document, {"n": 3}, purpose)).has_data)  # noqa: B023
