"""Customers sign in with a confirmed address, stay signed in with tokens that are good once, and sign out."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import jwt
import pytest
from argon2 import PasswordHasher

from gateway.chores import tidy
from gateway.database import Database
from tests.logged import Collected
from tests.signing_in import (
    ALIVE,
    ENDED,
    OTHER_PASSWORD,
    PASSWORD,
    Account,
    asked_to_reset,
    call,
    confirmed,
    hashings,
    is_believed,
    refusal,
    registered,
    sent,
    signed_in,
    until,
    viewer,
)
from tests.test_mail import on_database
from tests.world import World
from tests.writing import another_gateway, at_once, kept

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def sessions(world: World, account: Account) -> list[dict[str, Any]]:
    """The sessions that began with a sign-in, oldest first."""
    rows = sorted(kept(world, "session", customer_id=account.key), key=lambda row: row["id"])
    return rows[1:]  # the first one began with the registration


# ---------------------------------------------------------------- signing in


def test_a_confirmed_customer_signs_in_and_acts_as_themselves(writable: World) -> None:
    account = confirmed(writable)
    tokens = signed_in(writable, account)
    headers = {"Authorization": f"Bearer {tokens['accessToken']}"}
    seen = writable.post("anonymous", "{ customers { nodes { id email } } }", headers=headers).json()
    assert seen == {"data": {"customers": {"nodes": [{"id": account.id, "email": account.email}]}}}
    (session,) = sessions(writable, account)
    assert (session["ended_at"], session["expires_at"]) == (None, writable.now + 30 * DAY)


def test_an_address_and_a_password_are_read_as_they_were_when_they_were_kept(writable: World) -> None:
    account = confirmed(writable)
    given = {"email": account.email.upper(), "password": account.password}
    assert call(writable, "signIn", **given)["userErrors"] == []
    given["password"] = f"{account.password} "
    assert call(writable, "signIn", **given) == refusal("signIn")


def test_whoever_is_unknown_unconfirmed_erased_or_wrong_is_answered_with_the_same_bytes(
    writable: World,
) -> None:
    known, unconfirmed, erased = confirmed(writable), registered(writable), confirmed(writable)
    writable.execute("UPDATE customer SET status = 'ERASED', erased_at = now() WHERE id = $1", erased.key)
    given = [
        (known.email, "a wrong password"),
        (known.email, "short"),
        (known.email, "x" * 10_000),
        (unconfirmed.email, PASSWORD),
        (erased.email, PASSWORD),
        ("nobody@store.example", PASSWORD),
        ("no address", PASSWORD),
    ]
    answers = {sent(writable, "signIn", email=email, password=password).content for email, password in given}
    assert len(answers) == 1
    assert call(writable, "signIn", email=known.email, password="a wrong password") == refusal("signIn")


def test_an_unknown_address_costs_the_same_statements_and_the_same_hashing_as_a_wrong_password(
    writable: World,
) -> None:
    known, unconfirmed = confirmed(writable), registered(writable)
    work = []
    for email in (known.email, unconfirmed.email, "nobody@store.example", "no address"):
        with writable.recorded() as statements, hashings() as hashes:
            assert call(writable, "signIn", email=email, password="a wrong password") == refusal("signIn")
        work.append((statements, hashes))
    assert work == [work[0]] * 4
    assert (len(work[0][0]), work[0][1]) == (4, ["verify"])  # three of them count the attempt


def test_a_hash_with_other_parameters_is_made_anew_when_its_owner_signs_in(writable: World) -> None:
    account = confirmed(writable)
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    writable.execute("UPDATE credential SET password_hash = $2 WHERE customer_id = $1", account.key, old)
    wrong = call(writable, "signIn", email=account.email, password=OTHER_PASSWORD)
    assert wrong == refusal("signIn")
    assert kept(writable, "credential", customer_id=account.key)[0]["password_hash"] == old
    signed_in(writable, account)
    (row,) = kept(writable, "credential", customer_id=account.key)
    assert row["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    signed_in(writable, account)


def test_signing_in_counts_as_activity(writable: World) -> None:
    account = confirmed(writable)
    with writable.at(writable.now + 5 * DAY):
        signed_in(writable, account)
        assert kept(writable, "customer", id=account.key)[0]["last_active_at"] == writable.now


def test_registering_gives_a_token_that_ends_after_its_minutes_and_cannot_be_renewed(writable: World) -> None:
    account = registered(writable)
    assert viewer(writable, account.access_token) == ALIVE
    (session,) = kept(writable, "session", customer_id=account.key)
    assert session["expires_at"] == writable.now + 15 * MINUTE
    assert kept(writable, "refresh_token", customer_id=account.key) == []
    with writable.at(writable.now + 15 * MINUTE):
        assert viewer(writable, account.access_token)[0] == 401


# ---------------------------------------------------------------- refreshing


def test_a_refresh_token_gives_the_next_pair_of_the_same_session(writable: World) -> None:
    account = confirmed(writable)
    first = signed_in(writable, account)
    with writable.at(writable.now + 20 * MINUTE):
        assert viewer(writable, first["accessToken"]) == (401, "expired")
        second = call(writable, "refreshSession", refreshToken=first["refreshToken"])
        assert second["refreshToken"] != first["refreshToken"]
        assert viewer(writable, second["accessToken"]) == ALIVE
        (session,) = sessions(writable, account)
        assert (session["ended_at"], session["last_refreshed_at"]) == (None, writable.now)


def test_a_refresh_token_that_comes_a_second_time_ends_the_whole_session(writable: World) -> None:
    account = confirmed(writable)
    first, elsewhere = signed_in(writable, account), signed_in(writable, account)
    second = call(writable, "refreshSession", refreshToken=first["refreshToken"])
    assert viewer(writable, first["accessToken"]) == viewer(writable, second["accessToken"]) == ALIVE
    again = call(writable, "refreshSession", refreshToken=first["refreshToken"])
    assert again == refusal("refreshSession")
    assert viewer(writable, first["accessToken"]) == viewer(writable, second["accessToken"]) == ENDED
    newest = call(writable, "refreshSession", refreshToken=second["refreshToken"])
    assert newest == refusal("refreshSession")
    ended, other = sessions(writable, account)
    assert (ended["ended_at"], ended["ended_why"]) == (writable.now, "TOKEN_REUSED")
    assert other["ended_at"] is None
    assert viewer(writable, elsewhere["accessToken"]) == ALIVE


def test_a_used_token_an_ended_one_an_expired_one_and_none_at_all_are_answered_with_the_same_bytes(
    writable: World,
) -> None:
    account = confirmed(writable)
    used, ended, expired = (signed_in(writable, account)["refreshToken"] for _ in range(3))
    call(writable, "refreshSession", refreshToken=used)
    signed_out = call(writable, "refreshSession", refreshToken=ended)
    call(writable, "signOut", signed_out["accessToken"])
    answers = {
        sent(writable, "refreshSession", refreshToken=token).content
        for token in (used, signed_out["refreshToken"], f"crr_{'0' * 64}{'0' * 8}", used[:-1], "ä", "")
    }
    with writable.at(writable.now + 14 * DAY):
        answers.add(sent(writable, "refreshSession", refreshToken=expired).content)
    assert len(answers) == 1


def test_of_parallel_requests_with_one_refresh_token_at_most_one_succeeds_and_the_session_ends(
    writable: World,
) -> None:
    account = confirmed(writable)
    first = signed_in(writable, account)
    steps = [lambda: call(writable, "refreshSession", refreshToken=first["refreshToken"])] * 6
    payloads = at_once(*steps)
    assert sum(payload["accessToken"] is not None for payload in payloads) == 1
    (session,) = sessions(writable, account)
    assert session["ended_why"] == "TOKEN_REUSED"
    (made,) = [payload for payload in payloads if payload["accessToken"]]
    assert viewer(writable, made["accessToken"]) == ENDED


def test_a_session_ends_at_its_time_however_often_it_is_refreshed(writable: World) -> None:
    account, start = confirmed(writable), writable.now
    token = signed_in(writable, account)["refreshToken"]
    for days in (13, 26):
        with writable.at(start + days * DAY):
            token = call(writable, "refreshSession", refreshToken=token)["refreshToken"]
    almost = start + 30 * DAY - 5 * MINUTE
    with writable.at(almost):
        last = call(writable, "refreshSession", refreshToken=token)
        claims = jwt.decode(last["accessToken"], options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 5 * 60
    with writable.at(start + 30 * DAY):
        later = call(writable, "refreshSession", refreshToken=last["refreshToken"])
        assert later == refusal("refreshSession")
        assert viewer(writable, last["accessToken"])[0] == 401


def test_an_erased_customers_session_is_not_refreshed(writable: World) -> None:
    account = confirmed(writable)
    tokens = signed_in(writable, account)
    writable.execute("UPDATE customer SET status = 'ERASED', erased_at = now() WHERE id = $1", account.key)
    assert call(writable, "refreshSession", refreshToken=tokens["refreshToken"]) == refusal("refreshSession")


# ---------------------------------------------------------------- signing out


def test_signing_out_ends_the_session_at_once_and_no_other(writable: World) -> None:
    account = confirmed(writable)
    one, other = signed_in(writable, account), signed_in(writable, account)
    assert viewer(writable, one["accessToken"]) == viewer(writable, other["accessToken"]) == ALIVE
    assert call(writable, "signOut", one["accessToken"]) == {"ended": 1, "userErrors": []}
    assert viewer(writable, one["accessToken"]) == ENDED
    assert call(writable, "refreshSession", refreshToken=one["refreshToken"]) == refusal("refreshSession")
    assert viewer(writable, other["accessToken"]) == ALIVE
    assert sent(writable, "signOut", one["accessToken"]).status_code == 401


def test_signing_out_everywhere_ends_every_session_of_the_customer_and_of_nobody_else(
    writable: World,
) -> None:
    account, stranger = confirmed(writable), confirmed(writable)
    tokens = [signed_in(writable, account)["accessToken"] for _ in range(3)]
    theirs = signed_in(writable, stranger)["accessToken"]
    # Its session began with the registration.
    assert call(writable, "signOut", tokens[1], everywhere=True)["ended"] == 4
    assert [viewer(writable, token) for token in tokens] == [ENDED] * 3
    assert viewer(writable, account.access_token) == ENDED
    assert viewer(writable, theirs) == ALIVE


def test_what_one_gateway_ends_another_refuses_within_two_seconds(writable: World) -> None:
    """Its clock stands still: it believes what it knows until it is told."""
    tokens = signed_in(writable, confirmed(writable))
    with another_gateway(writable) as other:
        ready = until(lambda: other.client.get("/readyz").json()["listening"] is True)
        assert ready
        assert viewer(other, tokens["accessToken"]) == ALIVE
        assert viewer(other, tokens["accessToken"]) == ALIVE
        call(writable, "signOut", tokens["accessToken"])
        assert until(lambda: viewer(other, tokens["accessToken"]) == ENDED)


# ---------------------------------------------------------------- tokens


def test_a_token_of_a_session_that_is_not_there_or_somebody_elses_proves_nothing(writable: World) -> None:
    account, other = confirmed(writable), confirmed(writable)
    signed_in(writable, account)
    (session,) = sessions(writable, account)
    settings, key = writable.gateway.settings, writable.key
    common: dict[str, Any] = {"now": writable.now, "lifetime": 5 * MINUTE}
    found = {
        viewer(writable, key.sign("customer", who, settings, **common, session_id=sid))
        for who, sid in ((account.key, account.key), (other.key, session["id"]))
    }
    assert found == {(401, "unknown session")}
    employee = key.sign("employee", account.key, settings, **common, session_id=session["id"])
    assert viewer(writable, employee) == (401, "subject")


def test_the_check_of_a_session_costs_no_statement_while_it_is_believed(writable: World) -> None:
    token = signed_in(writable, confirmed(writable))["accessToken"]
    assert is_believed(writable, token)


def test_secrets_are_in_no_table_but_the_waiting_mail_in_no_log_and_in_no_url(
    writable: World, caplog: pytest.LogCaptureFixture, logged: Collected
) -> None:
    caplog.set_level("DEBUG")
    account = confirmed(writable)
    tokens = signed_in(writable, account)
    tokens |= call(writable, "refreshSession", refreshToken=tokens["refreshToken"])
    reset = asked_to_reset(writable, account)
    call(writable, "signIn", email=account.email, password=OTHER_PASSWORD)
    writable.forget()
    tables = {name: str(rows) for name, rows in writable.rows().items() if name != "mail"}
    for secret in (PASSWORD, OTHER_PASSWORD, tokens["accessToken"], tokens["refreshToken"], reset):
        assert [name for name, text in tables.items() if secret in text] == []
        assert secret not in caplog.text + logged.text
    assert account.email not in caplog.text + logged.text
    mail = " ".join(row["body"] for row in writable.table("mail"))
    urls = re.findall(r"https?://\S+", mail)
    assert urls
    assert [url for url in urls if "crl_" in url.partition("#")[0]] == []


def test_expired_sessions_their_tokens_and_links_are_deleted(writable: World) -> None:
    account = confirmed(writable)
    signed_in(writable, account)
    asked_to_reset(writable, account)
    tables = ("session", "refresh_token", "one_time_link")

    def tidied(database: Database) -> Any:
        return tidy(writable.gateway.settings, database, writable.now)

    with writable.at(writable.now + 30 * DAY - MINUTE):
        on_database(writable, tidied)
        assert [len(kept(writable, name, customer_id=account.key)) for name in tables] == [1, 1, 0]
    with writable.at(writable.now + 30 * DAY):
        on_database(writable, tidied)
        assert [len(kept(writable, name, customer_id=account.key)) for name in tables] == [0, 0, 0]
