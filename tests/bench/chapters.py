"""The report's chapters, each kept as it was last measured, so that one can be measured anew alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from .plots import FOLDER, Plot

HARNESS = (
    "`DIR` is the folder of the peers' harness: a copy of it, in which its `setup.sh` was run once, as its"
    " README says."
)


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached, what was found, and whether that is enough; `because` is why not.

    Within the noise is what was met in some rounds and missed in others.
    """

    name: str
    wanted: str
    found: str
    is_met: bool
    because: str = ""
    is_within_noise: bool = False


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the report: Markdown without its heading, how to measure it again, its targets, its plots.

    The plots lie in files beside the report, and are not kept with the chapter. `rounds` is what was measured
    as it came, of values that JSON knows. Where it is known, `measured` is the day, `code` the digest of the
    sources.
    """

    name: str
    title: str
    text: str
    repeat: str
    targets: tuple[Target, ...] = ()
    plots: tuple[Plot, ...] = ()
    rounds: Any = None
    measured: str = ""
    code: str = ""


def by_rounds(
    name: str, wanted: str, ratios: Sequence[float], bound: float, because: str = "", *, is_most: bool = False
) -> Target:
    """A target of the median of the rounds' ratios: at least the bound, or at most."""
    ratio = median(ratios)
    is_reached = ratio <= bound if is_most else ratio >= bound
    is_within_noise = len(ratios) > 1 and min(ratios) <= bound <= max(ratios)
    return Target(name, wanted, with_range(ratios), is_reached, because, is_within_noise)


def with_range(ratios: Sequence[float]) -> str:
    """The median of the rounds' ratios, with the lowest and the highest where there are some rounds."""
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{median(ratios):.2f}{spread}"


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
        parts += [f"## {chapter.title}", *_of_what(chapter), chapter.text]
    return "\n\n".join(parts) + "\n"


def _of_what(chapter: Chapter) -> list[str]:
    """When the chapter was measured and of which code, where that is known."""
    return [f"Measured {chapter.measured}, of the code `{chapter.code}`."] if chapter.measured else []


def _targets(chapters: Sequence[Chapter]) -> str:
    targets = [target for chapter in chapters for target in chapter.targets]
    rows = [(one.name, one.wanted, one.found, _end(one)) for one in targets]
    reasons = [f"- {one.name}: {one.because}" for one in targets if one.because and not one.is_met]
    counted = f"{sum(one.is_met for one in targets)} of {len(targets)} are met."
    parts = [counted, table(("target", "wanted", "found", ""), rows)]
    return "\n\n".join([*parts, *(["Why not:", "\n".join(reasons)] if reasons else [])])


def _end(target: Target) -> str:
    return is_met(target.is_met) + (", within the noise" if target.is_within_noise else "")


def _repeat(chapters: Sequence[Chapter]) -> str:
    lines = ["pip install -e '.[embedded,test,bench]'", *dict.fromkeys(one.repeat for one in chapters)]
    named = [HARNESS] if any("DIR" in line for line in lines) else []
    return "\n\n".join([*named, "```\n" + "\n".join(lines) + "\n```"])


def is_met(reached: bool) -> str:
    """How a target's end is written."""
    return "met" if reached else "**not met**"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
