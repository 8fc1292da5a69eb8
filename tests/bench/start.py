"""From nothing to the first answer: `gateway demo` on data that is there, until it answers over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from .chapters import Chapter, Target, table

CUSTOMERS = 1000
MOST_SECONDS = 2.0
PATIENCE_SECONDS = 120
POLL_SECONDS = 0.005
STARTS = 5
COMMAND = (sys.executable, "-c", "from gateway.program import main; main()")
ASKED = json.dumps({"query": "{ carriers(first: 1) { nodes { name } } }"}).encode()
TITLE = "Start to first answer"
REPEAT = "python -m tests.bench --parts start"
ABOUT = f"""`gateway demo` as a process of its own, on an embedded database with {CUSTOMERS:,} customers that
an earlier start has left: the time from starting the process to the first whole answer with data over HTTP,
which starts Python, PostgreSQL and the server. The first start, which makes the database,
is not among them."""


def start_chapter(say: Callable[[str], None], starts: int = STARTS) -> Chapter:
    """Some starts, one after the other."""
    with tempfile.TemporaryDirectory(prefix="gateway-start-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        say("making the embedded database")
        first = started_in(folder / "data")
        found = [started_in(folder / "data") for _ in range(starts)]
        imports = median(imported() for _ in range(starts))
    say(f"start to first answer: {', '.join(f'{took:.2f}' for took in found)} s")
    rows = [
        ("with data that is there, median", f"{median(found):.2f}"),
        ("the longest", f"{max(found):.2f}"),
        ("of it Python and its modules, median of as many", f"{imports:.2f}"),
        (f"the very first, which makes the database and {CUSTOMERS:,} customers", f"{first:.2f}"),
    ]
    text = "\n\n".join([" ".join(ABOUT.split("\n")), table((f"start, of {starts}", "s"), rows)])
    wanted = f"under {MOST_SECONDS:g} s"
    is_met = median(found) < MOST_SECONDS
    shown = f"{median(found):.2f} s ({min(found):.2f} to {max(found):.2f})"
    because = f"Python takes {imports:.2f} s of it to import the gateway, right after"
    target = Target("start to first answer, embedded database", wanted, shown, is_met, because)
    return Chapter("start", TITLE, text, REPEAT, (target,))


def started_in(data_dir: Path) -> float:
    """Seconds from the start of a process on this folder until it has answered; it is stopped and awaited."""
    port = free_port()
    options = ("demo", "--port", str(port), "--customers", str(CUSTOMERS), "--data-dir", str(data_dir))
    # Installed packages have their bytecode; this tree's is written by the first start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    with subprocess.Popen((*COMMAND, *options), env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            while not _answers(port):
                if process.poll() is not None:
                    raise RuntimeError("the demo ended: its error is above")
                if time.perf_counter() - began > PATIENCE_SECONDS:
                    raise RuntimeError("the demo does not answer")
                time.sleep(POLL_SECONDS)
            return time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_SECONDS)


def imported() -> float:
    """Seconds that a process takes to import what `gateway demo` does, and to end."""
    modules = "import gateway.program, gateway.app, gateway.demo.run"
    began = time.perf_counter()
    subprocess.run((sys.executable, "-c", modules), check=True)
    return time.perf_counter() - began


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("POST", "/graphql", ASKED, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status == 200 and bool(json.loads(response.read())["data"]["carriers"]["nodes"])
    except ConnectionError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
