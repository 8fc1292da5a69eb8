"""Answers that go on: subscriptions over WebSocket and server-sent events, each event gated anew.

`broker` hears of changes from PostgreSQL, `subscription` makes them answers, `connection` ends what its
caller may no longer have, `sockets` (with `messages`) and `events` speak the two protocols.
"""
