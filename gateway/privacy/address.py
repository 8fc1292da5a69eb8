"""Where a person is told what becomes of what they asked about their data."""

from __future__ import annotations

# The address that the customer `$1` has confirmed for their account, else the one that is noted of them: who
# corrects that, or mistypes it, takes no letter away from whose account it is.
ADDRESS = """
SELECT coalesce(k.email, c.email) AS email
FROM customer c LEFT JOIN credential k ON k.customer_id = c.id AND k.confirmed_at IS NOT NULL
WHERE c.id = $1"""
