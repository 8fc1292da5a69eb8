"""The link that ends the newsletter with one click (RFC 8058), over HTTP, and whom the newsletter goes to."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.principal import SigningKey
from gateway.privacy.spent_token import spent
from tests.erasing import DAY, document, tick
from tests.live import Served, served
from tests.logged import Collected
from tests.signing_in import viewer
from tests.unsubscribing import (
    AUDIENCE,
    FORM,
    GIVEN,
    ONE_CLICK,
    WITHDRAWN,
    Subscriber,
    agreed,
    audience,
    decisions,
    is_in_audience,
    subscribed,
)
from tests.world import World
from tests.writing import at_once, kept

NOBODYS = f"/u/{'A' * 43}"
MARKETING = AUDIENCE.replace("firstName email unsubscribeUrl", "email")


@pytest.fixture
def browser(live: Served) -> Iterator[httpx.Client]:
    """Somebody with no cookie and no token, who follows no redirect."""
    with httpx.Client(base_url=f"http://127.0.0.1:{live.port}") as client:
        yield client


@pytest.fixture
def one(live: Served) -> Subscriber:
    """A customer to whom the newsletter goes."""
    return subscribed(live.world)


def pressed(client: httpx.Client, link: str, **given: Any) -> httpx.Response:
    """The answer to the one click."""
    return client.post(link, **({"content": ONE_CLICK, "headers": FORM} | given))


def state(world: World, one: Subscriber) -> Any:
    """What is kept of a customer, their consents and the provenance."""
    tables = {"customer": "id", "consent_event": "customer_id", "change": "customer_id"}
    return [kept(world, table, **{column: one.key}) for table, column in tables.items()]


def shape(response: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """A whole answer, but for what no two answers share."""
    own = ("date", "x-request-id")
    headers = {name: value for name, value in response.headers.items() if name not in own}
    return response.status_code, response.content, headers


# ---------------------------------------------------------------- one click


@pytest.mark.parametrize(
    "given",
    [
        {"content": ONE_CLICK, "headers": FORM},
        {
            "content": ONE_CLICK,
            "headers": {"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"},
        },
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b"List-Unsubscribe=One-Click&more=1", "headers": FORM},
    ],
    ids=["form", "charset", "multipart", "more"],
)
def test_one_click_ends_the_newsletter_at_once(
    live: Served, browser: httpx.Client, one: Subscriber, given: Any
) -> None:
    """Without a cookie, a login or a redirect; another worker's next letter does not go out any more."""
    assert is_in_audience(live.world, one)
    response = browser.post(one.link, **given)
    assert (response.status_code, response.history) == (200, [])
    assert "set-cookie" not in response.headers
    assert not is_in_audience(live.world, one)
    assert decisions(live.world, one) == [GIVEN, WITHDRAWN]


def test_a_withdrawal_is_kept_with_its_notice_and_its_provenance(
    live: Served, browser: httpx.Client, one: Subscriber
) -> None:
    (before,) = kept(live.world, "customer", id=one.key)
    pressed(browser, one.link)
    given, event = sorted(kept(live.world, "consent_event", customer_id=one.key), key=lambda row: row["at"])
    same = ("purpose", "notice_version", "text_digest", "actor", "evidence")
    assert [event[name] for name in same] == [given[name] for name in same]
    assert event["actor"] == one.id
    (noted,) = kept(live.world, "change", customer_id=one.key, source="UNSUBSCRIBE_LINK")
    about = ("entity", "entity_id", "field", "actor")
    assert [noted[name] for name in about] == ["Customer", one.key, "marketingConsent", one.id]
    (after,) = kept(live.world, "customer", id=one.key)
    assert after == before | {"marketing_consent": False, "version": before["version"] + 1}


def test_the_customer_reads_how_the_newsletter_ended(
    live: Served, browser: httpx.Client, one: Subscriber
) -> None:
    pressed(browser, one.link)
    document = "{ customers { nodes { marketingConsent consents(first: 1) { nodes { state source } } } } }"
    headers = {"Authorization": f"Bearer {one.access_token}"}
    (found,) = live.world.post("anonymous", document, headers=headers).json()["data"]["customers"]["nodes"]
    assert found["marketingConsent"] is False
    assert found["consents"]["nodes"] == [{"state": "WITHDRAWN", "source": "UNSUBSCRIBE_LINK"}]


def test_the_click_again_is_answered_alike_and_changes_nothing(
    live: Served, browser: httpx.Client, one: Subscriber
) -> None:
    first = pressed(browser, one.link)
    before = state(live.world, one)
    assert shape(pressed(browser, one.link)) == shape(first)
    assert state(live.world, one) == before


def test_clicks_at_the_same_moment_withdraw_once(
    live: Served, browser: httpx.Client, one: Subscriber
) -> None:
    found = at_once(*[lambda: pressed(browser, one.link).status_code] * 6)
    assert found == [200] * 6
    assert decisions(live.world, one) == [GIVEN, WITHDRAWN]


def test_a_customer_who_never_agreed_has_nothing_to_withdraw(live: Served, browser: httpx.Client) -> None:
    one = subscribed(live.world)
    agreed(live.world, one, wanted=False)
    before = state(live.world, one)
    assert pressed(browser, one.link).status_code == 200
    assert state(live.world, one) == before


def test_the_link_of_an_old_letter_ends_a_consent_that_was_given_again(
    live: Served, browser: httpx.Client, one: Subscriber
) -> None:
    pressed(browser, one.link)
    agreed(live.world, one)
    assert [customer["unsubscribeUrl"] for customer in audience(live.world) if customer["id"] == one.id]
    assert pressed(browser, one.link).status_code == 200
    again = ("GIVEN", "CUSTOMER")
    assert decisions(live.world, one) == [GIVEN, WITHDRAWN, again, WITHDRAWN]
    assert not is_in_audience(live.world, one)


def test_a_withdrawal_counts_although_another_workers_clock_is_ahead(
    live: Served, browser: httpx.Client, one: Subscriber
) -> None:
    """The moment of a decision lies after the one it follows, whatever the clock says."""
    query = "UPDATE consent_event SET at = at + interval '1 hour' WHERE customer_id = $1"
    live.world.execute(query, one.key)
    pressed(browser, one.link)
    assert decisions(live.world, one) == [GIVEN, WITHDRAWN]
    assert not is_in_audience(live.world, one)


def test_a_restricted_customer_withdraws_too(live: Served, browser: httpx.Client, one: Subscriber) -> None:
    query = "UPDATE customer SET status = 'RESTRICTED', restricted_at = $1 WHERE id = $2"
    live.world.execute(query, live.world.now, one.key)
    assert pressed(browser, one.link).status_code == 200
    assert decisions(live.world, one) == [GIVEN, WITHDRAWN]


def test_of_an_erased_customer_the_page_answers_and_nothing_is_written(
    live: Served, browser: httpx.Client, one: Subscriber
) -> None:
    usual = [shape(browser.get(one.link)), shape(pressed(browser, subscribed(live.world).link))]
    headers = {"Authorization": f"Bearer {one.access_token}"}
    erasure = document("requestErasure")
    live.world.post("anonymous", erasure, {"input": {}}, headers=headers).raise_for_status()
    assert tick(live.world, 3 * DAY) >= 1
    before = state(live.world, one)
    ((tombstone,), _, _) = before
    assert (tombstone["status"], tombstone["unsubscribe_token"]) == ("ERASED", spent(one.link[3:]))
    assert browser.get(f"/u/{tombstone['unsubscribe_token']}").status_code == 404
    assert [shape(browser.get(one.link)), shape(pressed(browser, one.link))] == usual
    assert state(live.world, one) == before


# ---------------------------------------------------------------- looking changes nothing


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_the_click_changes_anything(
    live: Served, browser: httpx.Client, one: Subscriber, method: str
) -> None:
    before = state(live.world, one)
    response = browser.request(method, one.link)
    is_look = method in ("GET", "HEAD")
    assert response.status_code == (200 if is_look else 405)
    assert is_look or set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert state(live.world, one) == before


def test_the_page_is_a_form_without_scripts_that_loads_nothing(
    browser: httpx.Client, one: Subscriber
) -> None:
    response = browser.get(one.link)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    policy = response.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} < {
        *policy
    }
    assert "unsafe" not in response.headers["content-security-policy"]
    assert '<form method="post">' in response.text
    assert response.text.count("<button") == 1
    for word in ("<script", "src=", "href=", "action=", "http"):
        assert word not in response.text


def test_the_page_is_the_same_for_everybody_whatever_they_decided(
    live: Served, browser: httpx.Client, one: Subscriber
) -> None:
    other = subscribed(live.world)
    pressed(browser, other.link)
    pages = {browser.get(who.link).content for who in (one, other)}
    assert len(pages) == 1
    (page,) = pages
    assert one.link.removeprefix("/u/").encode() not in page


# ---------------------------------------------------------------- what is none


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_forged_link_is_answered_like_a_path_that_leads_nowhere(
    browser: httpx.Client, one: Subscriber, method: str
) -> None:
    given: Any = {"content": ONE_CLICK, "headers": FORM} if method == "POST" else {}
    nowhere = shape(browser.request(method, "/nowhere", **given))
    assert nowhere[0] == 404
    token = one.link.removeprefix("/u/")
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    forged = [
        *(NOBODYS, f"/u/{changed}", f"/u/{token[:-1]}", f"/u/{token}A", f"/u/{token}/", f"/u/{token}%00"),
        *(f"/u/{token.swapcase()}", "/u/", "/u/x", "/u/%F0%9F%92%A9", "/u/" + "a" * 5000, f"/u/{token}%27--"),
    ]
    assert {path: shape(browser.request(method, path, **given)) for path in forged} == dict.fromkeys(
        forged, nowhere
    )


def test_a_token_for_something_else_ends_no_newsletter(
    live: Served, browser: httpx.Client, one: Subscriber
) -> None:
    tokens = [one.access_token, str(one.key), one.id]
    tokens += [who.headers.get("Authorization", "Bearer x")[7:] for who in live.world.askers.values()]
    assert {pressed(browser, f"/u/{token}").status_code for token in tokens} == {404}
    assert decisions(live.world, one) == [GIVEN]


def test_a_link_is_good_for_nothing_else(live: Served, one: Subscriber) -> None:
    token = one.link.removeprefix("/u/")
    status, _ = viewer(live.world, token)
    assert status == 401


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"content": b""}, 415),
        ({"json": {"List-Unsubscribe": "One-Click"}}, 415),
        ({"content": ONE_CLICK, "headers": {"Content-Type": "text/plain"}}, 415),
        ({"content": ONE_CLICK, "headers": FORM | {"Content-Encoding": "gzip"}}, 415),
        ({"content": b"", "headers": FORM}, 400),
        ({"content": b"List-Unsubscribe", "headers": FORM}, 400),
        ({"content": b"List-Unsubscribe=one-click", "headers": FORM}, 400),
        ({"content": b"list-unsubscribe=One-Click", "headers": FORM}, 400),
        ({"content": ONE_CLICK + b"&List-Unsubscribe=Two", "headers": FORM}, 400),
        ({"content": ONE_CLICK + b"&a=1" * 20, "headers": FORM}, 400),
        ({"content": b"\xff\x00=%zz&" * 9, "headers": FORM}, 400),
        ({"content": ONE_CLICK + b"&a=" + b"x" * 4096, "headers": FORM}, 413),
        ({"content": iter([ONE_CLICK, b"&a=", *[b"x" * 1024] * 5]), "headers": FORM}, 413),
        ({"files": {"List-Unsubscribe": ("a.txt", b"One-Click")}}, 400),
        ({"content": ONE_CLICK, "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ({"content": b"--x\r\nno", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
        ({"content": b"\x00" * 99, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
    ],
)
def test_what_is_no_click_is_refused_and_changes_nothing(
    live: Served, browser: httpx.Client, one: Subscriber, given: Any, status: int
) -> None:
    response = browser.post(one.link, **given)
    assert response.status_code == status
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert decisions(live.world, one) == [GIVEN]


# ---------------------------------------------------------------- how long it holds, and who hears of it


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_link_outlives_the_signing_key(
    live: Served, one: Subscriber, tmp_path: Path, is_listed: bool
) -> None:
    """Also once the former key is not even listed any more, as the letters are older than it."""
    former = live.world.gateway.settings.signing_key_file
    SigningKey.create(tmp_path / "new.pem")
    listed = (former,) if is_listed else ()
    with served(live.world, signing_key_file=tmp_path / "new.pem", former_key_files=listed) as other:
        url = f"http://127.0.0.1:{other.port}{one.link}"
        assert httpx.post(url, content=ONE_CLICK, headers=FORM).status_code == 200
    assert decisions(live.world, one) == [GIVEN, WITHDRAWN]


def test_neither_a_link_nor_whose_it_is_is_logged(
    browser: httpx.Client, one: Subscriber, logged: Collected
) -> None:
    logged.lines.clear()
    browser.get(one.link)
    pressed(browser, one.link)
    pressed(browser, one.link, content=b"x=1")
    browser.get(NOBODYS)
    lines = logged.events("request")
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", "/u/{token}", 200),
        ("POST", "/u/{token}", 200),
        ("POST", "/u/{token}", 400),
        ("GET", "/u/{token}", 404),
    ]
    for trace in (one.link.removeprefix("/u/"), one.id, str(one.key), "A" * 43):
        assert trace not in logged.text


# ---------------------------------------------------------------- whom the newsletter goes to


def consented(world: World) -> dict[uuid.UUID, dict[str, Any]]:
    """Who agreed last, by their history row by row, and is neither restricted nor erased."""
    newest: dict[uuid.UUID, dict[str, Any]] = {}
    for event in world.table("consent_event"):
        known = newest.get(event["customer_id"])
        if known is None or (event["at"], event["id"]) > (known["at"], known["id"]):
            newest[event["customer_id"]] = event
    return {
        row["id"]: row
        for row in world.table("customer")
        if row["id"] in newest
        and newest[row["id"]]["state"] == "GIVEN"
        and row["restricted_at"] is None
        and row["erased_at"] is None
    }


def test_the_newsletter_goes_to_those_who_agreed_and_to_nobody_else(
    live: Served, browser: httpx.Client
) -> None:
    """Before and after some of them use their links; each with their own link, first name and address."""
    several = [subscribed(live.world) for _ in range(3)]
    for leaving in ([], several[:2]):
        for one in leaving:
            pressed(browser, one.link)
        live.world.forget()
        wanted = consented(live.world)
        assert 0 < len(wanted) < len(live.world.table("customer"))
        found = {str(one["email"]): one for one in audience(live.world)}
        assert found.keys() == {row["email"] for row in wanted.values()}
        for row in wanted.values():
            shown = found[row["email"]]
            assert shown["firstName"] == row["first_name"]
            assert shown["unsubscribeUrl"] == f"https://store.example/u/{row['unsubscribe_token']}"
        assert len(audience(live.world, "marketing", MARKETING)) == len(wanted)
