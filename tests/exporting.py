"""What the tests of copies of people's data share: asking for one, fetching it, a row of each kind."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import gateway.privacy
from schema.scalars import global_id
from tests.world import World
from tests.writing import USER_ERRORS, kept

SUPPORT, OFFICER = ("support", "customer-service"), ("privacy-officer", "subject-rights")
REQUEST = f"""mutation ($input: RequestExportInput!) {{ requestExport(input: $input) {{
    link linkExpiresAt customer {{ id }} subjectRequest {{ id kind status decision receivedAt dueAt }}
    {USER_ERRORS} }} }}"""
LINK = re.compile(r"https://\S+(/export/[A-Za-z0-9_-]{64})$", re.MULTILINE)
SCHEMA = json.loads((Path(gateway.privacy.__file__).parent / "export.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
# A row in each table of which the demo has none for the customer.
ROWS = (
    "INSERT INTO credential (customer_id, email, password_hash, created_at, confirmed_at)"
    " SELECT id, email, 'kept-secret-hash', created_at, created_at FROM customer WHERE id = $1",
    "INSERT INTO one_time_link (hash, customer_id, kind, email, created_at, expires_at)"
    " SELECT 'kept-secret-link', id, 'CONFIRM_EMAIL', email, created_at, created_at FROM customer"
    " WHERE id = $1",
    "INSERT INTO session (id, customer_id, created_at, last_refreshed_at, expires_at)"
    " VALUES ('00000000-0000-7000-8000-00000000aaaa', $1, now(), now(), now() + interval '1 day')",
    "INSERT INTO refresh_token (hash, session_id, customer_id, issued_at, expires_at)"
    " VALUES ('kept-secret-token', '00000000-0000-7000-8000-00000000aaaa', $1, now(), now())",
    "INSERT INTO mail (id, customer_id, kind, recipient, subject, body, created_at, next_attempt_at)"
    " SELECT gen_random_uuid(), id, 'test', email, 'A subject', 'kept-secret-body', now(), now()"
    " FROM customer WHERE id = $1",
    "INSERT INTO change (id, customer_id, entity, entity_id, field, at, source, actor)"
    " VALUES (gen_random_uuid(), $1, 'Customer', $1, 'phone', now(), 'CUSTOMER', 'anonymous')",
    "INSERT INTO erasure_notice (id, customer_id, request_id, recipient, refs, created_at, next_attempt_at)"
    " SELECT gen_random_uuid(), $1, id, 'Posti', '{}', now(), now() FROM subject_request"
    " WHERE customer_id = $1 LIMIT 1",
    "UPDATE orders SET internal_note = 'a note of ours', customer_message = 'a message'"
    " WHERE customer_id = $1",
    "UPDATE returns SET inspection_note = 'looked at', reason_text = 'too small' WHERE customer_id = $1",
)


# Other tests may have taken the demo's away.
DISCLOSED = """INSERT INTO disclosure (id, customer_id, recipient, purpose, at, fields, fields_digest, ref_id,
    statute, requester, case_number, policy_version, notice_version, request_id)
    VALUES (gen_random_uuid(), $1, 'Authority', 'authority-request', now(), '{Customer.email}', '\\x00',
    gen_random_uuid(), 'Test Act 1', 'a test', 'T-1', 'p', 'n', 'r')"""


def customer_of(world: World, name: str = "customer") -> uuid.UUID:
    found = world.askers[name].customer_id
    assert found is not None
    return found


def asked(world: World, name: str = "customer", purpose: str | None = None, **given: Any) -> Any:
    """The payload of a request, with whatever is to be mended."""
    return world.data(name, REQUEST, {"input": given}, purpose)["requestExport"]


def requested(world: World, name: str = "customer", purpose: str | None = None, **given: Any) -> Any:
    """The payload of a request that was made."""
    payload = asked(world, name, purpose, **given)
    assert payload["userErrors"] == []
    return payload


def on_behalf(world: World, customer: uuid.UUID, by: tuple[str, str] = SUPPORT, **given: Any) -> Any:
    """The payload of what an employee asks for a customer."""
    return asked(world, by[0], by[1], customer=global_id("Customer", customer), **given)


def path_of(link: str) -> str:
    """The path of a link."""
    found = LINK.search(link)
    assert found
    return found[1]


def mailed(world: World, customer: uuid.UUID) -> list[tuple[str, str]]:
    """To whom which paths were mailed, in order."""
    rows = sorted(kept(world, "mail", customer_id=customer, kind="data-copy"), key=lambda row: row["id"])
    return [(row["recipient"], path_of(row["body"])) for row in rows]


def fetched(world: World, path: str) -> Any:
    """The copy behind a link, which fits the schema."""
    response = world.client.get(path)
    assert response.status_code == 200, response.text
    found = response.json()
    assert [error.message for error in VALIDATOR.iter_errors(found)] == []
    return found


def give_a_row_of_each_kind(world: World, customer: uuid.UUID) -> None:
    """Adds to a customer of the demo what the demo does not make; once more adds nothing."""
    if not kept(world, "credential", customer_id=customer):
        for statement in ROWS:
            world.execute(statement, customer)
    if not kept(world, "disclosure", customer_id=customer):
        world.execute(DISCLOSED, customer)
