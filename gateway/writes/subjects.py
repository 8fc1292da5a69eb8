"""Whose data a request of a person, or on their behalf, is about, and how it came."""

from __future__ import annotations

import uuid
from functools import lru_cache

from sqlalchemy import Uuid, bindparam, exists, literal_column, select
from sqlmodel import SQLModel

from schema.states import RequestChannel
from schema.writing import UserErrorCode

from ..row_rules import Scope
from ..statements.bound import compiled
from .mistakes import Mistake, Rejected, not_found
from .rows import Sql
from .work import Work

# Who has no account has ordered once, as a guest.
_ORDER_OF_GUEST = Sql(
    """
SELECT o.id FROM orders o JOIN customer c ON c.id = o.customer_id
WHERE c.id = $1 AND c.subject IS NULL AND NOT EXISTS (SELECT FROM credential k WHERE k.customer_id = c.id)
ORDER BY o.id DESC LIMIT 1""",
    ("customer",),
)


async def subject_of(work: Work) -> uuid.UUID:
    """Whose request it is, their row locked; who holds the link to one order is a guest, known by it alone.

    Raises NOT_FOUND for whoever does not exist for the caller, NOT_ALLOWED for a link to the order of an
    account: whoever has the link is not who has the account.
    """
    caller = work.principal
    given = work.input.get("customer")
    if given is None and caller.customer_id is None:
        coordinate = f"{work.write.root.mutation.input.name}.customer"
        raise Rejected(Mistake(UserErrorCode.REQUIRED, coordinate, "say whose data it is", ("customer",)))
    key = caller.customer_id if given is None else work.key("customer", "Customer")
    assert key is not None  # noqa: S101  # the caller's own, or what was given
    if caller.scope is Scope.ONE_ORDER:
        return await _guest(work, key)
    row = await work.find("Customer", key, ("erased_at",), path=("customer",))
    if row["erased_at"] is not None:
        message = "the customer is erased"
        raise Rejected(Mistake(UserErrorCode.INVALID_TRANSITION, "Customer.status", message, ("customer",)))
    return key


async def order_of(work: Work, customer: uuid.UUID) -> uuid.UUID | None:
    """The order by whose link the request is found: a guest's own, whoever enters it for them."""
    if work.principal.role == "customer":
        return work.principal.order_id
    row = await work.row(_ORDER_OF_GUEST, customer=customer)
    return None if row is None else uuid.UUID(str(row["id"]))


def channel_of(work: Work) -> str:
    """Whether it came from the account, by the link to an order, or by an employee whom the person asked."""
    if work.principal.role != "customer":
        return str(RequestChannel.EMPLOYEE.value)
    is_guest = work.principal.scope is Scope.ONE_ORDER
    return str((RequestChannel.ORDER_LINK if is_guest else RequestChannel.ACCOUNT).value)


async def _guest(work: Work, key: uuid.UUID) -> uuid.UUID:
    row = None if key != work.principal.customer_id else await work.row(_hold_guest(), key=key)
    if row is None:
        raise not_found("Customer.id", "customer")
    if row["has_account"]:
        message = "whoever has an account asks in it"
        raise Rejected(Mistake(UserErrorCode.NOT_ALLOWED, "Customer.id", message, ("customer",)))
    return key


@lru_cache(maxsize=1)
def _hold_guest() -> Sql:
    """The customer of the caller's link, locked, and whether there is an account."""
    customer, credential = (SQLModel.metadata.tables[name] for name in ("customer", "credential"))
    held = exists(select(literal_column("1")).where(credential.c.customer_id == customer.c.id))
    has_account = held | customer.c.subject.is_not(None)
    query = select(customer.c.id, has_account.label("has_account"))
    query = query.where(customer.c.id == bindparam("key", type_=Uuid()), customer.c.erased_at.is_(None))
    return Sql(*compiled(query.with_for_update(of=customer, key_share=True)))
