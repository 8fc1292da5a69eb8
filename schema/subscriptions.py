"""What can be watched: the subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryOptional

from .fields import Many
from .inputs import optional


@dataclass(frozen=True, slots=True)
class Watch:
    """What a subscription shows, and by which of its keys: the fields that lead to the id compared."""

    target: str
    arguments: Mapping[str, tuple[str, ...]]


WATCHES = {"deliveryUpdated": Watch("Delivery", {"orderId": ("order", "id"), "deliveryId": ("id",)})}
_ARGUMENTS = {
    "order_id": "Every delivery of this order; give exactly one argument.",
    "delivery_id": "This delivery; give exactly one argument.",
}


@strawberry.type(description="What can be watched. Every event is gated anew when it is sent.")
class Subscription:
    delivery_updated: Many = strawberry.field(
        description="A delivery after each change of it or of its events, as the caller then sees it."
    )


def settle_subscriptions(entities: Mapping[str, type]) -> None:
    """Gives the subscriptions their types and arguments."""
    definition: Any = Subscription.__strawberry_definition__  # type: ignore[attr-defined]  # set by Strawberry
    for field in definition.fields:
        field.type_annotation = optional(entities["Delivery"])
        field.arguments = [
            StrawberryArgument(
                name,
                None,
                StrawberryAnnotation(StrawberryOptional(strawberry.ID)),
                description=description,
                default=strawberry.UNSET,
            )
            for name, description in _ARGUMENTS.items()
        ]
