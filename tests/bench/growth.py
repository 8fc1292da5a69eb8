"""How cost grows: with workers, with rows, with the policy, with the result."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from .callers import place_of
from .chapters import Chapter
from .growing import Say, Scale
from .growth_policy import with_policy
from .growth_rows import callers_of, with_rows
from .growth_size import with_size
from .growth_workers import with_workers
from .place import Place
from .register import register
from .servers import Cores

__all__ = ["Scale", "growth_chapter"]

TITLE = "How cost grows"
REPEAT = "python -m tests.bench --parts growth --harness DIR"


def growth_chapter(server_url: str, cores: Cores | None, scale: Scale, say: Say) -> Chapter:
    """Each way of growing, on registers of several sizes on this server."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-growth-")))
        places = {customers: _place(server_url, customers, scale, folder, say) for customers in scale.rows}
        place = places[scale.rows[0]]
        parts = [
            with_rows(places, cores, scale, say),
            with_workers(place, cores, scale, say),
            with_policy(place, folder / "policies", cores, scale, say),
            with_size(place, cores, scale, say),
        ]
    text = "\n\n".join(part.text for part in parts)
    targets = tuple(one for part in parts for one in part.targets)
    plots = tuple(one for part in parts for one in part.plots)
    return Chapter("growth", TITLE, text, REPEAT, targets, plots)


def _place(server_url: str, customers: int, scale: Scale, folder: Path, say: Say) -> Place:
    """A register of this size with those who ask it, as many as ask each of the others."""
    say(f"making the register of {customers:,} customers, unless it is kept")
    own = folder / str(customers)
    own.mkdir()
    return place_of(register(server_url, customers, callers_of(scale)), own)
