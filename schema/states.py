"""The closed lists of the domain, as GraphQL enums and as the text the tables hold."""

from __future__ import annotations

from enum import Enum
from typing import Any

import strawberry


@strawberry.enum(description="What the register may do with a customer's data at present.")
class CustomerStatus(Enum):
    ACTIVE = strawberry.enum_value("ACTIVE", description="The relationship is in force.")
    RESTRICTED = strawberry.enum_value(
        "RESTRICTED", description="Processing is restricted (GDPR Article 18)."
    )
    ERASED = strawberry.enum_value(
        "ERASED", description="The personal data has been erased (GDPR Article 17)."
    )


@strawberry.enum(description="What a person decided about the newsletter at one moment.")
class ConsentState(Enum):
    GIVEN = strawberry.enum_value("GIVEN", description="The person agreed.")
    REFUSED = strawberry.enum_value("REFUSED", description="The person did not agree.")
    WITHDRAWN = strawberry.enum_value("WITHDRAWN", description="The person took their consent back.")


@strawberry.enum(description="What the consent is about.")
class ConsentPurpose(Enum):
    NEWSLETTER = strawberry.enum_value("NEWSLETTER", description="Letters about the store's offers.")


@strawberry.enum(description="How far an order has come; CANCELLED is possible before SHIPPED.")
class OrderStatus(Enum):
    PLACED = strawberry.enum_value("PLACED", description="The customer ordered.")
    PAID = strawberry.enum_value("PAID", description="The payment is in.")
    PICKING = strawberry.enum_value("PICKING", description="The warehouse collects the goods.")
    SHIPPED = strawberry.enum_value("SHIPPED", description="The goods are on their way.")
    DELIVERED = strawberry.enum_value("DELIVERED", description="The goods have arrived.")
    COMPLETED = strawberry.enum_value("COMPLETED", description="Nothing is left to do.")
    CANCELLED = strawberry.enum_value("CANCELLED", description="The order was called off before shipping.")


@strawberry.enum(description="How an order is paid.")
class PaymentMethod(Enum):
    CARD = strawberry.enum_value("CARD", description="By card.")
    BANK_TRANSFER = strawberry.enum_value("BANK_TRANSFER", description="By bank transfer.")
    INVOICE = strawberry.enum_value("INVOICE", description="On invoice.")
    MOBILE = strawberry.enum_value("MOBILE", description="By mobile payment.")


@strawberry.enum(description="How far the payment of an order has come.")
class PaymentStatus(Enum):
    PENDING = strawberry.enum_value("PENDING", description="Not yet paid.")
    AUTHORISED = strawberry.enum_value("AUTHORISED", description="Promised by the payment provider.")
    PAID = strawberry.enum_value("PAID", description="Paid.")
    REFUNDED = strawberry.enum_value("REFUNDED", description="Paid back.")
    FAILED = strawberry.enum_value("FAILED", description="The payment did not go through.")


@strawberry.enum(description="How far a delivery has come, its side states included.")
class DeliveryStatus(Enum):
    PLANNED = strawberry.enum_value("PLANNED", description="Not yet given to a carrier.")
    READY = strawberry.enum_value("READY", description="Packed and waiting.")
    PRE_ADVISED = strawberry.enum_value("PRE_ADVISED", description="Announced to the carrier.")
    PICKED_UP = strawberry.enum_value("PICKED_UP", description="Taken over by the carrier.")
    IN_TRANSIT = strawberry.enum_value("IN_TRANSIT", description="On its way.")
    AT_PICKUP_POINT = strawberry.enum_value("AT_PICKUP_POINT", description="Waiting to be picked up.")
    OUT_FOR_DELIVERY = strawberry.enum_value("OUT_FOR_DELIVERY", description="On the last stretch.")
    DELIVERED = strawberry.enum_value("DELIVERED", description="Handed to the recipient.")
    EXCEPTION = strawberry.enum_value("EXCEPTION", description="Something is wrong with it.")
    ATTEMPT_FAILED = strawberry.enum_value("ATTEMPT_FAILED", description="The recipient was not met.")
    RETURNING = strawberry.enum_value("RETURNING", description="On its way back.")
    RETURNED = strawberry.enum_value("RETURNED", description="Back at the store.")
    CANCELLED = strawberry.enum_value("CANCELLED", description="Called off.")
    LOST = strawberry.enum_value("LOST", description="Lost by the carrier.")


@strawberry.enum(description="Why goods come back.")
class ReturnKind(Enum):
    WITHDRAWAL = strawberry.enum_value("WITHDRAWAL", description="The customer withdrew from the purchase.")
    DEFECT = strawberry.enum_value("DEFECT", description="The goods are defective.")
    WRONG_ITEM = strawberry.enum_value("WRONG_ITEM", description="Other goods were sent than ordered.")
    UNDELIVERED = strawberry.enum_value("UNDELIVERED", description="The goods could not be delivered.")


@strawberry.enum(description="How far a return has come.")
class ReturnStatus(Enum):
    REQUESTED = strawberry.enum_value("REQUESTED", description="The customer asked for it.")
    AWAITING_GOODS = strawberry.enum_value("AWAITING_GOODS", description="The goods are expected.")
    RECEIVED = strawberry.enum_value("RECEIVED", description="The goods are here.")
    INSPECTED = strawberry.enum_value("INSPECTED", description="The goods have been looked at.")
    REFUNDED = strawberry.enum_value("REFUNDED", description="The money has been paid back.")
    CLOSED = strawberry.enum_value("CLOSED", description="Nothing is left to do.")
    REJECTED = strawberry.enum_value("REJECTED", description="The return was not accepted.")


@strawberry.enum(description="The reason a customer may give for a return; none is needed to withdraw.")
class ReturnReason(Enum):
    CHANGED_MIND = strawberry.enum_value("CHANGED_MIND", description="The customer wants it no longer.")
    WRONG_SIZE = strawberry.enum_value("WRONG_SIZE", description="It does not fit.")
    DAMAGED = strawberry.enum_value("DAMAGED", description="It arrived damaged.")
    NOT_AS_DESCRIBED = strawberry.enum_value(
        "NOT_AS_DESCRIBED", description="It is not what the store described."
    )
    LATE = strawberry.enum_value("LATE", description="It came too late.")
    OTHER = strawberry.enum_value("OTHER", description="Another reason.")


class ChangeSource(Enum):
    REGISTRATION = "REGISTRATION"
    CHECKOUT = "CHECKOUT"
    CUSTOMER = "CUSTOMER"
    STAFF_ON_BEHALF = "STAFF_ON_BEHALF"
    STAFF = "STAFF"
    CARRIER_EVENT = "CARRIER_EVENT"
    UNSUBSCRIBE_LINK = "UNSUBSCRIBE_LINK"
    RETENTION = "RETENTION"


def _role(name: str, description: str) -> Any:
    """A role is spelled in one way everywhere: in the policy, in `Act-As` and here."""
    return strawberry.enum_value(name, name=name, description=description)


@strawberry.enum(description="What an employee may be designated for, as `Act-As` spells it.")
class StaffRole(Enum):
    SUPPORT = _role("support", "Helps customers.")
    REGISTER_ADMIN = _role("register_admin", "Keeps the register right, and designates employees.")
    WAREHOUSE = _role("warehouse", "Packs and hands over what was ordered.")
    FINANCE = _role("finance", "Keeps the accounts and pays back.")
    MARKETING = _role("marketing", "Writes the newsletter.")
    ANALYST = _role("analyst", "Improves the service by figures that are about nobody.")
    PRIVACY_OFFICER = _role("privacy_officer", "Sees to the rights of the people in the register.")


@strawberry.enum(description="What a partner does for the store.")
class PartnerKind(Enum):
    CARRIER = strawberry.enum_value("CARRIER", description="It carries deliveries.")
    NEWSLETTER = strawberry.enum_value("NEWSLETTER", description="It sends the newsletter.")


@strawberry.enum(description="What became of an attempt to use personal data.")
class Decision(Enum):
    ALLOWED = strawberry.enum_value("ALLOWED", description="It was given or changed.")
    REFUSED = strawberry.enum_value("REFUSED", description="It was refused.")


@strawberry.enum(description="Whether a recipient was told of an erasure (GDPR Article 19).")
class NoticeStatus(Enum):
    NOT_DUE = strawberry.enum_value("NOT_DUE", description="Nothing was erased of which it had to hear.")
    DUE = strawberry.enum_value("DUE", description="It is being told.")
    SENT = strawberry.enum_value("SENT", description="It was told.")
    FAILED = strawberry.enum_value("FAILED", description="It could not be told: somebody must see to it.")


@strawberry.enum(description="What a person asks for about their data.")
class SubjectRequestKind(Enum):
    EXPORT = strawberry.enum_value("EXPORT", description="A copy of it (GDPR Articles 15 and 20).")
    ERASURE = strawberry.enum_value("ERASURE", description="Its erasure (GDPR Article 17).")
    RESTRICTION = strawberry.enum_value(
        "RESTRICTION", description="That it is not used for a while (GDPR Article 18)."
    )


@strawberry.enum(description="The way a request came.")
class RequestChannel(Enum):
    ACCOUNT = strawberry.enum_value("ACCOUNT", description="From the customer's account.")
    ORDER_LINK = strawberry.enum_value("ORDER_LINK", description="With the link to one order.")
    EMPLOYEE = strawberry.enum_value("EMPLOYEE", description="Entered by an employee whom the person asked.")


@strawberry.enum(description="How far a request about one's data has come.")
class SubjectRequestStatus(Enum):
    RECEIVED = strawberry.enum_value("RECEIVED", description="It is here, and nothing is done yet.")
    ACCEPTED = strawberry.enum_value("ACCEPTED", description="It was accepted and is about to be done.")
    EXECUTED = strawberry.enum_value(
        "EXECUTED", description="It is done, but for what an open order needs or a message under way."
    )
    COMPLETED = strawberry.enum_value("COMPLETED", description="It is done, and so is all that followed.")
    REFUSED = strawberry.enum_value("REFUSED", description="It was refused, and the person was told why.")
    WITHDRAWN = strawberry.enum_value("WITHDRAWN", description="The person took it back.")


@strawberry.enum(description="What was decided about a request.")
class RequestDecision(Enum):
    ACCEPTED = strawberry.enum_value("ACCEPTED", description="It is done.")
    REFUSED = strawberry.enum_value("REFUSED", description="It is not done.")
    LIFTED = strawberry.enum_value(
        "LIFTED", description="A restriction that was in force ends when its person is told."
    )


def _texts(*states: Enum) -> tuple[str, ...]:
    return tuple(str(state.value) for state in states)


ORDER_FINAL = _texts(OrderStatus.COMPLETED, OrderStatus.CANCELLED)
DELIVERY_FINAL = _texts(
    DeliveryStatus.DELIVERED, DeliveryStatus.RETURNED, DeliveryStatus.LOST, DeliveryStatus.CANCELLED
)
RETURN_FINAL = _texts(ReturnStatus.CLOSED, ReturnStatus.REJECTED)
