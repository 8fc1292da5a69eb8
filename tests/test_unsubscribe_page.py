"""The page behind the newsletter's link in a real browser, by keyboard, without scripts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.clients.npm import run_program
from tests.live import Served
from tests.unsubscribing import GIVEN, WITHDRAWN, decisions, subscribed

pytestmark = pytest.mark.slow

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def program() -> str:
    """The browser of this machine; skips where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)}")
    return found


def used(live: Served, npm: Path, program: str, link: str, folder: Path, *, presses: bool = True) -> Any:
    given = {"program": program, "link": f"http://127.0.0.1:{live.port}{link}", "folder": str(folder)}
    return run_program(npm, "unsubscribe.mjs", given | {"presses": presses})


def test_a_person_opens_the_link_presses_the_button_and_is_told_so(
    live: Served, npm: Path, program: str, tmp_path: Path
) -> None:
    """One page, one button, one press: nothing else is loaded, and the browser complains of nothing."""
    one = subscribed(live.world)
    found = used(live, npm, program, one.link, tmp_path)
    assert found["shown"] == 200
    assert found["before"]["heading"] == found["before"]["title"] == "Stop the newsletter?"
    assert (found["before"]["buttons"], found["focused"]) == (["Unsubscribe"], "Unsubscribe")
    assert found["after"]["heading"] == found["after"]["title"] == "You are unsubscribed"
    assert found["after"]["buttons"] == []
    assert len(found["after"]["status"]) == 1
    assert found["address"].endswith(one.link)
    assert [request for request in found["requests"] if "favicon" not in request] == [
        f"GET {one.link}",
        f"POST {one.link}",
    ]
    assert (found["cookies"], found["complaints"]) == ([], [])
    assert decisions(live.world, one) == [GIVEN, WITHDRAWN]


def test_the_pages_style_is_used_and_it_fits_a_telephone(
    live: Served, npm: Path, program: str, tmp_path: Path
) -> None:
    """The style is let through by its digest in the page's own policy; looking alone withdraws nothing."""
    one = subscribed(live.world)
    found = used(live, npm, program, one.link, tmp_path, presses=False)
    assert found["before"]["color"] == "rgb(26, 26, 26)"
    assert found["before"]["scrolls"] is False
    assert found["requests"] == [f"GET {one.link}"]
    assert decisions(live.world, one) == [GIVEN]
