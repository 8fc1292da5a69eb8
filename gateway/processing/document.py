"""The record as a document without markup: sections of facts and tables, for Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .values import ErasurePeriod, ProcessingActivity, ProcessingRecord


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the schema or the policy, such as coordinates."""

    names: tuple[str, ...]


Cell = str | Names


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said under a word each; one word may stand several times."""

    facts: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Texts, one below the other."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads, of which the first heads its row; `without` is said where there is no row."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    without: str


Block = Facts | Listing | Table


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the document."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The whole document."""

    title: str
    introduction: str
    sections: tuple[Section, ...]


def document(record: ProcessingRecord) -> Document:
    """The record's document. The policy's version is left out: it changes with every reworded reason."""
    return Document(
        title="Record of processing activities",
        introduction="GDPR Article 30(1). Made by the command gateway policy record from the tags of the"
        " columns, the policy lines and the files beside them: change those, not this.",
        sections=(_controller(record), _protection(record), *map(_activity, record.activities)),
    )


def _controller(record: ProcessingRecord) -> Section:
    controller = record.controller
    officer = controller.data_protection_officer or "none is designated"
    return Section(
        "Controller",
        (
            Facts(
                (
                    ("Name", controller.name),
                    ("Business id", controller.business_id),
                    ("Address", controller.address),
                    ("Contact", controller.contact),
                    ("Data protection officer", officer),
                    ("Privacy notice in force", record.notice_version),
                )
            ),
        ),
    )


def _protection(record: ProcessingRecord) -> Section:
    return Section(
        "Protection of all activities (Articles 30(1)(g) and 32(1))", (Listing(record.protection),)
    )


def _activity(activity: ProcessingActivity) -> Section:
    tables = (_categories(activity), _erasure(activity), _recipients(activity), _access(activity))
    return Section(f"Purpose: {activity.purpose}", (Facts(tuple(_facts(activity))), *tables))


def _categories(activity: ProcessingActivity) -> Table:
    return Table(
        "Categories of personal data",
        ("Category", "Columns", "Shown as"),
        tuple((Names((one.key,)), Names(one.columns), Names(one.coordinates)) for one in activity.categories),
        "None: no column is kept for it, and nobody is shown one for it.",
    )


def _erasure(activity: ProcessingActivity) -> Table:
    return Table(
        "Erasure",
        ("Rule", "Period", "Categories"),
        tuple((Names((one.rule,)), _period(one), Names(one.categories)) for one in activity.erasure),
        "There is nothing to erase.",
    )


def _recipients(activity: ProcessingActivity) -> Table:
    return Table(
        "Recipients",
        ("Recipient", "Role", "Contact", "Fields at most"),
        tuple((one.name, one.role, one.contact, Names(one.fields)) for one in activity.recipients),
        "None.",
    )


def _access(activity: ProcessingActivity) -> Table:
    return Table(
        "Roles with access",
        ("Role", "Categories", "Shown in full", "Masked", "Changed"),
        tuple(
            (
                Names((one.role,)),
                *(Names(part) for part in (one.categories, one.shown, one.masked, one.changed)),
            )
            for one in activity.access
        ),
        "None.",
    )


def _facts(activity: ProcessingActivity) -> Iterator[tuple[str, Cell]]:
    yield "Description", activity.description
    yield "Lawful basis", ", ".join(f"Article 6(1)({letter})" for letter in activity.lawful_bases)
    yield "Lists of many people may be read", "yes" if activity.lists else "no"
    for subject in activity.data_subjects:
        yield "Data subjects", subject.description
    transfers = [(one.name, one.transfer) for one in activity.recipients if one.transfer is not None]
    for name, transfer in transfers:
        yield "Transfer to a third country", f"{name}, {transfer.country}: {transfer.safeguards}"
    if not transfers:
        yield "Transfers to third countries", "none"


def _period(period: ErasurePeriod) -> str:
    warned = "" if period.warned is None else f", the customer is told {period.warned} before"
    law = "" if period.law is None else f" ({period.law})"
    return f"{period.period} after {period.after}{law}{warned}"
