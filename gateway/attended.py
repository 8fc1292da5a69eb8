"""A request that is attended to no longer than it may take, and no longer than its caller waits.

Takes what ASGI calls `receive`. Raises `HttpError` (408), `RequestTimeout` or `CallerGone` in the place of
what was under way, which is cancelled: PostgreSQL cancels the statement, a transaction is rolled back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any

from .config import Settings
from .errors import CallerGone, Code, HttpError, RequestTimeout

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
# PERF: almost every request is over before anybody looks after its caller, which takes a task, 9 µs; until
# then one timer is all it costs, 1 µs (`call_later` and `create_task` alone, on uvloop). It is so long that a
# worker with more to do than it can, whose requests wait for each other, has no such tasks beside them.
UNWATCHED_SECONDS = 0.5


class Attended:
    """The block reads a request, says so with `has_come`, and answers it, each in its time."""

    def __init__(self, receive: Receive, settings: Settings) -> None:
        self._receive = receive
        self._settings = settings
        self._unwatched_seconds = min(
            UNWATCHED_SECONDS, settings.body_timeout_seconds, settings.request_timeout_seconds
        )
        self._watcher: asyncio.Task[None] | None = None
        self._end: Exception | None = None

    def __enter__(self) -> Attended:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a request is a task
        self._loop, self._task, self._cancelling = task.get_loop(), task, task.cancelling()
        self._since, self._is_coming = self._loop.time(), True
        self._timer = self._loop.call_later(self._unwatched_seconds, self._look)
        return self

    def has_come(self) -> None:
        """The body was read to its end: what comes after it is the caller's own end."""
        self._is_coming, now = False, self._loop.time()
        if now - self._since >= self._unwatched_seconds:
            self._timer.cancel()
            self._timer = self._loop.call_later(self._unwatched_seconds, self._look)
        self._since = now

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        end, self._end = self._end, None
        if end is None:
            return
        # Whoever stops the worker cancels too: that stays what it is.
        if self._task.uncancel() <= self._cancelling and kind is not None:
            try:
                raise end from error
            finally:
                # What is raised holds this frame: it is not to hold it too, or the request would stay in
                # memory until the garbage collector comes by.
                del end, error

    def _look(self) -> None:
        """Ends a body that is late, comes back for one that is not yet, and watches over what has come."""
        if not self._is_coming:
            self._watcher = self._loop.create_task(self._watch())
            return
        left = self._since + self._settings.body_timeout_seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._cancel(HttpError(Code.BAD_REQUEST, "the body did not come in time", 408))

    async def _watch(self) -> None:
        try:
            async with asyncio.timeout_at(self._since + self._settings.request_timeout_seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            self._cancel(RequestTimeout())
        else:
            self._cancel(CallerGone())

    def _cancel(self, end: Exception) -> None:
        self._end = end
        self._task.cancel()
