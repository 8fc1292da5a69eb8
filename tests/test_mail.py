"""Outgoing mail: kept with the change, sent to a real SMTP server, tried again, listed; used up keys go."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import ValidationError
from starlette.testclient import TestClient
from typer.testing import CliRunner

from gateway.app import app_of, create_gateway
from gateway.chores import sender_of, tidy
from gateway.cli import cli
from gateway.config import Settings
from gateway.database import Database
from gateway.mail.outbox import ATTEMPTS
from gateway.mail.server import Server, read_server
from tests.logged import Collected
from tests.world import World
from tests.writing import ACCESS, GUEST, at_once, kept, placed

OK = "250 OK"


@dataclass
class Mailbox:
    """What a mail server does with a message, and those it has accepted."""

    answers: list[str] = field(default_factory=list)
    accepted: list[Any] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    users: list[Any] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.answers.pop(0) if self.answers else OK
        if answer == OK:
            assert isinstance(envelope.content, bytes)
            self.accepted.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
            self.arrived.set()
        return answer


@contextmanager
def mail_server(mailbox: Mailbox, **options: Any) -> Iterator[str]:
    """A real SMTP server on loopback; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield f"smtp://127.0.0.1:{port}"
    finally:
        controller.stop()


def with_mail(world: World, url: str | None) -> Settings:
    found: Settings = world.gateway.settings.model_copy(update={"smtp_url": None})
    return Settings(**{**found.model_dump(), "smtp_url": url})


def send(world: World, url: str, after: timedelta = timedelta(0)) -> None:
    """One round of a worker at a moment of the gateway's clock."""

    async def round_of(database: Database) -> None:
        sender = sender_of(with_mail(world, url), database, lambda: world.now + after)
        assert sender is not None
        await sender.send_due()

    on_database(world, round_of)


def on_database(world: World, step: Callable[[Database], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        database = Database(world.gateway.settings)
        try:
            await step(database)
        finally:
            await database.close()

    asyncio.run(run())


@pytest.fixture
def letter(writable: World) -> dict[str, Any]:
    """The only message there is."""
    writable.execute("DELETE FROM mail")
    order = placed(writable, "anonymous", customer={**GUEST, "email": "a@b\u00fccher.example"})["order"]
    name = f"{GUEST['firstName']} {GUEST['surname']}"
    given = {"number": order["number"], "name": name, "email": "a@b\u00fccher.example"}
    writable.data("anonymous", ACCESS, {"input": given})
    (found,) = kept(writable, "mail")
    return found


def test_mail_is_sent_to_a_real_server_and_then_forgotten(writable: World, letter: dict[str, Any]) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as url:
        send(writable, url)
    ((recipients, message),) = mailbox.accepted
    assert recipients == [message["To"]] == ["a@xn--bcher-kva.example"]
    assert message.get_content().replace("\r\n", "\n") == letter["body"]
    assert message["Message-ID"] == f"<{letter['id']}@store.example>"
    assert (message["Subject"], message["From"]) == (letter["subject"], "no-reply@store.example")
    assert kept(writable, "mail") == []


def test_a_worker_with_a_mail_server_sends_by_itself(writable: World, letter: dict[str, Any]) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as url:
        gateway = create_gateway(with_mail(writable, url), writable.clock)
        with TestClient(app_of(gateway)):
            assert mailbox.arrived.wait(10)
    assert [message["Subject"] for _, message in mailbox.accepted] == [letter["subject"]]
    assert kept(writable, "mail", attempts=0) == []


def test_without_a_mail_server_messages_stay(writable: World, letter: dict[str, Any]) -> None:
    assert sender_of(with_mail(writable, None), writable.gateway.database, writable.clock) is None
    assert kept(writable, "mail") == [letter]


def test_what_is_not_taken_now_is_tried_again_after_longer_and_longer_waits(
    writable: World, letter: dict[str, Any], logged: Collected
) -> None:
    mailbox, after = Mailbox(answers=["451 later"] * ATTEMPTS), timedelta(0)
    with mail_server(mailbox) as url:
        for attempt in range(1, ATTEMPTS + 1):
            send(
                writable, url, after - timedelta(seconds=1 if attempt > 1 else 0)
            )  # not due yet, but the first
            send(writable, url, after)
            (row,) = kept(writable, "mail")
            assert row["attempts"] == attempt
            after += timedelta(minutes=2 ** min(attempt - 1, 9))
    assert mailbox.answers == []
    assert row["failed_at"] is not None
    assert timedelta(hours=16) < after < timedelta(hours=48)
    last = logged.events("mail_not_taken")[-1]
    assert (last["error"], last["reply_codes"], last["attempts"]) == ("SMTPDataError", [451], ATTEMPTS)
    assert not re.search("bücher|xn--|eyJ", logged.text)


@pytest.mark.parametrize("answer", ["554 no", "550 no such user"])
def test_what_is_refused_for_good_is_tried_once(writable: World, letter: dict[str, Any], answer: str) -> None:
    mailbox = Mailbox(answers=[answer])
    with mail_server(mailbox) as url:
        send(writable, url)
        send(writable, url, timedelta(days=1))
    (row,) = kept(writable, "mail")
    assert (row["attempts"], row["failed_at"], mailbox.accepted) == (1, writable.now, [])


def test_what_is_given_up_keeps_no_text_and_is_still_listed(writable: World, letter: dict[str, Any]) -> None:
    """Nobody sends it any more, and the link in it still holds."""
    with mail_server(Mailbox(answers=["554 no"])) as url:
        send(writable, url)
    (row,) = kept(writable, "mail")
    assert row["body"] == ""
    (found,) = json.loads(run_cli(writable, "--json"))
    assert (found["subject"], found["body"]) == (letter["subject"], "")
    assert found["failed_at"] is not None
    text = run_cli(writable)
    assert "failed" in text
    assert "order#" not in text


def test_a_server_that_is_away_costs_an_attempt_and_no_message(
    writable: World, letter: dict[str, Any]
) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as url:
        pass
    send(writable, url)
    assert [(row["attempts"], row["failed_at"]) for row in kept(writable, "mail")] == [(1, None)]
    with mail_server(mailbox) as url:
        send(writable, url, timedelta(minutes=1))
    assert len(mailbox.accepted) == 1


def test_a_message_is_sent_once_however_many_workers_there_are(
    writable: World, letter: dict[str, Any]
) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as url:
        at_once(*[lambda: send(writable, url)] * 4)
    assert len(mailbox.accepted) == 1
    assert kept(writable, "mail") == []


def test_a_password_is_not_sent_without_tls(writable: World, letter: dict[str, Any]) -> None:
    mailbox = Mailbox()

    def authenticate(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        mailbox.users.append(data)
        return AuthResult(success=isinstance(data, LoginPassword))

    options = {"authenticator": authenticate, "auth_require_tls": False}
    with mail_server(mailbox, **options) as url:
        send(writable, url.replace("://", "://user:secret@"))
    assert (mailbox.users, mailbox.accepted) == ([], [])
    assert [row["attempts"] for row in kept(writable, "mail")] == [1]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", Server("mail.example", 587, False)),
        ("smtps://mail.example/", Server("mail.example", 465, True)),
        ("smtp://u%40x:p%3A@[::1]:25", Server("::1", 25, False, "u@x", "p:")),
    ],
)
def test_a_mail_server_is_read_from_its_url(url: str, server: Server) -> None:
    assert read_server(url) == server
    assert "p:" not in repr(server)


@pytest.mark.parametrize(
    "url", ["", "mail.example", "http://mail.example", "smtp://", "smtp://user@h", "smtp://h:x", "smtp://h/p"]
)
def test_a_setting_that_is_no_mail_server_stops_the_start_without_its_value(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(database_url="postgresql://x", smtp_url=url)  # type: ignore[arg-type]  # pydantic coerces
    (error,) = caught.value.errors(include_input=False)
    assert error["loc"] == ("smtp_url",)
    assert error["msg"] == "Value error, is no `smtp://user:password@host:port` or `smtps://…`"


def run_cli(world: World, *arguments: str) -> str:
    environment = {"GATEWAY_DATABASE_URL": world.gateway.settings.database_url.get_secret_value()}
    result = CliRunner().invoke(cli, ["mail", *arguments], env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_gateway_mail_lists_what_waits(writable: World, letter: dict[str, Any]) -> None:
    (found,) = json.loads(run_cli(writable, "--json"))
    shown = ("kind", "recipient", "subject", "body", "attempts", "failed_at")
    assert {name: found[name] for name in shown} == {name: letter[name] for name in shown}
    text = run_cli(writable)
    assert letter["body"] in text
    assert "waiting" in text
    writable.execute("UPDATE mail SET failed_at = now()")
    assert "failed" in run_cli(writable)
    writable.execute("DELETE FROM mail")
    assert (run_cli(writable), json.loads(run_cli(writable, "--json"))) == ("no message waits\n", [])


def test_gateway_mail_uses_the_running_demo(writable: World, letter: dict[str, Any], tmp_path: Path) -> None:
    url = writable.gateway.settings.database_url.get_secret_value()
    (tmp_path / "running.json").write_text(json.dumps({"owner_url": "", "gateway_url": url}))
    result = CliRunner().invoke(cli, ["mail", "--json", "--data-dir", str(tmp_path)])
    assert [one["subject"] for one in json.loads(result.stdout)] == [letter["subject"]]


def test_gateway_mail_says_what_is_missing(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["mail", "--data-dir", str(tmp_path)])
    assert str(result.exception) == f"no demo runs on {tmp_path}: start it with `gateway demo`"
    nowhere = {"GATEWAY_DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    result = CliRunner().invoke(cli, ["mail"], env=nowhere)
    assert str(result.exception).startswith("the database cannot be read: ")


def test_idempotency_keys_are_deleted_after_their_24_hours(writable: World) -> None:
    def add(hours: int, count: int) -> None:
        writable.execute(
            "INSERT INTO idempotency SELECT 'test-' || $2, gen_random_uuid(), 'm', 'd', 'Order',"
            " gen_random_uuid(), $1::timestamptz FROM generate_series(1, $2::int)",
            *(writable.now - timedelta(hours=hours), count),
        )

    add(25, 2500)  # more than two batches
    add(23, 3)
    settings = writable.gateway.settings
    on_database(writable, lambda database: tidy(settings, database, writable.now))
    assert kept(writable, "idempotency", principal="test-2500") == []
    assert len(kept(writable, "idempotency", principal="test-3")) == 3


def test_mail_is_deleted_once_the_token_in_it_has_expired_whether_it_waits_or_failed(writable: World) -> None:
    settings = writable.gateway.settings

    def add(kind: str, age: timedelta, count: int) -> None:
        writable.execute(
            "INSERT INTO mail (id, kind, recipient, subject, body, created_at, next_attempt_at, failed_at)"
            " SELECT gen_random_uuid(), $1, 'a@example.com', 's', 'b', $2::timestamptz, $2::timestamptz,"
            " CASE WHEN place % 2 = 0 THEN $2::timestamptz END FROM generate_series(1, $3::int) AS place",
            *(kind, writable.now - age, count),
        )

    days = timedelta(days=settings.order_token_days)
    add("expired", days, 2500)  # more than two batches
    add("holds", days - timedelta(seconds=1), 3)
    on_database(writable, lambda database: tidy(settings, database, writable.now))
    assert kept(writable, "mail", kind="expired") == []
    assert len(kept(writable, "mail", kind="holds")) == 3


def test_a_message_to_an_address_that_is_none_is_given_up_at_once(writable: World) -> None:
    writable.execute("DELETE FROM mail")
    writable.execute(
        "INSERT INTO mail (id, kind, recipient, subject, body, created_at, next_attempt_at)"
        " VALUES (gen_random_uuid(), 'k', 'no mailbox', 's', 'b', $1, $1)",
        writable.now,
    )
    send(writable, "smtp://127.0.0.1:1")
    (row,) = kept(writable, "mail")
    assert (row["failed_at"], row["attempts"]) == (writable.now, 1)
