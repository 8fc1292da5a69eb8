"""The program `gateway`: its command line, loaded without the garbage collector in its way."""

from __future__ import annotations

import gc


def main() -> None:
    """Loads the commands and runs one.

    # PERF: the collector walked all that was loaded so far again and again, and found nothing: 0.2 s of 1.5.
    """
    gc.disable()
    from .cli import main as run

    gc.freeze()
    gc.enable()
    run()
