"""How far a delivery has come: what one more report of its carrier makes of it, in whatever order they come.

Pure: no clock, no database. The status follows the report that speaks of the latest moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from schema.lifecycles import DELIVERY
from schema.states import DeliveryStatus

DELIVERED, RETURNING = str(DeliveryStatus.DELIVERED.value), str(DeliveryStatus.RETURNING.value)
HANDED_OVER = "handed_over_at"
# The moment each end is kept in.
ENDS = {DELIVERED: "delivered_at", "RETURNED": "returned_at", "LOST": "lost_at"}
MOMENTS = (HANDED_OVER, *ENDS.values())


@dataclass(frozen=True, slots=True)
class Step:
    """What a report says: a status, and when it came about."""

    status: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Journey:
    """A delivery's status and moments, and the newest report known of it."""

    status: str
    moments: Mapping[str, datetime | None]
    newest: Step | None = None

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, for a delivery that has."""
        return self.moments[ENDS[self.status]] if self.is_over else None

    @property
    def is_over(self) -> bool:
        """Whether the delivery has ended."""
        return self.status in ENDS

    def takes(self, step: Step) -> bool:
        """Whether it takes a report: after its end only one of before, or that the delivery comes back."""
        comes_back = (self.status, step.status) == (DELIVERED, RETURNING)
        return not self.is_over or comes_back or (self.ended_at is not None and step.at <= self.ended_at)

    def after(self, step: Step) -> Journey:
        """The journey with one more report, moved where its life allows that.

        A report older than the newest one moves nothing by itself. Where the newest one could not follow the
        status, it may be the step between: a parcel that is back and that nobody had reported as coming back.
        """
        if self.newest is None or step.at >= self.newest.at:
            known, way = replace(self, newest=step), [step]
        else:
            known, way = self, [step, self.newest]
        is_late = self.ended_at is not None and step.at < self.ended_at
        if is_late or (len(way) > 1 and self.status == way[-1].status):
            return known
        return known._along(way)

    def _along(self, way: list[Step]) -> Journey:
        """The journey at the end of the way, where every step of it is allowed; else as it is."""
        moved = self
        for step in way:
            if step.status not in DELIVERY[moved.status]:
                return self
            moments = {**moved.moments, HANDED_OVER: moved.moments[HANDED_OVER] or step.at}
            if step.status in ENDS:
                moments[ENDS[step.status]] = step.at
            moved = replace(moved, status=step.status, moments=moments)
        return moved
