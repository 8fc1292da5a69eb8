"""How cost grows and what memory holds: who is asked for, and that each statement is another."""

from __future__ import annotations

from pathlib import Path

from gateway.app import create_gateway
from gateway.config import Settings
from gateway.principal import SigningKey
from tests.bench.chapters import with_range
from tests.bench.growing import Scale
from tests.bench.growth_rows import callers_of
from tests.bench.load import Measure
from tests.bench.loaded import Rounds
from tests.bench.memory import OWN, RECORDED, alias_of
from tests.bench.microseconds import read_looks
from tests.bench.parts import planned
from tests.bench.register import evenly


def test_those_asked_for_lie_evenly_over_the_whole_register() -> None:
    assert evenly(100, 5) == ["C-00000010", "C-00000030", "C-00000050", "C-00000070", "C-00000090"]
    assert evenly(50, 1000) == [f"C-{number:08}" for number in (10, 20, 30, 40, 50)]
    large = evenly(1_000_000, 1000)
    assert (len(set(large)), large[0], large[-1]) == (1000, "C-00000010", "C-00999010")


def test_as_many_are_asked_for_in_each_register() -> None:
    assert callers_of(Scale()) == 1000
    assert callers_of(Scale(rows=(500, 2_000))) == 50


def test_a_ratio_shows_the_rounds_range() -> None:
    rates = {"large": (90.0, 110.0, 100.0), "small": (100.0, 100.0, 125.0)}
    found = Rounds(
        {(name, "W1", 16): [Measure(1, 1, rate, 1.0, 1.0) for rate in of] for name, of in rates.items()}
    )
    assert with_range(found.ratios("large", "small", "W1", 16)) == "0.90 (0.80 to 1.10)"


def test_each_operation_of_the_memory_is_another_statement(tmp_path: Path) -> None:
    SigningKey.create(tmp_path / "key.pem")
    given = {"database_url": "postgresql://nobody@127.0.0.1/none", "signing_key_file": tmp_path / "key.pem"}
    gateway = create_gateway(Settings(**given))
    for kind in (*OWN, *RECORDED):
        statements = [planned(gateway, kind, number).sql for number in (1, 2)]
        assert alias_of(kind.text(1)) in statements[0], kind.document
        assert statements[0] != statements[1], kind.document


def test_postgresqls_time_stands_beside_the_workers() -> None:
    found = read_looks("answer (/x/gateway/answer.py:2) 1\n", 100.0, 50.0)
    assert (found.microseconds, found.database) == (100.0, 50.0)
