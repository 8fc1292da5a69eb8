"""Which function makes which change."""

from __future__ import annotations

from collections.abc import Mapping

from . import (
    access,
    accounts,
    carriers,
    customers,
    deliveries,
    designations,
    disclosures,
    events,
    exports,
    legal_holds,
    orders,
    partner_tokens,
    returns,
    sessions,
    subject_requests,
)
from .work import Handler

HANDLERS: Mapping[str, Handler] = {
    "registerCustomer": customers.register_customer,
    "updateCustomer": customers.update_customer,
    "setMarketingConsent": customers.set_marketing_consent,
    "signIn": sessions.sign_in,
    "refreshSession": sessions.refresh_session,
    "signOut": sessions.sign_out,
    "confirmEmail": accounts.confirm_email,
    "requestPasswordReset": accounts.request_password_reset,
    "resetPassword": accounts.reset_password,
    "changePassword": accounts.change_password,
    "placeOrder": orders.place_order,
    "requestOrderAccess": access.request_order_access,
    "cancelOrder": orders.cancel_order,
    "updateOrder": orders.update_order,
    "addOrderNote": orders.add_order_note,
    "createDelivery": deliveries.create_delivery,
    "updateDelivery": deliveries.update_delivery,
    "updateDeliveryAddress": deliveries.update_delivery_address,
    "reportDeliveryEvent": events.report_delivery_event,
    "requestReturn": returns.request_return,
    "updateReturn": returns.update_return,
    "updateCarrier": carriers.update_carrier,
    "designateEmployee": designations.designate_employee,
    "revokeDesignation": designations.revoke_designation,
    "issuePartnerToken": partner_tokens.issue_partner_token,
    "rotatePartnerToken": partner_tokens.rotate_partner_token,
    "revokePartnerToken": partner_tokens.revoke_partner_token,
    "narrowPartnerToken": partner_tokens.narrow_partner_token,
    "discloseToAuthority": disclosures.disclose_to_authority,
    "requestErasure": subject_requests.request_erasure,
    "requestRestriction": subject_requests.request_restriction,
    "decideSubjectRequest": subject_requests.decide_subject_request,
    "withdrawSubjectRequest": subject_requests.withdraw_subject_request,
    "placeLegalHold": legal_holds.place_legal_hold,
    "releaseLegalHold": legal_holds.release_legal_hold,
    "requestExport": exports.request_export,
}
