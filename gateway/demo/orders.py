"""An order's rows, with those of its lines, its deliveries and its return."""

from __future__ import annotations

from typing import NamedTuple

from gateway.demo.deliveries import Journey, add_delivery, draw_dispatch, draw_journey
from gateway.demo.draw import DAY
from gateway.demo.plans import OrderPlan, Since
from gateway.demo.products import add_lines, money
from gateway.demo.returns import add_return
from gateway.demo.rows import NULL
from gateway.demo.scene import LATEST, Buyer, Purchase, Scene

METHODS = ("CARD", "CARD", "CARD", "BANK_TRANSFER", "MOBILE", "INVOICE")
PAYMENTS = {
    "PLACED": ("PENDING", "PENDING", "PENDING", "FAILED"),
    "PAID": ("PAID", "PAID", "AUTHORISED"),
    "PICKING": ("PAID", "PAID", "AUTHORISED"),
    "SHIPPED": ("PAID",),
    "DELIVERED": ("PAID",),
    "COMPLETED": ("PAID",),
    "CANCELLED": ("REFUNDED", "REFUNDED", "FAILED", "PENDING"),
}
CUSTOMER_MESSAGES = (
    "Lahja, älkää laittako kuittia mukaan",
    "Please pack the glasses well",
    'Korttiin: "Onnea uuteen kotiin!"',
    "Toivottavasti ehtii perjantaiksi",
)
INTERNAL_NOTES = (
    "Asked for a gift receipt, sent with the parcel",
    "Second parcel from the other warehouse",
    "Price matched, see the campaign terms",
    "Soitettu asiakkaalle osoitteesta",
)


class OrderNumbers:
    """Numbers orders by day, `2026-031` and a running number, so that numbers rise with the days."""

    def __init__(self) -> None:
        self._of_day: dict[str, int] = {}

    def next(self, day: str) -> str:
        """A number that no other order has."""
        count = self._of_day[day] = self._of_day.get(day, 0) + 1
        return f"{day}{count:03}"


class Sums(NamedTuple):
    """What an order costs and what of that was paid back, in cents."""

    total: int
    refunded: int


def add_order(scene: Scene, numbers: OrderNumbers, buyer: Buyer, plan: OrderPlan) -> int:
    """The moment the order was placed, whose rows are added, as are those of all that belongs to it."""
    draw = scene.draw
    dispatch = draw_dispatch(draw)
    journeys = [draw_journey(draw, delivery.status, dispatch) for delivery in plan.deliveries]
    placed = min(LATEST, -int(plan.age_days * DAY) - _offset(plan.since, journeys))
    purchase = Purchase(draw.id(placed), numbers.next(draw.numbered_day(placed)), buyer, plan.full)
    lines = add_lines(scene, purchase.id, buyer.id, placed)
    ended = placed
    for turn, (delivery, journey) in enumerate(zip(plan.deliveries, journeys, strict=True), 1):
        begun = journey.starting(placed)
        add_delivery(scene, purchase, f"D-{purchase.number}-{turn}", delivery, begun)
        ended = max(ended, begun.last)
    refunded = 0
    if plan.returned is not None:
        refunded = add_return(scene, purchase, plan.returned, lines, ended)
    total = sum(line.quantity * line.unit_price for line in lines)
    _add_row(scene, purchase, plan, placed, Sums(total, refunded))
    return placed


def _offset(since: Since, journeys: list[Journey]) -> int:
    """How long after the order the moment lies from which its age counts."""
    match since:
        case Since.PLACED:
            return 0
        case Since.CREATED:
            return journeys[0].created
        case Since.HANDED_OVER:
            return dict(journeys[0].events)["PICKED_UP"]
        case Since.END:
            return journeys[0].last


def _add_row(scene: Scene, purchase: Purchase, plan: OrderPlan, placed: int, sums: Sums) -> None:
    draw, buyer = scene.draw, purchase.buyer
    person = buyer.person
    has_message = not buyer.is_erased and (plan.full or draw.chance(0.06))
    has_note = not buyer.is_erased and (plan.full or draw.chance(0.05))
    method = draw.pick(METHODS)
    scene.rows.add(
        "orders",
        {
            "id": purchase.id,
            "number": f"O-{purchase.number}",
            "customer_id": buyer.id,
            "placed_at": draw.time(placed),
            "status": plan.status,
            "currency": "EUR",
            "total": money(sums.total),
            "billing_name": person.name,
            "billing_street_address": person.street_address,
            "billing_postal_code": person.postal_code,
            "billing_postal_town": person.postal_town,
            "billing_country_code": person.country_code,
            "payment_method": method,
            "payment_status": _payment(plan, sums) or draw.pick(PAYMENTS[plan.status]),
            "customer_message": draw.pick(CUSTOMER_MESSAGES) if has_message else NULL,
            "internal_note": draw.pick(INTERNAL_NOTES) if has_note else NULL,
        },
    )


def _payment(plan: OrderPlan, sums: Sums) -> str | None:
    """The payment's state, where the plan or a refund decides it."""
    if plan.payment is not None:
        return plan.payment
    is_lost = plan.status == "COMPLETED" and all(delivery.status == "LOST" for delivery in plan.deliveries)
    return "REFUNDED" if is_lost or sums.refunded == sums.total else None
