"""Packages of npm for the tests, in exactly the versions of `packages.json`, and programs that use them."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

HERE = Path(__file__).parent
INSTALL_SECONDS = 300
PATIENCE_SECONDS = 120
INSTALL = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
# A warning goes to standard error, where nothing may stand.
NODE = ("node", "--trace-warnings", "--unhandled-rejections=strict")
Doing = Mapping[str, Callable[..., Any]]


def node_modules(folder: Path) -> Path:
    """The folder with the packages installed in it; skips the test where they cannot be had."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"no `{program}` on this machine")
    packages = json.loads((HERE / "packages.json").read_text())
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": packages}))
    try:
        found = subprocess.run(INSTALL, cwd=folder, capture_output=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install its packages within {INSTALL_SECONDS} s")
    if found.returncode != 0:
        pytest.skip("npm could not install its packages: is its registry reached?")
    return folder


def project(npm: Path, name: str, to: Path) -> Path:
    """A copy of a folder of this one, from where the packages are found as in any project."""
    folder = Path(shutil.copytree(HERE / name, to / name))
    shutil.copy(HERE / "told.mjs", folder)
    (folder / "node_modules").symlink_to(npm / "node_modules", target_is_directory=True)
    return folder


def run_tool(folder: Path, tool: str, *arguments: str) -> str:
    """What a command of a package says; it ends well."""
    command = [str(folder / "node_modules" / ".bin" / tool), *arguments]
    found = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def run_program(npm: Path, name: str, given: Mapping[str, Any], doing: Doing | None = None) -> Any:
    """What a program of this folder saw, run beside the packages."""
    for source in (HERE / "told.mjs", HERE / name):
        shutil.copy(source, npm / source.name)
    return run_in(npm, name, given, doing)


def run_in(folder: Path, name: str, given: Mapping[str, Any], doing: Doing | None = None) -> Any:
    """What a program in a folder saw; what it wants done meanwhile is done by these functions.

    It ends by itself and in time, and says nothing on standard error.
    """
    with _started(folder, name) as (started, faults):
        assert started.stdin is not None
        assert started.stdout is not None
        try:
            seen = _talk(started.stdin, started.stdout, given, doing or {})
        except BrokenPipeError:
            # It ended in the middle; why is said below.
            seen = None
        status = started.wait()
        faults.seek(0)
        said = faults.read()
        assert (status, said) == (0, ""), said
    assert seen is not None, "the program saw nothing"
    return seen


@contextmanager
def _started(folder: Path, name: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    with (folder / f"{name}.faults").open("w+") as faults:
        pipe = subprocess.PIPE
        started = subprocess.Popen(
            [*NODE, name], cwd=folder, stdin=pipe, stdout=pipe, stderr=faults, text=True, bufsize=1
        )
        timer = threading.Timer(PATIENCE_SECONDS, started.kill)
        timer.start()
        try:
            with started:
                yield started, faults
        finally:
            timer.cancel()
            started.kill()
            started.wait()


def _talk(stdin: IO[str], stdout: IO[str], given: Mapping[str, Any], doing: Doing) -> Any:
    """Does what the program wants until it says what it saw."""
    seen = None
    print(json.dumps(given), file=stdin)
    for line in stdout:
        told = json.loads(line)
        if "saw" in told:
            seen = told["saw"]
        else:
            print(json.dumps(doing[told["wants"]](*told["values"])), file=stdin)
    return seen
