"""Policies of any size that the loader takes: fewer grants than those that ship, and more."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

from gateway.grants import ANY_PURPOSE, Line, Use
from gateway.policy import STAFF, default_folder, load_policy
from schema.model import Model, load_model

# Who asks in the benchmark keeps every line.
ASKING = ("customer", "support")
REASON = "made by the benchmark"


def folders(parent: Path, counts: Sequence[int]) -> dict[int, Path]:
    """A folder for each number of lines, and the one that ships, by the lines that it has, fewest first."""
    model = load_model()
    shipped = load_policy(default_folder(), model)
    fewest = _fewest(shipped.lines, model)
    more = _more(shipped.lines, model, list(shipped.purposes))
    found = {len(shipped.lines): default_folder()}
    for count in counts:
        if count <= len(shipped.lines):
            held = sorted(fewest)
        else:
            held = sorted([*shipped.lines, *more[: count - len(shipped.lines)]])
        found[len(held)] = _written(parent / str(len(held)), held)
    return dict(sorted(found.items()))


def _fewest(lines: Iterable[Line], model: Model) -> set[Line]:
    """The lines of those who ask, one for each other coordinate and role, and the ids that belong to them."""
    held = {line for line in lines if line.role in ASKING}
    for line in sorted(lines):
        if line.coordinate not in {one.coordinate for one in held} or line.role not in {
            one.role for one in held
        }:
            held.add(line)
    for line in sorted(lines):
        kind, _, name = line.coordinate.partition(".")
        rows = (line.role, line.rows, line.purpose)
        if name == "id" and any(
            one.coordinate == kind and (one.role, one.rows, one.purpose) == rows for one in held
        ):
            held.add(line)
    return held


def _more(lines: Iterable[Line], model: Model, purposes: Sequence[str]) -> list[Line]:
    """Grants to read that no line has yet: of what staff see some rows of, for every purpose."""
    known = set(lines)
    found = []
    kinds = sorted(
        line
        for line in known
        if line.role in STAFF and line.coordinate in model.entities and line.purpose == ANY_PURPOSE
    )
    for purpose, kind in product(purposes, kinds):
        for name in sorted(model.entities[kind.coordinate].fields):
            line = Line(kind.role, f"{kind.coordinate}.{name}", Use.READ, kind.rows, purpose)
            if line not in known:
                found.append(line)
    return found


def _written(folder: Path, lines: Sequence[Line]) -> Path:
    """The lines as files of their roles, beside the other files of the policy that ships."""
    folder.mkdir(parents=True)
    for path in default_folder().iterdir():
        if path.suffix in {".conf", ".yaml"}:
            shutil.copy(path, folder)
    for role in {line.role for line in lines}:
        with (folder / f"{role}.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            for line in lines:
                if line.role == role:
                    fields = (line.role, line.coordinate, line.use, line.rows, line.purpose, REASON)
                    writer.writerow(("p", *fields))
    return folder
