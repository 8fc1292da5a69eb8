"""A carrier's report, the delivery it speaks of, and what became of it.

Pure: rows in, values out; `gateway.writes.events` reads and keeps them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schema.deliveries import ReportOutcome
from schema.model import text_of
from schema.scalars import global_id
from schema.writing import UserErrorCode

from .journey import MOMENTS, Journey, Step
from .mistakes import Mistake


@dataclass(frozen=True, slots=True)
class Report:
    """One report, its form looked at: what it says, and what is wrong with it."""

    position: int
    delivery: uuid.UUID
    key: uuid.UUID
    step: Step
    place: str | None
    note: str | None
    signed_by: str | None
    coordinates: tuple[str, ...]
    mistakes: tuple[Mistake, ...]

    def mistake(self, code: UserErrorCode, coordinate: str, message: str, name: str) -> Mistake:
        """A mistake about one of its fields."""
        return Mistake(code, coordinate, message, ("events", str(self.position), name))

    @property
    def content(self) -> tuple[object, ...]:
        """What makes it the same report as another one under its key; the signature is kept elsewhere."""
        return self.step.status, self.step.at, self.place, self.note


@dataclass(slots=True)
class Parcel:
    """A delivery that is locked, and what the reports make of it."""

    row: Any
    is_open: Mapping[str, bool]
    was_open: Mapping[str, bool]
    before: Journey
    journey: Journey
    signed_by: str | None = None

    def takes(self, report: Report) -> bool:
        """Whether every field of the report may be set, now or at the moment it speaks of.

        Reports of one call are judged as if they came one by one: an earlier one may have ended the delivery,
        or turned it back.
        """
        is_as_locked = self.journey.is_over == self.before.is_over
        if is_as_locked and all(self.is_open[one] for one in report.coordinates):
            return True
        return all(self.was_open[one] for one in report.coordinates) and self.journey.takes(report.step)

    def add(self, report: Report) -> None:
        """Takes a report in; a signature is never lost, and replaced only by that of a newer hand-over."""
        after = self.journey.after(report.step)
        has_moved = (after.status, after.moments) != (self.journey.status, self.journey.moments)
        is_signed = self.row["signed_by"] is not None or self.signed_by is not None
        if report.signed_by is not None and (has_moved or not is_signed):
            self.signed_by = report.signed_by
        self.journey = after

    def changes(self) -> dict[str, object]:
        """The columns that differ from what is stored."""
        found: dict[str, object] = {} if self.signed_by is None else {"signed_by": self.signed_by}
        if self.journey.status != self.before.status:
            found["status"] = self.journey.status
        moments, before = self.journey.moments, self.before.moments
        return found | {name: moments[name] for name in MOMENTS if moments[name] != before[name]}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a report."""

    outcome: ReportOutcome
    event: uuid.UUID | None = None
    mistakes: tuple[Mistake, ...] = ()

    def is_for_rights(self, report: Report) -> bool:
        """Whether it was refused for its delivery, which is not the caller's or takes no more of it."""
        codes = (UserErrorCode.NOT_FOUND, UserErrorCode.INVALID_TRANSITION)
        return not report.mistakes and any(mistake.code in codes for mistake in self.mistakes)

    def shown(self, report: Report) -> dict[str, object]:
        """The entry by GraphQL field."""
        return {
            "idempotencyKey": str(report.key),
            "outcome": text_of(self.outcome),
            "eventId": None if self.event is None else global_id("DeliveryEvent", self.event),
            "userErrors": [mistake.shown() for mistake in self.mistakes],
        }
