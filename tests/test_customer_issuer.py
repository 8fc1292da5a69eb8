"""Tokens of the customers' identity provider: of the customer with their subject, and of nobody else."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from gateway.config import Settings
from gateway.errors import StartError
from schema.scalars import global_id
from tests.desk import VIEWER, gateway_of, settings_of
from tests.issuer import AUDIENCE, ISSUER, Issuer, issuing
from tests.world import World

CUSTOMERS_ISSUER, CUSTOMERS_AUDIENCE = "https://accounts.store.example/", "register-of-customers"
PATIENCE_SECONDS = 5
OWN_ROWS = """
{ customers(first: 50) { totalCount nodes { id email } }
  orders(first: 50) { totalCount nodes { id total { amount } } }
  deliveries(first: 50) { totalCount nodes { id recipientName } }
  returns(first: 50) { totalCount nodes { id } } }"""


@dataclass(repr=False)
class Store:
    """A gateway with a provider of its customers and one of its employees, who use one subject for both."""

    world: World
    customers: Issuer
    employees: Issuer
    client: TestClient
    customer: uuid.UUID
    employee: uuid.UUID
    subject: str = field(default_factory=lambda: f"user|{uuid.uuid4()}")

    def token(self, **changed: Any) -> str:
        """A token of the customers' provider."""
        claims = {"iss": CUSTOMERS_ISSUER, "aud": CUSTOMERS_AUDIENCE} | changed
        return self.customers.token(claims.pop("sub", self.subject), self.world.now, "k", **claims)

    def employees_token(self, **changed: Any) -> str:
        return self.employees.token(changed.pop("sub", self.subject), self.world.now, "k", **changed)

    def own_token(self) -> str:
        """A token of the gateway itself for the same customer."""
        return self.world.customer_token(self.customer, timedelta(days=1))

    def ask(self, token: str, query: str = VIEWER, seconds: float = 0, act_as: str | None = None) -> Any:
        given = {"authorization": f"Bearer {token}"} | ({} if act_as is None else {"act-as": act_as})
        with self.world.at(self.world.now + timedelta(seconds=seconds)):
            return self.client.post("/graphql", json={"query": query}, headers=given)

    def viewer(self, token: str) -> tuple[Any, Any]:
        response = self.ask(token)
        assert response.status_code == 200, response.text
        found = response.json()["data"]["viewer"]
        return found["role"], found["principalId"]

    def reason(self, token: str, seconds: float = 0) -> str | None:
        """Why a token is refused, None where it is not."""
        response = self.ask(token, seconds=seconds)
        if response.status_code == 200:
            return None
        assert response.status_code == 401
        assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        assert "data" not in response.json()
        return str(response.headers["www-authenticate"].partition('error_description="')[2].rstrip('"'))

    def change(self, changes: str) -> None:
        """Changes the customer's row as the owner of the tables."""
        self.world.execute(f"UPDATE customer SET {changes} WHERE id = $1", self.customer)

    def until(self, holds: Any) -> None:
        """Waits for what a notice brings about, while the gateway's clock stands still."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.01)

    def until_listening(self) -> None:
        self.until(lambda: self.client.get("/readyz").json()["listening"])


@pytest.fixture
def providers() -> Iterator[tuple[Issuer, Issuer]]:
    """Two providers, each with a key of the same id."""
    with issuing() as customers, issuing() as employees:
        customers.add("k")
        employees.add("k")
        yield customers, employees


def both(world: World, customers: Issuer, employees: Issuer, **changed: Any) -> Settings:
    given = {
        "customer_oidc_issuer": CUSTOMERS_ISSUER,
        "customer_oidc_audience": CUSTOMERS_AUDIENCE,
        "customer_oidc_jwks_url": customers.url,
    }
    return settings_of(world, employees, **(given | changed))


@pytest.fixture
def store(writable: World, providers: tuple[Issuer, Issuer]) -> Iterator[Store]:
    """A store whose gateway has the login role's rights alone."""
    world, employee, customer = writable, uuid.uuid4(), writable.askers["customer"].customer_id
    assert customer is not None
    with gateway_of(world, both(world, *providers)) as client:
        found = Store(world, *providers, client, customer, employee)
        world.execute("UPDATE customer SET subject = $2 WHERE id = $1", customer, found.subject)
        world.execute(
            "INSERT INTO employee (id, name, work_email, subject) VALUES ($1, 'Test employee', $2, $3)",
            *(employee, f"{employee}@store.example", found.subject),
        )
        yield found
    found.change("subject = NULL, status = 'ACTIVE', erased_at = NULL, restricted_at = NULL")
    world.execute("DELETE FROM employee WHERE id = $1", employee)


# ---------------------------------------------------------------- who


def test_a_token_is_of_the_customer_with_its_subject(store: Store) -> None:
    assert store.viewer(store.token()) == ("customer", global_id("Customer", store.customer))


def test_it_shows_what_the_gateways_own_token_shows_and_no_row_of_others(store: Store) -> None:
    found = store.ask(store.token(), OWN_ROWS).json()
    assert found == store.ask(store.own_token(), OWN_ROWS).json()
    shown = {each["id"] for each in found["data"]["orders"]["nodes"]}
    rows = store.world.table("orders")
    own = {global_id("Order", row["id"]) for row in rows if row["customer_id"] == store.customer}
    assert shown
    assert shown <= own
    assert found["data"]["orders"]["totalCount"] == len(own) < len(rows)
    assert found["data"]["customers"]["totalCount"] == 1


def test_what_the_provider_claims_beside_the_subject_is_not_read(store: Store) -> None:
    claims = {"role": "register_admin", "email": "x@y.example", "order": str(uuid.uuid4()), "sid": "s"}
    assert store.viewer(store.token(**claims)) == ("customer", global_id("Customer", store.customer))
    assert store.ask(store.token(**claims), act_as="register_admin").status_code == 403


def test_nobody_is_found_by_anything_but_the_subject(store: Store) -> None:
    (row,) = (each for each in store.world.table("customer") if each["id"] == store.customer)
    names = (row["email"], row["number"], str(row["id"]), f"customer:{row['id']}", store.subject.upper())
    for subject in names:
        assert store.reason(store.token(sub=subject, email=row["email"])) == "unknown customer"


def test_a_restricted_customer_is_let_in_as_by_an_own_token(store: Store) -> None:
    store.change("status = 'RESTRICTED', restricted_at = now()")
    found = store.ask(store.token(), OWN_ROWS).json()
    assert found == store.ask(store.own_token(), OWN_ROWS).json()
    assert found["data"]["customers"]["totalCount"] == 1


@pytest.mark.parametrize("changes", ["status = 'ERASED', erased_at = now()", "erased_at = now()"])
def test_an_erased_customer_is_not_known(store: Store, changes: str) -> None:
    assert store.reason(store.token()) is None
    store.change(changes)
    assert store.reason(store.token(), seconds=2) == "unknown customer"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "the employees' audience": ({"aud": AUDIENCE}, "audience"),
    "the gateway's own audience": ({"aud": "customer-register"}, "audience"),
    "no audience": ({"aud": None}, "claim missing"),
    "expired": ({"exp": 1}, "expired"),
    "a key id that is not published": ({"headers": {"kid": "other"}}, "unknown key"),
    "another issuer": ({"iss": "https://accounts.other.example/"}, "signature"),
    "half a surrogate pair": ({"sub": "\ud800"}, "malformed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_that_proves_nothing_is_refused_with_its_reason(store: Store, name: str) -> None:
    changed, reason = REFUSED[name]
    assert store.reason(store.token(**changed)) == reason


# ---------------------------------------------------------------- two providers


def test_whose_a_token_is_follows_from_its_issuer_alone(store: Store) -> None:
    for _ in range(2):  # the second time both are known
        assert store.viewer(store.token()) == ("customer", global_id("Customer", store.customer))
        assert store.viewer(store.employees_token()) == (None, global_id("Employee", store.employee))


def test_neither_providers_key_signs_for_the_other(store: Store) -> None:
    assert store.reason(store.token(iss=ISSUER, aud=AUDIENCE)) == "signature"
    claims = {"iss": CUSTOMERS_ISSUER, "aud": CUSTOMERS_AUDIENCE}
    assert store.reason(store.employees_token(**claims)) == "signature"


def test_who_is_known_to_one_provider_is_not_to_the_other(store: Store) -> None:
    store.change("subject = NULL")
    assert store.reason(store.token()) == "unknown customer"
    assert store.reason(store.employees_token()) is None
    store.world.execute("UPDATE employee SET subject = NULL WHERE id = $1", store.employee)
    store.world.execute("UPDATE customer SET subject = $2 WHERE id = $1", store.customer, store.subject)
    assert store.reason(store.token(), seconds=2) is None
    assert store.reason(store.employees_token(), seconds=2) == "unknown employee"


def test_while_one_provider_fails_the_other_lets_in(store: Store) -> None:
    store.customers.fails = True
    assert store.reason(store.token()) == "unknown key"
    assert store.reason(store.employees_token()) is None


def test_without_a_provider_of_customers_its_tokens_prove_nothing(store: Store) -> None:
    with gateway_of(store.world, settings_of(store.world, store.employees)) as client:
        headers = {"authorization": f"Bearer {store.token()}"}
        assert client.post("/graphql", json={"query": VIEWER}, headers=headers).status_code == 401
    assert store.customers.requests == 0


# ---------------------------------------------------------------- what ends


@pytest.mark.parametrize(
    "changes",
    ["subject = NULL", "subject = subject || 'x'", "status = 'ERASED'", "erased_at = now()"],
)
def test_a_change_counts_as_soon_as_the_worker_hears_of_it(store: Store, changes: str) -> None:
    store.until_listening()
    assert store.reason(store.token()) is None
    store.change(changes)
    store.until(lambda: store.reason(store.token()) == "unknown customer")


def test_a_subject_that_goes_to_another_customer_takes_the_token_along(store: Store) -> None:
    store.until_listening()
    assert store.reason(store.token()) is None
    other = store.world.askers["customer-2"].customer_id
    store.change("subject = NULL")
    try:
        store.world.execute("UPDATE customer SET subject = $2 WHERE id = $1", other, store.subject)
        assert other is not None
        shown = ("customer", global_id("Customer", other))
        store.until(lambda: store.reason(store.token()) is None and store.viewer(store.token()) == shown)
    finally:
        store.world.execute("UPDATE customer SET subject = NULL WHERE id = $1", other)


def test_own_tokens_hold_whatever_becomes_of_the_subject(store: Store) -> None:
    shown = ("customer", global_id("Customer", store.customer))
    assert store.viewer(store.own_token()) == shown
    store.change("subject = NULL")
    assert store.reason(store.token(), seconds=2) == "unknown customer"
    assert store.viewer(store.own_token()) == shown


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"customer_oidc_issuer": ISSUER}, "GATEWAY_CUSTOMER_OIDC_ISSUER is the employees'"),
        ({"customer_oidc_issuer": "https://store.example/"}, "GATEWAY_CUSTOMER_OIDC_ISSUER is the gateway's"),
        ({"oidc_issuer": "https://store.example/"}, "GATEWAY_OIDC_ISSUER is the gateway's"),
        ({"customer_oidc_issuer": None}, "GATEWAY_CUSTOMER_OIDC_ISSUER, .* go together"),
        ({"customer_oidc_audience": None}, "GATEWAY_CUSTOMER_OIDC_ISSUER, .* go together"),
        ({"customer_oidc_jwks_url": None}, "GATEWAY_CUSTOMER_OIDC_ISSUER, .* go together"),
        ({"customer_oidc_jwks_url": "http://accounts.store.example/keys"}, "keys are fetched from"),
    ],
)
def test_settings_that_would_confuse_issuers_stop_the_start(
    world: World, providers: tuple[Issuer, Issuer], changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        both(world, *providers, **changed)


def test_the_start_says_in_one_line_that_two_issuers_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://localhost/register")
    for prefix in ("OIDC", "CUSTOMER_OIDC"):
        monkeypatch.setenv(f"GATEWAY_{prefix}_ISSUER", ISSUER)
        monkeypatch.setenv(f"GATEWAY_{prefix}_AUDIENCE", AUDIENCE)
        monkeypatch.setenv(f"GATEWAY_{prefix}_JWKS_URL", "https://login.store.example/keys")
    with pytest.raises(StartError, match=r"GATEWAY_CUSTOMER_OIDC_ISSUER is the employees'") as caught:
        Settings.read()
    assert "\n" not in str(caught.value)
