"""The gateway with several workers, as `gateway serve` runs it: `… -m tests.bench.serve_workers PORT N`."""

from __future__ import annotations

import sys

from gateway.config import Settings
from gateway.server import serve

if __name__ == "__main__":
    serve("gateway.app:from_environment", Settings.read(), "127.0.0.1", int(sys.argv[1]), int(sys.argv[2]))
