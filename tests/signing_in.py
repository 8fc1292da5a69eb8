"""What the tests of signing in share: accounts with confirmed addresses, their mail, and what they call."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from argon2 import PasswordHasher

from tests.world import World
from tests.writing import key_of

REGISTER = """mutation ($input: RegisterCustomerInput!) { registerCustomer(input: $input) {
  accessToken customer { id email } userErrors { code } } }"""
ERRORS = "userErrors { code coordinate message path currentVersion }"
TOKENS = f"accessToken refreshToken {ERRORS}"
FIELDS = {
    "signIn": TOKENS,
    "refreshSession": TOKENS,
    "signOut": f"ended {ERRORS}",
    "confirmEmail": f"confirmed {ERRORS}",
    "requestPasswordReset": f"accepted {ERRORS}",
    "resetPassword": f"changed {ERRORS}",
    "changePassword": f"changed {ERRORS}",
}
UPDATE = """mutation ($input: UpdateCustomerInput!) { updateCustomer(input: $input) {
  customer { email version } userErrors { code coordinate message path currentVersion } } }"""
SERVICE = "customer-service"
PASSWORD = "a long enough password"
OTHER_PASSWORD = "another password, still"
TOKEN_IN_URL = re.compile(r"(\S*)#(crl_[0-9a-f]{72})$", re.MULTILINE)


@dataclass(frozen=True)
class Account:
    """A registered customer."""

    id: str
    email: str
    access_token: str
    password: str = PASSWORD

    @property
    def key(self) -> uuid.UUID:
        return key_of(self.id)


def document(mutation: str) -> str:
    kind = f"{mutation[0].upper()}{mutation[1:]}Input"
    return f"mutation ($input: {kind}!) {{ {mutation}(input: $input) {{ {FIELDS[mutation]} }} }}"


def sent(world: World, mutation: str, bearer: str | None = None, /, **given: Any) -> Any:
    """The HTTP response to one of the mutations, with an access token or without."""
    headers = None if bearer is None else {"Authorization": f"Bearer {bearer}"}
    return world.post("anonymous", document(mutation), {"input": given}, headers=headers)


def call(world: World, mutation: str, bearer: str | None = None, /, **given: Any) -> dict[str, Any]:
    """The payload of one of the mutations."""
    response = sent(world, mutation, bearer, **given)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["data"][mutation]
    return found


def refusal(mutation: str) -> dict[str, Any]:
    """The one payload of a proof that does not hold."""
    error = {
        "code": "INVALID_CREDENTIALS",
        "coordinate": f"Mutation.{mutation}",
        "message": "what was given as proof is not accepted",
        "path": [],
        "currentVersion": None,
    }
    fields = dict.fromkeys(FIELDS[mutation].removesuffix(ERRORS).split())
    return {**fields, "userErrors": [error]}


def registered(world: World, email: str | None = None, password: str = PASSWORD) -> Account:
    """A customer whose address is not confirmed yet."""
    address = email or f"{uuid.uuid4().hex}@store.example"
    given = {"firstName": "Aada", "surname": "Esimerkki", "email": address, "password": password}
    payload = world.data("anonymous", REGISTER, {"input": given})["registerCustomer"]
    assert payload["userErrors"] == []
    return Account(payload["customer"]["id"], address, payload["accessToken"], password)


def confirmed(world: World) -> Account:
    """A customer who can sign in."""
    account = registered(world)
    payload = call(world, "confirmEmail", token=link(world, account, "email-confirmation"))
    assert payload == {"confirmed": True, "userErrors": []}
    return account


def signed_in(world: World, account: Account, password: str | None = None) -> dict[str, Any]:
    """The tokens of a new session."""
    payload = call(world, "signIn", email=account.email, password=password or account.password)
    assert payload["userErrors"] == []
    return payload


def updated(
    world: World, account: Account, name: str = "anonymous", bearer: str | None = None, **given: Any
) -> Any:
    """The response to a change of a profile, by the customer or by somebody else on their behalf."""
    own = {"Authorization": f"Bearer {bearer or account.access_token}"}
    headers, purpose = (own, None) if name == "anonymous" else (None, SERVICE)
    return world.post(name, UPDATE, {"input": {"id": account.id, **given}}, purpose, headers=headers)


def moved(world: World, account: Account, email: str, name: str = "anonymous") -> None:
    """Changes the address in the register, by the customer or by somebody else."""
    proof = {"currentPassword": account.password} if name == "anonymous" else {}
    body = updated(world, account, name, email=email, **proof).json()
    assert body["data"]["updateCustomer"]["customer"]["email"] == email, body


def letters(world: World, account: Account, kind: str, email: str | None = None) -> list[str]:
    """The texts of the mail of a kind to a customer, oldest first."""
    world.forget()
    rows = [row for row in world.table("mail") if row["customer_id"] == account.key and row["kind"] == kind]
    address = email or account.email
    return [row["body"] for row in sorted(rows, key=lambda row: row["id"]) if row["recipient"] == address]


def link(world: World, account: Account, kind: str, email: str | None = None) -> str:
    """The token of the newest link of a kind that was mailed to a customer."""
    found = TOKEN_IN_URL.search(letters(world, account, kind, email)[-1])
    assert found is not None
    return found[2]


def asked_to_reset(world: World, account: Account) -> str:
    """The token of a link to set a new password."""
    assert call(world, "requestPasswordReset", email=account.email) == {"accepted": True, "userErrors": []}
    return link(world, account, "password-reset")


def viewer(world: World, token: str) -> tuple[int, str | None]:
    """The status, and as whom the holder of a token is known or why they are not."""
    response = world.post("anonymous", "{ viewer { role } }", headers={"Authorization": f"Bearer {token}"})
    if response.status_code == 401:
        return 401, response.headers["www-authenticate"].partition("error_description=")[2].strip('"')
    return response.status_code, response.json()["data"]["viewer"]["role"]


ALIVE = (200, "customer")
ENDED = (401, "revoked")
REVOKED_WITHIN_SECONDS = 2
HEARD_WITHIN_SECONDS = 10


def is_believed(world: World, token: str) -> bool:
    """Whether the token's holder is known without asking the database.

    The notice of the session's own making has it forgotten once, as late as that comes.
    """
    deadline = time.monotonic() + HEARD_WITHIN_SECONDS
    while time.monotonic() < deadline:
        with world.recorded() as statements:
            assert viewer(world, token) == ALIVE
        if not statements:
            return True
    return False


def until(holds: Callable[[], bool]) -> bool:
    """Whether something holds within the time in which what was revoked is refused everywhere."""
    deadline = time.monotonic() + REVOKED_WITHIN_SECONDS
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return False


@contextmanager
def hashings() -> Iterator[list[str]]:
    """What argon2 is asked to do while the block runs; it still does it."""
    found: list[str] = []

    def recording(name: str) -> Any:
        run = getattr(PasswordHasher, name)

        def recorded(self: PasswordHasher, *given: Any) -> Any:
            found.append(name)
            return run(self, *given)

        return recorded

    with pytest.MonkeyPatch.context() as patch:
        for name in ("verify", "hash"):
            patch.setattr(PasswordHasher, name, recording(name))
        yield found
