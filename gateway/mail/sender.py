"""Sends what is due, one message after the other, in every worker that has a mail server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from .outbox import ATTEMPTS, Outbox
from .smtp import Answer, Smtp


@dataclass(frozen=True, slots=True)
class Sender:
    """Takes messages from the outbox to the mail server.

    A message is forgotten after the server has accepted it: a worker that dies between the two sends it
    again later, with the same `Message-ID`. None is lost.
    """

    outbox: Outbox
    smtp: Smtp
    clock: Callable[[], datetime]

    async def send_due(self) -> None:
        """Sends until nothing is due; stops where the server takes nothing now."""
        while (waiting := await self.outbox.take(self.clock())) is not None:
            match await self.smtp.send(waiting):
                case Answer.ACCEPTED:
                    await self.outbox.forget(waiting)
                case Answer.LATER if waiting.attempts < ATTEMPTS:
                    return
                case Answer.REFUSED | Answer.LATER:
                    await self.outbox.give_up(waiting, self.clock())
