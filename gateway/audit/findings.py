"""What `gateway audit verify` finds: each finding names the chain, and the seal or the row."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

# As many findings are listed; all are counted.
LISTED = 1_000


class What(StrEnum):
    """What can be wrong; the values are what people read."""

    ROW_CHANGED = "row {number} was changed (id {id})"
    ROW_MISSING = "row {number} is missing"
    ROW_INSERTED = "row {number} was inserted (id {id})"
    ROW_UNSEALED = "row {number} is not sealed, and should be by now"
    ROWS_CHANGED = "rows of seal {seal} were changed, and its leaves, which would say which"
    LEAVES_CHANGED = "the leaves of seal {seal} were changed"
    LEAVES_MISSING = "seal {seal} has no leaves, and its rows are not said to be dropped"
    LEAVES_LEFT = "seal {seal} is said to be dropped, and has its leaves"
    DROPPED_EARLY = "the rows of seal {seal} were dropped before their time was over"
    SEAL_CHANGED = "seal {seal} was changed"
    SEAL_MISSING = "seals {seal} to {until} are missing"
    SEAL_UNLINKED = "seal {seal} does not follow the one before it"
    SEAL_UNREADABLE = "seal {seal} is of a newer gateway, which can verify it"
    ANCHOR_MISSING = "seal {seal} was anchored and is missing"
    ANCHOR_DIFFERS = "seal {seal} is another than was anchored"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    chain: str
    what: What
    seal: int | None = None
    until: int | None = None
    number: int | None = None
    id: uuid.UUID | None = None

    def __str__(self) -> str:
        named = {"seal": self.seal, "until": self.until, "number": self.number, "id": self.id}
        return f"{self.chain}: {self.what.format(**named)}"

    def as_dict(self) -> dict[str, Any]:
        """The finding for programs, without what does not belong to it."""
        named = {"seal": self.seal, "until": self.until, "number": self.number}
        found = {"chain": self.chain, "finding": self.what.name, **named}
        return {name: value for name, value in found.items() if value is not None} | (
            {} if self.id is None else {"id": str(self.id)}
        )


@dataclass(slots=True)
class ChainReport:
    """What was seen of a chain; `newest` is the number and the value of its newest seal."""

    chain: str
    seals: int = 0
    dropped: int = 0
    sealed_rows: int = 0
    unsealed_rows: int = 0
    newest: tuple[int, bytes, datetime] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The report for programs."""
        number, seal, sealed_at = self.newest or (None, None, None)
        newest = None
        if seal is not None and sealed_at is not None:
            newest = {"number": number, "seal": seal.hex(), "sealedAt": sealed_at.isoformat()}
        return {
            "seals": self.seals,
            "droppedSeals": self.dropped,
            "sealedRecords": self.sealed_rows,
            "unsealedRecords": self.unsealed_rows,
            "newestSeal": newest,
        }

    def __str__(self) -> str:
        sealed = f"{self.sealed_rows} records in {self.seals} seals, {self.unsealed_rows} not sealed yet"
        dropped = f", the records of {self.dropped} seals dropped" if self.dropped else ""
        newest = f"; newest seal {self.newest[0]}: {self.newest[1].hex()}" if self.newest else ""
        return f"{self.chain}: {sealed}{dropped}{newest}"


@dataclass(slots=True)
class Report:
    """What was seen of every chain, and the first findings of all that were counted."""

    chains: list[ChainReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return not self.counts

    def add(self, finding: Finding) -> None:
        """Counts a finding, and lists it where there is room."""
        self.counts[finding.what.name] += 1
        if len(self.findings) < LISTED:
            self.findings.append(finding)

    def as_dict(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "whole": self.is_whole,
            "chains": {chain.chain: chain.as_dict() for chain in self.chains},
            "findings": [finding.as_dict() for finding in self.findings],
            "counts": dict(sorted(self.counts.items())),
        }
