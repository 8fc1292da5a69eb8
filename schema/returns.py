"""Returns and their lines."""

from __future__ import annotations

import uuid

import strawberry

from . import tables
from .fields import Many, Mask, Node, One, column, entity, many, money, one
from .scalars import DateTime, Decimal, Money
from .states import ReturnKind, ReturnReason, ReturnStatus
from .writing import IF_VERSION, KEY, Declared, Writes, given, input_of, sets


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


@input_of("ReturnLine", Writes.CREATE, description="One product to send back.")
class ReturnLineInput:
    order_line: strawberry.ID = sets("The line of the order.")
    quantity: int = sets("How many come back.")


@input_of("Return", Writes.CREATE, description="What comes back of an order, and why.")
class RequestReturnInput:
    order_id: strawberry.ID = given("The order.")
    kind: ReturnKind = sets("Why it comes back.")
    lines: list[ReturnLineInput] = sets("Which goods.")
    reason_code: ReturnReason | None = sets("A reason, if one is given.")
    reason_text: str | None = sets("The reason in the customer's words.")
    refund_iban: str | None = sets("The account to pay the refund to.")
    idempotency_key: uuid.UUID | None = given(KEY)


@input_of("Return", Writes.UPDATE, description="How far a return has come.")
class UpdateReturnInput:
    id: strawberry.ID = given("The return.")
    if_version: int | None = given(IF_VERSION)
    status: ReturnStatus | None = sets("The next status.")
    inspection_note: str | None = sets("What was found; null takes it away.")
    refund_amount: Decimal | None = sets("What is paid back, in the order's currency.")
    refunded_at: DateTime | None = sets("When it was paid back; the return is then REFUNDED.")
    refund_iban: str | None = sets("The account to pay the refund to.")


MUTATIONS = {
    "request_return": Declared(
        RequestReturnInput,
        "Asks to send goods back.",
        entities={"return": "Return"},
        extras={"receipt": (str, "What was mailed to the customer who withdrew; null for everybody else.")},
    ),
    "update_return": Declared(UpdateReturnInput, "Takes a return on.", entities={"return": "Return"}),
}
