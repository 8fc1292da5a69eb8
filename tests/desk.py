"""A gateway that takes the tokens of the employees' identity provider, and an employee who holds them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from starlette.testclient import TestClient

from gateway.app import app_of
from gateway.config import Settings
from gateway.database import Database
from gateway.principal import Principals
from tests.issuer import AUDIENCE, ISSUER, Issuer, issuing
from tests.world import World

VIEWER = "{ viewer { role principalId } }"
FRESH, STALE, PAUSE = 300, 3600, 10


@contextmanager
def issuer_of_each_kind() -> Iterator[Issuer]:
    """An issuer with one key of each kind."""
    with issuing() as found:
        for algorithm in ("EdDSA", "ES256", "RS256"):
            found.add(algorithm.lower(), algorithm)
        yield found


@dataclass(repr=False)
class Desk:
    """A gateway that takes the issuer's tokens, and an employee the issuer knows as `subject`."""

    world: World
    issuer: Issuer
    client: TestClient
    employee: uuid.UUID
    subject: str

    def token(self, key_id: str = "eddsa", **changed: Any) -> str:
        return self.issuer.token(changed.pop("sub", self.subject), self.world.now, key_id, **changed)

    def ask(self, token: str, seconds: float = 0, **headers: str) -> Any:
        given = {"authorization": f"Bearer {token}", **headers}
        with self.world.at(self.world.now + timedelta(seconds=seconds)):
            return self.client.post("/graphql", json={"query": VIEWER}, headers=given)

    def reason(self, token: str, seconds: float = 0) -> str | None:
        """Why a token is refused, None where it is not."""
        response = self.ask(token, seconds)
        if response.status_code == 200:
            return None
        assert response.status_code == 401
        assert set(response.json()) == {"errors"}
        assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        return str(response.headers["www-authenticate"].partition('error_description="')[2].rstrip('"'))

    def designate(self, role: str) -> None:
        self.world.execute(
            "INSERT INTO designation (id, employee_id, role, reason, valid_from, valid_to)"
            " VALUES ($1, $2, $3, 'test', $4, $5)",
            *(uuid.uuid4(), self.employee, role, self.world.now, self.world.now + timedelta(days=9)),
        )


def settings_of(world: World, issuer: Issuer, **changed: Any) -> Settings:
    given: dict[str, Any] = {
        "database_url": world.gateway.settings.database_url,
        "signing_key_file": world.gateway.settings.signing_key_file,
        "employee_token_minutes": world.gateway.settings.employee_token_minutes,
        "oidc_issuer": ISSUER,
        "oidc_audience": AUDIENCE,
        "oidc_jwks_url": issuer.url,
        "oidc_cache_seconds": FRESH,
        "oidc_stale_seconds": STALE,
        "oidc_pause_seconds": PAUSE,
    }
    return Settings(**(given | changed))


def gateway_of(world: World, settings: Settings) -> TestClient:
    """The same register and policy behind a gateway with other settings."""
    database = Database(settings)
    principals = Principals(settings, world.key, database)
    gateway = replace(world.gateway, settings=settings, database=database, principals=principals)
    return TestClient(app_of(gateway))


@contextmanager
def desk_of(world: World, issuer: Issuer) -> Iterator[Desk]:
    """A desk whose employee goes with it."""
    employee, subject = uuid.uuid4(), f"oidc|{uuid.uuid4()}"
    world.execute(
        "INSERT INTO employee (id, name, work_email, subject) VALUES ($1, 'Test employee', $2, $3)",
        *(employee, f"{employee}@store.example", subject),
    )
    with gateway_of(world, settings_of(world, issuer)) as client:
        yield Desk(world, issuer, client, employee, subject)
    world.execute("DELETE FROM designation WHERE employee_id = $1", employee)
    world.execute("DELETE FROM employee WHERE id = $1", employee)
