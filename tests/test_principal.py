"""Who asks: roles come from designations alone, tokens from the database, and both end when they end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from gateway.principal import new_partner_token, partner_token_hash
from tests.world import NOW, Asker, World

VIEWER = "{ viewer { role principalId } }"
SECOND = timedelta(seconds=1)


@pytest.fixture
def employee(world: World) -> Iterator[Asker]:
    """An employee without a designation."""
    key = uuid.uuid4()
    world.execute(
        "INSERT INTO employee (id, name, work_email) VALUES ($1, 'Test employee', $2)",
        *(key, f"{key}@store.example"),
    )
    token = world.key.sign(
        "employee", key, world.gateway.settings, now=NOW - timedelta(days=400), lifetime=timedelta(days=900)
    )
    name = f"employee {key}"
    world.askers[name] = Asker(name, None, {"Authorization": f"Bearer {token}"}, customer_id=key)
    yield world.askers[name]
    del world.askers[name]
    world.execute("DELETE FROM designation WHERE employee_id = $1", key)
    world.execute("DELETE FROM employee WHERE id = $1", key)


def designate(world: World, employee: Asker, role: str, days: int = 100) -> uuid.UUID:
    key = uuid.uuid4()
    world.execute(
        "INSERT INTO designation (id, employee_id, role, reason, valid_from, valid_to)"
        " VALUES ($1, $2, $3, 'test', $4, $5)",
        *(key, employee.customer_id, role, NOW, NOW + timedelta(days=days)),
    )
    return key


def role_of(world: World, asker: Asker, act_as: str | None = None, seconds: int = 0) -> tuple[int, object]:
    """The status and the role at a moment after NOW, far enough from the last for nothing to be believed."""
    headers = {} if act_as is None else {"Act-As": act_as}
    with world.at(world.now + timedelta(seconds=seconds)):
        response = world.post(asker.name, VIEWER, headers=headers)
    body = response.json()
    if "data" in body:
        return response.status_code, body["data"]["viewer"]["role"]
    return response.status_code, body["errors"][0]["extensions"]["code"]


def test_an_employee_without_a_designation_has_no_role(world: World, employee: Asker) -> None:
    assert role_of(world, employee) == (200, None)
    _, body = world.ask(employee.name, "{ viewer { role } customers { totalCount } node(id: 1) { id } }")
    assert body["errors"][0]["extensions"]["code"] in ("FIELD_FORBIDDEN", "BAD_ID")


def test_a_designation_holds_from_its_first_second_to_before_its_last(world: World, employee: Asker) -> None:
    designate(world, employee, "support", days=1)
    day = 24 * 60 * 60
    assert role_of(world, employee, seconds=-1) == (200, None)
    assert role_of(world, employee, seconds=5) == (200, "support")
    assert role_of(world, employee, seconds=day - 1) == (200, "support")
    assert role_of(world, employee, seconds=day) == (200, None)


def test_a_revoked_designation_ends_within_the_second_it_may_be_believed(
    world: World, employee: Asker
) -> None:
    key = designate(world, employee, "support")
    assert role_of(world, employee, seconds=10) == (200, "support")
    world.execute("UPDATE designation SET revoked_at = $2 WHERE id = $1", key, NOW)
    assert role_of(world, employee, seconds=11) == (200, None)


def test_several_designations_ask_for_one_and_are_never_merged(world: World, employee: Asker) -> None:
    designate(world, employee, "warehouse")
    designate(world, employee, "finance")
    assert role_of(world, employee, seconds=20) == (400, "ACT_AS_REQUIRED")
    assert role_of(world, employee, "finance", seconds=20) == (200, "finance")
    assert role_of(world, employee, "support", seconds=20) == (403, "ACT_AS_FORBIDDEN")
    finance = world.post(employee.name, "{ deliveries { totalCount } }", headers={"Act-As": "finance"}).json()
    assert finance["errors"][0]["extensions"]["coordinate"] == "Query.deliveries"


@pytest.mark.parametrize("name", ["anonymous", "customer", "carrier", "support"])
def test_nobody_acts_as_a_role_that_is_not_theirs(world: World, name: str) -> None:
    response = world.post(name, VIEWER, headers={"Act-As": "privacy_officer"})
    assert response.status_code == 403


def test_an_employee_who_left_is_not_known(world: World, employee: Asker) -> None:
    designate(world, employee, "support")
    world.execute("UPDATE employee SET active = false WHERE id = $1", employee.customer_id)
    response = world.post(employee.name, VIEWER)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


def test_a_customers_token_ends_with_its_expiry_and_leeway(world: World) -> None:
    customer = world.askers["customer"]
    assert customer.customer_id is not None
    token = world.customer_token(customer.customer_id, timedelta(minutes=5))
    world.askers["short"] = Asker("short", "customer", {"Authorization": f"Bearer {token}"})
    leeway = timedelta(seconds=world.gateway.settings.token_leeway_seconds)
    with world.at(NOW + timedelta(minutes=5) + leeway - SECOND):
        assert world.post("short", VIEWER).status_code == 200
    with world.at(NOW + timedelta(minutes=5) + leeway):
        assert world.post("short", VIEWER).status_code == 401
    with world.at(NOW - leeway - SECOND):
        assert world.post("short", VIEWER).status_code == 401
    del world.askers["short"]


@pytest.fixture
def partner(world: World) -> Iterator[str]:
    """A token of the first carrier that holds for a day."""
    token = new_partner_token()
    world.execute(
        "INSERT INTO partner_token"
        " (id, partner, kind, carrier_id, prefix, hash, issued_by, created_at, expires_at)"
        " VALUES ($1, 'Posti', 'CARRIER', $2, $3, $4, 'test', $5, $6)",
        *(uuid.uuid4(), world.askers["carrier"].carrier_id, token[:12], partner_token_hash(token)),
        *(NOW, NOW + timedelta(days=1)),
    )
    world.askers["partner"] = Asker("partner", "carrier", {"Authorization": f"Bearer {token}"})
    yield token
    del world.askers["partner"]
    world.execute("DELETE FROM partner_token WHERE hash = $1", partner_token_hash(token))


def test_a_partner_token_ends_at_its_expiry_and_its_revocation(world: World, partner: str) -> None:
    assert world.post("partner", VIEWER).status_code == 200
    with world.at(NOW + timedelta(days=1) - SECOND):
        assert world.post("partner", VIEWER).status_code == 200
    with world.at(NOW + timedelta(days=1)):
        assert world.post("partner", VIEWER).status_code == 401
    world.execute(
        "UPDATE partner_token SET revoked_at = $2 WHERE hash = $1", partner_token_hash(partner), NOW
    )
    with world.at(NOW + 2 * SECOND):
        assert world.post("partner", VIEWER).status_code == 401


def test_only_the_hash_of_a_partner_token_is_kept(world: World, partner: str) -> None:
    kept = [str(value) for row in world.rows()["partner_token"] for value in row.values()]
    assert not any(partner in value for value in kept)


def test_a_token_of_one_order_shows_that_order_and_nothing_else(world: World) -> None:
    one = world.askers["one-order"]
    orders = world.data("one-order", "{ orders { totalCount nodes { id lines { totalCount } } } }")["orders"]
    assert orders["totalCount"] == 1
    rest = (
        "{ customers { totalCount } deliveries(first: 100) { nodes { order { id } } }"
        " returns { nodes { order { id } } } }"
    )
    found = world.data("one-order", rest)
    assert found["customers"]["totalCount"] == 0
    entries = found["deliveries"]["nodes"] + found["returns"]["nodes"]
    assert {entry["order"]["id"] for entry in entries} <= {orders["nodes"][0]["id"]}
    assert one.order_id is not None
