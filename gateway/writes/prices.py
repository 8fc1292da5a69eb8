"""What is ordered, at the prices of the price list; no price and no total is ever taken from a client."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, Integer, Numeric, Text, Uuid, bindparam, func, insert, select
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from schema.writing import UserErrorCode

from ..statements.bound import compiled
from .mistakes import Mistakes
from .rows import Sql
from .work import Work

MOST_LINES, MOST_OF_ONE = 100, 999
# What `orders.total` can hold.
LARGEST_TOTAL = Decimal("9999999999.99")


@dataclass(frozen=True, slots=True)
class Line:
    """A product and its price as they are at this moment, VAT included."""

    sku: str
    name: str
    quantity: int
    unit_price: Decimal
    currency: str
    vat_rate: Decimal


def total_of(lines: Sequence[Line]) -> Decimal:
    """What the lines cost together, to the cent."""
    return sum((line.quantity * line.unit_price for line in lines), Decimal("0.00"))


async def priced(work: Work, mistakes: Mistakes) -> list[Line]:
    """The lines of an order to be placed; what is wrong with any of them is added to the mistakes."""
    given: list[Mapping[str, Any]] = work.input["lines"]
    if not 1 <= len(given) <= MOST_LINES:
        message = f"an order has from 1 to {MOST_LINES} products"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, "Order.lines", message, "lines")
        return []
    offers = {row["sku"]: row for row in await work.rows(_offers(), skus=[one["sku"] for one in given])}
    lines: list[Line] = []
    for number, one in enumerate(given):
        path = ("lines", str(number))
        _check_quantity(one["quantity"], mistakes, path)
        if (offer := offers.get(one["sku"])) is None:
            message = "the price list offers no such product"
            mistakes.add(UserErrorCode.NOT_FOUND, "OrderLine.sku", message, *path, "sku")
            continue
        _check_offer(one, offer, lines, mistakes, path)
        lines.append(Line(**offer, quantity=one["quantity"]))
    if total_of(lines) > LARGEST_TOTAL:
        mistakes.add(UserErrorCode.OUT_OF_RANGE, "Order.total", "the order costs too much", "lines")
    return lines


def _check_quantity(quantity: int, mistakes: Mistakes, path: tuple[str, ...]) -> None:
    if not 1 <= quantity <= MOST_OF_ONE:
        message = f"the quantity is from 1 to {MOST_OF_ONE}"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, "OrderLine.quantity", message, *path, "quantity")


def _check_offer(
    one: Mapping[str, Any],
    offer: Mapping[str, Any],
    lines: Sequence[Line],
    mistakes: Mistakes,
    path: tuple[str, ...],
) -> None:
    """A product stands in one line, under the name the customer saw, in the order's currency."""
    if any(line.sku == one["sku"] for line in lines):
        message = "the product stands in an earlier line: give its whole quantity there"
        mistakes.add(UserErrorCode.MALFORMED, "OrderLine.sku", message, *path, "sku")
    elif lines and lines[0].currency != offer["currency"]:
        message = "the product's price is in another currency than the first one's"
        mistakes.add(UserErrorCode.MALFORMED, "OrderLine.sku", message, *path, "sku")
    if one.get("name") not in (None, offer["name"]):
        message = "the price list has another name for the product"
        mistakes.add(UserErrorCode.MALFORMED, "OrderLine.name", message, *path, "name")


async def add_lines(work: Work, order: uuid.UUID, customer: uuid.UUID, lines: Sequence[Line]) -> None:
    """Inserts the lines of a new order."""
    # Lists show the newest first: the last line gets the oldest id, so that they read as they were given.
    keys = sorted((uuid7() for _ in lines), reverse=True)
    await work.row(
        _insert_lines(),
        order_id=order,
        customer_id=customer,
        currency=lines[0].currency,
        ids=keys,
        skus=[line.sku for line in lines],
        names=[line.name for line in lines],
        quantities=[line.quantity for line in lines],
        unit_prices=[line.unit_price for line in lines],
        vat_rates=[line.vat_rate for line in lines],
    )


@lru_cache(maxsize=1)
def _offers() -> Sql:
    product = SQLModel.metadata.tables["product"]
    shown = (product.c[name] for name in ("sku", "name", "unit_price", "currency", "vat_rate"))
    wanted = product.c.sku == func.any(bindparam("skus", type_=ARRAY(Text())))
    return Sql(*compiled(select(*shown).where(wanted, product.c.active)))


_LINES: Mapping[str, tuple[str, Any]] = {
    "id": ("ids", Uuid()),
    "sku": ("skus", Text()),
    "name": ("names", Text()),
    "quantity": ("quantities", Integer()),
    "unit_price": ("unit_prices", Numeric(12, 2)),
    "vat_rate": ("vat_rates", Numeric(5, 2)),
}


@lru_cache(maxsize=1)
def _insert_lines() -> Sql:
    """All lines in one statement; binds a list for each column, and what they share."""
    table = SQLModel.metadata.tables["order_line"]
    lists: Any = [bindparam(name, type_=ARRAY(kind)) for name, kind in _LINES.values()]
    lines = func.unnest(*lists).table_valued(*_LINES).render_derived(name="lines")
    shared = ("order_id", "customer_id", "currency")
    values = [bindparam(name, type_=table.c[name].type) for name in shared]
    query = insert(table).from_select(
        [*shared, *_LINES], select(*values, *(lines.c[name] for name in _LINES))
    )
    return Sql(*compiled(query))
