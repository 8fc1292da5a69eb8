"""When a request about somebody's data is over for good: its period runs from its end."""

from __future__ import annotations

# Of a row `r`. A restriction that is lifted was completed when it began, and is decided anew at its end; one
# that is in force, or whose letter has not left yet, has no end.
REQUEST_OVER = """r.status IN ('COMPLETED', 'REFUSED', 'WITHDRAWN')
  AND coalesce(greatest(r.completed_at, r.decided_at, r.executed_at), r.due_at) < :before
  AND NOT (r.kind = 'RESTRICTION' AND EXISTS (
      SELECT FROM customer c WHERE c.id = r.customer_id AND c.restricted_at IS NOT NULL))"""
