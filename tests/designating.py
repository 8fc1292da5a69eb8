"""An employee to designate, and the operations that give and take back a designation."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schema.scalars import global_id
from tests.world import NOW, Asker, World

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
ERRORS = "userErrors { code coordinate path }"
SHOWN = "id role reason validFrom validTo revokedAt employee { id workEmail } designatedBy { id }"
DESIGNATE = f"""mutation ($input: DesignateEmployeeInput!) {{ designateEmployee(input: $input) {{
    designation {{ {SHOWN} }} {ERRORS} }} }}"""
REVOKE = f"""mutation ($input: RevokeDesignationInput!) {{ revokeDesignation(input: $input) {{
    designation {{ id revokedAt }} {ERRORS} }} }}"""
VIEWER = "{ viewer { role } }"
ADMIN = "register-admin"


@dataclass(frozen=True)
class Person:
    """An employee of a test, who asks by their name."""

    name: str
    key: uuid.UUID

    @property
    def id(self) -> str:
        return global_id("Employee", self.key)

    @property
    def address(self) -> str:
        return f"{self.key}@store.example"


@contextmanager
def undesignated(writable: World) -> Iterator[Person]:
    """An employee without a designation."""
    key = uuid.uuid4()
    found = Person(f"employee {key}", key)
    writable.execute(
        "INSERT INTO employee (id, name, work_email) VALUES ($1, 'Test employee', $2)", key, found.address
    )
    settings = writable.gateway.settings
    token = writable.key.sign("employee", key, settings, now=NOW, lifetime=900 * DAY)
    writable.askers[found.name] = Asker(
        found.name, None, {"Authorization": f"Bearer {token}"}, employee_id=key
    )
    yield found
    del writable.askers[found.name]
    writable.execute("DELETE FROM designation WHERE $1 IN (employee_id, designated_by, revoked_by)", key)
    writable.execute("DELETE FROM employee WHERE id = $1", key)
    writable.execute("DELETE FROM idempotency WHERE mutation = 'designateEmployee'")


def given(person: Person, **changed: Any) -> dict[str, Any]:
    values = {"employeeId": person.id, "role": "support", "reason": "stands in for a colleague", **changed}
    return {name: value for name, value in values.items() if value is not None}


def time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def designate(world: World, person: Person, by: str = ADMIN, **changed: Any) -> Any:
    return world.data(by, DESIGNATE, {"input": given(person, **changed)})["designateEmployee"]


def designated(world: World, person: Person, **changed: Any) -> Any:
    payload = designate(world, person, **changed)
    assert payload["userErrors"] == []
    return payload["designation"]


def revoke(world: World, key: str, by: str = ADMIN, reason: str = "the work is done") -> Any:
    return world.data(by, REVOKE, {"input": {"id": key, "reason": reason}})["revokeDesignation"]


def codes(payload: Any) -> list[tuple[str, str]]:
    assert payload["designation"] is None
    return [(error["code"], error["coordinate"]) for error in payload["userErrors"]]


def is_refused(response: Any) -> None:
    """The whole operation is refused, by the mutation's name."""
    body = response.json()
    assert set(body) == {"errors"}
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "FIELD_FORBIDDEN"
    assert error["extensions"]["coordinate"].startswith("Mutation.")


def role_of(world: World, person: Person, **headers: str) -> Any:
    body = world.post(person.name, VIEWER, headers=headers).json()
    return body["data"]["viewer"]["role"] if "data" in body else body["errors"][0]["extensions"]["code"]
