"""From where a request comes the connection says, or a trusted proxy, and no other header."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from gateway.client_address import client_address, is_inside, is_within, read_address, read_network

PROXIES = tuple(ip_network(text) for text in ("10.0.0.0/8", "2001:db8:ff::/48"))
XFF, FORWARDED = "x-forwarded-for", "forwarded"


def seen(peer: str | None, *headers: tuple[str, str], trusted: Any = PROXIES) -> str | None:
    scope = {
        "client": None if peer is None else (peer, 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    return client_address(scope, trusted)


@pytest.mark.parametrize("header", [(XFF, "192.0.2.1"), (FORWARDED, "for=192.0.2.1")])
@pytest.mark.parametrize("peer", ["198.51.100.7", "11.0.0.1", "2001:db8:fe::1"])
def test_a_header_of_a_stranger_is_passed_over(peer: str, header: tuple[str, str]) -> None:
    assert seen(peer, header) == peer
    assert seen(peer, header, trusted=()) == peer


@pytest.mark.parametrize("peer", [None, "testclient", "localhost", "fe80::1%eth0"])
def test_what_is_no_address_is_not_known(peer: str | None) -> None:
    found = seen(peer, (XFF, "192.0.2.1"))
    assert found == (peer or None)
    assert read_address(found or "") is None


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([], "10.0.0.1"),
        ([(XFF, "192.0.2.1")], "192.0.2.1"),
        ([(XFF, "192.0.2.1:4711")], "192.0.2.1"),
        ([(XFF, "[2001:db8::1]:4711")], "2001:db8::1"),
        ([(XFF, "::ffff:192.0.2.1")], "192.0.2.1"),
        # Whoever sends a header of their own stands to the left of what the proxy adds.
        ([(XFF, "203.0.113.9, 192.0.2.1")], "192.0.2.1"),
        ([(XFF, "203.0.113.9"), (XFF, "192.0.2.1")], "192.0.2.1"),
        ([(XFF, "203.0.113.9, 192.0.2.1, 10.9.9.9, 2001:db8:ff::2")], "192.0.2.1"),
        ([(XFF, "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
        ([(XFF, "192.0.2.1, unknown")], None),
        ([(XFF, "192.0.2.1,")], None),
        ([(XFF, "")], None),
        ([(FORWARDED, "for=192.0.2.1;proto=https;by=10.0.0.1")], "192.0.2.1"),
        ([(FORWARDED, 'For="[2001:db8::1]:4711"')], "2001:db8::1"),
        ([(FORWARDED, "proto=https; for=192.0.2.1")], "192.0.2.1"),
        ([(FORWARDED, "for=203.0.113.9, for=192.0.2.1")], "192.0.2.1"),
        ([(FORWARDED, "for=_hidden")], None),
        ([(FORWARDED, "for=unknown")], None),
        ([(FORWARDED, "proto=https")], None),
        ([(FORWARDED, 'host="x;for=192.0.2.1"')], None),
        # One of the two is not the proxy's.
        ([(XFF, "192.0.2.1"), (FORWARDED, "for=192.0.2.1")], "192.0.2.1"),
        ([(XFF, "192.0.2.1"), (FORWARDED, "for=203.0.113.9")], None),
    ],
)
def test_a_trusted_proxy_says_who_is_behind_it(headers: Any, address: str | None) -> None:
    for peer in ("10.0.0.1", "::ffff:10.0.0.1"):
        found = seen(peer, *headers)
        assert found == (address or "unknown")
        assert (read_address(found) is None) == (address is None)


@pytest.mark.parametrize(
    ("address", "network", "within"),
    [
        ("192.0.2.0", "192.0.2.0/24", True),
        ("192.0.2.255", "192.0.2.0/24", True),
        ("192.0.3.0", "192.0.2.0/24", False),
        ("::ffff:192.0.2.9", "192.0.2.0/24", True),
        ("192.0.2.9", "::ffff:192.0.2.0/120", True),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:db9::1", "2001:db8::/32", False),
        ("192.0.2.1", "::/0", False),
        ("2001:db8::1", "0.0.0.0/0", False),
    ],
)
def test_an_address_is_in_a_network_or_not(address: str, network: str, within: bool) -> None:
    assert is_within(read_address(address), [read_network(network)]) is within
    assert not is_within(None, [read_network(network)])


@pytest.mark.parametrize(
    ("inner", "outer", "inside"),
    [
        ("192.0.2.0/24", "192.0.2.0/24", True),
        ("192.0.2.128/25", "192.0.2.0/24", True),
        ("192.0.2.0/23", "192.0.2.0/24", False),
        ("::ffff:192.0.2.0/121", "192.0.2.0/24", True),
        ("2001:db8:1::/48", "2001:db8::/32", True),
        ("2001:db8::/31", "2001:db8::/32", False),
        ("0.0.0.0/0", "::/0", False),
        ("::fffe:0:0/95", "0.0.0.0/0", False),
    ],
)
def test_a_network_lies_in_another_or_not(inner: str, outer: str, inside: bool) -> None:
    assert is_inside(read_network(inner), [read_network("198.51.100.0/24"), read_network(outer)]) is inside
