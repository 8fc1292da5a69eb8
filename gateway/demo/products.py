"""The goods of the demonstration, their prices, and the lines of orders for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from gateway.demo.scene import Scene

LINES = (1, 1, 1, 1, 2, 2, 2, 3, 3, 4)
QUANTITIES = (1, 1, 1, 1, 1, 2, 2, 3)
CURRENCY = "EUR"
STANDARD, FOOD, BOOKS = "25.50", "14.00", "10.00"
# stock-keeping unit, name, price in cents, VAT rate
PRODUCTS = (
    ("KIT-1001", "Coffee maker", 7_990, STANDARD),
    ("KIT-1002", "Kettle, 1.7 l", 4_990, STANDARD),
    ("KIT-1003", "Cast-iron pan, 28 cm", 5_950, STANDARD),
    ("KIT-1004", "Chef's knife", 6_490, STANDARD),
    ("KIT-1005", "Set of 6 glasses", 2_490, STANDARD),
    ("HOM-2001", "Wool blanket", 8_900, STANDARD),
    ("HOM-2002", "Linen towel", 1_990, STANDARD),
    ("HOM-2003", "Table lamp", 6_900, STANDARD),
    ("HOM-2004", "Candle holder", 1_590, STANDARD),
    ("HOM-2005", "Rug, 140 x 200 cm", 12_900, STANDARD),
    ("CLO-3001", "Rain jacket", 9_990, STANDARD),
    ("CLO-3002", "Merino base layer", 5_990, STANDARD),
    ("CLO-3003", "Wool socks", 1_490, STANDARD),
    ("CLO-3004", "Winter gloves", 3_490, STANDARD),
    ("CLO-3005", "Beanie", 1_990, STANDARD),
    ("OUT-4001", "Headlamp", 3_990, STANDARD),
    ("OUT-4002", "Thermos, 0.75 l", 2_990, STANDARD),
    ("OUT-4003", "Two-person tent", 24_900, STANDARD),
    ("OUT-4004", "Sleeping bag", 13_900, STANDARD),
    ("OUT-4005", "Berry picker", 1_790, STANDARD),
    ("ELE-5001", "Headphones", 12_900, STANDARD),
    ("ELE-5002", "USB-C charger", 2_990, STANDARD),
    ("ELE-5003", "Power bank", 3_990, STANDARD),
    ("TOY-6001", "Wooden train", 3_290, STANDARD),
    ("TOY-6002", "Jigsaw puzzle, 1000 pieces", 1_890, STANDARD),
    ("FOO-7001", "Dark roast coffee, 500 g", 795, FOOD),
    ("FOO-7002", "Rye crisps", 420, FOOD),
    ("FOO-7003", "Lingonberry jam", 560, FOOD),
    ("FOO-7004", "Liquorice, 400 g", 690, FOOD),
    ("FOO-7005", "Birch syrup", 1_290, FOOD),
    ("BOO-8001", "Cookbook of the north", 3_490, BOOKS),
    ("BOO-8002", "Field guide to birds", 2_990, BOOKS),
    ("BOO-8003", "Crime novel, paperback", 1_290, BOOKS),
    ("BOO-8004", "Picture book", 1_690, BOOKS),
    ("BOO-8005", "Road atlas", 2_690, BOOKS),
)
STRIDE = 8  # shares no divisor with the number of products, so that no order has a product twice


class Line(NamedTuple):
    """An order line's id, quantity and unit price in cents."""

    id: str
    quantity: int
    unit_price: int


def money(cents: int) -> str:
    """The amount as PostgreSQL reads it."""
    return f"{cents // 100}.{cents % 100:02}"


async def add_price_list(connection: Any) -> None:
    """Offers every product that the price list does not name yet; one that it names keeps its price."""
    await connection.executemany(
        "INSERT INTO public.product (sku, name, unit_price, currency, vat_rate)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (sku) DO NOTHING",
        [
            (sku, name, Decimal(money(unit_price)), CURRENCY, Decimal(vat_rate))
            for sku, name, unit_price, vat_rate in PRODUCTS
        ],
    )


def add_lines(scene: Scene, order_id: str, customer_id: str, placed: int) -> list[Line]:
    """The lines of an order, whose rows are added."""
    draw = scene.draw
    first = draw.between(0, len(PRODUCTS))
    lines = []
    for turn in range(draw.pick(LINES)):
        sku, name, unit_price, vat_rate = PRODUCTS[(first + turn * STRIDE) % len(PRODUCTS)]
        line = Line(draw.id(placed, turn), draw.pick(QUANTITIES), unit_price)
        lines.append(line)
        scene.rows.add(
            "order_line",
            {
                "id": line.id,
                "order_id": order_id,
                "customer_id": customer_id,
                "sku": sku,
                "name": name,
                "quantity": str(line.quantity),
                "unit_price": money(unit_price),
                "currency": CURRENCY,
                "vat_rate": vat_rate,
            },
        )
    return lines
