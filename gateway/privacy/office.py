"""What carrying out the rights of the person needs to know; built once per worker."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from ..config import Settings
from ..policy import Policy
from ..policy_files.values import Notice, Recipient, RetentionRule
from ..principal import SigningKey
from .copy import Copies, copies_of
from .kept_until import FiscalYears, fiscal_years
from .links import Links

# How long before an erasure somebody was given data, to be told of it.
TOLD_DAYS = 180


@dataclass(frozen=True, slots=True)
class Office:
    """Recipients are by name, retention rules by theirs; `consent_secret` keys the proofs of consent."""

    settings: Settings
    recipients: Mapping[str, Recipient]
    retention: Mapping[str, RetentionRule]
    notice: Notice
    consent_secret: bytes
    copies: Copies
    links: Links

    @property
    def cooling_off(self) -> timedelta:
        """How long an erasure waits, and can be taken back."""
        return timedelta(days=self.settings.cooling_off_days)

    def proof_of(self, address: str) -> bytes:
        """The keyed digest that an address is known by when nothing else of the person is left."""
        return proof_of(self.consent_secret, address)

    @property
    def years(self) -> FiscalYears:
        """The store's fiscal years."""
        return fiscal_years(self.settings)


def proof_of(secret: bytes, address: str) -> bytes:
    """The digest of an address under a secret."""
    return hmac.new(secret, address.encode(), sha256).digest()


def open_office(settings: Settings, policy: Policy, key: SigningKey) -> Office:
    """The office of a policy; a proof of consent is found by the key that made it."""
    secret = key.secrets("consent")[0]
    links = Links(tuple(key.secrets("export")))
    kept = (policy.recipients, policy.retention, policy.notice)
    return Office(settings, *kept, secret, copies_of(policy), links)
