"""Partners' tokens: what is shown of them, and how they are issued, rotated, narrowed and revoked."""

from __future__ import annotations

import uuid

import strawberry

from . import tables
from .fields import Node, column, computed, entity
from .scalars import DateTime
from .states import PartnerKind
from .writing import KEY, Declared, Writes, given, input_of

OPERATIONS = "Root fields it may ask, such as `Query.deliveries`; `viewer` and `privacyNotice` always are."
NETWORKS = "Networks it may be used from, in CIDR notation."
DOCUMENTS = "SHA-256 of each document it may send, in hexadecimal."
DELIVERIES = "The deliveries it is for; a carrier's alone."
ENDS = "When it ends, within 90 days."


@entity(tables.PartnerToken, description="A restricted token of a partner, without the token itself.")
class PartnerToken(Node):
    partner: str | None = column("Whose it is.")
    kind: PartnerKind | None = column("What the partner does.")
    prefix: str | None = column("How the token begins, to tell it by.")
    operations: list[str] | None = computed(
        "The root fields it is limited to; empty where it has all of its role.",
        lambda token: token.c.operations,
    )
    networks: list[str] | None = computed(
        "The networks it is limited to; empty where it may be used from anywhere.",
        lambda token: token.c.networks,
    )
    issued_by: str | None = column("Who issued it: a global id, or `command`.")
    created_at: DateTime | None = column("When it was issued.")
    expires_at: DateTime | None = column("When it ends.")
    last_used_at: DateTime | None = column("When it was last used, to about a minute.")
    revoked_at: DateTime | None = column("When it was revoked.")


@input_of("PartnerToken", Writes.CREATE, description="A token to issue.")
class IssuePartnerTokenInput:
    kind: PartnerKind = given("What the partner does.")
    carrier: strawberry.ID | None = given("Which carrier's it is; for carriers alone.")
    expires_at: DateTime = given(ENDS)
    operations: list[str] | None = given(OPERATIONS)
    networks: list[str] | None = given(NETWORKS)
    documents: list[str] | None = given(DOCUMENTS)
    deliveries: list[strawberry.ID] | None = given(DELIVERIES)
    idempotency_key: uuid.UUID | None = given(KEY)


@input_of("PartnerToken", Writes.CREATE, description="A new key in the place of another.")
class RotatePartnerTokenInput:
    id: strawberry.ID = given("The token to replace.")
    overlap_hours: int | None = given("How long the former key still holds: 24 hours, at most 168.")
    expires_at: DateTime | None = given(
        "When the new key ends. Only an administrator gives a later end than the former one."
    )
    idempotency_key: uuid.UUID | None = given(KEY)


@input_of("PartnerToken", Writes.UPDATE, description="A token to revoke.")
class RevokePartnerTokenInput:
    id: strawberry.ID = given("The token; what was narrowed from it ends with it.")


@input_of("PartnerToken", Writes.CREATE, description="A narrower token for a subcontractor.")
class NarrowPartnerTokenInput:
    expires_at: DateTime = given("When it ends, not after the token asked with.")
    operations: list[str] | None = given(OPERATIONS)
    networks: list[str] | None = given(NETWORKS)
    documents: list[str] | None = given(DOCUMENTS)
    deliveries: list[strawberry.ID] | None = given(DELIVERIES)
    idempotency_key: uuid.UUID | None = given(KEY)


_TOKEN = {"partner_token": "PartnerToken"}
_SECRET = {"token": (str, "The token, this one time; null where the same key asks again.")}
MUTATIONS = {
    "issue_partner_token": Declared(
        IssuePartnerTokenInput, "Issues a token to a partner.", entities=_TOKEN, extras=_SECRET
    ),
    "rotate_partner_token": Declared(
        RotatePartnerTokenInput,
        "Gives a token a new key; the former one holds for an overlap.",
        entities=_TOKEN,
        extras=_SECRET,
    ),
    "revoke_partner_token": Declared(
        RevokePartnerTokenInput, "Ends a token and what was narrowed from it, at once.", entities=_TOKEN
    ),
    "narrow_partner_token": Declared(
        NarrowPartnerTokenInput,
        "Derives a narrower token from the one asked with, never a wider one.",
        entities=_TOKEN,
        extras=_SECRET,
    ),
}
