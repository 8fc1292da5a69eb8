"""Processor time, read from `/proc`: it varies less than a rate does on a machine with other work to do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# Of the fields after the program's name: the parent, and the ticks spent in user and in system mode.
PARENT, USER, SYSTEM = 1, 11, 12


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of processor time, or microseconds a request; None where this system does not tell."""

    server: float | None
    database: float | None

    def since(self, before: Usage, requests: int) -> Usage:
        """Microseconds a request since an earlier reading."""
        return Usage(
            _each(self.server, before.server, requests), _each(self.database, before.database, requests)
        )


def _each(now: float | None, before: float | None, requests: int) -> float | None:
    return None if now is None or before is None else (now - before) / requests * 1e6


def usage(server: int, database: int | None) -> Usage:
    """What a server, and all processes of an embedded PostgreSQL, have used until now."""
    if not PROC.is_dir():
        return Usage(None, None)
    spent = None if database is None else sum(_seconds(pid) for pid in _children(database))
    return Usage(_seconds(server), spent)


def _children(parent: int) -> list[int]:
    names = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    return [pid for pid in names if (fields := _fields(pid)) and int(fields[PARENT]) == parent]


def _seconds(pid: int) -> float:
    fields = _fields(pid)
    ticks = int(fields[USER]) + int(fields[SYSTEM]) if fields else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _fields(pid: int) -> list[str]:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:  # it has just ended
        return []
    return text.rpartition(")")[2].split()
