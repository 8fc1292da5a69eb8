"""A partner by its token: until when it is known, from where, and what the token is limited to."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from schema.scalars import global_id

from ..client_address import Network, is_within, read_address, read_network
from ..errors import Unauthenticated
from ..row_rules import Scope
from .values import PartnerRow, Principal


@dataclass(frozen=True, slots=True)
class Partner:
    """What the database says of a partner's token."""

    principal: Principal
    networks: tuple[Network, ...]
    expires_at: datetime
    is_revoked: bool

    def check(self, address: str | None, now: datetime) -> Principal:
        """Who it is at this moment and from this address; raises `Unauthenticated`."""
        if self.is_revoked:
            raise Unauthenticated("revoked")
        if now >= self.expires_at:
            raise Unauthenticated("expired")
        if self.networks and not is_within(read_address(address or ""), self.networks):
            raise Unauthenticated("network", self.principal)
        return self.principal


def partner_of(row: PartnerRow) -> Partner:
    """The partner of a token's row."""
    networks = tuple(read_network(network) for network in row.networks)
    return Partner(_principal(row), networks, row.expires_at, row.revoked_at is not None)


def _principal(row: PartnerRow) -> Principal:
    is_carrier = row.kind == "CARRIER" and row.carrier_id is not None
    key = global_id("Carrier", row.carrier_id) if row.carrier_id is not None else None
    return Principal(
        "carrier" if is_carrier else "newsletter",
        key if is_carrier else global_id("PartnerToken", row.id),
        Scope.ACCOUNT if row.deliveries is None else Scope.NAMED_DELIVERIES,
        carrier_id=row.carrier_id,
        token_id=row.id,
        rotation_id=row.first_id or row.id,
        operations=frozenset(row.operations),
        documents=None if row.documents is None else frozenset(row.documents),
        deliveries=None if row.deliveries is None else tuple(row.deliveries),
        recipient=row.recipient,
    )


class LastUses:
    """When each token was last used, as this worker saw it, until it is written down."""

    def __init__(self) -> None:
        self._seen: dict[uuid.UUID, datetime] = {}

    def note(self, token: uuid.UUID, now: datetime) -> None:
        """Remembers a use."""
        self._seen[token] = now

    def take(self) -> Mapping[uuid.UUID, datetime]:
        """Every token used since the last time, with its last use."""
        seen, self._seen = self._seen, {}
        return seen

    def put_back(self, taken: Mapping[uuid.UUID, datetime]) -> None:
        """Remembers what could not be written down."""
        self._seen = {**taken, **self._seen}
