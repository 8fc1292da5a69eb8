"""The statements of the endpoint written by hand.

Those that read others' personal data write down who read whose, in the same statement, as the gateway does:
an access record, of a carrier's page the disclosures that are new, of an employee's the day's count.
"""

from __future__ import annotations

import hashlib

TIME = '\'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\''


def one_customer(total: str, first: int) -> str:
    """A customer with their orders, each with its `total` as this JSON and its `first` deliveries."""
    return f"""
SELECT convert_to(json_build_object('customer', (
  SELECT row_to_json(found) FROM (
    SELECT encode(('Customer:' || c.id)::bytea, 'base64') AS id, c.first_name AS "firstName", c.surname,
      c.street_address AS "streetAddress", c.postal_code AS "postalCode", c.postal_town AS "postalTown",
      c.phone, c.email, (
        SELECT json_build_object('nodes', coalesce(json_agg(one), '[]')) FROM (
          SELECT encode(('Order:' || o.id)::bytea, 'base64') AS id, o.status,
            to_char(o.placed_at, {TIME}) AS "placedAt",
            {total} AS total, (
              SELECT json_build_object('nodes', coalesce(json_agg(one), '[]')) FROM (
                SELECT l.sku, l.name, l.quantity FROM order_line l
                WHERE l.order_id = o.id ORDER BY l.id DESC LIMIT 20) one) AS lines, (
              SELECT json_build_object('nodes', coalesce(json_agg(one), '[]')) FROM (
                SELECT (SELECT row_to_json(by) FROM (SELECT k.name) by) AS carrier,
                  d.tracking_code AS "trackingCode", d.status, to_char(d.promised_at, {TIME}) AS "promisedAt"
                FROM delivery d LEFT JOIN carrier k ON k.id = d.carrier_id
                WHERE d.order_id = o.id ORDER BY d.id DESC LIMIT {first}) one) AS deliveries
          FROM orders o WHERE o.customer_id = c.id ORDER BY o.id DESC LIMIT 10) one) AS orders
    FROM customer c WHERE c.id = $1 AND c.id = $2) found))::text, 'UTF8')"""


ONE_CUSTOMER = one_customer("json_build_object('amount', o.total::text, 'currency', o.currency)", 5)

UPDATE = """
UPDATE customer SET phone = $3, last_active_at = $4, version = version + 1 WHERE id = $1 AND id = $2
RETURNING convert_to(json_build_object('updateCustomer', json_build_object(
  'customer', json_build_object('id', encode(('Customer:' || id)::bytea, 'base64'), 'firstName', first_name,
    'surname', surname, 'phone', phone, 'email', email),
  'userErrors', '[]'::json))::text, 'UTF8')"""

# A statement that records is given first: now, the record's id, the principal, the designation, the case,
# the request, the versions of policy and notice. Then of a carrier: its id, its name; of an employee: the
# employee, the day, the quota.


def recorded(
    name: str, role: str, purpose: str | None, fields: str, page: str = "page", key: str = "$2::uuid"
) -> str:
    """The access record of the customers in a page; `fields` are coordinates by blanks."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    for_purpose = "NULL" if purpose is None else f"'{purpose}'"
    return f"""recorded_{page} AS (
  INSERT INTO access_record (id, at, principal_id, role, designation_id, purpose, case_reference,
    operation_name, operation_hash, fields, subject_ids, policy_version, notice_version, request_id, decision)
  SELECT {key}, $1::timestamptz, $3::text, '{role}', $4::uuid, {for_purpose}, $5::text, '{name}',
    '{digest}', '{{{",".join(sorted(fields.split()))}}}',
    ARRAY(SELECT DISTINCT customer_id FROM {page} WHERE customer_id IS NOT NULL), $7::text, $8::text,
    $6::text, 'ALLOWED')"""


def listed(root: str, columns: str) -> str:
    """The JSON of a page of rows."""
    return f"""SELECT convert_to(json_build_object('{root}', json_build_object('nodes', (
  SELECT coalesce(json_agg(one), '[]') FROM (SELECT {columns} FROM page) one)))::text, 'UTF8')"""


COUNTED = """added AS (
  INSERT INTO daily_subject (employee_id, day, customer_id)
  SELECT DISTINCT $9::uuid, $10::date, customer_id FROM page WHERE customer_id IS NOT NULL ORDER BY 3
  ON CONFLICT DO NOTHING RETURNING customer_id),
counted AS (
  INSERT INTO daily_reading (employee_id, day, subjects, quota)
  SELECT $9::uuid, $10::date, count(*), $11::integer FROM added HAVING count(*) > 0
  ON CONFLICT (employee_id, day) DO UPDATE
  SET subjects = daily_reading.subjects + excluded.subjects, quota = excluded.quota)"""

_ALWAYS = "Delivery.status Delivery.trackingCode"
_ADDRESS = "Delivery.postalCode Delivery.postalTown Delivery.recipientName Delivery.streetAddress"
_PHONE = "Delivery.recipientPhone"


def _sets() -> str:
    """The fields given of a delivery, and their digest, by the number of what is shown of it."""
    rows = []
    for number, names in enumerate((_ALWAYS, f"{_ALWAYS} {_ADDRESS}", f"{_ALWAYS} {_PHONE}", "")):
        fields = ",".join(sorted((names or f"{_ALWAYS} {_ADDRESS} {_PHONE}").split()))
        digest = hashlib.sha256(fields.encode()).hexdigest()
        rows.append(f"({number}, '{{{fields}}}'::text[], '\\x{digest}'::bytea)")
    return ", ".join(rows)


DISCLOSED = f"""disclosed AS (
  INSERT INTO disclosure (id, customer_id, recipient, purpose, at, fields, fields_digest, ref_id,
    policy_version, notice_version, request_id)
  SELECT gen_random_uuid(), page.customer_id, $10::text, 'delivery', $1::timestamptz, given.fields,
    given.digest, page.key, $7::text, $8::text, $6::text
  FROM page JOIN (VALUES {_sets()}) AS given (shown, fields, digest) USING (shown)
  WHERE page.customer_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM disclosure known WHERE known.ref_id = page.key AND known.recipient = $10::text
      AND known.purpose = 'delivery' AND known.fields_digest = given.digest OFFSET 0)
  ORDER BY page.key, given.digest ON CONFLICT ON CONSTRAINT disclosure_once DO NOTHING)"""


def deliveries(carrier: str, condition: str, *written: str) -> str:
    """A carrier's page of deliveries, and what is written with it; `carrier` is the place of its id."""
    parts = ",\n".join((_PAGE_OF_DELIVERIES.format(carrier=carrier, condition=condition), *written))
    return f"WITH {parts}\n{listed('deliveries', _DELIVERY)}"


_PAGE_OF_DELIVERIES = """page AS (
  SELECT d.id AS key, d.customer_id, in_window::integer + 2 * with_phone::integer AS shown,
    encode(('Delivery:' || d.id)::bytea, 'base64') AS id, d.tracking_code AS "trackingCode", d.status,
    CASE WHEN in_window THEN d.recipient_name END AS "recipientName",
    CASE WHEN in_window THEN d.street_address END AS "streetAddress",
    CASE WHEN in_window THEN d.postal_code END AS "postalCode",
    CASE WHEN in_window THEN d.postal_town END AS "postalTown",
    CASE WHEN with_phone THEN d.recipient_phone END AS "recipientPhone"
  FROM delivery d
  CROSS JOIN LATERAL (SELECT coalesce(d.returned_at, d.delivered_at, d.lost_at,
    d.handed_over_at + interval '60 days', d.created_at + interval '120 days') AS ended) windows
  LEFT JOIN carrier_service s ON s.carrier_id = d.carrier_id AND s.code = d.service_code
  CROSS JOIN LATERAL (SELECT $1::timestamptz < ended + interval '30 days' AS in_window,
    $1::timestamptz < ended + interval '3 days' AND coalesce(s.needs_phone, false) AS with_phone) rules
  WHERE d.carrier_id = {carrier}::uuid AND {condition}
    AND $1::timestamptz < ended + interval '90 days'
    AND NOT EXISTS (SELECT FROM customer c WHERE c.id = d.customer_id AND c.restricted_at IS NOT NULL)
  ORDER BY d.id DESC LIMIT 50)"""
_DELIVERY = (
    'id, "trackingCode", status, "recipientName", "streetAddress", "postalCode", "postalTown",'
    ' "recipientPhone"'
)
SEEN = "d.status NOT IN ('PLANNED', 'CANCELLED')"
RECORDED_DELIVERIES = recorded("W2", "carrier", "delivery", f"{_ADDRESS} {_ALWAYS} {_PHONE}")
DELIVERIES = deliveries("$9", SEEN, RECORDED_DELIVERIES, DISCLOSED)

CUSTOMERS = f"""
WITH page AS (
  SELECT id AS customer_id, encode(('Customer:' || id)::bytea, 'base64') AS id, first_name AS "firstName",
    surname, street_address AS "streetAddress", postal_code AS "postalCode", postal_town AS "postalTown",
    phone, email, marketing_consent AS "marketingConsent", to_char(created_at, {TIME}) AS "createdAt"
  FROM customer WHERE restricted_at IS NULL ORDER BY customer.id DESC LIMIT 100),
{
    recorded(
        "W3",
        "support",
        "customer-service",
        "Customer.createdAt Customer.email Customer.firstName Customer.marketingConsent Customer.phone"
        " Customer.postalCode Customer.postalTown Customer.streetAddress Customer.surname",
    )
},
{COUNTED}
{
    listed(
        "customers",
        'id, "firstName", surname, "streetAddress", "postalCode", "postalTown", phone, email,'
        ' "marketingConsent", "createdAt"',
    )
}"""

ORDERS = f"""
WITH page AS (
  SELECT o.customer_id, encode(('Order:' || o.id)::bytea, 'base64') AS id, o.number,
    to_char(o.placed_at, {TIME}) AS "placedAt", o.status,
    json_build_object('amount', o.total::text, 'currency', o.currency) AS total,
    o.payment_method AS "paymentMethod", o.payment_status AS "paymentStatus",
    o.customer_message AS "customerMessage", o.version
  FROM orders o
  WHERE NOT EXISTS (SELECT FROM customer c WHERE c.id = o.customer_id AND c.restricted_at IS NOT NULL)
  ORDER BY o.id DESC LIMIT 100),
{
    recorded(
        "W3b",
        "support",
        "customer-service",
        "Order.customerMessage Order.number Order.paymentMethod Order.paymentStatus Order.placedAt"
        " Order.status Order.total",
    )
},
{COUNTED}
{
    listed(
        "orders",
        'id, number, "placedAt", status, total, "paymentMethod", "paymentStatus", "customerMessage", version',
    )
}"""

MASKED = f"""
WITH page AS (
  SELECT id AS customer_id, encode(('Customer:' || id)::bytea, 'base64') AS id, number,
    CASE WHEN first_name IS NOT NULL THEN '***' END AS "firstName",
    CASE WHEN surname IS NOT NULL THEN '***' END AS surname,
    CASE WHEN phone IS NOT NULL THEN '***' || right(regexp_replace(phone, '\\D', '', 'g'), 2) END AS phone,
    CASE WHEN email IS NOT NULL THEN '***@***' END AS email, status,
    to_char(created_at, {TIME}) AS "createdAt", to_char(last_active_at, {TIME}) AS "lastActiveAt", version
  FROM customer WHERE restricted_at IS NULL ORDER BY customer.id DESC LIMIT 100),
{
    recorded(
        "W4",
        "support",
        None,
        "Customer.createdAt Customer.email Customer.firstName Customer.lastActiveAt Customer.number"
        " Customer.phone Customer.status Customer.surname",
    )
},
{COUNTED}
{
    listed(
        "customers",
        'id, number, "firstName", surname, phone, email, status, "createdAt", "lastActiveAt", version',
    )
}"""

ONE_FOUND = f"""
WITH page AS (
  SELECT id AS customer_id, encode(('Customer:' || id)::bytea, 'base64') AS id, number,
    first_name AS "firstName", surname, street_address AS "streetAddress", postal_code AS "postalCode",
    postal_town AS "postalTown", phone, email
  FROM customer WHERE email = $12 AND restricted_at IS NULL ORDER BY customer.id DESC LIMIT 1),
{
    recorded(
        "W6",
        "support",
        "customer-service",
        "Customer.email Customer.firstName Customer.number Customer.phone Customer.postalCode"
        " Customer.postalTown Customer.streetAddress Customer.surname",
    )
},
{COUNTED}
SELECT convert_to(json_build_object('customer', (SELECT row_to_json(one) FROM (
  SELECT id, number, "firstName", surname, "streetAddress", "postalCode", "postalTown", phone, email
  FROM page) one))::text, 'UTF8')"""
