"""Changes of deliveries by the warehouse, the customer, support, and of some fields by the carrier."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Text, Uuid, bindparam, func, literal_column, select

from schema import lifecycles
from schema.model import text_of
from schema.states import DeliveryStatus as D
from schema.tags import Personal
from schema.writing import UserErrorCode

from ..row_rules import row_of
from ..statements.bound import compiled
from .checks import RECIPIENT, checked, text
from .mistakes import Mistake, Mistakes, Rejected
from .once import Known, New, once
from .places import changed_place
from .rows import Sql
from .shipping import follow_deliveries, lock_orders, may_be_sent
from .work import Outcome, Work

DELIVERY = {
    "serviceCode": text("service_code", 50, required=True),
    "trackingCode": text("tracking_code", 50),
    "pickupPoint": RECIPIENT["pickupPoint"],
}
# Least, most, and whether there must be one.
COUNTS = {"parcelCount": ("parcel_count", 1, 99, True), "weightGrams": ("weight_grams", 1, 1_000_000, False)}
NOT_TAKEN_OVER = tuple(str(one.value) for one in (D.PLANNED, D.READY, D.PRE_ADVISED))
PLANNED, CANCELLED = (str(one.value) for one in (D.PLANNED, D.CANCELLED))
COPIED = (
    *("recipient_name", "recipient_phone", "recipient_email", "street_address", "postal_code"),
    *("postal_town", "country_code", "instructions", "pickup_point"),
)


async def create_delivery(work: Work) -> Outcome:
    """A planned delivery of an order, to where its newest one goes, else to where the customer lives."""
    order = work.key("orderId", "Order")
    given = {name: value for name, value in work.input.items() if value is not None}
    values = _checked(work, given)
    carrier = work.key("carrier", "Carrier") if "carrier" in given else None
    match await once(work, "Delivery"):
        case New(key):
            await _create(work, key, order, values | {"carrier_id": carrier})
        case Known(key):
            pass
    return Outcome({"delivery": key})


async def _create(work: Work, key: uuid.UUID, order: uuid.UUID, values: dict[str, object]) -> None:
    columns = ("number", "customer_id", "status", "payment_method")
    found = await work.find("Order", order, columns, tuple(work.write.guards), path=("orderId",))
    if not may_be_sent(found):
        raise _illegal("Order.status", "the order's status does not allow a delivery", "orderId")
    await _check_service(work, values["carrier_id"], str(values["service_code"]), is_new=True)
    past = await work.row(_past(), order=order)
    recipient = await work.row(_recipient(), order=order, customer=found["customer_id"])
    made = {
        "id": key,
        "reference": f"D-{found['number'].removeprefix('O-')}-{past['count'] + 1}",
        "order_id": order,
        "customer_id": found["customer_id"],
        "status": PLANNED,
        "parcel_count": 1,
        "created_at": work.now,
        **{name: recipient[name] for name in COPIED},
    }
    if recipient["service_code"] != values["service_code"]:
        made["pickup_point"] = None  # it is one of another service
    made |= values
    await work.insert("delivery", made)
    fields = _personal(work, made, (*values, *COPIED))
    await work.note("Delivery", key, found["customer_id"], fields, work.source)


def _personal(work: Work, made: Mapping[str, object], names: Iterable[str]) -> list[str]:
    """The personal fields among the columns of a new delivery that have a value."""
    delivery = work.tools.model.entities["Delivery"]
    held = [name for name in dict.fromkeys(names) if made[name] is not None]
    return [
        delivery.shown_by[name] for name in held if isinstance(delivery.table.c[name].info["tag"], Personal)
    ]


def _checked(work: Work, given: Mapping[str, Any]) -> dict[str, object]:
    """The plain values of an input by column; raises every mistake in them."""
    mistakes = Mistakes()
    values = checked(given, DELIVERY, "Delivery", "", mistakes)
    for name, (column, least, most, is_required) in COUNTS.items():
        if name not in given:
            continue
        value, coordinate = given[name], f"Delivery.{name}"
        if value is None and is_required:
            mistakes.add(UserErrorCode.REQUIRED, coordinate, "a value is needed", name)
        elif value is not None and not least <= value <= most:
            message = f"the number lies between {least} and {most}"
            mistakes.add(UserErrorCode.OUT_OF_RANGE, coordinate, message, name)
        values[column] = value
    if "promisedAt" in given:
        values["promised_at"] = given["promisedAt"]
    if "status" in given:
        values["status"] = _status(given["status"], mistakes)
    mistakes.check()
    return values


def _status(given: object, mistakes: Mistakes) -> str:
    """The status to be set by hand."""
    status, coordinate = str(text_of(given)), "Delivery.status"
    if given is None:
        mistakes.add(UserErrorCode.REQUIRED, coordinate, "a value is needed", "status")
    elif status not in lifecycles.BY_HAND:
        message = "this status follows from what the carrier reports"
        mistakes.add(UserErrorCode.INVALID_TRANSITION, coordinate, message, "status")
    return status


async def update_delivery(work: Work) -> Outcome:
    """Changes a delivery; its status by hand only before the carrier has it."""
    key, given = work.key("id", "Delivery"), work.input
    values = _checked(work, given)
    if "carrier" in given:
        values["carrier_id"] = None if given["carrier"] is None else work.key("carrier", "Carrier")
    order = None
    if "status" in values:
        of = (await work.find("Delivery", key, ("order_id",), locks=False))["order_id"]
        (order,) = await lock_orders(work, [of])
    if values.keys() & {"status", "carrier_id", "service_code"}:
        await _check_dispatch(work, key, values)
    if order is not None and values["status"] != CANCELLED and not may_be_sent(order):
        raise _illegal("Order.status", "the order's status does not allow a delivery", "status", key)
    moves_from = None
    if "status" in values:
        moves_from = lifecycles.before(lifecycles.DELIVERY, str(values["status"]))
    await work.change("Delivery", key, values, moves_from=moves_from)
    if order is not None and values["status"] == CANCELLED:
        await follow_deliveries(work, [order["id"]])
    return Outcome({"delivery": key})


async def _check_dispatch(work: Work, key: uuid.UUID, values: Mapping[str, object]) -> None:
    """Raises where the locked delivery can have no such carrier, service and status together."""
    columns = ("status", "carrier_id", "service_code")
    row = await work.find("Delivery", key, columns, tuple(work.write.guards))
    await work.check_version("Delivery", key)
    carrier = values.get("carrier_id", row["carrier_id"])
    service = str(values.get("service_code", row["service_code"]))
    is_new = carrier != row["carrier_id"]
    if is_new or service != row["service_code"]:
        name = "carrier" if is_new else "serviceCode"
        if row["status"] not in NOT_TAKEN_OVER:
            raise _illegal(f"Delivery.{name}", "the carrier has taken the delivery over", name, key)
        await _check_service(work, carrier, service, is_new=is_new)
    if carrier is None and values.get("status", row["status"]) not in (PLANNED, CANCELLED):
        message = "a delivery that is ready has a carrier"
        mistake = Mistake(UserErrorCode.REQUIRED, "Delivery.carrier", message, ("carrier",))
        raise Rejected(mistake, shown={"delivery": key})


async def _check_service(work: Work, carrier: Any, service: str, *, is_new: bool) -> None:
    """Raises where the carrier is not there, takes nothing new, or has no such service."""
    if carrier is not None and is_new:
        row = await work.find("Carrier", carrier, ("active",), locks=False, path=("carrier",))
        if not row["active"]:
            raise _illegal("Delivery.carrier", "the carrier takes no new deliveries", "carrier")
    if await work.row(_service(), carrier=carrier, service=service) is None:
        message = "no such service is offered"
        raise Rejected(
            Mistake(UserErrorCode.NOT_FOUND, "Delivery.serviceCode", message, ("serviceCode",)),
        )


async def update_delivery_address(work: Work) -> Outcome:
    """Changes where a delivery goes, as long as it has not left."""
    key = work.key("id", "Delivery")
    values = await changed_place(work, "Delivery", key, RECIPIENT, "recipientPhone", Mistakes())
    await work.change("Delivery", key, values)
    return Outcome({"delivery": key})


def _illegal(coordinate: str, message: str, name: str, key: uuid.UUID | None = None) -> Rejected:
    mistake = Mistake(UserErrorCode.INVALID_TRANSITION, coordinate, message, (name,))
    return Rejected(mistake, shown={} if key is None else {"delivery": key})


# ---------------------------------------------------------------- statements


@lru_cache(maxsize=1)
def _service() -> Sql:
    """A row where `carrier`, or any active carrier where it is null, offers `service`."""
    service, carrier = row_of("carrier_service", 1), row_of("carrier", 1)
    wanted = bindparam("carrier", type_=Uuid())
    query = select(service.c.code).where(
        service.c.carrier_id == carrier.c.id,
        service.c.code == bindparam("service", type_=Text()),
        (carrier.c.id == wanted) | (wanted.is_(None) & carrier.c.active),
    )
    return Sql(*compiled(query.limit(literal_column("1"))))


@lru_cache(maxsize=1)
def _past() -> Sql:
    """How many deliveries the order has had; its row is locked, so that the number stands."""
    delivery = row_of("delivery", 1)
    query = select(func.count().label("count")).where(delivery.c.order_id == bindparam("order", type_=Uuid()))
    return Sql(*compiled(query))


@lru_cache(maxsize=1)
def _recipient() -> Sql:
    """Where the order's newest delivery goes; else the customer's profile, with a service of null."""
    delivery, customer = row_of("delivery", 1), row_of("customer", 1)
    nothing: ColumnElement[Any] = literal_column("NULL::text")
    newest = (
        select(
            *(delivery.c[name] for name in COPIED), delivery.c.service_code, literal_column("1").label("turn")
        )
        .where(delivery.c.order_id == bindparam("order", type_=Uuid()))
        .order_by(delivery.c.created_at.desc(), delivery.c.id.desc())
        .limit(literal_column("1"))
    )
    name = func.concat_ws(literal_column("' '"), customer.c.first_name, customer.c.surname)
    profile: dict[str, ColumnElement[Any]] = {
        "recipient_name": func.nullif(name, literal_column("''")),
        "recipient_phone": customer.c.phone,
        "recipient_email": customer.c.email,
    }
    profile |= {"instructions": nothing, "pickup_point": nothing}
    home = select(
        *((profile[column] if column in profile else customer.c[column]).label(column) for column in COPIED),
        nothing.label("service_code"),
        literal_column("2"),
    ).where(customer.c.id == bindparam("customer", type_=Uuid()))
    found = newest.subquery()
    query = select(found).union_all(home).order_by("turn").limit(literal_column("1"))
    return Sql(*compiled(query))
