"""The endpoint written by hand once more, for the operations that are measured beside other gateways.

Where staff or a partner read, a statement writes the access record and nothing else: it looks up no
disclosure and counts no customers of the day. The same endpoint can be had without the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette

from .hand_written import SERVICE, Caller, Operation, Values, application, changed, own
from .hand_written_sql import RECORDED_DELIVERIES, SEEN, TIME, deliveries, listed, one_customer, recorded

ONE_CUSTOMER = one_customer("json_build_object('amount', o.total::text)", 1)

_FULL = """first_name AS "firstName", surname, street_address AS "streetAddress",
    postal_code AS "postalCode", postal_town AS "postalTown", phone, email,
    marketing_consent AS "marketingConsent\""""
_REFUSED = """CASE WHEN first_name IS NOT NULL THEN '***' END AS "firstName",
    CASE WHEN surname IS NOT NULL THEN '***' END AS surname, NULL AS "streetAddress", NULL AS "postalCode",
    NULL AS "postalTown",
    CASE WHEN phone IS NOT NULL THEN '***' || right(regexp_replace(phone, '\\D', '', 'g'), 2) END AS phone,
    CASE WHEN email IS NOT NULL THEN '***@***' END AS email, NULL AS "marketingConsent\""""
_MASKED_FIELDS = "Customer.createdAt Customer.email Customer.firstName Customer.phone Customer.surname"
_FULL_FIELDS = (
    f"{_MASKED_FIELDS} Customer.marketingConsent Customer.postalCode Customer.postalTown"
    " Customer.streetAddress"
)
_ORDER_FIELDS = "Order.number Order.placedAt Order.status Order.total"
_CUSTOMER = (
    'id, "firstName", surname, "streetAddress", "postalCode", "postalTown", phone, email, "marketingConsent",'
    ' "createdAt"'
)
_ORDER = 'id, number, "placedAt", status, total'


def _orders(first: int) -> str:
    return f"""
  SELECT o.customer_id, encode(('Order:' || o.id)::bytea, 'base64') AS id, o.number,
    to_char(o.placed_at, {TIME}) AS "placedAt", o.status,
    json_build_object('amount', o.total::text, 'currency', o.currency) AS total
  FROM orders o
  WHERE NOT EXISTS (SELECT FROM customer c WHERE c.id = o.customer_id AND c.restricted_at IS NOT NULL)
  ORDER BY o.id DESC LIMIT {first}"""


def _both(columns: str, *written: str) -> str:
    """100 customers and 100 orders, and what is written with them."""
    pages = f"""people AS (
  SELECT id AS customer_id, encode(('Customer:' || id)::bytea, 'base64') AS id, {columns},
    to_char(created_at, {TIME}) AS "createdAt"
  FROM customer WHERE restricted_at IS NULL ORDER BY customer.id DESC LIMIT 100),
sold AS ({_orders(100)})"""
    return f"""WITH {_joined(pages, *written)}
SELECT convert_to(json_build_object('customers', json_build_object('nodes', (
    SELECT coalesce(json_agg(one), '[]') FROM (SELECT {_CUSTOMER} FROM people) one)),
  'orders', json_build_object('nodes', (
    SELECT coalesce(json_agg(one), '[]') FROM (SELECT {_ORDER} FROM sold) one)))::text, 'UTF8')"""


def _many_orders(*written: str) -> str:
    """1,000 orders, and what is written with them."""
    return f"WITH {_joined(f'page AS ({_orders(1000)})', *written)}\n{listed('orders', _ORDER)}"


def _joined(*parts: str) -> str:
    return ",\n".join(parts)


def _records(name: str, purpose: str | None, fields: str) -> tuple[str, str]:
    """The records of a page of customers and of one of orders."""
    return (
        recorded(name, "support", purpose, fields, "people"),
        recorded(name, "support", purpose, _ORDER_FIELDS, "sold", "gen_random_uuid()"),
    )


UPDATE = """
UPDATE customer SET phone = $3, last_active_at = $4, version = version + 1 WHERE id = $1 AND id = $2
RETURNING convert_to(json_build_object('updatePhone', json_build_object('customer', json_build_object(
  'id', encode(('Customer:' || id)::bytea, 'base64'), 'phone', phone)))::text, 'UTF8')"""


@dataclass(frozen=True, slots=True)
class _Kept:
    """How others' data are read: with an access record in the same statement, or with none."""

    is_recorded: bool

    def read(self, role: str, purpose: str | None, sql: str, values: Values) -> Operation:
        """An operation that reads, and writes its record where there is one."""
        return Operation(role, purpose, sql, values, writes=self.is_recorded, is_recorded=self.is_recorded)

    def written(self, *records: str) -> tuple[str, ...]:
        """The records that a statement writes."""
        return records if self.is_recorded else ()


def operations(*, is_recorded: bool) -> dict[str, Operation]:
    """The six operations; a record's own values come first, `$1` to `$8`."""
    kept = _Kept(is_recorded)
    carriers = deliveries(
        "$9" if is_recorded else "$2",
        f"{SEEN} AND d.status = 'IN_TRANSIT'",
        *kept.written(RECORDED_DELIVERIES),
    )
    whole = _both(_FULL, *kept.written(*_records("W3", SERVICE, _FULL_FIELDS)))
    orders = _many_orders(*kept.written(recorded("W3b", "support", SERVICE, _ORDER_FIELDS)))
    refused = _both(_REFUSED, *kept.written(*_records("W4", None, _MASKED_FIELDS)))
    return {
        "W1": Operation("customer", None, ONE_CUSTOMER, own),
        "W2": kept.read("carrier", None, carriers, _carrier if is_recorded else _carrier_now),
        "W3": kept.read("support", SERVICE, whole, _nothing),
        "W3b": kept.read("support", SERVICE, orders, _nothing),
        "W4": kept.read("support", None, refused, _nothing),
        "W5": Operation("customer", None, UPDATE, changed, writes=True),
    }


def _nothing(_: Caller, __: Mapping[str, Any]) -> tuple[object, ...]:
    return ()


def _carrier(caller: Caller, _: Mapping[str, Any]) -> tuple[object, ...]:
    return (caller.key,)


def _carrier_now(caller: Caller, _: Mapping[str, Any]) -> tuple[object, ...]:
    """Without a record's values, the moment that the rules on rows ask for is the statement's own."""
    return datetime.now(UTC), caller.key


def from_environment() -> Starlette:
    """The application of these operations."""
    return application(operations(is_recorded=True))


def unrecorded() -> Starlette:
    """The same with no record."""
    return application(operations(is_recorded=False))
