"""Secrets can be tried only so often: at an account, known or not, from one network, and by one network."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.chores import tidy
from gateway.config import Settings
from gateway.database import Database
from gateway.throttle import network_of
from tests.partners import from_address
from tests.signing_in import (
    OTHER_PASSWORD,
    PASSWORD,
    Account,
    call,
    confirmed,
    registered,
    sent,
    signed_in,
    updated,
)
from tests.test_mail import on_database
from tests.twins import made_twins
from tests.world import World, record_of
from tests.writing import ACCESS, another_gateway, at_once, kept

DEFAULTS = {
    "throttle_account_limit": 10,
    "throttle_client_limit": 100,
    "throttle_everywhere_limit": 100,
    "throttle_window_seconds": 900,
}
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.1"


@contextmanager
def throttled(world: World, **changed: int) -> Iterator[World]:
    """The register behind a gateway that throttles, where nothing was tried yet."""
    world.execute("DELETE FROM attempt")
    with another_gateway(world, **{**DEFAULTS, **changed}) as found:
        yield found


def wrong(world: World, email: str) -> Any:
    return sent(world, "signIn", email=email, password=OTHER_PASSWORD)


def right(world: World, account: Account) -> int:
    """The status of an attempt with the right password, which succeeds if it is made."""
    response = sent(world, "signIn", email=account.email, password=PASSWORD)
    assert response.status_code == 429 or response.json()["data"]["signIn"]["accessToken"]
    return int(response.status_code)


def nobody() -> str:
    return f"{uuid.uuid4().hex}@store.example"


def test_the_defaults_are_ten_an_account_and_network_and_a_hundred_of_each_in_a_quarter_of_an_hour() -> None:
    assert {name: Settings.model_fields[name].default for name in DEFAULTS} == DEFAULTS


def test_after_ten_failures_an_account_is_answered_429_with_when_to_come_back(writable: World) -> None:
    account, other = confirmed(writable), confirmed(writable)
    with throttled(writable) as world:
        answers = {}
        for email in (account.email, "nobody-at-all@store.example"):
            assert [wrong(world, email).status_code for _ in range(10)] == [200] * 10
            answers[email] = wrong(world, email.upper())
        for answer in answers.values():
            assert answer.status_code == 429
            assert answer.json()["errors"][0]["extensions"] == {"code": "TOO_MANY_ATTEMPTS"}
            assert answer.headers["retry-after"] == "90"
        assert len({answer.content for answer in answers.values()}) == 1
        assert right(world, account) == 429
        signed_in(world, other)
        # What proves an address by mail is counted apart.
        assert call(world, "requestPasswordReset", email=account.email)["accepted"] is True


def test_an_address_is_throttled_over_all_accounts_and_kinds(writable: World) -> None:
    with throttled(writable, throttle_client_limit=4) as world:
        found = [wrong(world, f"somebody-{number}@store.example").status_code for number in range(3)]
        found.append(sent(world, "confirmEmail", token="crl_").status_code)
        assert found == [200] * 4
        refused = [
            wrong(world, "somebody-else@store.example"),
            sent(world, "confirmEmail", token="crl_"),
            sent(world, "resetPassword", token="crl_", password=OTHER_PASSWORD),
            sent(world, "requestPasswordReset", email="somebody-else@store.example"),
        ]
        assert [answer.status_code for answer in refused] == [429] * 4
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)


def test_a_network_of_many_who_sign_in_rightly_never_fills(writable: World) -> None:
    account = confirmed(writable)
    with throttled(writable, throttle_client_limit=2) as world:
        assert [right(world, account) for _ in range(5)] == [200] * 5
        assert [wrong(world, nobody()).status_code for _ in range(3)] == [200, 200, 429]


def test_the_networks_of_one_site_share_a_larger_limit(writable: World) -> None:
    with throttled(writable, throttle_client_limit=2) as world:
        networks = [from_address(world, f"2001:db8:1:{number}::1") for number in range(8)]
        found = [[wrong(one, nobody()).status_code for _ in range(2)] for one in networks]
        assert found == [[200, 200]] * 5 + [[429, 429]] * 3
        assert wrong(from_address(world, "2001:db8:2::1"), nobody()).status_code == 200


def test_registering_and_changing_a_password_are_throttled_too(writable: World) -> None:
    account = confirmed(writable)
    token = signed_in(writable, account)["accessToken"]
    document = "mutation ($input: RegisterCustomerInput!) { registerCustomer(input: $input) { accessToken } }"
    given = {"firstName": "Aada", "surname": "Esimerkki", "email": account.email, "password": PASSWORD}
    change = {"currentPassword": OTHER_PASSWORD, "newPassword": OTHER_PASSWORD}
    with throttled(writable, throttle_account_limit=2) as world:
        registrations = [world.post("anonymous", document, {"input": given}).status_code for _ in range(3)]
        changes = [sent(world, "changePassword", token, **change).status_code for _ in range(3)]
    assert registrations == changes == [200, 200, 429]


def test_links_to_confirm_another_address_are_throttled_by_that_address(writable: World) -> None:
    accounts = [confirmed(writable) for _ in range(3)]
    asked = [(account, "a@throttled.example") for account in accounts] + [
        (accounts[2], "b@throttled.example")
    ]
    with throttled(writable, throttle_account_limit=2) as world:
        found = [updated(world, who, email=email, currentPassword=PASSWORD) for who, email in asked]
    assert [answer.status_code for answer in found] == [200, 200, 429, 200]


def test_a_password_is_tried_together_at_changing_it_and_at_changing_the_address(writable: World) -> None:
    account, other = confirmed(writable), confirmed(writable)
    change = {"currentPassword": OTHER_PASSWORD, "newPassword": OTHER_PASSWORD}
    with throttled(writable, throttle_account_limit=2) as world:
        token = signed_in(world, account)["accessToken"]
        move = {"email": f"new-{account.email}", "currentPassword": OTHER_PASSWORD}
        tried = [
            updated(world, account, bearer=token, **move),
            sent(world, "changePassword", token, **change),
            updated(world, account, bearer=token, **move | {"currentPassword": PASSWORD}),
            sent(world, "changePassword", token, **change),
            updated(world, other, email=f"new-{other.email}", currentPassword=PASSWORD),
        ]
        named = updated(world, account, bearer=token, firstName="Aino")  # without a proof there is no attempt
    assert [answer.status_code for answer in tried] == [200, 200, 429, 429, 200]
    assert named.json()["data"]["updateCustomer"]["userErrors"] == []


def test_a_429_holds_for_every_media_type(writable: World) -> None:
    with throttled(writable, throttle_account_limit=1) as world:
        wrong(world, "media@store.example")
        body = {
            "query": "mutation ($input: SignInInput!) { signIn(input: $input) { accessToken } }",
            "variables": {"input": {"email": "media@store.example", "password": PASSWORD}},
        }
        for media in ("application/json", "application/graphql-response+json"):
            answer = world.client.post("/graphql", json=body, headers={"Accept": media})
            assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (429, media)


def test_there_is_room_again_when_it_was_said_and_for_all_after_a_window(writable: World) -> None:
    email = nobody()

    def statuses(world: World, moment: datetime, count: int) -> list[int]:
        with world.at(moment):
            return [wrong(world, email).status_code for _ in range(count)]

    with throttled(writable) as world:
        start = world.now
        assert statuses(world, start, 11) == [200] * 10 + [429]
        assert statuses(world, start + timedelta(seconds=89), 1) == [429]
        assert statuses(world, start + timedelta(seconds=90), 2) == [200, 429]
        assert statuses(world, start + timedelta(seconds=990), 11) == [200] * 10 + [429]


def test_a_worker_whose_clock_is_behind_gives_no_room_and_says_so(writable: World) -> None:
    email = nobody()
    with throttled(writable, throttle_account_limit=1) as world:
        with world.at(world.now + timedelta(seconds=60)):
            assert wrong(world, email).status_code == 200
        answer = wrong(world, email)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "960")


def test_only_failures_count_at_an_account(writable: World) -> None:
    account = confirmed(writable)
    token = signed_in(writable, account)["accessToken"]
    change = {"currentPassword": PASSWORD, "newPassword": PASSWORD}
    with throttled(writable, throttle_account_limit=2) as world:
        assert [right(world, account) for _ in range(4)] == [200] * 4
        assert [wrong(world, account.email).status_code, right(world, account)] == [200] * 2
        assert [wrong(world, account.email).status_code for _ in range(2)] == [200, 429]
        changes = [sent(world, "changePassword", token, **change).json() for _ in range(4)]
        assert [answer["data"]["changePassword"]["changed"] for answer in changes] == [True] * 4
        buckets = [row["level"] for row in kept(world, "attempt")]
        assert max(buckets) == 3  # the network's: what was proved is given back there too
        assert sorted(buckets)[:2] == [0, 0]


def test_an_address_changed_with_the_right_password_is_no_failure(writable: World) -> None:
    account = confirmed(writable)
    with throttled(writable, throttle_account_limit=1) as world:
        found = [
            updated(world, account, email=f"{number}-{account.email}", currentPassword=PASSWORD)
            for number in range(3)
        ]
    assert [answer.json()["data"]["updateCustomer"]["userErrors"] for answer in found] == [[]] * 3


def test_a_right_password_of_an_unconfirmed_account_is_counted_like_a_wrong_one(writable: World) -> None:
    account = registered(writable)
    with throttled(writable, throttle_account_limit=2) as world:
        found = [sent(world, "signIn", email=account.email, password=PASSWORD).status_code for _ in range(3)]
    assert found == [200, 200, 429]


def test_of_concurrent_attempts_none_is_made_beyond_the_limit(writable: World) -> None:
    email = nobody()
    with throttled(writable, throttle_account_limit=3) as world:
        found = at_once(*[lambda: wrong(world, email).status_code] * 8)
    assert sorted(found) == [200] * 3 + [429] * 5


def test_who_has_failed_elsewhere_locks_nobody_out(writable: World) -> None:
    account = confirmed(writable)
    with throttled(writable) as world:
        stranger, owner = from_address(world, ELSEWHERE), from_address(world, HERE)
        assert [wrong(stranger, account.email).status_code for _ in range(12)] == [200] * 10 + [429] * 2
        assert right(stranger, account) == 429
        assert wrong(owner, account.email).status_code == 200
        assert [right(owner, account) for _ in range(12)] == [200] * 12


def test_an_account_that_is_tried_from_everywhere_gives_each_network_one_failure_and_locks_nobody_out(
    writable: World,
) -> None:
    account = confirmed(writable)
    with throttled(writable, throttle_everywhere_limit=6, throttle_account_limit=3) as world:
        for email in (account.email, nobody()):
            strangers = [from_address(world, f"198.51.100.{number}") for number in range(3)]
            found = [[wrong(one, email).status_code for _ in range(4)] for one in strangers]
            # Who is refused does not count: the second one's fourth attempt leaves the account as it was.
            assert found == [[200, 200, 200, 429], [200, 200, 200, 429], [200, 429, 429, 429]]
            another = from_address(world, "198.51.100.77")
            assert wrong(another, email).status_code == 200
            assert wrong(another, email).headers["retry-after"] == "900"
        owner = from_address(world, HERE)
        assert [right(owner, account) for _ in range(4)] == [200] * 4
        # A network that has failed before has to wait until that is forgotten.
        with world.at(world.now + timedelta(seconds=900)):
            assert right(another, account) == 200


def test_asking_for_mail_is_counted_by_account_and_network_too(writable: World) -> None:
    account = confirmed(writable)
    with throttled(writable, throttle_account_limit=2) as world:
        stranger, owner = from_address(world, ELSEWHERE), from_address(world, HERE)
        for email in (account.email, nobody()):
            asked = [
                sent(one, "requestPasswordReset", email=email).status_code for one in [stranger] * 3 + [owner]
            ]
            assert asked == [200, 200, 429, 200]


def test_asking_for_a_link_to_an_order_is_counted_by_the_address_given(writable: World) -> None:
    with throttled(writable, throttle_account_limit=2) as world:
        for email in (confirmed(writable).email, nobody()):
            given = {"number": "O-000001", "name": "Aada Esimerkki", "email": email}
            found = [world.post("anonymous", ACCESS, {"input": given}).status_code for _ in range(3)]
            assert found == [200, 200, 429]


def test_two_gateways_on_one_database_count_together(writable: World) -> None:
    email = nobody()
    with throttled(writable, throttle_account_limit=3) as one, another_gateway(one) as other:
        found = [wrong(world, email).status_code for world in (one, other, one, other, one)]
    assert found == [200] * 3 + [429] * 2


@pytest.mark.slow
def test_two_processes_on_one_database_count_together(server_url: str) -> None:
    with made_twins(server_url) as twins:
        email = nobody()
        found = at_once(*[lambda: wrong(twins, email)] * 16)
        refused = [answer for answer in found if answer.status_code == 429]
        assert [answer.status_code for answer in found if answer not in refused] == [200] * 10
        assert len(refused) == 6
        assert all(0 < int(answer.headers["retry-after"]) <= 90 for answer in refused)
        # Both of them refuse.
        assert [wrong(twins, email).status_code for _ in range(2)] == [429] * 2


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("testclient", "testclient", True),
        ("testclient", "192.0.2.1", False),
    ],
)
def test_a_client_is_known_by_what_it_cannot_change_at_will(one: str, other: str, together: bool) -> None:
    assert (network_of(one) == network_of(other)) is together


def test_what_is_counted_says_neither_whose_account_nor_which_network_it_is(writable: World) -> None:
    with throttled(writable) as world:
        wrong(from_address(world, HERE), "somebody-counted@store.example")
        rows = kept(world, "attempt")
    assert [len(row["bucket"]) for row in rows] == [64] * 3
    assert {row["level"] for row in rows} == {1}
    assert HERE not in str(rows)
    assert "somebody" not in str(rows)


def test_a_known_and_an_unknown_account_are_counted_by_the_same_statements(writable: World) -> None:
    account = confirmed(writable)
    counted = []
    for email in (account.email, nobody()):
        with throttled(writable, throttle_account_limit=1) as world:
            record_of(world, world.gateway.tools.throttle.database)
            with world.recorded() as statements:
                answers = [wrong(world, email) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        counted.append((statements, [answer.content for answer in answers]))
    assert counted[0] == counted[1]
    assert len(counted[0][0]) == 3 + 5  # the second looks when there will be room, and counts nowhere else


def test_counts_that_have_drained_are_deleted(writable: World) -> None:
    with throttled(writable) as world:
        wrong(world, nobody())
        settings, start = world.gateway.settings, world.now

        def tidied(after: int) -> int:
            def step(database: Database) -> Any:
                return tidy(settings, database, start + timedelta(seconds=after))

            on_database(world, step)
            return len(kept(world, "attempt"))

        assert [tidied(899), tidied(900)] == [3, 0]
