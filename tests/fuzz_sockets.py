"""A grammar of broken sockets: messages that are none of the protocol, in any order, and broken frames."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.fuzz_documents import Values, body, parameters
from tests.fuzzing import PATIENCE_SECONDS, Fuzzed
from tests.live import PROTOCOL

Draw = Callable[[st.SearchStrategy[Any]], Any]
KINDS = ["connection_init", "subscribe", "complete", "ping", "pong", "next", "connection_ack", "", "start"]
README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
# The close codes of the README, but for faults and those of a server that is stopped or full.
CLOSES = {int(code) for code in re.findall(r"^\| (\d{4}) \|", README, re.MULTILINE)} - {1001, 1011, 1013}
SAID = {"connection_ack", "pong", "next", "error", "complete"}
BINARY = b"\0"
INIT, PING = '{"type": "connection_init", "payload": %s}', '{"type": "ping"}'
KEY = base64.b64encode(b"0123456789abcdef")
UPGRADE = b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
OPENING = UPGRADE + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n"
OPENING += b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"


@st.composite
def conversations(draw: Draw, values: Values) -> list[str | bytes]:
    """What is said after the socket is open; in most of them it is initialised first."""
    found: list[str | bytes] = [INIT] if draw(st.integers(0, 5)) else []
    for _ in range(draw(st.integers(1, 4))):
        found.append(draw(_message(values)))
    return found


def _message(values: Values) -> st.SearchStrategy[str | bytes]:
    subscribes = st.tuples(st.sampled_from(['"1"', '"2"', '"é"']), parameters(values)).map(
        lambda pair: f'{{"id": {pair[0]}, "type": "subscribe", "payload": {body(pair[1])}}}'
    )
    anything = st.tuples(values.json, st.sampled_from(KINDS), values.json).map(
        lambda three: f'{{"id": {three[0]}, "type": {json.dumps(three[1])}, "payload": {three[2]}}}'
    )
    odd = st.sampled_from(
        [PING, "", "null", "[]", "[" * 20_000, "a" * 300_000, '{"type": "complete", "id": "1"}']
    )
    broken = st.sampled_from([b"\xff\xfe", b"\xed\xa0\x80", BINARY, PING.encode()])
    return st.one_of(subscribes, subscribes, subscribes, anything, odd, broken, values.json)


def conversation(one: Fuzzed, headers: Mapping[str, str], said: list[str | bytes]) -> None:
    """Says all of it, and hears what comes until the socket is closed or answers a ping, all of it judged."""
    url = f"ws://127.0.0.1:{one.port}/graphql"
    with connect(url, subprotocols=[Subprotocol(PROTOCOL)], max_size=None) as socket:
        with suppress(ConnectionClosed):
            for text in said:
                socket.send(INIT % json.dumps(dict(headers)) if text == INIT else text, text=text != BINARY)
        with suppress(ConnectionClosed):
            _heard(one, socket, said.count(PING) + 1 if INIT in said else None)
        # What is sent to a server that has closed already resets the connection, and its code may be lost.
        lost = {1006} if len(said) > 1 else set()
        assert socket.close_code in {None, *CLOSES, *lost}, (socket.close_code, socket.close_reason)


def _heard(one: Fuzzed, socket: ClientConnection, pongs: int | None) -> None:
    """Hears until so many pings were answered, or to the end."""
    if pongs is not None:
        socket.send(PING)
    while pongs is None or pongs > 0:
        message = json.loads(socket.recv(timeout=PATIENCE_SECONDS))
        assert message["type"] in SAID
        if message["type"] == "error":
            one.judge_errors(message["payload"])
        elif message["type"] == "next" and "errors" in message["payload"]:
            one.judge_errors(message["payload"]["errors"])
        elif message["type"] == "pong" and pongs is not None:
            pongs -= 1


@st.composite
def frames(draw: Draw) -> tuple[bytes, bytes]:
    """An upgrade, sometimes broken, and bytes that follow it: frames that are masked or not, whole or not."""
    opening = OPENING
    if draw(st.integers(0, 2)) == 0:
        lines = opening.split(b"\r\n")
        place = draw(st.integers(1, len(lines) - 3))
        lines[place] = draw(
            st.sampled_from([b"", b"Upgrade: h2c", b"Sec-WebSocket-Version: 8", b"X: \xff", lines[1]])
        )
        opening = b"\r\n".join(line for line in lines[:-2] if line) + b"\r\n\r\n"
    return opening, b"".join(draw(st.lists(_frame(), min_size=1, max_size=4)))


@st.composite
def _frame(draw: Draw) -> bytes:
    """A frame of RFC 6455, section 5.2."""
    first = draw(
        st.sampled_from([0x81, 0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A, 0x83, 0xF1, 0xC1, 0x09])
    )
    init = (INIT % "{}").encode()
    payload = draw(
        st.one_of(st.sampled_from([init, b"\x03\xe8", b"\x00", b"\xff" * 130]), st.binary(max_size=9))
    )
    size = draw(st.sampled_from([len(payload)] * 6 + [126, 127, 0]))
    length = bytes([0x80 | min(size, 125)])
    if size > 125:
        claimed = draw(st.sampled_from([len(payload), 2**16 - 1, 2**31, 2**62, 2**63]))
        length = (
            bytes([0xFE]) + min(claimed, 65535).to_bytes(2)
            if size == 126
            else bytes([0xFF]) + claimed.to_bytes(8)
        )
    if draw(st.integers(0, 9)) == 0:
        return bytes([first, length[0] & 0x7F]) + length[1:] + payload
    return bytes([first]) + length + b"\0\0\0\0" + payload
