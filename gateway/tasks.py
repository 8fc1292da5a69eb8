"""Tasks that are ended before whoever began them goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

CANCEL_SECONDS = 0.1


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels until all have ended: before Python 3.12 `asyncio.wait_for` may swallow a cancellation.

    What they raise is nobody's any more.
    """
    left = ended = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_SECONDS)
    await asyncio.gather(*ended, return_exceptions=True)
