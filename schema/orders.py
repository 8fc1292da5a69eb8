"""Orders and their lines."""

from __future__ import annotations

from . import tables
from .fields import Many, Node, One, address, column, entity, many, money, one
from .scalars import Address, DateTime, Decimal, Money
from .states import OrderStatus, PaymentMethod, PaymentStatus


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
