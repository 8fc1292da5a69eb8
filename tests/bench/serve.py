"""One worker of a server under measurement: `python -m tests.bench.serve NAME`.

Writes the port it was given by the system as its first line, and serves until its input ends.
"""

from __future__ import annotations

import socket
import sys
import threading

import uvicorn

# By name, so that no process carries another's modules: the application, and how HTTP is spoken.
APPLICATIONS = {
    "gateway": ("gateway.app:from_environment", "gateway.server:Connection"),
    "unrecorded": ("tests.bench.unrecorded:from_environment", "gateway.server:Connection"),
    "unlimited": ("tests.bench.unlimited:from_environment", "gateway.server:Connection"),
    "hand-written": ("tests.bench.hand_written:from_environment", "httptools"),
    "hand-written-peers": ("tests.bench.hand_written_peers:from_environment", "httptools"),
    "hand-written-peers-unrecorded": ("tests.bench.hand_written_peers:unrecorded", "httptools"),
}


def main(name: str) -> None:
    """Serves the application of this name."""
    application, protocol = APPLICATIONS[name]
    config = uvicorn.Config(
        application,
        factory=True,
        loop="uvloop",
        http=protocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        # As the gateway is served (`gateway.server`): nobody is believed to be a proxy.
        proxy_headers=False,
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
