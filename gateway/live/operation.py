"""One operation of a socket, as its client may end it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..access_log import new_request_id
from ..logs import Told
from .subscription import Subscription


class SocketOperation:
    """One operation of a socket; it can be stopped, also before it began."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.request_id = new_request_id()
        self.told = Told()
        self.start = time.perf_counter()
        self._subscription: Subscription | None = None
        self._answering: asyncio.Task[Any] | None = None
        self._is_stopped = False

    def follow(self, subscription: Subscription) -> Subscription:
        """The subscription that it is, which is stopped with it."""
        self._subscription = subscription
        if self._is_stopped:
            subscription.stop()
        return subscription

    @contextmanager
    def breaking_off(self) -> Iterator[None]:
        """Whatever is done meanwhile is cancelled where the operation is stopped."""
        self._answering = asyncio.current_task()
        if self._is_stopped:
            raise asyncio.CancelledError
        try:
            yield
        finally:
            self._answering = None

    def stop(self) -> None:
        """Ends it: a subscription after its statement under way, anything else at once."""
        self._is_stopped = True
        if self._answering is not None:
            self._answering.cancel()
        if self._subscription is not None:
            self._subscription.stop()
