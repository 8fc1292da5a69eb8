"""Orders and their lines."""

from __future__ import annotations

import uuid

import strawberry

from . import tables
from .fields import Many, Node, One, address, column, entity, many, money, one
from .scalars import Address, DateTime, Decimal, Money
from .states import OrderStatus, PaymentMethod, PaymentStatus
from .writing import IF_VERSION, KEY, AddressInput, Becomes, Declared, Writes, given, input_of, sets


@entity(tables.Order, description="An order placed in the store.")
class Order(Node):
    number: str | None = column("The order number.")
    placed_at: DateTime | None = column("When it was placed.")
    status: OrderStatus | None = column("How far it has come.")
    customer: One | None = one("Customer", "Who placed it.", key="customer_id")
    lines: Many = many("OrderLine", "What was ordered.", key="order_id")
    total: Money | None = money("What it costs, VAT included.", "total")
    payment_method: PaymentMethod | None = column("How it is paid.")
    payment_status: PaymentStatus | None = column("How far the payment has come.")
    billing_name: str | None = column("The name on the invoice.")
    billing_address: Address | None = address("The address on the invoice.", "billing")
    customer_message: str | None = column("What the customer wrote to the store.")
    internal_note: str | None = column("What employees noted.")
    deliveries: Many = many("Delivery", "How it is delivered.", key="order_id")
    returns: Many = many("Return", "What came back of it.", key="order_id")
    version: int | None = column("The number of the present state, for `ifVersion`.")


@entity(tables.OrderLine, description="One product of an order.")
class OrderLine(Node):
    sku: str | None = column("The product's stock-keeping unit.")
    name: str | None = column("The product's name when it was ordered.")
    quantity: int | None = column("How many.")
    unit_price: Money | None = money("The price of one, VAT included.", "unit_price")
    vat_rate: Decimal | None = column("Value-added tax in per cent.")


@input_of("OrderLine", Writes.CREATE, description="One product to order.")
class OrderLineInput:
    sku: str = sets("The product's stock-keeping unit.")
    quantity: int = sets("How many, from 1 to 999.")
    name: str | None = sets("The name the customer saw: refused where the price list has another.")


@input_of("Delivery", Writes.CREATE, description="Where an order goes.")
class OrderDeliveryInput:
    service_code: str = sets("A carrier's service.")
    recipient_name: str | None = sets("Who receives it; left out, the customer.")
    street_address: str | None = sets("Street, house number, flat; without any place, the customer's.")
    postal_code: str | None = sets("Postal code.")
    postal_town: str | None = sets("Postal town.")
    country_code: str | None = sets("Country, as its ISO 3166-1 code; left out, FI where the customer's is.")
    recipient_phone: str | None = sets("The recipient's telephone number; left out, the customer's own.")
    recipient_email: str | None = sets("The recipient's e-mail address; left out, the customer's own.")
    pickup_point: str | None = sets("Where it is to be picked up.")
    instructions: str | None = sets("What the recipient asks of the carrier.")


@input_of("Customer", Writes.CREATE, description="Who buys without an account.")
class GuestInput:
    first_name: str = sets("First name.")
    surname: str = sets("Surname.")
    street_address: str | None = sets("Street, house number, flat.")
    postal_code: str | None = sets("Postal code.")
    postal_town: str | None = sets("Postal town.")
    country_code: str | None = sets("Country, as its ISO 3166-1 code; FI where it is left out.")
    phone: str | None = sets("Telephone number.")
    email: str = sets("E-mail address.")
    marketing_consent: bool | None = sets("Whether to send the newsletter; left out means no.")


@input_of("Order", Writes.CREATE, description="What is ordered, by whom, and where it goes.")
class PlaceOrderInput:
    lines: list[OrderLineInput] = sets("What is ordered, from 1 to 100 products.")
    payment_method: PaymentMethod = sets("How it is paid.")
    billing_name: str | None = sets("The name on the invoice; left out, the customer's.")
    billing_address: AddressInput | None = sets("The address on the invoice; left out, the customer's.")
    customer_message: str | None = sets("A message to the store.")
    delivery: OrderDeliveryInput = given("Where it goes.")
    customer: GuestInput | None = given("Who buys without an account; of nobody else.")
    idempotency_key: uuid.UUID | None = given(KEY)


@input_of("Order", Writes.UPDATE, description="Whose order, to be mailed a new link.")
class RequestOrderAccessInput:
    number: str = given("The order number.")
    name: str = given("First name and surname of who ordered.")
    email: str = given("The e-mail address the order was placed with.")


@input_of("Order", Writes.UPDATE, description="Which order to call off.")
class CancelOrderInput:
    id: strawberry.ID = given("The order.")
    if_version: int | None = given(IF_VERSION)


@input_of("Order", Writes.UPDATE, description="How far an order and its payment have come.")
class UpdateOrderInput:
    id: strawberry.ID = given("The order.")
    if_version: int | None = given(IF_VERSION)
    status: OrderStatus | None = sets("The next status.")
    payment_status: PaymentStatus | None = sets("The next status of the payment.")


@input_of("Order", Writes.UPDATE, description="A note on an order.")
class AddOrderNoteInput:
    id: strawberry.ID = given("The order.")
    if_version: int | None = given(IF_VERSION)
    internal_note: str = sets("A line to add to the internal note.")


_ORDER = {"order": "Order"}
MUTATIONS = {
    "place_order": Declared(
        PlaceOrderInput,
        "Places an order at the price list's prices.",
        entities=_ORDER,
        extras={"access_token": (str, "A guest's token, for this order alone.")},
        becomes=Becomes.BUYER,
    ),
    "request_order_access": Declared(
        RequestOrderAccessInput,
        "Mails a new link to an order; the answer is the same whether there is such an order or not.",
        extras={"accepted": (bool, "Whether the request was taken.")},
    ),
    "cancel_order": Declared(CancelOrderInput, "Calls an order off before it is shipped.", entities=_ORDER),
    "update_order": Declared(UpdateOrderInput, "Takes an order or its payment a step on.", entities=_ORDER),
    "add_order_note": Declared(
        AddOrderNoteInput, "Adds a line to an order's internal note.", entities=_ORDER
    ),
}
