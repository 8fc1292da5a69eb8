"""Who buys, who is billed, and where the goods go: what an order says, completed from the buyer's profile."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Text, bindparam, literal_column, select
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from schema import formats
from schema.scalars import global_id
from schema.states import CustomerStatus
from schema.writing import UserErrorCode

from ..statements.bound import compiled
from .checks import PROFILE, RECIPIENT, Rule, checked, text
from .customers import without_nulls
from .mistakes import Mistakes, not_found
from .places import COUNTRY
from .rows import Sql
from .work import Work

CONTACT = ("recipientPhone", "recipientEmail")
PLACE = ("streetAddress", "postalCode", "postalTown", "countryCode")
ADDRESS = {name: RECIPIENT[name] for name in PLACE}
BILLED = {"billingName": text("billing_name", 200, required=True)}
MESSAGE = {"customerMessage": text("customer_message", 1000, lines=True)}


@dataclass(frozen=True, slots=True)
class Buyer:
    """A customer and their profile by column; `wrong` are the columns whose mistake is found already."""

    key: uuid.UUID
    profile: Mapping[str, Any]
    is_new: bool = False
    wrong: frozenset[str] = field(default_factory=frozenset)

    @property
    def id(self) -> str:
        """The customer's global id."""
        return global_id("Customer", self.key)

    @property
    def country(self) -> str:
        """The country that counts where none is given."""
        return str(self.profile.get("country_code") or COUNTRY)

    def defaults(self) -> dict[str, object]:
        """What of the profile serves as a recipient and as an address, by GraphQL field; no nulls."""
        names = [str(self.profile[part]) for part in ("first_name", "surname") if self.profile.get(part)]
        found = {name: self.profile.get(PROFILE[name].column) for name in PLACE}
        found |= {"recipientPhone": self.profile.get("phone"), "recipientEmail": self.profile.get("email")}
        found["recipientName"] = " ".join(names) if len(names) == 2 else None
        return without_nulls(found)


async def buyer_of(work: Work, mistakes: Mistakes) -> Buyer:
    """Who buys: the caller, or the guest in the input, who is not inserted yet.

    Raises NOT_FOUND for a caller without an account to buy on: erased, or known by a one-order token alone.
    """
    if (key := work.principal.customer_id) is None:
        return _guest(work, mistakes)
    columns = ("status", *(rule.column for rule in PROFILE.values()))
    row = await work.find("Customer", key, columns, path=())
    if row["status"] == CustomerStatus.ERASED.value:
        raise not_found("Customer.id")
    return Buyer(key, {column: row[column] for column in columns})


def _guest(work: Work, mistakes: Mistakes) -> Buyer:
    if (guest := work.input.get("customer")) is None:
        message = "who buys without an account says who they are"
        mistakes.add(UserErrorCode.REQUIRED, "PlaceOrderInput.customer", message, "customer")
        return Buyer(uuid7(), {}, True, frozenset(rule.column for rule in PROFILE.values()))
    given = {"countryCode": COUNTRY} | without_nulls(guest)
    profile = checked(given, PROFILE, "Customer", COUNTRY, mistakes, "customer")
    columns = {PROFILE[name].column for name in given if name in PROFILE}
    return Buyer(uuid7(), profile, True, frozenset(columns - profile.keys()))


def billing(work: Work, buyer: Buyer, mistakes: Mistakes) -> dict[str, object]:
    """Whom the invoice names, by column; an address that is given counts as a whole."""
    defaults, given = buyer.defaults(), work.input
    name = given.get("billingName")
    name = defaults.get("recipientName") if name is None else name
    found = checked({} if name is None else {"billingName": name}, BILLED, "Order", "", mistakes)
    if name is None and not buyer.wrong & {"first_name", "surname"}:
        mistakes.add(UserErrorCode.REQUIRED, "Order.billingName", "a value is needed", "billingName")
    address = given.get("billingAddress")
    of_address, seen = Mistakes(), defaults if address is None else without_nulls(address)
    wrong = buyer.wrong if address is None else frozenset[str]()
    place = {"countryCode": buyer.country} | {field: seen[field] for field in PLACE if field in seen}
    checked_place = _complete(place, ADDRESS, buyer.country, wrong, of_address, "Order", "billingAddress")
    mistakes.found += [replace(one, coordinate="Order.billingAddress") for one in of_address.found]
    return found | {f"billing_{column}": value for column, value in checked_place.items()}


def recipient(work: Work, buyer: Buyer, mistakes: Mistakes) -> dict[str, object]:
    """Who receives the goods and where, by column; what is left out is the buyer's.

    A place counts as a whole, and so does a person: of a place that is given nothing is the buyer's, and a
    recipient of another name has their own phone and e-mail or none. A null takes away what an order can do
    without: the recipient's phone and e-mail.
    """
    given: Mapping[str, object] = work.input["delivery"]
    required = {name for name, rule in RECIPIENT.items() if rule.required}
    seen = {name: value for name, value in given.items() if value is not None or name not in required}
    defaults, wrong = {"countryCode": buyer.country} | buyer.defaults(), buyer.wrong
    if any(name in seen for name in PLACE):
        # Left out, the country is the store's; a buyer who lives elsewhere may mean theirs, and is asked.
        country = {"countryCode": COUNTRY} if buyer.country == COUNTRY else {}
        defaults = {name: value for name, value in defaults.items() if name not in PLACE} | country
        wrong -= {RECIPIENT[name].column for name in PLACE}
    if "recipientName" in seen and _name(seen["recipientName"]) != _name(defaults.get("recipientName")):
        defaults = {name: value for name, value in defaults.items() if name not in CONTACT}
    return _complete(defaults | seen, RECIPIENT, buyer.country, wrong, mistakes, "Delivery", "delivery")


def _name(name: object) -> str:
    """Letter case and white space tell no names apart."""
    return " ".join(unicodedata.normalize("NFC", str(name)).casefold().split())


def _complete(
    given: Mapping[str, object],
    rules: Mapping[str, Rule],
    country: str,
    wrong: frozenset[str],
    mistakes: Mistakes,
    entity: str,
    path: str,
) -> dict[str, object]:
    """The fields checked, every required one among them, or a mistake where there is none already."""
    found = checked(given, rules, entity, country, mistakes, path)
    for name in (name for name, rule in rules.items() if rule.required and name not in given):
        sources = {"first_name", "surname"} if name == "recipientName" else {rules[name].column}
        if wrong & sources or (name == "postalCode" and _has_no_codes(str(given.get("countryCode")))):
            continue
        mistakes.add(UserErrorCode.REQUIRED, f"{entity}.{name}", "a value is needed", path, name)
    return found


def _has_no_codes(country: str) -> bool:
    """Whether an address of the country may go without a postal code."""
    try:
        return formats.postal_code(None, country.strip().upper()) is None
    except formats.Malformed:
        return False


def message(work: Work, mistakes: Mistakes) -> dict[str, object]:
    """What the buyer writes to the store, by column."""
    return checked(without_nulls(work.input), MESSAGE, "Order", "", mistakes)


async def service(work: Work, mistakes: Mistakes) -> str:
    """The code of the service that takes the goods there, which an active carrier must offer."""
    code = str(work.input["delivery"]["serviceCode"])
    if await work.row(_offered(), code=code) is None:
        message = "no active carrier offers such a service"
        mistakes.add(UserErrorCode.NOT_FOUND, "Delivery.serviceCode", message, "delivery", "serviceCode")
    return code


@lru_cache(maxsize=1)
def _offered() -> Sql:
    carrier, offer = (SQLModel.metadata.tables[name] for name in ("carrier", "carrier_service"))
    query = select(offer.c.code).join(carrier, carrier.c.id == offer.c.carrier_id)
    query = query.where(carrier.c.active, offer.c.code == bindparam("code", type_=Text())).limit(
        literal_column("1")
    )
    return Sql(*compiled(query))
