"""What can be asked: the root fields."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryList, StrawberryOptional

from .connections import Connections
from .fields import Many, Node
from .inputs import camel, optional
from .processing import ProcessingRecord


@strawberry.enum(description="What a grant lets its holder do with a coordinate.")
class Use(Enum):
    READ = strawberry.enum_value("read", description="See the value.")
    MASK = strawberry.enum_value("mask", description="See what the mask leaves of the value.")
    FILTER = strawberry.enum_value("filter", description="Look for the exact value.")
    CREATE = strawberry.enum_value("create", description="Set the value of a new row.")
    UPDATE = strawberry.enum_value("update", description="Change the value.")
    AGGREGATE = strawberry.enum_value("aggregate", description="Group by or measure the value.")
    EXECUTE = strawberry.enum_value("execute", description="Call the operation.")


@strawberry.type(description="What the caller may do with one coordinate.")
class Grant:
    coordinate: str = strawberry.field(description="The coordinate, such as `Customer.email`.")
    uses: list[Use] = strawberry.field(description="What the caller may do with it.")


@strawberry.type(description="Who is asking, and what they may do with the purpose they declared.")
class Viewer:
    role: str | None = strawberry.field(
        description="The role the caller acts in; null without a designation."
    )
    principal_id: strawberry.ID | None = strawberry.field(description="The caller's global id.")
    purposes: list[str] = strawberry.field(description="The purposes the caller's role may declare.")
    grants: list[Grant] = strawberry.field(description="What may be done, coordinate by coordinate.")


@strawberry.type(description="The privacy notice in force (GDPR Article 13).")
class PrivacyNotice:
    version: str = strawberry.field(description="Which notice this is; consents refer to it.")
    text: str = strawberry.field(description="The notice.")
    digest: str = strawberry.field(description="SHA-256 of the text, in hexadecimal.")


class Lookup:
    """The arguments a single look-up takes, of which exactly one is given."""

    def __init__(self, target: str, **arguments: str) -> None:
        self.target = target
        self.arguments = arguments


LOOKUPS = {
    "customer": Lookup("Customer", id="ID", number="String", email="String"),
    "order": Lookup("Order", id="ID", number="String"),
    "delivery": Lookup("Delivery", id="ID", reference="String", tracking_code="String"),
    "return": Lookup("Return", id="ID", number="String"),
}
LISTS = {
    "customers": "Customer",
    "orders": "Order",
    "deliveries": "Delivery",
    "returns": "Return",
    "carriers": "Carrier",
    "employees": "Employee",
    "designations": "Designation",
    "partnerTokens": "PartnerToken",
    "accessRecords": "AccessRecord",
    "disclosures": "Disclosure",
    "subjectRequests": "SubjectRequest",
    "legalHolds": "LegalHold",
}


@strawberry.type(
    description="What can be asked. Every field is gated for the caller, their role and their purpose."
)
class Query:
    viewer: Viewer | None = strawberry.field(description="Who is asking.")
    privacy_notice: PrivacyNotice | None = strawberry.field(description="The privacy notice in force.")
    processing_record: ProcessingRecord | None = strawberry.field(
        description="The record of processing activities, made from the policy (GDPR Article 30)."
    )
    node: Node | None = strawberry.field(
        description="The entity with this global id, if the caller may see it."
    )
    nodes: list[Node | None] | None = strawberry.field(
        description="The entities with these global ids, in this order; null where the caller sees none."
    )
    customer: Many = strawberry.field(
        description="One customer by `id`, `number` or `email`; the newest of several."
    )
    order: Many = strawberry.field(description="One order by `id` or `number`.")
    delivery: Many = strawberry.field(
        description="One delivery by `id`, `reference` or `trackingCode`; the newest of several."
    )
    return_: Many = strawberry.field(name="return", description="One return by `id` or `number`.")
    customers: Many = strawberry.field(description="The customers the caller may see.")
    orders: Many = strawberry.field(description="The orders the caller may see.")
    deliveries: Many = strawberry.field(description="The deliveries the caller may see.")
    returns: Many = strawberry.field(description="The returns the caller may see.")
    carriers: Many = strawberry.field(description="The carriers.")
    employees: Many = strawberry.field(description="The employees the caller may see.")
    designations: Many = strawberry.field(description="The designations the caller may see.")
    partner_tokens: Many = strawberry.field(description="The tokens of partners the caller may see.")
    access_records: Many = strawberry.field(description="The look-ups the caller may see.")
    disclosures: Many = strawberry.field(description="The disclosures the caller may see.")
    subject_requests: Many = strawberry.field(description="The requests about one's data the caller may see.")
    legal_holds: Many = strawberry.field(description="The holds the caller may see.")


def _argument(name: str, annotation: Any, description: str) -> StrawberryArgument:
    settled = StrawberryAnnotation(annotation)
    if isinstance(annotation, StrawberryOptional):
        return StrawberryArgument(name, None, settled, description=description, default=strawberry.UNSET)
    return StrawberryArgument(name, None, settled, description=description)


def settle_query(entities: Mapping[str, type], connections: Connections) -> None:
    """Gives the root fields their types and arguments."""
    fields: Any = Query.__strawberry_definition__.fields  # type: ignore[attr-defined]  # set by Strawberry
    for field in fields:
        name = camel(field.python_name.removesuffix("_"))
        if name in LISTS:
            connections.attach(field, LISTS[name])
        elif name in LOOKUPS:
            field.type_annotation = optional(entities[LOOKUPS[name].target])
            field.arguments = [
                _argument(
                    argument,
                    StrawberryOptional(strawberry.ID if kind == "ID" else str),
                    f"The {argument.replace('_', ' ')}; give exactly one argument.",
                )
                for argument, kind in LOOKUPS[name].arguments.items()
            ]
        elif name == "node":
            field.arguments = [_argument("id", strawberry.ID, "A global id.")]
        elif name == "nodes":
            field.arguments = [_argument("ids", StrawberryList(strawberry.ID), "Global ids, at most a page.")]
