"""The receipt of a withdrawal: mailed to the customer as it is made, and told to them in the answer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import lru_cache

from sqlalchemy import Uuid, bindparam, select

from ..mail.letters import Goods, Withdrawal, withdrawal_receipt
from ..row_rules import row_of
from ..statements.bound import compiled
from .post import post
from .rows import Sql
from .work import Work


async def receipted(work: Work, key: uuid.UUID, *, is_new: bool) -> Mapping[str, str]:
    """What the payload says of the receipt; the letter is written with the return, in its transaction.

    The same request gives the same receipt again, without another letter. An employee who asks on behalf of
    the customer is not told it: it shows what their role may not be granted. The customer has the letter.
    """
    rows = await work.rows(_withdrawn(), key=key)
    first = rows[0]
    letter = withdrawal_receipt(
        Withdrawal(
            number=first["number"],
            order=first["order_number"],
            at=first["requested_at"],
            refund_due_at=first["refund_due_at"],
            currency=first["currency"],
            goods=[Goods(row["name"], row["quantity"], row["unit_price"]) for row in rows],
        )
    )
    if is_new:
        await post(work, letter, first["email"] or "", first["customer_id"], wanted=bool(first["email"]))
    return {"receipt": letter.body} if work.principal.role == "customer" else {}


@lru_cache(maxsize=1)
def _withdrawn() -> Sql:
    """A return's lines, each with the return, its order's number and its customer's address."""
    back, line, sold = row_of("returns", 1), row_of("return_line", 1), row_of("order_line", 1)
    order, customer = row_of("orders", 1), row_of("customer", 1)
    query = (
        select(
            *(back.c.number, back.c.requested_at, back.c.refund_due_at, back.c.currency, back.c.customer_id),
            order.c.number.label("order_number"),
            customer.c.email,
            *(sold.c.name, line.c.quantity, sold.c.unit_price),
        )
        .join_from(back, line, line.c.return_id == back.c.id)
        .join(sold, sold.c.id == line.c.order_line_id)
        .join(order, order.c.id == back.c.order_id)
        .join(customer, customer.c.id == back.c.customer_id)
        .where(back.c.id == bindparam("key", type_=Uuid()))
        .order_by(line.c.id)
    )
    return Sql(*compiled(query))
