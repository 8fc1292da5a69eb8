"""Which deliveries are a carrier's, and for how long it sees what of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, ColumnElement, FromClause, Uuid, and_, bindparam, func, select

from .parts import Adds, Condition, Scope, caller, constants, days, now, other, parent


def delivery_end(delivery: FromClause) -> ColumnElement[Any]:
    """When a delivery ended, or is taken to have ended."""
    return func.coalesce(
        delivery.c.returned_at,
        delivery.c.delivered_at,
        delivery.c.lost_at,
        delivery.c.handed_over_at + days("handed_over"),
        delivery.c.created_at + days("created"),
    )


def _is_assigned(delivery: FromClause, _: str) -> Condition:
    return and_(
        delivery.c.carrier_id == caller("carrier"),
        delivery.c.status.not_in(constants(("PLANNED", "CANCELLED"))),
        now() < delivery_end(delivery) + days("delivery"),
    )


def assigned(table: FromClause, name: str, scope: Scope) -> list[Condition]:
    """The delivery is the caller's and within its window; of a token for some, one of those."""
    is_assigned = _is_assigned_and_named if scope is Scope.NAMED_DELIVERIES else _is_assigned
    if name == "delivery_event":
        return [parent(table, "delivery", "delivery_id", is_assigned)]
    return [is_assigned(table, name)]


def _is_assigned_and_named(delivery: FromClause, name: str) -> Condition:
    named = bindparam("caller_deliveries", type_=ARRAY(Uuid()))
    return and_(_is_assigned(delivery, name), delivery.c.id == func.any(named))


def until(period: str) -> Adds:
    """While the delivery's end is not longer ago than a period."""
    return lambda delivery, _, __: [now() < delivery_end(delivery) + days(period)]


def needed(need: str) -> Adds:
    """While the contact's window is open, and if the delivery's service needs the contact.

    # PERF: the carrier's services are looked up once a statement, not once a delivery: 0.93 of PostgreSQL's
    # time for a page of 50 (W2 unrecorded, the two statements in turn by one connection).
    """

    def conditions(delivery: FromClause, name: str, scope: Scope) -> list[Condition]:
        service = other("carrier_service")
        codes = select(service.c.code).where(service.c.carrier_id == caller("carrier"), service.c[need])
        # A delivery that is assigned is of the caller's own carrier.
        is_needed = delivery.c.service_code == func.any(func.array(codes.correlate(None).scalar_subquery()))
        return [*until("contact")(delivery, name, scope), is_needed]

    return conditions


def assigned_open(table: FromClause, name: str, _: Scope) -> list[Condition]:
    """The delivery has not come to its end."""
    if name == "delivery_event":
        return [parent(table, "delivery", "delivery_id", _is_under_way)]
    return [_is_under_way(table, name)]


def _is_under_way(delivery: FromClause, _: str) -> Condition:
    return delivery.c.status.not_in(constants(("DELIVERED", "RETURNED", "LOST")))
