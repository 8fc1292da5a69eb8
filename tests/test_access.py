"""The link to an order by mail: one answer for all, a message for those who ordered."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from tests.world import World
from tests.writing import ACCESS, GUEST, another_gateway, at_once, holder, kept, key_of, placed, recorded

ACCEPTED = b'{"data":{"requestOrderAccess":{"accepted":true,"userErrors":[]}}}'


def guest_order(world: World) -> tuple[dict[str, Any], dict[str, str]]:
    """A guest's order, and what asks for a link to it."""
    order = placed(world, "anonymous", customer=GUEST)["order"]
    name = f"{GUEST['firstName']} {GUEST['surname']}"
    return order, {"number": order["number"], "name": name, "email": GUEST["email"]}


def ask(world: World, given: dict[str, str]) -> bytes:
    content: bytes = world.post("anonymous", ACCESS, {"input": given}).content
    return content


def mails(world: World, order: dict[str, Any]) -> list[dict[str, Any]]:
    (row,) = kept(world, "orders", id=key_of(order["id"]))
    return kept(world, "mail", customer_id=row["customer_id"])


def test_the_mailed_link_shows_the_order(writable: World) -> None:
    order, given = guest_order(writable)
    assert ask(writable, given) == ACCEPTED
    (mail,) = mails(writable, order)
    assert (mail["kind"], mail["recipient"]) == ("order-access", "guest.testi@example.com")
    found = re.search(r"^https://store\.example/order#(\S+)$", mail["body"], re.M)
    assert found
    name = holder(writable, found[1])
    assert writable.data(name, "{ orders { nodes { id } } }") == {"orders": {"nodes": [{"id": order["id"]}]}}


@pytest.mark.parametrize(
    "changed",
    [
        {"number": "O-999999"},
        {"number": ""},
        {"name": "Guest"},
        {"email": "another@example.com"},
        {"email": "no address"},
        {"email": ""},
    ],
)
def test_whoever_did_not_order_gets_the_same_answer_and_no_mail(
    writable: World, changed: dict[str, str]
) -> None:
    order, given = guest_order(writable)
    before = len(kept(writable, "mail"))
    assert ask(writable, given | changed) == ACCEPTED
    assert (len(kept(writable, "mail")), mails(writable, order)) == (before, [])


def test_letter_case_and_spaces_tell_no_two_names_apart(writable: World) -> None:
    order, given = guest_order(writable)
    spelled = {
        "number": f" {given['number'].lower()}",
        "name": "GUEST  Von testi ",
        "email": "GUEST.testi@EXAMPLE.com",
    }
    assert ask(writable, spelled) == ACCEPTED
    assert len(mails(writable, order)) == 1


def test_a_link_is_mailed_once_in_five_minutes_however_many_ask_at_once(writable: World) -> None:
    order, given = guest_order(writable)
    with another_gateway(writable) as other:
        asks = [lambda one=one: ask(one, given) for one in (writable, other) * 3]
        assert set(at_once(*asks)) == {ACCEPTED}
    assert len(mails(writable, order)) == 1
    for minutes, count in ((4, 1), (5, 2), (6, 2), (11, 3)):
        with writable.at(writable.now + timedelta(minutes=minutes)):
            assert ask(writable, given) == ACCEPTED
        assert len(mails(writable, order)) == count


def test_an_erased_customer_gets_no_mail(writable: World) -> None:
    order, given = guest_order(writable)
    (row,) = kept(writable, "orders", id=key_of(order["id"]))
    writable.execute("UPDATE customer SET erased_at = now() WHERE id = $1", row["customer_id"])
    assert ask(writable, given) == ACCEPTED
    assert mails(writable, order) == []


def test_what_is_kept_of_an_asking_holds_no_value(writable: World) -> None:
    _, given = guest_order(writable)
    ask(writable, given | {"name": "Secretive Person"})
    found = str(kept(writable, "idempotency", mutation="requestOrderAccess")).lower()
    assert found != "[]"
    assert "secretive" not in found
    assert "example" not in found


def test_the_same_statements_run_whether_there_is_such_an_order_or_not(writable: World) -> None:
    _, given = guest_order(writable)
    runs = []
    for name in (given["name"], "Somebody Else"):
        with recorded() as statements:
            ask(writable, given | {"name": name})
        runs.append(statements)
    assert runs[0] == runs[1] != []
