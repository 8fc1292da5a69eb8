"""A return's rows: which of an order's goods come back, and what is paid back for them."""

from __future__ import annotations

from gateway.demo.draw import DAY, HOUR, Draw
from gateway.demo.people import demo_iban
from gateway.demo.plans import ReturnPlan
from gateway.demo.products import Line, money
from gateway.demo.rows import NULL
from gateway.demo.scene import LATEST, Purchase, Scene

REFUND_WITHIN = 14 * DAY  # Directive 2011/83/EU, Article 13(1)
DECIDED = ("INSPECTED", "REFUNDED", "CLOSED")
PAID_BACK = ("REFUNDED", "CLOSED")
EXAMINED = ("INSPECTED", "REFUNDED", "CLOSED", "REJECTED")

REASON_TEXTS = (
    "Väri ei vastannut kuvaa",
    "The seam came open on the first day",
    "Koko oli liian pieni",
    "Arrived after the birthday",
)
NOT_COLLECTED_TEXTS = ("En ehtinyt noutaa ajoissa", "Was abroad while it waited")
INSPECTION_NOTES = (
    "unused, in the original packaging",
    "seam open, as described",
    "signs of use, within what a shop allows",
    "back to the shelf",
)


def add_return(scene: Scene, purchase: Purchase, plan: ReturnPlan, lines: list[Line], ended: int) -> int:
    """The cents paid back for a return after the delivery ended, whose rows are added."""
    draw, buyer = scene.draw, purchase.buyer
    requested, refunded = _moments(draw, plan, ended)
    return_id = draw.id(requested)
    is_undelivered = plan.kind == "UNDELIVERED"
    amount = _add_lines(scene, purchase, return_id, requested, lines, is_undelivered)
    if draw.chance(0.1):
        amount = amount * 4 // 5  # the goods lost value in use
    has_texts = not buyer.is_erased
    is_paid_back = plan.status in PAID_BACK
    texts = NOT_COLLECTED_TEXTS if is_undelivered else REASON_TEXTS
    has_account = has_texts and plan.status != "REJECTED" and (purchase.full or draw.chance(0.6))
    explains = has_texts and (purchase.full or draw.chance(0.4))
    is_examined = has_texts and plan.status in EXAMINED and (purchase.full or draw.chance(0.6))
    scene.rows.add(
        "returns",
        {
            "id": return_id,
            "number": f"R-{purchase.number}",
            "order_id": purchase.id,
            "customer_id": buyer.id,
            "kind": plan.kind,
            "status": plan.status,
            "requested_at": draw.time(requested),
            "reason_code": plan.reason or NULL,
            "reason_text": draw.pick(texts) if explains else NULL,
            "inspection_note": draw.pick(INSPECTION_NOTES) if is_examined else NULL,
            "refund_due_at": draw.time(requested + REFUND_WITHIN),
            "refund_amount": money(amount) if plan.status in DECIDED else NULL,
            "currency": "EUR",
            "refunded_at": draw.time(refunded) if is_paid_back else NULL,
            "refund_iban": demo_iban(draw) if has_account else NULL,
        },
    )
    return amount if is_paid_back else 0


def _moments(draw: Draw, plan: ReturnPlan, ended: int) -> tuple[int, int]:
    """When the return was requested and refunded; sooner where that would lie in the future."""
    before_request = HOUR if plan.kind == "UNDELIVERED" else draw.between(6 * HOUR, 13 * DAY)
    before_refund = before_request + draw.between(3 * DAY, 13 * DAY)
    pace = min(1.0, (LATEST - ended) / before_refund)
    return ended + int(before_request * pace), ended + int(before_refund * pace)


def _add_lines(
    scene: Scene, purchase: Purchase, return_id: str, requested: int, lines: list[Line], is_whole: bool
) -> int:
    """The price in cents of what comes back: some of the goods, or all that was not delivered."""
    draw = scene.draw
    amount = 0
    returned = lines if is_whole else lines[: draw.between(1, len(lines) + 1)]
    for turn, line in enumerate(returned):
        quantity = line.quantity if is_whole else draw.between(1, line.quantity + 1)
        amount += quantity * line.unit_price
        scene.rows.add(
            "return_line",
            {
                "id": draw.id(requested, turn),
                "return_id": return_id,
                "customer_id": purchase.buyer.id,
                "order_line_id": line.id,
                "quantity": str(quantity),
            },
        )
    return amount
