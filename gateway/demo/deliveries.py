"""A delivery's rows: its journey from the warehouse, as far as it has come, and the carrier's events."""

from __future__ import annotations

from typing import NamedTuple

from gateway.demo.draw import DAY, HOUR, Draw
from gateway.demo.plans import DeliveryPlan
from gateway.demo.rows import NULL, Row
from gateway.demo.scene import LATEST, Purchase, Scene

# What the carrier reports until each state: two to five events.
ADVISED, MOVING = ("PRE_ADVISED", "PICKED_UP"), ("PICKED_UP", "IN_TRANSIT")
FROM_POINT, FROM_VAN = ("AT_PICKUP_POINT", "DELIVERED"), ("OUT_FOR_DELIVERY", "DELIVERED")
PATHS: dict[str, tuple[tuple[str, ...], ...]] = {
    "PLANNED": ((),),
    "READY": ((),),
    "CANCELLED": ((),),
    "PRE_ADVISED": (("READY", "PRE_ADVISED"),),
    "PICKED_UP": (ADVISED,),
    "IN_TRANSIT": (MOVING, (*ADVISED, "IN_TRANSIT")),
    "AT_PICKUP_POINT": ((*MOVING, "AT_PICKUP_POINT"), (*ADVISED, "IN_TRANSIT", "AT_PICKUP_POINT")),
    "OUT_FOR_DELIVERY": ((*MOVING, "OUT_FOR_DELIVERY"), (*ADVISED, "OUT_FOR_DELIVERY")),
    "DELIVERED": (
        ("PICKED_UP", "DELIVERED"),
        ("PICKED_UP", *FROM_POINT),
        ("PICKED_UP", *FROM_VAN),
        (*MOVING, *FROM_POINT),
        (*ADVISED, "IN_TRANSIT", *FROM_POINT),
        (*ADVISED, "IN_TRANSIT", *FROM_VAN),
    ),
    "EXCEPTION": ((*MOVING, "EXCEPTION"),),
    "ATTEMPT_FAILED": ((*MOVING, "OUT_FOR_DELIVERY", "ATTEMPT_FAILED"),),
    "RETURNING": ((*MOVING, "AT_PICKUP_POINT", "RETURNING"),),
    "RETURNED": (
        (*MOVING, "AT_PICKUP_POINT", "RETURNING", "RETURNED"),
        ("PICKED_UP", "ATTEMPT_FAILED", "RETURNING", "RETURNED"),
    ),
    "LOST": ((*MOVING, "LOST"), (*MOVING, "EXCEPTION", "LOST")),
}
# How long after the event before it, at least and at most.
GAPS = {
    "IN_TRANSIT": (3 * HOUR, 20 * HOUR),
    "AT_PICKUP_POINT": (12 * HOUR, 48 * HOUR),
    "OUT_FOR_DELIVERY": (8 * HOUR, 30 * HOUR),
    "DELIVERED": (1 * HOUR, 30 * HOUR),
    "EXCEPTION": (4 * HOUR, 40 * HOUR),
    "ATTEMPT_FAILED": (1 * HOUR, 6 * HOUR),
    "RETURNING": (5 * DAY, 9 * DAY),
    "RETURNED": (1 * DAY, 4 * DAY),
    "LOST": (10 * DAY, 20 * DAY),
}

TERMINALS = ("Vantaa", "Tampere", "Lieto", "Kuopio", "Oulu", "Seinäjoki", "Kouvola", "Jyväskylä")
POINTS = ("K-Market", "R-kioski", "Pakettiautomaatti", "Huoltoasema", "Noutopiste")
INSTRUCTIONS = (
    "Ovikoodia ei ole, soittakaa kelloa",
    "Leave it behind the porch, please",
    'Ring at "Konttori", ground floor',
    "Voi jättää naapurille",
)
NOTES_ON_THE_WAY = ("parcel wet, contents unharmed", "sorted again after a misread label", "label replaced")
NOTES = {
    "DELIVERED": ("left in the agreed place", "handed over at the door", "collected with the code"),
    "EXCEPTION": ("delayed by snow", "address unclear, asked the sender"),
    "ATTEMPT_FAILED": ("gate locked, tried the side door", "nobody answered the bell"),
    "RETURNING": ("not collected in time", "refused by the recipient"),
    "LOST": ("not found in two searches",),
}
NEAR = ("AT_PICKUP_POINT", "OUT_FOR_DELIVERY", "ATTEMPT_FAILED", "DELIVERED")  # in the recipient's town
STAMPS = (
    ("handed_over_at", "PICKED_UP"),
    ("delivered_at", "DELIVERED"),
    ("returned_at", "RETURNED"),
    ("lost_at", "LOST"),
)


class Dispatch(NamedTuple):
    """When an order's parcels leave the warehouse, in seconds after it was placed."""

    created: int
    packed: int
    advised: int
    handed_over: int


class Journey(NamedTuple):
    """When a delivery was made, and the carrier's events in order."""

    created: int
    events: tuple[tuple[str, int], ...]

    @property
    def last(self) -> int:
        """The latest moment."""
        return self.events[-1][1] if self.events else self.created

    def starting(self, placed: int) -> Journey:
        """The journey of an order placed at this moment, quicker where it would reach into the future."""
        pace = min(1.0, (LATEST - placed) / self.last)
        events = tuple((status, placed + int(at * pace)) for status, at in self.events)
        return Journey(placed + int(self.created * pace), events)


def draw_dispatch(draw: Draw) -> Dispatch:
    """How quick the warehouse is with an order."""
    created = draw.between(HOUR // 2, 20 * HOUR)
    packed = created + draw.between(HOUR, 12 * HOUR)
    advised = packed + draw.between(HOUR // 4, 6 * HOUR)
    return Dispatch(created, packed, advised, advised + draw.between(2 * HOUR, 24 * HOUR))


def draw_journey(draw: Draw, status: str, dispatch: Dispatch) -> Journey:
    """The way to a state, in seconds after the order was placed."""
    at = dispatch.handed_over
    known = {"READY": dispatch.packed, "PRE_ADVISED": dispatch.advised, "PICKED_UP": at}
    events: list[tuple[str, int]] = []
    for reported in draw.pick(PATHS[status]):
        if reported in known:
            events.append((reported, known[reported]))
        else:
            at += draw.between(*GAPS[reported])
            events.append((reported, at))
    return Journey(dispatch.created, tuple(events))


def add_delivery(
    scene: Scene, purchase: Purchase, reference: str, plan: DeliveryPlan, journey: Journey
) -> None:
    """Adds the rows of a delivery and its events."""
    draw = scene.draw
    delivery_id = draw.id(journey.created)
    carrier = scene.carriers[draw.between(0, len(scene.carriers)) if plan.carrier is None else plan.carrier]
    service = draw.pick(carrier.services) if plan.service is None else carrier.services[plan.service]
    is_planned = plan.status == "PLANNED"
    # The carrier of what is only planned may be open yet; the service is the one the customer chose.
    is_open = is_planned and plan.carrier is None and draw.chance(0.5)
    is_labelled = plan.status not in ("PLANNED", "READY", "CANCELLED") and not purchase.buyer.is_erased
    row: Row = {
        "id": delivery_id,
        "reference": reference,
        "order_id": purchase.id,
        "customer_id": purchase.buyer.id,
        "carrier_id": NULL if is_open else carrier.id,
        "service_code": service,
        "status": plan.status,
        "tracking_code": f"{carrier.code}{draw.digits(12)}" if is_labelled else NULL,
        "parcel_count": "1" if draw.chance(0.9) else "2",
        "weight_grams": NULL if is_planned else str(draw.between(120, 12_000)),
    }
    row |= _moments(draw, journey, purchase.full)
    row |= _nobody() if purchase.buyer.is_erased else _recipient(scene, purchase, journey)
    scene.rows.add("delivery", row)
    _add_events(scene, purchase, delivery_id, journey)


def _moments(draw: Draw, journey: Journey, full: bool) -> Row:
    reported = dict(journey.events)
    row: Row = {
        "promised_at": draw.time(journey.created + draw.between(3, 7) * DAY)
        if full or draw.chance(0.95)
        else NULL,
        "created_at": draw.time(journey.created),
    }
    for column, status in STAMPS:
        at = reported.get(status)
        row[column] = NULL if at is None else draw.time(at)
    return row


def _recipient(scene: Scene, purchase: Purchase, journey: Journey) -> Row:
    draw, person, full = scene.draw, purchase.buyer.person, purchase.full
    is_present = not full and draw.chance(0.04)
    name = scene.people.name() if is_present else person.name
    reported = dict(journey.events)
    is_signed = "DELIVERED" in reported and (full or draw.chance(0.5))
    is_collected = full or "AT_PICKUP_POINT" in reported
    return {
        "recipient_name": name,
        "recipient_phone": person.phone,
        "recipient_email": person.email,
        "street_address": person.street_address,
        "postal_code": person.postal_code,
        "postal_town": person.postal_town,
        "country_code": person.country_code,
        "pickup_point": f"{draw.pick(POINTS)} {person.postal_town}" if is_collected else NULL,
        "instructions": draw.pick(INSTRUCTIONS) if full or draw.chance(0.15) else NULL,
        "signed_by": name if is_signed else NULL,
    }


def _nobody() -> Row:
    return dict.fromkeys(
        (
            *("recipient_name", "recipient_phone", "recipient_email"),
            *("street_address", "postal_code", "postal_town", "country_code"),
            *("pickup_point", "instructions", "signed_by"),
        ),
        NULL,
    )


def _add_events(scene: Scene, purchase: Purchase, delivery_id: str, journey: Journey) -> None:
    draw, buyer = scene.draw, purchase.buyer
    for status, at in journey.events:
        is_near = status in NEAR
        place = buyer.person.postal_town if is_near else draw.pick(TERMINALS)
        has_note = purchase.full or draw.chance(0.05)
        note = draw.pick(NOTES.get(status, NOTES_ON_THE_WAY)) if has_note else NULL
        scene.rows.add(
            "delivery_event",
            {
                "id": draw.id(at),
                "delivery_id": delivery_id,
                "customer_id": buyer.id,
                "status": status,
                "occurred_at": draw.time(at),
                "place": NULL if buyer.is_erased else place,
                "note": NULL if buyer.is_erased else note,
                "idempotency_key": draw.key(),
            },
        )
