"""Who works for the store, and what they are designated for."""

from __future__ import annotations

import uuid

import strawberry

from . import tables
from .fields import Node, One, column, entity, one
from .scalars import DateTime
from .states import StaffRole
from .writing import KEY, Declared, Writes, given, input_of


@entity(tables.Employee, description="Somebody who works for the store.")
class Employee(Node):
    name: str | None = column("The employee's name.")
    work_email: str | None = column("Where the employee is reached at work.")
    active: bool | None = column("Whether the employee still works for the store.")


@entity(tables.Designation, description="What makes an employee act in a role, and until when.")
class Designation(Node):
    employee: One = one("Employee", "Who is designated.", key="employee_id")
    role: StaffRole | None = column("The role they may act in.")
    reason: str | None = column("Why they need it.")
    designated_by: One = one("Employee", "By whom; null for the first administrator.", key="designated_by")
    valid_from: DateTime | None = column("Since when.")
    valid_to: DateTime | None = column("Until when, at most 12 months.")
    revoked_at: DateTime | None = column("When it was taken back.")


@input_of("Designation", Writes.CREATE, description="Who may act in which role, why and for how long.")
class DesignateEmployeeInput:
    employee_id: strawberry.ID | None = given("The employee; or give `workEmail`.")
    work_email: str | None = given("The employee's work address; or give `employeeId`.")
    role: StaffRole = given("The role they may act in.")
    reason: str = given("Why they need it.")
    valid_from: DateTime | None = given("Since when, at most 30 days ahead; left out means now.")
    valid_to: DateTime | None = given("Until when, at most 12 months; left out means 6 months.")
    idempotency_key: uuid.UUID | None = given(KEY)


@input_of("Designation", Writes.UPDATE, description="Which designation ends now, and why.")
class RevokeDesignationInput:
    id: strawberry.ID = given("The designation.")
    reason: str = given("Why it is taken back.")


MUTATIONS = {
    "designate_employee": Declared(
        DesignateEmployeeInput,
        "Lets an employee act in a role for some time; never oneself.",
        entities={"designation": "Designation"},
    ),
    "revoke_designation": Declared(
        RevokeDesignationInput,
        "Ends a designation at once; never one's own.",
        entities={"designation": "Designation"},
    ),
}
