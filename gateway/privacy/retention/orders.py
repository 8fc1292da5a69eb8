"""The step that unlinks orders from their customers, and those that delete what was asked and held.

An order is linked to an empty tombstone of its own from then on, so that orders tell of nobody together.
"""

from __future__ import annotations

from .accounts import ACCOUNT_OVER, OPEN_REQUEST
from .requests import REQUEST_OVER
from .steps import NEW_ID, Batch, Statement, Step, found, going, locked, note, sql

# ---------------------------------------------------------------- orders

_END = """(SELECT coalesce(max(coalesce(d.returned_at, d.delivered_at, d.lost_at,
    d.handed_over_at + CAST(:period_handed_over AS interval),
    d.created_at + CAST(:period_created AS interval))),
    r.placed_at + CAST(:period_created AS interval)) FROM delivery d WHERE d.order_id = r.id)"""
# A hold on the order, or on its customer that names a field of orders, keeps whose order it is.
_HELD = """EXISTS (SELECT FROM legal_hold h WHERE h.customer_id = c.id AND h.released_at IS NULL
    AND h.until >= :today AND (h.order_id = r.id OR (h.order_id IS NULL AND EXISTS (
        SELECT FROM unnest(h.fields) f
        WHERE f = 'Customer.orders' OR f NOT LIKE ALL (ARRAY['Customer.%', 'ConsentEvent.%'])))))"""
_OVER = f"""
SELECT r.id, r.customer_id, ARRAY['customer_id'] AS fields
FROM orders r JOIN customer c ON c.id = r.customer_id
WHERE c.erased_at IS NULL AND c.restricted_at IS NULL AND {_END} < :before
  AND NOT {_HELD} AND NOT {OPEN_REQUEST} AND NOT {ACCOUNT_OVER}"""
_PARTS = {
    "order_line": "SELECT id FROM order_line WHERE order_id = ANY (:ids)",
    "delivery": "SELECT id FROM delivery WHERE order_id = ANY (:ids)",
    "delivery_event": "SELECT v.id FROM delivery_event v JOIN delivery d ON d.id = v.delivery_id"
    " WHERE d.order_id = ANY (:ids)",
    "returns": "SELECT id FROM returns WHERE order_id = ANY (:ids)",
    "return_line": "SELECT l.id FROM return_line l JOIN returns q ON q.id = l.return_id"
    " WHERE q.order_id = ANY (:ids)",
    "legal_hold": "SELECT id FROM legal_hold WHERE order_id = ANY (:ids)",
}
_REQUESTS_LINKED = sql("""
SELECT id, ARRAY['order_id'] AS fields FROM subject_request WHERE order_id = ANY (:ids) ORDER BY id""")
_ALSO: tuple[tuple[str, Statement], ...] = (
    *(
        (name, sql(f"SELECT id, ARRAY['customer_id'] AS fields FROM ({query}) AS part ORDER BY id"))
        for name, query in _PARTS.items()
    ),
    ("subject_request", _REQUESTS_LINKED),
    ("session", going("session WHERE order_id = ANY (:ids)")),
)
_SESSIONS = sql("DELETE FROM session WHERE order_id = ANY (:ids)")
_REQUESTS = sql("UPDATE subject_request SET order_id = NULL WHERE order_id = ANY (:ids)")
# Provenance of the order's rows names whose they were.
_CHANGES = sql(f"""
DELETE FROM change WHERE entity_id = ANY (:ids) OR entity_id IN ({" UNION ALL ".join(_PARTS.values())})""")
_TOMBSTONES = sql(f"""
INSERT INTO customer (id, number, unsubscribe_token, status, created_at, last_active_at, erased_at)
SELECT made.id, 'E-' || made.id::text,
       'erased-' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
       'ERASED', :now, :now, :now
FROM (SELECT {NEW_ID} AS id FROM unnest(CAST(:ids AS uuid[]))) AS made RETURNING id""")
# Whatever belongs to an order follows by its foreign keys.
_UNLINK = sql("""
UPDATE orders r SET customer_id = due.owner, version = r.version + 1
FROM unnest(CAST(:ids AS uuid[]), CAST(:owners AS uuid[])) AS due(id, owner) WHERE r.id = due.id""")


def order_step() -> Step:
    """Unlinks the orders about which nobody can claim anything any more."""

    async def apply(batch: Batch) -> None:
        for statement in (_SESSIONS, _REQUESTS, _CHANGES):
            await batch.do(statement)
        owners = [row["id"] for row in await batch.do(_TOMBSTONES)]
        await batch.do(_UNLINK, owners=owners)
        changed = [(owner, key, "customer") for owner, key in zip(owners, batch.ids, strict=True)]
        await note(batch, "Order", changed)

    find, again = found(_OVER, "r")
    locks = locked("orders", with_customers=True)
    return Step("R-CLAIM", "orders", "orders", find, locks, again, apply, also=_ALSO)


# ---------------------------------------------------------------- rows that go

_DESIGNATIONS = """
SELECT r.id, ARRAY[]::text[] AS fields FROM designation r
WHERE least(r.valid_to, r.revoked_at) < :before
  AND NOT EXISTS (SELECT FROM access_record a WHERE a.designation_id = r.id
      AND a.principal_id = encode(convert_to('Employee:' || r.employee_id::text, 'UTF8'), 'base64'))"""
_HOLDS = """
SELECT r.id, ARRAY[]::text[] AS fields FROM legal_hold r
WHERE coalesce((r.released_at AT TIME ZONE 'UTC')::date, r.until) <= :latest"""
_NOTICES = """
SELECT r.id, ARRAY[]::text[] AS fields FROM erasure_notice r
WHERE r.created_at < :before AND coalesce(r.sent_at, r.failed_at) IS NOT NULL"""
_REQUESTS_OVER = f"""
SELECT r.id, ARRAY[]::text[] AS fields FROM subject_request r
WHERE {REQUEST_OVER}
  AND NOT EXISTS (SELECT FROM erasure e WHERE e.request_id = r.id)
  AND NOT EXISTS (SELECT FROM erasure_notice n WHERE n.request_id = r.id)
  AND NOT EXISTS (SELECT FROM export_document x WHERE x.request_id = r.id)"""
# The request of an erasure stays with its ledger, about an empty row.
_REQUESTS_KEPT = f"""
SELECT r.id, ARRAY['notified', 'retained'] AS fields FROM subject_request r
WHERE {REQUEST_OVER}
  AND EXISTS (SELECT FROM erasure e WHERE e.request_id = r.id)
  AND (r.retained <> '[]'::jsonb OR r.notified <> '{{}}'::text[])"""


def row_steps() -> list[Step]:
    """Requests, notices and holds go so long after their end; designations when their records do."""
    attempts = ("DELETE FROM erasure_notice_attempt WHERE notice_id = ANY (:ids)",)
    emptied = (
        "UPDATE subject_request SET retained = '[]'::jsonb, notified = '{}'::text[] WHERE id = ANY (:ids)"
    )
    tried = (("erasure_notice_attempt", going("erasure_notice_attempt WHERE notice_id = ANY (:ids)")),)
    return [
        _deleting("R-ACCESS", "designations", "designation", _DESIGNATIONS),
        _deleting("R-DISCLOSURE", "notices", "erasure_notice", _NOTICES, attempts, tried),
        _deleting("R-DISCLOSURE", "requests", "subject_request", _REQUESTS_OVER),
        _doing("R-DISCLOSURE", "requests of erasures", "subject_request", _REQUESTS_KEPT, (emptied,)),
        _deleting("R-DISCLOSURE", "holds", "legal_hold", _HOLDS),
    ]


def _deleting(
    rule: str,
    name: str,
    table: str,
    find: str,
    before: tuple[str, ...] = (),
    also: tuple[tuple[str, Statement], ...] = (),
) -> Step:
    return _doing(rule, name, table, find, (*before, f"DELETE FROM {table} WHERE id = ANY (:ids)"), also)


def _doing(
    rule: str,
    name: str,
    table: str,
    find: str,
    statements: tuple[str, ...],
    also: tuple[tuple[str, Statement], ...] = (),
) -> Step:
    made = [sql(statement) for statement in statements]

    async def apply(batch: Batch) -> None:
        for statement in made:
            await batch.do(statement)

    once, again = found(find, "r")
    return Step(rule, name, table, once, locked(table), again, apply, also=also)
