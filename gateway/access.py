"""What a caller may do, from the policy alone: the same for a request and for a check before there is one."""

from __future__ import annotations

from .plan import Access, Listing
from .policy import Policy
from .row_rules import Scope


def access_of(
    policy: Policy,
    role: str | None,
    purpose: str | None,
    recipient: str | None = None,
    scope: Scope = Scope.ACCOUNT,
    operations: frozenset[str] = frozenset(),
) -> Access:
    """The access of a role for a declared purpose; of a partner, as this recipient of the policy's list."""
    listing = policy.listing_grants(role, purpose)
    return Access(
        policy.grants(role, purpose),
        scope,
        operations,
        policy.disclosable(role, recipient),
        None if listing is None else Listing(listing, policy.listing_purposes),
    )
