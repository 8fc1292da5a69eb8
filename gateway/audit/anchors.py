"""The newest seals, told to a place outside the database: a file, or a URL that takes them by POST.

An anchor is a line of JSON: `{"chain": …, "number": …, "seal": …, "sealed_at": …}`. Whoever changes the
database can seal it anew; they cannot make those seals what was anchored.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from ..errors import StartError
from .lines import CHAINS, DIGEST_BYTES
from .place import is_url
from .verify import Anchored

TIMEOUT_SECONDS = 10
LONGEST_BYTES = 64 * 1024 * 1024
# Where the newest seals stand in a file: some 80 of each chain.
END_BYTES = 32 * 1024

_NEWEST = """
SELECT chain, number, seal, sealed_at FROM seal WHERE chain = $1 ORDER BY number DESC LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A seal as it is told."""

    chain: str
    number: int
    seal: bytes
    sealed_at: datetime

    def line(self) -> str:
        """The anchor as JSON."""
        told = {"chain": self.chain, "number": self.number, "seal": self.seal.hex()}
        return json.dumps({**told, "sealed_at": self.sealed_at.isoformat()})


class Anchoring:
    """Tells the newest seals of a database to a place, each of them once.

    In a file of one machine no other process tells them again; at a URL, or on another machine, each does.
    """

    def __init__(self, database: Any, place: str) -> None:
        self._database = database
        self._place = place
        self._told: dict[str, Anchor] = {}

    async def anchor(self) -> int:
        """How many seals it has told: of each chain the newest, unless it is told already."""
        found = [await self._database.fetch(None, _NEWEST, (chain.name,)) for chain in CHAINS]
        anchors = [Anchor(*row) for row in found if row is not None]
        new = [anchor for anchor in anchors if self._told.get(anchor.chain) != anchor]
        if new:
            await tell(self._place, new)
        self._told |= {anchor.chain: anchor for anchor in new}
        return len(new)


class NotTold(Exception):
    """The place did not take the seals; its text is the type of what went wrong."""


async def tell(place: str, anchors: Sequence[Anchor]) -> None:
    """Appends the anchors to the file, or sends them to the URL; raises `NotTold`."""
    try:
        if is_url(place):
            await _send(place, anchors)
        else:
            await asyncio.to_thread(_append, Path(place), [anchor.line() for anchor in anchors])
    except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotTold(type(error).__name__) from error


async def _send(url: str, anchors: Sequence[Anchor]) -> None:
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client:
        for anchor in anchors:
            headers = {"content-type": "application/json"}
            response = await client.post(url, content=anchor.line(), headers=headers)
            if not response.is_success:
                raise httpx.HTTPError("the place of the anchor did not take it")


def _append(path: Path, lines: Sequence[str]) -> None:
    """Appends the lines that do not stand at the file's end yet: of several workers one tells a seal."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        end = _end(path)
        told = set(end.splitlines())
        left = "".join(f"{line}\n" for line in lines if line.encode() not in told).encode()
        if left and end and not end.endswith(b"\n"):
            left = b"\n" + left  # whoever wrote last was cut off
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end(path: Path) -> bytes:
    """The newest lines of a file; nothing where it may be written alone, or is none."""
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - END_BYTES))
            return file.read()
    except PermissionError:
        return b""


async def read_anchors(place: str) -> Anchored:
    """The seals that were anchored; raises `StartError` where there is none, or something else stands there.

    A URL answers with the lines it was sent.
    """
    try:
        text = await _fetched(place) if is_url(place) else await asyncio.to_thread(Path(place).read_bytes)
    except (OSError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise StartError(f"the anchors cannot be read: {type(error).__name__}") from error
    found: dict[tuple[str, int], set[bytes]] = defaultdict(set)
    for line_number, line in enumerate(text.splitlines(), 1):
        try:
            chain, number, seal = _read_line(line)
        except (ValueError, TypeError, KeyError) as error:
            raise StartError(f"line {line_number} of the anchors is no anchor") from error
        found[chain, number].add(seal)
    if not found:
        raise StartError("there is no anchor")
    return {key: frozenset(kept) for key, kept in found.items()}


def _read_line(line: bytes) -> tuple[str, int, bytes]:
    told = json.loads(line)
    chain, number, seal = told["chain"], told["number"], bytes.fromhex(told["seal"])
    if chain not in {one.name for one in CHAINS} or type(number) is not int or len(seal) != DIGEST_BYTES:
        raise ValueError("no anchor")
    return chain, number, seal


async def _fetched(place: str) -> bytes:
    body = bytearray()
    async with (
        httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client,
        client.stream("GET", place) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise ValueError("no plain answer")
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LONGEST_BYTES:
                raise ValueError("too long an answer")
    return bytes(body)
