"""Changes that write more where what was asked for exists: they are answered no sooner than they could be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from .gate import Write

# The link and the letter of a known address take a twentieth of an answer to write (tests/test_timing.py).
EVENED = frozenset({"requestOrderAccess", "requestPasswordReset"})
# Several times what such a change takes, so that its own time does not show.
SECONDS = 0.05


def is_evened(writes: Collection[Write]) -> bool:
    """Whether one of the changes is answered no sooner than it could be."""
    return any(write.root.mutation.name in EVENED for write in writes)


@asynccontextmanager
async def evened() -> AsyncIterator[None]:
    """Ends no sooner than a fixed time after it began.

    The block's transaction is over by then: nothing is held while it waits. An exception is not held back:
    none depends on what was found.
    """
    pause = asyncio.ensure_future(asyncio.sleep(SECONDS))
    try:
        yield
        await pause
    finally:
        pause.cancel()
