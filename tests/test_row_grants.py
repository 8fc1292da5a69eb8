"""Grants on writing are judged row by row: two of them never add up to more than either on any row."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from gateway.grants import Line, Use
from gateway.principal import ANONYMOUS
from gateway.row_rules import Scope, is_for_changes, speaks_of
from gateway.statements.bound import bound_values
from gateway.writes.rows import Sql, Target, change_row, find_row
from schema.model import load_model
from schema.scalars import global_id
from tests.naive_rules import TABLES, Asker, Register
from tests.test_matrix import asker_of
from tests.test_policy import LINES, with_policy
from tests.world import World

RULES = (
    *("every", "all", "linked", "own", "self", "open", "consented", "assigned", "assigned_open"),
    *("assigned_address", "assigned_phone", "assigned_email", "new", "undispatched", "unrefunded"),
)
CHANGED = [name for name, entity in load_model().entities.items() if "version" in entity.table.c]


def values_of(world: World, asker: Asker, sql: Sql, **given: Any) -> list[Any]:
    principal = replace(
        ANONYMOUS,
        customer_id=asker.customer_id,
        order_id=asker.order_id,
        carrier_id=asker.carrier_id,
        employee_id=asker.employee_id,
    )
    bound = bound_values(principal, world.now, world.gateway.constants, {}) | given
    return [bound[name] for name in sql.names]


def target(entity: str, visible: str, guards: Iterable[str], asker: Asker) -> Target:
    scope = Scope.ACCOUNT if asker.order_id is None else Scope.ONE_ORDER
    return Target(entity, TABLES[entity], frozenset({visible}), tuple(map(_alone, guards)), scope)


def _alone(rule: str) -> frozenset[str]:
    return frozenset({rule})


def rules_of(entity: str) -> list[str]:
    return [rule for rule in RULES if speaks_of(rule, TABLES[entity])]


@pytest.mark.parametrize("entity", CHANGED)
@pytest.mark.parametrize("name", ["customer", "customer-2", "one-order", "carrier", "carrier-2", "support"])
def test_every_rule_means_the_same_rows_in_a_change_as_in_the_matrix(
    world: World, entity: str, name: str
) -> None:
    asker = asker_of(world, name, None)
    register = Register(world.rows(), asker, world.now)
    rules = rules_of(entity)
    sql = find_row(target(entity, "every", rules, asker), (), locks=False)

    async def allowed(connection: Any) -> dict[Any, list[bool]]:
        prepared = await connection.prepare(sql.text)
        found = {}
        for row in register.rows[entity].values():
            values = values_of(world, asker, sql, key=row["id"])
            # A rule about an id the caller does not have is neither true nor false, and so means no row.
            found[row["id"]] = [bool(each) for each in (await prepared.fetchrow(*values))["allowed"]]
        return found

    rows = register.rows[entity]
    for key, holds in world.run(allowed).items():
        assert holds == [register.holds(rule, entity, rows[key]) for rule in rules], (key, rules)


COLUMNS = {
    "Customer": ("first_name", "phone"),
    "Order": ("customer_message", "internal_note"),
    "Delivery": ("tracking_code", "pickup_point"),
    "Return": ("reason_text", "inspection_note"),
    "Carrier": ("name", "contact_email"),
}


@pytest.mark.parametrize("entity", CHANGED)
def test_two_guards_in_one_statement_change_only_rows_that_both_mean(world: World, entity: str) -> None:
    """Each pair of rules on each row, in a transaction that is undone."""
    carried = entity == "Delivery"
    asker = asker_of(world, "carrier" if carried else "customer", None)
    register = Register(world.rows(), asker, world.now)
    rows = list(register.rows[entity].values())[:60]
    first, second = COLUMNS[entity]

    async def changed(connection: Any) -> list[Any]:
        found = []
        for pair in combinations(rules_of(entity), 2):
            sql = change_row(
                target(entity, "every", pair, asker), ((first, None), (second, None)), False, False
            )
            for row in rows:
                given = {"key": row["id"], f"set_{first}": "a", f"set_{second}": "b"}
                undone = connection.transaction()
                await undone.start()
                values = values_of(world, asker, sql, **given)
                found.append((pair, row, await connection.fetchrow(sql.text, *values)))
                await undone.rollback()
        return found

    held = 0
    for pair, row, made in world.run(changed):
        wanted = all(register.holds(rule, entity, row) for rule in pair) and not row.get("erased_at")
        assert (made is not None) == wanted, (pair, row["id"])
        held += wanted
    assert held


# ---------------------------------------------------------------- over HTTP, with other policies


def changed_policy(*changes: tuple[str, str, str]) -> list[Line]:
    """The policy, with support's right to update a field on these rows and for this purpose instead."""
    fields = {coordinate for coordinate, _, _ in changes}
    kept = [
        line
        for line in LINES
        if (line.role, line.use) != ("support", Use.UPDATE) or line.coordinate not in fields
    ]
    return kept + [Line("support", *_of(change)) for change in changes]


def _of(change: tuple[str, str, str]) -> tuple[str, Use, str, str]:
    coordinate, rows, purpose = change
    return coordinate, Use.UPDATE, rows, purpose


UPDATE = """mutation($input: UpdateCustomerInput!) {
  updateCustomer(input: $input) { customer { id version } userErrors { code } }
}"""
CONSENT = """mutation($id: ID!, $other: UpdateCustomerInput!) {
  a: updateCustomer(input: {id: $id, firstName: "Marked"}) { userErrors { code } }
  b: updateCustomer(input: $other) { userErrors { code } }
}"""


def customers(world: World) -> dict[str, dict[str, Any]]:
    """A customer that only `all` means, one that `linked` means too, and one that `consented` means."""
    rows = [row for row in world.rows()["customer"] if row["restricted_at"] is None]
    return {
        "erased": next(row for row in rows if row["erased_at"]),
        "linked": next(row for row in rows if not row["erased_at"] and not row["marketing_consent"]),
        "consented": next(row for row in rows if not row["erased_at"] and row["marketing_consent"]),
    }


def state(world: World) -> Any:
    world.forget()
    return world.register()


def refused(body: Any) -> list[tuple[str, str]]:
    return [
        (error["extensions"]["code"], error["extensions"]["coordinate"]) for error in body.get("errors", [])
    ]


CASES = {
    "erased": {"Customer.phone", "Customer.surname"},
    "linked": {"Customer.surname"},
    "consented": set(),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_name_here_and_a_phone_there_never_add_up_to_both(writable: World, kind: str) -> None:
    lines = changed_policy(
        ("Customer.firstName", "all", "customer-service"),
        ("Customer.phone", "linked", "customer-service"),
        ("Customer.surname", "consented", "customer-service"),
    )
    row = customers(writable)[kind]
    key = global_id("Customer", row["id"])
    fields = {"firstName": "Aino", "phone": "+358401234567", "surname": "Demo"}
    mutated = with_policy(writable, lines)
    with mutated.client:
        for count in (1, 2, 3):
            for chosen in combinations(fields, count):
                given = {"input": {"id": key, **{name: fields[name] for name in chosen}}}
                before = state(writable)
                status, body = mutated.ask("support", UPDATE, given, "customer-service")
                wanted = CASES[kind] & {f"Customer.{name}" for name in chosen}
                assert status == 200
                assert set(refused(body)) == {("FIELD_FORBIDDEN", name) for name in wanted}, chosen
                if wanted:
                    assert "data" not in body
                    assert state(writable) == before
                else:
                    errors = body["data"]["updateCustomer"]["userErrors"]
                    expected = ["INVALID_TRANSITION"] if kind == "erased" else []  # it stays empty
                    assert [error["code"] for error in errors] == expected


def test_one_row_that_may_not_be_changed_undoes_the_others_of_the_operation(writable: World) -> None:
    lines = changed_policy(
        ("Customer.firstName", "all", "customer-service"), ("Customer.phone", "linked", "customer-service")
    )
    found = customers(writable)
    mutated = with_policy(writable, lines)
    given = {
        "id": global_id("Customer", found["linked"]["id"]),
        "other": {"id": global_id("Customer", found["erased"]["id"]), "phone": None},
    }
    before = state(writable)
    with mutated.client:
        _, body = mutated.ask("support", CONSENT, given, "customer-service")
    assert refused(body) == [("FIELD_FORBIDDEN", "Customer.phone")]
    assert "data" not in body
    assert state(writable) == before


def test_two_purposes_never_add_up(writable: World) -> None:
    lines = changed_policy(
        ("Customer.firstName", "all", "customer-service"), ("Customer.phone", "all", "returns")
    )
    lines.append(Line("support", "Mutation.updateCustomer", Use.EXECUTE, "every", "returns"))
    key = global_id("Customer", customers(writable)["linked"]["id"])
    given = {"input": {"id": key, "firstName": "Aino", "phone": None}}
    before = state(writable)
    mutated = with_policy(writable, lines)
    with mutated.client:
        for purpose, other in (
            ("customer-service", "Customer.phone"),
            ("returns", "Customer.firstName"),
        ):
            _, body = mutated.ask("support", UPDATE, given, purpose)
            assert refused(body) == [("PURPOSE_REQUIRED", other)]
        _, body = mutated.ask("support", UPDATE, given, None)
        assert refused(body) == [("PURPOSE_REQUIRED", "Mutation.updateCustomer")]
    assert state(writable) == before


def test_a_right_to_change_is_no_right_to_see_the_row(writable: World) -> None:
    """A grant on `every` row reaches only rows that exist for the caller."""
    lines = changed_policy(("Customer.firstName", "every", "customer-service"))
    row = next(row for row in writable.table("customer") if row["restricted_at"] is not None)
    before = state(writable)
    mutated = with_policy(writable, lines)
    bodies = set()
    with mutated.client:
        for key in (row["id"], uuid.uuid4()):
            given = {"input": {"id": global_id("Customer", key), "firstName": "Aino"}}
            bodies.add(mutated.post("support", UPDATE, given, "customer-service").content)
    assert len(bodies) == 1
    assert b"NOT_FOUND" in bodies.pop()
    assert state(writable) == before


def test_the_rules_of_changes_are_those_no_line_on_reading_names() -> None:
    assert {rule for rule in RULES if is_for_changes(rule)} == {
        *("new", "undispatched", "unrefunded", "assigned_open"),
    }
