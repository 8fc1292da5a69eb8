"""A new link to an order, mailed to whoever ordered; what is answered says nothing."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from functools import lru_cache

from sqlalchemy import Text, bindparam, select
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from ..mail.letters import order_access
from ..statements.bound import compiled
from .once import is_first
from .order_sessions import new_order_token
from .post import post
from .rows import Sql
from .sessions import spelled, throttled
from .work import Outcome, Work


async def request_order_access(work: Work) -> Outcome:
    """Mails a token of one order, where number, name and e-mail are of one; at most one in a few minutes.

    # INVARIANT: the same steps are made and the same answer is given whether there is such an order or not:
    # a row is kept of what was asked (no value), a token is signed, and the same inserts run.
    """
    settings = work.tools.settings
    number, name, email = (
        _number(work.input["number"]),
        _name(work.input["name"]),
        spelled(str(work.input["email"])),
    )
    await throttled(work, email)
    row = await work.row(_order(), number=number)
    matches = row is not None and (_name(f"{row['first_name']} {row['surname']}"), row["email"]) == (
        name,
        email,
    )
    order, customer = (row["id"], row["customer_id"]) if matches else (uuid7(), uuid7())
    period = timedelta(minutes=settings.order_access_minutes)
    wanted = await is_first(work, "Order", order, (number, name, email), period) and matches
    token = await new_order_token(work, customer, order, uuid7(), wanted=wanted)
    letter = order_access(settings.public_url, number, token, settings.order_token_days)
    await post(work, letter, email, customer if matches else None, wanted=wanted)
    return Outcome({}, {"accepted": True})


def _number(text: str) -> str:
    return text.strip().upper()


def _name(text: str) -> str:
    """Letter case and white space tell no names apart."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


@lru_cache(maxsize=1)
def _order() -> Sql:
    """The order of a number and who ordered.

    The caller sees no order, so that no row rule can be asked here: what is found is told to the mailbox in
    the register alone. An erased customer has none.
    """
    orders, customer = (SQLModel.metadata.tables[name] for name in ("orders", "customer"))
    shown = (orders.c.id, orders.c.customer_id, customer.c.first_name, customer.c.surname, customer.c.email)
    query = select(*shown).join(customer, customer.c.id == orders.c.customer_id)
    query = query.where(
        orders.c.number == bindparam("number", type_=Text()),
        customer.c.erased_at.is_(None),
        customer.c.email.is_not(None),
    )
    return Sql(*compiled(query))
