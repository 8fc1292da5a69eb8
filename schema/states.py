"""The closed lists of the domain, as GraphQL enums and as the text the tables hold."""

from __future__ import annotations

from enum import Enum

import strawberry


@strawberry.enum(description="What the register may do with a customer's data at present.")
class CustomerStatus(Enum):
    ACTIVE = "ACTIVE"
    RESTRICTED = "RESTRICTED"
    ERASED = "ERASED"


@strawberry.enum(description="What a person decided about the newsletter at one moment.")
class ConsentState(Enum):
    GIVEN = "GIVEN"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"


@strawberry.enum(description="What the consent is about.")
class ConsentPurpose(Enum):
    NEWSLETTER = "NEWSLETTER"


@strawberry.enum(description="How far an order has come; CANCELLED is possible before SHIPPED.")
class OrderStatus(Enum):
    PLACED = "PLACED"
    PAID = "PAID"
    PICKING = "PICKING"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


@strawberry.enum(description="How an order is paid.")
class PaymentMethod(Enum):
    CARD = "CARD"
    BANK_TRANSFER = "BANK_TRANSFER"
    INVOICE = "INVOICE"
    MOBILE = "MOBILE"


@strawberry.enum(description="How far the payment of an order has come.")
class PaymentStatus(Enum):
    PENDING = "PENDING"
    AUTHORISED = "AUTHORISED"
    PAID = "PAID"
    REFUNDED = "REFUNDED"
    FAILED = "FAILED"


@strawberry.enum(description="How far a delivery has come, its side states included.")
class DeliveryStatus(Enum):
    PLANNED = "PLANNED"
    READY = "READY"
    PRE_ADVISED = "PRE_ADVISED"
    PICKED_UP = "PICKED_UP"
    IN_TRANSIT = "IN_TRANSIT"
    AT_PICKUP_POINT = "AT_PICKUP_POINT"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    DELIVERED = "DELIVERED"
    EXCEPTION = "EXCEPTION"
    ATTEMPT_FAILED = "ATTEMPT_FAILED"
    RETURNING = "RETURNING"
    RETURNED = "RETURNED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"


@strawberry.enum(description="Why goods come back.")
class ReturnKind(Enum):
    WITHDRAWAL = "WITHDRAWAL"
    DEFECT = "DEFECT"
    WRONG_ITEM = "WRONG_ITEM"
    UNDELIVERED = "UNDELIVERED"


@strawberry.enum(description="How far a return has come.")
class ReturnStatus(Enum):
    REQUESTED = "REQUESTED"
    AWAITING_GOODS = "AWAITING_GOODS"
    RECEIVED = "RECEIVED"
    INSPECTED = "INSPECTED"
    REFUNDED = "REFUNDED"
    CLOSED = "CLOSED"
    REJECTED = "REJECTED"


@strawberry.enum(description="The reason a customer may give for a return; none is needed to withdraw.")
class ReturnReason(Enum):
    CHANGED_MIND = "CHANGED_MIND"
    WRONG_SIZE = "WRONG_SIZE"
    DAMAGED = "DAMAGED"
    NOT_AS_DESCRIBED = "NOT_AS_DESCRIBED"
    LATE = "LATE"
    OTHER = "OTHER"


class PartnerKind(Enum):
    CARRIER = "CARRIER"
    NEWSLETTER = "NEWSLETTER"


ORDER_FINAL = (OrderStatus.COMPLETED.value, OrderStatus.CANCELLED.value)
DELIVERY_FINAL = tuple(
    status.value
    for status in (
        DeliveryStatus.DELIVERED,
        DeliveryStatus.RETURNED,
        DeliveryStatus.LOST,
        DeliveryStatus.CANCELLED,
    )
)
RETURN_FINAL = (ReturnStatus.CLOSED.value, ReturnStatus.REJECTED.value)
