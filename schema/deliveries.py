"""Deliveries and what carriers report of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, func, literal_column, select
from sqlmodel import SQLModel

from . import tables
from .fields import Many, Mask, Node, One, column, computed, entity, many, one
from .scalars import DateTime
from .states import DeliveryStatus


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
