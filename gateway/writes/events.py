"""What carriers report of their deliveries: each report judged by itself, those that are new kept together.

A report sets what its delivery's row rules let it set at the moment it speaks of: what came about before a
delivery ended may be told later, and then stands in its history and moves nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from uuid_utils.compat import uuid7

from schema import formats
from schema.deliveries import ReportOutcome
from schema.lifecycles import REPORTED
from schema.model import text_of
from schema.scalars import global_id
from schema.states import ChangeSource
from schema.writing import UserErrorCode

from .checks import Rule, checked, text
from .event_rows import EVENT as COLUMNS
from .event_rows import NOTED, add_events, events_known, newest_events, note_events
from .journey import DELIVERED, MOMENTS, Journey, Step
from .mistakes import Mistakes, Rejected, not_found
from .reports import Parcel, Report, Result
from .rows import find_rows
from .shipping import follow_deliveries, lock_orders
from .work import Outcome, Work

MOST = 100
AHEAD = timedelta(minutes=5)  # how far a carrier's clock may go before ours
BEFORE = timedelta(days=1)  # how long before a delivery was made something of it can have come about
EVENT = {
    "place": Rule("place", lambda value, _: formats.remark(value, 100)),
    "note": Rule("note", lambda value, _: formats.remark(value)),
}
SIGNATURE = {"signedBy": text("signed_by", 200)}
EVENTS, SIGNED_BY = "Delivery.events", "Delivery.signedBy"
# The coordinates that the fields of a report set.
FIELDS = {name: f"DeliveryEvent.{name}" for name in ("status", "occurredAt", "place", "note")}
FIELDS["signedBy"] = SIGNED_BY

Parcels = dict[uuid.UUID, Parcel]
Known = dict[tuple[uuid.UUID, uuid.UUID], tuple[uuid.UUID, tuple[object, ...]]]


async def report_delivery_event(work: Work) -> Outcome:
    """Keeps the reports that are new, in the order of what they speak of, and says what became of each."""
    reports = _read(work)
    parcels = await _locked(work, reports)
    known = await _known(work, parcels, reports)
    results: dict[int, Result] = {}
    kept: list[tuple[Report, uuid.UUID]] = []
    for report in sorted(reports, key=lambda report: (report.step.at, report.position)):
        result = results[report.position] = _judged(report, parcels.get(report.delivery), known)
        if result.outcome is ReportOutcome.RECORDED and result.event is not None:
            parcels[report.delivery].add(report)
            known[report.delivery, report.key] = result.event, report.content
            kept.append((report, result.event))
    if kept:
        await _keep(work, kept, parcels)
    _tell(work, reports, results, parcels)
    named = dict.fromkeys(report.delivery for report in reports if report.delivery in parcels)
    shown = [results[report.position].shown(report) for report in reports]
    return Outcome({"deliveries": [global_id("Delivery", key) for key in named]}, {"results": shown})


# ---------------------------------------------------------------- reading


def _read(work: Work) -> list[Report]:
    given = work.input["events"]
    if not 1 <= len(given) <= MOST:
        mistakes = Mistakes()
        mistakes.add(UserErrorCode.OUT_OF_RANGE, EVENTS, f"from 1 to {MOST} reports are taken", "events")
        mistakes.check()
    return [_report(work, position, one) for position, one in enumerate(given)]


def _report(work: Work, position: int, given: Mapping[str, Any]) -> Report:
    """A report with what is wrong with its form; a wrong one is looked at no further."""
    mistakes, path = Mistakes(), ("events", str(position))
    step = Step(str(text_of(given["status"])), given["occurredAt"])
    values = checked(given, EVENT, "DeliveryEvent", "", mistakes, *path)
    values |= checked(given, SIGNATURE, "Delivery", "", mistakes, *path)
    if step.status not in REPORTED:
        message = "carriers do not report this status"
        mistakes.add(UserErrorCode.INVALID_TRANSITION, "DeliveryEvent.status", message, *path, "status")
    if step.at > work.now + AHEAD:
        message = "the moment lies in the future"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, "DeliveryEvent.occurredAt", message, *path, "occurredAt")
    if given.get("signedBy") is not None and step.status != DELIVERED:
        message = "there is a signature only with `DELIVERED`"
        mistakes.add(UserErrorCode.MALFORMED, SIGNED_BY, message, *path, "signedBy")
    coordinates = [FIELDS[name] for name in given if name in FIELDS]
    return Report(
        position=position,
        delivery=work.key_in(given["deliveryId"], "Delivery"),
        key=given["idempotencyKey"],
        step=step,
        place=_text(values, "place"),
        note=_text(values, "note"),
        signed_by=_text(values, "signed_by"),
        coordinates=(EVENTS, *coordinates),
        mistakes=tuple(mistakes.found),
    )


def _text(values: Mapping[str, object], name: str) -> str | None:
    found = values.get(name)
    return None if found is None else str(found)


# ---------------------------------------------------------------- judging


async def _locked(work: Work, reports: Sequence[Report]) -> Parcels:
    """The deliveries the caller sees, locked after their orders, with what may be set on each.

    The rules stand in the statement that locks. Beside each coordinate's own rules stand those by which it
    could be set while the delivery was under way.
    """
    coordinates = tuple(work.write.guards)
    target = work.target("Delivery", coordinates)
    while_open = tuple(frozenset(map(_while_open, rules)) for rules in target.guards)
    target = replace(target, guards=(*target.guards, *while_open))
    keys = sorted({report.delivery for report in reports})
    found = await work.rows(find_rows(target, ("order_id",), locks=False), keys=keys)
    await lock_orders(work, {row["order_id"] for row in found})
    columns = ("order_id", "customer_id", "status", "created_at", "signed_by", *MOMENTS)
    rows = await work.rows(find_rows(target, columns, locks=True), keys=keys)
    newest = await work.rows(newest_events(), keys=[row["id"] for row in rows])
    steps = {row["delivery_id"]: Step(row["status"], row["occurred_at"]) for row in newest}
    return {row["id"]: _parcel(row, coordinates, steps.get(row["id"])) for row in rows}


def _while_open(rule: str) -> str:
    return "assigned" if rule == "assigned_open" else rule


def _parcel(row: Any, coordinates: Sequence[str], newest: Step | None) -> Parcel:
    allowed, count = row["allowed"], len(coordinates)
    journey = Journey(row["status"], {name: row[name] for name in MOMENTS}, newest)
    is_open = dict(zip(coordinates, allowed[:count], strict=True))
    was_open = dict(zip(coordinates, allowed[count:], strict=True))
    return Parcel(row, is_open, was_open, journey, journey)


async def _known(work: Work, parcels: Parcels, reports: Sequence[Report]) -> Known:
    """The events that are kept under the keys of these reports."""
    event_keys = list({report.key for report in reports})
    rows = await work.rows(events_known(), keys=list(parcels), event_keys=event_keys)
    return {
        (row["delivery_id"], row["idempotency_key"]): (
            row["id"],
            (row["status"], row["occurred_at"], row["place"], row["note"]),
        )
        for row in rows
    }


def _judged(report: Report, parcel: Parcel | None, known: Known) -> Result:
    """What becomes of a report; `RECORDED` with the id it is kept under."""
    refused = ReportOutcome.REFUSED
    if report.mistakes:
        return Result(refused, None, report.mistakes)
    if parcel is None:
        missing: Rejected = not_found("Delivery.id", "events", str(report.position), "deliveryId")
        return Result(refused, None, missing.mistakes)
    if (found := known.get((report.delivery, report.key))) is not None:
        event, content = found
        if content == report.content:
            return Result(ReportOutcome.DUPLICATE, event)
        coordinate, message = "DeliveryEventInput.idempotencyKey", "the key was used for another report"
        mistake = report.mistake(UserErrorCode.CONFLICT, coordinate, message, "idempotencyKey")
    elif report.step.at < parcel.row["created_at"] - BEFORE:
        coordinate, message = "DeliveryEvent.occurredAt", "the moment lies before the delivery was made"
        mistake = report.mistake(UserErrorCode.OUT_OF_RANGE, coordinate, message, "occurredAt")
    elif not parcel.takes(report):
        coordinate, message = "DeliveryEvent.status", "the delivery had ended by then"
        mistake = report.mistake(UserErrorCode.INVALID_TRANSITION, coordinate, message, "status")
    else:
        return Result(ReportOutcome.RECORDED, uuid7())
    return Result(refused, None, (mistake,))


def _tell(work: Work, reports: Sequence[Report], results: Mapping[int, Result], parcels: Parcels) -> None:
    """Says for the record what the reports that were kept set, of whom, and what no right was held to set."""
    kept = [report for report in reports if results[report.position].outcome is ReportOutcome.RECORDED]
    refused = [report for report in reports if results[report.position].is_for_rights(report)]
    work.subjects.update(parcels[report.delivery].row["subject"] for report in kept)
    work.wrote.coordinates = frozenset(one for report in kept for one in report.coordinates)
    work.wrote.refused = frozenset(one for report in refused for one in report.coordinates)


# ---------------------------------------------------------------- keeping


async def _keep(work: Work, kept: Sequence[tuple[Report, uuid.UUID]], parcels: Parcels) -> None:
    """Adds the events, takes their deliveries on, and the orders of those."""
    rows = [_row(report, event, parcels[report.delivery]) for report, event in kept]
    await work.rows(add_events(), **_lists(COLUMNS, rows))
    notes = [note for row in rows for note in _notes(row)]
    source = ChangeSource.CARRIER_EVENT
    await work.rows(note_events(), source=source.value, actor=work.actor, **_lists(NOTED, notes))
    moved = []
    for key, parcel in parcels.items():
        if changes := parcel.changes():
            # The status and its moments are derived; the signature was judged with its report.
            await work.change("Delivery", key, changes, coordinates=(), source=source)
            moved.append(parcel.row["order_id"])
    await follow_deliveries(work, moved)


def _row(report: Report, event: uuid.UUID, parcel: Parcel) -> dict[str, object]:
    return {
        "id": event,
        "delivery_id": report.delivery,
        "customer_id": parcel.row["customer_id"],
        "status": report.step.status,
        "occurred_at": report.step.at,
        "place": report.place,
        "note": report.note,
        "idempotency_key": report.key,
    }


def _notes(row: Mapping[str, object]) -> list[dict[str, object]]:
    """What provenance says of a new event: which fields were set."""
    fields = {"status": "status", "occurred_at": "occurredAt", "place": "place", "note": "note"}
    return [
        {"id": uuid7(), "customer_id": row["customer_id"], "entity_id": row["id"], "field": field}
        for column, field in fields.items()
        if row[column] is not None
    ]


def _lists(columns: Mapping[str, object], rows: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    """The rows as a list for each column."""
    return {name: [row[name] for row in rows] for name in columns}
