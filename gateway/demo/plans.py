"""What happens to each order: a list that covers every state and window, and history drawn by its age.

A plan says which moment of an order lies how long ago; `gateway.demo.orders` makes the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from gateway.demo.carriers import CARRIERS
from gateway.demo.draw import Draw

RETURN_STATES = ("REQUESTED", "AWAITING_GOODS", "RECEIVED", "INSPECTED", "REFUNDED", "CLOSED", "REJECTED")
CLOSED_RETURN_STATES = (*("CLOSED",) * 7, "REJECTED")
RETURN_REASONS = (None, "CHANGED_MIND", "WRONG_SIZE", "DAMAGED", "NOT_AS_DESCRIBED", "LATE", "OTHER")
RETURN_KINDS = ("WITHDRAWAL", "WITHDRAWAL", "WITHDRAWAL", "DEFECT", "WRONG_ITEM")
UNDER_WAY = (
    *("PICKED_UP", "IN_TRANSIT", "AT_PICKUP_POINT", "OUT_FOR_DELIVERY"),
    *("EXCEPTION", "ATTEMPT_FAILED", "RETURNING"),
)

# Days after which a carrier loses sight, one for each side of 3, 30 and 90 days after the end. The clock of a
# test is up to a day later than the anchor, so each lies more than a day from the next bound.
END_AGES = (1.4, 15.3, 50.6, 105.2)
HANDED_OVER_AGES = tuple(60 + age for age in END_AGES)
CREATED_AGES = tuple(120 + age for age in END_AGES)

# The youngest order of a restricted or erased customer: everything about it is over 120 days ago.
CLOSED_AGE_DAYS = 200


class Since(Enum):
    """The moment of an order that its age counts from, of the first delivery where there are two."""

    PLACED = "PLACED"
    CREATED = "CREATED"
    HANDED_OVER = "HANDED_OVER"
    END = "END"


class DeliveryPlan(NamedTuple):
    """The state a delivery has reached; carrier and service are indices, drawn where there are none."""

    status: str
    carrier: int | None = None
    service: int | None = None


class ReturnPlan(NamedTuple):
    """The state a return has reached."""

    kind: str
    status: str
    reason: str | None


class OrderPlan(NamedTuple):
    """The state an order has reached; `full` fills the texts that most orders lack."""

    status: str
    age_days: float
    since: Since = Since.PLACED
    deliveries: tuple[DeliveryPlan, ...] = ()
    returned: ReturnPlan | None = None
    payment: str | None = None
    full: bool = False


def printed_customer() -> Iterator[OrderPlan]:
    """The nine orders of `demo.customer`: every order state, and every column filled somewhere."""
    closed = ReturnPlan("WITHDRAWAL", "CLOSED", "WRONG_SIZE")
    delivered = (DeliveryPlan("DELIVERED", 0, 0),)
    yield OrderPlan("COMPLETED", 400.4, Since.END, delivered, closed, full=True)
    undelivered = ReturnPlan("UNDELIVERED", "CLOSED", None)
    failed = (DeliveryPlan("RETURNED", 1, 0), DeliveryPlan("LOST", 2, 0))
    yield OrderPlan("COMPLETED", 80.6, Since.END, failed, undelivered, full=True)
    yield OrderPlan("CANCELLED", 60.4, Since.PLACED, (DeliveryPlan("CANCELLED", 3, 0),), payment="REFUNDED")
    refunded = ReturnPlan("DEFECT", "REFUNDED", "DAMAGED")
    yield OrderPlan("DELIVERED", 12.5, Since.END, (DeliveryPlan("DELIVERED", 1, 1),), refunded, full=True)
    requested = ReturnPlan("WRONG_ITEM", "REQUESTED", "NOT_AS_DESCRIBED")
    yield OrderPlan("DELIVERED", 1.6, Since.END, (DeliveryPlan("DELIVERED", 0, 1),), requested, full=True)
    moving = (DeliveryPlan("AT_PICKUP_POINT", 0, 0), DeliveryPlan("IN_TRANSIT", 3, 0))
    yield OrderPlan("SHIPPED", 2.5, Since.HANDED_OVER, moving, full=True)
    packed = (DeliveryPlan("PRE_ADVISED", 0, 1), DeliveryPlan("READY", 2, 1))
    yield OrderPlan("PICKING", 1.5, Since.PLACED, packed, full=True)
    yield OrderPlan("PAID", 0.4, Since.PLACED, (DeliveryPlan("PLANNED", 0, 0),))
    yield OrderPlan("PLACED", 0.1)


def second_customer() -> Iterator[OrderPlan]:
    """The three orders of `demo.customer-2`."""
    yield OrderPlan("COMPLETED", 150.3, Since.END, (DeliveryPlan("DELIVERED", 1, 0),))
    yield OrderPlan("DELIVERED", 1.5, Since.END, (DeliveryPlan("DELIVERED", 1, 0),))
    yield OrderPlan("SHIPPED", 2.6, Since.HANDED_OVER, (DeliveryPlan("OUT_FOR_DELIVERY", 0, 1),))


def coverage() -> Iterator[OrderPlan]:
    """Orders that make every state and both sides of every window occur, the oldest first."""
    yield from _never_handed_over()
    yield from _never_ended()
    yield from _ended_badly()
    yield from _delivered()
    yield from _young()


def _never_handed_over() -> Iterator[OrderPlan]:
    for age in CREATED_AGES:
        for first, second in ((0, 1), (2, 3)):
            packed = (DeliveryPlan("READY", first, 0), DeliveryPlan("PRE_ADVISED", second, 0))
            yield OrderPlan("PICKING", age, Since.CREATED, packed)


def _never_ended() -> Iterator[OrderPlan]:
    turn = 0
    for age in HANDED_OVER_AGES:
        for first, second in ((0, 1), (2, 3)):
            states = UNDER_WAY[turn % 7], UNDER_WAY[(turn + 1) % 7]
            stuck = (DeliveryPlan(states[0], first, 0), DeliveryPlan(states[1], second, 0))
            yield OrderPlan("SHIPPED", age, Since.HANDED_OVER, stuck)
            turn += 2


def _ended_badly() -> Iterator[OrderPlan]:
    final = "CLOSED", "REJECTED", "INSPECTED", "REFUNDED"
    for turn, age in enumerate(END_AGES):
        undelivered = ReturnPlan("UNDELIVERED", final[turn], None)
        status = "SHIPPED" if age < 30 else "COMPLETED"
        yield OrderPlan(status, age, Since.END, (DeliveryPlan("RETURNED", turn, 0),), undelivered)
        yield OrderPlan(status, age, Since.END, (DeliveryPlan("LOST", 3 - turn, 0),))


def _delivered() -> Iterator[OrderPlan]:
    """Each service shows both sides of the 3 days, each carrier both sides of the 30 and 90 days."""
    turn = 0
    for age in reversed(END_AGES):
        for carrier, (_, services) in enumerate(CARRIERS):
            for service in range(len(services) if age < 30 else 1):
                returned = None
                if age > 3 and turn < 2 * len(RETURN_STATES):
                    kind = RETURN_KINDS[2 + turn % 3]
                    returned = ReturnPlan(
                        kind, RETURN_STATES[turn % 7], RETURN_REASONS[(turn + turn // 7) % 7]
                    )
                    turn += 1
                status = "DELIVERED" if age < 30 else "COMPLETED"
                delivered = (DeliveryPlan("DELIVERED", carrier, service),)
                yield OrderPlan(status, age, Since.END, delivered, returned)


def _young() -> Iterator[OrderPlan]:
    planned = (DeliveryPlan("PLANNED", 1, 0),)
    yield OrderPlan("CANCELLED", 20.4, Since.PLACED, (DeliveryPlan("CANCELLED", 2, 0),), payment="REFUNDED")
    yield OrderPlan("CANCELLED", 9.6, Since.PLACED, payment="FAILED")
    yield OrderPlan(
        "SHIPPED", 2.4, Since.HANDED_OVER, (DeliveryPlan("IN_TRANSIT"), DeliveryPlan("PICKED_UP"))
    )
    yield OrderPlan("PICKING", 1.4, Since.PLACED, (DeliveryPlan("READY"),), payment="AUTHORISED")
    yield OrderPlan("PAID", 0.5, Since.PLACED, planned, payment="PAID")
    yield OrderPlan("PLACED", 0.3, Since.PLACED, planned, payment="PENDING")
    yield OrderPlan("PLACED", 0.2, Since.PLACED, payment="FAILED")


def drawn_plan(draw: Draw, age_days: float) -> OrderPlan:
    """What has become of an order that was placed so long ago; mostly it is closed."""
    if age_days > 45:
        is_stuck = draw.chance(0.008)
        return _order(draw, "SHIPPED", age_days, UNDER_WAY) if is_stuck else closed_plan(draw, age_days)
    if draw.chance(0.04):
        return OrderPlan("CANCELLED", age_days, deliveries=_perhaps(draw, "CANCELLED"))
    if age_days > 10:
        delivered = _order(draw, "COMPLETED" if age_days > 25 else "DELIVERED", age_days, ("DELIVERED",))
        return delivered._replace(returned=_return(draw, RETURN_STATES))
    if age_days > 2:
        return _order(draw, "SHIPPED", age_days, UNDER_WAY)
    if age_days > 0.7:
        return _order(draw, "PICKING", age_days, ("PLANNED", "READY", "PRE_ADVISED"))
    return OrderPlan(draw.pick(("PLACED", "PAID")), age_days, deliveries=_perhaps(draw, "PLANNED"))


def closed_plan(draw: Draw, age_days: float) -> OrderPlan:
    """An order that is COMPLETED or CANCELLED, whose deliveries and returns are final."""
    turn = draw.share()
    if turn < 0.04:
        return OrderPlan("CANCELLED", age_days, deliveries=_perhaps(draw, "CANCELLED"))
    if turn < 0.055:
        undelivered = ReturnPlan("UNDELIVERED", "CLOSED", None)
        return _order(draw, "COMPLETED", age_days, ("RETURNED",))._replace(returned=undelivered)
    if turn < 0.06:
        return _order(draw, "COMPLETED", age_days, ("LOST",))
    delivered = _order(draw, "COMPLETED", age_days, ("DELIVERED",))
    return delivered._replace(returned=_return(draw, CLOSED_RETURN_STATES))


def _order(draw: Draw, status: str, age_days: float, states: tuple[str, ...]) -> OrderPlan:
    parcel = DeliveryPlan(draw.pick(states))
    parcels = (parcel, parcel) if draw.chance(0.06) else (parcel,)
    return OrderPlan(status, age_days, Since.PLACED, parcels)


def _perhaps(draw: Draw, status: str) -> tuple[DeliveryPlan, ...]:
    return (DeliveryPlan(status),) if draw.chance(0.5) else ()


def _return(draw: Draw, states: tuple[str, ...]) -> ReturnPlan | None:
    if draw.chance(0.9):
        return None
    return ReturnPlan(draw.pick(RETURN_KINDS), draw.pick(states), draw.pick(RETURN_REASONS))
