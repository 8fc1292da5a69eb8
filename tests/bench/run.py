"""What a run is asked for, and the report it ends in: chapters measured now beside those kept from before."""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from .cells import UnequalAnswersError
from .chapters import Chapter, bound, draw, keep, kept
from .harness import NotVerifiedError

REPORT = Path(__file__).with_name("report.md")
# What a measurement is of.
SOURCES, DIGITS = ("gateway", "schema", "policies"), 12
# In the report's order.
PARTS = ("peers", "cells", "start", "memory", "growth", "profile", "instructions")
TITLE = "# How fast the gateway is, beside what, and why"
NO_HARNESS = "peers: left out, as no harness was named (`--harness`); what was measured before is kept"

Say = Callable[[str], None]
Chapters = Callable[[argparse.Namespace, Say], Iterator[Chapter]]


def options_of(name: str, about: str) -> argparse.ArgumentParser:
    """The options every run has."""
    parser = argparse.ArgumentParser(prog=name, description=about)
    parser.add_argument("--harness", type=Path, help="where the peers' harness was set up; else no peers")
    parser.add_argument("--quick", action="store_true", help="once through all, for numbers of no worth")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the report is written")
    return parser


def command(name: str, about: str, chapters: Chapters, arguments: Sequence[str] | None) -> int:
    """Runs the chapters of a program that measures one part; the exit status."""
    return reported(options_of(name, about).parse_args(arguments), chapters)


def reported(options: argparse.Namespace, chapters: Chapters) -> int:
    """Measures, keeps and binds the report after each chapter; 1 where the servers answer differently."""
    try:
        for chapter in chapters(options, say):
            bind(options.report, [chapter])
            say(f"{chapter.name}: written to {options.report.name}")
    except (UnequalAnswersError, NotVerifiedError) as error:
        say(f"nothing was timed: {error}")
        return 1
    return 0


def bind(report: Path, chapters: Iterable[Chapter]) -> None:
    """Writes the report with these chapters, measured now, in the place of those of their names."""
    day, path = datetime.now(UTC).date().isoformat(), report.with_suffix(".json")
    now = [replace(chapter, measured=day, code=code()) for chapter in chapters]
    found = kept(path) | {chapter.name: chapter for chapter in now}
    draw(report.parent, now)
    known = [found[name] for name in PARTS if name in found]
    others = [chapter for name, chapter in found.items() if name not in PARTS]
    keep(path, [*known, *others])
    report.write_text(bound(TITLE, machine(), [*known, *others]))


def code() -> str:
    """The first digits of a digest of the sources: of each file its path and its content."""
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for path in sorted(one for name in SOURCES for one in (root / name).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:DIGITS]


def machine() -> str:
    """What it was measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pinned = "servers on one core, PostgreSQL and the load on another" if cores != 1 else "nothing was pinned"
    return (
        f"Measured on {cores} cores ({platform.machine()}) with Python {platform.python_version()}: {pinned}."
        " Before anything is timed, the answers are compared. The code is named by the first digits of the"
        f" SHA-256 of {', '.join(f'`{name}/`' for name in SOURCES)}."
    )


def say(text: str) -> None:
    """How a run tells what it does."""
    print(text, file=sys.stderr, flush=True)
