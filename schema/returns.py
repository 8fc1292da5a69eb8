"""Returns and their lines."""

from __future__ import annotations

from . import tables
from .fields import Many, Mask, Node, One, column, entity, many, money, one
from .scalars import DateTime, Money
from .states import ReturnKind, ReturnReason, ReturnStatus


@entity(tables.Return, description="Goods of an order that come back.")
class Return(Node):
    number: str | None = column("The return number.")
    order: One | None = one("Order", "The order the goods are of.", key="order_id")
    kind: ReturnKind | None = column("Why they come back.")
    status: ReturnStatus | None = column("How far the return has come.")
    requested_at: DateTime | None = column("When the customer asked for it.")
    lines: Many = many("ReturnLine", "Which goods.", key="return_id")
    reason_code: ReturnReason | None = column("The reason the customer chose, if any.")
    reason_text: str | None = column("The reason in the customer's words.")
    inspection_note: str | None = column("What the warehouse found.")
    refund_due_at: DateTime | None = column("When the refund is due (Directive 2011/83/EU, Article 13).")
    refund_amount: Money | None = money("What is paid back.", "refund_amount")
    refunded_at: DateTime | None = column("When it was paid back.")
    refund_iban: str | None = column("The account it is paid to.", mask=Mask.IBAN)
    version: int | None = column("The number of the present state, for `ifVersion`.")


@entity(tables.ReturnLine, description="One product of a return.")
class ReturnLine(Node):
    order_line: One | None = one("OrderLine", "The line of the order.", key="order_line_id")
    quantity: int | None = column("How many come back.")
