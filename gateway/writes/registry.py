"""Which function makes which change."""

from __future__ import annotations

from collections.abc import Mapping

from . import customers
from .work import Handler

HANDLERS: Mapping[str, Handler] = {
    "registerCustomer": customers.register_customer,
    "updateCustomer": customers.update_customer,
    "setMarketingConsent": customers.set_marketing_consent,
}
