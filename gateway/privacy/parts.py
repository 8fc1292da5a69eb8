"""What a person's copy of their data is made of: a part for each table, as the tags of its columns say. Pure.

Every column that a tag says is about a customer, or the recipient of a delivery, is in its table's part, but
those of `LEFT_OUT`, each with its reason, and whatever proves who somebody is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, Table
from sqlmodel import SQLModel

from schema.tags import Personal

SUBJECTS = frozenset({"customer", "recipient"})
# What proves who somebody is stays where it is, whatever it is called.
SECRET = "user.authorization"  # noqa: S105  # a category
LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "access_record.case_reference": "the case of whoever looked, which may be about somebody else",
        "access_record.subject_ids": "names the other people whom a look-up showed",
        "consent_proof.address_digest": "a keyed digest, made when nothing else of the person is left",
        "credential.password_hash": "proves who somebody is",
        "customer.unsubscribe_token": "whoever has it can withdraw the consent: it works like a password",
        "disclosure.case_number": "the authority's own number, of an inquiry that may be about others",
        "disclosure.requester": "may name a person who works for the authority",
        "export_piece.piece": "the copy itself",
        "idempotency.principal": "a mark of requests that were answered, deleted after a day",
        "mail.body": "a letter under way, with links that work like passwords",
    }
)

Ids = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Part:
    """A part: its name in the copy, what it is headed with, and the table it is made of.

    `ids` are the global ids in it by key: of which entity, in which column. `also` are columns about nobody
    without which the others say little. `made` are values of no single column of the table.
    """

    name: str
    heading: str
    table_name: str
    ids: Ids = field(default_factory=dict)
    also: tuple[str, ...] = ()
    made: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        """The table."""
        return SQLModel.metadata.tables[self.table_name]

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """The columns in it, in the table's order."""
        return tuple(one for one in self.table.columns if is_given(one) or one.name in self.also)


PARTS = (
    Part("profile", "Who you are to us", "customer", {"id": ("Customer", "id")}),
    Part("account", "How you sign in", "credential"),
    Part("sessions", "When you were signed in", "session", {"order": ("Order", "order_id")}),
    Part("sessionRenewals", "How long your sign-ins were renewed", "refresh_token"),
    Part("links", "Links we mailed you to prove an address or set a password", "one_time_link"),
    Part("consents", "What you agreed to, and what not", "consent_event", {"id": ("ConsentEvent", "id")}),
    Part("orders", "What you ordered", "orders", {"id": ("Order", "id")}),
    Part(
        "orderLines",
        "The products of your orders",
        "order_line",
        {"id": ("OrderLine", "id"), "order": ("Order", "order_id")},
        also=("sku", "name", "vat_rate"),
    ),
    Part(
        "deliveries",
        "Where and how it was sent",
        "delivery",
        {"id": ("Delivery", "id"), "order": ("Order", "order_id")},
        made=("carrier",),
    ),
    Part(
        "deliveryEvents",
        "What was reported of the deliveries",
        "delivery_event",
        {"id": ("DeliveryEvent", "id"), "delivery": ("Delivery", "delivery_id")},
    ),
    Part(
        "returns",
        "What you sent back, and what was paid back",
        "returns",
        {"id": ("Return", "id"), "order": ("Order", "order_id")},
    ),
    Part(
        "returnLines",
        "The products of your returns",
        "return_line",
        {
            "id": ("ReturnLine", "id"),
            "return": ("Return", "return_id"),
            "line": ("OrderLine", "order_line_id"),
        },
    ),
    Part(
        "changes",
        "Which of your data was set or changed, when and from which source",
        "change",
        made=("changed",),
    ),
    Part("disclosures", "To whom your data was given, and which", "disclosure", {"id": ("Disclosure", "id")}),
    Part("erasureNotices", "Whom we told of an erasure", "erasure_notice", also=("created_at", "sent_at")),
    Part(
        "lookUps",
        "Who of us looked at your data, by role, when and why",
        "access_record",
        {"id": ("AccessRecord", "id")},
    ),
    Part(
        "requests",
        "What you asked us about your data",
        "subject_request",
        {"id": ("SubjectRequest", "id"), "order": ("Order", "order_id")},
        also=("due_at", "extended_to", "cooling_off_until", "decided_at", "completed_at"),
    ),
    Part(
        "holds",
        "What has to stay although you or a period would end it, until when and why",
        "legal_hold",
        {"id": ("LegalHold", "id")},
        also=("placed_at",),
        made=("target",),
    ),
    Part("mail", "Letters to you that are under way", "mail", also=("created_at",)),
)
# What the rows without an index by customer are of, and by which column.
PARENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "refresh_token": ("session", "session_id"),
        "order_line": ("orders", "order_id"),
        "delivery_event": ("delivery", "delivery_id"),
        "return_line": ("returns", "return_id"),
    }
)


def is_about_subject(column: Column[Any]) -> bool:
    """Whether a column holds a datum about a customer, or about the recipient of a delivery."""
    tag = column.info.get("tag")
    return isinstance(tag, Personal) and not SUBJECTS.isdisjoint(tag.subjects)


def is_given(column: Column[Any]) -> bool:
    """Whether a column of a part's table is in the part by its tag."""
    tag = column.info.get("tag")
    is_secret = isinstance(tag, Personal) and tag.category.startswith(SECRET)
    return is_about_subject(column) and str(column) not in LEFT_OUT and not is_secret


def tags_of(part: Part) -> Iterator[Personal]:
    """The tags of a part's columns."""
    for one in part.columns:
        tag = one.info.get("tag")
        if isinstance(tag, Personal):
            yield tag
