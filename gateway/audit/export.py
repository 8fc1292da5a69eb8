"""The records and their seals as JSON lines, which anybody can verify without the database.

A record's line is the very text whose SHA-256 is its leaf; behind the records of a seal comes its own line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..errors import StartError
from .lines import CHAINS, Chain, Seal
from .source import Stretches, seals
from .verify import EVERYTHING


async def export(connection: Any, file: IO[str]) -> None:
    """Writes every record and every seal; records that are not sealed yet come last of their chain."""
    for chain in CHAINS:
        lines: Stretches[str] = Stretches(connection, chain, Chain.line)
        async for seal in seals(connection, chain):
            version = seal.line_version if seal.line_version in chain.columns else chain.version
            async for row in lines.up_to(seal.last_number, version):
                file.write(f"{row.form}\n")
            file.write(f"{seal_line(seal)}\n")
        async for row in lines.up_to(EVERYTHING, chain.version):
            file.write(f"{row.form}\n")


def seal_line(seal: Seal) -> str:
    """A seal as a line: all that its own SHA-256 is made of; bytes are hexadecimal, moments UTC."""
    said = {
        "chain": seal.chain,
        "number": seal.number,
        "firstNumber": seal.first_number,
        "lastNumber": seal.last_number,
        "records": seal.records,
        "lineVersion": seal.line_version,
        "sealedAt": seal.sealed_at.isoformat(timespec="microseconds"),
        "droppedAt": None if seal.dropped_at is None else seal.dropped_at.isoformat(timespec="microseconds"),
        "previous": seal.previous.hex(),
        "digest": seal.digest.hex(),
        "seal": seal.seal.hex(),
    }
    return json.dumps({"seal": said})


@contextmanager
def private_file(path: Path) -> Iterator[IO[str]]:
    """A file that only its owner may read, for text that is about people; raises `StartError`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            os.fchmod(file.fileno(), 0o600)
            yield file
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}") from error
