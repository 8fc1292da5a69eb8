"""Sends what is due, one message after the other, in every worker that has a mail server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from .outbox import ATTEMPTS, Waiting
from .smtp import Answer, Smtp


class Queue(Protocol):
    """Where messages wait to be sent."""

    async def take(self, now: datetime) -> Waiting | None:
        """The message due longest, which no other worker takes until its next attempt is due."""
        ...

    async def forget(self, waiting: Waiting, now: datetime) -> None:
        """A message is sent."""
        ...

    async def put_off(self, waiting: Waiting, now: datetime) -> None:
        """A message was not taken, and is tried again."""
        ...

    async def give_up(self, waiting: Waiting, now: datetime) -> None:
        """A message cannot be sent."""
        ...


@dataclass(frozen=True, slots=True)
class Sender:
    """Takes messages from a queue to the mail server.

    A message is forgotten after the server has accepted it: a worker that dies between the two sends it
    again later, with the same `Message-ID`. None is lost.
    """

    outbox: Queue
    smtp: Smtp
    clock: Callable[[], datetime]

    async def send_due(self) -> int:
        """Sends until nothing is due, and counts; stops where the server takes nothing now."""
        sent = 0
        while (waiting := await self.outbox.take(self.clock())) is not None:
            match await self.smtp.send(waiting):
                case Answer.ACCEPTED:
                    await self.outbox.forget(waiting, self.clock())
                    sent += 1
                case Answer.LATER if waiting.attempts < ATTEMPTS:
                    await self.outbox.put_off(waiting, self.clock())
                    return sent
                case Answer.REFUSED | Answer.LATER:
                    await self.outbox.give_up(waiting, self.clock())
        return sent
