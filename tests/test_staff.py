"""Employees by command: the first administrator, who there is, and whose designation ends soon."""

from __future__ import annotations

import asyncio
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.errors import StartError
from gateway.migrate import migrate
from gateway.principal import SigningKey, utc_now
from gateway.staff import FIRST_ROLE, Person, designate_first
from tests.world import World

EMAIL, NAME = "first@store.example", "First Administrator"
DAY = timedelta(days=1)


@pytest.fixture
def register(fresh_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The owner's URL of an empty register, which the environment names."""
    migrate(fresh_database)
    SigningKey.create(tmp_path / "key.pem")
    monkeypatch.setenv("GATEWAY_DATABASE_URL", fresh_database)
    monkeypatch.setenv("GATEWAY_SIGNING_KEY_FILE", str(tmp_path / "key.pem"))
    return fresh_database


def run(*arguments: str) -> str:
    """What a command prints; raises what it fails with."""
    found = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def designate(*more: str, email: str = EMAIL) -> str:
    return run("designate", "--email", email, "--name", NAME, "--reason", "the register begins", *more)


def listed(*more: str) -> Any:
    return json.loads(run("employee", "list", "--json", *more))


def test_the_first_administrator_is_designated_by_command(register: str) -> None:
    assert "register_admin" in designate("--subject", "oidc|1")
    (row,) = listed()
    assert (row["name"], row["work_email"], row["active"], row["role"]) == (NAME, EMAIL, True, FIRST_ROLE)
    assert (row["reason"], row["designated_by"]) == ("the register begins", None)
    assert row["signs_in_by_oidc"] is True
    ends = datetime.fromisoformat(row["valid_to"])
    assert utc_now() + 180 * DAY < ends < utc_now() + 185 * DAY
    assert run("token", "--as", "register_admin").count(".") == 2


def test_the_command_ends_at_the_last_day_it_is_told(register: str) -> None:
    last = utc_now().date() + 30 * DAY
    said = json.loads(designate("--until", last.isoformat(), "--json"))
    assert said["validTo"] == f"{last + DAY}T00:00:00+00:00"


def test_there_is_no_second_administrator_by_command(register: str) -> None:
    designate()
    for email in (EMAIL, "second@store.example"):
        with pytest.raises(StartError, match="there is an administrator"):
            designate(email=email)
    assert len(listed()) == 1


def test_once_no_administrator_is_left_the_command_designates_again(register: str) -> None:
    designate()
    run("employee", "deactivate", "--email", EMAIL)
    with pytest.raises(StartError, match="does not work for the store any more"):
        designate()
    designate(email="second@store.example")
    assert {row["work_email"] for row in listed() if row["active"]} == {"second@store.example"}


def test_of_concurrent_commands_one_designates(register: str) -> None:
    def attempt(number: int) -> bool:
        person = Person(f"a{number}@store.example", NAME, None)
        now = utc_now()
        try:
            asyncio.run(designate_first(register, person, "the register begins", now, now + DAY))
        except StartError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--until", "2020-01-01"), "`--until` is a day"),
        (("--until", (datetime.now(UTC) + 400 * DAY).date().isoformat()), "`--until` is a day"),
        (("--until", "9999-12-30"), "`--until` is a day"),
        (("--role", "support"), "`--role` takes register_admin"),
        (("--email", "no address"), "`--email` is no e-mail address"),
        (("--reason", "  "), "`--reason` is empty"),
        (("--name", ""), "`--name` is empty"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(
    register: str, arguments: tuple[str, str], message: str
) -> None:
    with pytest.raises(StartError, match=message):
        designate(*arguments)
    assert listed() == []


def test_a_command_without_a_reason_or_a_name_designates_nobody(register: str) -> None:
    found = CliRunner().invoke(cli, ["designate", "--email", EMAIL, "--name", NAME])
    assert found.exit_code == 2
    with pytest.raises(StartError, match="give `--name`"):
        run("designate", "--email", EMAIL, "--reason", "the register begins")


def test_an_employee_is_added_changed_and_deactivated(register: str) -> None:
    run("employee", "add", "--email", EMAIL, "--name", "Before")
    run("employee", "add", "--email", EMAIL.upper(), "--name", NAME, "--subject", "oidc|1")
    (row,) = listed()
    assert (row["name"], row["active"], row["role"], row["signs_in_by_oidc"]) == (NAME, True, None, True)
    run("employee", "deactivate", "--email", EMAIL)
    assert [row["active"] for row in listed()] == [False]
    run("employee", "add", "--email", EMAIL)
    assert [(row["name"], row["active"]) for row in listed()] == [(NAME, True)]
    with pytest.raises(StartError, match="no employee with this `--email`"):
        run("employee", "deactivate", "--email", "nobody@store.example")
    with pytest.raises(StartError, match="another employee has this `--subject`"):
        run("employee", "add", "--email", "other@store.example", "--name", NAME, "--subject", "oidc|1")


def held(url: str) -> list[tuple[Any, ...]]:
    """Every designation: its role, whether it was revoked, and why; by its reason."""
    query = "SELECT reason, role, revoked_at IS NOT NULL, revoked_reason FROM designation ORDER BY reason"
    return [tuple(row) for row in on_register(url, "fetch", query)]


def on_register(url: str, method: str, *given: Any) -> Any:
    """What a method of a connection gives, as the owner of the tables."""

    async def asked() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await getattr(connection, method)(*given)
        finally:
            await connection.close()

    return asyncio.run(asked())


def add_designation(url: str, reason: str, role: str, begins: timedelta, ends: timedelta) -> None:
    query = (
        "INSERT INTO designation (id, employee_id, role, reason, valid_from, valid_to)"
        " SELECT $1, id, $2, $3, $4, $5 FROM employee WHERE work_email = $6"
    )
    now = utc_now()
    on_register(url, "execute", query, uuid.uuid4(), role, reason, now + begins, now + ends, EMAIL)


def test_deactivating_an_employee_revokes_what_they_hold_and_will_hold(register: str) -> None:
    run("employee", "add", "--email", EMAIL, "--name", NAME)
    add_designation(register, "1 ended", "analyst", -2 * DAY, -DAY)
    add_designation(register, "2 held", "support", -DAY, DAY)
    add_designation(register, "3 to come", "finance", DAY, 2 * DAY)
    run("employee", "deactivate", "--email", EMAIL, "--reason", "  moved to another company  ")
    why = "moved to another company"
    assert held(register) == [
        ("1 ended", "analyst", False, None),
        ("2 held", "support", True, why),
        ("3 to come", "finance", True, why),
    ]
    run("employee", "deactivate", "--email", EMAIL)
    assert [row[3] for row in held(register)] == [None, why, why]  # nothing is revoked twice
    with pytest.raises(StartError, match="`--reason` is empty"):
        run("employee", "deactivate", "--email", EMAIL, "--reason", " ")


def test_who_comes_back_holds_no_designation_of_before(register: str) -> None:
    designate()
    run("employee", "deactivate", "--email", EMAIL)
    run("employee", "add", "--email", EMAIL)
    assert held(register) == [("the register begins", FIRST_ROLE, True, "the employee was deactivated")]
    assert [(row["active"], row["role"]) for row in listed()] == [(True, None)]
    with pytest.raises(StartError, match="no such employee"):
        run("token", "--as", "register_admin")
    designate()  # anew, as there is no administrator
    assert [row["role"] for row in listed()] == [FIRST_ROLE]


def test_what_an_earlier_version_left_to_the_inactive_does_not_come_back_with_them(register: str) -> None:
    designate()
    on_register(register, "execute", "UPDATE employee SET active = false")
    run("employee", "add", "--email", EMAIL, "--name", "Changed Name")
    ((_, _, is_revoked, why),) = held(register)
    assert (is_revoked, why) == (True, "the employee came back and is designated anew")


def test_changing_an_active_employee_revokes_nothing(register: str) -> None:
    designate()
    run("employee", "add", "--email", EMAIL, "--subject", "oidc|1")
    assert [row[2] for row in held(register)] == [False]


def test_no_database_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StartError, match="the database cannot be reached"):
        listed()


def test_the_recertification_list_holds_what_ends_within_so_many_days(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", world.url)
    key, now = uuid.uuid4(), utc_now()
    world.execute(
        "INSERT INTO employee (id, name, work_email) VALUES ($1, 'Test', 'ends@store.example')", key
    )
    try:
        for role, days in (("support", 29), ("finance", 31), ("analyst", -1)):
            world.execute(
                "INSERT INTO designation (id, employee_id, role, reason, valid_from, valid_to)"
                " VALUES ($1, $2, $3, 'test', $4, $5)",
                *(uuid.uuid4(), key, role, now - 9 * DAY, now + days * DAY),
            )
        found = [row for row in listed("--ending", "30") if row["work_email"] == "ends@store.example"]
        assert [row["role"] for row in found] == ["support"]
        every = [row["role"] for row in listed() if row["work_email"] == "ends@store.example"]
        assert every == ["support", "finance"]
        assert "ends@store.example" in run("employee", "list", "--ending", "30")
    finally:
        world.execute("DELETE FROM designation WHERE employee_id = $1", key)
        world.execute("DELETE FROM employee WHERE id = $1", key)


def test_every_change_of_an_employee_or_a_designation_is_told(fresh_database: str) -> None:
    """The triggers name the employee whose rights may have changed, and nothing else."""
    migrate(fresh_database)
    one, other, key = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    now = utc_now()

    async def told() -> list[str]:
        heard: list[str] = []
        listening, changing = [await asyncpg.connect(fresh_database) for _ in range(2)]
        await listening.add_listener("principal_changed", lambda *notice: heard.append(notice[3]))
        add = "INSERT INTO employee (id, name, work_email) VALUES ($1, 'Test', $2)"
        await changing.execute(add, one, "one@store.example")
        await changing.execute(add, other, "other@store.example")
        await changing.execute(
            "INSERT INTO designation (id, employee_id, role, reason, valid_from, valid_to)"
            " VALUES ($1, $2, 'support', 'test', $3, $4)",
            *(key, one, now, now + DAY),
        )
        await changing.execute("UPDATE designation SET employee_id = $1", other)
        await changing.execute("UPDATE employee SET active = false WHERE id = $1", one)
        await changing.execute("DELETE FROM designation")
        for _ in range(100):
            if len(heard) >= 7:
                break
            await asyncio.sleep(0.02)
        for connection in (listening, changing):
            await connection.close()
        return heard

    first, second = f"employee:{one}", f"employee:{other}"
    assert asyncio.run(told()) == [first, second, first, first, second, first, second]


def test_the_command_makes_no_employees_token_for_longer_than_is_taken(register: str) -> None:
    designate()
    assert run("token", "--as", FIRST_ROLE, "--minutes", "60").count(".") == 2
    with pytest.raises(StartError, match="60 at most"):
        run("token", "--as", FIRST_ROLE, "--minutes", "61")
