"""Which status may follow which: the life of an order, its payment, a delivery and a return."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from .states import DeliveryStatus as D
from .states import OrderStatus as O
from .states import PaymentStatus as P
from .states import ReturnStatus as R

Steps = Mapping[str, frozenset[str]]


def _steps(given: Mapping[Enum, tuple[Enum, ...]]) -> Steps:
    return {
        str(state.value): frozenset(str(one.value) for one in following) for state, following in given.items()
    }


ORDER = _steps(
    {
        O.PLACED: (O.PAID, O.CANCELLED),
        O.PAID: (O.PICKING, O.CANCELLED),
        O.PICKING: (O.SHIPPED, O.CANCELLED),
        O.SHIPPED: (O.DELIVERED,),
        O.DELIVERED: (O.COMPLETED,),
        O.COMPLETED: (),
        O.CANCELLED: (),
    }
)
# Steps that follow from what carriers report and that nobody sets. They skip PICKING where the warehouse said
# nothing; from PLACED they are those of an order on invoice alone.
ORDER_DERIVED = _steps(
    {
        O.PLACED: (O.SHIPPED,),
        O.PAID: (O.SHIPPED,),
        O.PICKING: (O.SHIPPED,),
        O.SHIPPED: (O.DELIVERED,),
    }
)
PAYMENT = _steps(
    {
        P.PENDING: (P.AUTHORISED, P.PAID, P.FAILED),
        P.AUTHORISED: (P.PAID, P.FAILED),
        P.FAILED: (P.PENDING, P.AUTHORISED, P.PAID),
        P.PAID: (P.REFUNDED,),
        P.REFUNDED: (),
    }
)
# What a carrier reports of a parcel it has; each may follow each, but for the ends, and each may be the first
# that is reported.
_UNDER_WAY = (
    *(D.PICKED_UP, D.IN_TRANSIT, D.AT_PICKUP_POINT, D.OUT_FOR_DELIVERY),
    *(D.EXCEPTION, D.ATTEMPT_FAILED, D.DELIVERED, D.RETURNING, D.LOST),
)
DELIVERY = _steps(
    {
        D.PLANNED: (D.READY, D.CANCELLED),
        D.READY: (D.PRE_ADVISED, *_UNDER_WAY, D.CANCELLED),
        D.PRE_ADVISED: (*_UNDER_WAY, D.CANCELLED),
        **dict.fromkeys(
            (D.PICKED_UP, D.IN_TRANSIT, D.AT_PICKUP_POINT, D.OUT_FOR_DELIVERY, D.EXCEPTION, D.ATTEMPT_FAILED),
            _UNDER_WAY,
        ),
        D.RETURNING: (D.RETURNED, D.EXCEPTION, D.LOST),
        D.DELIVERED: (D.RETURNING,),
        D.RETURNED: (),
        D.CANCELLED: (),
        D.LOST: (),
    }
)
RETURN = _steps(
    {
        R.REQUESTED: (R.AWAITING_GOODS, R.REJECTED),
        R.AWAITING_GOODS: (R.RECEIVED, R.REJECTED),
        R.RECEIVED: (R.INSPECTED, R.REJECTED),
        R.INSPECTED: (R.REFUNDED, R.REJECTED),
        R.REFUNDED: (R.CLOSED,),
        R.CLOSED: (),
        R.REJECTED: (),
    }
)
# What a carrier may report, and what the warehouse may set by hand.
REPORTED = frozenset(str(state.value) for state in (*_UNDER_WAY, D.RETURNED))
BY_HAND = frozenset(str(state.value) for state in (D.READY, D.PRE_ADVISED, D.CANCELLED))


def before(steps: Steps, state: str) -> tuple[str, ...]:
    """The statuses from which one step leads to this one."""
    return tuple(sorted(one for one, following in steps.items() if state in following))
