"""Which function makes which change."""

from __future__ import annotations

from collections.abc import Mapping

from . import access, customers, orders
from .work import Handler

HANDLERS: Mapping[str, Handler] = {
    "registerCustomer": customers.register_customer,
    "updateCustomer": customers.update_customer,
    "setMarketingConsent": customers.set_marketing_consent,
    "placeOrder": orders.place_order,
    "requestOrderAccess": access.request_order_access,
    "cancelOrder": orders.cancel_order,
    "updateOrder": orders.update_order,
    "addOrderNote": orders.add_order_note,
}
