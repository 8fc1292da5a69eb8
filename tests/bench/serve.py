"""One worker of a server under measurement: `python -m tests.bench.serve gateway | hand-written`.

Writes the port it was given by the system as its first line, and serves until its input ends.
"""

from __future__ import annotations

import socket
import sys
import threading

import uvicorn

# By name, so that neither process carries the other's modules.
APPLICATIONS = {
    "gateway": "gateway.app:from_environment",
    "hand-written": "tests.bench.hand_written:from_environment",
}


def main(name: str) -> None:
    """Serves the application of this name."""
    config = uvicorn.Config(
        APPLICATIONS[name],
        factory=True,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    server = uvicorn.Server(config)

    def stop_with_input() -> None:
        sys.stdin.read()
        server.should_exit = True

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=stop_with_input, daemon=True).start()
        server.run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
