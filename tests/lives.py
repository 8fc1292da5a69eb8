"""A life in the making: changes that are asked for over HTTP, each held to what was foretold of it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import jwt
from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine

from schema.scalars import global_id
from tests.foretold import foretold, foretold_reports
from tests.invariants import Ledger, Move, Row, Rows, Said, check_step, key_of, listed
from tests.naive_rules import Asker as NaiveAsker
from tests.naive_rules import Register
from tests.world import NOW, Asker, World

SHOWN = {
    "placeOrder": "accessToken order { id }",
    "cancelOrder": "order { id }",
    "updateOrder": "order { id }",
    "addOrderNote": "order { id }",
    "createDelivery": "delivery { id }",
    "updateDelivery": "delivery { id }",
    "updateDeliveryAddress": "delivery { id }",
    "reportDeliveryEvent": "results { outcome idempotencyKey eventId userErrors { code } }",
    "requestReturn": "return { id }",
    "updateReturn": "return { id }",
}
PURPOSES = {"support": "customer-service", "register-admin": "customer-service"}
FINANCE = {"updateOrder": "payment", "updateReturn": "returns"}


class Life(RuleBasedStateMachine):
    """A register without orders, those who act on it, and what they were answered so far."""

    def __init__(self, world: World, ledger: Ledger, seeded: list[uuid.UUID]) -> None:
        super().__init__()
        self.world, self.ledger, self.seeded = world, ledger, seeded
        self.world.clock.now = NOW
        self.recorded: dict[tuple[str, str], str] = {}
        self.guests: dict[uuid.UUID, str] = {}
        self.made: dict[tuple[str, str], tuple[datetime, Move, Any]] = {}
        ledger.empty(seeded)
        self.rows: Rows = ledger.register()

    # ------------------------------------------------------------ asking

    def ask(self, move: Move) -> Said:
        """Makes a change, and holds it to what it may do."""
        note(f"{move}")
        shown, kind = SHOWN[move.mutation], f"{move.mutation[0].upper()}{move.mutation[1:]}Input!"
        document = (
            f"mutation ($input: {kind}) {{ {move.mutation}(input: $input) {{ {shown} "
            "userErrors { code coordinate path currentVersion } } }"
        )
        status, body = self.world.ask(move.asker, document, {"input": dict(move.given)}, move.purpose)
        before, self.rows = self.rows, self.ledger.register()
        said = answered(status, body, move)
        note(f"  {sorted(said.codes) or said.outcomes or 'done'}")
        check_step(before, self.rows, move, said, self.world)
        if said.is_done and "idempotencyKey" in move.given:
            self.remember(move, said, is_same=before == self.rows)
        return said

    def earlier(self, move: Move) -> Move | None:
        """What was made under the move's key within a day."""
        at, found, _ = self.made.get((move.asker, move.given.get("idempotencyKey", "")), (NOW, None, None))
        return found if self.world.now < at + timedelta(hours=24) else None

    def remember(self, move: Move, said: Said, is_same: bool) -> None:
        """The same request again gives the same thing, and changes nothing."""
        key = move.asker, move.given["idempotencyKey"]
        (made,) = [one for name, one in said.payload.items() if name not in ("userErrors", "accessToken")]
        if self.earlier(move) is None:
            assert not is_same
            self.made[key] = self.world.now, move, made
        else:
            assert is_same
            assert made in (None, self.made[key][2])

    def change(self, asker: str, mutation: str, **given: Any) -> Said:
        """Makes a change whose answer is foretold."""
        found = self.world.askers[asker]
        purpose = FINANCE.get(mutation) if asker == "finance" else PURPOSES.get(asker)
        move = Move(asker, mutation, {k: v for k, v in given.items() if v is not ...}, purpose)
        return self.hold(move, foretold(self.register(found, purpose), move, self.earlier(move)))

    def hold(self, move: Move, codes: frozenset[str]) -> Said:
        """Makes a change, and holds the answer to one of these codes."""
        said = self.ask(move)
        if codes:
            assert said.codes, f"{move} was made, and is {sorted(codes)}"
            assert said.codes <= codes, f"{move} is {sorted(codes)}, and was answered {sorted(said.codes)}"
        else:
            assert not said.codes, f"{move} may be made, and was answered {sorted(said.codes)}"
        return said

    def register(self, asker: Asker, purpose: str | None) -> Register:
        naive = NaiveAsker(asker.role, asker.customer_id, asker.order_id, asker.carrier_id, purpose)
        return Register(listed(self.rows), naive, self.world.now)

    # ------------------------------------------------------------ finding

    def one(self, table: str, place: int) -> Row:
        """One of a table's rows, by its age."""
        rows = sorted(self.rows[table].values(), key=lambda row: row["id"])
        return rows[place % len(rows)]

    def has(self, table: str) -> bool:
        return bool(self.rows[table])

    def asker(self, name: str, row: Row) -> str:
        """Who acts on a row: its owner, the guest who ordered, or somebody by name."""
        order = row.get("order_id", row["id"])
        owned = {one.customer_id: name for name, one in self.world.askers.items() if one.order_id is None}
        match name:
            case "guest":
                return self.guests.get(order, "anonymous")
            case "owner":
                return self.guests.get(order) or owned.get(row["customer_id"], "customer")
            case _:
                return name

    def carrier_id(self, name: str) -> str:
        if name == "idle":
            rows = self.rows["carrier"].values()
            return global_id("Carrier", next(row["id"] for row in rows if not row["active"]))
        key = self.world.askers[name].carrier_id
        assert key is not None
        return global_id("Carrier", key)

    def carrier_of(self, delivery: Row) -> str:
        keys = {one.carrier_id: name for name, one in self.world.askers.items() if one.carrier_id}
        return keys.get(delivery["carrier_id"], "carrier")

    def admit(self, order: uuid.UUID, token: str) -> None:
        name = self.guests.setdefault(order, f"guest-{len(self.guests)}")
        customer = self.rows["orders"][(order,)]["customer_id"]
        headers = {"Authorization": f"Bearer {token}"}
        self.world.askers[name] = Asker(name, "customer", headers, customer, order)

    def told(self, delivery: Row, status: str, minutes: int, place: str | None) -> dict[str, Any]:
        number = len(self.recorded) * 100 + minutes
        return {
            "deliveryId": global_id("Delivery", delivery["id"]),
            "status": status,
            "occurredAt": (self.world.now - timedelta(minutes=minutes)).isoformat(),
            "place": place,
            "idempotencyKey": str(uuid.UUID(int=number + 10_000)),
            **({"signedBy": "Otto Vastaan"} if status == "DELIVERED" else {}),
        }

    def report(self, who: str, told: list[dict[str, Any]]) -> None:
        register = self.register(self.world.askers[who], None)
        said = self.ask(Move(who, "reportDeliveryEvent", {"events": told}))
        assert said.is_done
        outcomes, statuses = foretold_reports(register, told)
        assert said.outcomes == outcomes, told
        assert {key: self.rows["delivery"][(key,)]["status"] for key in statuses} == statuses, told
        for one, result in zip(told, said.payload["results"], strict=True):
            key = one["deliveryId"], one["idempotencyKey"]
            if result["outcome"] == "DUPLICATE":
                assert self.recorded[key] == result["eventId"]
            if result["outcome"] == "RECORDED":
                assert self.recorded.setdefault(key, result["eventId"]) == result["eventId"]
                event = self.rows["delivery_event"][(key_of(result["eventId"]),)]
                assert (event["status"], event["place"]) == (one["status"], one["place"])
                assert event["occurred_at"].isoformat() == one["occurredAt"]

    def place_of(self, order: uuid.UUID) -> int:
        return sorted(key for (key,) in self.rows["orders"]).index(order)


def named(entity: str, row: Row, version: int | None) -> dict[str, Any]:
    """The row to change; with a version, the present one plus so many."""
    expected = {} if version is None else {"ifVersion": row["version"] + version}
    return {"id": global_id(entity, row["id"]), **expected}


def keyed(key: int | None) -> dict[str, str]:
    """An idempotency key, where there is one; they are few, so that they come again."""
    return {} if key is None else {"idempotencyKey": str(uuid.UUID(int=key))}


def answered(status: int, body: Any, move: Move) -> Said:
    """What an answer says; anything but a payload or a refusal is a failure."""
    if status == 403:
        codes = {error["extensions"]["code"] for error in body["errors"]}
        assert codes <= {"FIELD_FORBIDDEN", "PURPOSE_REQUIRED"}, body
        return Said(frozenset({"REFUSED"}), {})
    assert status == 200, body
    assert "errors" not in body or all(
        error["extensions"]["code"] in ("FIELD_FORBIDDEN", "PURPOSE_REQUIRED") for error in body["errors"]
    ), body
    if body.get("data") is None:
        return Said(frozenset({"REFUSED"}), {})
    payload = body["data"][move.mutation]
    return Said(frozenset(error["code"] for error in payload["userErrors"]), payload)


def lasting(world: World, asker: Asker) -> Asker:
    """The asker with a token that outlives every life."""
    token = asker.headers.get("Authorization", "").removeprefix("Bearer ")
    if token.count(".") != 2 or asker.order_id is not None:
        return asker
    claims = jwt.decode(token, options={"verify_signature": False})
    kind, _, key = claims["sub"].partition(":")
    days = timedelta(days=90)
    if kind == "customer":
        made = world.customer_token(uuid.UUID(key), days)
    else:
        made = world.key.sign(kind, uuid.UUID(key), world.gateway.settings, now=NOW, lifetime=days)
    return replace(asker, headers={"Authorization": f"Bearer {made}"})
