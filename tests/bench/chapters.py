"""The report's chapters, each kept as it was last measured, so that one can be measured anew alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .plots import FOLDER, Plot


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached, what was found, and whether that is enough; `because` is why not."""

    name: str
    wanted: str
    found: str
    is_met: bool
    because: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the report: Markdown without its heading, how to measure it again, its targets, its plots.

    The plots lie in files beside the report, and are not kept with the chapter.
    """

    name: str
    title: str
    text: str
    repeat: str
    targets: tuple[Target, ...] = ()
    plots: tuple[Plot, ...] = ()


def kept(path: Path) -> dict[str, Chapter]:
    """The chapters of a file, none where it is not there."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text())
    return {
        one["name"]: Chapter(
            **{**one, "targets": tuple(Target(**target) for target in one["targets"]), "plots": ()}
        )
        for one in found
    }


def keep(path: Path, chapters: Iterable[Chapter]) -> None:
    """Writes the chapters to a file."""
    written = [{**asdict(one), "plots": ()} for one in chapters]
    path.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


def draw(folder: Path, chapters: Iterable[Chapter]) -> None:
    """Writes the chapters' plots into the folder that the report refers to."""
    for plot in (plot for chapter in chapters for plot in chapter.plots if plot.svg):
        (folder / FOLDER).mkdir(exist_ok=True)
        (folder / FOLDER / f"{plot.name}.svg").write_text(plot.svg)


def bound(title: str, about: str, chapters: Sequence[Chapter]) -> str:
    """The report in Markdown: the targets of all chapters, then the chapters."""
    parts = [title, about, "## Targets", _targets(chapters), "## To repeat it", _repeat(chapters)]
    for chapter in chapters:
        parts += [f"## {chapter.title}", chapter.text]
    return "\n\n".join(parts) + "\n"


def _targets(chapters: Sequence[Chapter]) -> str:
    targets = [target for chapter in chapters for target in chapter.targets]
    rows = [(one.name, one.wanted, one.found, is_met(one.is_met)) for one in targets]
    reasons = [f"- {one.name}: {one.because}" for one in targets if one.because and not one.is_met]
    counted = f"{sum(one.is_met for one in targets)} of {len(targets)} are met."
    parts = [counted, table(("target", "wanted", "found", ""), rows)]
    return "\n\n".join([*parts, *(["Why not:", "\n".join(reasons)] if reasons else [])])


def _repeat(chapters: Sequence[Chapter]) -> str:
    lines = ["pip install -e '.[embedded,test,bench]'", *dict.fromkeys(one.repeat for one in chapters)]
    return "```\n" + "\n".join(lines) + "\n```"


def is_met(reached: bool) -> str:
    """How a target's end is written."""
    return "met" if reached else "**not met**"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
