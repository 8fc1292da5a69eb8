"""The customer and their consent history."""

from __future__ import annotations

import uuid

import strawberry
from sqlalchemy import Text, bindparam

from . import tables
from .fields import Many, Mask, Node, column, computed, entity, many
from .scalars import DateTime
from .states import ConsentPurpose, ConsentState, CustomerStatus
from .writing import IF_VERSION, KEY, Becomes, Declared, Writes, given, input_of, sets


@entity(tables.Customer, description="A customer of the store, with or without credentials.")
class Customer(Node):
    number: str | None = column("The customer number.")
    first_name: str | None = column("First name.", mask=Mask.NAME)
    surname: str | None = column("Surname.", mask=Mask.NAME)
    street_address: str | None = column("Street, house number, flat.")
    postal_code: str | None = column("Postal code, as its country writes it.")
    postal_town: str | None = column("Postal town.")
    country_code: str | None = column("Country, as its ISO 3166-1 code.")
    phone: str | None = column("Telephone number in E.164.", mask=Mask.PHONE)
    email: str | None = column("E-mail address, lower case.", mask=Mask.EMAIL)
    marketing_consent: bool | None = column("Whether the newest newsletter consent is GIVEN.")
    consents: Many = many("ConsentEvent", "The history of consents, append only.", key="customer_id")
    unsubscribe_url: str | None = computed(
        "The link that ends the newsletter with one click (RFC 8058).",
        lambda table: bindparam("setting_public_url", type_=Text()).concat(table.c.unsubscribe_token),
    )
    orders: Many = many("Order", "The customer's orders.", key="customer_id")
    status: CustomerStatus | None = column("What the register may do with the data at present.")
    created_at: DateTime | None = column("When the relationship began.")
    last_active_at: DateTime | None = column("When the customer last did something.")
    restricted_at: DateTime | None = column("Since when processing is restricted (GDPR Article 18).")
    version: int | None = column("The number of the present state, for `ifVersion`.")


@entity(tables.ConsentEvent, description="One decision about the newsletter; the newest counts.")
class ConsentEvent(Node):
    purpose: ConsentPurpose | None = column("What the consent is about.")
    state: ConsentState | None = column("What was decided.")
    at: DateTime | None = column("When.")
    source: str | None = column("Where the decision was made.")
    notice_version: str | None = column("The privacy notice the person saw.")
    text_digest: str | None = column("SHA-256 of the text the person agreed to.")
    actor: str | None = column("Who recorded it.")


@input_of("Customer", Writes.CREATE, description="Who registers.")
class RegisterCustomerInput:
    first_name: str = sets("First name.")
    surname: str = sets("Surname.")
    street_address: str | None = sets("Street, house number, flat.")
    postal_code: str | None = sets("Postal code.")
    postal_town: str | None = sets("Postal town.")
    country_code: str | None = sets("Country, as its ISO 3166-1 code; FI where it is left out.")
    phone: str | None = sets("Telephone number.")
    email: str = sets("E-mail address.")
    marketing_consent: bool | None = sets("Whether to send the newsletter; left out means no.")
    password: str = given("At least 8 characters; stored as an argon2id hash.")
    idempotency_key: uuid.UUID | None = given(KEY)


@input_of("Customer", Writes.UPDATE, description="What changes of a customer's profile.")
class UpdateCustomerInput:
    id: strawberry.ID = given("The customer.")
    if_version: int | None = given(IF_VERSION)
    first_name: str | None = sets("First name.")
    surname: str | None = sets("Surname.")
    street_address: str | None = sets("Street, house number, flat; null takes it away.")
    postal_code: str | None = sets("Postal code; null takes it away.")
    postal_town: str | None = sets("Postal town; null takes it away.")
    country_code: str | None = sets("Country, as its ISO 3166-1 code.")
    phone: str | None = sets("Telephone number; null takes it away.")
    email: str | None = sets("E-mail address.")
    current_password: str | None = given(
        "The present password: customers who have one give it to change their e-mail address."
    )


@input_of("Customer", Writes.UPDATE, description="Whether to send a customer the newsletter.")
class SetMarketingConsentInput:
    id: strawberry.ID = given("The customer.")
    if_version: int | None = given(IF_VERSION)
    marketing_consent: bool = sets("Whether to send the newsletter.")
    evidence: str | None = given("How the customer agreed; employees must say it to give consent.")


MUTATIONS = {
    "register_customer": Declared(
        RegisterCustomerInput,
        "Makes a customer with credentials; the address is confirmed by mail.",
        entities={"customer": "Customer"},
        extras={"access_token": (str, "A token of the new customer, good for some minutes.")},
        becomes=Becomes.CUSTOMER,
        alone=True,
    ),
    "update_customer": Declared(
        UpdateCustomerInput,
        "Changes a customer's profile.",
        entities={"customer": "Customer"},
        alone_with=frozenset({"current_password"}),
    ),
    "set_marketing_consent": Declared(
        SetMarketingConsentInput,
        "Records what a customer decided about the newsletter.",
        entities={"customer": "Customer"},
    ),
}
