"""Which input fields are gated by a coordinate, and which go with their mutation's own grant."""

from __future__ import annotations

import pytest

from gateway.grants import Guard
from gateway.policy import ROLES, default_folder, load_policy
from schema.writing import Writes
from tests.naive_rules import PURPOSES, Rights
from tests.test_matrix_writes import MODEL, inputs


def test_the_input_fields_that_go_with_a_mutation_are_these_alone() -> None:
    """Every other input field is gated by the coordinate of its name, in the type it writes."""
    free = {(of.name, field.name) for of in inputs() for field in of.fields.values() if not field.coordinate}
    ids = {
        (of.name, name)
        for of in inputs()
        for name in ("id", "ifVersion", "idempotencyKey", "orderId", "deliveryId", "employeeId")
        if name in of.fields
    }
    assert free == ids | {
        ("RegisterCustomerInput", "password"),
        ("UpdateCustomerInput", "currentPassword"),
        ("SetMarketingConsentInput", "evidence"),
        ("PlaceOrderInput", "delivery"),
        ("PlaceOrderInput", "customer"),
        *((f"Request{what}Input", "customer") for what in ("Erasure", "Restriction", "Export")),
        ("DecideSubjectRequestInput", "reason"),
        ("RequestOrderAccessInput", "number"),
        ("RequestOrderAccessInput", "name"),
        ("RequestOrderAccessInput", "email"),
        # The matrix grants nobody to write `Designation`: its fields go with the mutations.
        *(("DesignateEmployeeInput", name) for name in ("workEmail", "role", "reason")),
        *(("DesignateEmployeeInput", name) for name in ("validFrom", "validTo")),
        ("RevokeDesignationInput", "reason"),
        ("SignInInput", "email"),
        ("SignInInput", "password"),
        ("RefreshSessionInput", "refreshToken"),
        ("SignOutInput", "everywhere"),
        ("ConfirmEmailInput", "token"),
        ("RequestPasswordResetInput", "email"),
        ("ResetPasswordInput", "token"),
        ("ResetPasswordInput", "password"),
        ("ChangePasswordInput", "currentPassword"),
        ("ChangePasswordInput", "newPassword"),
        ("IssuePartnerTokenInput", "kind"),
        ("IssuePartnerTokenInput", "carrier"),
        # Of these `fields` is gated by the right to read what it names.
        *(("DiscloseToAuthorityInput", name) for name in ("customer", "statute", "requester", "caseNumber")),
        *(("DiscloseToAuthorityInput", name) for name in ("fields", "visibleToSubject")),
        # The matrix grants nobody to write `LegalHold`; `fields` is gated by the right to read what it names.
        *(("PlaceLegalHoldInput", name) for name in ("target", "fields", "basis", "until")),
        *(("RotatePartnerTokenInput", name) for name in ("overlapHours", "expiresAt")),
        *(
            (f"{verb}PartnerTokenInput", name)
            for verb in ("Issue", "Narrow")
            for name in ("expiresAt", "operations", "networks", "documents", "deliveries")
        ),
    }
    for of in inputs():
        for field in of.fields.values():
            if field.coordinate is not None:
                assert field.coordinate.partition(".")[2] == field.name
                assert field.coordinate in MODEL.coordinates()


def test_a_gated_input_says_what_it_does_and_to_what() -> None:
    kinds = {
        (of.name, field.coordinate.partition(".")[0], of.writes)
        for of in inputs()
        for field in of.fields.values()
        if field.coordinate
    }
    created = {
        ("RegisterCustomerInput", "Customer"),
        ("GuestInput", "Customer"),
        ("PlaceOrderInput", "Order"),
        ("OrderLineInput", "OrderLine"),
        ("OrderDeliveryInput", "Delivery"),
        ("CreateDeliveryInput", "Delivery"),
        ("ReportDeliveryEventInput", "Delivery"),
        ("DeliveryEventInput", "DeliveryEvent"),
        ("DeliveryEventInput", "Delivery"),
        ("RequestReturnInput", "Return"),
        ("ReturnLineInput", "ReturnLine"),
    }
    assert {(name, of) for name, of, writes in kinds if writes is Writes.CREATE} == created
    updated = {(name, of) for name, of, writes in kinds if writes is Writes.UPDATE}
    assert updated == {
        ("UpdateCustomerInput", "Customer"),
        ("SetMarketingConsentInput", "Customer"),
        ("UpdateOrderInput", "Order"),
        ("AddOrderNoteInput", "Order"),
        ("UpdateDeliveryInput", "Delivery"),
        ("UpdateDeliveryAddressInput", "Delivery"),
        ("UpdateReturnInput", "Return"),
        ("UpdateCarrierInput", "Carrier"),
        ("DecideSubjectRequestInput", "SubjectRequest"),
    }


@pytest.mark.parametrize("role", ROLES)
def test_what_is_settable_of_an_input_is_what_the_matrix_grants_of_it(role: str) -> None:
    policy = load_policy(default_folder(), MODEL)
    for purpose in (None, *PURPOSES):
        rights = Rights(role, purpose)
        for of in inputs() if rights.purpose == purpose else ():
            letter = "C" if of.writes is Writes.CREATE else "U"
            plain = [one for one in of.fields.values() if one.nested is None and not one.reads_fields]
            wanted = {
                one.name: one.coordinate
                and Guard(one.coordinate, frozenset(rights.rules(one.coordinate, letter)))
                for one in plain
            }
            granted = {name: guard for name, guard in wanted.items() if guard is None or guard.rules}
            assert policy.grants(role, purpose).settable(of) == granted
