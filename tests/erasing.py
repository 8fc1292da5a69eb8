"""What the tests of erasure share: people whose every value is their own, and the clock that erases them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from sqlmodel import SQLModel

from gateway.database import Database
from gateway.mail.outbox import Outbox
from gateway.mail.sender import Sender
from gateway.mail.smtp import Answer
from gateway.privacy.erasures import Erasures
from gateway.privacy.notices import Notices
from gateway.privacy.restrictions import Restrictions
from schema.scalars import global_id
from tests.shipments import Sent, insert
from tests.shipments import send as ship
from tests.signing_in import PASSWORD, call, link
from tests.world import NOW, Asker, World
from tests.writing import PLACE, basket, holder, kept, key_of

DAY = timedelta(days=1)
RIGHTS, SERVICE = "subject-rights", "customer-service"
OFFICER = "privacy-officer"
# Until 31 December of the sixth year after that in which the fiscal year ended.
HELD = {"orders.billing_name", "orders.billing_street_address"}
SHOWN = """subjectRequest { id kind channel status decision receivedAt dueAt extendedTo handledBy notified
    retained { coordinate until basis } } customer { id status restrictedAt }
    userErrors { code coordinate message path }"""
PLAIN = """subjectRequest { id kind status decision dueAt extendedTo retained { coordinate until basis } }
    customer { id } userErrors { code coordinate message path }"""
REGISTER = """mutation ($input: RegisterCustomerInput!) { registerCustomer(input: $input) {
    accessToken customer { id } userErrors { code } } }"""


def document(mutation: str, shown: str = PLAIN) -> str:
    """A mutation of requests."""
    kind = f"{mutation[0].upper()}{mutation[1:]}Input"
    erased = "erased" if mutation == "requestErasure" else ""
    return f"mutation ($input: {kind}!) {{ {mutation}(input: $input) {{ {erased} {shown} }} }}"


def asked(
    world: World, who: str, mutation: str, purpose: str | None = None, /, **given: Any
) -> dict[str, Any]:
    """The payload of a mutation of requests."""
    shown = PLAIN if purpose is None else SHOWN
    if purpose == SERVICE:
        shown = shown.replace("restrictedAt", "")
    found: dict[str, Any] = world.data(who, document(mutation, shown), {"input": given}, purpose)[mutation]
    return found


@dataclass(frozen=True)
class Person:
    """A customer of whom every value is like nobody else's; `name` is who asks."""

    name: str
    key: uuid.UUID
    mark: str
    email: str
    values: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return global_id("Customer", self.key)


def _marked() -> tuple[str, dict[str, str]]:
    """A mark, and a profile of which every value but the postal code has it, or digits of its own."""
    mark = uuid.uuid4().hex[:10]
    return mark, {
        "firstName": f"Eka{mark}",
        "surname": f"Suku{mark}",
        "streetAddress": f"Katu{mark} 7",
        "postalCode": "00150",
        "postalTown": f"Kylä{mark}",
        "phone": f"+35840{str(uuid.uuid4().int)[:7]}",
        "email": f"{mark}@person.example",
    }


def new_guest(world: World) -> Person:
    """Somebody who has ordered without an account; who asks holds the link to the order."""
    mark, values = _marked()
    delivery = {"serviceCode": "HOME", "instructions": f"soita{mark}"}
    wanted = basket(customer=values, delivery=delivery, customerMessage=f"viesti{mark}")
    payload = world.data("anonymous", PLACE, {"input": wanted})["placeOrder"]
    assert payload["userErrors"] == []
    (order,) = kept(world, "orders", id=key_of(payload["order"]["id"]))
    name = holder(world, payload["accessToken"])
    return Person(name, order["customer_id"], mark, values["email"], values)


def new_person(world: World, *, confirmed: bool = True) -> Person:
    """A customer with an account, signed in, with every field of the profile."""
    mark, values = _marked()
    payload = world.data("anonymous", REGISTER, {"input": {**values, "password": PASSWORD}})[
        "registerCustomer"
    ]
    assert payload["userErrors"] == []
    key, token = key_of(payload["customer"]["id"]), payload["accessToken"]
    if confirmed:
        person = Person("", key, mark, values["email"])
        assert call(world, "confirmEmail", token=link(world, _Mailed(person), "email-confirmation"))[
            "confirmed"
        ]
        token = call(world, "signIn", email=values["email"], password=PASSWORD)["accessToken"]
    name = f"person-{mark}"
    world.askers[name] = Asker(name, "customer", {"Authorization": f"Bearer {token}"}, customer_id=key)
    return Person(name, key, mark, values["email"], values)


@dataclass(frozen=True)
class _Mailed:
    """A person as `link` wants an account."""

    person: Person

    @property
    def key(self) -> uuid.UUID:
        return self.person.key

    @property
    def email(self) -> str:
        return self.person.email


def bought(world: World, person: Person, **given: Any) -> Any:
    """An order of theirs with a message and a recipient of their own."""
    delivery = {"serviceCode": "HOME", "instructions": f"soita{person.mark}"}
    wanted = basket(delivery=delivery, customerMessage=f"viesti{person.mark}", **given)
    payload = world.data(person.name, PLACE, {"input": wanted})["placeOrder"]
    assert payload["userErrors"] == []
    return payload["order"]


def delivered(world: World, person: Person, **given: Any) -> Sent:
    """An order of theirs that is over: delivered, with what a carrier and the store wrote of it."""
    mark = person.mark
    recipient = {
        "recipient_name": f"Vastaan{mark}",
        "recipient_phone": person.values["phone"],
        "recipient_email": person.email,
        "street_address": person.values["streetAddress"],
        "instructions": f"ovi{mark}",
        "tracking_code": f"T{mark}",
        "signed_by": f"Kuittaaja{mark}",
    }
    order = {"status": "COMPLETED", "customer_message": f"viesti{mark}", "internal_note": f"muistio{mark}"}
    order |= {"billing_name": f"Lasku{mark}", "billing_street_address": f"Laskukatu{mark} 1"}
    return ship(world, "DELIVERED", asker=person.name, order=order, **{**recipient, **given})


def of_database(world: World, step: Callable[[Database], Awaitable[Any]]) -> Any:
    """What the step returns for the gateway's database, on a loop of its own."""

    async def run() -> Any:
        database = Database(world.gateway.settings)
        try:
            return await step(database)
        finally:
            await database.close()

    world.forget()
    return asyncio.run(run())


def tick(world: World, after: timedelta = timedelta()) -> int:
    """What the clock of erasures does so long from now."""
    moment = world.now + after
    return of_database(world, lambda database: Erasures(database, world.gateway.tools.office).run(moment))


def lifts(world: World, after: timedelta = timedelta(), **changed: Any) -> int:
    """How many restrictions the clock ends so long from now, by default where a mail server is set."""
    office, moment = world.gateway.tools.office, world.now + after
    settings = office.settings.model_copy(update={"smtp_url": SecretStr("smtp://127.0.0.1"), **changed})
    office = replace(office, settings=settings)
    lifted: int = of_database(world, lambda database: Restrictions(database, office).lift(moment))
    return lifted


def request_of(world: World, person: Person, kind: str = "ERASURE") -> dict[str, Any]:
    """The newest request of a person, as its row."""
    world.forget()
    rows = [row for row in world.table("subject_request") if row["customer_id"] == person.key]
    return max((row for row in rows if row["kind"] == kind), key=lambda row: row["id"])


def found_of(world: World, person: Person) -> set[str]:
    """The columns in which something stands that is this person's alone."""
    needles = (person.mark, person.values["phone"])
    return {
        f"{table}.{column}"
        for table, row in _rows_with(world, needles)
        for column, value in row.items()
        if any(one in str(value) for one in needles)
    }


def _rows_with(world: World, needles: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    """Every row of every table that holds one of the texts, as text or in bytes, with its table."""
    # PostgreSQL shows bytes as hexadecimal digits.
    patterns = [f"%{form}%" for one in needles for form in (one, one.encode().hex())]

    async def read(connection: Any) -> list[tuple[str, dict[str, Any]]]:
        return [
            (name, dict(row))
            for name in SQLModel.metadata.tables
            for row in await connection.fetch(
                f'SELECT * FROM "{name}" AS one WHERE one::text LIKE ANY ($1)', patterns
            )
        ]

    found: list[tuple[str, dict[str, Any]]] = world.run(read)
    return found


class Post:
    """A mail server that takes what it is told to take, and keeps it."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.taken: list[Any] = []

    async def send(self, waiting: Any) -> Answer:
        answer = self.answers.pop(0) if self.answers else Answer.ACCEPTED
        if answer is Answer.ACCEPTED:
            self.taken.append(waiting)
        return answer


def sends(world: World, post: Post, *, mail: bool = True, after: timedelta = 4 * DAY) -> int:
    """What of the mail, or of the notices, is sent so long from now."""
    recipients, moment = world.gateway.tools.office.recipients, world.now + after

    def run(database: Database) -> Any:
        queue = Outbox(database) if mail else Notices(database, recipients)
        return Sender(queue, post, lambda: moment).send_due()  # type: ignore[arg-type]  # as the port has it

    return int(of_database(world, run))


def asked_for(world: World, person: Person) -> dict[str, Any]:
    payload = asked(world, person.name, "requestErasure")
    assert payload["userErrors"] == []
    return payload


def code_of(payload: Any) -> str:
    (mistake,) = payload["userErrors"]
    return f"{mistake['code']} {mistake['coordinate']}"


def hold(
    world: World, person: Person, *fields: str, order: uuid.UUID | None = None, **given: Any
) -> uuid.UUID:
    """A hold on the customer, or on an order of theirs."""
    key = uuid.uuid4()
    row = {
        "id": key,
        "customer_id": person.key,
        "order_id": order,
        "target_entity": "Order" if order else "Customer",
        "target_id": order or person.key,
        "fields": sorted(fields),
        "basis": "a claim in court",
        "until": (NOW + 400 * DAY).date(),
        "placed_at": NOW,
        "placed_by": "RW1wbG95ZWU6MQ==",
    }
    insert(world, ("legal_hold", row | given))
    return key


def decided(world: World, request: str, **given: Any) -> dict[str, Any]:
    return asked(world, OFFICER, "decideSubjectRequest", RIGHTS, id=request, **given)


def quiet(world: World) -> None:
    """Has everything that waits to be done, sent or told over."""
    world.execute("""UPDATE subject_request SET status = 'WITHDRAWN'
        WHERE kind = 'ERASURE' AND status IN ('RECEIVED', 'ACCEPTED')""")
    world.execute("""UPDATE subject_request SET status = 'COMPLETED', completed_at = executed_at
        WHERE kind = 'ERASURE' AND status = 'EXECUTED'""")
    quiet_mail(world)


def deliver_all(world: World, person: Person) -> None:
    """Has every order of theirs over."""
    ids = [row["id"] for row in kept(world, "orders", customer_id=person.key)]
    world.execute("UPDATE orders SET status = 'COMPLETED' WHERE id = ANY ($1)", ids)
    closed = "UPDATE delivery SET status = 'DELIVERED', delivered_at = $2 WHERE order_id = ANY ($1)"
    world.execute(closed, ids, NOW)


def quiet_mail(world: World) -> None:
    """Has everything that waits to be sent or told gone."""
    world.execute("DELETE FROM mail")
    world.execute("UPDATE erasure_notice SET sent_at = created_at WHERE sent_at IS NULL")
