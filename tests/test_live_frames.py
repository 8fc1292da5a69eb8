"""Frames that are none, on a real socket: each ends its socket with a code, and is no fault of ours."""

from __future__ import annotations

import pytest

from tests.live import Served
from tests.logged import Collected


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b'{"type": "ping", "payload": {"a": "\xc3"}}'])
def test_a_text_that_is_no_utf_8_ends_the_socket(live: Served, logged: Collected, text: bytes) -> None:
    with live.as_("carrier") as talk:
        talk.connection.send(text, text=True)
        assert talk.ended() == (1007, "the message is no UTF-8")
    assert logged.events("library") == []
    with live.as_("carrier") as talk:
        talk.say({"type": "ping"})
        assert talk.hear() == {"type": "pong"}


def test_a_character_may_lie_in_two_frames(live: Served) -> None:
    """A text is judged as a whole (RFC 6455, section 5.6)."""
    head, tail = '{"type": "ping", "payload": {"a": "é"}}'.encode().split(b"\xc3")
    with live.as_("carrier") as talk:
        talk.connection.send([head + b"\xc3", tail], text=True)
        assert talk.hear() == {"type": "pong"}


def test_a_text_is_judged_as_a_whole_in_frames_too(live: Served) -> None:
    with live.as_("carrier") as talk:
        talk.connection.send([b'{"type": "', b"\xff", b'"}'], text=True)
        assert talk.ended()[0] == 1007
