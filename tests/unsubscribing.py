"""What the tests of the newsletter's link share: customers who agreed, their links, their decisions."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.signing_in import PASSWORD
from tests.world import World
from tests.writing import kept, key_of

REGISTER = """mutation ($input: RegisterCustomerInput!) { registerCustomer(input: $input) {
  accessToken customer { id } userErrors { code } } }"""
AUDIENCE = """query ($after: String) { customers(first: 100, after: $after) {
  nodes { id firstName email unsubscribeUrl } pageInfo { hasNextPage endCursor } } }"""
CONSENT = """mutation ($input: SetMarketingConsentInput!) { setMarketingConsent(input: $input) {
  customer { marketingConsent version } userErrors { code } } }"""
ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Subscriber:
    """A customer, and the path of the link in their newsletters."""

    id: str
    access_token: str
    link: str

    @property
    def key(self) -> uuid.UUID:
        return key_of(self.id)


def subscribed(world: World) -> Subscriber:
    """A new customer who agreed to the newsletter, with the link as the newsletter's provider is given it."""
    given = {
        "firstName": "Aada",
        "surname": "Esimerkki",
        "email": f"{uuid.uuid4().hex}@store.example",
        "password": PASSWORD,
        "marketingConsent": True,
    }
    made = world.data("anonymous", REGISTER, {"input": given})["registerCustomer"]
    (link,) = (one["unsubscribeUrl"] for one in audience(world) if one["id"] == made["customer"]["id"])
    return Subscriber(made["customer"]["id"], made["accessToken"], urlsplit(link).path)


def audience(world: World, name: str = "newsletter", document: str = AUDIENCE) -> list[dict[str, Any]]:
    """To whom the newsletter goes, as somebody is told, every page of it."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = world.data(name, document, {"after": after})["customers"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def is_in_audience(world: World, one: Subscriber) -> bool:
    return one.id in {customer["id"] for customer in audience(world)}


def agreed(world: World, one: Subscriber, *, wanted: bool = True) -> None:
    """Records what a customer decides in their account."""
    headers = {"Authorization": f"Bearer {one.access_token}"}
    given = {"id": one.id, "marketingConsent": wanted}
    body = world.post("anonymous", CONSENT, {"input": given}, headers=headers).json()
    assert body["data"]["setMarketingConsent"]["customer"]["marketingConsent"] is wanted


def decisions(world: World, one: Subscriber) -> list[tuple[str, str]]:
    """The history of a customer's consents, oldest first, as states and sources."""
    events = kept(world, "consent_event", customer_id=one.key)
    return [(event["state"], event["source"]) for event in sorted(events, key=lambda event: event["at"])]


GIVEN, WITHDRAWN = ("GIVEN", "REGISTRATION"), ("WITHDRAWN", "UNSUBSCRIBE_LINK")
