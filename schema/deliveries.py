"""Deliveries and what carriers report of them."""

from __future__ import annotations

import uuid
from enum import Enum
from typing import Any

import strawberry
from sqlalchemy import ColumnElement, FromClause, func, literal_column, select
from sqlmodel import SQLModel

from . import tables
from .fields import Many, Mask, Node, One, column, computed, entity, many, one
from .scalars import DateTime
from .states import DeliveryStatus
from .writing import IF_VERSION, KEY, Declared, UserError, Writes, given, input_of, sets


def _tracking_url(delivery: FromClause) -> ColumnElement[Any]:
    service = SQLModel.metadata.tables["carrier_service"].alias()
    return (
        select(func.replace(service.c.tracking_url, literal_column("'{code}'"), delivery.c.tracking_code))
        .where(service.c.carrier_id == delivery.c.carrier_id, service.c.code == delivery.c.service_code)
        .correlate(delivery)
        .scalar_subquery()
    )


@entity(tables.Delivery, description="A delivery of an order, or of a part of it.")
class Delivery(Node):
    reference: str | None = column("The store's reference on the parcel.")
    status: DeliveryStatus | None = column("How far it has come.")
    carrier: One | None = one("Carrier", "Who carries it.", key="carrier_id")
    service_code: str | None = column("The carrier's service.")
    tracking_code: str | None = column("The carrier's tracking code.")
    tracking_url: str | None = computed("The carrier's tracking page.", _tracking_url)
    parcel_count: int | None = column("How many parcels.")
    weight_grams: int | None = column("Weight in grams.")
    promised_at: DateTime | None = column("When it was promised for.")
    handed_over_at: DateTime | None = column("When the carrier took it over.")
    delivered_at: DateTime | None = column("When it was delivered.")
    recipient_name: str | None = column("Who receives it.", mask=Mask.NAME)
    street_address: str | None = column("Street, house number, flat.")
    postal_code: str | None = column("Postal code, as its country writes it.")
    postal_town: str | None = column("Postal town.")
    country_code: str | None = column("Country, as its ISO 3166-1 code.")
    recipient_phone: str | None = column("The recipient's telephone number in E.164.", mask=Mask.PHONE)
    recipient_email: str | None = column("The recipient's e-mail address.", mask=Mask.EMAIL)
    pickup_point: str | None = column("Where it can be picked up.")
    instructions: str | None = column("What the recipient asks of the carrier.")
    signed_by: str | None = column("Who signed for it.")
    order: One | None = one("Order", "The order it belongs to.", key="order_id")
    events: Many = many("DeliveryEvent", "What the carrier reported.", key="delivery_id")
    version: int | None = column("The number of the present state, for `ifVersion`.")


@entity(tables.DeliveryEvent, description="One report of a carrier.")
class DeliveryEvent(Node):
    status: DeliveryStatus | None = column("The status reported.")
    occurred_at: DateTime | None = column("When it happened.")
    place: str | None = column("Where it happened.")
    note: str | None = column("A remark of at most 200 characters.")


@input_of("Delivery", Writes.CREATE, description="A delivery to make of an order.")
class CreateDeliveryInput:
    order_id: strawberry.ID = given("The order.")
    carrier: strawberry.ID | None = sets("Who carries it.")
    service_code: str = sets("The carrier's service.")
    tracking_code: str | None = sets("The carrier's tracking code.")
    parcel_count: int | None = sets("How many parcels, from 1 to 99; 1 where it is left out.")
    weight_grams: int | None = sets("Weight in grams.")
    promised_at: DateTime | None = sets("When it is promised for.")
    idempotency_key: uuid.UUID | None = given(KEY)


@input_of("Delivery", Writes.UPDATE, description="What changes of a delivery.")
class UpdateDeliveryInput:
    id: strawberry.ID = given("The delivery.")
    if_version: int | None = given(IF_VERSION)
    status: DeliveryStatus | None = sets("The next status before a carrier has it.")
    carrier: strawberry.ID | None = sets("Who carries it; the former carrier no longer sees it.")
    service_code: str | None = sets("The carrier's service.")
    tracking_code: str | None = sets("The carrier's tracking code; null takes it away.")
    parcel_count: int | None = sets("How many parcels, from 1 to 99.")
    weight_grams: int | None = sets("Weight in grams; null takes it away.")
    promised_at: DateTime | None = sets("When it is promised for; null takes it away.")
    pickup_point: str | None = sets("Where it can be picked up; null takes it away.")


@input_of("Delivery", Writes.UPDATE, description="Where a delivery goes, before it is dispatched.")
class UpdateDeliveryAddressInput:
    id: strawberry.ID = given("The delivery.")
    if_version: int | None = given(IF_VERSION)
    recipient_name: str | None = sets("Who receives it.")
    street_address: str | None = sets("Street, house number, flat.")
    postal_code: str | None = sets("Postal code.")
    postal_town: str | None = sets("Postal town.")
    country_code: str | None = sets("Country, as its ISO 3166-1 code.")
    recipient_phone: str | None = sets("The recipient's telephone number; null takes it away.")
    recipient_email: str | None = sets("The recipient's e-mail address; null takes it away.")
    pickup_point: str | None = sets("Where it is to be picked up; null takes it away.")
    instructions: str | None = sets("What the recipient asks of the carrier; null takes it away.")


@input_of("DeliveryEvent", Writes.CREATE, description="One report of a carrier.")
class DeliveryEventInput:
    delivery_id: strawberry.ID = given("The delivery.")
    status: DeliveryStatus = sets("The status reported.")
    occurred_at: DateTime = sets("When it happened.")
    place: str | None = sets("Where it happened, in at most 100 characters, held to what a note is.")
    note: str | None = sets("A remark of at most 200 characters, without e-mail or telephone number.")
    signed_by: str | None = sets("Who signed for it.", "Delivery.signedBy")
    idempotency_key: uuid.UUID = given("A UUID of the carrier's choice: the same event twice counts once.")


@input_of("Delivery", Writes.CREATE, description="Up to 100 reports of a carrier.")
class ReportDeliveryEventInput:
    events: list[DeliveryEventInput] = sets("The reports, in any order.")


@strawberry.enum(description="What became of one report.")
class ReportOutcome(Enum):
    RECORDED = strawberry.enum_value("RECORDED", description="It is new and was kept.")
    DUPLICATE = strawberry.enum_value("DUPLICATE", description="It was known already; nothing changed.")
    REFUSED = strawberry.enum_value("REFUSED", description="It was not kept; `userErrors` says why.")


@strawberry.type(description="What became of one report, in the order they were given.")
class ReportResult:
    idempotency_key: uuid.UUID = strawberry.field(description="The report's key.")
    outcome: ReportOutcome = strawberry.field(description="What became of it.")
    event_id: strawberry.ID | None = strawberry.field(description="The event's global id.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


_DELIVERY = {"delivery": "Delivery"}
MUTATIONS = {
    "create_delivery": Declared(
        CreateDeliveryInput, "Makes a delivery of an open order.", entities=_DELIVERY
    ),
    "update_delivery": Declared(UpdateDeliveryInput, "Changes a delivery.", entities=_DELIVERY),
    "update_delivery_address": Declared(
        UpdateDeliveryAddressInput, "Changes where a delivery goes.", entities=_DELIVERY
    ),
    "report_delivery_event": Declared(
        ReportDeliveryEventInput,
        "Records what a carrier reports; late, doubled and unordered reports do no harm.",
        lists={"deliveries": "Delivery"},
        extras={"results": (list[ReportResult], "One result for each report.")},
    ),
}
