"""Speaks SMTP: takes a waiting message, gives what the server said of it. The only module with aiosmtplib."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from enum import Enum

import aiosmtplib

from schema import formats

from ..logs import Event, about, note
from .outbox import Waiting
from .server import Server

# Shorter than the first wait in `outbox`, so that no other worker takes a message that is being sent.
LONGEST_SECONDS = 30
_PERMANENT = 500


class Answer(Enum):
    """What became of a message at the server."""

    ACCEPTED = "accepted"
    REFUSED = "refused for good"
    LATER = "not taken now"


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server, and the address its messages are from."""

    server: Server
    sender: str

    async def send(self, waiting: Waiting) -> Answer:
        """Hands a message over. Neither address nor text is logged: the kind of error and its code are."""
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await self._send(waiting)
        except formats.Malformed:
            note(Event.MAIL_REFUSED)
            return Answer.REFUSED
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            codes = _codes(error)
            told = {"reply_codes": tuple(codes) or None, "attempts": waiting.attempts}
            note(Event.MAIL_NOT_TAKEN, **about(error), **told)
            return Answer.REFUSED if codes and min(codes) >= _PERMANENT else Answer.LATER
        return Answer.ACCEPTED

    async def _send(self, waiting: Waiting) -> None:
        server = self.server
        # A password goes over TLS alone; without one TLS is used where the server offers it.
        start_tls = False if server.is_wrapped else True if server.password is not None else None
        await aiosmtplib.send(
            letter_of(waiting, self.sender),
            sender=self.sender,
            recipients=[formats.mailbox(waiting.recipient)],
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.is_wrapped,
            start_tls=start_tls,
            timeout=LONGEST_SECONDS,
        )


def _codes(error: Exception) -> list[int]:
    """The server's codes for this very message; those for us, such as a wrong password, are not."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=refused):
            return [one.code for one in refused]
        case aiosmtplib.SMTPDataError(code=code):
            return [code]
        case _:
            return []


def letter_of(waiting: Waiting, sender: str) -> EmailMessage:
    """The message as it is sent; its id is the row's, so that a message sent twice can be told."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = formats.mailbox(waiting.recipient)
    message["Subject"] = waiting.subject
    message["Date"] = format_datetime(_without_fraction(waiting.created_at))
    message["Message-ID"] = f"<{waiting.key}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers it
    message.set_content(waiting.body)
    return message


def _without_fraction(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
