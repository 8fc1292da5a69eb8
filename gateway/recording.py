"""Whose use of personal data goes on the record, and under what: the fixed part of their access records.

Takes who asks, their purpose and the operation. Gives a `Recording`, or `Unrecorded` for customers and for
those who are nobody yet: what people do with their own data is not recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from uuid_utils.compat import uuid7

from schema.formats import Malformed, case_reference

from .errors import Code, HttpError
from .grants import Grants
from .operation import Operation
from .policy import PARTNER_ROLES, STAFF
from .principal import Principal


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """The caller's own data: nothing is recorded."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What stands in every access record of an operation for one role, purpose and policy.

    `recipient` is to whom a partner's reads disclose. `counts` says that the reader is an employee, who may
    read of so many customers in a day and no more.
    """

    role: str
    purpose: str | None
    operation_name: str | None
    operation_hash: str
    recipient: str | None
    counts: bool


class Circumstances(NamedTuple):
    """What an access record says of the very request."""

    request_id: str
    case_reference: str | None = None


def recording_of(principal: Principal, grants: Grants, operation: Operation) -> Recording | Unrecorded:
    """What stands in the access records of an operation; nothing for what is not recorded."""
    if principal.role is None or not is_recorded(principal):
        return Unrecorded()
    return Recording(
        role=principal.role,
        purpose=grants.purpose,
        operation_name=operation.name,
        operation_hash=operation.shape,
        recipient=(principal.recipient or "") if principal.role in PARTNER_ROLES else None,
        counts=principal.role in STAFF,
    )


def read_case_reference(text: str | None, pattern: str) -> str | None:
    """The header `Case-Reference`; raises `HttpError` where it is not as the store's cases are called."""
    try:
        return None if text is None else case_reference(text, pattern)
    except Malformed as error:
        raise HttpError(Code.BAD_REQUEST, f"`Case-Reference` {error}") from None


def is_recorded(principal: Principal) -> bool:
    """Whether what somebody does with personal data is recorded: employees and partners."""
    return principal.role in STAFF or principal.role in PARTNER_ROLES or principal.employee_id is not None


def record_values(
    principal: Principal,
    now: datetime,
    circumstances: Circumstances,
    records: int,
    noted: tuple[bytes, ...] = (),
) -> dict[str, object]:
    """What the access records of a statement bind; `noted` is what is known to be written down already."""
    return {
        "recording_principal": principal.actor_id,
        "recording_designation": principal.designation_id,
        "recording_case": circumstances.case_reference,
        "recording_request": circumstances.request_id,
        "recording_day": now.date(),
        "recording_noted": noted,
        **{f"recording_id_{number}": uuid7() for number in range(records)},
    }
