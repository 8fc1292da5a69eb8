"""The endpoint written by hand once more, for the operations that are measured beside other gateways."""

from __future__ import annotations

from starlette.applications import Starlette

from .hand_written import SERVICE, Operation, application, assigned, changed, counted, own
from .hand_written_sql import COUNTED, DELIVERIES, TIME, listed, recorded

ONE_CUSTOMER = f"""
SELECT convert_to(json_build_object('customer', (
  SELECT row_to_json(found) FROM (
    SELECT encode(('Customer:' || c.id)::bytea, 'base64') AS id, c.first_name AS "firstName", c.surname,
      c.street_address AS "streetAddress", c.postal_code AS "postalCode", c.postal_town AS "postalTown",
      c.phone, c.email, (
        SELECT json_build_object('nodes', coalesce(json_agg(one), '[]')) FROM (
          SELECT encode(('Order:' || o.id)::bytea, 'base64') AS id,
            to_char(o.placed_at, {TIME}) AS "placedAt", o.status,
            json_build_object('amount', o.total::text) AS total, (
              SELECT json_build_object('nodes', coalesce(json_agg(one), '[]')) FROM (
                SELECT l.sku, l.name, l.quantity FROM order_line l
                WHERE l.order_id = o.id ORDER BY l.id DESC LIMIT 20) one) AS lines, (
              SELECT json_build_object('nodes', coalesce(json_agg(one), '[]')) FROM (
                SELECT (SELECT row_to_json(by) FROM (SELECT k.name) by) AS carrier,
                  d.tracking_code AS "trackingCode", d.status, to_char(d.promised_at, {TIME}) AS "promisedAt"
                FROM delivery d LEFT JOIN carrier k ON k.id = d.carrier_id
                WHERE d.order_id = o.id ORDER BY d.id DESC LIMIT 1) one) AS deliveries
          FROM orders o WHERE o.customer_id = c.id ORDER BY o.id DESC LIMIT 10) one) AS orders
    FROM customer c WHERE c.id = $1 AND c.id = $2) found))::text, 'UTF8')"""

ON_THEIR_WAY = DELIVERIES.replace(
    "d.status NOT IN ('PLANNED', 'CANCELLED')",
    "d.status NOT IN ('PLANNED', 'CANCELLED') AND d.status = 'IN_TRANSIT'",
)

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


def _both(name: str, purpose: str | None, columns: str, fields: str) -> str:
    """100 customers and 100 orders, with a record of each and the day's count of both."""
    return f"""
WITH people AS (
  SELECT id AS customer_id, encode(('Customer:' || id)::bytea, 'base64') AS id, {columns},
    to_char(created_at, {TIME}) AS "createdAt"
  FROM customer WHERE restricted_at IS NULL ORDER BY customer.id DESC LIMIT 100),
sold AS ({_orders(100)}),
page AS (SELECT customer_id FROM people UNION ALL SELECT customer_id FROM sold),
{recorded(name, "support", purpose, fields, "people")},
{recorded(name, "support", purpose, _ORDER_FIELDS, "sold", "gen_random_uuid()")},
{COUNTED}
SELECT convert_to(json_build_object('customers', json_build_object('nodes', (
    SELECT coalesce(json_agg(one), '[]') FROM (SELECT {_CUSTOMER} FROM people) one)),
  'orders', json_build_object('nodes', (
    SELECT coalesce(json_agg(one), '[]') FROM (SELECT {_ORDER} FROM sold) one)))::text, 'UTF8')"""


MANY_ORDERS = f"""
WITH page AS ({_orders(1000)}),
{recorded("W3b", "support", SERVICE, _ORDER_FIELDS)},
{COUNTED}
{listed("orders", _ORDER)}"""

UPDATE = """
UPDATE customer SET phone = $3, last_active_at = $4, version = version + 1 WHERE id = $1 AND id = $2
RETURNING convert_to(json_build_object('updatePhone', json_build_object('customer', json_build_object(
  'id', encode(('Customer:' || id)::bytea, 'base64'), 'phone', phone)))::text, 'UTF8')"""

OPERATIONS = {
    "W1": Operation("customer", None, ONE_CUSTOMER, own),
    "W2": Operation("carrier", None, ON_THEIR_WAY, assigned, writes=True, is_recorded=True),
    "W3": Operation(
        "support", SERVICE, _both("W3", SERVICE, _FULL, _FULL_FIELDS), counted, writes=True, is_recorded=True
    ),
    "W3b": Operation("support", SERVICE, MANY_ORDERS, counted, writes=True, is_recorded=True),
    "W4": Operation(
        "support", None, _both("W4", None, _REFUSED, _MASKED_FIELDS), counted, writes=True, is_recorded=True
    ),
    "W5": Operation("customer", None, UPDATE, changed, writes=True),
}


def from_environment() -> Starlette:
    """The application of these operations."""
    return application(OPERATIONS)
