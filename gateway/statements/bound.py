"""A query as SQL in asyncpg's dialect, and the values it binds that are no caller's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy.dialects.postgresql import asyncpg

from ..principal import Principal

# What `bound_values` and `record_values` give, the finished JSON of local fields, and the row of an event.
NAMED = ("now", "caller_", "period_", "setting_", "local_", "event_", "recording_")


def compiled(query: Any) -> tuple[str, tuple[str, ...]]:
    """The SQL of a query, and the names of its parameters in their order."""
    found = query.compile(dialect=_dialect())
    return str(found), tuple(found.positiontup or ())


@cache
def _dialect() -> Any:
    return asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


def bound_values(
    principal: Principal, now: datetime, constants: Mapping[str, object], local: Mapping[str, bytes]
) -> dict[str, object]:
    """What a statement may bind that is no value of the caller's."""
    named = {
        "now": now,
        "caller_customer": principal.customer_id,
        "caller_order": principal.order_id,
        "caller_carrier": principal.carrier_id,
        "caller_employee": principal.employee_id,
        "caller_rotation": principal.rotation_id,
        "caller_deliveries": principal.deliveries,
        **constants,
    }
    if local:
        named |= {f"local_{key}": value.decode() for key, value in local.items()}
    return named
